/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Inside the loop: its state, the table of polls, and what an engine (io_uring; epoll with Linux
 * AIO) has to do. Only lib/loop*.c include it.
 */
#ifndef VHK_LIB_LOOP_IMPL_H
#define VHK_LIB_LOOP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base.h"
#include "clock.h"
#include "learn.h"
#include "loop.h"

#define VHK_NEVER UINT64_MAX
#define VHK_NO_POLL UINT32_MAX
#define VHK_NO_RING UINT32_MAX
#define VHK_NO_SLOT UINT32_MAX
/*
 * What the loop's own thread moves, zeroes or gives back in one round, bytes: kicks, timers and
 * signals wait for no more than that, and for the operation or piece of one that went over it.
 */
#define VHK_OWN_ROUND (8ull << 20)

enum vhk_poll_kind {
	VHK_POLL_FREE,
	VHK_POLL_FD,	/* level-triggered, fn is called */
	VHK_POLL_TIMER, /* level-triggered, the timerfd of an embedded loop */
	VHK_POLL_WAKE,	/* edge-triggered, nothing is called */
	VHK_POLL_KICK,	/* edge-triggered, a source's */
};

/* One watched fd. The table moves when it grows: no pointer into it is kept over a callback. */
struct vhk_poll {
	int fd;
	uint32_t events;
	uint32_t gen; /* counts uses of this place: late news of a former use is told apart */
	enum vhk_poll_kind kind;
	bool gone;     /* given up, the kernel may not know it yet */
	bool armed;    /* io_uring: the kernel watches it */
	bool due;      /* io_uring: on the list of things to tell the kernel */
	uint32_t next; /* free list, or that list */
	vhk_fd_fn *fn;
	void *arg;
	struct vhk_source *source;
};

struct vhk_file {
	int fd; /* -1: unused */
	uint32_t flags;
	unsigned int refs;
	bool fixed; /* registered with io_uring under the same number */
};

struct vhk_timer {
	uint64_t at;
	int handle;
	vhk_timer_fn *fn;
	void *arg;
};

struct vhk_signal {
	struct vhk_signal *next;
	struct vhk_loop *loop;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

#define VHK_PINS_MAX 1024

struct vhk_engine {
	const char *name;
	int (*open)(struct vhk_loop *l, const struct vhk_loop_opts *o);
	void (*close)(struct vhk_loop *l);
	/* From here on the calling thread runs the loop. -EBUSY: another one did. */
	int (*bind)(struct vhk_loop *l);
	void (*unbind)(struct vhk_loop *l);
	/* Watches polls[i]. -EINVAL: the file cannot be polled. */
	int (*watch)(struct vhk_loop *l, uint32_t i);
	/* The events of polls[i], of kind VHK_POLL_FD, are others. On an error nothing changed. */
	int (*rewatch)(struct vhk_loop *l, uint32_t i);
	/* Frees polls[i], perhaps later. */
	void (*unwatch)(struct vhk_loop *l, uint32_t i);
	void (*add_file)(struct vhk_loop *l, int file);
	void (*del_file)(struct vhk_loop *l, int file);
	/* False: no room at the moment. */
	bool (*begin)(struct vhk_loop *l, struct vhk_io *io);
	/* Hands over what is queued and fetches what is there. Never waits. */
	int (*submit)(struct vhk_loop *l);
	/* Seldom a system call: may there be something to reap? */
	bool (*peek)(struct vhk_loop *l);
	/* Calls back for what came; how many. @idle: nothing else was done in this round. */
	unsigned int (*reap)(struct vhk_loop *l, bool idle);
	/* After reap set fds_due: calls back for fds that are no kicks. NULL: reap does. */
	unsigned int (*tell_fds)(struct vhk_loop *l);
	/* As submit, then waits for something to reap. @ns: -1 for ever. */
	int (*wait)(struct vhk_loop *l, int64_t ns);
	/* Asks for an early end of all I/O. */
	void (*cancel)(struct vhk_loop *l);
	int (*fd)(const struct vhk_loop *l);
	/*
	 * Calls: a source's eventfd, which @s names, is made known, or forgotten with what was
	 * staged sent. NULL, as are the next three: this engine sends none.
	 */
	void (*call_add)(struct vhk_loop *l, struct vhk_source *s);
	void (*call_del)(struct vhk_loop *l, struct vhk_source *s);
	/* To go with the next submit(), or with many. False: no room at the moment. */
	bool (*call)(struct vhk_loop *l, struct vhk_source *s);
	/* What is staged goes at once. */
	void (*call_send)(struct vhk_loop *l);
	/* Room for VHK_PINS_MAX buffers. NULL, as are the next two: this engine registers none. */
	int (*pins)(struct vhk_loop *l);
	int (*pin)(struct vhk_loop *l, uint16_t slot, void *va, size_t len);
	/* What is under way in it goes on. */
	void (*unpin)(struct vhk_loop *l, uint16_t slot);
};

extern const struct vhk_engine vhk_engine_uring, vhk_engine_epoll;

struct vhk_loop {
	const struct vhk_engine *engine;
	struct vhk_uring *uring;
	struct vhk_epoll *epoll;
	struct vhk_log log;
	uint32_t flags;
	bool inside;  /* run or step is on the stack */
	bool closing; /* I/O is refused */
	int err;      /* why the loop cannot go on */
	struct vhk_work *letters; /* taken out of the mail and not called yet, in order */

	/* Shared with other threads. */
	_Atomic(struct vhk_work *) mail; /* last posted first */
	atomic_bool sleeping;		 /* a poster must write to wake_fd */
	atomic_bool stop;
	atomic_ulong owner; /* pthread_t of the thread that runs it, 0: none */
	int wake_fd;

	struct vhk_poll *polls;
	uint32_t n_polls, free_poll;
	struct vhk_loop_mux *mux; /* or NULL */
	enum vhk_loop_notify notify;
	int notify_fd;	       /* the caller's multiplexer, or -1 */
	unsigned int n_polled; /* sources whose kicks are polled one by one */
	bool fds_due;	       /* some of the caller's fds are ready */
	bool put_off;	       /* they, or messages, waited for requests in the last round */
	struct vhk_signal *signals;

	struct vhk_source active;   /* head of a ring of those looked at every round */
	struct vhk_source *current; /* a function of it is on the stack; NULL once it is deleted */
	unsigned int n_active;
	unsigned int n_blind; /* active sources without kicks */
	unsigned int n_staged;
	unsigned int depth;  /* requests found in a round, lately */
	bool blind_worked;   /* a blind source had work since the loop was last idle */
	uint64_t blind_busy; /* when it had, ns */
	uint64_t nap;	     /* next sleep between two looks at blind sources, ns */

	struct vhk_file *files;
	int n_files;
	unsigned int n_io; /* submitted and not done */
	bool prompt;	   /* what was handed over last was done when the kernel returned */
	struct vhk_pins *pins; /* memory registered with the engine; NULL: nobody asked for it */
	struct vhk_io *backlog, **backlog_tail;
	struct vhk_writer *writer; /* or NULL */
	struct vhk_io *to_write, **to_write_tail; /* for it, not handed over yet */
	_Atomic(struct vhk_io *) made;		  /* by it, newest first */
	struct vhk_io *own, **own_tail; /* for this thread to do, when it has served the others */
	uint64_t own_left;		/* bytes that it may still move for files in this round */

	struct vhk_timer *timers; /* heap by at */
	unsigned int n_timers, room_timers;
	int last_timer;
	int timer_fd; /* embedded only, else -1 */
	uint64_t timer_fd_at;
	unsigned int n_rounds;

	struct vhk_learn learn;
	struct vhk_yields yields;
	unsigned int n_learn; /* kicks, requests and completions of this round */
	uint64_t idle_since;  /* 0: busy */
	bool idle_io;	      /* there was I/O under way since then */
	bool slept;	      /* the last wait was a sleep, not a spin */

	struct vhk_loop_stats stats; /* one writer, read by anybody */
};

static inline void vhk_loop_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Gives the kernel what is queued and takes what is done; how much. */
unsigned int vhk_loop_hand_over(struct vhk_loop *l, bool idle);
/* What came for the caller's fds, if anything did. */
unsigned int vhk_loop_tell_fds(struct vhk_loop *l);
/*
 * Makes a sleeping loop, or one in a foreign loop's hands, go round once more. Any thread, signal
 * handlers.
 */
void vhk_loop_wake(struct vhk_loop *l);
/* Something was added: an embedded loop outside of its step asks to be stepped. */
void vhk_loop_touch(struct vhk_loop *l);

/* loop_fd.c */
static inline bool vhk_poll_is_edge(const struct vhk_poll *p)
{
	return p->kind == VHK_POLL_WAKE || p->kind == VHK_POLL_KICK;
}

static inline uint64_t vhk_poll_tag(const struct vhk_loop *l, uint32_t i)
{
	return (uint64_t)l->polls[i].gen << 32 | (uint64_t)i << 2 | 1;
}

/* VHK_NO_POLL where the tag is of a former use. */
uint32_t vhk_poll_find(const struct vhk_loop *l, uint64_t tag);
int vhk_poll_add(struct vhk_loop *l, const struct vhk_poll *p, uint32_t *out);
void vhk_poll_del(struct vhk_loop *l, uint32_t i);
void vhk_poll_put(struct vhk_loop *l, uint32_t i); /* the engine is through with it */
/* How many things were done. */
unsigned int vhk_poll_fire(struct vhk_loop *l, uint32_t i, uint32_t events);
void vhk_signals_fini(struct vhk_loop *l);

/* loop_source.c */
void vhk_sources_init(struct vhk_loop *l);
unsigned int vhk_sources_work(struct vhk_loop *l);
bool vhk_sources_ready(const struct vhk_loop *l);
bool vhk_sources_arm(struct vhk_loop *l); /* false: work came meanwhile */
void vhk_sources_flush(struct vhk_loop *l);
void vhk_source_kick(struct vhk_loop *l, struct vhk_source *s, uint32_t events);
void vhk_source_lose_kick(struct vhk_loop *l, struct vhk_source *s);

/* loop_io.c */
void vhk_io_end(struct vhk_loop *l, struct vhk_io *io, int res);
int vhk_io_now(int fd, const struct vhk_io *io); /* by a system call that may wait */
/* Does it by system calls that may wait, as soon as this round, or a later one, has time for it. */
void vhk_io_own(struct vhk_loop *l, struct vhk_io *io);
/* Begins a round: goes on with what former ones had no time for; how many of them. */
unsigned int vhk_io_go_on(struct vhk_loop *l);
int vhk_io_falloc_mode(const struct vhk_io *io);
void vhk_io_flush(struct vhk_loop *l);
void vhk_io_drop(struct vhk_loop *l); /* ends what waits for room */
void vhk_io_drain(struct vhk_loop *l, uint64_t ns);

/* loop_writer.c */
void vhk_io_write_later(struct vhk_loop *l, struct vhk_io *io);
void vhk_io_send_writes(struct vhk_loop *l); /* hands over all that came since the last time */
unsigned int vhk_io_take_made(struct vhk_loop *l);
void vhk_io_leave_writer(struct vhk_loop *l); /* it has nothing of the loop's, and forgets it */
static inline bool vhk_io_made(const struct vhk_loop *l)
{
	return atomic_load(&l->made);
}

/* loop_mux.c */
int vhk_loop_mux_init(struct vhk_loop *l, const struct vhk_loop_opts *o);
void vhk_loop_mux_free(struct vhk_loop *l);
/* -ENOENT: to be polled. */
int vhk_loop_mux_watch(struct vhk_loop *l, struct vhk_source *s, int fd, uint32_t *out);
void vhk_loop_mux_unwatch(struct vhk_loop *l, struct vhk_source *s, uint32_t ring);
bool vhk_loop_mux_peek(const struct vhk_loop *l);
unsigned int vhk_loop_mux_reap(struct vhk_loop *l);
void vhk_loop_mux_set_call(struct vhk_loop *l, struct vhk_source *s);
void vhk_loop_mux_forget_call(struct vhk_loop *l, struct vhk_source *s);
void vhk_loop_mux_stage_call(struct vhk_loop *l, struct vhk_source *s);
void vhk_loop_mux_send(struct vhk_loop *l);

/* loop_call.c */
void vhk_loop_forget_call(struct vhk_loop *l, struct vhk_source *s);
void vhk_loop_send_calls(struct vhk_loop *l);

/* loop_timer.c */
uint64_t vhk_timers_next(const struct vhk_loop *l);
unsigned int vhk_timers_fire(struct vhk_loop *l);
int vhk_timers_init_fd(struct vhk_loop *l);
unsigned int vhk_timers_fd_fired(struct vhk_loop *l);
void vhk_timers_set_fd(struct vhk_loop *l, uint64_t at);

/* loop_mail.c */
unsigned int vhk_mail_read(struct vhk_loop *l);
static inline bool vhk_mail_waits(const struct vhk_loop *l)
{
	return atomic_load(&l->mail) || l->letters;
}

#endif
