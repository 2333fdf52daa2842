// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: every call of a multiplexer of notifications with
 * everything wrong; prints what is not as it must be, and how many were tried.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "notify.h"

static unsigned int n_bad, n_tried;

static void want(const char *what, int fd, unsigned long cmd, void *arg, int err)
{
	int ret = ioctl(fd, cmd, arg), got = ret < 0 ? errno : 0;

	n_tried++;
	if (got == err)
		return;
	n_bad++;
	printf("%s: %s, want %s\n", what, strerror(got), strerror(err));
	if (cmd == VHOSTKIT_NOTIFY_NEW && ret >= 0)
		close(ret);
}

/* What is the same for every structure, by one that is right and would be done. */
static void sizes(const char *name, int fd, unsigned long cmd, const void *right, size_t size)
{
	char buf[8192], what[64];
	uint32_t *head = (void *)buf;
	const struct {
		const char *what;
		uint32_t size;
		int err;
	} table[] = {
		{ "size 0", 0, EINVAL },
		{ "size of the head", 8, EINVAL },
		{ "one byte short", (uint32_t)size - 1, EINVAL },
		{ "more than a page", 4097, E2BIG },
		{ "size in the billions", UINT32_MAX, E2BIG },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, right, size);
		head[0] = table[i].size;
		snprintf(what, sizeof(what), "%s, %s", name, table[i].what);
		want(what, fd, cmd, buf, table[i].err);
	}
	snprintf(what, sizeof(what), "%s, what is behind is not zero", name);
	head[0] = (uint32_t)size + 4;
	buf[size + 3] = 1;
	want(what, fd, cmd, buf, E2BIG);
	snprintf(what, sizeof(what), "%s, unknown flag", name);
	memcpy(buf, right, size);
	head[1] |= 1u << 31;
	want(what, fd, cmd, buf, EOPNOTSUPP);
	snprintf(what, sizeof(what), "%s, nowhere", name);
	want(what, fd, cmd, NULL, EFAULT);
	want(what, fd, cmd, (void *)-4096, EFAULT);
}

/* One member of @good is wrong. */
#define WRONG(name, file, cmd, type, good, member, value, err)                                     \
	do {                                                                                       \
		struct type wrong = good;                                                          \
		wrong.member = value;                                                              \
		want(name ", " #member " " #value, file, cmd, &wrong, err);                        \
	} while (0)

static void refuse_new(int ctl)
{
	const struct vhostkit_notify_new good = { .size = sizeof(good), .n_rings = 8 };

#define NEW(member, value, err)                                                                    \
	WRONG("new", ctl, VHOSTKIT_NOTIFY_NEW, vhostkit_notify_new, good, member, value, err)
	sizes("new", ctl, VHOSTKIT_NOTIFY_NEW, &good, sizeof(good));
	NEW(n_rings, 0, EINVAL);
	NEW(n_rings, VHOSTKIT_NOTIFY_MAX_RINGS + 1, EINVAL);
	NEW(n_rings, UINT32_MAX, EINVAL);
	NEW(flags, 1, EOPNOTSUPP);
	NEW(reserved, 1, EINVAL);
}

static void refuse_bind(const struct mux *m)
{
	int kick = efd_new(0), call = efd_new(0), file = open("/dev/null", O_RDWR);
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), ep = epoll_create1(0), pipes[2];
	const struct vhostkit_notify_bind good = {
		.size = sizeof(good),
		.flags = KICK | CALL,
		.ring = 2,
		.kick_fd = kick,
		.call_fd = call,
	};

	SURE(file >= 0 && sock >= 0 && ep >= 0 && !pipe(pipes));
#define BIND(member, value, err)                                                                   \
	WRONG("bind", m->fd, VHOSTKIT_NOTIFY_BIND, vhostkit_notify_bind, good, member, value, err)
	sizes("bind", m->fd, VHOSTKIT_NOTIFY_BIND, &good, sizeof(good));
	BIND(flags, 0, EINVAL);
	BIND(flags, KICK, EINVAL); /* and an fd of calls */
	BIND(flags, CALL, EINVAL);
	BIND(flags, 4, EOPNOTSUPP);
	BIND(ring, 8, EINVAL);
	BIND(ring, 63, EINVAL); /* in the bitmap, and not in the file */
	BIND(ring, UINT32_MAX, EINVAL);
	BIND(reserved, 1, EINVAL);
	BIND(kick_fd, -1, EBADF);
	BIND(kick_fd, -2, EBADF);
	BIND(kick_fd, 999, EBADF);
	BIND(kick_fd, file, EINVAL);
	BIND(kick_fd, sock, EINVAL);
	BIND(kick_fd, ep, EINVAL);
	BIND(kick_fd, pipes[0], EINVAL);
	BIND(kick_fd, m->fd, EINVAL);
	BIND(call_fd, -1, EBADF);
	BIND(call_fd, 999, EBADF);
	BIND(call_fd, file, EINVAL);
	BIND(call_fd, pipes[1], EINVAL);
	BIND(call_fd, m->fd, EINVAL);
	/* Both or none. */
	SURE(mux_bind(m, 2, -1, call) == 0);
	want("bind, has calls", m->fd, VHOSTKIT_NOTIFY_BIND, (void *)&good, EBUSY);
	SURE(fdinfo(m->fd, "vhostkit-kicks") == 0);
	SURE(mux_bind(m, 2, kick, -1) == 0 && mux_unbind(m, 2, CALL) == 0);
	want("bind, has kicks", m->fd, VHOSTKIT_NOTIFY_BIND, (void *)&good, EBUSY);
	SURE(fdinfo(m->fd, "vhostkit-calls") == 0 && mux_unbind(m, 2, KICK) == 0);
	close(kick);
	close(call);
	close(file);
	close(sock);
	close(ep);
	close(pipes[0]);
	close(pipes[1]);
}

static void refuse_unbind(const struct mux *m)
{
	const struct vhostkit_notify_unbind good = { .size = sizeof(good), .flags = KICK };
	int kick = efd_new(0);

#define UNBIND(member, value, err)                                                                 \
	WRONG("unbind", m->fd, VHOSTKIT_NOTIFY_UNBIND, vhostkit_notify_unbind, good, member,       \
	      value, err)
	UNBIND(size, sizeof(good), ENOENT);
	SURE(mux_bind(m, 0, kick, -1) == 0);
	sizes("unbind", m->fd, VHOSTKIT_NOTIFY_UNBIND, &good, sizeof(good));
	UNBIND(flags, 0, EINVAL);
	UNBIND(flags, CALL, ENOENT);
	UNBIND(flags, KICK | CALL, ENOENT);
	UNBIND(ring, 1, ENOENT);
	UNBIND(ring, 8, EINVAL);
	UNBIND(ring, UINT32_MAX, EINVAL);
	UNBIND(reserved, 1, EINVAL);
	SURE(fdinfo(m->fd, "vhostkit-kicks") == 1);
	UNBIND(size, sizeof(good), 0);
	UNBIND(size, sizeof(good), ENOENT);
	close(kick);
}

/* What is a call of the other file, or of none. */
static void refuse_others(int ctl, const struct mux *m)
{
	static const unsigned int of_mux[] = { 0x41, 0x42, 0x43, 0x44, 0x5f, 0x60, 0xff };
	static const unsigned int of_ctl[] = { 0, 1, 2, 5, 0x40, 0x44, 0x5f, 0xff };
	char zeros[256] = { sizeof(zeros) - 1 };
	size_t i;

	for (i = 0; i < sizeof(of_mux) / sizeof(of_mux[0]); i++)
		want("of a multiplexer", ctl, _IO(VHOSTKIT_TYPE, of_mux[i]), zeros, ENOTTY);
	for (i = 0; i < sizeof(of_ctl) / sizeof(of_ctl[0]); i++)
		want("of the node", m->fd, _IO(VHOSTKIT_TYPE, of_ctl[i]), zeros, ENOTTY);
	want("with a size", m->fd, _IOW(VHOSTKIT_TYPE, 0x41, int), zeros, ENOTTY);
	want("of another type", m->fd, _IO('v', 0x43), NULL, ENOTTY);
	want("call with an argument", m->fd, VHOSTKIT_NOTIFY_CALL, (void *)1, EINVAL);
	want("call with a pointer", m->fd, VHOSTKIT_NOTIFY_CALL, zeros, EINVAL);
	SURE(read(m->fd, zeros, 8) == -1 && errno == EINVAL);
	SURE(write(m->fd, zeros, 8) == -1 && errno == EINVAL);
}

int main(void)
{
	int ctl = ctl_open(), before = dup(ctl), after;
	struct mux m = mux_open(8);

	refuse_new(ctl);
	refuse_bind(&m);
	refuse_unbind(&m);
	refuse_others(ctl, &m);
	SURE(fdinfo(m.fd, "vhostkit-kicks") == 0 && fdinfo(m.fd, "vhostkit-calls") == 0);
	SURE(!m.kicks[0] && !readable(m.fd));
	mux_close(&m);
	/* No fd was left behind. */
	after = dup(ctl);
	SURE(after == before + 1);
	printf("%u refused\n", n_tried - n_bad);
	return n_bad != 0;
}
