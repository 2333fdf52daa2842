// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The io_uring engine at work: kicks are multishot polls, other fds are in an epoll that the ring
 * watches, operations on files go straight in.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "loop_pin.h"
#include "loop_uring.h"

#define REAP_MAX 256
#define EVENTS_MAX 32

/* What the next call may mend is no error. */
static int mild(int ret)
{
	switch (ret) {
	case -EINTR:
	case -EAGAIN:
	case -EBUSY:
	case -ETIME:
	case -ENOMEM:
		return 0;
	}
	return vhk_min(ret, 0);
}

static bool has_work(const struct vhk_uring *u)
{
	return __atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* All that is queued is about to go. */
static void handed_over(struct vhk_uring *u)
{
	u->n_staged = 0;
}

void vhk_uring_hand_over(struct vhk_loop *l)
{
	vhk_loop_note_syscalls(l, 1);
	handed_over(l->uring);
	io_uring_submit(&l->uring->ring);
}

struct io_uring_sqe *vhk_uring_get_sqe(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (sqe || !vhk_uring_is_mine(u))
		return sqe;
	vhk_uring_hand_over(l);
	return io_uring_get_sqe(&u->ring);
}

static void add_due(struct vhk_loop *l, uint32_t i)
{
	struct vhk_uring *u = l->uring;

	l->polls[i].due = true;
	l->polls[i].next = VHK_NO_POLL;
	if (u->due == VHK_NO_POLL)
		u->due = i;
	else
		l->polls[u->last_due].next = i;
	u->last_due = i;
}

static bool tell_kernel(struct vhk_loop *l, uint32_t i)
{
	struct vhk_poll *p = &l->polls[i];
	struct io_uring_sqe *sqe;

	if (p->gone && !p->armed)
		return true;
	sqe = vhk_uring_get_sqe(l);
	if (!sqe)
		return false;
	if (p->gone) {
		io_uring_prep_poll_remove(sqe, vhk_poll_tag(l, i));
		io_uring_sqe_set_data64(sqe, 0);
		return true;
	}
	io_uring_prep_poll_multishot(sqe, p->fd, p->events);
	io_uring_sqe_set_data64(sqe, vhk_poll_tag(l, i));
	p->armed = true;
	return true;
}

/*
 * How many completions fit. A multishot poll whose completion does not fit ends, and an eventfd
 * that is never read completes as it is armed: arming more than fit would go on for ever.
 */
static unsigned int cq_room(const struct vhk_uring *u)
{
	if (__atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW)
		return 0;
	return *u->ring.cq.kring_entries - io_uring_cq_ready(&u->ring);
}

/* Once: armed again when those that are ready were told, so that what stays ready is seen again. */
static void arm_fds(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;
	struct io_uring_sqe *sqe = u->fds_armed ? NULL : vhk_uring_get_sqe(l);

	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, u->fds, EPOLLIN);
	io_uring_sqe_set_data64(sqe, VHK_URING_FDS);
	u->fds_armed = true;
}

static void tell_due(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;
	unsigned int room = cq_room(u);
	uint32_t i;

	arm_fds(l);
	while ((i = u->due) != VHK_NO_POLL) {
		if (!l->polls[i].gone && !room--)
			return;
		if (!tell_kernel(l, i))
			return;
		u->due = l->polls[i].next;
		l->polls[i].due = false;
		if (l->polls[i].gone)
			vhk_poll_put(l, i);
	}
}

static int epoll_error(void)
{
	if (errno == EEXIST)
		return -EBUSY;
	return errno == EPERM ? -EINVAL : -errno;
}

/* A kick that cannot be watched is found out here: io_uring would tell when the round is over. */
static int uring_watch(struct vhk_loop *l, uint32_t i)
{
	const struct vhk_poll *p = &l->polls[i];
	struct epoll_event ev = { .events = p->events, .data.u64 = vhk_poll_tag(l, i) };
	struct vhk_uring *u = l->uring;

	if (epoll_ctl(u->fds, EPOLL_CTL_ADD, p->fd, &ev))
		return epoll_error();
	if (vhk_poll_is_edge(p)) {
		epoll_ctl(u->fds, EPOLL_CTL_DEL, p->fd, NULL);
		add_due(l, i);
	}
	return 0;
}

static int uring_rewatch(struct vhk_loop *l, uint32_t i)
{
	const struct vhk_poll *p = &l->polls[i];
	struct epoll_event ev = { .events = p->events, .data.u64 = vhk_poll_tag(l, i) };

	return epoll_ctl(l->uring->fds, EPOLL_CTL_MOD, p->fd, &ev) ? -errno : 0;
}

static void uring_unwatch(struct vhk_loop *l, uint32_t i)
{
	struct vhk_uring *u = l->uring;

	if (!vhk_poll_is_edge(&l->polls[i])) {
		epoll_ctl(u->fds, EPOLL_CTL_DEL, l->polls[i].fd, NULL);
		vhk_poll_put(l, i);
		return;
	}
	if (!l->polls[i].due)
		add_due(l, i);
	/* At once, so that the caller may close the fd. */
	if (!vhk_uring_is_mine(u) || l->closing)
		return;
	tell_due(l);
	handed_over(u);
	io_uring_submit(&u->ring);
}

/* From a thread that does not run the ring this fails; then the file is used by its fd. */
static void uring_add_file(struct vhk_loop *l, int file)
{
	struct vhk_uring *u = l->uring;

	struct vhk_file *f = &l->files[file];

	if (u->files && file < VHK_URING_FILES)
		f->fixed = io_uring_register_files_update(&u->ring, (unsigned int)file, &f->fd,
							  1) == 1;
}

static void uring_del_file(struct vhk_loop *l, int file)
{
	int none = -1;

	if (l->files[file].fixed)
		io_uring_register_files_update(&l->uring->ring, (unsigned int)file, &none, 1);
}

static int uring_pins(struct vhk_loop *l)
{
	int ret = io_uring_register_buffers_sparse(&l->uring->ring, VHK_PINS_MAX);

	/* Linux 5.19 has sparse tables. */
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

static int pin_update(struct vhk_loop *l, uint16_t slot, void *va, size_t len)
{
	const struct iovec iov = { va, len };
	const __u64 tag = 0;
	int ret = io_uring_register_buffers_update_tag(&l->uring->ring, slot, &iov, &tag, 1);

	return vhk_min(ret, 0);
}

static void uring_unpin(struct vhk_loop *l, uint16_t slot)
{
	pin_update(l, slot, NULL, 0);
}

static void prep_rw(struct vhk_loop *l, struct io_uring_sqe *sqe, int fd, const struct vhk_io *io)
{
	bool read = io->op == VHK_IO_READ;
	unsigned int len;
	int slot = -1;

	if (io->n_iov == 1) {
		/* The kernel moves no more in one call. */
		len = (unsigned int)vhk_min(io->iov->iov_len, (size_t)0x7ffff000);
		if (l->pins)
			slot = vhk_pin_find(l, io->iov->iov_base, len);
		if (slot >= 0 && read)
			io_uring_prep_read_fixed(sqe, fd, io->iov->iov_base, len, io->off, slot);
		else if (slot >= 0)
			io_uring_prep_write_fixed(sqe, fd, io->iov->iov_base, len, io->off, slot);
		else if (read)
			io_uring_prep_read(sqe, fd, io->iov->iov_base, len, io->off);
		else
			io_uring_prep_write(sqe, fd, io->iov->iov_base, len, io->off);
	} else if (read) {
		io_uring_prep_readv(sqe, fd, io->iov, io->n_iov, io->off);
	} else {
		io_uring_prep_writev(sqe, fd, io->iov, io->n_iov, io->off);
	}
	if (!read && io->flags & VHK_IO_F_DSYNC)
		sqe->rw_flags = RWF_DSYNC;
}

static bool uring_begin(struct vhk_loop *l, struct vhk_io *io)
{
	const struct vhk_file *f = &l->files[io->file];
	struct vhk_uring *u = l->uring;
	int fd = f->fixed ? io->file : f->fd;
	struct io_uring_sqe *sqe;

	if (u->n_in >= u->max_in || !vhk_uring_is_mine(u))
		return false;
	sqe = vhk_uring_get_sqe(l);
	if (!sqe)
		return false;
	if (io->op <= VHK_IO_WRITE)
		prep_rw(l, sqe, fd, io);
	else if (io->op == VHK_IO_FSYNC)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, fd, vhk_io_falloc_mode(io), (off_t)io->off,
					(off_t)io->len);
	if (f->fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	/* The thread that enters would wait for a page as the one that reads memory does. */
	if (io->flags & VHK_IO_F_LATE ||
	    (io->op == VHK_IO_WRITE && f->flags & VHK_FILE_F_ASYNC_WRITE))
		sqe->flags |= IOSQE_ASYNC;
	io_uring_sqe_set_data(sqe, io);
	u->n_in++;
	return true;
}

static int uring_submit(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;

	if (!vhk_uring_is_mine(u))
		return 0;
	tell_due(l);
	if (!io_uring_sq_ready(&u->ring) && !has_work(u))
		return 0;
	vhk_loop_note_syscalls(l, 1);
	handed_over(u);
	return mild(io_uring_submit_and_get_events(&u->ring));
}

static bool uring_peek(struct vhk_loop *l)
{
	return io_uring_cq_ready(&l->uring->ring) || has_work(l->uring);
}

static int uring_wait(struct vhk_loop *l, int64_t ns)
{
	struct __kernel_timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct vhk_uring *u = l->uring;
	struct io_uring_cqe *cqe;

	if (!vhk_uring_is_mine(u))
		return -EBUSY;
	tell_due(l);
	if (u->due != VHK_NO_POLL)
		return uring_submit(l);
	/* what is there already, with nothing to hand over, is no reason to enter */
	vhk_loop_note_syscalls(l, io_uring_sq_ready(&u->ring) || !io_uring_cq_ready(&u->ring));
	return mild(io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, ns < 0 ? NULL : &ts, NULL));
}

static unsigned int kick_done(struct vhk_loop *l, const struct io_uring_cqe *cqe)
{
	uint32_t i = vhk_poll_find(l, cqe->user_data);
	unsigned int n;

	if (i == VHK_NO_POLL)
		return 0;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		l->polls[i].armed = false;
	if (cqe->res < 0) {
		if (l->polls[i].source)
			vhk_source_lose_kick(l, l->polls[i].source);
		else
			add_due(l, i);
		return 1;
	}
	n = vhk_poll_fire(l, i, (uint32_t)cqe->res);
	/* A multishot that ended: arming looks at once, so nothing is lost in between. */
	i = vhk_poll_find(l, cqe->user_data);
	if (i != VHK_NO_POLL && !l->polls[i].armed && !l->polls[i].due)
		add_due(l, i);
	return n;
}

static unsigned int uring_tell_fds(struct vhk_loop *l)
{
	struct epoll_event ev[EVENTS_MAX];
	unsigned int sum = 0;
	int i, n;
	uint32_t p;

	l->uring->fds_armed = false;
	vhk_loop_note_syscalls(l, 1);
	n = epoll_wait(l->uring->fds, ev, EVENTS_MAX, 0);
	for (i = 0; i < n && !l->closing; i++) {
		p = vhk_poll_find(l, ev[i].data.u64);
		if (p != VHK_NO_POLL)
			sum += vhk_poll_fire(l, p, ev[i].events);
	}
	return sum;
}

static unsigned int io_done(struct vhk_loop *l, const struct io_uring_cqe *cqe)
{
	l->uring->n_in--;
	l->n_learn++;
	vhk_io_end(l, (struct vhk_io *)(uintptr_t)cqe->user_data, cqe->res);
	return 1;
}

static bool take_cqe(struct vhk_uring *u, struct io_uring_cqe *out)
{
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned int head = *cq->khead;

	if (head == __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE))
		return false;
	*out = cq->cqes[head & *cq->kring_mask];
	io_uring_cq_advance(&u->ring, 1);
	return true;
}

static unsigned int uring_reap(struct vhk_loop *l, bool idle)
{
	struct vhk_uring *u = l->uring;
	struct io_uring_cqe cqe;
	unsigned int i, n = 0;

	(void)idle;
	/* Taken out one by one: a callback may use the ring. */
	for (i = 0; i < REAP_MAX && take_cqe(u, &cqe); i++) {
		if ((cqe.user_data & 3) == VHK_URING_CALL)
			vhk_uring_call_done(l, cqe.user_data, cqe.res);
		else if (cqe.user_data && !(cqe.user_data & 1))
			n += io_done(l, &cqe);
		else if (cqe.user_data == VHK_URING_FDS)
			l->fds_due = true;
		else if (cqe.user_data && !l->closing)
			n += kick_done(l, &cqe);
	}
	return n;
}

static void uring_cancel(struct vhk_loop *l)
{
	struct io_uring_sqe *sqe = vhk_uring_is_mine(l->uring) ? vhk_uring_get_sqe(l) : NULL;

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, 0);
}

static int uring_fd(const struct vhk_loop *l)
{
	return l->uring->ring.ring_fd;
}

const struct vhk_engine vhk_engine_uring = {
	.name = "io_uring",
	.open = vhk_uring_open,
	.close = vhk_uring_close,
	.bind = vhk_uring_bind,
	.unbind = vhk_uring_unbind,
	.watch = uring_watch,
	.rewatch = uring_rewatch,
	.unwatch = uring_unwatch,
	.add_file = uring_add_file,
	.del_file = uring_del_file,
	.begin = uring_begin,
	.submit = uring_submit,
	.peek = uring_peek,
	.reap = uring_reap,
	.tell_fds = uring_tell_fds,
	.wait = uring_wait,
	.cancel = uring_cancel,
	.fd = uring_fd,
	.call_add = vhk_uring_call_add,
	.call_del = vhk_uring_call_del,
	.call = vhk_uring_call,
	.call_send = vhk_uring_call_send,
	.pins = uring_pins,
	.pin = pin_update,
	.unpin = uring_unpin,
};
