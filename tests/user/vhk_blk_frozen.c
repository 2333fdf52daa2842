// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A file system that takes no writes for a while: the write waits, and nothing else does. A front
 * end is answered all the same, with io_uring and without, and the write is done in the end.
 */
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (1 << 20)

static char medium[100], image[128], sock[100];

static void give_back(void)
{
	umount2(medium, MNT_DETACH);
}

/* In a namespace of our own. */
static bool mount_medium(void)
{
	char backing[128], cmd[600];

	snprintf(medium, sizeof(medium), "%s/medium", t_dir());
	snprintf(backing, sizeof(backing), "%s/backing", t_dir());
	snprintf(image, sizeof(image), "%s/image", medium);
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	T_MUST(!mkdir(medium, 0700));
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	snprintf(cmd, sizeof(cmd),
		 "truncate -s 16M '%s' && mkfs.ext4 -q '%s' && mount -o loop '%s' '%s'", backing,
		 backing, backing, medium);
	return !system(cmd);
}

static void freeze(bool on)
{
	int fd = open(medium, O_RDONLY | O_CLOEXEC);

	T_MUST(fd >= 0 && !ioctl(fd, on ? FIFREEZE : FITHAW, 0));
	close(fd);
}

static void start(struct t_prog *p, const char *more)
{
	char file_opt[160], sock_opt[128];
	const char *args[] = { file_opt, sock_opt, more, NULL };
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && !ftruncate(fd, SIZE) && !fsync(fd));
	close(fd);
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, MS));
}

/* The request is under way when this returns. */
static struct t_req *begin_write(struct t_front *f)
{
	struct t_req *r = t_front_idle(f);

	T_MUST(r);
	r->type = VIRTIO_BLK_T_OUT;
	r->len = 4096;
	memset(r->s->data, 0x5a, 4096);
	T_EQ(t_front_add(f, r), 0);
	T_EQ(t_front_publish(f), 0);
	usleep(100000);
	return r;
}

static void serve(const char *more)
{
	unsigned char config[8];
	uint64_t end = t_now_ns() + MS * 1000000ull;
	struct t_req *r, *got = NULL;
	struct t_front f;
	struct t_prog p;

	start(&p, more);
	T_MUST(!t_front_open(&f, sock, VHK_F_RING_ALL, 1, 16));
	freeze(true);
	r = begin_write(&f);
	T_EQ(vhk_ctl_get_config(f.ctl, 0, config, sizeof(config)), 0);
	T_OK(!t_front_get(&f, 0));
	freeze(false);
	while (!got && t_now_ns() < end)
		got = t_front_get(&f, 0);
	T_OK(got == r);
	T_EQ(r->s->status, VIRTIO_BLK_S_OK);
	t_front_close(&f);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, MS), 0);
}

static void others_are_answered(void)
{
	if (!mount_medium())
		T_SKIP("no file system can be mounted here");
	atexit(give_back);
	serve(NULL);
	serve("--no-io-uring");
	serve("--direct");
}

int main(void)
{
	T_RUN(others_are_answered);
	return t_end();
}
