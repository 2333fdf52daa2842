// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A disk whose queue is suspended: what the medium has begun is waited for, and no more of it is
 * begun. A request that is whole by then is answered, another one given back as it came.
 */
#include "t_blk.h"

#define SECTORS 64

static const struct {
	uint32_t type;
	unsigned int at, n_io;
	bool answered;
} cases[] = {
	/* four pieces */
	{ VIRTIO_BLK_T_IN, 1, 1, false },
	{ VIRTIO_BLK_T_IN, 3, 3, false },
	{ VIRTIO_BLK_T_IN, 4, 4, true },
	{ VIRTIO_BLK_T_OUT, 1, 1, false },
	{ VIRTIO_BLK_T_OUT, 4, 4, true },
	/* three ranges */
	{ VIRTIO_BLK_T_DISCARD, 1, 1, false },
	{ VIRTIO_BLK_T_DISCARD, 3, 3, true },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 2, 2, false },
	{ VIRTIO_BLK_T_FLUSH, 1, 1, true },
};

static void write_request(unsigned char *out, uint32_t type)
{
	const struct virtio_blk_outhdr hdr = t_header(type, 8);
	struct virtio_blk_discard_write_zeroes seg = { 0 };
	unsigned int i;

	memset(out, 0x77, 16 + 4096);
	memcpy(out, &hdr, sizeof(hdr));
	for (i = 0; i < 3; i++) {
		seg.sector = htole64(16 + 8 * i);
		seg.num_sectors = htole32(8);
		if (type != VIRTIO_BLK_T_OUT)
			memcpy(out + 16 + 16 * i, &seg, sizeof(seg));
	}
}

static void run(unsigned int k)
{
	const bool is_in = cases[k].type == VIRTIO_BLK_T_IN;
	const bool out = cases[k].type == VIRTIO_BLK_T_OUT;
	const bool flush = cases[k].type == VIRTIO_BLK_T_FLUSH;
	/* segments that no piece ends with */
	const int out_len[] = { 16, out ? 700 : 48, 4096 - 700 };
	const int in_len[] = { 700, 4096 - 700 + 1 };
	const int status[] = { 1 };
	unsigned char bytes[16 + 4096];
	struct vhk_device *d;
	struct t_chain t;
	char path[128];

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	d = t_disk(path, 0, 0);
	write_request(bytes, cases[k].type);
	t_chain_make(&t, bytes, out_len, is_in || flush ? 1 : out ? 3 : 2, is_in ? in_len : status,
		     is_in ? 2 : 1);
	t_medium.most = 1024;
	t_medium.suspend_at = cases[k].at;
	d->ops.work(d->priv, &t_queue, &t.c, 1);
	T_EQ(t_medium.n, cases[k].n_io);
	T_EQ(t_queue.done, cases[k].answered);
	T_EQ(t_queue.given_back, !cases[k].answered);
	T_OK(t_queue.answered == t.c);
	T_EQ(memcmp(t.seg, t.was, sizeof(t.seg)), 0);
	t_chain_free(&t);
	t_disk_free(d);
}

static void nothing_more_is_begun(void)
{
	unsigned int k;
	int bad;

	for (k = 0; k < vhk_array_size(cases); k++) {
		bad = t_bad;
		run(k);
		if (t_bad != bad)
			printf("# case %u\n", k);
	}
}

int main(void)
{
	T_RUN(nothing_more_is_begun);
	return t_end();
}
