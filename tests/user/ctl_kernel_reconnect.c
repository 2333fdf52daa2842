// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device of the kernel's that was opened by its path is opened again: features, memory and queues
 * are as they were, eventfds the same. The nodes under /fake/ are the test's own: open(2) and
 * stat(2) are defined here, too.
 */
#include <sys/stat.h>

#include <vhostkit/vq.h>

#include "t_kern.h"

static int open_fails;
static unsigned int n_opens;

static bool is_fake(const char *path)
{
	return !strncmp(path, "/fake/", 6);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	int fd[2];
	unsigned int mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, unsigned int) : 0;
	va_end(ap);
	if (!is_fake(path))
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	n_opens++;
	if (open_fails) {
		errno = open_fails;
		return -1;
	}
	T_MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd));
	if (t_kern.peer >= 0)
		close(t_kern.peer);
	t_kern.fd = fd[0];
	t_kern.peer = fd[1];
	t_kern.status = 0;
	return fd[0];
}

/* A number that no device has: what is left is the name. */
static int fill(struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFCHR | 0600;
	st->st_rdev = (dev_t)0xfffff00;
	return 0;
}

int stat(const char *path, struct stat *st)
{
	return is_fake(path) ? fill(st) : fstatat(AT_FDCWD, path, st, 0);
}

int fstat(int fd, struct stat *st)
{
	return fd == t_kern.fd ? fill(st) : fstatat(fd, "", st, AT_EMPTY_PATH);
}

static struct vhk_mem *mem;
static struct vhk_vq *vq[2];
static struct vhk_ctl *ctl;

static void begin(const char *uri, uint32_t timeout_ms)
{
	struct vhk_vq_opts qo = { .sz = sizeof(qo), .size = 16 };
	struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = timeout_ms };
	void *va;
	int i;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_PERSIST;
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x100000 }, 65536, &va));
	for (i = 0; i < 2; i++) {
		qo.gpa.v = 0x200000 + 0x10000u * (unsigned int)i;
		T_MUST(!vhk_vq_new(&vq[i], mem, &qo));
	}
	T_MUST(!vhk_ctl_open(&ctl, uri, &o));
	T_MUST(!vhk_ctl_setup(ctl, VHK_F_VERSION_1, 0, mem));
	T_MUST(!vhk_ctl_start_all(ctl, vq, 2));
	n_opens = 0;
	t_kern.n_calls = 0;
}

static void end(void)
{
	vhk_ctl_close(ctl);
	vhk_vq_free(vq[0]);
	vhk_vq_free(vq[1]);
	vhk_mem_free(mem);
	close(t_kern.peer);
	t_kern = (struct t_kern){ .fd = -1, .peer = -1 };
	open_fails = 0;
}

static void vdpa(void)
{
	struct t_iotlb m;
	unsigned int n = 0;
	uint8_t status;
	int kick, call, n_fds;

	begin("/fake/vhost-vdpa-0", 0);
	T_EQ(vhk_ctl_kind(ctl), VHK_CTL_KIND_VDPA);
	kick = vhk_ctl_kick_fd(ctl, 0);
	call = vhk_ctl_call_fd(ctl, 1);
	n_fds = t_count_fds();
	/* The device goes away, and is there again. */
	t_kern.fail_nr = 0x8001af71;
	t_kern.fail_with = -ENODEV;
	T_EQ(vhk_ctl_get_status(ctl, &status), -ENOTCONN);
	T_EQ(vhk_ctl_wait(ctl, 0, 0), -ENOTCONN);
	t_kern.fail_nr = 0;
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_reconnect(ctl), 0);
	T_EQ(n_opens, 1);
	T_EQ(t_count_fds(), n_fds);
	T_EQ(t_kern.status, 15);
	T_EQ(t_kern.features_set, t_kern.features);
	T_EQ(t_kern_count(0x4028af11), 2);
	T_EQ(t_kern_count(0x4008af20), 2);
	T_EQ(t_kern_count(0x4008af75), 2);
	T_EQ(vhk_ctl_kick_fd(ctl, 0), kick);
	T_EQ(vhk_ctl_call_fd(ctl, 1), call);
	T_OK(t_readable(kick, 0));
	while (t_kern_written(&m))
		n += m.kind == VHK_IOTLB_UPDATE;
	T_EQ(n, vhk_mem_count(mem));
	T_EQ(vhk_ctl_wait(ctl, 0, 0), -ETIMEDOUT);
	end();
}

static void vhost(void)
{
	const uint64_t one = 1;

	begin("/fake/vhost-net", 0);
	/* What went wrong with a ring before is over. */
	T_MUST(write(ctl->queue[0]->err_fd, &one, sizeof(one)) == sizeof(one));
	T_EQ(vhk_ctl_reconnect(ctl), 0);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(vhk_ctl_wait(ctl, 0, 0), -ETIMEDOUT);
	T_EQ(t_kern_count(0xaf01), 1);
	T_EQ(t_kern_count(0x4008af03), 1);
	T_EQ(t_kern_count(0x4028af11), 2);
	T_EQ(vhk_ctl_net_set_backend(ctl, 0, -1), 0);
	end();
}

/* A node that does not come back, or that another process has by then. */
static void gone_for_good(void)
{
	begin("/fake/vhost-vdpa-0", 50);
	open_fails = ENOENT;
	T_EQ(vhk_ctl_reconnect(ctl), -ETIMEDOUT);
	T_OK(n_opens >= 1);
	open_fails = EBUSY;
	T_EQ(vhk_ctl_reconnect(ctl), -EBUSY);
	open_fails = 0;
	T_EQ(vhk_ctl_reconnect(ctl), 0);
	T_EQ(t_kern.status, 15);
	end();
}

static void comes_back_with_less(void)
{
	begin("/fake/vhost-vdpa-0", 0);
	t_kern.features = VHK_F_ACCESS_PLATFORM;
	T_EQ(vhk_ctl_reconnect(ctl), -EOPNOTSUPP);
	T_EQ(vhk_ctl_process(ctl), -ENOTCONN);
	end();
}

int main(void)
{
	T_RUN(vdpa);
	T_RUN(vhost);
	T_RUN(gone_for_good);
	T_RUN(comes_back_with_less);
	return t_end();
}
