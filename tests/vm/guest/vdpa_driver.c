// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: uses a disk through /dev/vhost-vdpa-N, well and badly.
 *
 *   vdpa_driver load PATH split|packed|in_order [SEED]   writes all of the disk, reads it back
 *   vdpa_driver hostile PATH split|packed          broken requests and broken rings
 *   vdpa_driver pieces PATH split|packed           requests in many pieces, smaller than any block;
 *           the queue has 256 entries at least, and blocks are of 512 bytes
 *   vdpa_driver sizes PATH split|packed            ranges larger than the disk says it takes;
 *           it has more than 2 GiB
 *   vdpa_driver changes PATH split|packed [ROUNDS] reset, suspend, unmapping and close under load
 *   vdpa_driver unmap PATH split|packed [ROUNDS]   memory that comes and goes all the time, also in
 *           batches, while the device is to use it
 */
#include "vdpa_driver.h"

#define DEPTH (SIZE / 4)
#define BLOCK 8192u

static unsigned int n_tried, n_bad;

static void expect(const char *what, int got, int want)
{
	n_tried++;
	if (got == want)
		return;
	n_bad++;
	printf("%s: %d, want %d\n", what, got, want);
}

static uint64_t capacity(struct driver *d)
{
	struct {
		struct vhost_vdpa_config head;
		uint64_t sectors;
	} c = { .head = { .off = 0, .len = 8 } };

	TRY(ioctl(d->fd, VHOST_VDPA_GET_CONFIG, &c));
	return c.sectors;
}

static uint64_t layout(const char *name)
{
	if (!strcmp(name, "split"))
		return 1ull << PACKED | 1ull << IN_ORDER;
	return strcmp(name, "packed") ? 0 : 1ull << IN_ORDER;
}

static void fill(uint32_t *at, uint64_t block, uint32_t seed)
{
	unsigned int i;

	for (i = 0; i < BLOCK / 4; i++)
		at[i] = (uint32_t)(block * 2654435761u + i * 40503u + seed);
}

static struct drv_req block_req(uint32_t type, uint64_t block, unsigned int slot)
{
	return (struct drv_req){
		.type = type,
		.sector = block * (BLOCK / 512),
		.data = IOVA + AT_DATA + slot * BLOCK,
		.len = BLOCK,
		.indirect = slot % 2,
	};
}

static void check_block(struct driver *d, uint32_t type, uint64_t block, unsigned int slot,
			uint32_t seed, uint32_t len)
{
	const unsigned char *data = d->mem + AT_DATA + slot * BLOCK;
	uint32_t want[BLOCK / 4];
	bool good = !d->mem[AT_STATUS + slot];

	fill(want, block, seed);
	if (type == VIRTIO_BLK_T_IN)
		good = good && len == BLOCK + 1 && !memcmp(want, data, BLOCK);
	if (good)
		return;
	printf("block %llu: status %u, len %u\n", (unsigned long long)block,
	       d->mem[AT_STATUS + slot], len);
	exit(1);
}

/* Every block once, DEPTH at a time. In order, answers come as the requests went. */
static void pass(struct driver *d, uint32_t type, uint64_t n_blocks, uint32_t seed)
{
	const bool in_order = d->features >> IN_ORDER & 1;
	unsigned int slot, n, i;
	uint64_t base;
	uint32_t len;
	int id;

	for (base = 0; base < n_blocks; base += n) {
		n = n_blocks - base < DEPTH ? (unsigned int)(n_blocks - base) : DEPTH;
		for (slot = 0; slot < n; slot++) {
			const struct drv_req r = block_req(type, base + slot, slot);

			if (type == VIRTIO_BLK_T_OUT)
				fill((void *)(d->mem + AT_DATA + slot * BLOCK), base + slot, seed);
			drv_put(d, slot, &r);
		}
		drv_kick(d);
		for (i = 0; i < n; i++) {
			/* Two kinds of request take 1 and 3 slots of a packed ring; in any order
			 * but theirs, only a whole batch tells where the next answer is. */
			const unsigned int slots = d->packed && !in_order ? 0 : i % 2 ? 1 : 3;

			id = drv_wait(d, slots, &len);
			if (id < 0 || id % 4 || (in_order && id != (int)(4 * i))) {
				printf("answer %u of block %llu: id %d\n", i,
				       (unsigned long long)base, id);
				exit(1);
			}
			slot = (unsigned int)id / 4;
			if (d->packed && !in_order) {
				d->used = (uint16_t)(d->used + (slot % 2 ? 1 : 3));
				if (d->used >= SIZE) {
					d->used = (uint16_t)(d->used - SIZE);
					d->used_wrap = !d->used_wrap;
				}
			}
			check_block(d, type, base + slot, slot, seed, len);
		}
	}
}

static int load(struct driver *d, const char *how, uint32_t seed)
{
	uint64_t n_blocks;

	drv_open(d);
	drv_start(d, layout(how));
	n_blocks = capacity(d) / (BLOCK / 512);
	pass(d, VIRTIO_BLK_T_OUT, n_blocks, seed);
	memset(d->mem + AT_DATA, 0, DEPTH * BLOCK);
	pass(d, VIRTIO_BLK_T_IN, n_blocks, seed);
	drv_close(d);
	printf("%s: %llu blocks\n", how, (unsigned long long)n_blocks);
	return 0;
}

/* Requests that are wrong in themselves: an error, and the ring goes on. */
static void bad_requests(struct driver *d)
{
	const uint64_t end = capacity(d);
	const struct {
		const char *what;
		struct drv_req r;
		int want;
	} cases[] = {
		{ "good", { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, 0, 0 }, 0 },
		{ "last sector", { VIRTIO_BLK_T_IN, end - 1, IOVA + AT_DATA, 512, 0, 0 }, 0 },
		{ "behind the end", { VIRTIO_BLK_T_IN, end, IOVA + AT_DATA, 512, 0, 0 }, 1 },
		{ "over the end", { VIRTIO_BLK_T_OUT, end - 1, IOVA + AT_DATA, 1024, 0, 0 }, 1 },
		{ "sector wraps", { VIRTIO_BLK_T_IN, ~0ull, IOVA + AT_DATA, 512, 0, 0 }, 1 },
		{ "bytes wrap", { VIRTIO_BLK_T_IN, 1ull << 55, IOVA + AT_DATA, 512, 0, 0 }, 1 },
		{ "odd length", { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 100, 0, 0 }, 1 },
		{ "nothing", { VIRTIO_BLK_T_OUT, 0, IOVA + AT_DATA, 0, 0, 0 }, 1 },
		{ "odd memory", { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA + 3, 512, 0, 0 }, 0 },
		{ "unknown type", { 77, 0, IOVA + AT_DATA, 512, 0, 0 }, 2 },
		{ "unmapped", { VIRTIO_BLK_T_IN, 0, IOVA_NONE, 512, 0, 0 }, 1 },
		{ "address wraps", { VIRTIO_BLK_T_IN, 0, ~0ull - 99, 512, 0, 0 }, 1 },
		{ "out of the map", { VIRTIO_BLK_T_IN, 0, IOVA + MEM_SIZE - 512, 1024, 0, 0 }, 1 },
		{ "write from read-only", { VIRTIO_BLK_T_OUT, 0, IOVA_RO, 512, 0, 0 }, 0 },
		{ "read into read-only", { VIRTIO_BLK_T_IN, 0, IOVA_RO, 512, 0, 0 }, 1 },
		{ "one range too short", { VIRTIO_BLK_T_DISCARD, 0, IOVA + AT_DATA, 15, 0, 0 }, 1 },
		{ "indirect", { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, 0, 1 }, 0 },
		{ "indirect, unmapped", { VIRTIO_BLK_T_IN, 0, IOVA_NONE, 512, 0, 1 }, 1 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].what, drv_do(d, &cases[i].r), cases[i].want);
	memset(d->mem + AT_RO, 0x55, RO_SIZE);
	expect("nothing was written there", drv_do(d, &cases[14].r), 1);
	expect("first byte", d->mem[AT_RO], 0x55);
}

/* What starts anywhere in memory arrives where it should. */
static void odd_memory(struct driver *d)
{
	const uint32_t len = 5 * 512;
	unsigned char *from = d->mem + AT_DATA + 5, *to = d->mem + AT_DATA + 0x4000;
	struct drv_req r = { VIRTIO_BLK_T_OUT, 8, IOVA + AT_DATA + 5, len, 0, 0 };

	fill((void *)(from + 3), 1, 99);
	expect("write from odd memory", drv_do(d, &r), 0);
	r.type = VIRTIO_BLK_T_IN;
	r.data = IOVA + AT_DATA + 0x4000;
	expect("read of it", drv_do(d, &r), 0);
	expect("bytes written", memcmp(from, to, len), 0);
	memset(from, 0, len + 3);
	r.data = IOVA + AT_DATA + 7;
	expect("read into odd memory", drv_do(d, &r), 0);
	expect("bytes read", memcmp(from + 2, to, len), 0);
}

/* Without a place for a status, the answer is a length of 0. */
static void no_status(struct driver *d)
{
	struct drv_req r = { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, IOVA_RO, 0 };
	uint32_t len = 77;

	d->mem[AT_RO] = 0x55;
	drv_put(d, 0, &r);
	drv_kick(d);
	expect("status in read-only memory", drv_wait(d, 3, &len), 0);
	expect("its length", (int)len, 0);
	expect("its byte", d->mem[AT_RO], 0x55);
	r.status = IOVA_NONE;
	drv_put(d, 0, &r);
	drv_kick(d);
	expect("status nowhere", drv_wait(d, 3, &len), 0);
	expect("its length", (int)len, 0);
}

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

static const struct {
	const char *what;
	uint16_t head;
	uint16_t jump; /* of the available index, beyond the one */
	struct split_desc desc[3];
	struct split_desc table[2];
} split_cases[] = {
	{ "head out of range", SIZE, 0, { { 0 } }, { { 0 } } },
	{ "head far out of range", 0xffff, 0, { { 0 } }, { { 0 } } },
	{ "index jumps", 0, SIZE, { { 0 } }, { { 0 } } },
	{ "index goes back", 0, 0xfffe, { { 0 } }, { { 0 } } },
	{ "next out of range", 0, 0, { { IOVA, 16, N, SIZE } }, { { 0 } } },
	{ "next is itself", 0, 0, { { IOVA, 16, N, 0 } }, { { 0 } } },
	{ "next loops", 0, 0,
	  { { IOVA, 16, N, 1 }, { IOVA, 16, N, 2 }, { IOVA, 16, N, 1 } }, { { 0 } } },
	{ "loop of nothing", 0, 0,
	  { { IOVA, 0, N, 1 }, { IOVA, 0, N, 2 }, { IOVA, 0, N, 1 } }, { { 0 } } },
	{ "read after write", 0, 0, { { IOVA, 16, N | W, 1 }, { IOVA, 16, 0, 0 } }, { { 0 } } },
	{ "more than 4 GiB", 0, 0,
	  { { IOVA, 0xffffffff, N, 1 }, { IOVA, 0xffffffff, 0, 0 } }, { { 0 } } },
	{ "empty table", 0, 0, { { IOVA + AT_TABLE, 0, I, 0 } }, { { 0 } } },
	{ "odd table", 0, 0, { { IOVA + AT_TABLE, 17, I, 0 } }, { { 0 } } },
	{ "table of many", 0, 0, { { IOVA + AT_TABLE, 16 * 1025, I, 0 } }, { { 0 } } },
	{ "table and next", 0, 0, { { IOVA + AT_TABLE, 16, I | N, 1 } }, { { IOVA, 16, 0, 0 } } },
	{ "table nowhere", 0, 0, { { IOVA_NONE, 16, I, 0 } }, { { 0 } } },
	{ "table wraps", 0, 0, { { ~0ull - 15, 32, I, 0 } }, { { 0 } } },
	{ "table in table", 0, 0,
	  { { IOVA + AT_TABLE, 16, I, 0 } }, { { IOVA + AT_TABLE, 16, I, 0 } } },
	{ "next out of the table", 0, 0,
	  { { IOVA + AT_TABLE, 32, I, 0 } }, { { IOVA, 16, N, 2 } } },
	{ "loop in the table", 0, 0,
	  { { IOVA + AT_TABLE, 32, I, 0 } }, { { IOVA, 16, N, 1 }, { IOVA, 16, N, 0 } } },
};

static void good_again(struct driver *d, const char *what, uint64_t without)
{
	const struct drv_req r = { VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, 0, 0 };

	drv_restart(d, without);
	expect(what, drv_do(d, &r), 0);
}

static void bad_split(struct driver *d, uint64_t without)
{
	unsigned int i;
	uint32_t len;

	for (i = 0; i < sizeof(split_cases) / sizeof(split_cases[0]); i++) {
		good_again(d, split_cases[i].what, without);
		memcpy(drv_split(d), split_cases[i].desc, sizeof(split_cases[i].desc));
		memcpy(d->mem + AT_TABLE, split_cases[i].table, sizeof(split_cases[i].table));
		d->avail = (uint16_t)(d->avail + split_cases[i].jump);
		drv_offer(d, split_cases[i].head);
		drv_avail(d)[2 + 1] = split_cases[i].head;
		drv_kick(d);
		expect(split_cases[i].what, drv_wait(d, 1, &len), -1);
	}
	/* The same chain twice at once. */
	good_again(d, "twice", without);
	drv_put(d, 0, &(struct drv_req){ VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, 0, 0 });
	drv_offer(d, 0);
	drv_kick(d);
	while (drv_wait(d, 3, &len) >= 0)
		;
	expect("twice", !!(drv_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET), 1);
}

static const struct {
	const char *what;
	unsigned int n; /* descriptors, the first again and again */
	struct split_desc desc; /* next is the id */
	struct packed_desc table;
} packed_cases[] = {
	{ "id out of range", 1, { IOVA, 16, 0, SIZE }, { 0, 0, 0, 0 } },
	{ "id far out of range", 1, { IOVA, 16, 0, 0xffff }, { 0, 0, 0, 0 } },
	{ "next all round", SIZE, { IOVA, 16, N, 0 }, { 0, 0, 0, 0 } },
	{ "empty table", 1, { IOVA + AT_TABLE, 0, I, 0 }, { 0, 0, 0, 0 } },
	{ "odd table", 1, { IOVA + AT_TABLE, 17, I, 0 }, { 0, 0, 0, 0 } },
	{ "table of many", 1, { IOVA + AT_TABLE, 16 * 1025, I, 0 }, { 0, 0, 0, 0 } },
	{ "table and next", 2, { IOVA + AT_TABLE, 16, I | N, 0 }, { IOVA, 16, 0, 0 } },
	{ "table nowhere", 1, { IOVA_NONE, 16, I, 0 }, { 0, 0, 0, 0 } },
	{ "table in table", 1, { IOVA + AT_TABLE, 16, I, 0 }, { IOVA + AT_TABLE, 16, 0, I } },
};

static void bad_packed(struct driver *d, uint64_t without)
{
	unsigned int i, k;
	uint32_t len;

	for (i = 0; i < sizeof(packed_cases) / sizeof(packed_cases[0]); i++) {
		const struct split_desc *s = &packed_cases[i].desc;

		good_again(d, packed_cases[i].what, without);
		memcpy(d->mem + AT_TABLE, &packed_cases[i].table, sizeof(packed_cases[i].table));
		for (k = packed_cases[i].n; k-- > 0;)
			drv_packed_put(d, k, s->addr, s->len, s->flags, s->next);
		drv_kick(d);
		expect(packed_cases[i].what, drv_wait(d, 1, &len), -1);
	}
}

/* Rings where nothing is, and where nothing may be written. */
static void bad_places(struct driver *d, uint64_t without)
{
	uint32_t len;

	drv_set_status(d, 0);
	d->ring_iova = IOVA_NONE;
	drv_start(d, without);
	drv_kick(d);
	expect("ring nowhere", drv_wait(d, 1, &len), -1);
	d->ring_iova = IOVA;
	if (d->packed)
		return;
	drv_set_status(d, 0);
	d->device_iova = IOVA_RO;
	memset(d->mem + AT_RO, 0x55, RO_SIZE);
	drv_start(d, without);
	drv_put(d, 0, &(struct drv_req){ VIRTIO_BLK_T_IN, 0, IOVA + AT_DATA, 512, 0, 0 });
	drv_kick(d);
	expect("used ring in read-only memory", drv_wait(d, 1, &len), -1);
	expect("nothing was written there", d->mem[AT_RO + 2], 0x55);
	d->device_iova = IOVA + AT_DEVICE;
}

static int hostile(struct driver *d, const char *how)
{
	const uint64_t without = layout(how);

	drv_open(d);
	drv_start(d, without);
	bad_requests(d);
	odd_memory(d);
	no_status(d);
	if (d->packed)
		bad_packed(d, without);
	else
		bad_split(d, without);
	bad_places(d, without);
	good_again(d, "at the end", without);
	drv_close(d);
	printf("%s: %u cases, %u wrong\n", how, n_tried, n_bad);
	return n_bad > 0;
}

#define GAP 60u

/*
 * Request number 0, by a table of its own: @n pieces with gaps between, all but the last of @piece
 * bytes. Its status, or what drv_wait() says.
 */
static int do_pieces(struct driver *d, const struct drv_req *r, unsigned int piece, unsigned int n)
{
	const uint16_t in = r->type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	struct split_desc *table = (void *)(d->mem + AT_TABLE);
	uint32_t len, left = r->len;
	unsigned int i;
	int id;

	table[0] = (struct split_desc){ drv_hdr(d, 0, r), 16, 0, 0 };
	for (i = 0; i < n; i++) {
		len = i + 1 < n ? piece : left;
		left -= len;
		table[i + 1] = (struct split_desc){ IOVA + AT_DATA + i * (piece + GAP), len,
						    in, 0 };
	}
	table[n + 1] = (struct split_desc){ IOVA + AT_STATUS, 1, VRING_DESC_F_WRITE, 0 };
	for (i = 0; i < n + 2; i++) {
		if (d->packed)
			/* id and flags change places */
			table[i] = (struct split_desc){ table[i].addr, table[i].len, 0,
							table[i].flags };
		else if (i < n + 1)
			table[i] = (struct split_desc){ table[i].addr, table[i].len,
							table[i].flags | VRING_DESC_F_NEXT,
							(uint16_t)(i + 1) };
	}
	if (d->packed) {
		drv_packed_put(d, 0, IOVA + AT_TABLE, 16 * (n + 2), VRING_DESC_F_INDIRECT, 0);
		drv_packed_step(d, 1);
	} else {
		drv_split(d)[0] = (struct split_desc){ IOVA + AT_TABLE, 16 * (n + 2),
						       VRING_DESC_F_INDIRECT, 0 };
		drv_offer(d, 0);
	}
	drv_kick(d);
	id = drv_wait(d, 1, &len);
	return id < 0 ? id : d->mem[AT_STATUS];
}

#define AT_PLAIN (AT_DATA + 0x100000)
#define POISON 0x77

/* All of the pieces' memory and what lies between them and behind is POISON, but for @bytes. */
static void put_in_pieces(struct driver *d, const unsigned char *bytes, uint32_t len,
			  unsigned int piece, unsigned int n)
{
	unsigned int i;

	memset(d->mem + AT_DATA, POISON, AT_PLAIN - AT_DATA);
	for (i = 0; bytes && i < n; i++)
		memcpy(d->mem + AT_DATA + i * (piece + GAP), bytes + i * piece,
		       i + 1 < n ? piece : len - i * piece);
}

static void in_pieces(struct driver *d, const char *what, uint64_t sector, uint32_t len,
		      unsigned int piece, unsigned int n)
{
	const struct drv_req out = { VIRTIO_BLK_T_OUT, sector, 0, len, 0, 0 };
	const struct drv_req in = { VIRTIO_BLK_T_IN, sector, 0, len, 0, 0 };
	const struct drv_req plain = { VIRTIO_BLK_T_IN, sector, IOVA + AT_PLAIN, len, 0, 0 };
	unsigned char want[BLOCK], *is = malloc(AT_PLAIN - AT_DATA);

	fill((void *)want, sector, len + n);
	put_in_pieces(d, want, len, piece, n);
	expect(what, do_pieces(d, &out, piece, n), 0);
	expect(what, drv_do(d, &plain), 0);
	expect(what, memcmp(d->mem + AT_PLAIN, want, len), 0);
	put_in_pieces(d, NULL, len, piece, n);
	expect(what, do_pieces(d, &in, piece, n), 0);
	memcpy(is, d->mem + AT_DATA, AT_PLAIN - AT_DATA);
	put_in_pieces(d, want, len, piece, n);
	expect(what, memcmp(d->mem + AT_DATA, is, AT_PLAIN - AT_DATA), 0);
	free(is);
}

/* What a device below does not take arrives all the same, and nothing beside it changes. */
static int pieces(struct driver *d, const char *how)
{
	drv_open(d);
	drv_start(d, layout(how));
	in_pieces(d, "4 and 4092", 0, 4096, 4, 2);
	in_pieces(d, "1 and 511", 8, 512, 1, 2);
	in_pieces(d, "128 of 4", 16, 512, 4, 128);
	in_pieces(d, "64 of 4, and the rest", 24, 4096, 4, 65);
	in_pieces(d, "253 of 4, and the rest", 32, 4096, 4, 254);
	in_pieces(d, "8 of 512", 40, 4096, 512, 8);
	drv_close(d);
	printf("%s: %u cases, %u wrong\n", how, n_tried, n_bad);
	return n_bad > 0;
}

#define MOST_SECTORS (1u << 22)

static int do_range(struct driver *d, uint32_t type, uint32_t n)
{
	struct virtio_blk_discard_write_zeroes *range = (void *)(d->mem + AT_DATA);
	const struct drv_req r = { type, 0, IOVA + AT_DATA, sizeof(*range), 0, 0 };

	range->sector = 0;
	range->num_sectors = n;
	range->flags = type == VIRTIO_BLK_T_WRITE_ZEROES;
	return drv_do(d, &r);
}

static int sizes(struct driver *d, const char *how)
{
	drv_open(d);
	drv_start(d, layout(how));
	expect("discard", do_range(d, VIRTIO_BLK_T_DISCARD, MOST_SECTORS), 0);
	expect("discard of more", do_range(d, VIRTIO_BLK_T_DISCARD, MOST_SECTORS + 1), 1);
	expect("zeroes", do_range(d, VIRTIO_BLK_T_WRITE_ZEROES, MOST_SECTORS), 0);
	expect("zeroes of more", do_range(d, VIRTIO_BLK_T_WRITE_ZEROES, MOST_SECTORS + 1), 1);
	good_again(d, "at the end", layout(how));
	drv_close(d);
	printf("%s: %u cases, %u wrong\n", how, n_tried, n_bad);
	return n_bad > 0;
}

/* All of the queue, without waiting, into memory at @iova. */
static void put_many_at(struct driver *d, uint64_t iova)
{
	unsigned int slot;

	for (slot = 0; slot < DEPTH; slot++) {
		struct drv_req r = block_req(VIRTIO_BLK_T_IN, slot, slot);

		r.indirect = false;
		r.data = iova + slot * BLOCK;
		drv_put(d, slot, &r);
	}
	drv_kick(d);
}

static void put_many(struct driver *d)
{
	put_many_at(d, IOVA + AT_DATA);
}

static unsigned int count_used(struct driver *d)
{
	unsigned int n = 0;
	uint32_t len;

	while (drv_get(d, 3, &len) >= 0)
		n++;
	return n;
}

static int changes(struct driver *d, const char *how, unsigned int rounds)
{
	const uint64_t without = layout(how);
	struct vhost_vring_state base = { 0 };
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		drv_open(d);
		drv_start(d, without);
		put_many(d);
		/* What was taken is answered, and the rest is not begun. */
		TRY(ioctl(d->fd, VHOST_VDPA_SUSPEND));
		TRY(ioctl(d->fd, VHOST_GET_VRING_BASE, &base));
		if (!d->packed)
			expect("position of a suspended queue", (int)(base.num & 0xffff),
			       *drv_used_idx(d));
		TRY(ioctl(d->fd, VHOST_VDPA_RESUME));
		usleep(1000 * (i % 8));
		switch (i % 4) {
		case 0:
			drv_set_status(d, 0);
			count_used(d);
			usleep(1000);
			expect("after a reset", (int)count_used(d), 0);
			break;
		case 1:
			/* Memory goes while the device reads into it. */
			TRY(drv_iotlb(d, VHOST_IOTLB_INVALIDATE, IOVA, NULL, MEM_SIZE, 0));
			memset(d->mem + AT_DATA, 0x77, DEPTH * BLOCK);
			drv_kick(d);
			usleep(20000);
			expect("written after unmapping", d->mem[AT_DATA + BLOCK - 1], 0x77);
			break;
		case 2:
			expect("suspended twice", ioctl(d->fd, VHOST_VDPA_SUSPEND), 0);
			expect("and again", ioctl(d->fd, VHOST_VDPA_SUSPEND), 0);
			break;
		}
		drv_close(d);
	}
	printf("%s: %u cases, %u wrong\n", how, n_tried, n_bad);
	return n_bad > 0;
}

#define LENT_SIZE (DEPTH * BLOCK)

static unsigned char *lent;

static void lend(struct driver *d)
{
	lent = mmap(lent, LENT_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | (lent ? MAP_FIXED : 0), -1, 0);
	if (lent == MAP_FAILED)
		drv_fail("mmap");
	TRY(drv_iotlb(d, VHOST_IOTLB_UPDATE, IOVA_NONE, lent, LENT_SIZE, VHOST_ACCESS_RW));
}

/* From here on nothing is written there. */
static void take_back(struct driver *d)
{
	TRY(drv_iotlb(d, VHOST_IOTLB_INVALIDATE, IOVA_NONE, NULL, LENT_SIZE, 0));
}

/* All of them: each as if the memory had been there, or with an error. Returns how many had one. */
static unsigned int all_answered(struct driver *d, const char *what)
{
	unsigned int i, n_errors = 0;
	uint32_t len;

	for (i = 0; i < DEPTH; i++)
		expect(what, drv_wait(d, 3, &len) >= 0, 1);
	for (i = 0; i < DEPTH; i++) {
		expect(what, d->mem[AT_STATUS + i] <= VIRTIO_BLK_S_IOERR, 1);
		n_errors += d->mem[AT_STATUS + i];
	}
	return n_errors;
}

static void unmap_once(struct driver *d, unsigned int i)
{
	unsigned int k, n = 0;

	lend(d);
	put_many_at(d, IOVA_NONE);
	usleep(i % 8 * 100);
	take_back(d);
	memset(lent, POISON, LENT_SIZE);
	all_answered(d, "an answer while memory goes");
	for (k = 0; k < LENT_SIZE; k++)
		n += lent[k] != POISON;
	expect("written after unmapping", (int)n, 0);
}

/* The pages are unmapped here, too, before the device is kicked. */
static void unmap_batch(struct driver *d)
{
	lend(d);
	TRY(drv_iotlb(d, VHOST_IOTLB_BATCH_BEGIN, 0, NULL, 0, 0));
	take_back(d);
	TRY(munmap(lent, LENT_SIZE));
	put_many_at(d, IOVA_NONE);
	expect("without memory", (int)all_answered(d, "an answer in a batch"), DEPTH);
	TRY(drv_iotlb(d, VHOST_IOTLB_BATCH_END, 0, NULL, 0, 0));
}

static int unmap(struct driver *d, const char *how, unsigned int rounds)
{
	unsigned int i;

	drv_open(d);
	drv_start(d, layout(how));
	for (i = 0; i < rounds; i++) {
		if (i % 4)
			unmap_once(d, i);
		else
			unmap_batch(d);
	}
	good_again(d, "at the end", layout(how));
	drv_close(d);
	printf("%s: %u cases, %u wrong\n", how, n_tried, n_bad);
	return n_bad > 0;
}

int main(int argc, char **argv)
{
	struct driver d = { 0 };

	if (argc < 4)
		return 2;
	d.path = argv[2];
	if (!strcmp(argv[1], "load"))
		return load(&d, argv[3], argc > 4 ? (uint32_t)atoi(argv[4]) : 1);
	if (!strcmp(argv[1], "hostile"))
		return hostile(&d, argv[3]);
	if (!strcmp(argv[1], "pieces"))
		return pieces(&d, argv[3]);
	if (!strcmp(argv[1], "sizes"))
		return sizes(&d, argv[3]);
	if (!strcmp(argv[1], "changes"))
		return changes(&d, argv[3], argc > 4 ? (unsigned int)atoi(argv[4]) : 50);
	if (!strcmp(argv[1], "unmap"))
		return unmap(&d, argv[3], argc > 4 ? (unsigned int)atoi(argv[4]) : 200);
	return 2;
}
