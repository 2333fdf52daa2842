/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device that writes anything anywhere into a queue's block, and a driver that goes on. The first
 * byte of the input picks features and size, the rest is steps. What must hold: a token comes back
 * once and only if it is outstanding, no length exceeds the offer, and the counts agree.
 */
#ifndef VHK_TESTS_VQ_FUZZ_H
#define VHK_TESTS_VQ_FUZZ_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/vq.h>

#define DATA_SIZE 65536u
#define TOKENS 512u

struct input {
	const uint8_t *at;
	size_t left;
};

struct fuzz {
	struct vhk_vq *vq;
	unsigned char *data;
	unsigned char *shared;
	size_t shared_size;
	uint16_t size;
	bool packed;
	uint16_t used; /* position of the next used entry: as an honest device counts */
	bool used_wrap;
	unsigned int outstanding, next;
	bool busy[TOKENS];
	uint32_t in_len[TOKENS];
};

static inline void fuzz_must(bool ok)
{
	if (!ok)
		abort();
}

static inline uint8_t take8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint16_t take16(struct input *in)
{
	uint16_t lo = take8(in);

	return lo | (uint16_t)(take8(in) << 8);
}

static inline void step_add(struct fuzz *f, struct input *in)
{
	uint8_t n = take8(in), i;
	unsigned int n_out = n & 7, n_in = n >> 3 & 7, k = f->next % TOKENS;
	struct iovec seg[14];
	uint32_t in_len = 0;
	int ret;

	if (f->busy[k])
		return;
	for (i = 0; i < n_out + n_in; i++) {
		seg[i].iov_base = f->data + take16(in);
		seg[i].iov_len = take16(in);
		if (i >= n_out)
			in_len += seg[i].iov_len;
	}
	ret = vhk_vq_add(f->vq, seg, n_out, n_in, (void *)(uintptr_t)k);
	if (ret)
		return;
	f->busy[k] = true;
	f->in_len[k] = in_len;
	f->next++;
	f->outstanding++;
}

static inline void step_get(struct fuzz *f, struct input *in)
{
	unsigned int max = take8(in) % 16;
	struct vhk_done done[16];
	int i, n = vhk_vq_get(f->vq, done, max);

	fuzz_must(n <= (int)max && (n >= 0 || n == -EBADMSG));
	for (i = 0; i < n; i++) {
		uintptr_t k = (uintptr_t)done[i].token;

		fuzz_must(k < TOKENS && f->busy[k]);
		fuzz_must(done[i].written <= f->in_len[k]);
		f->busy[k] = false;
		f->outstanding--;
	}
	fuzz_must(vhk_vq_in_flight(f->vq) == f->outstanding);
}

static inline void token_back(void *arg, void *token)
{
	struct fuzz *f = arg;
	uintptr_t k = (uintptr_t)token;

	fuzz_must(k < TOKENS && f->busy[k]);
	f->busy[k] = false;
	f->outstanding--;
}

static inline void fuzz_reset(struct fuzz *f)
{
	vhk_vq_reset(f->vq, token_back, f);
	fuzz_must(!f->outstanding && !vhk_vq_in_flight(f->vq));
	f->used = 0;
	f->used_wrap = true;
}

/* A used entry in the right place, with any id: what gets furthest. */
static inline void step_use(struct fuzz *f, struct input *in)
{
	uint32_t id = take8(in), len = take16(in);
	uint8_t n = take8(in);
	struct vhk_vq_addr at;
	unsigned char *elem;

	vhk_vq_addr(f->vq, &at);
	if (f->packed) {
		uint16_t id16 = id, flags = f->used_wrap ? 0x8080 : 0;

		elem = (unsigned char *)at.desc + 16u * f->used;
		memcpy(elem + 8, &len, 4);
		memcpy(elem + 12, &id16, 2);
		memcpy(elem + 14, &flags, 2);
		f->used += n % 8;
		if (f->used >= f->size) {
			f->used %= f->size;
			f->used_wrap = !f->used_wrap;
		}
		return;
	}
	elem = (unsigned char *)at.device + 4 + 8u * (f->used & (f->size - 1));
	memcpy(elem, &id, 4);
	memcpy(elem + 4, &len, 4);
	f->used += n % 8;
	memcpy((unsigned char *)at.device + 2, &f->used, 2);
}

static inline void step_write(struct fuzz *f, struct input *in)
{
	size_t at = take16(in) % f->shared_size;
	unsigned int n = take8(in) % 16;

	while (n-- && at < f->shared_size)
		f->shared[at++] = take8(in);
}

static inline void step(struct fuzz *f, struct input *in)
{
	switch (take8(in) % 10) {
	case 0:
	case 1:
		step_add(f, in);
		break;
	case 2:
		vhk_vq_publish(f->vq);
		break;
	case 3:
	case 4:
		step_use(f, in);
		break;
	case 5:
		step_get(f, in);
		break;
	case 6:
		step_write(f, in);
		break;
	case 7:
		vhk_vq_arm(f->vq);
		break;
	case 8:
		vhk_vq_disarm(f->vq);
		vhk_vq_notification_data(f->vq, 0);
		break;
	default:
		if (take8(in) == 0xff)
			fuzz_reset(f);
	}
}

static inline void fuzz_open(struct fuzz *f, unsigned int pick, bool packed)
{
	static const uint16_t split_sizes[] = { 1, 2, 8, 64 }, packed_sizes[] = { 1, 3, 8, 64 };
	struct vhk_vq_opts o = { .sz = sizeof(o), .gpa = { 1u << 20 }, .max_indirect = 4 };
	struct vhk_vq_addr at;
	struct vhk_mem *mem;
	void *data;

	o.size = (packed ? packed_sizes : split_sizes)[pick & 3];
	o.features = VHK_F_VERSION_1 | (packed ? VHK_F_RING_PACKED : 0) |
		     (pick & 4 ? VHK_F_EVENT_IDX : 0) | (pick & 8 ? VHK_F_INDIRECT_DESC : 0) |
		     (pick & 16 ? VHK_F_IN_ORDER : 0);
	fuzz_must(!vhk_mem_new(&mem));
	/*
	 * A segment may reach past the first region: guest addresses leave a gap there, so that it
	 * is split or refused.
	 */
	fuzz_must(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, DATA_SIZE, &data));
	fuzz_must(!vhk_vq_new(&f->vq, mem, &o));
	f->data = data;
	f->packed = packed;
	f->size = o.size;
	vhk_vq_addr(f->vq, &at);
	f->shared = at.desc;
	f->shared_size = vhk_vq_bytes(&o);
}

static inline int fuzz_one(const uint8_t *bytes, size_t n, bool packed)
{
	static struct fuzz all[32]; /* made once, each: making one maps memory */
	struct input in = { bytes, n };
	struct fuzz *f = &all[take8(&in) % 32];

	if (!f->vq)
		fuzz_open(f, f - all, packed);
	fuzz_reset(f);
	f->next = 0;
	while (in.left)
		step(f, &in);
	return 0;
}

#endif
