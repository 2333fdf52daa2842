// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A block device as image: its limits reach the driver, zeros and discards reach the device, and so
 * does a new size.
 */
#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (1 << 20)
#define WANT                                                                                       \
	(VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_DISCARD |              \
	 1ULL << VIRTIO_BLK_F_WRITE_ZEROES)

static char backing[100], dev[64], sock[100];

/* The first line that @cmd prints; empty where it fails. */
static void line_of(const char *cmd, char *to, size_t size)
{
	FILE *f = popen(cmd, "re");

	to[0] = 0;
	if (!f)
		return;
	if (fgets(to, (int)size, f))
		to[strcspn(to, "\n")] = 0;
	if (pclose(f))
		to[0] = 0;
}

static void give_back(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "losetup -d '%s'", dev);
	if (dev[0] && system(cmd))
		fprintf(stderr, "%s: left behind\n", dev);
}

static void loop_device(void)
{
	char cmd[256];

	snprintf(backing, sizeof(backing), "%s/backing", t_dir());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	T_MUST(!close(open(backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	T_MUST(!truncate(backing, SIZE));
	snprintf(cmd, sizeof(cmd), "losetup -f --show --sector-size 4096 '%s' 2>/dev/null",
		 backing);
	line_of(cmd, dev, sizeof(dev));
	atexit(give_back);
}

static void run(const char *fmt, const char *arg)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), fmt, arg);
	T_EQ(system(cmd), 0);
}

static void limits(struct t_front *f)
{
	struct virtio_blk_config c;

	T_EQ(vhk_ctl_get_config(f->ctl, 0, &c, 60), 0);
	T_EQ(le64toh(c.capacity), SIZE / 512);
	T_EQ(le32toh(c.blk_size), 4096);
	T_OK(vhk_ctl_features(f->ctl) & 1ULL << VIRTIO_BLK_F_WRITE_ZEROES);
}

static void contents(struct t_front *f)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = htole64(8),
							 .num_sectors = htole32(8) };
	unsigned char data[8192], zero[4096] = { 0 };

	memset(data, 5, sizeof(data));
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_OUT, 8, data, sizeof(data)), 0);
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, &range, sizeof(range)), 0);
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_IN, 8, data, sizeof(data)), 0);
	T_EQ(memcmp(data, zero, 4096), 0);
	T_EQ(data[4096], 5);
	if (vhk_ctl_features(f->ctl) & 1ULL << VIRTIO_BLK_F_DISCARD)
		T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_DISCARD, 0, &range, sizeof(range)), 0);
}

static void grows(struct t_front *f)
{
	int64_t until = (int64_t)t_now_ns() + 5 * T_SECOND;
	unsigned char data[4096];

	T_MUST(!truncate(backing, 2 * SIZE));
	run("losetup -c '%s'", dev);
	while (!f->n_config && (int64_t)t_now_ns() < until) {
		t_readable(vhk_ctl_fd(f->ctl), 100);
		vhk_ctl_process(f->ctl);
	}
	T_EQ(f->n_config, 1);
	T_EQ(t_front_do(f, 0, VIRTIO_BLK_T_IN, SIZE / 512, data, 4096), 0);
}

static void serve(const char *more)
{
	char file_opt[128], sock_opt[128];
	const char *args[] = { file_opt, sock_opt, more, NULL };
	struct t_front f;
	struct t_prog p;

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", dev);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(&p, "vhk-blk", args);
	T_MUST(t_prog_ready(&p, MS));
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	limits(&f);
	contents(&f);
	grows(&f);
	t_front_close(&f);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 2000), 0);
	T_STR(p.text[2], "");
}

static void a_block_device_is_served(void)
{
	static const char *const ways[] = { NULL, "--direct", "--no-io-uring" };
	unsigned int i;

	loop_device();
	if (!dev[0])
		T_SKIP("no loop device to be had");
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		serve(ways[i]);
		T_MUST(!truncate(backing, SIZE));
		run("losetup -c '%s'", dev);
	}
}

int main(void)
{
	T_RUN(a_block_device_is_served);
	return t_end();
}
