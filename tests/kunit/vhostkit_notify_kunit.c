// SPDX-License-Identifier: GPL-2.0-only
/*
 * The multiplexer of notifications: binding, kicks, calls, quotas, and what is left of each. Its
 * eventfds are entries of a table here, with a queue, a count and references, and an fd is an index
 * of it.
 */
#include "t_kunit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/uidgid.h>

#include "../../kmod/compat_notify.h"
#include "../../kmod/notify.h"

#define N_FDS 160

static struct t_eventfd {
	wait_queue_head_t queue;
	atomic_t files, ctxs; /* references */
	atomic_t signals;
	bool pending; /* its count is not 0 */
} t_fds[N_FDS];

static struct file *t_fget(int fd)
{
	if (fd < 0 || fd >= N_FDS)
		return ERR_PTR(fd == N_FDS ? -EINVAL : -EBADF);
	atomic_inc(&t_fds[fd].files);
	return (struct file *)&t_fds[fd];
}

static void t_fput(struct file *file)
{
	atomic_dec(&((struct t_eventfd *)file)->files);
}

static struct eventfd_ctx *t_ctx_get(struct file *file)
{
	atomic_inc(&((struct t_eventfd *)file)->ctxs);
	return (struct eventfd_ctx *)file;
}

static void t_ctx_put(struct eventfd_ctx *ctx)
{
	atomic_dec(&((struct t_eventfd *)ctx)->ctxs);
}

static __poll_t t_poll(struct file *file, poll_table *table)
{
	struct t_eventfd *e = (struct t_eventfd *)file;

	poll_wait(file, &e->queue, table);
	return e->pending ? EPOLLIN : 0;
}

static void t_signal(struct eventfd_ctx *ctx)
{
	atomic_inc(&((struct t_eventfd *)ctx)->signals);
}

#define eventfd_fget t_fget
#define fput t_fput
#define eventfd_ctx_fileget t_ctx_get
#define eventfd_ctx_put t_ctx_put
#define vfs_poll t_poll
#define vhk_eventfd_signal t_signal

#include "../../kmod/notify_user.c"
#include "../../kmod/notify_ring.c"
#include "../../kmod/notify.c"

/* As eventfd_signal() does it. */
static void kick(unsigned int fd, __poll_t events)
{
	unsigned long flags;

	spin_lock_irqsave(&t_fds[fd].queue.lock, flags);
	wake_up_locked_poll(&t_fds[fd].queue, events);
	spin_unlock_irqrestore(&t_fds[fd].queue.lock, flags);
}

static int bind(struct vhk_notify *n, u32 ring, int kick_fd, int call_fd)
{
	const struct vhostkit_notify_bind arg = {
		.ring = ring,
		.flags = (kick_fd != -1 ? VHOSTKIT_NOTIFY_F_KICK : 0) |
			 (call_fd != -1 ? VHOSTKIT_NOTIFY_F_CALL : 0),
		.kick_fd = kick_fd,
		.call_fd = call_fd,
	};

	return vhk_notify_bind(n, &arg);
}

static int unbind(struct vhk_notify *n, u32 ring, u32 flags)
{
	const struct vhostkit_notify_unbind arg = { .ring = ring, .flags = flags };

	return vhk_notify_unbind(n, &arg);
}

static struct vhk_notify *begin(u32 n_rings)
{
	struct vhk_notify *n;
	unsigned int i;

	for (i = 0; i < N_FDS; i++) {
		init_waitqueue_head(&t_fds[i].queue);
		atomic_set(&t_fds[i].files, 0);
		atomic_set(&t_fds[i].ctxs, 0);
		atomic_set(&t_fds[i].signals, 0);
		t_fds[i].pending = false;
	}
	n = notify_alloc(n_rings);
	T_MUST(!IS_ERR(n));
	return n;
}

/* Nothing of any file is held, nobody waits, and no user has rings. */
static void end(struct vhk_notify *n)
{
	unsigned int i;

	notify_free(n);
	vhk_notify_exit();
	for (i = 0; i < N_FDS; i++) {
		T_EQ(atomic_read(&t_fds[i].files), 0);
		T_EQ(atomic_read(&t_fds[i].ctxs), 0);
		T_OK(!waitqueue_active(&t_fds[i].queue));
	}
	T_OK(list_empty(&users));
}

/* Who polls the file. */
static struct {
	wait_queue_entry_t wait;
	unsigned int woken;
	__poll_t events;
	bool in_eventfd;
} poller;

static int poller_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	poller.woken++;
	poller.events = key_to_poll(key);
	poller.in_eventfd = current->in_eventfd;
	return 0;
}

static void poller_add(struct vhk_notify *n)
{
	memset(&poller, 0, sizeof(poller));
	init_waitqueue_func_entry(&poller.wait, poller_wake);
	add_wait_queue(&n->wait, &poller.wait);
}

static void a_ring_is_bound_once(void)
{
	struct vhostkit_notify_bind b = { .flags = VHOSTKIT_NOTIFY_F_KICK, .call_fd = -1 };
	struct vhostkit_notify_unbind u = { .flags = VHOSTKIT_NOTIFY_F_KICK, .reserved = 1 };
	struct vhk_notify *n = begin(65);

	T_EQ(bind(n, 0, -1, -1), -EINVAL);
	T_EQ(bind(n, 65, 0, -1), -EINVAL);
	T_EQ(bind(n, U32_MAX, 0, -1), -EINVAL);
	b.reserved = 1;
	T_EQ(vhk_notify_bind(n, &b), -EINVAL);
	/* An fd that is not asked for must not be there. */
	b = (struct vhostkit_notify_bind){ .flags = VHOSTKIT_NOTIFY_F_KICK };
	T_EQ(vhk_notify_bind(n, &b), -EINVAL);
	b = (struct vhostkit_notify_bind){ .flags = VHOSTKIT_NOTIFY_F_CALL };
	T_EQ(vhk_notify_bind(n, &b), -EINVAL);
	/* Both or none: what is bad in one leaves nothing of the other. */
	T_EQ(bind(n, 64, 1, -5), -EBADF);
	T_EQ(bind(n, 64, -5, 1), -EBADF);
	T_EQ(bind(n, 64, 1, N_FDS), -EINVAL);
	T_EQ(bind(n, 64, N_FDS, -1), -EINVAL);
	T_EQ(unbind(n, 64, VHOSTKIT_NOTIFY_F_KICK), -ENOENT);
	T_EQ(unbind(n, 64, VHOSTKIT_NOTIFY_F_CALL), -ENOENT);
	T_EQ(bind(n, 64, 1, 2), 0);
	T_EQ(bind(n, 64, 3, -1), -EBUSY);
	T_EQ(bind(n, 64, -1, 3), -EBUSY);
	T_EQ(atomic_read(&t_fds[1].files), 0);
	T_EQ(atomic_read(&t_fds[1].ctxs), 1);
	T_EQ(unbind(n, 64, VHOSTKIT_NOTIFY_F_KICK), 0);
	T_EQ(atomic_read(&t_fds[1].ctxs), 0);
	T_EQ(unbind(n, 64, VHOSTKIT_NOTIFY_F_ALL), -ENOENT);
	T_EQ(bind(n, 64, 3, -1), 0);
	T_EQ(unbind(n, 64, VHOSTKIT_NOTIFY_F_ALL), 0);
	T_EQ(unbind(n, 65, VHOSTKIT_NOTIFY_F_ALL), -EINVAL);
	T_EQ(unbind(n, 64, 0), -EINVAL);
	T_EQ(vhk_notify_unbind(n, &u), -EINVAL);
	/* One eventfd may serve many rings, and both ends of one. */
	T_EQ(bind(n, 0, 7, 7), 0);
	T_EQ(bind(n, 1, 7, 7), 0);
	T_EQ(atomic_read(&t_fds[7].ctxs), 4);
	end(n);
}

static void memory_runs_out(void)
{
	struct vhk_notify *n = begin(8);
	unsigned int i;

	for (i = 1; i <= 2; i++) {
		t_allocs = 0;
		t_alloc_fails = i;
		T_EQ(bind(n, 0, 1, 2), -ENOMEM);
	}
	/* The file's own memory, and the user's entry. */
	t_allocs = 0;
	t_alloc_fails = 1;
	T_EQ(PTR_ERR(notify_alloc(8)), -ENOMEM);
	t_alloc_fails = 0;
	end(n);
	t_allocs = 0;
	t_alloc_fails = 2;
	T_EQ(PTR_ERR(notify_alloc(8)), -ENOMEM);
	t_alloc_fails = 0;
	T_OK(list_empty(&users));
}

static void a_kick_is_a_bit(void)
{
	struct vhk_notify *n = begin(130);

	poller_add(n);
	T_EQ(bind(n, 0, 0, -1), 0);
	T_EQ(bind(n, 129, 1, -1), 0);
	kick(1, EPOLLIN);
	T_EQ(n->kicks[0], 0);
	T_EQ(n->kicks[2], BIT(1));
	T_EQ(poller.woken, 1);
	T_EQ(poller.events, EPOLLIN | EPOLLRDNORM);
	T_OK(poller.in_eventfd && !current->in_eventfd);
	/* It is there already. */
	kick(1, EPOLLIN);
	T_EQ(poller.woken, 1);
	n->kicks[2] = 0;
	kick(1, EPOLLIN | EPOLL_URING_WAKE);
	T_EQ(poller.woken, 2);
	T_OK(poller.events & EPOLL_URING_WAKE);
	n->kicks[2] = 0;
	/* Room to write is no kick; the last close is one more look. */
	kick(1, EPOLLOUT);
	T_EQ(poller.woken, 2);
	kick(1, EPOLLHUP);
	T_EQ(poller.woken, 3);
	T_EQ(n->kicks[2], BIT(1));
	/* One that came before goes to the caller, not to who polls. */
	t_fds[2].pending = true;
	T_EQ(bind(n, 5, 2, -1), 1);
	T_EQ(n->kicks[0], 0);
	T_EQ(poller.woken, 3);
	/* And none comes after. */
	T_EQ(unbind(n, 129, VHOSTKIT_NOTIFY_F_KICK), 0);
	n->kicks[2] = 0;
	kick(1, EPOLLIN);
	T_EQ(n->kicks[2], 0);
	remove_wait_queue(&n->wait, &poller.wait);
	end(n);
}

static void calls_are_of_those_that_are_bound(void)
{
	struct vhk_notify *n = begin(65);
	unsigned int i;

	for (i = 0; i < 64; i++)
		T_EQ(bind(n, i, -1, i % 2 ? i : 100), 0);
	T_EQ(vhk_notify_call(n), 0);
	n->calls[0] = BIT(3) | BIT(5);
	T_EQ(vhk_notify_call(n), 2);
	T_EQ(n->calls[0], 0);
	T_EQ(atomic_read(&t_fds[3].signals), 1);
	T_EQ(atomic_read(&t_fds[5].signals), 1);
	T_EQ(atomic_read(&t_fds[7].signals), 0);
	/* The page is anybody's: rings that are not bound, that do not exist, and words behind. */
	memset(n->calls, 0xff, VHOSTKIT_NOTIFY_MAX_RINGS / 8);
	T_EQ(vhk_notify_call(n), 64);
	T_EQ(atomic_read(&t_fds[100].signals), 32);
	T_EQ(n->calls[1], 0);
	T_EQ(n->calls[2], -1);
	T_EQ(unbind(n, 3, VHOSTKIT_NOTIFY_F_CALL), 0);
	n->calls[0] = BIT(3);
	T_EQ(vhk_notify_call(n), 0);
	end(n);
}

static void a_user_has_so_many(void)
{
	const unsigned int before = max_rings_per_user;
	struct vhk_notify *n = begin(8), *m;

	max_rings_per_user = 20;
	m = notify_alloc(12);
	T_MUST(!IS_ERR(m));
	T_EQ(PTR_ERR(notify_alloc(1)), -EDQUOT);
	notify_free(m);
	T_EQ(PTR_ERR(notify_alloc(13)), -EDQUOT);
	/* Less than there is already. */
	max_rings_per_user = 4;
	T_EQ(PTR_ERR(notify_alloc(1)), -EDQUOT);
	max_rings_per_user = before;
	end(n);
	max_rings_per_user = 0;
	T_EQ(PTR_ERR(notify_alloc(1)), -EDQUOT);
	T_OK(list_empty(&users));
	max_rings_per_user = before;
}

#define ROUNDS 2000

/* Kicks and calls while rings are bound and unbound. */
static int stir(void *arg)
{
	struct vhk_notify *n = arg;
	unsigned int i = 0;

	while (!kthread_should_stop()) {
		kick(i % 4, EPOLLIN);
		set_bit(i % 4, n->calls);
		vhk_notify_call(n);
		clear_bit(i % 4, n->kicks);
		i++;
		cond_resched();
	}
	return 0;
}

static void all_at_once_leave_nothing(void)
{
	struct vhk_notify *n = begin(4);
	struct task_struct *thread;
	unsigned int i;

	thread = kthread_run(stir, n, "vhk-kunit");
	T_MUST(!IS_ERR(thread));
	for (i = 0; i < ROUNDS; i++) {
		T_EQ(bind(n, i % 4, i % 4, 4 + i % 4), 0);
		if (!(i % 64))
			usleep_range(50, 200);
		if (i % 8 < 4) {
			T_EQ(unbind(n, i % 4, VHOSTKIT_NOTIFY_F_ALL), 0);
		} else {
			T_EQ(unbind(n, i % 4, VHOSTKIT_NOTIFY_F_KICK), 0);
			T_EQ(unbind(n, i % 4, VHOSTKIT_NOTIFY_F_CALL), 0);
		}
	}
	T_EQ(bind(n, 0, 0, 0), 0);
	/* The thread may not have run for long. */
	for (i = 0; i < 10000 && !atomic_read(&t_fds[0].signals); i++)
		usleep_range(1000, 2000);
	kthread_stop(thread);
	T_OK(atomic_read(&t_fds[0].signals));
	end(n);
}

T_CASE(a_ring_is_bound_once)
T_CASE(memory_runs_out)
T_CASE(a_kick_is_a_bit)
T_CASE(calls_are_of_those_that_are_bound)
T_CASE(a_user_has_so_many)
T_CASE(all_at_once_leave_nothing)

T_SUITE("vhostkit_notify",
	T_ENTRY(a_ring_is_bound_once),
	T_ENTRY(memory_runs_out),
	T_ENTRY(a_kick_is_a_bit),
	T_ENTRY(calls_are_of_those_that_are_bound),
	T_ENTRY(a_user_has_so_many),
	T_ENTRY(all_at_once_leave_nothing));
