// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * O_DIRECT: memory that suits it goes straight to the medium, any other through a buffer, with the
 * same bytes in the end; units smaller than the medium's are refused.
 */
#include "t_blk.h"

#define SECTORS 1024
#define MEM (1 << 20)
#define OK VIRTIO_BLK_S_OK
#define ERR VIRTIO_BLK_S_IOERR

static char path[128];
static const char *why_not;

static void make_image(void)
{
	int fd;

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	why_not = fd < 0 ? "no O_DIRECT on the file system of /var/tmp" : NULL;
	if (fd >= 0)
		close(fd);
}

/*
 * One request on @n segments in @mem, each @len long and @gap apart, the first @skew into a page.
 */
static uint8_t move(struct vhk_device *d, uint32_t type, uint64_t sector, unsigned char *mem,
		    unsigned int n, size_t len, size_t gap)
{
	struct virtio_blk_outhdr hdr = t_header(type, sector);
	struct iovec seg[T_SEGS];
	bool read = type == VIRTIO_BLK_T_IN;
	struct vhk_chain *c;
	uint8_t status = 99;
	unsigned int i;

	c = aligned_alloc(16, vhk_align_up(sizeof(*c) + sizeof(struct vhk_blk_req), 16));
	T_MUST(c);
	*c = (struct vhk_chain){ .seg = seg, .n_out = 1, .n_in = 1, .out_len = 16, .in_len = 1 };
	seg[0] = (struct iovec){ &hdr, sizeof(hdr) };
	for (i = 0; i < n; i++)
		seg[1 + i] = (struct iovec){ mem + i * gap, len };
	seg[1 + n] = (struct iovec){ &status, 1 };
	*(read ? &c->n_in : &c->n_out) += (uint16_t)n;
	*(read ? &c->in_len : &c->out_len) += (uint32_t)(n * len);
	t_medium.n = 0;
	d->ops.work(d->priv, &t_queue, &c, 1);
	T_OK(t_queue.answered == c);
	if (status == VIRTIO_BLK_S_OK)
		T_EQ(t_queue.written, read ? n * len + 1 : 1);
	free(c);
	return status;
}

static const struct {
	size_t skew, len, gap;
	unsigned int n;
	bool bounced;
} ways[] = {
	{ 0, 4096, 4096, 1, false },   { 0, 512, 512, 1, false },    { 0, 4096, 8192, 8, false },
	{ 512, 4096, 8192, 8, false }, { 1, 4096, 4096, 1, true },   { 8, 512, 1024, 4, true },
	{ 0, 256, 512, 4, true },      { 100, 100, 200, 128, true }, { 3, 65536, 66000, 5, true },
};

/* Byte @b of segment @k of way @i. */
static unsigned char content(unsigned int i, unsigned int k, size_t b)
{
	return (unsigned char)(i + 3 * k + 7 * b);
}

static void put_content(unsigned char *mem, unsigned int i)
{
	unsigned int k;
	size_t b;

	for (k = 0; k < ways[i].n; k++)
		for (b = 0; b < ways[i].len; b++)
			mem[k * ways[i].gap + b] = content(i, k, b);
}

static void check_content(const unsigned char *mem, unsigned int i)
{
	unsigned int k;
	size_t b;

	for (k = 0; k < ways[i].n; k++)
		for (b = 0; b < ways[i].len; b++)
			if (mem[k * ways[i].gap + b] != content(i, k, b))
				T_EQ(mem[k * ways[i].gap + b], content(i, k, b));
}

static void one_way(struct vhk_device *d, unsigned char *mem, unsigned int i)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_IN };
	unsigned int t, k;

	memset(mem, 0xee, MEM);
	put_content(mem + ways[i].skew, i);
	for (t = 0; t < 2; t++) {
		T_EQ(move(d, types[t], 8, mem + ways[i].skew, ways[i].n, ways[i].len, ways[i].gap),
		     OK);
		for (k = 0; k < t_medium.n; k++)
			T_OK(t_medium.io[k].aligned);
		if (!t)
			memset(mem, 0, MEM);
	}
	check_content(mem + ways[i].skew, i);
}

static void every_way_moves_the_same_bytes(void)
{
	struct vhk_device *d;
	unsigned char *mem;
	struct vhk_blk_stats s;
	unsigned int i, bounced = 0;
	int bad;

	make_image();
	if (why_not)
		T_SKIP(why_not);
	T_MUST(!posix_memalign((void **)&mem, 4096, MEM));
	d = t_disk(path, VHK_BLK_F_DIRECT, 0);
	T_EQ(((struct vhk_blk *)d->priv)->file.direct, true);
	if (((struct vhk_blk *)d->priv)->file.io_align > 512)
		T_SKIP("the medium's units are larger than sectors");
	for (i = 0; i < vhk_array_size(ways); i++) {
		bad = t_bad;
		one_way(d, mem, i);
		bounced += 2 * ways[i].bounced;
		T_EQ(vhk_blk_stats(d, 0, &s), 0);
		T_EQ(s.bounced, bounced);
		if (t_bad != bad)
			printf("# way %u\n", i);
	}
	t_disk_free(d);
	free(mem);
}

static void a_failing_medium_fails_the_bounced_request(void)
{
	struct vhk_device *d;
	unsigned char *mem;

	make_image();
	if (why_not)
		T_SKIP(why_not);
	T_MUST(!posix_memalign((void **)&mem, 4096, MEM));
	d = t_disk(path, VHK_BLK_F_DIRECT, 0);
	memset(mem, 0xee, MEM);
	t_medium.fault[1] = -EIO;
	T_EQ(move(d, VIRTIO_BLK_T_IN, 0, mem + 4, 1, 3 * BOUNCE_MAX, 0), ERR);
	T_EQ(t_medium.n, 2);
	/* what came before the fault is there, and nobody says that the rest were */
	T_EQ(t_queue.written, BOUNCE_MAX);
	T_EQ(mem[4 + BOUNCE_MAX - 2], 0);
	T_EQ(mem[4], 1);
	T_EQ(mem[4 + BOUNCE_MAX], 0xee);
	T_EQ(move(d, VIRTIO_BLK_T_OUT, 0, mem + 4, 1, 3 * BOUNCE_MAX, 0), ERR);
	t_disk_free(d);
	free(mem);
}

static void units_below_the_medium_are_refused(void)
{
	struct vhk_device *d;
	struct vhk_blk *blk;
	unsigned char *mem;

	make_image();
	if (why_not)
		T_SKIP(why_not);
	T_MUST(!posix_memalign((void **)&mem, 4096, 8192));
	d = t_disk(path, VHK_BLK_F_DIRECT, 0);
	blk = d->priv;
	blk->file.io_align = 4096;
	memset(mem, 0, 8192);
	T_EQ(move(d, VIRTIO_BLK_T_IN, 0, mem, 1, 512, 0), ERR);
	T_EQ(move(d, VIRTIO_BLK_T_IN, 1, mem, 1, 4096, 0), ERR);
	T_EQ(move(d, VIRTIO_BLK_T_OUT, 1, mem, 1, 4096, 0), ERR);
	T_EQ(t_medium.n, 0);
	T_EQ(move(d, VIRTIO_BLK_T_IN, 8, mem, 1, 4096, 0), OK);
	t_disk_free(d);
	free(mem);
}

static void a_file_that_ends_inside_a_unit_ends_in_zeros(void)
{
	struct vhk_device *d;
	unsigned char *mem;
	unsigned int i;

	make_image();
	if (why_not)
		T_SKIP(why_not);
	T_MUST(!posix_memalign((void **)&mem, 4096, 8192));
	d = t_disk(path, VHK_BLK_F_DIRECT, 0);
	T_MUST(!truncate(path, 512 * (SECTORS - 4) + 100));
	memset(mem, 0xee, 8192);
	T_EQ(move(d, VIRTIO_BLK_T_IN, SECTORS - 8, mem, 1, 4096, 0), OK);
	T_EQ(mem[2047], (SECTORS - 5) >> 8);
	for (i = 2048 + 100; i < 4096; i++)
		T_EQ(mem[i], 0);
	t_disk_free(d);
	free(mem);
}

int main(void)
{
	T_RUN(every_way_moves_the_same_bytes);
	T_RUN(a_failing_medium_fails_the_bounced_request);
	T_RUN(units_below_the_medium_are_refused);
	T_RUN(a_file_that_ends_inside_a_unit_ends_in_zeros);
	return t_end();
}
