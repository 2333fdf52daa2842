// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The dirty log of a migration: which 4 KiB pages of guest memory were written (vhost-user,
 * "Migration"). The front end clears bits while we set them, so every set is an atomic OR, also
 * where the bit may be set already: a look before it would have to be ordered behind the data.
 */
#include "base.h"
#include "mem.h"

#define PAGE_SHIFT 12

void vhk_dirty_flush(const struct vhk_dirty *d, struct vhk_dirty_run *run)
{
	if (!run->bits)
		return;
	atomic_fetch_or_explicit(&d->bits[run->byte], (unsigned char)run->bits,
				 memory_order_release);
	run->bits = 0;
	run->told = true;
}

/* A mark may come late, as long as it comes: who copies the page before that copies it again. */
static void mark_bits(const struct vhk_dirty *d, struct vhk_dirty_run *run, uint64_t byte,
		      unsigned int bits)
{
	if (byte != run->byte)
		vhk_dirty_flush(d, run);
	run->byte = byte;
	run->bits |= bits;
}

void vhk_dirty_mark(const struct vhk_dirty *d, struct vhk_dirty_run *run, uint64_t gpa,
		    uint64_t len)
{
	uint64_t first = gpa >> PAGE_SHIFT, last, byte;
	unsigned int bits;

	if (!len || !d->size || first / 8 >= d->size)
		return;
	last = (vhk_range_ok(gpa, len) ? gpa + (len - 1) : UINT64_MAX) >> PAGE_SHIFT;
	if (last / 8 >= d->size)
		last = d->size * 8 - 1;
	for (byte = first / 8; byte <= last / 8; byte++) {
		bits = 0xff;
		if (byte == first / 8)
			bits &= 0xffu << (first % 8);
		if (byte == last / 8)
			bits &= 0xffu >> (7 - last % 8);
		mark_bits(d, run, byte, bits & 0xff);
	}
}

void vhk_dirty_mark_segs(const struct vhk_dirty *d, struct vhk_dirty_run *run,
			 const struct vhk_table *t, const struct iovec *seg, unsigned int n,
			 uint64_t written, unsigned int *hint)
{
	const struct vhk_span *s;
	uint64_t at, len;
	unsigned int i;

	for (i = 0; i < n && written; i++, written -= len) {
		at = (uintptr_t)seg[i].iov_base;
		len = vhk_min(written, (uint64_t)seg[i].iov_len);
		s = vhk_span_find(t->by_va, t->n, at, len, hint);
		if (s)
			vhk_dirty_mark(d, run, (uintptr_t)s->va + (at - s->start), len);
	}
}
