// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Images that vhk-blk reads, and in memory writes, through a mapping where it may: what others
 * write is seen, holes stay holes, and an image that is cut short under it ends nothing.
 */
#include <sys/stat.h>
#include <sys/vfs.h>

#include "t_front.h"
#include "t_prog.h"

#define SIZE (1u << 20)
#define SECTORS (SIZE / 512)
#define TMPFS 0x01021994

static char image[100], sock[100], file_opt[128], sock_opt[128];
static int image_fd;

static bool in_memory(void)
{
	struct statfs fs;

	return !statfs("/dev/shm", &fs) && fs.f_type == TMPFS;
}

static void start(struct t_prog *p, struct t_front *f, const char *folder, bool whole)
{
	const char *args[T_ARGS + 1] = { file_opt, sock_opt };
	unsigned char block[4096];
	unsigned int i;

	snprintf(image, sizeof(image), "%s/vhk-test-mapped-%d.img", folder, getpid());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	image_fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	T_MUST(image_fd >= 0 && !ftruncate(image_fd, SIZE));
	for (i = 0; whole && i < SIZE / 4096; i++) {
		memset(block, (int)i, sizeof(block));
		T_MUST(pwrite(image_fd, block, sizeof(block), i * 4096) == 4096);
	}
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, 10000));
	T_MUST(!t_front_open(f, sock, VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_DISCARD, 1, 64));
}

static void stop(struct t_prog *p, struct t_front *f)
{
	t_front_close(f);
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, 5000), 0);
	close(image_fd);
	unlink(image);
}

static long blocks(void)
{
	struct stat st;

	T_MUST(!fstat(image_fd, &st));
	return (long)st.st_blocks;
}

/* Reads the block of 4 KiB at @at; each byte of it is @want. */
static void read_block(struct t_front *f, unsigned int at, unsigned char want)
{
	unsigned char data[4096];
	unsigned int i, wrong = 0;

	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_IN, at * 8, data, sizeof(data)), 0);
	for (i = 0; i < sizeof(data); i++)
		wrong += data[i] != want;
	T_EQ(wrong, 0);
}

/* On a disk the second reading is the one from the mapping. */
static void reads_what_is_in(const char *folder)
{
	unsigned char data[4096];
	struct t_front f;
	struct t_prog p;
	unsigned int i;

	start(&p, &f, folder, true);
	for (i = 0; i < SIZE / 4096; i += 7)
		read_block(&f, i, (unsigned char)i);
	for (i = 0; i < SIZE / 4096; i += 7)
		read_block(&f, i, (unsigned char)i);
	memset(data, 0xa5, sizeof(data));
	T_EQ(pwrite(image_fd, data, sizeof(data), 5 * 4096), 4096);
	read_block(&f, 5, 0xa5);
	memset(data, 0x5a, sizeof(data));
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 6 * 8, data, sizeof(data)), 0);
	read_block(&f, 6, 0x5a);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, SECTORS, data, 512), VIRTIO_BLK_S_IOERR);
	stop(&p, &f);
}

static void reads_what_is_in_memory(void)
{
	if (!in_memory())
		T_SKIP("/dev/shm is no tmpfs");
	reads_what_is_in("/dev/shm");
}

static void reads_what_is_on_disk(void)
{
	reads_what_is_in(t_dir());
}

static void holes_stay_holes(void)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = htole64(64),
							 .num_sectors = htole32(128) };
	struct t_front f;
	struct t_prog p;
	unsigned int i;
	long left;

	if (!in_memory())
		T_SKIP("/dev/shm is no tmpfs");
	start(&p, &f, "/dev/shm", false);
	for (i = 0; i < SIZE / 4096; i += 3)
		read_block(&f, i, 0);
	T_EQ(blocks(), 0);
	stop(&p, &f);
	start(&p, &f, "/dev/shm", true);
	read_block(&f, 9, 9);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_DISCARD, 0, &range, sizeof(range)), 0);
	left = blocks();
	T_OK(left < (long)SECTORS);
	read_block(&f, 9, 0);
	T_EQ(blocks(), left);
	stop(&p, &f);
}

/* Whatever is answered, it is answered, and the server goes on. */
static void cut_short_in(const char *folder)
{
	unsigned char data[4096];
	struct t_front f;
	struct t_prog p;
	unsigned int i;

	start(&p, &f, folder, true);
	for (i = 0; i < SIZE / 4096; i++)
		read_block(&f, i, (unsigned char)i);
	T_MUST(!ftruncate(image_fd, 8192));
	for (i = 0; i < 50; i++)
		T_OK(t_front_do(&f, 0, VIRTIO_BLK_T_IN, i * 40, data, sizeof(data)) >= 0);
	read_block(&f, 1, 1);
	stop(&p, &f);
}

static void cut_short_in_memory(void)
{
	if (!in_memory())
		T_SKIP("/dev/shm is no tmpfs");
	cut_short_in("/dev/shm");
}

static void cut_short_on_disk(void)
{
	cut_short_in(t_dir());
}

/* In the middle of a page: a copy there meets no fault, and yet would go nowhere. */
static void no_write_behind_the_end_is_lost(void)
{
	unsigned char data[4096], back[512];
	struct t_front f;
	struct t_prog p;

	if (!in_memory())
		T_SKIP("/dev/shm is no tmpfs");
	start(&p, &f, "/dev/shm", true);
	T_MUST(!ftruncate(image_fd, SIZE - 1024));
	memset(data, 0x5a, sizeof(data));
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, SECTORS - 1, data, 512), 0);
	T_EQ(pread(image_fd, back, sizeof(back), SIZE - 512), 512);
	T_EQ(memcmp(back, data, sizeof(back)), 0);
	stop(&p, &f);
}

int main(void)
{
	T_RUN(reads_what_is_in_memory);
	T_RUN(reads_what_is_on_disk);
	T_RUN(holes_stay_holes);
	T_RUN(cut_short_in_memory);
	T_RUN(cut_short_on_disk);
	T_RUN(no_write_behind_the_end_is_lost);
	return t_end();
}
