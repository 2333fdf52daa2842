/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The io_uring engine's state, shared by its files and by nobody else.
 */
#ifndef VHK_LIB_LOOP_URING_H
#define VHK_LIB_LOOP_URING_H

#include <liburing.h>

#include "loop_impl.h"

#define VHK_URING_FILES 64	 /* registered; files beyond are used by their fds */
#define VHK_URING_CALL_FILES 256 /* behind them: eventfds of calls */

/* The lower two bits of user_data. 0: a vhk_io, NULL where nobody waits; 1: a poll's tag. */
#define VHK_URING_CALL 2
#define VHK_URING_FDS 3 /* the epoll; all of it */

struct vhk_uring_call;

struct vhk_uring {
	struct io_uring ring;
	bool single;	  /* one thread only may enter */
	bool bound;	  /* there is such a thread */
	bool numbered;	  /* the ring was registered in it, or that was refused */
	bool files;	  /* the table of registered files is there */
	bool call_files;  /* with room for calls */
	pthread_t thread;
	pid_t tid; /* unlike a pthread_t not soon used again */
	/*
	 * The ring's polls hold their files until the kernel has taken it down, some time after the
	 * process is gone. A socket must not outlive it: whoever comes next would find its address
	 * in use. An epoll holds none.
	 */
	int fds;
	bool fds_armed;
	uint32_t due, last_due;	   /* kicks to arm or to remove */
	unsigned int n_in, max_in; /* I/O and calls in the ring; so few that the CQ holds it */
	struct vhk_uring_call *calls;
	uint32_t n_calls, free_call;
	unsigned int n_staged; /* calls queued, and not handed over */
};

/* Another thread's enter would fail, or go to a ring of its own with the same registered number. */
static inline bool vhk_uring_is_mine(const struct vhk_uring *u)
{
	return !u->single || (u->bound && pthread_equal(u->thread, pthread_self()));
}

/* loop_uring.c */
/* Hands over what is queued, and fetches nothing; what the kernel does not take stays queued. */
void vhk_uring_hand_over(struct vhk_loop *l);
/* NULL: no room, not even after handing over what is queued. */
struct io_uring_sqe *vhk_uring_get_sqe(struct vhk_loop *l);

/* loop_uring_call.c */
void vhk_uring_call_add(struct vhk_loop *l, struct vhk_source *s);
void vhk_uring_call_del(struct vhk_loop *l, struct vhk_source *s);
bool vhk_uring_call(struct vhk_loop *l, struct vhk_source *s);
void vhk_uring_call_send(struct vhk_loop *l);
void vhk_uring_call_done(struct vhk_loop *l, uint64_t data, int res);

/* loop_uring_setup.c */
int vhk_uring_open(struct vhk_loop *l, const struct vhk_loop_opts *o);
void vhk_uring_close(struct vhk_loop *l);
int vhk_uring_bind(struct vhk_loop *l);
void vhk_uring_unbind(struct vhk_loop *l);

#endif
