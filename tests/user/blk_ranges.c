// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Discard and write zeroes: flags, ranges, several of them in one request, and that a request with
 * one bad range changes nothing.
 */
#include "t_blk.h"

#define SECTORS 64
#define OK VIRTIO_BLK_S_OK
#define ERR VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP
#define DISCARD VIRTIO_BLK_T_DISCARD
#define ZEROES VIRTIO_BLK_T_WRITE_ZEROES
#define UNMAP VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

static const char *image(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	return path;
}

struct range {
	uint64_t sector;
	uint32_t n, flags;
};

/* The ranges, header included, cut into two segments in the middle of one. */
static uint8_t ask(struct vhk_device *d, uint32_t type, const struct range *r, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes seg;
	unsigned char out[16 + 16 * 80];
	struct virtio_blk_outhdr hdr = t_header(type, 0);
	int out_len[] = { 16 + 9, (int)(16 * n) - 9 }, in_len[] = { 1 };
	struct t_chain t;
	unsigned int i;
	uint8_t status;

	memcpy(out, &hdr, sizeof(hdr));
	for (i = 0; i < n; i++) {
		seg.sector = htole64(r[i].sector);
		seg.num_sectors = htole32(r[i].n);
		seg.flags = htole32(r[i].flags);
		memcpy(out + 16 + 16 * i, &seg, sizeof(seg));
	}
	t_chain_make(&t, out, out_len, 2, in_len, 1);
	t_chain_run(d, &t);
	status = *(uint8_t *)t.seg[2].iov_base;
	t_chain_free(&t);
	return status;
}

static void each_range_is_judged(void)
{
	static const struct {
		uint32_t type;
		struct range r[3];
		unsigned int n;
		uint8_t want;
		unsigned int ops;
	} cases[] = {
		{ DISCARD, { { 0, 8, 0 } }, 1, OK, 1 },
		{ DISCARD, { { 0, SECTORS, 0 } }, 1, OK, 1 },
		{ DISCARD, { { 0, 8, 0 }, { 16, 8, 0 }, { 32, 8, 0 } }, 3, OK, 3 },
		{ DISCARD, { { 0, 0, 0 } }, 1, OK, 0 },
		{ DISCARD, { { 0, 8, 0 }, { 8, 0, 0 }, { 16, 8, 0 } }, 3, OK, 2 },
		{ DISCARD, { { 0, 8, UNMAP } }, 1, UNSUPP, 0 },
		{ DISCARD, { { 0, 8, 2 } }, 1, UNSUPP, 0 },
		{ DISCARD, { { 0, 8, 0x80000000u } }, 1, UNSUPP, 0 },
		{ DISCARD, { { 1, SECTORS, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { SECTORS, 1, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { SECTORS, 0, 0 } }, 1, OK, 0 },
		{ DISCARD, { { SECTORS + 1, 0, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { UINT64_MAX, 1, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { UINT64_MAX - 7, 8, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { 1ULL << 55, 8, 0 } }, 1, ERR, 0 },
		{ DISCARD, { { 0, UINT32_MAX, 0 } }, 1, ERR, 0 },
		/* the last is bad, so the first is left alone */
		{ DISCARD, { { 0, 8, 0 }, { 8, 8, 0 }, { SECTORS, 8, 0 } }, 3, ERR, 0 },
		{ DISCARD, { { 0, 8, 0 }, { 8, 8, 4 } }, 2, UNSUPP, 0 },
		{ ZEROES, { { 0, 8, 0 } }, 1, OK, 1 },
		{ ZEROES, { { 0, 8, UNMAP } }, 1, OK, 1 },
		{ ZEROES, { { 0, 8, UNMAP | 2 } }, 1, UNSUPP, 0 },
		{ ZEROES, { { 3, 1, 0 }, { 5, 2, UNMAP } }, 2, OK, 2 },
		{ ZEROES, { { 60, 5, 0 } }, 1, ERR, 0 },
		{ ZEROES, { { UINT64_MAX, UINT32_MAX, 0 } }, 1, ERR, 0 },
		{ ZEROES, { { 0, 8, 0 }, { UINT64_MAX, 2, 0 } }, 2, ERR, 0 },
	};
	struct vhk_device *d;
	unsigned int i;
	int bad;

	for (i = 0; i < vhk_array_size(cases); i++) {
		bad = t_bad;
		d = t_disk(image(), 0, 0);
		T_EQ(ask(d, cases[i].type, cases[i].r, cases[i].n), cases[i].want);
		T_EQ(t_medium.n, cases[i].ops);
		t_disk_free(d);
		if (t_bad != bad)
			printf("# case %u\n", i);
	}
}

static void zeros_are_read_where_zeros_were_asked_for(void)
{
	static const struct range r[] = { { 3, 2, 0 }, { 8, 16, UNMAP }, { 63, 1, 0 } };
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char data[512 * SECTORS];
	unsigned int i, want;
	int fd;

	T_EQ(ask(d, ZEROES, r, 3), OK);
	fd = open(d->priv ? ((struct vhk_blk *)d->priv)->path : "", O_RDONLY | O_CLOEXEC);
	T_EQ(pread(fd, data, sizeof(data), 0), sizeof(data));
	for (i = 0; i < SECTORS; i++) {
		want = (i >= 3 && i < 5) || (i >= 8 && i < 24) || i == 63 ? 0 : i + 1;
		T_EQ(data[512 * i], want);
		T_EQ(data[512 * i + 510], want);
	}
	close(fd);
	t_disk_free(d);
}

static void unmapping_is_tried_and_done_without(void)
{
	static const struct range one = { 8, 8, UNMAP };
	struct vhk_device *d = t_disk(image(), 0, 0);

	T_EQ(ask(d, ZEROES, &one, 1), OK);
	T_EQ(t_medium.io[0].op, VHK_IO_PUNCH);
	t_medium.fault[0] = -EOPNOTSUPP;
	T_EQ(ask(d, ZEROES, &one, 1), OK);
	T_EQ(t_medium.n, 2);
	T_EQ(t_medium.io[1].op, VHK_IO_ZERO);
	t_medium.fault[1] = -EOPNOTSUPP;
	T_EQ(ask(d, ZEROES, &one, 1), UNSUPP);
	t_disk_free(d);
}

static void the_medium_may_fail_at_any_range(void)
{
	static const struct range r[] = { { 0, 8, 0 }, { 8, 8, 0 }, { 16, 8, 0 } };
	struct vhk_device *d;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		d = t_disk(image(), 0, 0);
		t_medium.fault[i] = -EIO;
		T_EQ(ask(d, DISCARD, r, 3), ERR);
		T_EQ(t_medium.n, i + 1);
		t_medium.fault[i] = -EOPNOTSUPP;
		T_EQ(ask(d, DISCARD, r, 3), UNSUPP);
		t_disk_free(d);
	}
}

static void most_ranges_at_once(void)
{
	struct range r[VHK_BLK_RANGES + 1] = { { 0, 0, 0 } };
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned int i;

	for (i = 0; i <= VHK_BLK_RANGES; i++)
		r[i] = (struct range){ i % SECTORS, 1, 0 };
	T_EQ(ask(d, ZEROES, r, VHK_BLK_RANGES), OK);
	T_EQ(t_medium.n, VHK_BLK_RANGES);
	T_EQ(ask(d, ZEROES, r, VHK_BLK_RANGES + 1), ERR);
	T_EQ(t_medium.n, 0);
	t_disk_free(d);
}

static void what_was_not_negotiated_is_not_done(void)
{
	static const struct range one = { 8, 8, 0 };
	struct vhk_device *d = t_disk(image(), 0, VHK_BLK_F(DISCARD) | VHK_BLK_F(WRITE_ZEROES));

	T_EQ(ask(d, DISCARD, &one, 1), UNSUPP);
	T_EQ(ask(d, ZEROES, &one, 1), UNSUPP);
	T_EQ(t_medium.n, 0);
	t_disk_free(d);
}

int main(void)
{
	T_RUN(each_range_is_judged);
	T_RUN(zeros_are_read_where_zeros_were_asked_for);
	T_RUN(unmapping_is_tried_and_done_without);
	T_RUN(the_medium_may_fail_at_any_range);
	T_RUN(most_ranges_at_once);
	T_RUN(what_was_not_negotiated_is_not_done);
	return t_end();
}
