/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a ring looks like in memory, to the driver's side and to the device's: descriptors, the
 * driver's part and the device's part of both layouts (virtio 1.3, 2.7 and 2.8). All members are
 * little endian, and shared: barrier.h reads and writes them.
 */
#ifndef VHK_LIB_RING_LAYOUT_H
#define VHK_LIB_RING_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include <vhostkit/vhk.h>

enum {
	DESC_F_NEXT = 1,
	DESC_F_WRITE = 2,
	DESC_F_INDIRECT = 4,
	DESC_F_AVAIL = 1 << 7,
	DESC_F_USED = 1 << 15,
	DESC_F_LAP = DESC_F_AVAIL | DESC_F_USED, /* both change with every lap */
};

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};
#define PACKED_LINE 4u /* descriptors in a cache line */

enum {
	AVAIL_F_NO_INTERRUPT = 1,
	USED_F_NO_NOTIFY = 1,
};

struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* [size] is used_event */
};

struct split_used_elem {
	uint32_t id;
	uint32_t len;
};

struct split_used {
	uint16_t flags;
	uint16_t idx;
	struct split_used_elem ring[]; /* [size] starts with avail_event */
};

enum {
	EVENT_ENABLE = 0,
	EVENT_DISABLE = 1,
	EVENT_DESC = 2,
};

#define EVENT_WRAP 0x8000

struct packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

_Static_assert(sizeof(struct split_desc) == 16 && sizeof(struct packed_desc) == 16, "descriptors");
_Static_assert(sizeof(struct split_used_elem) == 8 && sizeof(struct packed_event) == 4, "entries");

/* Bytes of the three parts, with the event fields, whatever was negotiated. */
struct ring_parts {
	uint64_t desc, driver, device;
};

/* Pages of the largest ring: 26 bytes an entry in three parts, each of which may start and end
 * inside a page. */
#define RING_PIECES_MAX (26 * VHK_QUEUE_SIZE_MAX / 4096 + 6)

static inline struct ring_parts ring_parts_of(uint16_t size, bool packed)
{
	const uint64_t desc = sizeof(struct split_desc) * size;

	if (packed)
		return (struct ring_parts){ desc, sizeof(struct packed_event),
					    sizeof(struct packed_event) };
	return (struct ring_parts){ desc, sizeof(struct split_avail) + 2ull * size + 2,
				    sizeof(struct split_used) +
					    sizeof(struct split_used_elem) * (uint64_t)size + 2 };
}

/* Alignment: virtio 1.3, 2.7 and 2.8. */
static inline bool ring_parts_aligned(const void *desc, const void *driver, const void *device,
				      bool packed)
{
	return (uintptr_t)desc % 16 == 0 && (uintptr_t)driver % (packed ? 4 : 2) == 0 &&
	       (uintptr_t)device % 4 == 0;
}

/* The event lies among what was added since @old: virtio 1.3, 2.7.7.1, 2.7.10 and 2.8.10. */
static inline bool ring_need_event(uint16_t event, uint16_t idx, uint16_t old)
{
	return (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
}

#endif
