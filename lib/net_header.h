/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The header in front of each packet (virtio 1.3, 5.1.6): judged, and what it puts off done here.
 * Pure: no system call and no state.
 */
#ifndef VHK_LIB_NET_HEADER_H
#define VHK_LIB_NET_HEADER_H

#include <endian.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * The header of a packet of @len bytes whose sender may use @host (VIRTIO_NET_F_CSUM, HOST_*): what
 * is left of it is true of the packet. False: it is not to be believed.
 */
bool vhk_net_header_check(struct virtio_net_hdr_v1 *h, uint32_t len, uint64_t host);
/* Whether a header that begins with these eight bytes puts nothing off: then the rest of it says
 * nothing. */
static inline bool vhk_net_header_is_plain(uint64_t head)
{
	return !(head & htole64(0xff00 | VIRTIO_NET_HDR_F_NEEDS_CSUM));
}

/*
 * A receiver with @guest (VIRTIO_NET_F_GUEST_*) takes such packets without a gso_type of its own.
 */
bool vhk_net_header_gso_fits(const struct virtio_net_hdr_v1 *h, uint64_t guest);

/*
 * The checksum that NEEDS_CSUM of a checked header puts off, over a packet that begins @off bytes
 * into @seg: computed, and stored in its place.
 */
void vhk_net_header_sum(const struct virtio_net_hdr_v1 *h, uint32_t len, const struct iovec *seg,
			unsigned int n_seg, size_t off);

#endif
