/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * System calls on taps and packet sockets.
 */
#ifndef VHK_LIB_NET_OPEN_H
#define VHK_LIB_NET_OPEN_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* -EINVAL: not such a thing, or it has no headers. */
int vhk_net_tap_init(int fd);
int vhk_net_packet_init(int fd);
/* The kernel hands out packets with such of VIRTIO_NET_F_GUEST_* as @guest has. */
int vhk_net_tap_offload(int fd, uint64_t guest);
/* One queue of several gets packets, or not; -EINVAL where the tap has one. */
int vhk_net_tap_attach(int fd, bool on);
/*
 * The next packet into *@buf, @size bytes with four in front that may be used, too: *buf is where
 * it begins. Its length, or -errno.
 */
ssize_t vhk_net_packet_read(int fd, struct virtio_net_hdr_v1 *hdr, unsigned char **buf,
			    size_t size);

#endif
