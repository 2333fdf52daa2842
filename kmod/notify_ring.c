// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the rings of a multiplexer are bound to, and what a kick and a call do.
 *
 * Only eventfds are bound, by their contexts and not by their files: a context outlives its file,
 * so a waiter never stands in a queue that is gone. Locks: the eventfd's queue, then ours, never
 * the other way. Whoever is woken by us, an io_uring with an eventfd of its own for instance, must
 * signal none from there, and knows so by current->in_eventfd.
 */
#include <linux/file.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat_notify.h"
#include "notify.h"

/*
 * Interrupts off, the eventfd's queue locked. The bit comes before the look at who waits; whoever
 * waits looks for bits when it is in the queue (notify_poll()). A bit that was there already has
 * woken whoever waits, or will be found by whoever comes.
 *
 * EPOLL_URING_WAKE tells that the kick comes from an io_uring that signals its eventfd: one that
 * polls us must hear of it, or it would signal that eventfd again, for ever.
 *
 * At EPOLLHUP the last fd is closed: one more look at the ring, and the wait goes on, as others
 * than files can signal an eventfd. Unlike a signal it comes without current->in_eventfd.
 */
static int kick_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vhk_notify_kick *kick = container_of(wait, struct vhk_notify_kick, wait);
	struct vhk_notify *n = kick->notify;
	const __poll_t events = key_to_poll(key);
	const bool nested = current->in_eventfd;

	if (!(events & (EPOLLIN | EPOLLHUP)) || test_and_set_bit(kick->ring, n->kicks))
		return 0;
	current->in_eventfd = 1;
	wake_up_poll(&n->wait, EPOLLIN | EPOLLRDNORM | (events & EPOLL_URING_WAKE));
	current->in_eventfd = nested;
	return 0;
}

static void kick_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct vhk_notify_kick *kick = container_of(table, struct vhk_notify_kick, table);

	kick->queue = queue;
	add_wait_queue(queue, &kick->wait);
}

static struct eventfd_ctx *ctx_of(int fd, struct file **out)
{
	struct file *file = eventfd_fget(fd);
	struct eventfd_ctx *ctx;

	if (IS_ERR(file))
		return ERR_CAST(file);
	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx) || !out)
		fput(file);
	else
		*out = file;
	return ctx;
}

static struct vhk_notify_kick *kick_new(struct vhk_notify *n, u32 ring, int fd, struct file **file)
{
	struct vhk_notify_kick *kick = kzalloc(sizeof(*kick), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!kick)
		return ERR_PTR(-ENOMEM);
	kick->notify = n;
	kick->ring = ring;
	kick->ctx = ctx_of(fd, file);
	if (IS_ERR(kick->ctx)) {
		ret = PTR_ERR(kick->ctx);
		kfree(kick);
		return ERR_PTR(ret);
	}
	init_waitqueue_func_entry(&kick->wait, kick_wake);
	init_poll_funcptr(&kick->table, kick_queue);
	return kick;
}

static void kick_free(struct vhk_notify_kick *kick)
{
	if (!kick)
		return;
	eventfd_ctx_put(kick->ctx);
	kfree(kick);
}

/*
 * True: it was kicked before. That goes to the caller, and not into the bitmap: a bit that wakes
 * nobody would keep the next kick from doing it. And waking has to be left to eventfds, as no other
 * lock of theirs may stand below our queue's.
 */
static bool kick_start(struct vhk_notify_kick *kick, struct file *file)
{
	return vfs_poll(file, &kick->table) & EPOLLIN;
}

/* The count stays: a poll of the eventfd that follows sees what came. */
static void kick_stop(struct vhk_notify_kick *kick)
{
	if (!kick)
		return;
	remove_wait_queue(kick->queue, &kick->wait);
	kick_free(kick);
}

static struct vhk_notify_call *call_new(int fd)
{
	struct vhk_notify_call *call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!call)
		return ERR_PTR(-ENOMEM);
	call->ctx = ctx_of(fd, NULL);
	if (IS_ERR(call->ctx)) {
		ret = PTR_ERR(call->ctx);
		kfree(call);
		return ERR_PTR(ret);
	}
	return call;
}

static void call_free(struct rcu_head *rcu)
{
	struct vhk_notify_call *call = container_of(rcu, struct vhk_notify_call, rcu);

	eventfd_ctx_put(call->ctx);
	kfree(call);
}

static struct vhk_notify_call *call_locked(struct vhk_notify *n, struct vhk_notify_ring *r)
{
	return rcu_dereference_protected(r->call, lockdep_is_held(&n->lock));
}

/* Both or none. */
static int ring_bind(struct vhk_notify *n, u32 ring, const struct vhostkit_notify_bind *arg)
{
	struct vhk_notify_ring *r = &n->rings[ring];
	struct vhk_notify_kick *kick = NULL;
	struct vhk_notify_call *call = NULL;
	struct file *file = NULL;
	bool pending = false;

	lockdep_assert_held(&n->lock);
	if (((arg->flags & VHOSTKIT_NOTIFY_F_KICK) && r->kick) ||
	    ((arg->flags & VHOSTKIT_NOTIFY_F_CALL) && call_locked(n, r)))
		return -EBUSY;
	if (arg->flags & VHOSTKIT_NOTIFY_F_KICK) {
		kick = kick_new(n, ring, arg->kick_fd, &file);
		if (IS_ERR(kick))
			return PTR_ERR(kick);
	}
	if (arg->flags & VHOSTKIT_NOTIFY_F_CALL) {
		call = call_new(arg->call_fd);
		if (IS_ERR(call)) {
			kick_free(kick);
			if (file)
				fput(file);
			return PTR_ERR(call);
		}
		rcu_assign_pointer(r->call, call);
	}
	if (kick) {
		pending = kick_start(kick, file);
		r->kick = kick;
		fput(file);
	}
	return pending;
}

int vhk_notify_bind(struct vhk_notify *n, const struct vhostkit_notify_bind *arg)
{
	int ret;

	if (!arg->flags || arg->ring >= n->n_rings || arg->reserved)
		return -EINVAL;
	if ((!(arg->flags & VHOSTKIT_NOTIFY_F_KICK) && arg->kick_fd != -1) ||
	    (!(arg->flags & VHOSTKIT_NOTIFY_F_CALL) && arg->call_fd != -1))
		return -EINVAL;
	mutex_lock(&n->lock);
	ret = ring_bind(n, array_index_nospec(arg->ring, n->n_rings), arg);
	mutex_unlock(&n->lock);
	return ret;
}

static void ring_unbind(struct vhk_notify *n, struct vhk_notify_ring *r, u32 flags)
{
	struct vhk_notify_call *call = call_locked(n, r);

	if (flags & VHOSTKIT_NOTIFY_F_KICK) {
		kick_stop(r->kick);
		r->kick = NULL;
	}
	if ((flags & VHOSTKIT_NOTIFY_F_CALL) && call) {
		RCU_INIT_POINTER(r->call, NULL);
		call_rcu(&call->rcu, call_free);
	}
}

int vhk_notify_unbind(struct vhk_notify *n, const struct vhostkit_notify_unbind *arg)
{
	struct vhk_notify_ring *r;
	int ret = 0;

	if (!arg->flags || arg->ring >= n->n_rings || arg->reserved)
		return -EINVAL;
	r = &n->rings[array_index_nospec(arg->ring, n->n_rings)];
	mutex_lock(&n->lock);
	if (((arg->flags & VHOSTKIT_NOTIFY_F_KICK) && !r->kick) ||
	    ((arg->flags & VHOSTKIT_NOTIFY_F_CALL) && !call_locked(n, r)))
		ret = -ENOENT;
	else
		ring_unbind(n, r, arg->flags);
	mutex_unlock(&n->lock);
	return ret;
}

void vhk_notify_unbind_all(struct vhk_notify *n)
{
	u32 i;

	mutex_lock(&n->lock);
	for (i = 0; i < n->n_rings; i++)
		ring_unbind(n, &n->rings[i], VHOSTKIT_NOTIFY_F_ALL);
	mutex_unlock(&n->lock);
}

/* The ring is one of the word's, whatever the bits are: no index to be checked. */
static int call_word(struct vhk_notify *n, u32 word)
{
	struct vhk_notify_ring *rings = &n->rings[word * BITS_PER_LONG];
	unsigned long bits = xchg(&n->calls[word], 0);
	struct vhk_notify_call *call;
	int sum = 0;

	rcu_read_lock();
	for (; bits; bits &= bits - 1) {
		call = rcu_dereference(rings[__ffs(bits)].call);
		if (!call)
			continue;
		vhk_eventfd_signal(call->ctx);
		sum++;
	}
	rcu_read_unlock();
	return sum;
}

int vhk_notify_call(struct vhk_notify *n)
{
	int sum = 0;
	u32 i;

	for (i = 0; i < n->n_words; i++) {
		if (!READ_ONCE(n->calls[i]))
			continue;
		sum += call_word(n, i);
		if (i + 1 < n->n_words)
			cond_resched();
	}
	return sum;
}
