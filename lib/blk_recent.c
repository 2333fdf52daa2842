// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Which pages of an image are in the page cache, without asking: those that were read or written a
 * moment ago. A mapped page that is gone all the same costs a wait for the medium in the queue's
 * own thread; where memory is so short that this happens often, nothing is believed for a while.
 */
#include <sys/resource.h>

#include "blk_impl.h"
#include "clock.h"

#define PAGE 4096u
#define PART_PAGES 64u
#define PART (PART_PAGES * PAGE)
#define PARTS 4096u /* direct-mapped: 1 GiB of neighbouring parts does not collide */

#define KEEP_MS 2000u
/* So many major faults in one look at them are bad luck, more are a lack of memory. */
#define LOOK_MS 100u
#define FAULTS_FEW 4
#define PAUSE_MS 10000u

struct vhk_blk_recent_part {
	uint64_t part;
	uint64_t pages; /* a bit each */
	uint32_t since; /* of the first of them, ms */
};

static long major_faults(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_majflt;
}

void vhk_blk_recent_init(struct vhk_blk_recent *r)
{
	memset(r, 0, sizeof(*r));
	r->parts = calloc(PARTS, sizeof(*r->parts));
	r->looked = r->resume = vhk_now_coarse_ms();
	r->faults = major_faults();
}

void vhk_blk_recent_fini(struct vhk_blk_recent *r)
{
	free(r->parts);
	r->parts = NULL;
}

void vhk_blk_recent_forget(struct vhk_blk_recent *r)
{
	if (r->parts)
		memset(r->parts, 0, PARTS * sizeof(*r->parts));
}

static void look_at_faults(struct vhk_blk_recent *r, uint32_t now)
{
	long faults = major_faults(), more = faults - r->faults;

	r->looked = now;
	r->faults = faults;
	if (more <= FAULTS_FEW)
		return;
	r->resume = now + PAUSE_MS;
	vhk_blk_recent_forget(r);
}

static bool in_one_part(uint64_t off, uint64_t len)
{
	return off / PART == (off + len - 1) / PART;
}

static uint64_t pages_of(uint64_t off, uint64_t len)
{
	unsigned int first = off / PAGE % PART_PAGES, last = (off + len - 1) / PAGE % PART_PAGES;

	return UINT64_MAX >> (PART_PAGES - 1 - last) & UINT64_MAX << first;
}

bool vhk_blk_recent_has(struct vhk_blk_recent *r, uint64_t off, uint64_t len)
{
	const uint32_t now = vhk_now_coarse_ms();
	const struct vhk_blk_recent_part *p;
	uint64_t pages;

	if (!r->parts || (int32_t)(now - r->resume) < 0 || !in_one_part(off, len))
		return false;
	if (now - r->looked >= LOOK_MS)
		look_at_faults(r, now);
	p = &r->parts[off / PART % PARTS];
	pages = pages_of(off, len);
	return p->part == off / PART && now - p->since < KEEP_MS && (p->pages & pages) == pages;
}

void vhk_blk_recent_note(struct vhk_blk_recent *r, uint64_t off, uint64_t len)
{
	struct vhk_blk_recent_part *p;
	uint32_t now;

	if (!r->parts || !in_one_part(off, len))
		return;
	now = vhk_now_coarse_ms();
	p = &r->parts[off / PART % PARTS];
	if (p->part != off / PART || now - p->since >= KEEP_MS)
		*p = (struct vhk_blk_recent_part){ .part = off / PART, .since = now };
	p->pages |= pages_of(off, len);
}
