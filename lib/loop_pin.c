// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Guest memory that is registered with io_uring: looked up and pinned once, for as long as a queue
 * of the loop uses it. What cannot be registered is read and written like all other memory.
 * Mappings do not overlap: devices have their memory from sessions, which map it themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "loop_pin.h"
#include "mem.h"

/* io_uring takes no more as one buffer. */
#define PIECE (1ull << 30)

/* Sorted by va. Each holds its mapping, so that nothing else comes to lie where it is. */
struct vhk_pin {
	uintptr_t va;
	size_t len;
	struct vhk_mapping *mapping;
	unsigned int users; /* queues */
	uint16_t slot;	    /* in the engine's table, or NO_SLOT: not registered */
	bool wanted;	    /* though it is to be */
};

struct vhk_pins {
	struct vhk_pin *pin;
	unsigned int n, room;
	unsigned int hit; /* where the last range was */
	uint16_t free[VHK_PINS_MAX];
	unsigned int n_free;
	bool full; /* the kernel pins no more, until something is given back */
	bool told; /* that something could not be registered */
};

#define NO_SLOT UINT16_MAX

int vhk_pins_init(struct vhk_loop *l)
{
	struct vhk_pins *p;
	unsigned int i;
	int ret;

	if (!l->engine->pins)
		return -EOPNOTSUPP;
	ret = l->engine->pins(l);
	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (i = 0; i < VHK_PINS_MAX; i++)
		p->free[i] = (uint16_t)(VHK_PINS_MAX - 1 - i);
	p->n_free = VHK_PINS_MAX;
	l->pins = p;
	return 0;
}

void vhk_pins_free(struct vhk_loop *l)
{
	struct vhk_pins *p = l->pins;
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < p->n; i++)
		vhk_mapping_put(p->pin[i].mapping);
	free(p->pin);
	free(p);
	l->pins = NULL;
}

/* The first that ends behind @va; p->n: none. */
static unsigned int first_behind(const struct vhk_pins *p, uintptr_t va)
{
	unsigned int low = 0, high = p->n, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (p->pin[mid].va + p->pin[mid].len <= va)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool holds(const struct vhk_pin *pin, uintptr_t va, size_t len)
{
	return va - pin->va < pin->len && len <= pin->len - (va - pin->va);
}

int vhk_pin_find(struct vhk_loop *l, const void *at, size_t len)
{
	struct vhk_pins *p = l->pins;
	uintptr_t va = (uintptr_t)at;

	if (p->hit >= p->n || !holds(&p->pin[p->hit], va, len))
		p->hit = first_behind(p, va);
	if (p->hit == p->n || !holds(&p->pin[p->hit], va, len) ||
	    p->pin[p->hit].slot == NO_SLOT)
		return -1;
	return p->pin[p->hit].slot;
}

static void count(struct vhk_loop *l, int64_t bytes)
{
	vhk_loop_count(&l->stats.pinned, (uint64_t)bytes);
}

/* Said once: a front end can make it happen again and again. */
static void tell(struct vhk_loop *l, size_t len, int ret)
{
	if (l->pins->told)
		return;
	l->pins->told = true;
	vhk_log(&l->log, VHK_LOG_WARN, "%zu KiB of guest memory cannot be pinned%s: %s", len >> 10,
		ret == -ENOMEM ? " (RLIMIT_MEMLOCK?)" : "", strerror(-ret));
}

static uint16_t pin_slot(struct vhk_loop *l, uintptr_t va, size_t len)
{
	struct vhk_pins *p = l->pins;
	uint16_t slot;
	int ret = -ENOSPC;

	/* Each piece that is refused for a limit is brought into memory first. */
	if (p->full)
		return NO_SLOT;
	if (p->n_free) {
		slot = p->free[p->n_free - 1];
		ret = l->engine->pin(l, slot, (void *)va, len);
	}
	if (ret) {
		p->full = ret == -ENOMEM || ret == -ENOSPC;
		tell(l, len, ret);
		return NO_SLOT;
	}
	p->n_free--;
	count(l, (int64_t)len);
	return slot;
}

static bool make_room(struct vhk_pins *p)
{
	unsigned int room = p->room ? p->room * 2 : 16;
	struct vhk_pin *pin;

	if (p->n < p->room)
		return true;
	pin = realloc(p->pin, room * sizeof(*pin));
	if (!pin)
		return false;
	p->pin = pin;
	p->room = room;
	return true;
}

/* Without memory for it, a piece is not noted: then it is not registered, and not missed later. */
static void pin_piece(struct vhk_loop *l, struct vhk_mapping *mapping, uintptr_t va, size_t len,
		      bool wanted)
{
	struct vhk_pins *p = l->pins;
	unsigned int i = first_behind(p, va);

	if (i < p->n && p->pin[i].va == va && p->pin[i].mapping == mapping) {
		p->pin[i].users++;
		return;
	}
	if (!make_room(p))
		return;
	memmove(&p->pin[i + 1], &p->pin[i], (p->n - i) * sizeof(*p->pin));
	p->n++;
	atomic_fetch_add_explicit(&mapping->refs, 1, memory_order_relaxed);
	p->pin[i] = (struct vhk_pin){
		.va = va, .len = len, .mapping = mapping, .users = 1, .wanted = wanted
	};
	p->pin[i].slot = wanted ? pin_slot(l, va, len) : NO_SLOT;
}

/* True: there may be room for another one. */
static bool unpin_piece(struct vhk_loop *l, struct vhk_mapping *mapping, uintptr_t va)
{
	struct vhk_pins *p = l->pins;
	unsigned int i = first_behind(p, va);
	struct vhk_pin gone;

	if (i == p->n || p->pin[i].va != va || p->pin[i].mapping != mapping || --p->pin[i].users)
		return false;
	gone = p->pin[i];
	p->n--;
	memmove(&p->pin[i], &p->pin[i + 1], (p->n - i) * sizeof(*p->pin));
	if (gone.slot != NO_SLOT) {
		l->engine->unpin(l, gone.slot);
		p->free[p->n_free++] = gone.slot;
		count(l, -(int64_t)gone.len);
	}
	vhk_mapping_put(gone.mapping);
	return gone.slot != NO_SLOT;
}

/* While a front end exchanges its memory, the limit has to do for the old and the new. */
static void pin_rest(struct vhk_loop *l)
{
	struct vhk_pins *p = l->pins;
	unsigned int i;

	p->full = false;
	for (i = 0; i < p->n && !p->full; i++)
		if (p->pin[i].wanted && p->pin[i].slot == NO_SLOT)
			p->pin[i].slot = pin_slot(l, p->pin[i].va, p->pin[i].len);
}

void vhk_loop_pin(struct vhk_loop *l, const struct vhk_table *t)
{
	/* Pages that are to arrive would be waited for one by one, by all queues. */
	const bool wanted = !vhk_table_late(t);
	uint64_t off, size;
	unsigned int i;

	if (!l->pins)
		return;
	for (i = 0; i < t->n; i++) {
		size = t->by_gpa[i].size;
		for (off = 0; off < size; off += PIECE)
			pin_piece(l, t->mapping[i], (uintptr_t)t->by_gpa[i].va + off,
				  vhk_min(PIECE, size - off), wanted);
	}
}

void vhk_loop_unpin(struct vhk_loop *l, const struct vhk_table *t)
{
	bool room = false;
	uint64_t off;
	unsigned int i;

	if (!l->pins)
		return;
	for (i = 0; i < t->n; i++)
		for (off = 0; off < t->by_gpa[i].size; off += PIECE)
			room |= unpin_piece(l, t->mapping[i], (uintptr_t)t->by_gpa[i].va + off);
	if (room)
		pin_rest(l);
}
