/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Address translation between the two ends of a data plane (virtio 1.3, 6.1 ACCESS_PLATFORM): the
 * message that kernel vhost, vhost-vDPA and vhost-user have in common (<linux/vhost_types.h>,
 * vhost_iotlb_msg; vhost-user, "An IOTLB message").
 */
#ifndef VHOSTKIT_IOTLB_H
#define VHOSTKIT_IOTLB_H

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum vhk_iotlb_type - what a message is about
 * @VHK_IOTLB_MISS:        the back end lacks a translation; it asks for one
 * @VHK_IOTLB_UPDATE:      the front end maps
 * @VHK_IOTLB_INVALIDATE:  the front end unmaps; when it is done the back end uses it no more
 * @VHK_IOTLB_ACCESS_FAIL: the back end met an access that the translation does not permit
 * @VHK_IOTLB_BATCH_BEGIN: messages up to VHK_IOTLB_BATCH_END may be put into force together
 * @VHK_IOTLB_BATCH_END:   all of them are to be in force
 */
enum vhk_iotlb_type {
	VHK_IOTLB_MISS = 1,
	VHK_IOTLB_UPDATE = 2,
	VHK_IOTLB_INVALIDATE = 3,
	VHK_IOTLB_ACCESS_FAIL = 4,
	VHK_IOTLB_BATCH_BEGIN = 5,
	VHK_IOTLB_BATCH_END = 6,
};

/* What the device may do with a range, a mask. */
#define VHK_IOTLB_PERM_RO 0x1
#define VHK_IOTLB_PERM_WO 0x2
#define VHK_IOTLB_PERM_RW 0x3

/**
 * struct vhk_iotlb_msg - one translation, or a question about one
 * @iova: first address that the device uses
 * @size: bytes; both ranges end at 2^64 - 1 at most. A miss may leave it 0
 * @uva:  UPDATE: what @iova stands for, in the front end's address space
 * @asid: address space (vDPA), 0 where there is only one
 * @perm: UPDATE: VHK_IOTLB_PERM_*, what is permitted; MISS, ACCESS_FAIL: what was tried
 * @type: enum vhk_iotlb_type
 */
struct vhk_iotlb_msg {
	struct vhk_iova iova;
	uint64_t size;
	struct vhk_uva uva;
	uint32_t asid;
	uint8_t perm;
	uint8_t type;
};

#ifdef __cplusplus
}
#endif

#endif
