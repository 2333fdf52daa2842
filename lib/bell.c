// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Signalling by eventfds that a peer may do anything to. A write can be kept from waiting by the
 * open file's flags only, which are the peer's as well; the kernel's own signal, that of an
 * asynchronous read which has ended (io_submit(2), IOCB_FLAG_RESFD), never waits.
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "bell.h"

/* Ends that the kernel keeps until they are fetched. */
#define ENDS 64

static bool bell_open(struct vhk_bell *b)
{
	aio_context_t ctx = 0;

	if (b->aio || b->refused)
		return b->aio;
	b->file = memfd_create("vhostkit-bell", MFD_CLOEXEC);
	if (b->file < 0)
		return false;
	if (syscall(SYS_io_setup, (long)ENDS, &ctx)) {
		/* Else there may be room for it the next time. */
		b->refused = errno == ENOSYS || errno == EPERM;
		close(b->file);
		return false;
	}
	b->aio = ctx;
	return true;
}

void vhk_bell_fini(struct vhk_bell *b)
{
	if (!b->aio)
		return;
	syscall(SYS_io_destroy, b->aio);
	close(b->file);
	b->aio = 0;
}

/* A read of nothing, which is over when the call is, and whose end is told by @fd. */
static bool submit(const struct vhk_bell *b, int fd)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD,
			   .aio_fildes = (uint32_t)b->file,
			   .aio_flags = IOCB_FLAG_RESFD,
			   .aio_resfd = (uint32_t)fd };
	struct iocb *list[] = { &cb };

	return syscall(SYS_io_submit, b->aio, 1L, list) == 1;
}

static void fetch_ends(const struct vhk_bell *b)
{
	struct timespec at_once = { 0 };
	struct io_event ev[ENDS];

	syscall(SYS_io_getevents, b->aio, 0L, (long)ENDS, ev, &at_once);
}

static bool ring_by_kernel(struct vhk_bell *b, int fd)
{
	if (!bell_open(b))
		return false;
	if (submit(b, fd))
		return true;
	if (errno != EAGAIN)
		return false;
	fetch_ends(b);
	return submit(b, fd);
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0 && p.revents & events;
}

int vhk_bell_ring(struct vhk_bell *b, int fd)
{
	const uint64_t one = 1;

	if (ring_by_kernel(b, fd) || !is_ready(fd, POLLOUT))
		return 0;
	return write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

bool vhk_bell_take(int fd)
{
	uint64_t n;
	const struct iovec iov = { &n, sizeof(n) };
	ssize_t got = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	/* before Linux 5.8 */
	if (got < 0 && errno == EOPNOTSUPP && is_ready(fd, POLLIN))
		got = read(fd, &n, sizeof(n));
	return got == sizeof(n);
}
