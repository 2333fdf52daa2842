// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A thread rewrites the header and the ranges of a disk request while it is looked at: what is
 * carried out is what was judged, so it stays inside the disk, and the request is answered once.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "t_blk.h"

#define SECTORS 64
#define ROUNDS 1000000
#define SEEN 100

struct flipper {
	unsigned char *out; /* header, then ranges */
	atomic_bool stop;
	atomic_ulong writes;
};

static void flip_sector(unsigned char *at, uint64_t x)
{
	static const uint64_t sectors[] = { 0, 1, 8, 40, SECTORS - 1, SECTORS, 1ull << 55,
					    UINT64_MAX };

	__atomic_store_n((uint64_t *)(void *)at, htole64(sectors[x % 8]), __ATOMIC_RELAXED);
}

static void flip_u32(unsigned char *at, uint32_t v)
{
	__atomic_store_n((uint32_t *)(void *)at, htole32(v), __ATOMIC_RELAXED);
}

static void *flips(void *arg)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES };
	static const uint32_t counts[] = { 0, 1, 8, SECTORS + 1 };
	struct flipper *f = arg;
	uint64_t x = 88172645463325252ull;
	unsigned char *range;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		range = f->out + 16 + 16 * (x >> 60 & 1);
		switch (x >> 8 & 3) {
		case 0: flip_u32(f->out, types[x >> 16 & 3]); break;
		case 1: flip_sector(f->out + 8, x >> 16); break;
		case 2: flip_sector(range, x >> 16); break;
		case 3: flip_u32(range + 8, counts[x >> 16 & 3]); break;
		}
		atomic_fetch_add_explicit(&f->writes, 1, memory_order_relaxed);
	}
	return NULL;
}

/* How often the medium was asked to move bytes, and to make zeros. */
static unsigned int n_moves, n_ranges;

static void check_medium(void)
{
	const uint64_t size = 512 * SECTORS;
	unsigned int i;

	for (i = 0; i < t_medium.n; i++) {
		const bool moves = t_medium.io[i].op <= VHK_IO_WRITE;

		if (t_medium.io[i].op == VHK_IO_FSYNC)
			continue;
		T_OK(t_medium.io[i].off <= size);
		T_OK((moves ? 512 : t_medium.io[i].len) <= size - t_medium.io[i].off);
		n_moves += moves;
		n_ranges += !moves;
	}
}

static void changed_while_it_is_looked_at(void)
{
	unsigned char out[16 + 512] = { 0 };
	int out_len[] = { sizeof(out) }, in_len[] = { 512, 1 };
	unsigned int i, errors = 0;
	uint64_t end = t_now_ns() + 20000000000u;
	struct vhk_device *d;
	struct flipper f = { 0 };
	struct t_chain t;
	char path[128];
	pthread_t thread;

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	d = t_disk(path, 0, 0);
	/* The medium says that all is done, and does nothing. */
	for (i = 0; i < vhk_array_size(t_medium.fault); i++)
		t_medium.fault[i] = 512;
	t_chain_make(&t, out, out_len, 1, in_len, 2);
	f.out = t.seg[0].iov_base;
	T_MUST(!pthread_create(&thread, NULL, flips, &f));
	/* On a busy machine all rounds may fall into one pause of the other thread. */
	for (i = 0; !t_bad && t_now_ns() < end; i++) {
		if (i >= ROUNDS && n_moves > SEEN && n_ranges > SEEN && errors > SEEN)
			break;
		t_chain_run(d, &t);
		check_medium();
		errors += *(uint8_t *)t.seg[2].iov_base != VIRTIO_BLK_S_OK;
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	printf("# %u requests, %u refused, %u moves, %u ranges, %lu changes\n", i, errors, n_moves,
	       n_ranges, atomic_load(&f.writes));
	T_OK(n_moves > SEEN && n_ranges > SEEN && errors > SEEN);
	t_chain_free(&t);
	t_disk_free(d);
}

int main(void)
{
	T_RUN(changed_while_it_is_looked_at);
	return t_end();
}
