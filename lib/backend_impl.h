/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of a vhost-user back end. backend.c owns sockets that sessions come from,
 * backend_session.c receives, judges, dispatches and replies; the other backend_*.c hold the
 * handlers, one noun each. Control thread only.
 */
#ifndef VHK_LIB_BACKEND_IMPL_H
#define VHK_LIB_BACKEND_IMPL_H

#include <linux/virtio_config.h>
#include <sys/types.h>

#include <vhostkit/backend.h>

#include "base.h"
#include "device.h"
#include "iotlb_table.h"
#include "map.h"
#include "notify.h"
#include "proto.h"
#include "ration.h"
#include "ring_layout.h"

/* The messages that carry a ring's fd have eight bits for its index. */
#define VHK_BACKEND_QUEUES_MAX 256

/* A ring's notifications as messages (vhost-user, "In-band notifications"): eventfds that stand
 * between the ring's loop and the connection. */
struct vhk_backend_inband {
	struct vhk_session *session;
	int kick_fd; /* rung for VRING_KICK; -1: the ring was not started by it */
	int call_fd; /* rung by the ring, for BACKEND_VRING_CALL; -1: was not needed so far */
	bool asked;  /* a call is on its way and not acknowledged */
	bool again;  /* another one is due after it */
};

struct vhk_iova_want {
	struct vhk_iova iova;
	uint8_t perm;
};

/* Where the parts of a ring are in the front end's address space: descriptors, the driver's, the
 * device's, @n pieces each, one behind the other. */
struct vhk_backend_place {
	unsigned int n[3];
	struct vhk_iotlb_seg piece[RING_PIECES_MAX];
};

/* What the front end said about a ring; whether it runs is the device's to know. */
struct vhk_backend_ring {
	uint16_t size; /* 0: not said */
	uint32_t base;
	struct vhk_user_vring_addr addr;
	bool has_addr;
	bool enabled;
	bool left; /* was stopped with chains in flight: its part of the inflight region tells */
	bool drained; /* was stopped with none: that part is of no use to one that begins anew */
	bool lost; /* was stopped because the table no longer holds it */
	struct vhk_backend_place place;
	/* With an IOTLB: started, and waits for its parts to be translated. */
	bool waits;
	/* Of a ring that is started (-1: polled), kept for a start of it that the front end does
	 * not ask for: with an IOTLB, or where the session may be handed over. */
	int kick;
	bool given; /* rests while the session is handed over */
	bool taken_enabled; /* what @enabled is to be when the session is taken over */
	/* The translation that was asked for, and the one to ask for next. Answers to @n_unanswered
	 * questions are still to come. */
	bool asked, wants;
	struct vhk_iova_want asked_for, wanted;
	unsigned int n_unanswered;
	/* Kept over a stop, since a front end that starts the ring again need not send them again;
	 * a running queue works with duplicates. */
	struct vhk_notify call, err;
	bool call_said; /* SET_VRING_CALL came, be it without an fd */
	struct vhk_backend_inband inband;
};

struct vhk_backend_inflight {
	struct vhk_mem *mem; /* the region by itself; NULL: none */
	unsigned char *va;
	uint64_t size;
	uint16_t n_queues;
	uint16_t queue_size;
};

/* Ranges that a change of translations waits for one by one; of more, it waits for all. */
#define VHK_GONE_MAX 16

struct vhk_backend_iotlb {
	struct vhk_iotlb *cache; /* NULL: ACCESS_PLATFORM was not negotiated */
	bool forgot; /* chains may use translations that the cache has forgotten */
	/* The request under way: what it takes away, in our address space. */
	uint64_t first, last;
	struct iovec gone[VHK_GONE_MAX];
	unsigned int n_gone;
	unsigned int n_not_permitted; /* so that ever fewer are told */
};

/* Memory that arrives while the guest runs; backend_postcopy.c. */
struct vhk_backend_postcopy {
	int uffd; /* -1: not advised */
	int nothing; /* vhk_map_nothing() */
	bool listening;
	uint64_t since; /* it listens, ns */
	struct vhk_mem *pending; /* a table whose bases the front end has yet to accept, or NULL */
	struct vhk_table *former; /* watched as well, and perhaps in use by chains; or NULL */
};

enum vhk_session_state {
	VHK_SESSION_NONE,    /* no front end */
	VHK_SESSION_READY,   /* requests are read */
	VHK_SESSION_WAITING, /* a change is under way: nothing is read before it is answered */
	VHK_SESSION_GIVEN,   /* being handed over: requests wait for whoever serves in the end */
	VHK_SESSION_ENDING,  /* queues drain, then all is taken down */
};

struct vhk_session;
struct vhk_channel_ask;
struct vhk_give;
struct vhk_take;

/*
 * The front end's answer to what was asked on the back-end channel: 0, -EREMOTEIO: it refuses,
 * -EPROTO: it makes no sense, -ENOTCONN: the channel is gone. @fd is the callee's, or -1.
 */
typedef void vhk_channel_fn(void *arg, int ret, int fd);

struct vhk_backend_log;
struct vhk_state;

/* What the answer to a change means for the request that asked: as a handler's return value. */
typedef int vhk_session_finish_fn(struct vhk_session *s, int ret, uint32_t base);

struct vhk_session {
	struct vhk_backend *backend;
	enum vhk_session_state state;
	bool doomed; /* ends as soon as no change is under way */
	bool deaf;   /* ends as soon as the request is answered: nobody heard that a ring is dead */
	bool torn;   /* ends as soon as the request is answered: its memory is not what it was */
	struct vhk_sock sock;
	uint32_t events; /* that the loop watches sock for */
	bool watched;
	struct vhk_sock channel; /* fd -1: none */
	bool channel_watched; /* else it is paused: another process has it, or may have */
	bool config_due;      /* changed while the channel was paused */
	struct vhk_channel_ask *asked, **asked_tail; /* on it, not answered yet, in order */
	unsigned int n_asked;
	struct vhk_proto_state st;
	uint8_t status;
	struct vhk_mem *mem;
	struct vhk_backend_inflight inflight;
	struct vhk_backend_postcopy postcopy;
	struct vhk_backend_log *log, *former_log; /* NULL: none */
	struct vhk_notify log_call;
	struct vhk_state *moving; /* the device's state, on its way; NULL: none */
	int moved;		  /* how the last transfer ended */
	bool checking;		  /* the front end waits for its end */
	struct vhk_backend_iotlb iotlb;
	struct vhk_backend_ring *ring; /* st.n_queues */

	/* The request being served. */
	struct vhk_msg req;
	struct vhk_msg reply;
	const struct vhk_proto *row;
	const char *why; /* it is refused, static */
	vhk_session_finish_fn *finish;
	unsigned int cursor;		     /* of a handler that goes from ring to ring */
	void (*then)(struct vhk_session *s); /* and what it does behind the last */
	int patience;			     /* timer, 0: none */
	struct {
		struct vhk_work work;
		struct vhk_map map; /* the table's from the last step on */
	} adding; /* of a region that comes alone */

	int stall; /* timer, 0: no message or answer is under way */
	unsigned int stall_of; /* which one it is about */

	unsigned int n_served;
};

enum vhk_backend_kind {
	VHK_BACKEND_LISTEN,
	VHK_BACKEND_CONNECT,
	VHK_BACKEND_CONNECTED, /* one session and no other */
};

struct vhk_backend {
	struct vhk_loop *ctl;
	struct vhk_device *dev;
	struct vhk_backend_opts o;
	const struct vhk_xen_calls *xen;
	enum vhk_backend_kind kind;
	char name[128]; /* for log lines: the path, or which fd */
	char *path;
	struct vhk_sock_file bound; /* @path is ours to remove as long as it is this */
	int listen_fd;
	bool listening; /* the loop watches listen_fd */
	int timer;	/* 0: none */
	bool closing;
	bool left_behind; /* closed, but the device still works with the session's memory */
	bool up;	  /* opts.on_session() knows of the session */
	bool over;	  /* handed over, or not taken over: nobody is served any more */
	struct vhk_give *give; /* NULL: it is not to be handed over */
	struct vhk_take *take; /* NULL: it is not being taken over */
	uint64_t pause_ns;
	/* What may be said of sessions, one after the other, and of those who come to the door. */
	struct vhk_ration lines, door;
	struct vhk_session s;
};

/* A handler's return value: the device was asked; finish() goes on when it has answered. */
#define VHK_SESSION_LATER 1

#define vhk_session_log(s, level, fmt, ...)                                                        \
	vhk_log_rationed(&(s)->backend->o.log, &(s)->backend->lines, level, "%s: " fmt,            \
			 (s)->backend->name, ##__VA_ARGS__)

/* backend.c: the session is over, the next may come. @served: it had sent at least one request. */
void vhk_backend_session_gone(struct vhk_backend *b, bool served);
/* Nobody is served: waits for the next front end. */
void vhk_backend_next(struct vhk_backend *b);
/* A front end is served from here on. */
void vhk_backend_session_up(struct vhk_backend *b);
int vhk_backend_new(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
		    enum vhk_backend_kind kind, const struct vhk_backend_opts *o);
/* Undoes that. */
void vhk_backend_free(struct vhk_backend *b);
int vhk_backend_set_path(struct vhk_backend *b, const char *path);
/* The next front end is taken, or waits in the socket's queue. */
void vhk_backend_watch(struct vhk_backend *b);
void vhk_backend_unwatch(struct vhk_backend *b);
/* Closes the listening socket, and removes it if it is ours. */
void vhk_backend_stop_listening(struct vhk_backend *b);

/* backend_session.c */
void vhk_session_untime(struct vhk_session *s);
void vhk_session_watch(struct vhk_session *s);
void vhk_session_unwatch(struct vhk_session *s);
/* Requests are read again. */
void vhk_session_rewatch(struct vhk_session *s);
void vhk_session_event(void *arg, uint32_t events);
/* @ret: what the request came to. */
void vhk_session_answer(struct vhk_session *s, int ret);

/* backend_life.c */
int vhk_session_begin_take_fd(struct vhk_backend *b, int fd);
/* Queues drain, then all is taken down. */
void vhk_session_stop(struct vhk_session *s);
/* @why NULL: nothing is to be said of it. */
void vhk_session_end(struct vhk_session *s, const char *why);
/* Ends it for what the front end did wrong, which is worth a warning. */
void vhk_session_fail(struct vhk_session *s, const char *why);
void vhk_session_changed(void *arg, int ret, uint32_t base);
/* @ret is what asking the device returned. @finish NULL: the request's answer is the device's. */
int vhk_session_wait(struct vhk_session *s, int ret, vhk_session_finish_fn *finish);
void vhk_session_reply(struct vhk_session *s, const void *payload, uint32_t size);
/* Refuses with @err and says why. */
int vhk_session_refuse(struct vhk_session *s, int err, const char *why);
/*
 * The request's fd, or -1. Refuses the front end's own end of this connection: held here it would
 * keep the session up when the front end is gone. (One on its way inside of another socket is not
 * seen, nor is a process that the front end left behind with it.)
 */
int vhk_session_take_fd(struct vhk_session *s, int *fd);
bool vhk_session_runs(const struct vhk_session *s, unsigned int idx);
bool vhk_session_runs_any(const struct vhk_session *s);
/* Files of the front end's stay open, since another process may need them. */
static inline bool vhk_session_keeps_fds(const struct vhk_session *s)
{
	return s->backend->o.flags & VHK_BACKEND_F_HAND_OVER;
}

static inline bool vhk_session_packed(const struct vhk_session *s)
{
	return s->st.features & VHK_F_RING_PACKED;
}

/* backend_feat.c */
/* The state of a session that has just begun. */
void vhk_backend_offer(const struct vhk_backend *b, struct vhk_proto_state *st);
int vhk_backend_get_features(struct vhk_session *s);
int vhk_backend_set_features(struct vhk_session *s);
int vhk_backend_get_protocol_features(struct vhk_session *s);
int vhk_backend_set_protocol_features(struct vhk_session *s);
int vhk_backend_set_owner(struct vhk_session *s);
int vhk_backend_reset_owner(struct vhk_session *s);
int vhk_backend_get_queue_num(struct vhk_session *s);
int vhk_backend_reset_device(struct vhk_session *s);
int vhk_backend_set_status(struct vhk_session *s);
int vhk_backend_get_status(struct vhk_session *s);

/* backend_mem.c */
/* Hands the current table to the queues that run: the request's answer waits for them. */
int vhk_session_spread_table(struct vhk_session *s, bool drain);
int vhk_backend_set_mem_table(struct vhk_session *s);
int vhk_backend_get_max_mem_slots(struct vhk_session *s);
int vhk_backend_add_mem_reg(struct vhk_session *s);
int vhk_backend_rem_mem_reg(struct vhk_session *s);

/* backend_vring.c */
void vhk_session_note_base(struct vhk_session *s, unsigned int idx, uint32_t base);
/* All that ring @idx starts with; owns @kick_fd, as does @q with success. */
int vhk_session_fill_setup(struct vhk_session *s, unsigned int idx, int kick_fd,
			   struct vhk_queue_setup *q);
/* Starts a ring that was placed. As a handler's return value. */
int vhk_session_start_placed(struct vhk_session *s, unsigned int idx, vhk_session_finish_fn *fn);
/* What a ring that did not start, with @ret, means for the request; @ret. */
int vhk_session_refuse_start(struct vhk_session *s, int ret);
/* A ring that waits to be started does so no more. */
void vhk_session_stop_waiting(struct vhk_session *s, unsigned int idx);
void vhk_session_reset_rings(struct vhk_session *s);
int vhk_backend_set_vring_num(struct vhk_session *s);
int vhk_backend_set_vring_addr(struct vhk_session *s);
int vhk_backend_set_vring_base(struct vhk_session *s);
int vhk_backend_get_vring_base(struct vhk_session *s);
int vhk_backend_get_vring_base_skip_drain(struct vhk_session *s);
int vhk_backend_set_vring_kick(struct vhk_session *s);
int vhk_backend_set_vring_call(struct vhk_session *s);
int vhk_backend_set_vring_err(struct vhk_session *s);
int vhk_backend_set_vring_enable(struct vhk_session *s);

/* Starts ring @idx with @kick_fd, which it owns, or -1: polled. */
int vhk_session_start_ring(struct vhk_session *s, unsigned int idx, int kick_fd);

/* backend_inband.c */
void vhk_session_init_inband(struct vhk_session *s);
void vhk_session_fini_inband(struct vhk_session *s);
/* The ring is started by an fd or is polled from here on. */
void vhk_session_drop_inband_kick(struct vhk_session *s, unsigned int idx);
/* What a ring that starts calls by when no fd was said: an fd of its own, or -1. */
int vhk_session_inband_call(struct vhk_session *s, unsigned int idx, int *fd);
/* A channel is there: calls that were due before are made up for. */
void vhk_session_call_again(struct vhk_session *s);
void vhk_session_tell_error(struct vhk_session *s, unsigned int idx);
int vhk_backend_vring_kick(struct vhk_session *s);

/* backend_inflight.c */
/* This queue's part, of @room entries and @size bytes, or NULL: there is no region, or it has no
 * room for the queue. */
void *vhk_session_find_inflight(const struct vhk_session *s, unsigned int idx, uint16_t *room,
				size_t *size);
/* What keeps it mapped, and tells when its file is cut short: a reference, or NULL. */
struct vhk_table *vhk_session_inflight_table(const struct vhk_session *s);
void vhk_session_reset_inflight(struct vhk_session *s);
/* The same for one ring, which does not run. */
void vhk_session_renew_inflight(struct vhk_session *s, unsigned int idx);
void vhk_session_drop_inflight(struct vhk_session *s);
int vhk_backend_get_inflight_fd(struct vhk_session *s);
int vhk_backend_set_inflight_fd(struct vhk_session *s);

/* backend_log.c */
void vhk_session_init_log(struct vhk_session *s);
void vhk_session_drop_log(struct vhk_session *s);
/* What rings log to, or NULL. */
const struct vhk_dirty *vhk_session_dirty(const struct vhk_session *s);
/* The message that sets the log that there is; 0: there is none. @m borrows its fd. */
int vhk_session_log_message(const struct vhk_session *s, struct vhk_msg *m);
/* For vhk_device_set_dirty(); @arg is the session. */
uint64_t vhk_session_used_gpa(void *arg, unsigned int idx);
/* Running queues log as features and addresses say from here on. As a handler's return value. */
int vhk_session_spread_log(struct vhk_session *s);
/* No running ring would write what the log has no bit for. */
bool vhk_session_log_covers(const struct vhk_session *s, const struct vhk_mem *m);
/* The same of memory that is to be in force: 0, or -EINVAL, which says why. */
int vhk_session_check_log(struct vhk_session *s, const struct vhk_mem *m);
int vhk_backend_set_log_base(struct vhk_session *s);
int vhk_backend_set_log_fd(struct vhk_session *s);

/* backend_state.c */
/* The transfer under way ends here. */
void vhk_session_drop_state(struct vhk_session *s);
int vhk_backend_set_device_state_fd(struct vhk_session *s);
int vhk_backend_check_device_state(struct vhk_session *s);

/* backend_iotlb.c */
/* Rings and descriptors hold IOVAs. A front end without the channel for misses cannot mean it. */
static inline bool vhk_session_has_iotlb(const struct vhk_session *s)
{
	return s->iotlb.cache && (s->st.protocol & VHK_USER_PF(BACKEND_REQ));
}
/* For the features as they are: an empty cache, or none. 0 or -ENOMEM. */
int vhk_session_reset_iotlb(struct vhk_session *s);
void vhk_session_drop_iotlb(struct vhk_session *s);
int vhk_backend_iotlb_msg(struct vhk_session *s);

/* backend_place.c */
/* Finds out where its parts lie in the front end's address space. -EAGAIN: a translation is
 * missing, and asked for; else it says why. Cannot fail without an IOTLB. */
int vhk_session_place_ring(struct vhk_session *s, unsigned int idx);
/* Where a ring that was placed lies in @t; with success a reference to its view is the caller's.
 * -EFAULT: not whole in the table; -EINVAL: unaligned; -ENOBUFS, -EOPNOTSUPP: scattered in a way
 * that cannot be served; -ENOMEM. Says why. */
int vhk_session_find_ring(struct vhk_session *s, const struct vhk_table *t, unsigned int idx,
			  struct vhk_ring_place *at);
/* The driver has some of it in [first, last]. */
bool vhk_session_ring_touches(const struct vhk_session *s, unsigned int idx, uint64_t first,
			      uint64_t last);

/* backend_miss.c */
void vhk_session_missed(struct vhk_session *s, unsigned int idx, uint64_t iova, uint8_t perm,
			bool denied);
/* There is another translation, or another channel: asks for whatever is still missing. */
void vhk_session_ask_misses(struct vhk_session *s);

/* backend_config.c */
void vhk_session_config_changed(struct vhk_session *s);
int vhk_backend_get_config(struct vhk_session *s);
int vhk_backend_set_config(struct vhk_session *s);

/* backend_postcopy.c */
void vhk_session_init_postcopy(struct vhk_session *s);
/* The session ends. Whoever waits for a page goes on, without it; true: some may be missing. */
bool vhk_session_abandon_postcopy(struct vhk_session *s);
/* Answers SET_MEM_TABLE, which is not in force before the answer is accepted; owns @m. */
int vhk_session_offer_bases(struct vhk_session *s, struct vhk_mem *m);
/* The request is that: SET_MEM_TABLE once more, with a number in place of a table. */
bool vhk_session_accepts_bases(const struct vhk_session *s);
int vhk_backend_accept_bases(struct vhk_session *s);
int vhk_backend_postcopy_advise(struct vhk_session *s);
int vhk_backend_postcopy_listen(struct vhk_session *s);
int vhk_backend_postcopy_end(struct vhk_session *s);

/* backend_type.c */
/* Protocol features that stand and fall with what the device does. */
uint64_t vhk_session_type_features(const struct vhk_device *d);
int vhk_backend_send_rarp(struct vhk_session *s);
int vhk_backend_net_set_mtu(struct vhk_session *s);
int vhk_backend_set_vring_endian(struct vhk_session *s);
int vhk_backend_create_crypto_session(struct vhk_session *s);
int vhk_backend_close_crypto_session(struct vhk_session *s);
int vhk_backend_gpu_set_socket(struct vhk_session *s);
int vhk_backend_get_shared_object(struct vhk_session *s);
int vhk_backend_get_shmem_config(struct vhk_session *s);

/* backend_ask.c */
int vhk_session_ask_for(struct vhk_session *s, const struct vhk_ask *a);

/* backend_channel.c */
void vhk_session_init_channel(struct vhk_session *s);
/* Whoever waits for an answer hears -ENOTCONN. */
void vhk_session_drop_channel(struct vhk_session *s);
/* The channel goes on in another process, or here: between two messages only. */
bool vhk_session_channel_is_calm(const struct vhk_session *s);
void vhk_session_pause_channel(struct vhk_session *s);
/* What was due meanwhile is said. */
void vhk_session_resume_channel(struct vhk_session *s);
/* What was asked and not answered, up to @max, in order: how many. */
unsigned int vhk_session_asked(const struct vhk_session *s, uint32_t *request, unsigned int max);
/* A channel on which so much was asked by another process. Owns @fd. */
int vhk_session_adopt_channel_take_fd(struct vhk_session *s, int fd, const uint32_t *request,
				      unsigned int n);
/*
 * Asks the front end. @m borrows its fds, and is judged by its row of the message table first:
 * -EOPNOTSUPP, -EINVAL. @fn is called once, perhaps from within the call: at once where nothing
 * can be answered, since REPLY_ACK was not negotiated; NULL: no answer is asked for. -ENOTCONN: no
 * channel, or a paused one; -ENOBUFS: it does not answer or read; -ENOMEM.
 */
int vhk_session_ask(struct vhk_session *s, struct vhk_msg *m, vhk_channel_fn *fn, void *arg);
int vhk_backend_set_backend_req_fd(struct vhk_session *s);

#endif
