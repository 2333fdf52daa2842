// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Which pages of a mapped image are in the page cache: one table for the disk, filled by asking the
 * kernel for a part of the image at a time, and by what requests have moved since. What is known
 * holds for a moment only. A page that is gone all the same costs a wait for the medium in the
 * queue's own thread; where memory is so short that this happens often, nothing is believed for a
 * while.
 */
#include <sys/resource.h>

#include "blk_impl.h"
#include "clock.h"
#include "map.h"

/*
 * A part is a word of the table, and changes as a whole: a bit for each of its pages, which part it
 * is of those that share this place, and when the kernel was asked, in units that wrap around after
 * hours.
 */
#define PART_PAGES 32u
#define PAGES_MASK ((uint64_t)UINT32_MAX)
#define TAG_SHIFT 32
#define TAG_MAX UINT16_MAX
#define TIME_SHIFT 48
#define TIME_UNIT_MS 256u
#define KEEP_UNITS 8u

#define PARTS_MAX (1u << 17) /* 16 GiB without two in one place */

/* So many major faults in one look at them are bad luck, more are a lack of memory. */
#define LOOK_MS 100u
#define FAULTS_FEW 4
#define PAUSE_MS 10000u
/* Parts not asked for between two questions, where answers are of no use. */
#define SKIP_MAX 255u

static long major_faults(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_majflt;
}

void vhk_blk_present_init(struct vhk_blk_present *p, const unsigned char *mapped, uint64_t size)
{
	const uint64_t page = vhk_page_size();
	uint64_t n = 1;

	memset(p, 0, sizeof(*p));
	p->page = (uint32_t)page;
	while (n < PARTS_MAX && n * PART_PAGES * page < size)
		n *= 2;
	p->part = calloc(n, sizeof(*p->part));
	p->n_parts = n;
	p->mapped = mapped;
	p->size = vhk_align_up(size, page);
	atomic_store_explicit(&p->resume, vhk_now_coarse_ms(), memory_order_relaxed);
}

void vhk_blk_present_fini(struct vhk_blk_present *p)
{
	free(p->part);
	p->part = NULL;
}

void vhk_blk_reader_init(struct vhk_blk_reader *r, struct vhk_blk_present *p)
{
	*r = (struct vhk_blk_reader){ .present = p,
				      .looked = vhk_now_coarse_ms(),
				      .faults = major_faults() };
}

static uint64_t part_bytes(const struct vhk_blk_present *p)
{
	return (uint64_t)p->page * PART_PAGES;
}

static _Atomic(uint64_t) *place_of(const struct vhk_blk_present *p, uint64_t part)
{
	return &p->part[part & (p->n_parts - 1)];
}

static uint64_t tag_of(const struct vhk_blk_present *p, uint64_t part)
{
	return part / p->n_parts;
}

static uint64_t word_of(const struct vhk_blk_present *p, uint64_t part, uint32_t now)
{
	return tag_of(p, part) << TAG_SHIFT |
	       (uint64_t)(uint16_t)(now / TIME_UNIT_MS) << TIME_SHIFT;
}

/* The word is of this part, and was asked for a moment ago. */
static bool holds(const struct vhk_blk_present *p, uint64_t word, uint64_t part, uint32_t now)
{
	uint16_t age = (uint16_t)(now / TIME_UNIT_MS - (word >> TIME_SHIFT));

	return (word >> TAG_SHIFT & TAG_MAX) == tag_of(p, part) && age < KEEP_UNITS;
}

/* Those of a part's pages that [off, off + *len) begins with; *len is what lies in them. */
static uint64_t pages_of(const struct vhk_blk_present *p, uint64_t off, uint64_t *len)
{
	const uint64_t bytes = part_bytes(p), room = bytes - off % bytes;
	unsigned int first, last;

	*len = vhk_min(*len, room);
	first = (unsigned int)(off / p->page % PART_PAGES);
	last = (unsigned int)((off + *len - 1) / p->page % PART_PAGES);
	return PAGES_MASK >> (PART_PAGES - 1 - last) & PAGES_MASK << first & PAGES_MASK;
}

static uint64_t ask_kernel(const struct vhk_blk_present *p, uint64_t part)
{
	const uint64_t off = part * part_bytes(p);
	unsigned char in[PART_PAGES] = { 0 };
	uint64_t pages = 0;
	unsigned int i;

	if (vhk_map_resident(p->mapped + off, vhk_min(part_bytes(p), p->size - off), in))
		return 0;
	for (i = 0; i < PART_PAGES; i++)
		pages |= (uint64_t)(in[i] & 1) << i;
	return pages;
}

/* An image that is read from its medium is asked about ever more seldom. */
static uint64_t look(struct vhk_blk_reader *r, uint64_t part, uint64_t want)
{
	uint64_t pages;

	if (r->skip) {
		r->skip--;
		return 0;
	}
	pages = ask_kernel(r->present, part);
	if ((pages & want) == want)
		r->pause = 0;
	else
		r->pause = vhk_min(2 * r->pause + 1, SKIP_MAX);
	r->skip = r->pause;
	return pages;
}

static bool part_has(struct vhk_blk_reader *r, uint64_t part, uint64_t want, uint32_t now)
{
	_Atomic(uint64_t) *at = place_of(r->present, part);
	uint64_t word = atomic_load_explicit(at, memory_order_relaxed);

	if (vhk_unlikely(!word || !holds(r->present, word, part, now))) {
		word = word_of(r->present, part, now) | look(r, part, want);
		atomic_store_explicit(at, word, memory_order_relaxed);
	}
	return (word & want) == want;
}

static void forget_all(struct vhk_blk_present *p)
{
	uint64_t i;

	for (i = 0; i < p->n_parts; i++)
		atomic_store_explicit(&p->part[i], 0, memory_order_relaxed);
}

/* False: memory is short. */
static bool look_at_faults(struct vhk_blk_reader *r, uint32_t now)
{
	long faults = major_faults(), more = faults - r->faults;

	r->looked = now;
	r->faults = faults;
	if (more <= FAULTS_FEW)
		return true;
	atomic_store_explicit(&r->present->resume, now + PAUSE_MS, memory_order_relaxed);
	forget_all(r->present);
	return false;
}

static bool believed(struct vhk_blk_reader *r, uint32_t now)
{
	uint32_t resume = atomic_load_explicit(&r->present->resume, memory_order_relaxed);

	if ((int32_t)(now - resume) < 0)
		return false;
	return now - r->looked < LOOK_MS || look_at_faults(r, now);
}

bool vhk_blk_present_has(struct vhk_blk_reader *r, uint64_t off, uint64_t len)
{
	struct vhk_blk_present *p = r->present;
	const uint32_t now = vhk_now_coarse_ms();
	uint64_t n, want;

	if (!p || !p->part || off + len > p->size || !believed(r, now))
		return false;
	for (; len; off += n, len -= n) {
		n = len;
		want = pages_of(p, off, &n);
		if (tag_of(p, off / part_bytes(p)) > TAG_MAX ||
		    !part_has(r, off / part_bytes(p), want, now))
			return false;
	}
	return true;
}

void vhk_blk_present_note(struct vhk_blk_present *p, uint64_t off, uint64_t len)
{
	const uint32_t now = vhk_now_coarse_ms();
	uint64_t n, pages, word, part;
	_Atomic(uint64_t) *at;

	if (!p->part)
		return;
	for (; len; off += n, len -= n) {
		n = len;
		pages = pages_of(p, off, &n);
		part = off / part_bytes(p);
		at = place_of(p, part);
		word = atomic_load_explicit(at, memory_order_relaxed);
		/* what nobody has asked about lately is asked about by the next who reads there */
		if (word && holds(p, word, part, now) && (word & pages) != pages)
			atomic_compare_exchange_strong_explicit(at, &word, word | pages,
								memory_order_relaxed,
								memory_order_relaxed);
	}
}

void vhk_blk_present_forget(struct vhk_blk_present *p, uint64_t off, uint64_t len)
{
	uint64_t part, last;

	if (!p->part || !len)
		return;
	last = (off + len - 1) / part_bytes(p);
	for (part = off / part_bytes(p); part <= last; part++)
		atomic_store_explicit(place_of(p, part), 0, memory_order_relaxed);
}
