/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device side of a virtqueue (virtio 1.3, sections 2.7 and 2.8): one interface over split and
 * packed rings. Knows memory, not sockets and not device types. The driver on the other side is
 * hostile: every descriptor is copied once, checked, and only the copy is used.
 */
#ifndef VHOSTKIT_RING_H
#define VHOSTKIT_RING_H

#include <sys/uio.h>

#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An object of one thread at a time. */
struct vhk_ring;

/** A segment of the chain lies in no region, its iov_base is NULL: answer with an error. */
#define VHK_CHAIN_F_FAULT 0x1
/** The chain was in flight when a former back end died: it is handed out once more. */
#define VHK_CHAIN_F_RESUBMITTED 0x2

/**
 * Set by the device before vhk_ring_push(): it may have written anywhere in the writable part, and
 * not only into the first @written bytes. All of it goes to a dirty log.
 */
#define VHK_CHAIN_F_SCATTERED 0x4

/**
 * struct vhk_chain - one request, as popped; the device's until vhk_ring_push()
 * @id:       head (split) or buffer id (packed)
 * @n_desc:   ring slots that it occupies
 * @n_out:    segments the device may read: seg[0 .. n_out)
 * @n_in:     segments the device may write: seg[n_out .. n_out + n_in)
 * @out_len:  sum of the readable lengths, bytes
 * @in_len:   sum of the writable lengths, bytes; with @out_len at most 2^32 - 1
 * @written:  bytes that the device wrote, from the first writable one on, at most @in_len; 0 when
 *            popped, set before vhk_ring_push()
 * @flags:    VHK_CHAIN_F_*
 * @inflight: place in the inflight region; the ring's own
 * @map_gen:  generation of the memory table that @seg points into
 * @seg:      host pointers, ready for readv(2) and for an SQE; none has length 0. With
 *            VHK_CHAIN_F_FAULT some have iov_base NULL, and their length as the driver gave it
 * @order:    inflight counter; the ring's own
 * @ctx:      ctx_size bytes for the device, zeroed once when the ring is made
 *
 * What the descriptors said is copied here once; the driver may change them, and nothing changes
 * here.
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
/* C++ has no arrays of unknown size here, though its compilers do. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
	alignas(16) unsigned char ctx[];
#pragma GCC diagnostic pop
#else
	_Alignas(16) unsigned char ctx[];
#endif
};

/**
 * struct vhk_ring_opts - what a ring is made of
 * @sz:            sizeof(struct vhk_ring_opts)
 * @size:          descriptors, 1 to 32768; a power of two where the ring is split
 * @features:      what was negotiated. Looked at: VHK_F_RING_PACKED, VHK_F_INDIRECT_DESC,
 *                 VHK_F_EVENT_IDX, VHK_F_IN_ORDER
 * @desc:          descriptor table / packed descriptor ring, host address, 16-aligned
 * @driver:        available ring (2-aligned) / driver event suppression (4-aligned), host address
 * @device:        used ring / device event suppression, host address, 4-aligned
 * @base:          where to go on. Split: bits 0-15 next available index (the used index is read
 *                 from the ring). Packed: bits 0-14 available slot, 15 its wrap counter, 16-30 used
 *                 slot, 31 its wrap counter. An inflight region in use overrides it
 * @ctx_size:      bytes of context a chain carries for the device, at most 65536
 * @max_segs:      segments a chain may have at most, 1 to 1024; a chain with more breaks the ring.
 *                 0: 128
 * @max_indirect:  entries an indirect table may have at most. 0: @size or @max_segs, whichever is
 *                 more (Linux drivers look at the device's segment limit only)
 * @inflight:      this queue's part of a vhost-user inflight region (vhost-user, "Inflight I/O
 *                 tracking"), 8-aligned, or NULL; stays mapped until the ring is freed
 * @inflight_size: bytes of it
 *
 * The three parts are the caller's to check: each lies whole in memory that stays mapped.
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

/**
 * vhk_ring_new() - make the device side of a ring
 * @out: the ring, the caller's
 * @mem: what descriptors are translated with, as it is at the moment; later changes do not count
 * @o:   not NULL; not kept
 *
 * Where @o->inflight holds a former session's state, the ring goes on from there, and what was in
 * flight is popped first, in its old order, with VHK_CHAIN_F_RESUBMITTED. All memory that the ring
 * ever needs is taken here: about 100 KiB for 256 descriptors.
 *
 * Return: 0; -EINVAL: an option is out of range; -EOPNOTSUPP: an unknown option; -EBADMSG: @o->base
 * and the used index contradict each other; -EPROTO: the inflight region contradicts itself;
 * -ENOMEM.
 */
VHK_API int vhk_ring_new(struct vhk_ring **out, const struct vhk_mem *mem,
			 const struct vhk_ring_opts *o);

/**
 * vhk_ring_free() - end a ring
 * @r: may be NULL. Its chains end with it; what was in flight stays so in the inflight region
 */
VHK_API void vhk_ring_free(struct vhk_ring *r);

/**
 * vhk_ring_pop() - take chains that the driver made available (virtio 1.3, 2.7.14 and 2.8.22)
 * @r:   the ring
 * @out: where pointers to them go, in ring order; the caller's until vhk_ring_push()
 * @max: at most so many; 64 a call are enough for all
 *
 * Addresses are translated whole; a range over adjacent regions is several segments, and one that
 * is in no region sets VHK_CHAIN_F_FAULT. When segments run out while long chains are in flight,
 * popping pauses until one of them is pushed; vhk_ring_ready() is false meanwhile.
 *
 * Return: how many; 0: none; -EBADMSG: the driver broke the ring, and so for ever. Chains before a
 * broken one are returned first.
 */
VHK_API int vhk_ring_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max);

/**
 * vhk_ring_push() - give back an answered chain
 * @r: the ring
 * @c: popped from @r and pushed once, in any order; the ring's again
 *
 * Stages only: the driver sees nothing before vhk_ring_publish(). With a dirty log what was written
 * is logged here, so data comes first.
 */
VHK_API void vhk_ring_push(struct vhk_ring *r, struct vhk_chain *c);

/**
 * vhk_ring_staged() - chains pushed and not yet published
 * @r: the ring
 *
 * Return: how many, those included that VHK_F_IN_ORDER holds back behind an older one.
 */
VHK_API unsigned int vhk_ring_staged(const struct vhk_ring *r);

/**
 * vhk_ring_publish() - show the driver everything staged, with one index update
 * @r: the ring
 *
 * With VHK_F_IN_ORDER: everything up to the oldest chain in flight, in as few used entries as the
 * specification allows (virtio 1.3, 2.7.9 and 2.8.10.1).
 *
 * Return: 1: the driver wants a call; 0: it does not (virtio 1.3, 2.7.7 and 2.8.10).
 */
VHK_API int vhk_ring_publish(struct vhk_ring *r);

/**
 * vhk_ring_ready() - whether popping may bring something; one load, for spinning
 * @r: the ring
 *
 * Return: true or false; may be wrong for a moment, never for ever. False on a broken ring.
 */
VHK_API bool vhk_ring_ready(const struct vhk_ring *r);

/**
 * vhk_ring_arm() - ask the driver for a kick, before sleeping
 * @r: the ring
 *
 * Return: 1: work came meanwhile, so do not sleep; 0: sleep.
 */
VHK_API int vhk_ring_arm(struct vhk_ring *r);

/**
 * vhk_ring_disarm() - kicks are of no use, because the caller polls
 * @r: the ring. A hint: some kicks may come all the same
 */
VHK_API void vhk_ring_disarm(struct vhk_ring *r);

/**
 * vhk_ring_in_flight() - chains popped and not yet pushed
 * @r: the ring
 *
 * Return: how many.
 */
VHK_API unsigned int vhk_ring_in_flight(const struct vhk_ring *r);

/**
 * vhk_ring_base() - the position, in the form of vhk_ring_opts.base
 * @r: the ring
 *
 * Return: the next chain to pop and, in a packed ring, what is published as used.
 */
VHK_API uint32_t vhk_ring_base(const struct vhk_ring *r);

/**
 * vhk_ring_error() - whether the ring is broken
 * @r: the ring
 *
 * Return: 0, or -EBADMSG, which stays.
 */
VHK_API int vhk_ring_error(const struct vhk_ring *r);

#ifdef __cplusplus
}
#endif

#endif
