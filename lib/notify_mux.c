// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The system calls of a multiplexer of notifications.
 */
#include <fcntl.h>
#include <linux/vhostkit.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base.h"
#include "map.h"
#include "notify_mux.h"

static int make(unsigned int n_rings)
{
	struct vhostkit_notify_new arg = { .size = sizeof(arg), .n_rings = n_rings };
	int fd, ctl = open("/dev/vhostkit", O_RDWR | O_CLOEXEC);

	if (ctl < 0)
		return -errno;
	fd = ioctl(ctl, VHOSTKIT_NOTIFY_NEW, &arg);
	fd = fd < 0 ? -errno : fd;
	close(ctl);
	return fd;
}

/* Whatever else it is has no such command. */
static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	if (ioctl(copy, VHOSTKIT_NOTIFY_CALL, 0) < 0) {
		close(copy);
		return -ENOTTY;
	}
	return copy;
}

int vhk_mux_open(struct vhk_mux *m, int fd, unsigned int n_rings)
{
	int ret;

	*m = (struct vhk_mux){ .fd = fd < 0 ? make(n_rings) : duplicate(fd) };
	if (m->fd < 0)
		return m->fd;
	ret = vhk_map_file(&m->page, m->fd, vhk_page_size(), 0);
	if (ret) {
		close(m->fd);
		m->fd = -1;
		return ret;
	}
	m->kicks = (uint64_t *)(void *)((char *)m->page + VHOSTKIT_NOTIFY_KICKS);
	m->calls = (uint64_t *)(void *)((char *)m->page + VHOSTKIT_NOTIFY_CALLS);
	return 0;
}

void vhk_mux_close(struct vhk_mux *m)
{
	if (m->fd < 0)
		return;
	vhk_unmap(m->page, vhk_page_size());
	close(m->fd);
	m->fd = -1;
}

int vhk_mux_bind(const struct vhk_mux *m, unsigned int ring, int kick_fd, int call_fd)
{
	struct vhostkit_notify_bind arg = {
		.size = sizeof(arg),
		.flags = (kick_fd >= 0 ? VHOSTKIT_NOTIFY_F_KICK : 0) |
			 (call_fd >= 0 ? VHOSTKIT_NOTIFY_F_CALL : 0),
		.ring = ring,
		.kick_fd = kick_fd,
		.call_fd = call_fd,
	};
	int ret = ioctl(m->fd, VHOSTKIT_NOTIFY_BIND, &arg);

	return ret < 0 ? -errno : ret;
}

static void unbind(const struct vhk_mux *m, unsigned int ring, uint32_t flags)
{
	struct vhostkit_notify_unbind arg = { .size = sizeof(arg), .flags = flags, .ring = ring };

	/* what is not bound is as good */
	ioctl(m->fd, VHOSTKIT_NOTIFY_UNBIND, &arg);
}

void vhk_mux_unbind_kick(const struct vhk_mux *m, unsigned int ring)
{
	unbind(m, ring, VHOSTKIT_NOTIFY_F_KICK);
}

void vhk_mux_unbind_call(const struct vhk_mux *m, unsigned int ring)
{
	unbind(m, ring, VHOSTKIT_NOTIFY_F_CALL);
}

unsigned int vhk_mux_send(struct vhk_mux *m)
{
	if (!m->n_staged)
		return 0;
	m->n_staged = 0;
	ioctl(m->fd, VHOSTKIT_NOTIFY_CALL, 0);
	return 1;
}
