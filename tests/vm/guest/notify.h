/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the guest's programs for the multiplexer of notifications share: making one, binding, bits.
 * What cannot go wrong ends the program when it does.
 */
#ifndef VHK_GUEST_NOTIFY_H
#define VHK_GUEST_NOTIFY_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vhostkit.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK VHOSTKIT_NOTIFY_F_KICK
#define CALL VHOSTKIT_NOTIFY_F_CALL

#define SURE(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno));        \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct mux {
	int fd;
	uint64_t *kicks, *calls;
};

static inline int ctl_open(void)
{
	int fd = open("/dev/vhostkit", O_RDWR | O_CLOEXEC);

	SURE(fd >= 0);
	return fd;
}

/* An fd, or -1. */
static inline int mux_new(int ctl, uint32_t n_rings)
{
	struct vhostkit_notify_new arg = { .size = sizeof(arg), .n_rings = n_rings };

	return ioctl(ctl, VHOSTKIT_NOTIFY_NEW, &arg);
}

static inline void mux_map(struct mux *m)
{
	const size_t size = (size_t)getpagesize();
	char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

	SURE(page != MAP_FAILED);
	m->kicks = (uint64_t *)(void *)(page + VHOSTKIT_NOTIFY_KICKS);
	m->calls = (uint64_t *)(void *)(page + VHOSTKIT_NOTIFY_CALLS);
}

static inline struct mux mux_open(uint32_t n_rings)
{
	int ctl = ctl_open();
	struct mux m = { .fd = mux_new(ctl, n_rings) };

	SURE(m.fd >= 0);
	close(ctl);
	mux_map(&m);
	return m;
}

static inline void mux_close(struct mux *m)
{
	SURE(!munmap(m->kicks, (size_t)getpagesize()));
	SURE(!close(m->fd));
}

/* -1: none of that kind. 0, 1 or -errno. */
static inline int mux_bind(const struct mux *m, uint32_t ring, int kick, int call)
{
	struct vhostkit_notify_bind arg = {
		.size = sizeof(arg),
		.flags = (kick >= 0 ? KICK : 0) | (call >= 0 ? CALL : 0),
		.ring = ring,
		.kick_fd = kick,
		.call_fd = call,
	};
	int ret = ioctl(m->fd, VHOSTKIT_NOTIFY_BIND, &arg);

	return ret < 0 ? -errno : ret;
}

static inline int mux_unbind(const struct mux *m, uint32_t ring, uint32_t flags)
{
	struct vhostkit_notify_unbind arg = { .size = sizeof(arg), .flags = flags, .ring = ring };

	return ioctl(m->fd, VHOSTKIT_NOTIFY_UNBIND, &arg) ? -errno : 0;
}

static inline int mux_call(const struct mux *m)
{
	int ret = ioctl(m->fd, VHOSTKIT_NOTIFY_CALL, 0);

	return ret < 0 ? -errno : ret;
}

static inline uint64_t mux_take(const struct mux *m, uint32_t word)
{
	return __atomic_exchange_n(&m->kicks[word], 0, __ATOMIC_SEQ_CST);
}

static inline void mux_stage(const struct mux *m, uint32_t ring)
{
	__atomic_fetch_or(&m->calls[ring / 64], 1ull << ring % 64, __ATOMIC_SEQ_CST);
}

static inline bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static inline bool readable_within(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

static inline int efd_new(int flags)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | flags);

	SURE(fd >= 0);
	return fd;
}

static inline void efd_add(int fd, uint64_t n)
{
	SURE(write(fd, &n, sizeof(n)) == sizeof(n));
}

/* 0: nothing there. */
static inline uint64_t efd_take(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* A number of a line of /proc/self/fdinfo, or -1. */
static inline long fdinfo(int fd, const char *name)
{
	char path[64], line[128];
	size_t len = strlen(name);
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	SURE(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			n = strtol(line + len + 1, NULL, 10);
	fclose(f);
	return n;
}

#endif
