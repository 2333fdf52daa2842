/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a random walk over the messages of a front end stands on: the model of what was said and
 * accepted, the questions that hold it against the back end, and a count for each message of how
 * often it was accepted, refused for when it came, and refused for what it was. The steps are in
 * the other t_walk_*.h, by what they are about.
 */
#ifndef VHK_TESTS_T_WALK_H
#define VHK_TESTS_T_WALK_H

#include <sys/un.h>
#include <vhostkit/device_ask.h>

#include "t_user.h"

#define EXTRA_GPA 0x40000000u
#define EXTRA_SIZE 0x4000u
#define REGIONS (1 + T_QUEUES) /* the buffers', and one for each ring */
#define LOG_OFFSET 0x4000u     /* in the buffers, where nothing else is */
#define LOG_FILE 0x10000u
#define NEEDS_RESET 0x40u

/* What a session is about; the rest is in each of them. */
enum walk_mode {
	WALK_PLAIN,
	WALK_INBAND,   /* kicks and calls are messages */
	WALK_GPA,      /* one address for each region */
	WALK_IOMMU,    /* rings and buffers are translated */
	WALK_POSTCOPY, /* memory is watched while it arrives */
	WALK_SILENT,   /* nothing is acknowledged */
	WALK_MODES,
};

static const char *const walk_mode_names[] = { "plain",	  "in-band",  "gpa addresses",
					       "IOMMU",	  "postcopy", "no acks" };

static struct t_user u;
/* The same, with its queues in the control loop and in another one; and which is served. */
static struct vhk_device *close_by, *apart, *served;
static unsigned int seed;
static int extra, log_file, log_call_fd;
static bool can_watch; /* userfaultfd(2) is allowed */
static unsigned int n_echoes, n_logged, n_broken, n_sessions, n_of_mode[WALK_MODES];
static const char *step_name = "";

/* How a front-end message ended: as it should, refused as the model has it, refused by its form. */
static struct {
	unsigned int accepted, refused, malformed;
} count[VHK_USER_REQ_MAX + 1];

/* Messages of the back end: how many came, and what they were answered. */
static struct {
	unsigned int came, yes, no;
} back_count[VHK_USER_BACK_REQ_MAX + 1];

/* The device: each message that means something to a device type, and a state of its own. */
static struct {
	bool refuse;
	int gpu;
} dev = { .gpu = -1 };

struct walk_ring {
	struct t_ring r;
	int err; /* an eventfd, for SET_VRING_ERR */
	bool made, num, addr, runs, waits, enabled;
	bool by_message; /* kicked by VRING_KICK */
	bool call_said, err_said;
	bool dead; /* the driver broke it */
};

/* What the front end has said, as far as it was accepted. */
static struct {
	enum walk_mode mode;
	bool over; /* the back end has ended the session */
	bool owned, features_set, protocol_set;
	uint64_t features, protocol, protocol_offered;
	uint64_t table_end; /* of the last table; 0: there was none */
	bool base_mem, extra_mem; /* the rings' regions as they are, and one more */
	bool translated[REGIONS];
	struct walk_ring ring[T_QUEUES];
	uint8_t status;
	struct {
		bool set;
		uint64_t size;
		unsigned char *bits; /* where it is here */
	} log;
	struct {
		bool set, stale;
		unsigned int n;
		bool used[T_QUEUES];
	} inflight;
	bool advised, listening, pending;
	uint64_t pending_end;
	bool pending_is_old; /* the driver has other memory by now */
	int state_fd; /* the other end of a transfer under way; -1: none */
	bool saves, moved, move_failed;
	int channel; /* the front end's end; -1: none */
	unsigned int n_asked, n_done;
} m;

static inline unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static inline bool one_in(unsigned int n)
{
	return !below(n);
}

static inline bool acks(void)
{
	return m.protocol & VHK_USER_PF(REPLY_ACK);
}

static inline bool has(uint64_t protocol)
{
	return (m.protocol & protocol) == protocol;
}

static inline bool is_packed(void)
{
	return m.features & VHK_F_RING_PACKED;
}

static inline bool translates(void)
{
	return (m.features & VHK_F_ACCESS_PLATFORM) && has(VHK_USER_PF(BACKEND_REQ));
}

/* One that waits for its translation counts. */
static inline bool runs_any(void)
{
	unsigned int i;

	for (i = 0; i < T_QUEUES; i++)
		if (m.ring[i].runs || m.ring[i].waits)
			return true;
	return false;
}

static inline bool has_memory(void)
{
	return m.table_end || m.extra_mem;
}

/* Bytes of a log for memory that ends at @end. */
static inline uint64_t log_bytes(uint64_t end)
{
	return end ? ((end - 1) >> 12) / 8 + 1 : 0;
}

static inline uint64_t memory_end(void)
{
	return m.extra_mem ? EXTRA_GPA + EXTRA_SIZE : m.table_end;
}

/* With rings that run, a log in force has to be large enough for all of the memory. */
static inline bool log_allows(uint64_t end)
{
	return !m.log.set || !(m.features & VHK_F_LOG_ALL) || !runs_any() ||
	       log_bytes(end) <= m.log.size;
}

static inline const char *name_of(uint32_t request)
{
	const struct vhk_proto *row = vhk_proto_request(request);

	return row ? row->name : "an unknown message";
}

static inline void trail(const char *what, bool legal, uint64_t got)
{
	printf("# seed %s, session %u (%s), step %s: %s was %s (0x%" PRIx64 "), features 0x%" PRIx64
	       ", protocol 0x%" PRIx64 ": %s\n",
	       getenv("VHK_SEED") ? getenv("VHK_SEED") : "above", n_sessions,
	       walk_mode_names[m.mode], step_name, what, legal ? "refused" : "accepted", got,
	       m.features, m.protocol, u.log.last);
	T_OK(!"as the model has it");
}

static inline bool note(bool legal, uint32_t request)
{
	if (request <= VHK_USER_REQ_MAX)
		*(legal ? &count[request].accepted : &count[request].refused) += 1;
	return legal;
}

/* A u64 is due for it, acknowledged or not. */
static inline bool always_answered(uint32_t request)
{
	const struct vhk_proto *row = vhk_proto_request(request);

	return row && row->reply == VHK_REPLY_U64 && !(row->reply_needs & ~m.protocol);
}

/* The answer to SET_DEVICE_STATE_FD says beside an error that no fd comes with it. */
static inline uint64_t verdict(uint32_t request, uint64_t got)
{
	if (request != VHK_USER_SET_DEVICE_STATE_FD || got == T_NO_ANSWER)
		return got;
	return got & VHK_USER_STATE_NO_FD ? got & VHK_USER_STATE_ERROR : T_NO_ANSWER;
}

/* A request whose answer says whether it was accepted; without REPLY_ACK nobody says. */
static inline bool ask(bool legal, uint32_t request, const void *payload, uint32_t size,
		       const int *fd, unsigned int n_fds)
{
	uint64_t got;

	if (!acks() && !always_answered(request)) {
		t_send(&u, request, 0, payload, size, fd, n_fds);
		t_settle(&u);
	} else {
		got = verdict(request, t_ask_fds(&u, request, payload, size, fd, n_fds));
		if (!got != legal)
			trail(name_of(request), legal, got);
	}
	return note(legal, request);
}

static inline bool ask_u64(bool legal, uint32_t request, uint64_t v)
{
	return ask(legal, request, &v, sizeof(v), NULL, 0);
}

/* One that is answered with a payload, or an fd; without, it was refused. Fds are the caller's. */
static inline bool get_fds(bool legal, uint32_t request, const void *payload, uint32_t size,
			   struct vhk_msg *a)
{
	if (!t_get(&u, request, payload, size, a)) {
		trail(name_of(request), legal, T_NO_ANSWER);
		return false;
	}
	if ((a->hdr.size || a->n_fds) != legal)
		trail(name_of(request), legal, a->hdr.size);
	return note(legal, request);
}

static inline bool get(bool legal, uint32_t request, const void *payload, uint32_t size,
		       struct vhk_msg *a)
{
	const bool ret = get_fds(legal, request, payload, size, a);

	while (a->n_fds)
		close(a->fd[--a->n_fds]);
	return ret;
}

static inline struct vhk_region region(unsigned int i)
{
	struct vhk_region r;

	T_MUST(!vhk_mem_get(u.mem, i, &r, NULL));
	return r;
}

/* The address by which the front end tells of a place in its memory. */
static inline uint64_t wire_address(uint64_t uva)
{
	unsigned int i;

	if (!translates() && !has(VHK_USER_PF(GPA_ADDRESSES)))
		return uva;
	for (i = 0; i < REGIONS; i++) {
		struct vhk_region r = region(i);

		if (uva >= r.uva.v && uva - r.uva.v < r.size)
			return uva - r.uva.v + r.gpa.v;
	}
	T_MUST(!"inside of a region");
	return 0;
}

static inline struct vhk_user_vring_addr ring_address(const struct walk_ring *r)
{
	struct vhk_user_vring_addr a = t_ring_wire_addr(&r->r);

	a.desc = wire_address(a.desc);
	a.avail = wire_address(a.avail);
	a.used = wire_address(a.used);
	return a;
}

#endif
