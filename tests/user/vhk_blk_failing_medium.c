// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A block device that stops taking writes: a loop device whose file has no room left to grow.
 * Straight to the medium (O_DIRECT) such a write is an error, and the next one works when the
 * medium does. Behind the page cache the flush is the error, and so is every other one until
 * another server comes: nobody can tell what the cache has dropped. Everything else is served all
 * the time.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (16 << 20)
#define GOOD 0		    /* sectors: has its room, */
#define BAD (8 << 20 >> 9) /* and has none */
#define LEN 8192
#define WANT (VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_FLUSH)

static char medium[100], backing[128], ballast[128], dev[64], sock[100];

static void give_back(void)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "losetup -d '%s'", dev);
	if (dev[0] && system(cmd))
		fprintf(stderr, "%s: left behind\n", dev);
	umount2(medium, MNT_DETACH);
}

/* A file system of 2 MiB, in a namespace of our own. */
static bool mount_medium(void)
{
	snprintf(medium, sizeof(medium), "%s/medium", t_dir());
	snprintf(backing, sizeof(backing), "%s/backing", medium);
	snprintf(ballast, sizeof(ballast), "%s/ballast", medium);
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	T_MUST(!mkdir(medium, 0700));
	return !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", medium, "tmpfs", 0, "size=2m");
}

static bool attach_device(void)
{
	char cmd[256];
	int fd = open(backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	FILE *f;

	T_MUST(fd >= 0 && !ftruncate(fd, SIZE) && !fallocate(fd, 0, 0, 1 << 20));
	close(fd);
	snprintf(cmd, sizeof(cmd), "losetup -f --show '%s' 2>/dev/null", backing);
	f = popen(cmd, "re");
	if (!f || !fgets(dev, sizeof(dev), f))
		dev[0] = 0;
	dev[strcspn(dev, "\n")] = 0;
	return f && !pclose(f) && dev[0];
}

static void fill_medium(void)
{
	static const char block[65536];
	int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	T_MUST(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	T_EQ(errno, ENOSPC);
	close(fd);
}

static int write_at(struct t_front *f, uint64_t sector, unsigned char value)
{
	unsigned char data[LEN];

	memset(data, value, sizeof(data));
	return t_front_do(f, 0, VIRTIO_BLK_T_OUT, sector, data, sizeof(data));
}

static int flush(struct t_front *f)
{
	return t_front_do(f, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
}

static void holds(struct t_front *f, uint64_t sector, unsigned char value)
{
	unsigned char data[LEN], want[LEN];

	memset(want, value, sizeof(want));
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_IN, sector, data, sizeof(data)), VIRTIO_BLK_S_OK);
	T_EQ(memcmp(data, want, sizeof(want)), 0);
}

static void fails_and_recovers(struct t_front *f, unsigned char value, bool direct)
{
	T_EQ(write_at(f, GOOD, value), VIRTIO_BLK_S_OK);
	T_EQ(flush(f), VIRTIO_BLK_S_OK);
	fill_medium();
	T_EQ(write_at(f, BAD, value), direct ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	T_EQ(flush(f), direct ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	holds(f, GOOD, value);
	T_EQ(write_at(f, GOOD, (unsigned char)(value + 1)), VIRTIO_BLK_S_OK);
	holds(f, GOOD, (unsigned char)(value + 1));
	T_MUST(!unlink(ballast));
	T_EQ(write_at(f, BAD, value), VIRTIO_BLK_S_OK);
	T_EQ(flush(f), direct ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	holds(f, BAD, value);
}

/* As with a guest that was booted again. */
static void works(struct t_front *f, unsigned char value)
{
	T_EQ(write_at(f, GOOD, (unsigned char)(value + 1)), VIRTIO_BLK_S_OK);
	T_EQ(write_at(f, BAD, value), VIRTIO_BLK_S_OK);
	T_EQ(flush(f), VIRTIO_BLK_S_OK);
}

static bool medium_holds(uint64_t at, unsigned char value)
{
	unsigned char data[LEN], want[LEN];
	int fd = open(backing, O_RDONLY | O_CLOEXEC);
	bool ok;

	memset(want, value, sizeof(want));
	ok = fd >= 0 && pread(fd, data, LEN, (off_t)at) == LEN && !memcmp(data, want, LEN);
	close(fd);
	return ok;
}

/* What the server said is in p->text[2]. */
static void serve(const char *more, unsigned char value, struct t_prog *p, bool well)
{
	char file_opt[128], sock_opt[128];
	const char *args[] = { file_opt, sock_opt, more, NULL };
	struct t_front f;

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", dev);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, MS));
	T_MUST(!t_front_open(&f, sock, WANT, 1, 16));
	if (well)
		works(&f, value);
	else
		fails_and_recovers(&f, value, more && !strcmp(more, "--direct"));
	t_front_close(&f);
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, MS), 0);
}

static void serve_twice(const char *more, unsigned char value)
{
	const bool direct = more && !strcmp(more, "--direct");
	struct t_prog p;

	serve(more, value, &p, false);
	/* names the disk, what failed and where */
	T_OK(strstr(p.text[2], dev));
	T_OK(strstr(p.text[2], direct ? ": write at byte 8388608: " : ": flush at byte 0: "));
	if (t_bad)
		printf("# %s: %s\n", more ? more : "", p.text[2]);
	serve(more, value, &p, true);
	T_STR(p.text[2], "");
	T_OK(medium_holds(GOOD * 512, (unsigned char)(value + 1)));
	T_OK(medium_holds((uint64_t)BAD * 512, value));
}

/* Its room is taken back, so that the next one fails as well. */
static void make_hole(void)
{
	int fd = open(backing, O_RDWR | O_CLOEXEC);

	T_MUST(fd >= 0 && !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20,
				     SIZE - (1 << 20)));
	close(fd);
}

static void a_medium_without_room(void)
{
	static const char *const ways[] = { NULL, "--direct", "--no-io-uring" };
	unsigned int i;

	if (!mount_medium())
		T_SKIP("no file system can be mounted here");
	atexit(give_back);
	if (!attach_device())
		T_SKIP("no loop device to be had");
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		serve_twice(ways[i], (unsigned char)(10 * i + 1));
		make_hole();
	}
}

int main(void)
{
	T_RUN(a_medium_without_room);
	return t_end();
}
