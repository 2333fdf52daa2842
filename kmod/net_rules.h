/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a driver of a network card may ask for (virtio 1.3, 5.1.3 and 5.1.6). Pure functions.
 */
#ifndef VHK_NET_RULES_H
#define VHK_NET_RULES_H

#include <asm/byteorder.h>
#include <linux/types.h>
#include <linux/virtio_net.h>

/* Why a frame was dropped. */
enum vhk_net_drop {
	VHK_NET_SENT,
	VHK_NET_DROP_SHORT,    /* no room for headers */
	VHK_NET_DROP_LONG,     /* beyond what the interface takes, or any one buffer has room for */
	VHK_NET_DROP_FAULT,    /* in memory that is not mapped */
	VHK_NET_DROP_HEADER,   /* asks for what was not negotiated, or contradicts the frame */
	VHK_NET_DROP_MEMORY,   /* the host has none */
	VHK_NET_DROP_DOWN,     /* the interface is down */
	VHK_NET_DROP_IDLE,     /* no driver works on this queue */
	VHK_NET_DROP_FILTER,   /* the driver does not want it */
	VHK_NET_DROP_OFFLOAD,  /* needs what was not negotiated */
	VHK_NET_DROP_STALL,    /* the driver gave no buffers for too long */
	VHK_NET_DROP_BUFFER,   /* the driver's buffers cannot be used */
	VHK_NET_DROP_BROKEN,   /* the ring is */
	VHK_NET_N_DROPS,
};

/* All features, and those that tell what a driver takes. */
extern const u64 vhk_net_all_features;
extern const u64 vhk_net_guest_offloads;

/* -EINVAL: one of these needs another one that is missing (virtio 1.3, 5.1.3.1). */
int vhk_net_check_features(u64 features);
/* VHK_NET_SENT, or why a frame with this header is not taken from a driver with these features. */
enum vhk_net_drop vhk_net_check_header(u64 features, const struct virtio_net_hdr_v1 *hdr);
/* The queue of commands: its index, -1 where there is none (virtio 1.3, 5.1.2). */
int vhk_net_ctrl_index(u64 features, u16 n_pairs);

#endif
