// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Linux AIO: pread, pwrite, their vector forms and fdsync. O_DIRECT is asynchronous; what needs the
 * page cache is done within io_submit(); fdsync is a kernel worker's.
 */
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop_aio.h"
#include "loop_impl.h"

/* Head of the completion ring that the kernel maps at the context's address (fs/aio.c). */
struct aio_ring {
	uint32_t id, nr, head, tail, magic;
};
#define AIO_RING_MAGIC 0xa10a10a1

void vhk_aio_preinit(struct vhk_aio *a)
{
	a->event_fd = -1;
}

int vhk_aio_init(struct vhk_aio *a, unsigned int room)
{
	int fd;

	/* The sum over all processes is limited (fs.aio-max-nr). */
	for (; room; room /= 2) {
		if (!syscall(SYS_io_setup, room, &a->ctx))
			break;
		if (errno != EAGAIN && errno != EINVAL)
			return errno == ENOMEM ? -ENOMEM : 0;
	}
	if (!room)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	a->room = room;
	a->event_fd = fd;
	return 0;
}

void vhk_aio_fini(struct vhk_aio *a, unsigned int n_left)
{
	if (a->ctx && !n_left)
		syscall(SYS_io_destroy, a->ctx);
	if (a->event_fd >= 0)
		close(a->event_fd);
}

static void prep(struct iocb *cb, int event_fd, int fd, const struct vhk_io *io)
{
	bool one = io->n_iov == 1, read = io->op == VHK_IO_READ;

	*cb = (struct iocb){ .aio_fildes = (uint32_t)fd, .aio_flags = IOCB_FLAG_RESFD };
	cb->aio_resfd = (uint32_t)event_fd;
	cb->aio_data = (uintptr_t)io;
	if (io->op == VHK_IO_FSYNC) {
		cb->aio_lio_opcode = IOCB_CMD_FDSYNC;
		return;
	}
	if (one)
		cb->aio_lio_opcode = read ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	else
		cb->aio_lio_opcode = read ? IOCB_CMD_PREADV : IOCB_CMD_PWRITEV;
	cb->aio_buf = one ? (uintptr_t)io->iov->iov_base : (uintptr_t)io->iov;
	cb->aio_nbytes = one ? io->iov->iov_len : io->n_iov;
	cb->aio_offset = (int64_t)io->off;
	if (!read && io->flags & VHK_IO_F_DSYNC)
		cb->aio_rw_flags = RWF_DSYNC;
}

bool vhk_aio_begin(struct vhk_aio *a, int fd, struct vhk_io *io)
{
	if (a->n_queued == VHK_AIO_BATCH || a->n_in + a->n_queued >= a->room)
		return false;
	prep(&a->iocb[a->n_queued], a->event_fd, fd, io);
	a->io[a->n_queued++] = io;
	return true;
}

static void forget_first(struct vhk_aio *a, unsigned int n)
{
	a->n_queued -= n;
	memmove(a->iocb, a->iocb + n, a->n_queued * sizeof(a->iocb[0]));
	memmove(a->io, a->io + n, a->n_queued * sizeof(a->io[0]));
}

/* The first one was refused. A file without fdsync of its own is told by -EINVAL. */
static void end_first(struct vhk_aio *a, struct vhk_loop *l, int err)
{
	struct vhk_io *io = a->io[0];
	int fd = (int)a->iocb[0].aio_fildes;

	forget_first(a, 1);
	vhk_io_end(l, io, io->op == VHK_IO_FSYNC && err == -EINVAL ? vhk_io_now(fd, io) : err);
}

unsigned int vhk_aio_submit(struct vhk_aio *a, struct vhk_loop *l)
{
	struct iocb *cbs[VHK_AIO_BATCH];
	unsigned int i, n_ended = 0;
	long n;

	while (a->n_queued) {
		for (i = 0; i < a->n_queued; i++)
			cbs[i] = &a->iocb[i];
		vhk_loop_note_syscalls(l, 1);
		n = syscall(SYS_io_submit, a->ctx, (long)a->n_queued, cbs);
		if (n > 0) {
			a->n_in += (unsigned int)n;
			forget_first(a, (unsigned int)n);
		} else if (errno == EAGAIN && a->n_in) {
			break;
		} else if (errno != EINTR) {
			end_first(a, l, -errno);
			n_ended++;
		}
	}
	return n_ended;
}

bool vhk_aio_peek(const struct vhk_aio *a)
{
	const struct aio_ring *r = (const struct aio_ring *)(uintptr_t)a->ctx;

	if (!a->n_in)
		return false;
	if (r->magic != AIO_RING_MAGIC)
		return true;
	return __atomic_load_n(&r->head, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

unsigned int vhk_aio_reap(struct vhk_aio *a, struct vhk_loop *l)
{
	struct timespec at_once = { 0 };
	struct io_event ev[VHK_AIO_BATCH];
	long i, n;

	if (!vhk_aio_peek(a))
		return 0;
	vhk_loop_note_syscalls(l, 1);
	n = syscall(SYS_io_getevents, a->ctx, 0L, (long)VHK_AIO_BATCH, ev, &at_once);
	if (n <= 0)
		return 0;
	a->n_in -= (unsigned int)n;
	l->n_learn += (unsigned int)n;
	for (i = 0; i < n; i++)
		vhk_io_end(l, (struct vhk_io *)(uintptr_t)ev[i].data, (int)ev[i].res);
	return (unsigned int)n;
}
