// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk and the library's own front end with an IOMMU between them: the back end asks for what
 * it has to know, the front end answers from its memory or by hand, takes translations back under
 * load, and the data is right.
 */
#include <vhostkit/iotlb.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SECTORS 4096
#define WANT (VHK_F_RING_ALL | VHK_F_ACCESS_PLATFORM | 1ULL << VIRTIO_BLK_F_MQ)

static char sock[100], file_opt[128], sock_opt[128];

static void start(struct t_prog *p, const char *threads)
{
	const char *args[] = { file_opt, sock_opt, "--num-queues=2", threads, NULL };
	char image[100];

	snprintf(image, sizeof(image), "%s/img", t_dir());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, 512 * SECTORS));
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, MS));
}

static void stop(struct t_prog *p)
{
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, 5000), 0);
	if (p->text[2][0])
		printf("# %s", p->text[2]);
}

static void fill(unsigned char *data, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < T_ROOM; i++)
		data[i] = (unsigned char)(n * 7 + i + (i >> 8));
}

/* What is written is read, by turns on each queue. */
static void write_and_read(struct t_front *f, unsigned int n)
{
	static unsigned char data[T_ROOM], back[T_ROOM];
	const uint64_t sector = n % 64 * (T_ROOM / 512);

	fill(data, n);
	T_EQ(t_front_do(f, n % f->n_queues, VIRTIO_BLK_T_OUT, sector, data, T_ROOM), 0);
	T_EQ(t_front_do(f, (n + 1) % f->n_queues, VIRTIO_BLK_T_IN, sector, back, T_ROOM), 0);
	T_EQ(memcmp(data, back, T_ROOM), 0);
}

static void take_back(struct t_front *f, uint64_t iova, uint64_t size)
{
	const struct vhk_iotlb_msg m = { .iova = { iova },
					 .size = size,
					 .type = VHK_IOTLB_INVALIDATE };

	T_EQ(vhk_ctl_iotlb(f->ctl, &m), 0);
}

static void serve(uint64_t want, const char *threads)
{
	struct t_front f;
	struct t_prog p;
	unsigned int n;

	start(&p, threads);
	T_MUST(!t_front_open(&f, sock, want, 2, 128));
	T_OK(vhk_ctl_features(f.ctl) & VHK_F_ACCESS_PLATFORM);
	for (n = 0; n < 100; n++) {
		write_and_read(&f, n);
		if (n % 10 == 3)
			take_back(&f, T_DATA_GPA, T_REQUESTS * sizeof(struct t_shared));
		if (n % 10 == 6)
			take_back(&f, T_RING_GPA, 0x1000000);
		if (n % 10 == 9)
			take_back(&f, 0, 0);
	}
	t_front_close(&f);
	stop(&p);
}

static void split_and_packed(void)
{
	serve(WANT & ~VHK_F_RING_PACKED, "--threads=1");
	serve(WANT, "--threads=2");
}

int main(void)
{
	T_RUN(split_and_packed);
	return t_end();
}
