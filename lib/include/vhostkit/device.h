/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio device, written once and served through any door: what a device author implements, and
 * what the library gives him for it. Knows no socket and no protocol.
 */
#ifndef VHOSTKIT_DEVICE_H
#define VHOSTKIT_DEVICE_H

#include <vhostkit/loop.h>
#include <vhostkit/ring.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_device;
struct vhk_queue;

/**
 * struct vhk_device_ops - what a device type does
 * @sz:          sizeof(struct vhk_device_ops)
 * @set_features: what was negotiated. Control thread, no queue runs. May refuse. Optional
 * @get_config:  copy @len bytes from @off of the configuration space; [off, off + len) is inside
 *               it. Control thread
 * @set_config:  the driver (or a migration) writes it; -EOPNOTSUPP or -EINVAL refuses. Control
 *               thread. Optional
 * @queue_start: a queue begins. Its loop's thread. Optional
 * @queue_stop:  a queue has ended; nothing of it is in flight. Its loop's thread. Optional
 * @work:        @n chains were popped: answer each of them, now or later, with vhk_queue_done().
 *               Queue's thread
 * @reset:       the driver reset the device; no queue runs. Control thread. Optional
 * @free:        last call; frees priv. Optional
 */
struct vhk_device_ops {
	size_t sz;
	int (*set_features)(void *priv, uint64_t features);
	int (*get_config)(void *priv, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(void *priv, uint32_t off, const void *buf, uint32_t len);
	int (*queue_start)(void *priv, struct vhk_queue *q);
	void (*queue_stop)(void *priv, struct vhk_queue *q);
	void (*work)(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n);
	void (*reset)(void *priv);
	void (*free)(void *priv);
};

/**
 * struct vhk_device_info - what a device is
 * @sz:          sizeof(struct vhk_device_info)
 * @device_id:   virtio device id (virtio 1.3, section 5)
 * @features:    offered: the device type's bits and, of VHK_F_RING_ALL, the rings'
 * @n_queues:    1 to 1024
 * @queue_size:  largest ring size, 1 to 32768
 * @ctx_size:    bytes of context per chain
 * @max_segs:    segments per chain at most; 0: 128
 * @config_size: bytes of configuration space, up to 256
 */
struct vhk_device_info {
	size_t sz;
	uint32_t device_id;
	uint64_t features;
	uint16_t n_queues;
	uint16_t queue_size;
	uint32_t ctx_size;
	uint16_t max_segs;
	uint32_t config_size;
};

VHK_API int vhk_device_new(struct vhk_device **out, const struct vhk_device_info *info,
			   const struct vhk_device_ops *ops, void *priv);
/* No door serves it any more. Accepts NULL. */
VHK_API void vhk_device_free(struct vhk_device *d);
VHK_API void *vhk_device_priv(const struct vhk_device *d);
VHK_API const struct vhk_device_info *vhk_device_info(const struct vhk_device *d);
/*
 * Queues are spread over @loops, queue i to loop i % n; before the device is served. Loops outlive
 * the device.
 */
VHK_API int vhk_device_set_loops(struct vhk_device *d, struct vhk_loop *const *loops,
				 unsigned int n);
/* The configuration space changed: the driver is told. Control thread. */
VHK_API int vhk_device_config_changed(struct vhk_device *d);

VHK_API unsigned int vhk_queue_index(const struct vhk_queue *q);
VHK_API struct vhk_loop *vhk_queue_loop(const struct vhk_queue *q);
VHK_API uint64_t vhk_queue_features(const struct vhk_queue *q);
VHK_API void vhk_queue_set_priv(struct vhk_queue *q, void *priv);
VHK_API void *vhk_queue_priv(const struct vhk_queue *q);
/* Answers a chain: @written bytes were written from its first writable byte on. Queue's thread. */
VHK_API void vhk_queue_done(struct vhk_queue *q, struct vhk_chain *c, uint32_t written);
/*
 * The request cannot be answered as the specification asks: the ring stops and the front end is
 * told.
 */
VHK_API void vhk_queue_fail(struct vhk_queue *q);

/**
 * struct vhk_queue_stats - counters of a queue since the device was made; may be read from any
 * thread
 * @requests: chains popped
 * @kicks:    notifications that arrived
 * @calls:    notifications sent
 * @rounds:   batches popped
 * @in_flight: chains popped and not answered
 */
struct vhk_queue_stats {
	uint64_t requests;
	uint64_t kicks;
	uint64_t calls;
	uint64_t rounds;
	uint64_t in_flight;
};

VHK_API int vhk_device_stats(const struct vhk_device *d, unsigned int queue,
			     struct vhk_queue_stats *out);

#ifdef __cplusplus
}
#endif

#endif
