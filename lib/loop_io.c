// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Operations on files: what is done at once, what the engine takes, and what waits for room in it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "loop_impl.h"

#define N_IOV_MAX 1024
#define LOOK_NS 1000000
/* Of a range, bytes. */
#define PIECE (4ull << 20)

/* All queues of a disk add its image: the kernel knows only so many files by number. */
static int file_of(const struct vhk_loop *l, int fd, uint32_t flags)
{
	int i;

	for (i = 0; i < l->n_files; i++)
		if (l->files[i].fd == fd && l->files[i].flags == flags)
			return i;
	return -1;
}

int vhk_loop_add_file(struct vhk_loop *l, int fd, uint32_t flags)
{
	struct vhk_file *f;
	int i;

	if (flags & ~(uint32_t)VHK_FILE_F_ALL)
		return -EOPNOTSUPP;
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	i = file_of(l, fd, flags);
	if (i >= 0) {
		l->files[i].refs++;
		return i;
	}
	for (i = 0; i < l->n_files; i++)
		if (l->files[i].fd < 0)
			break;
	if (i == l->n_files) {
		f = realloc(l->files, (size_t)(i + 1) * sizeof(*f));
		if (!f)
			return -ENOMEM;
		l->files = f;
		l->n_files++;
	}
	l->files[i] = (struct vhk_file){ .fd = fd, .flags = flags, .refs = 1 };
	l->engine->add_file(l, i);
	return i;
}

void vhk_loop_del_file(struct vhk_loop *l, int file)
{
	if (file < 0 || file >= l->n_files || l->files[file].fd < 0 || --l->files[file].refs)
		return;
	l->engine->del_file(l, file);
	l->files[file].fd = -1;
}

int vhk_io_falloc_mode(const struct vhk_io *io)
{
	return (io->op == VHK_IO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) |
	       FALLOC_FL_KEEP_SIZE;
}

/* tmpfs has no zero range: a hole, then room in its place. */
static int zero_now(int fd, const struct vhk_io *io)
{
	off_t off = (off_t)io->off, len = (off_t)io->len;

	if (!fallocate(fd, vhk_io_falloc_mode(io), off, len))
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len))
		return -errno;
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, off, len) ? -errno : 0;
}

static ssize_t call_now(int fd, const struct vhk_io *io)
{
	int flags = io->flags & VHK_IO_F_DSYNC ? RWF_DSYNC : 0;

	switch (io->op) {
	case VHK_IO_READ:
		return preadv2(fd, io->iov, (int)io->n_iov, (off_t)io->off, 0);
	case VHK_IO_WRITE:
		if (io->n_iov == 1 && !flags)
			return pwrite(fd, io->iov->iov_base, io->iov->iov_len, (off_t)io->off);
		return pwritev2(fd, io->iov, (int)io->n_iov, (off_t)io->off, flags);
	case VHK_IO_FSYNC:
		return fdatasync(fd);
	case VHK_IO_PUNCH:
		return fallocate(fd, vhk_io_falloc_mode(io), (off_t)io->off, (off_t)io->len);
	default:
		errno = EINVAL;
		return -1;
	}
}

int vhk_io_now(int fd, const struct vhk_io *io)
{
	ssize_t ret;

	do {
		if (io->op == VHK_IO_ZERO)
			return zero_now(fd, io);
		ret = call_now(fd, io);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : (int)ret;
}

void vhk_io_end(struct vhk_loop *l, struct vhk_io *io, int res)
{
	l->n_io--;
	io->done(io, res);
}

static bool is_range(const struct vhk_io *io)
{
	return io->op == VHK_IO_PUNCH || io->op == VHK_IO_ZERO;
}

static uint64_t bytes_of(const struct vhk_io *io)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < io->n_iov && io->op <= VHK_IO_WRITE; i++)
		sum += io->iov[i].iov_len;
	return sum;
}

/* Up to the next place that is a whole number of pieces, so that holes have no ragged ends. */
static int range_piece(struct vhk_loop *l, struct vhk_io *io)
{
	struct vhk_io piece = *io;
	int ret;

	piece.off += io->begun;
	piece.len = vhk_min(io->len - io->begun, PIECE - piece.off % PIECE);
	vhk_loop_note_syscalls(l, 1);
	ret = vhk_io_now(l->files[io->file].fd, &piece);
	io->begun += piece.len;
	l->own_left -= vhk_min(l->own_left, piece.len);
	return ret;
}

/* False: more of it is left, and the round's time is not. */
static bool do_own(struct vhk_loop *l, struct vhk_io *io)
{
	int ret = 0;

	if (!is_range(io)) {
		vhk_loop_note_syscalls(l, 1);
		l->own_left -= vhk_min(l->own_left, bytes_of(io));
		vhk_io_end(l, io, vhk_io_now(l->files[io->file].fd, io));
		return true;
	}
	do
		ret = range_piece(l, io);
	while (!ret && io->begun < io->len && l->own_left);
	if (!ret && io->begun < io->len)
		return false;
	vhk_io_end(l, io, ret);
	return true;
}

static void own_later(struct vhk_loop *l, struct vhk_io *io)
{
	io->next = NULL;
	*l->own_tail = io;
	l->own_tail = &io->next;
}

void vhk_io_own(struct vhk_loop *l, struct vhk_io *io)
{
	if (l->own || !l->own_left || !do_own(l, io))
		own_later(l, io);
}

static struct vhk_io *take_own(struct vhk_loop *l)
{
	struct vhk_io *io = l->own;

	l->own = io->next;
	if (!l->own)
		l->own_tail = &l->own;
	return io;
}

unsigned int vhk_io_go_on(struct vhk_loop *l)
{
	struct vhk_io *io;
	unsigned int n;

	l->own_left = VHK_OWN_ROUND;
	for (n = 0; l->own && l->own_left; n++) {
		io = take_own(l);
		if (!do_own(l, io))
			own_later(l, io);
	}
	return n;
}

static int refuse(const struct vhk_loop *l, const struct vhk_io *io)
{
	if (io->file < 0 || io->file >= l->n_files || l->files[io->file].fd < 0)
		return -EBADF;
	if (io->op > VHK_IO_ZERO || io->n_iov > N_IOV_MAX || io->off > INT64_MAX ||
	    io->len > INT64_MAX)
		return -EINVAL;
	if (io->flags & ~(uint32_t)VHK_IO_F_ALL)
		return -EOPNOTSUPP;
	return l->closing ? -ECANCELED : 0;
}

static bool is_inline(const struct vhk_loop *l, const struct vhk_io *io)
{
	uint32_t flags = l->files[io->file].flags;

	if (io->flags & VHK_IO_F_LATE && l->engine == &vhk_engine_uring)
		return false;
	return flags & (io->op == VHK_IO_READ ? VHK_FILE_F_INLINE_READ : VHK_FILE_F_INLINE_WRITE);
}

/* What waits for its memory waits elsewhere, and the writer's other writes do not. */
static bool is_writers(const struct vhk_loop *l, const struct vhk_io *io)
{
	return l->writer && io->op == VHK_IO_WRITE && !(io->flags & VHK_IO_F_LATE) &&
	       l->files[io->file].flags & VHK_FILE_F_ASYNC_WRITE;
}

static void wait_for_room(struct vhk_loop *l, struct vhk_io *io)
{
	io->next = NULL;
	*l->backlog_tail = io;
	l->backlog_tail = &io->next;
}

static struct vhk_io *take_waiting(struct vhk_loop *l)
{
	struct vhk_io *io = l->backlog;

	l->backlog = io->next;
	if (!l->backlog)
		l->backlog_tail = &l->backlog;
	return io;
}

static void wait_first(struct vhk_loop *l, struct vhk_io *io)
{
	io->next = l->backlog;
	l->backlog = io;
	if (!io->next)
		l->backlog_tail = &io->next;
}

void vhk_loop_submit(struct vhk_loop *l, struct vhk_io *io)
{
	int ret = refuse(l, io);

	l->n_io++;
	io->begun = 0;
	if (ret) {
		vhk_io_end(l, io, ret);
		return;
	}
	if (is_inline(l, io))
		vhk_io_own(l, io);
	else if (is_writers(l, io))
		vhk_io_write_later(l, io);
	else if (l->backlog || !l->engine->begin(l, io))
		wait_for_room(l, io);
	vhk_loop_touch(l);
}

void vhk_io_flush(struct vhk_loop *l)
{
	struct vhk_io *io;

	/* Off the list first: it may be done, and its memory gone, when begin returns. */
	while (l->backlog) {
		io = take_waiting(l);
		if (!l->engine->begin(l, io)) {
			wait_first(l, io);
			return;
		}
	}
}

static void drop_writes(struct vhk_loop *l)
{
	struct vhk_io *io, *next;

	for (io = l->to_write; io; io = next) {
		next = io->next;
		vhk_io_end(l, io, -ECANCELED);
	}
	l->to_write = NULL;
	l->to_write_tail = &l->to_write;
}

void vhk_io_drop(struct vhk_loop *l)
{
	drop_writes(l);
	while (l->own)
		vhk_io_end(l, take_own(l), -ECANCELED);
	while (l->backlog)
		vhk_io_end(l, take_waiting(l), -ECANCELED);
}

/* What a writer has made wakes the wait up, but where a loop ends, whose polls are cancelled. */
static int wait_for_end(struct vhk_loop *l, uint64_t ns)
{
	int ret = 0;

	if (l->closing && l->writer)
		ns = vhk_min(ns, (uint64_t)LOOK_NS);
	atomic_store(&l->sleeping, true);
	if (!vhk_io_made(l))
		ret = l->engine->wait(l, l->own ? 0 : (int64_t)ns);
	atomic_store_explicit(&l->sleeping, false, memory_order_relaxed);
	return ret;
}

void vhk_io_drain(struct vhk_loop *l, uint64_t ns)
{
	uint64_t now = vhk_now_ns(), until = now + ns;

	for (; l->n_io && now < until; now = vhk_now_ns()) {
		vhk_io_go_on(l);
		vhk_io_flush(l);
		vhk_io_send_writes(l);
		if (wait_for_end(l, until - now) < 0)
			return;
		l->engine->reap(l, true);
		vhk_io_take_made(l);
		vhk_loop_tell_fds(l);
		vhk_sources_flush(l);
		vhk_loop_send_calls(l);
	}
}

unsigned int vhk_loop_io_in_flight(const struct vhk_loop *l)
{
	return l->n_io;
}
