/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Sources: how a loop sees a ring. The device implements the functions; the loop decides when to
 * call which. All calls come from the loop's thread.
 */
#ifndef VHK_LIB_LOOP_H
#define VHK_LIB_LOOP_H

#include <vhostkit/loop.h>

struct vhk_source;

struct vhk_source_ops {
	/*
	 * Pop and begin up to @quantum requests; how many. A source that says it has work (ready,
	 * arm) and takes none of it, several times over, holds back (disabled, no room): it is left
	 * alone until a kick comes or vhk_loop_staged() is called.
	 */
	unsigned int (*work)(struct vhk_source *s, unsigned int quantum);
	/* One load: may there be work? */
	bool (*ready)(const struct vhk_source *s);
	/* Ask for kicks. True: work came meanwhile. */
	bool (*arm)(struct vhk_source *s);
	void (*disarm)(struct vhk_source *s);
	/* Publish what is staged and call the driver if it asked for it; end of a round. */
	void (*flush)(struct vhk_source *s);
	/* A kick arrived (for counters). */
	void (*kicked)(struct vhk_source *s);
	/*
	 * The source is out of the loop: no function of it is called any more. From
	 * vhk_loop_del_source().
	 */
	void (*gone)(struct vhk_source *s);
};

struct vhk_source {
	const struct vhk_source_ops *ops;
	int kick_fd; /* -1: the driver sends no kicks, so the loop looks by itself */
	/* The loop's own. */
	struct vhk_source *next, *prev;
	uint32_t slot;	/* in the loop's table of polls */
	uint32_t ring;	/* of the loop's multiplexer, for kicks */
	uint32_t calls_ring; /* and for calls */
	uint32_t call_slot;  /* of the engine, for calls */
	int call_fd;
	uint16_t empty; /* rounds without work */
	uint16_t vain;	/* times it had work and did not take it */
	uint8_t state;
	uint8_t drain; /* how kicks are taken out of the fd */
	bool blind;    /* looked at by timer */
	bool hung_up;  /* the other end of kick_fd is closed */
	bool staged;   /* set by vhk_loop_staged(): flush is due at the end of the round */
};

/*
 * Loop's thread. The source joins the active list at once, and is looked at without waiting for a
 * kick. A kick fd is an eventfd, never read; a pipe or a socket is emptied. -EINVAL: one that
 * cannot be polled; -EBADF; -EBUSY: another source has the same one; -ENOMEM, -EMFILE.
 */
int vhk_loop_add_source(struct vhk_loop *l, struct vhk_source *s);
/* Loop's thread, also from a function of the source itself. ->gone() is called from within. */
void vhk_loop_del_source(struct vhk_loop *l, struct vhk_source *s);
/*
 * Another kick fd (-1: none). When it returns the loop no longer looks at the old one, which may be
 * closed. On an error, as above, the old one stays.
 */
int vhk_loop_set_kick(struct vhk_loop *l, struct vhk_source *s, int kick_fd);
/*
 * Loop's thread. The eventfd (-1: none) that vhk_loop_stage_call() means for @s, borrowed until
 * there is another or the source is out. A source that is added has none.
 */
void vhk_loop_set_call(struct vhk_loop *l, struct vhk_source *s, int call_fd);
/*
 * Loop's thread. True: the call is made in this round, with those of other sources. False: there
 * is no better way than to signal the eventfd.
 */
bool vhk_loop_stage_call(struct vhk_loop *l, struct vhk_source *s);
/* Loop's thread. There may be work in @s of which no kick tells: look at it in the next round. */
void vhk_loop_activate(struct vhk_loop *l, struct vhk_source *s);
/* Something was staged in @s: flush it at the end of this round. No news of a deleted source. */
void vhk_loop_staged(struct vhk_loop *l, struct vhk_source *s);

/*
 * How many chains may be staged before they are published: half of what is in flight in this
 * loop, or was found in a round lately; at least 4, at most 32.
 */
unsigned int vhk_loop_quantum(const struct vhk_loop *l);

/* Its thread. @n system calls were made for it (struct vhk_loop_stats). */
void vhk_loop_note_syscalls(struct vhk_loop *l, unsigned int n);

/*
 * Takes a message back that was posted and not called yet, whose memory is to go. In the loop's
 * thread, or while the loop does not run. False: it is not on its way.
 */
bool vhk_loop_recall(struct vhk_loop *l, struct vhk_work *w);

/* True in the loop's own thread, or where the loop is not running. */
bool vhk_loop_is_mine(const struct vhk_loop *l);

#endif
