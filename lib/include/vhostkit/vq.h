/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver side of a virtqueue (virtio 1.3, sections 2.7 and 2.8), split and packed. The device is hostile, too:
 * what it says it used must be outstanding, and lengths are held against what was offered.
 */
#ifndef VHOSTKIT_VQ_H
#define VHOSTKIT_VQ_H

#include <sys/uio.h>

#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_vq;

/**
 * struct vhk_vq_opts - what a driver's queue is made of
 * @sz:           sizeof(struct vhk_vq_opts)
 * @size:         descriptors, 1 to 32768; a power of two where the ring is split
 * @features:     what was negotiated; the ring's own bits are looked at
 * @gpa:          where in the guest's memory the queue's own block goes; it is added to the table as a region
 * @max_indirect: entries of an indirect table, 0: none are made even if negotiated
 * @indirect_min: chains of at least that many segments go indirect (with VHK_F_INDIRECT_DESC). 0: 3
 */
struct vhk_vq_opts {
	size_t sz;
	uint16_t size;
	uint64_t features;
	struct vhk_gpa gpa;
	uint16_t max_indirect;
	uint16_t indirect_min;
};

/**
 * struct vhk_done - one request that the device has answered
 * @token:   what vhk_vq_add() was given
 * @written: bytes that the device says it wrote, never more than the writable part
 */
struct vhk_done {
	void *token;
	uint32_t written;
};

/**
 * struct vhk_vq_addr - where a queue lies, for SET_VRING_ADDR
 * @size:   descriptors
 * @base:   position to start from, as in struct vhk_ring_opts
 * @desc:   @driver: @device: our addresses of the three parts; all lie in one region of the table
 */
struct vhk_vq_addr {
	uint16_t size;
	uint32_t base;
	void *desc;
	void *driver;
	void *device;
};

/* Adds one region to @m for the ring itself; vhk_vq_free() removes it. @m outlives the queue. */
VHK_API int vhk_vq_new(struct vhk_vq **out, struct vhk_mem *m, const struct vhk_vq_opts *o);
VHK_API void vhk_vq_free(struct vhk_vq *q);
/* Bytes of guest memory that vhk_vq_new() will add at opts.gpa, page multiple. */
VHK_API size_t vhk_vq_bytes(const struct vhk_vq_opts *o);

/* @seg: n_out readable, then n_in writable segments, inside @m. Visible only after publish. -ENOBUFS: full. */
VHK_API int vhk_vq_add(struct vhk_vq *q, const struct iovec *seg, unsigned int n_out,
		       unsigned int n_in, void *token);
/* 1: the device wants a kick; 0: it does not. */
VHK_API int vhk_vq_publish(struct vhk_vq *q);
/* Up to @max answered requests, 0, or -EBADMSG (sticky). */
VHK_API int vhk_vq_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max);
/* One load; for spinning. */
VHK_API bool vhk_vq_ready(const struct vhk_vq *q);
/* Asks the device for a call. 1: something came meanwhile. */
VHK_API int vhk_vq_arm(struct vhk_vq *q);
VHK_API void vhk_vq_disarm(struct vhk_vq *q);
/* Outstanding requests. */
VHK_API unsigned int vhk_vq_in_flight(const struct vhk_vq *q);
VHK_API int vhk_vq_addr(const struct vhk_vq *q, struct vhk_vq_addr *out);
/* The value that a kick carries with VHK_F_NOTIFICATION_DATA (virtio 1.3, 2.9), for queue number @idx. */
VHK_API uint32_t vhk_vq_notification_data(const struct vhk_vq *q, uint16_t idx);
/* Forgets everything outstanding (VHK_F_RING_RESET, device reset); tokens are handed to @fn one by one. */
VHK_API void vhk_vq_reset(struct vhk_vq *q, void (*fn)(void *arg, void *token), void *arg);

#ifdef __cplusplus
}
#endif

#endif
