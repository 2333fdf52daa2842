/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver side of a virtqueue (virtio 1.3, sections 2.7 and 2.8), split and packed. The device
 * is hostile, too: what it says it used must be outstanding, and lengths are held against what was
 * offered.
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
 * @features:     what was negotiated; INDIRECT_DESC, EVENT_IDX, RING_PACKED and IN_ORDER are looked
 *                at
 * @gpa:          where in the guest's memory the queue's own block goes, page-aligned; it is added
 *                to the table as a region
 * @max_indirect: entries of an indirect table; each descriptor has one of its own in the block. 0:
 *                none are made even if negotiated. Devices refuse tables longer than @size (virtio
 *                1.3, 2.7.5.3.1)
 * @indirect_min: chains of at least that many segments go indirect (with VHK_F_INDIRECT_DESC). 0: 3
 * @block:        where the queue's own block goes instead, in a region of the table: page-aligned,
 *                vhk_vq_bytes() bytes, which are zeroed, and the caller's again after
 *                vhk_vq_free(). @gpa is not looked at then. Back ends without
 *                VHK_PF_CONFIGURE_MEM_SLOTS take few regions. NULL: in one of its own, at @gpa
 */
struct vhk_vq_opts {
	size_t sz;
	uint16_t size;
	uint64_t features;
	struct vhk_gpa gpa;
	uint16_t max_indirect;
	uint16_t indirect_min;
	void *block;
};

/**
 * struct vhk_done - one request that the device has answered
 * @token:   what vhk_vq_add() was given
 * @written: bytes that the device says it wrote, never more than the writable part. With
 *           VHK_F_IN_ORDER a request that the device told of only by a later one counts as written
 *           whole (virtio 1.3, 2.7.9)
 */
struct vhk_done {
	void *token;
	uint32_t written;
};

/**
 * struct vhk_vq_addr - where a queue lies, for SET_VRING_ADDR
 * @size:   descriptors
 * @base:   position to start from, as in struct vhk_ring_opts (ring.h): the oldest request that the
 *          device has not told of, whether vhk_vq_get() has returned those before it or not
 * @desc:   our address of the descriptor table, or of the packed ring
 * @driver: our address of the available ring, or of the driver's event suppression
 * @device: our address of the used ring, or of the device's event suppression; all three lie in one
 *          region
 */
struct vhk_vq_addr {
	uint16_t size;
	uint32_t base;
	void *desc;
	void *driver;
	void *device;
};

/**
 * vhk_vq_new() - make a queue and its place in the guest's memory
 * @out: the queue; the caller's to free
 * @m:   the driver's memory; one region is added to it, but with opts.block. Outlives the queue,
 *       and belongs to the same thread
 * @o:   what it is made of
 *
 * Until vhk_vq_arm() the device is told that no calls are wanted.
 *
 * Return: 0; -EINVAL: size, or address; -EOPNOTSUPP: option from a later version; -EEXIST: @o->gpa
 * is taken; -EFAULT: @o->block is not inside a region; -EMSGSIZE: no slot left; -ENOMEM.
 */
VHK_API int vhk_vq_new(struct vhk_vq **out, struct vhk_mem *m, const struct vhk_vq_opts *o);

/**
 * vhk_vq_free() - remove the queue's own region and forget the queue
 * @q: NULL is fine; tokens outstanding are forgotten (vhk_vq_reset() hands them out). The device
 *     has stopped
 */
VHK_API void vhk_vq_free(struct vhk_vq *q);

/**
 * vhk_vq_bytes() - guest memory that vhk_vq_new() takes at opts.gpa
 * @o: as for vhk_vq_new()
 *
 * Return: bytes, a multiple of 4096; 0: the options would be refused.
 */
VHK_API size_t vhk_vq_bytes(const struct vhk_vq_opts *o);

/**
 * vhk_vq_features() - how the queue's ring is used
 * @q: the queue
 *
 * Return: those of VHK_F_RING_PACKED, VHK_F_EVENT_IDX, VHK_F_IN_ORDER and, where tables are made,
 * VHK_F_INDIRECT_DESC that it was made for.
 */
VHK_API uint64_t vhk_vq_features(const struct vhk_vq *q);

/**
 * vhk_vq_add() - stage one request
 * @q:     the queue
 * @seg:   n_out readable, then n_in writable segments inside the memory given to vhk_vq_new();
 *         borrowed for the call, what they point to belongs to the device until vhk_vq_get()
 *         returns @token. A segment that crosses regions becomes several descriptors; none may be
 *         empty
 * @n_out: 0 to 65535
 * @n_in:  0 to 65535, not 0 both
 * @token: returned by vhk_vq_get(); may be NULL
 *
 * The device sees nothing before vhk_vq_publish(). An error leaves the queue as it was.
 *
 * Return: 0; -ENOBUFS: full, get some first; -EMSGSIZE: would never fit, or 4 GiB and more;
 * -EINVAL: no segment, or an empty one; -EFAULT: outside the memory, or the queue's own region was
 * removed; -EBADMSG: broken.
 */
VHK_API int vhk_vq_add(struct vhk_vq *q, const struct iovec *seg, unsigned int n_out,
		       unsigned int n_in, void *token);

/**
 * vhk_vq_publish() - make all that is staged visible at once (virtio 1.3, 2.7.13 and 2.8.21)
 * @q: the queue
 *
 * Return: 1: the device wants a kick; 0: it does not, or nothing was staged; -EBADMSG: broken.
 */
VHK_API int vhk_vq_publish(struct vhk_vq *q);

/**
 * vhk_vq_get() - fetch answered requests, in the order in which the device told of them
 * @q:   the queue
 * @out: room for @max
 * @max: at most that many
 *
 * Return: how many; 0: none; -EBADMSG: the device told of something that is not outstanding, or of
 * more than is. What came before it is returned first; from then on the queue is broken until
 * vhk_vq_reset().
 */
VHK_API int vhk_vq_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max);

/**
 * vhk_vq_ready() - is there something to get? One load, for spinning
 * @q: the queue
 *
 * Who looks all the time takes the line away from the device just as it is about to write: leave
 * some 50 ns between two looks.
 *
 * Return: true also where the queue is broken.
 */
VHK_API bool vhk_vq_ready(const struct vhk_vq *q);

/**
 * vhk_vq_arm() - ask the device for a call as soon as it answers the next request
 * @q: the queue
 *
 * Return: 1: something came meanwhile (or the queue is broken), so do not sleep; 0: sleep.
 */
VHK_API int vhk_vq_arm(struct vhk_vq *q);

/**
 * vhk_vq_disarm() - no calls wanted
 * @q: the queue
 *
 * A hint: one call may still come.
 */
VHK_API void vhk_vq_disarm(struct vhk_vq *q);

/**
 * vhk_vq_in_flight() - requests added and not yet got
 * @q: the queue
 *
 * Return: their number, staged ones included.
 */
VHK_API unsigned int vhk_vq_in_flight(const struct vhk_vq *q);

/**
 * vhk_vq_addr() - where the queue lies, for the message that tells a back end
 * @q:   the queue
 * @out: filled in
 *
 * Return: 0, or -EBADMSG: broken, or the device lies; @out is filled in, but for the position.
 */
VHK_API int vhk_vq_addr(const struct vhk_vq *q, struct vhk_vq_addr *out);

/**
 * vhk_vq_notification_data() - what a kick carries with VHK_F_NOTIFICATION_DATA (virtio 1.3, 2.9)
 * @q:   the queue
 * @idx: the queue's number
 *
 * Written to a device's doorbell (vhk_ctl_map_doorbell()); vhk_ctl_kick() carries no data.
 * Return: @idx in bits 0-15, the position behind what is published in bits 16-31.
 */
VHK_API uint32_t vhk_vq_notification_data(const struct vhk_vq *q, uint16_t idx);

/**
 * vhk_vq_reset() - begin anew, after VHK_F_RING_RESET or a reset of the device
 * @q:   the queue; the device has stopped looking at it
 * @fn:  called with each token outstanding, in no order; does not call into @q. NULL: they are
 *       forgotten
 * @arg: handed to @fn
 */
VHK_API void vhk_vq_reset(struct vhk_vq *q, void (*fn)(void *arg, void *token), void *arg);

#ifdef __cplusplus
}
#endif

#endif
