/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The multiplexer of notifications: a file with rings, whose kicks set bits in a page that its
 * holders map, and whose calls are made many at once. Each file is on its own; all of it ends with
 * the last reference to the file.
 */
#ifndef VHK_NOTIFY_H
#define VHK_NOTIFY_H

#include <linux/bits.h>
#include <linux/eventfd.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/vhostkit.h>
#include <linux/wait.h>

struct vhk_notify;
struct vhk_notify_user;

/* An eventfd that sets a ring's bit. It waits in the eventfd's queue from bind to unbind. */
struct vhk_notify_kick {
	wait_queue_entry_t wait;
	wait_queue_head_t *queue; /* the eventfd's */
	poll_table table;
	struct eventfd_ctx *ctx;
	struct vhk_notify *notify;
	u32 ring;
};

struct vhk_notify_call {
	struct eventfd_ctx *ctx;
	struct rcu_head rcu;
};

struct vhk_notify_ring {
	struct vhk_notify_kick *kick;
	struct vhk_notify_call __rcu *call;
};

/*
 * @kicks and @calls lie in @page, which whoever has the file may write at any time: they are set,
 * cleared and taken as wholes, and no more is believed of them than that a bit has one of 64
 * places.
 */
struct vhk_notify {
	wait_queue_head_t wait;
	unsigned long *kicks;
	unsigned long *calls;
	u32 n_rings;
	u32 n_words; /* of each; @rings has 64 places for each of them */
	struct page *page;
	struct vhk_notify_user *user;
	struct mutex lock; /* bind and unbind: @rings */
	struct vhk_notify_ring rings[];
};

/* notify.c: the file. An fd or a negative errno. */
int vhk_notify_new(const struct vhostkit_notify_new *arg);
/* Module exit, when there is no file any more. */
void vhk_notify_exit(void);

/* notify_ring.c: what the rings of a file are bound to. Arguments are copies, flags are checked. */
int vhk_notify_bind(struct vhk_notify *n, const struct vhostkit_notify_bind *arg);
int vhk_notify_unbind(struct vhk_notify *n, const struct vhostkit_notify_unbind *arg);
/* Takes what is staged and calls; how many. May sleep. */
int vhk_notify_call(struct vhk_notify *n);
/* The file is going: nobody else uses it. */
void vhk_notify_unbind_all(struct vhk_notify *n);

/* notify_user.c: how many rings a user's files have. -EDQUOT, -ENOMEM. */
int vhk_notify_charge(struct vhk_notify_user **out, u32 n_rings);
void vhk_notify_uncharge(struct vhk_notify_user *user, u32 n_rings);

#endif
