/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost device of our own in place of the kernel's: ioctl(2) is defined here, which the library
 * linked into a test takes instead of the C library's. Calls for the fake's fd are noted, whole
 * argument included, and answered as the test says; what the library writes to the fd and reads
 * from it goes over a pair of sockets. Numbers of ioctls are spelt out by the tests, not taken from
 * the headers that the library is built with.
 */
#ifndef VHK_TESTS_T_KERN_H
#define VHK_TESTS_T_KERN_H

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <vhostkit/ctl.h>

#include "base.h"
#include "ctl_impl.h"
#include "t.h"

#define T_CALLS_MAX 512
#define T_ARG_MAX 600

struct t_call {
	unsigned long nr;
	size_t len;
	unsigned char arg[T_ARG_MAX]; /* as it came in */
};

struct t_kern {
	int fd;	  /* the library's end */
	int peer; /* ours */
	struct t_call call[T_CALLS_MAX];
	unsigned int n_calls;
	/* 0 or -errno; may change the argument. NULL: every call succeeds. */
	int (*answer)(unsigned long nr, void *arg);
	unsigned long fail_nr; /* fails with fail_with, whatever @answer says */
	int fail_with;
	/* A device as far as setting up goes. */
	uint64_t features, backend, features_set, backend_set;
	uint8_t status;
};

static struct t_kern t_kern = { .fd = -1, .peer = -1 };

/* Bytes behind a pointer of variable length. */
static inline size_t t_arg_len(unsigned long nr, const void *arg)
{
	uint32_t u32[2];
	uint64_t u64;

	switch (nr) {
	case 0x4008af03: /* SET_MEM_TABLE */
		memcpy(u32, arg, 8);
		return 8 + 32ul * u32[0];
	case 0x8008af73: /* GET_CONFIG, SET_CONFIG */
	case 0x4008af74:
		memcpy(u32, arg, 8);
		return 8 + u32[1];
	case 0x8008af83: /* GET_FEATURES_ARRAY, SET_FEATURES_ARRAY */
	case 0x4008af83:
		memcpy(&u64, arg, 8);
		return 8 + 8 * u64;
	default:
		return _IOC_SIZE(nr);
	}
}

/* What any device answers on the way to a running queue. */
static inline void t_kern_model(struct t_kern *t, unsigned long nr, void *arg)
{
	switch (nr) {
	case 0x8008af00: /* GET_FEATURES */
		memcpy(arg, &t->features, 8);
		break;
	case 0x4008af00:
		memcpy(&t->features_set, arg, 8);
		break;
	case 0x8008af26: /* GET_BACKEND_FEATURES */
		memcpy(arg, &t->backend, 8);
		break;
	case 0x4008af25:
		memcpy(&t->backend_set, arg, 8);
		break;
	case 0x8001af71: /* GET_STATUS */
		memcpy(arg, &t->status, 1);
		break;
	case 0x4001af72:
		memcpy(&t->status, arg, 1);
		break;
	case 0x8010af78: { /* GET_IOVA_RANGE */
		const uint64_t range[2] = { 0x1000, 0xffffffffffull };

		memcpy(arg, range, 16);
		break;
	}
	case 0x8004af7a: { /* GET_AS_NUM */
		const uint32_t n = 2;

		memcpy(arg, &n, 4);
		break;
	}
	default:
		break;
	}
}

static inline int t_kern_ioctl(unsigned long nr, void *arg)
{
	struct t_kern *t = &t_kern;
	struct t_call *c = &t->call[t->n_calls];

	T_MUST(t->n_calls < T_CALLS_MAX);
	t->n_calls++;
	c->nr = nr;
	c->len = arg ? t_arg_len(nr, arg) : 0;
	T_MUST(c->len <= sizeof(c->arg));
	if (c->len)
		memcpy(c->arg, arg, c->len);
	if (nr == t->fail_nr)
		return t->fail_with;
	if (t->answer)
		return t->answer(nr, arg);
	t_kern_model(t, nr, arg);
	return 0;
}

int ioctl(int fd, unsigned long nr, ...)
{
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, nr);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd != t_kern.fd || fd < 0)
		return (int)syscall(SYS_ioctl, fd, nr, arg);
	ret = t_kern_ioctl(nr, arg);
	if (!ret)
		return 0;
	errno = -ret;
	return -1;
}

/* A device of @kind; what opening asked for is forgotten. */
static inline struct vhk_ctl *t_kern_open(enum vhk_ctl_kind kind, const struct vhk_ctl_opts *o)
{
	struct vhk_ctl *c;
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd));
	t_kern.fd = fd[0];
	t_kern.peer = fd[1];
	t_kern.status = 0;
	t_kern.n_calls = 0;
	T_MUST(!vhk_ctl_kernel_adopt_take_fd(&c, fd[0], kind));
	T_MUST(!vhk_ctl_begin(c, o));
	t_kern.n_calls = 0;
	return c;
}

static inline void t_kern_close(struct vhk_ctl *c)
{
	vhk_ctl_close(c);
	close(t_kern.peer);
	t_kern = (struct t_kern){ .fd = -1, .peer = -1 };
}

/* How often an ioctl was called since the last look. */
static inline unsigned int t_kern_count(unsigned long nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < t_kern.n_calls; i++)
		n += t_kern.call[i].nr == nr;
	return n;
}

/* A message of the IOTLB as either format has it, in bytes. */
struct t_iotlb {
	uint32_t type, asid;
	uint64_t iova, size, uva;
	uint8_t perm, kind, rest[38];
};

/* The next message that the library wrote; false: there is none. */
static inline bool t_kern_written(struct t_iotlb *m)
{
	ssize_t n = recv(t_kern.peer, m, sizeof(*m), MSG_DONTWAIT);

	if (n < 0)
		return false;
	T_EQ(n, 72);
	return true;
}

#endif
