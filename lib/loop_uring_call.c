// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Calls by io_uring: writes to eventfds, handed over with whatever else the loop has for the
 * kernel. None ever waits for a peer, which may have filled the counter or taken O_NONBLOCK away:
 * such a write is refused at once, and made up for by one that looks first. None may be left under
 * way, since each has a place that I/O needs, and keeps it longer than the peer is there.
 */
#include "loop_uring.h"
#include "notify.h"

#define WRITES 8     /* under way, of a source */
#define TOGETHER 32  /* sent at the latest then: a pass over many rings is long */
#define CALLS_MAX (1u << 20)

/* Freed when it has no source and nothing is under way. */
struct vhk_uring_call {
	struct vhk_source *source;
	int fd;
	bool fixed; /* registered, behind the files */
	bool owed;  /* once more when one ends */
	unsigned int n; /* writes under way */
	uint32_t next; /* free list */
};

static uint64_t data_of(uint32_t i)
{
	return (uint64_t)i << 2 | VHK_URING_CALL;
}

static int grow(struct vhk_uring *u)
{
	uint32_t i, n = u->n_calls ? u->n_calls * 2 : 32;
	struct vhk_uring_call *c;

	if (n > CALLS_MAX)
		return -ENOMEM;
	c = realloc(u->calls, n * sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (i = u->n_calls; i < n; i++)
		c[i] = (struct vhk_uring_call){ .next = i + 1 < n ? i + 1 : VHK_NO_SLOT };
	u->calls = c;
	u->free_call = u->n_calls;
	u->n_calls = n;
	return 0;
}

static void put(struct vhk_uring *u, uint32_t i)
{
	u->calls[i].next = u->free_call;
	u->free_call = i;
}

static bool set_fixed(struct vhk_uring *u, uint32_t i, int fd)
{
	if (!u->call_files || i >= VHK_URING_CALL_FILES)
		return false;
	return io_uring_register_files_update(&u->ring, VHK_URING_FILES + i, &fd, 1) == 1;
}

/* Where it finds no place the calls go another way. */
void vhk_uring_call_add(struct vhk_loop *l, struct vhk_source *s)
{
	struct vhk_uring *u = l->uring;
	uint32_t i;

	if (u->free_call == VHK_NO_SLOT && grow(u))
		return;
	i = u->free_call;
	u->free_call = u->calls[i].next;
	u->calls[i] = (struct vhk_uring_call){ .source = s, .fd = s->call_fd };
	u->calls[i].fixed = set_fixed(u, i, s->call_fd);
	s->call_slot = i;
}

/* What the kernel would not take yet must not find another file under its number. */
static bool withdraw(struct vhk_uring *u, uint32_t i)
{
	struct io_uring_sq *sq = &u->ring.sq;
	struct io_uring_sqe *sqe;
	bool found = false;
	unsigned int at;

	for (at = *sq->khead; at != sq->sqe_tail; at++) {
		sqe = &sq->sqes[at & *sq->kring_mask];
		if (sqe->user_data != data_of(i))
			continue;
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, data_of(i));
		found = true;
	}
	return found;
}

static void call_now(struct vhk_loop *l, const struct vhk_source *s)
{
	const struct vhk_notify n = { .fd = s->call_fd, .kind = VHK_NOTIFY_EVENTFD };

	vhk_loop_note_syscalls(l, vhk_notify_send(&n));
}

void vhk_uring_call_del(struct vhk_loop *l, struct vhk_source *s)
{
	struct vhk_uring *u = l->uring;
	struct vhk_uring_call *c = &u->calls[s->call_slot];

	vhk_uring_call_send(l);
	if (withdraw(u, s->call_slot) || c->owed)
		call_now(l, s);
	if (c->fixed)
		set_fixed(u, s->call_slot, -1);
	c->source = NULL;
	c->owed = false;
	if (!c->n)
		put(u, s->call_slot);
	s->call_slot = VHK_NO_SLOT;
}

/* The driver of a few works on the first while the others are served. */
static unsigned int together(const struct vhk_loop *l)
{
	return vhk_min(vhk_max(l->n_active / 2, 1u), (unsigned int)TOGETHER);
}

bool vhk_uring_call(struct vhk_loop *l, struct vhk_source *s)
{
	static const uint64_t one = 1;
	struct vhk_uring *u = l->uring;
	struct vhk_uring_call *c = &u->calls[s->call_slot];
	struct io_uring_sqe *sqe;

	if (c->n >= WRITES) {
		c->owed = true;
		return true;
	}
	if (u->n_in >= u->max_in || !vhk_uring_is_mine(u))
		return false;
	sqe = vhk_uring_get_sqe(l);
	if (!sqe)
		return false;
	io_uring_prep_write(sqe, c->fixed ? (int)(VHK_URING_FILES + s->call_slot) : c->fd, &one,
			    sizeof(one), 0);
	sqe->rw_flags = RWF_NOWAIT;
	if (c->fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, data_of(s->call_slot));
	c->n++;
	u->n_in++;
	if (++u->n_staged >= together(l))
		vhk_uring_call_send(l);
	return true;
}

void vhk_uring_call_send(struct vhk_loop *l)
{
	const struct vhk_uring *u = l->uring;

	if (u->n_staged && vhk_uring_is_mine(u))
		vhk_uring_hand_over(l);
}

void vhk_uring_call_done(struct vhk_loop *l, uint64_t data, int res)
{
	struct vhk_uring *u = l->uring;
	const uint32_t i = (uint32_t)(data >> 2);
	struct vhk_uring_call *c = &u->calls[i];
	struct vhk_source *s = c->source;

	u->n_in--;
	c->n--;
	if (!s && !c->n)
		put(u, i);
	if (!s || l->closing)
		return;
	if (res < 0)
		call_now(l, s);
	if (!c->owed)
		return;
	c->owed = false;
	if (!vhk_uring_call(l, s))
		call_now(l, s);
}
