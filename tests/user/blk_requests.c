// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every kind of disk request in every shape, good and bad: what status it gets, what it does to the
 * image, and what the driver may read afterwards.
 */
#include "t_blk.h"

#define SECTORS 64
#define OK VIRTIO_BLK_S_OK
#define ERR VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP
#define FAILS 200 /* the ring */
#define IN VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT
#define FLUSH VIRTIO_BLK_T_FLUSH
#define GET_ID VIRTIO_BLK_T_GET_ID
#define DISCARD VIRTIO_BLK_T_DISCARD
#define ZEROES VIRTIO_BLK_T_WRITE_ZEROES
#define END 0x7fffffff
#define NOWHERE -1

static const char *image(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	return path;
}

static unsigned int n_of(const int *len)
{
	unsigned int n = 0;

	while (n < 6 && len[n] != END)
		n++;
	return n;
}

struct shape {
	uint32_t type;
	uint64_t sector;
	int out[6], in[6];
	int want;
	unsigned int ops; /* on the medium */
};

#define L(...)                                                                                     \
	{                                                                                          \
		__VA_ARGS__, END                                                                   \
	}
#define NONE                                                                                       \
	{                                                                                          \
		END                                                                                \
	}

static const struct shape shapes[] = {
	/* reads: layout */
	{ IN, 0, L(16), L(512, 1), OK, 1 },
	{ IN, 0, L(16), L(513), OK, 1 },
	{ IN, 0, L(16), L(1, 512), OK, 1 },
	{ IN, 0, L(1, 15), L(100, 412, 1), OK, 1 },
	{ IN, 0, L(4, 4, 4, 4), L(512, 1, 0), OK, 1 },
	{ IN, 0, L(0, 16, 0), L(0, 512, 0, 1), OK, 1 },
	{ IN, 0, L(16, 100), L(512, 1), OK, 1 },
	{ IN, 3, L(16), L(4096, 4096, 1), OK, 1 },
	/* no header, no status, no place for it */
	{ IN, 0, NONE, L(512, 1), ERR, 0 },
	{ IN, 0, L(15), L(512, 1), ERR, 0 },
	{ IN, 0, L(8, 7), L(512, 1), ERR, 0 },
	{ IN, 0, L(0), L(1), ERR, 0 },
	{ IN, 0, L(16), NONE, FAILS, 0 },
	{ IN, 0, L(16), L(0, 0), FAILS, 0 },
	{ OUT, 0, L(16, 512), NONE, FAILS, 0 },
	{ IN, 0, L(16), L(512, NOWHERE), FAILS, 0 },
	{ IN, 0, L(16), L(NOWHERE, 1), ERR, 0 },
	{ IN, 0, L(NOWHERE), L(512, 1), ERR, 0 },
	{ OUT, 0, L(16, NOWHERE), L(1), ERR, 0 },
	/* reads: length and place */
	{ IN, 0, L(16), L(1), OK, 0 },
	{ IN, 0, L(16), L(511, 1), ERR, 0 },
	{ IN, 0, L(16), L(512), ERR, 0 },
	{ IN, 0, L(16), L(1024), ERR, 0 },
	{ IN, SECTORS - 1, L(16), L(512, 1), OK, 1 },
	{ IN, SECTORS - 1, L(16), L(1024, 1), ERR, 0 },
	{ IN, SECTORS, L(16), L(1), OK, 0 },
	{ IN, SECTORS, L(16), L(512, 1), ERR, 0 },
	{ IN, SECTORS + 1, L(16), L(1), ERR, 0 },
	{ IN, UINT64_MAX, L(16), L(512, 1), ERR, 0 },
	{ IN, UINT64_MAX / 512 + 1, L(16), L(512, 1), ERR, 0 },
	{ IN, 1ULL << 55, L(16), L(512, 1), ERR, 0 },
	{ IN, INT64_MAX, L(16), L(1024, 1), ERR, 0 },
	/* writes */
	{ OUT, 5, L(16, 512), L(1), OK, 1 },
	{ OUT, 5, L(528), L(1), OK, 1 },
	{ OUT, 5, L(10, 10, 508), L(1), OK, 1 },
	{ OUT, 5, L(16, 512), L(4, 1), OK, 1 },
	{ OUT, 5, L(16), L(1), OK, 0 },
	{ OUT, 5, L(16, 511), L(1), ERR, 0 },
	{ OUT, 5, L(16, 513), L(1), ERR, 0 },
	{ OUT, SECTORS - 1, L(16, 1024), L(1), ERR, 0 },
	{ OUT, UINT64_MAX, L(16, 512), L(1), ERR, 0 },
	/* the others */
	{ FLUSH, 0, L(16), L(1), OK, 1 },
	{ FLUSH, UINT64_MAX, L(16), L(1), OK, 1 },
	{ FLUSH, 0, L(16, 512), L(7, 1), OK, 1 },
	{ GET_ID, 0, L(16), L(20, 1), OK, 0 },
	{ GET_ID, 0, L(16), L(21), OK, 0 },
	{ GET_ID, 0, L(16), L(1, 1), OK, 0 },
	{ GET_ID, 0, L(16), L(40, 1), OK, 0 },
	{ GET_ID, 0, L(16), L(1), ERR, 0 },
	{ 2, 0, L(16), L(512, 1), UNSUPP, 0 },
	{ 3, 0, L(16, 512), L(1), UNSUPP, 0 },
	{ 14, 0, L(16, 16), L(1), UNSUPP, 0 },
	{ IN | 0x80000000u, 0, L(16), L(512, 1), UNSUPP, 0 },
	{ 0x100, 0, L(16), L(512, 1), UNSUPP, 0 },
	{ UINT32_MAX, 0, L(16), L(1), UNSUPP, 0 },
	/* ranges: lengths only; contents have a test of their own */
	{ DISCARD, 0, L(16), L(1), ERR, 0 },
	{ DISCARD, 0, L(16, 15), L(1), ERR, 0 },
	{ DISCARD, 0, L(16, 17), L(1), ERR, 0 },
	{ ZEROES, 0, L(16), L(1), ERR, 0 },
	{ ZEROES, 0, L(16, 8), L(1), ERR, 0 },
	{ ZEROES, 0, L(16, 16 * VHK_BLK_RANGES, 16), L(1), ERR, 0 },
};

/* Of @room bytes in front of the status. */
static size_t filled_by(const struct shape *s, size_t room)
{
	if (s->want != OK)
		return 0;
	if (s->type == IN)
		return room;
	return s->type == GET_ID ? vhk_min(room, (size_t)VIRTIO_BLK_ID_BYTES) : 0;
}

static void run_shape(struct vhk_device *d, const struct shape *s)
{
	unsigned char out[4096] = { 0 }, in[16384];
	struct virtio_blk_outhdr hdr = t_header(s->type, s->sector);
	size_t i, n, filled;
	struct t_chain t;

	memcpy(out, &hdr, sizeof(hdr));
	t_chain_make(&t, out, s->out, n_of(s->out), s->in, n_of(s->in));
	t_chain_run(d, &t);
	T_EQ(t_queue.failed, s->want == FAILS);
	T_EQ(t_medium.n, s->ops);
	if (s->want != FAILS) {
		n = t_chain_in(&t, in, sizeof(in));
		T_EQ(in[n - 1], s->want);
		filled = filled_by(s, n - 1);
		T_EQ(t_queue.written, filled == n - 1 ? n : filled);
		/* what is said to be written is, and nothing else */
		for (i = 0; i < n - 1; i++)
			T_EQ(in[i] == 0xee, i >= filled && in[i] != 0xdd);
	} else {
		T_EQ(t_queue.written, 0);
	}
	t_chain_free(&t);
}

static void every_shape_gets_its_status(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned int i;
	int bad;

	for (i = 0; i < vhk_array_size(shapes); i++) {
		bad = t_bad;
		run_shape(d, &shapes[i]);
		if (t_bad != bad)
			printf("# shape %u: type %u\n", i, shapes[i].type);
	}
	t_disk_free(d);
}

/* Cuts [0, len) into pieces at random places. */
static unsigned int cut(int *piece, unsigned int max, int len, unsigned int *seed)
{
	unsigned int n = 0;
	int part;

	while (len) {
		part = n + 1 == max ? len
				    : (int)(1 + (unsigned int)rand_r(seed) % (unsigned int)len);
		if (rand_r(seed) % 3 == 0 && n + 1 < max)
			part = 0;
		piece[n++] = part;
		len -= part;
	}
	return n;
}

static void any_layout_moves_the_same_bytes(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char out[16 + 2048], in[2049], want[2048];
	struct virtio_blk_outhdr hdr;
	int piece_out[20], piece_in[20];
	unsigned int seed = 1, i, k, n_out, n_in;
	struct t_chain t;

	for (i = 0; i < 2000; i++) {
		uint64_t sector = i % (SECTORS - 4);

		for (k = 0; k < sizeof(want); k++)
			want[k] = (unsigned char)rand_r(&seed);
		hdr = t_header(OUT, sector);
		memcpy(out, &hdr, sizeof(hdr));
		memcpy(out + sizeof(hdr), want, sizeof(want));
		n_out = cut(piece_out, 20, sizeof(out), &seed);
		t_chain_make(&t, out, piece_out, n_out, (int[]){ 1 }, 1);
		/* short transfers now and then, at places that no segment ends at */
		t_medium.most = i % 3 ? 0 : 1 + (uint64_t)rand_r(&seed) % 1000;
		if (t_medium.most && t_medium.most < 64)
			t_medium.most = 64;
		t_chain_run(d, &t);
		T_EQ(*(unsigned char *)t.seg[n_out].iov_base, OK);
		t_chain_free(&t);

		hdr = t_header(IN, sector);
		n_out = cut(piece_out, 20, sizeof(hdr), &seed);
		n_in = cut(piece_in, 20, sizeof(in), &seed);
		t_chain_make(&t, &hdr, piece_out, n_out, piece_in, n_in);
		t_chain_run(d, &t);
		T_EQ(t_chain_in(&t, in, sizeof(in)), sizeof(in));
		T_EQ(in[2048], OK);
		T_EQ(memcmp(in, want, sizeof(want)), 0);
		t_chain_free(&t);
		if (t_bad)
			break;
	}
	t_disk_free(d);
}

static uint8_t simple(struct vhk_device *d, uint32_t type, uint64_t sector, unsigned char *data,
		      int len)
{
	unsigned char out[16 + 8192];
	struct virtio_blk_outhdr hdr = t_header(type, sector);
	bool read = type == IN || type == GET_ID;
	int out_len[] = { 16, read ? 0 : len }, in_len[] = { read ? len : 0, 1 };
	struct t_chain t;
	uint8_t status;

	memcpy(out, &hdr, sizeof(hdr));
	if (!read && len)
		memcpy(out + 16, data, (size_t)len);
	t_chain_make(&t, out, out_len, 2, in_len, 2);
	t_chain_run(d, &t);
	if (read)
		memcpy(data, t.seg[2].iov_base, (size_t)len);
	status = *(uint8_t *)t.seg[3].iov_base;
	t_chain_free(&t);
	return status;
}

static void the_medium_may_fail(void)
{
	static const struct {
		uint32_t type;
		int fault[4];
		int want;
		unsigned int ops;
	} cases[] = {
		{ IN, { -EIO }, ERR, 1 },
		{ IN, { -EINTR, -EAGAIN }, OK, 3 },
		{ IN, { -EFAULT }, ERR, 1 },
		{ OUT, { -EIO }, ERR, 1 },
		{ OUT, { -ENOSPC }, ERR, 1 },
		{ OUT, { -EFBIG }, ERR, 1 },
		{ OUT, { -EDQUOT }, ERR, 1 },
		{ OUT, { -EINTR }, OK, 2 },
		{ OUT, { -EOPNOTSUPP }, UNSUPP, 1 },
		{ FLUSH, { -EIO }, ERR, 1 },
	};
	unsigned char data[4096];
	struct vhk_device *d;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		d = t_disk(image(), 0, 0);
		memcpy(t_medium.fault, cases[i].fault, sizeof(cases[i].fault));
		memset(data, 1, sizeof(data));
		T_EQ(simple(d, cases[i].type, 0, data, cases[i].type == FLUSH ? 0 : 4096),
		     cases[i].want);
		T_EQ(t_medium.n, cases[i].ops);
		t_disk_free(d);
	}
}

static void a_signal_for_ever_ends_in_an_error(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char data[512];
	unsigned int i;

	for (i = 0; i < 64; i++)
		t_medium.fault[i] = -EINTR;
	T_EQ(simple(d, IN, 0, data, 512), ERR);
	T_OK(t_medium.n < 64);
	t_disk_free(d);
}

static void after_a_failed_flush_no_flush_succeeds(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);

	t_medium.fault[0] = -EIO;
	T_EQ(simple(d, FLUSH, 0, NULL, 0), ERR);
	t_medium.fault[0] = 0;
	T_EQ(simple(d, FLUSH, 0, NULL, 0), ERR);
	T_EQ(t_medium.n, 0);
	t_disk_free(d);
}

static void past_the_end_of_a_shrunken_file_are_zeros(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char data[4096];
	unsigned int i;

	T_MUST(!truncate(image(), 512 * SECTORS - 1000));
	memset(data, 0x55, sizeof(data));
	T_EQ(simple(d, IN, SECTORS - 8, data, 4096), OK);
	T_EQ(data[0], SECTORS - 8 + 1);
	T_EQ(data[4096 - 1001], 0);
	for (i = 4096 - 1000; i < 4096; i++)
		T_EQ(data[i], 0);
	t_disk_free(d);
}

/* Data is moved in pieces, wherever segments end, and so are zeros behind the end of the file. */
static void long_requests_go_piece_by_piece(void)
{
	static const struct {
		int in[6];
		unsigned int ops;
	} cases[] = {
		{ L(2 << 20, 1), 1 },
		{ L((2 << 20) + 1), 1 },
		{ L((2 << 20) + 512, 1), 2 },
		{ L(0, (5 << 20) + 1), 3 },
		{ L(4096, 2 << 20, (1 << 20) - 4096, 2 << 20, 1), 4 },
		{ L(1 << 20, 1 << 20, 512, 1), 2 },
	};
	const unsigned int sectors = (8 << 20) / 512;
	unsigned char *data = malloc(8 << 20);
	struct virtio_blk_outhdr hdr = t_header(IN, 0);
	struct vhk_device *d;
	struct t_chain t;
	unsigned int i, k, shrunk;
	size_t n, piece;
	char path[128];

	T_MUST(data);
	snprintf(path, sizeof(path), "%s/long", t_disk_dir());
	for (i = 0; i < 2 * vhk_array_size(cases); i++) {
		shrunk = i % 2;
		t_image(path, sectors);
		d = t_disk(path, 0, 0);
		T_MUST(!shrunk || !truncate(path, 512));
		t_chain_make(&t, &hdr, (int[]){ 16 }, 1, cases[i / 2].in, n_of(cases[i / 2].in));
		t_chain_run(d, &t);
		n = t_chain_in(&t, data, 8 << 20);
		T_EQ(data[n - 1], OK);
		T_EQ(t_queue.written, n);
		piece = 2 << 20;
		T_EQ(t_medium.n,
		     shrunk ? 1 + (n - 1 - 512 + piece - 1) / piece : cases[i / 2].ops);
		for (k = 0; k < n / 512; k++)
			T_EQ(data[512 * k] | data[512 * k + 1] << 8,
			     k && shrunk ? 0 : ((k + 1) & 0xff) | (k >> 8) << 8);
		t_chain_free(&t);
		t_disk_free(d);
	}
	free(data);
}

static void a_short_write_to_nothing_is_an_error(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	struct vhk_blk_queue *bq = t_queue.priv;
	struct vhk_blk_req req = { .bq = bq, .kind = VHK_BLK_WRITE, .len = 512 };
	unsigned char byte[1];
	struct iovec seg = { byte, 0 };
	struct vhk_chain c = { .seg = &seg, .n_in = 1, .in_len = 1 };

	req.chain = &c;
	req.status = &seg;
	rw_done(&req.io, 0);
	T_EQ(byte[0], ERR);
	t_disk_free(d);
}

/* Memory that is to arrive is waited for elsewhere; memory that never did may read as zeros. */
static void what_did_not_arrive_changes_nothing(void)
{
	unsigned char data[512] = { 1 };
	struct virtio_blk_discard_write_zeroes all = { .num_sectors = htole32(SECTORS) };
	struct vhk_device *d = t_disk(image(), VHK_BLK_F_MAP, 0);

	t_queue.late = true;
	T_EQ(simple(d, OUT, 3, data, 512), OK);
	T_EQ(t_medium.n, 1);
	T_EQ(t_medium.io[0].flags, VHK_IO_F_LATE);
	T_EQ(simple(d, IN, 3, data, 512), OK);
	T_EQ(t_medium.n, 1);
	T_EQ(t_medium.io[0].flags, VHK_IO_F_LATE);
	t_queue.torn = true;
	T_EQ(simple(d, OUT, 3, data, 512), ERR);
	T_EQ(t_medium.n, 0);
	T_EQ(simple(d, DISCARD, 0, (unsigned char *)&all, sizeof(all)), ERR);
	T_EQ(t_medium.n, 0);
	T_EQ(simple(d, ZEROES, 0, (unsigned char *)&all, sizeof(all)), ERR);
	T_EQ(t_medium.n, 0);
	t_queue.late = t_queue.torn = false;
	t_disk_free(d);
}

static void a_read_only_disk_changes_nothing(void)
{
	unsigned char data[512] = { 1 };
	struct virtio_blk_discard_write_zeroes all = { .num_sectors = htole32(SECTORS) };
	struct vhk_device *d = t_disk(image(), VHK_BLK_F_READ_ONLY, 0);

	T_OK(d->info.features & VHK_BLK_F(RO));
	T_OK(!(d->info.features &
	       (VHK_BLK_F(DISCARD) | VHK_BLK_F(WRITE_ZEROES) | VHK_BLK_F(CONFIG_WCE))));
	T_EQ(simple(d, OUT, 0, data, 512), ERR);
	T_EQ(t_medium.n, 0);
	T_EQ(simple(d, DISCARD, 0, (unsigned char *)&all, sizeof(all)), ERR);
	T_EQ(simple(d, ZEROES, 0, (unsigned char *)&all, sizeof(all)), ERR);
	T_EQ(simple(d, FLUSH, 0, NULL, 0), OK);
	T_EQ(t_medium.n, 0);
	T_EQ(simple(d, IN, 1, data, 512), OK);
	T_EQ(data[0], 2);
	t_disk_free(d);
}

static void the_id_is_cut_or_padded(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char id[40], want[40] = "serial-0";

	T_EQ(simple(d, GET_ID, 0, id, 20), OK);
	T_EQ(memcmp(id, want, 20), 0);
	T_EQ(simple(d, GET_ID, 0, id, 3), OK);
	T_EQ(memcmp(id, "ser", 3), 0);
	T_EQ(simple(d, GET_ID, 0, id, 40), OK);
	T_EQ(memcmp(id, want, 20), 0);
	T_EQ(t_queue.written, 20);
	t_disk_free(d);
}

static void writes_last_when_there_is_no_cache(void)
{
	static const struct {
		uint64_t without;
		int wce; /* -1: not written */
		uint32_t want;
	} cases[] = {
		{ 0, -1, 0 },
		{ 0, 1, 0 },
		{ 0, 0, VHK_IO_F_DSYNC },
		{ VHK_BLK_F(CONFIG_WCE), -1, 0 },
		{ VHK_BLK_F(CONFIG_WCE) | VHK_BLK_F(FLUSH), -1, VHK_IO_F_DSYNC },
		{ VHK_BLK_F(FLUSH), 1, 0 },
		{ VHK_BLK_F(FLUSH), 0, VHK_IO_F_DSYNC },
	};
	struct virtio_blk_discard_write_zeroes one = { .num_sectors = htole32(1) };
	unsigned char data[512] = { 0 }, wce;
	struct vhk_device *d;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		d = t_disk(image(), 0, cases[i].without);
		wce = (unsigned char)cases[i].wce;
		if (cases[i].wce >= 0)
			T_EQ(d->ops.set_config(d->priv, 32, &wce, 1), 0);
		T_EQ(simple(d, OUT, 0, data, 512), OK);
		T_EQ(t_medium.io[0].flags, cases[i].want);
		T_EQ(simple(d, ZEROES, 0, (unsigned char *)&one, sizeof(one)), OK);
		T_EQ(t_medium.n, cases[i].want ? 2 : 1);
		if (cases[i].want)
			T_EQ(t_medium.io[1].op, VHK_IO_FSYNC);
		T_EQ(simple(d, IN, 0, data, 512), OK);
		T_EQ(t_medium.io[0].flags, 0);
		t_disk_free(d);
	}
}

static void counters_tell_what_was_done(void)
{
	struct vhk_device *d = t_disk(image(), 0, 0);
	unsigned char data[4096];
	struct vhk_blk_stats s;

	T_EQ(simple(d, IN, 0, data, 4096), OK);
	T_EQ(simple(d, IN, 0, data, 512), OK);
	T_EQ(simple(d, OUT, 0, data, 1024), OK);
	T_EQ(simple(d, FLUSH, 0, NULL, 0), OK);
	T_EQ(simple(d, GET_ID, 0, data, 20), OK);
	T_EQ(simple(d, 99, 0, data, 512), UNSUPP);
	T_EQ(simple(d, IN, SECTORS, data, 512), ERR);
	T_EQ(vhk_blk_stats(d, 0, &s), 0);
	T_EQ(s.ops[VHK_BLK_READ], 3);
	T_EQ(s.bytes[VHK_BLK_READ], 4608);
	T_EQ(s.ops[VHK_BLK_WRITE], 1);
	T_EQ(s.bytes[VHK_BLK_WRITE], 1024);
	T_EQ(s.ops[VHK_BLK_FLUSH], 1);
	T_EQ(s.ops[VHK_BLK_GET_ID], 1);
	T_EQ(s.errors, 2);
	T_EQ(s.bounced, 0);
	T_EQ(vhk_blk_stats(d, 1, &s), -EINVAL);
	t_disk_free(d);
}

int main(void)
{
	T_RUN(every_shape_gets_its_status);
	T_RUN(any_layout_moves_the_same_bytes);
	T_RUN(the_medium_may_fail);
	T_RUN(a_signal_for_ever_ends_in_an_error);
	T_RUN(after_a_failed_flush_no_flush_succeeds);
	T_RUN(past_the_end_of_a_shrunken_file_are_zeros);
	T_RUN(long_requests_go_piece_by_piece);
	T_RUN(a_short_write_to_nothing_is_an_error);
	T_RUN(a_read_only_disk_changes_nothing);
	T_RUN(what_did_not_arrive_changes_nothing);
	T_RUN(the_id_is_cut_or_padded);
	T_RUN(writes_last_when_there_is_no_cache);
	T_RUN(counters_tell_what_was_done);
	return t_end();
}
