/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device side of a virtqueue (virtio 1.3, sections 2.7 and 2.8): one interface over split and packed rings.
 * Knows memory, not sockets and not device types. The driver on the other side is hostile: every descriptor is
 * copied once, checked, and only the copy is used.
 */
#ifndef VHOSTKIT_RING_H
#define VHOSTKIT_RING_H

#include <sys/uio.h>

#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_ring;

/** A segment of the chain lies in no region: its iov_base is NULL. Answer the request with an error. */
#define VHK_CHAIN_F_FAULT 0x1
/** The chain was in flight when a former back end died; it is handed out a second time. */
#define VHK_CHAIN_F_RESUBMITTED 0x2

/**
 * struct vhk_chain - one request, as popped; lives in the ring until it is pushed
 * @id:       head (split) or buffer id (packed)
 * @n_desc:   ring slots that it occupies
 * @n_out:    segments the device may read: seg[0 .. n_out)
 * @n_in:     segments the device may write: seg[n_out .. n_out + n_in)
 * @out_len:  sum of the readable lengths, bytes
 * @in_len:   sum of the writable lengths, bytes
 * @written:  bytes that the device wrote, from the first writable one on; set before vhk_ring_push()
 * @flags:    VHK_CHAIN_F_*
 * @map_gen:  generation of the memory table that @seg points into
 * @inflight: place in the inflight region; the ring's own
 * @seg:      host pointers, ready for readv(2) and for an SQE
 * @order:    inflight counter; the ring's own
 * @ctx:      ctx_size bytes for the device, zeroed once when the ring is made
 */
struct vhk_chain {
	uint16_t id;
	uint16_t n_desc;
	uint16_t n_out, n_in;
	uint32_t out_len, in_len;
	uint32_t written;
	uint16_t flags;
	uint16_t inflight;
	uint32_t map_gen;
	struct iovec *seg;
	uint64_t order;
#ifdef __cplusplus
	alignas(16) unsigned char ctx[];
#else
	_Alignas(16) unsigned char ctx[];
#endif
};

/**
 * struct vhk_ring_opts - what a ring is made of
 * @sz:            sizeof(struct vhk_ring_opts)
 * @size:          descriptors, 1 to 32768; a power of two where the ring is split
 * @features:      what was negotiated; the ring's own bits are looked at
 * @desc:          descriptor table / packed descriptor ring, host address
 * @driver:        available ring / driver event suppression, host address
 * @device:        used ring / device event suppression, host address
 * @base:          where to go on. Split: bits 0-15 next available index (the used index is read from the ring).
 *                 Packed: bits 0-14 available index, 15 its wrap counter, 16-30 used index, 31 its wrap counter
 * @ctx_size:      bytes of context a chain carries for the device
 * @max_segs:      segments a chain may have at most, 1 to 1024; a chain with more breaks the ring. 0: 128
 * @max_indirect:  entries an indirect table may have at most. 0: @size or @max_segs, whichever is
 *                 more (Linux drivers look at the device's segment limit only)
 * @inflight:      this queue's part of a vhost-user inflight region, or NULL (vhost-user, "Inflight I/O tracking")
 * @inflight_size: bytes of it
 */
struct vhk_ring_opts {
	size_t sz;
	uint16_t size;
	uint64_t features;
	void *desc;
	void *driver;
	void *device;
	uint32_t base;
	uint32_t ctx_size;
	uint16_t max_segs;
	uint16_t max_indirect;
	void *inflight;
	size_t inflight_size;
};

/* Takes a snapshot of @mem as it is; recovers from @inflight where that holds a former session's state. */
VHK_API int vhk_ring_new(struct vhk_ring **out, const struct vhk_mem *mem,
			 const struct vhk_ring_opts *o);
VHK_API void vhk_ring_free(struct vhk_ring *r);

/* Up to @max chains; 0: none; -EBADMSG: broken, and so for ever. Resubmitted ones come first, in their old order. */
VHK_API int vhk_ring_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max);
/* Stages only: touches no shared memory. The chain belongs to the ring again. */
VHK_API void vhk_ring_push(struct vhk_ring *r, struct vhk_chain *c);
/* Chains pushed and not yet published. */
VHK_API unsigned int vhk_ring_staged(const struct vhk_ring *r);
/* Makes everything staged visible with one index update. 1: the driver wants a call, 0: it does not. */
VHK_API int vhk_ring_publish(struct vhk_ring *r);
/* One load; for spinning. May be wrong for a moment, never for ever. */
VHK_API bool vhk_ring_ready(const struct vhk_ring *r);
/* Asks the driver for a kick. 1: work came meanwhile, so do not sleep; 0: sleep. */
VHK_API int vhk_ring_arm(struct vhk_ring *r);
VHK_API void vhk_ring_disarm(struct vhk_ring *r);
/* Chains popped and not yet pushed. */
VHK_API unsigned int vhk_ring_in_flight(const struct vhk_ring *r);
/* The position in the form of opts.base: the next chain to pop, and what is published as used. */
VHK_API uint32_t vhk_ring_base(const struct vhk_ring *r);
/* 0, or the sticky error. */
VHK_API int vhk_ring_error(const struct vhk_ring *r);

#ifdef __cplusplus
}
#endif

#endif
