/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Address translation between the two ends of a data plane (virtio 1.3, 6.1 ACCESS_PLATFORM): the
 * message that kernel vhost, vhost-vDPA and vhost-user have in common (<linux/vhost_types.h>,
 * vhost_iotlb_msg; vhost-user, "An IOTLB message"), and the cache of translations that both ends
 * keep.
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
 * @uva:  UPDATE: what @iova stands for, in the front end's address space; with
 *        VHK_PF_GPA_ADDRESSES its guest address
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

/* An object of one thread at a time. */
struct vhk_iotlb;

/** Translations that a cache holds where its maker does not say. */
#define VHK_IOTLB_LIMIT 65536

/** At the limit the cache forgets an older translation instead of refusing the next one. */
#define VHK_IOTLB_F_EVICT 0x1
/** A range that overlaps one of the cache is refused instead of replacing it. */
#define VHK_IOTLB_F_NO_OVERLAP 0x2

/**
 * struct vhk_iotlb_opts - how a cache is made
 * @sz:    sizeof(struct vhk_iotlb_opts)
 * @limit: translations at most; 0: VHK_IOTLB_LIMIT
 * @flags: VHK_IOTLB_F_*
 */
struct vhk_iotlb_opts {
	size_t sz;
	uint32_t limit;
	uint32_t flags;
};

/**
 * struct vhk_iotlb_entry - one translation
 * @iova: first address that the device uses
 * @size: bytes, not 0; both ranges end at 2^64 - 1 at most. 0 stands for 2^64 where it is filled in
 *        by the library and @iova is 0
 * @uva:  what @iova stands for, in the front end's address space
 * @perm: VHK_IOTLB_PERM_*, what is permitted
 */
struct vhk_iotlb_entry {
	struct vhk_iova iova;
	uint64_t size;
	struct vhk_uva uva;
	uint8_t perm;
};

/**
 * struct vhk_iotlb_seg - what a piece of a range stands for
 * @uva: first address, in the front end's address space
 * @len: bytes
 */
struct vhk_iotlb_seg {
	struct vhk_uva uva;
	uint64_t len;
};

/**
 * vhk_iotlb_new() - make an empty cache of translations
 * @out: the cache; the caller frees it
 * @o:   NULL: all defaults
 *
 * Sorted by IOVA; finding, adding and deleting take logarithmic time and little more. Translations
 * that continue one another, in both address spaces and with the same permission, count as one.
 *
 * Return: 0; -EINVAL, -EOPNOTSUPP: an option is absurd or unknown; -ENOMEM.
 */
VHK_API int vhk_iotlb_new(struct vhk_iotlb **out, const struct vhk_iotlb_opts *o);

/**
 * vhk_iotlb_free() - drop a cache
 * @t: the cache, or NULL
 */
VHK_API void vhk_iotlb_free(struct vhk_iotlb *t);

/**
 * vhk_iotlb_add() - note a translation
 * @t: the cache; as it was if this fails
 * @e: copied. Whatever it overlaps is replaced, an older translation's rest stays
 *
 * At the limit: with VHK_IOTLB_F_EVICT the cache forgets others, one after the other in the order
 * of their addresses, never @e.
 *
 * Return: 0; -EINVAL: size 0, a range that wraps around, no or an unknown permission; -EEXIST: it
 * overlaps another and VHK_IOTLB_F_NO_OVERLAP is set; -EMSGSIZE: the cache is full; -ENOMEM.
 */
VHK_API int vhk_iotlb_add(struct vhk_iotlb *t, const struct vhk_iotlb_entry *e);

/**
 * vhk_iotlb_del() - forget all translations of a range
 * @t:    the cache; as it was if this fails
 * @iova: first address; what lies partly inside keeps its rest
 * @size: bytes, not 0; a range that wraps around ends at 2^64 - 1
 *
 * Return: 0, also where there was nothing; -EINVAL: size 0; -EMSGSIZE: the cache is full, which a
 * translation cut in two would overfill (with VHK_IOTLB_F_EVICT its upper rest is forgotten, too);
 * -ENOMEM.
 */
VHK_API int vhk_iotlb_del(struct vhk_iotlb *t, struct vhk_iova iova, uint64_t size);

/**
 * vhk_iotlb_clear() - forget everything
 * @t: the cache
 */
VHK_API void vhk_iotlb_clear(struct vhk_iotlb *t);

/**
 * vhk_iotlb_count() - number of translations
 * @t: the cache
 *
 * Return: 0 to the limit.
 */
VHK_API unsigned int vhk_iotlb_count(const struct vhk_iotlb *t);

/**
 * vhk_iotlb_find() - translate a range
 * @t:    the cache; remembers its last hit
 * @iova: first address
 * @len:  bytes
 * @perm: VHK_IOTLB_PERM_*, what is going to be done: all of it must be permitted
 * @seg:  filled with the pieces, in order; a range may cross translations. Unspecified on error
 * @max:  room in @seg
 * @at:   with -EFAULT and -EACCES, filled with the first address that fails; or NULL
 *
 * Return: number of pieces, 0 for an empty range; -EFAULT: a miss, or a range that wraps around;
 * -EACCES: there is a translation, but it does not permit this; -ENOBUFS: @max is too small.
 */
VHK_API int vhk_iotlb_find(struct vhk_iotlb *t, struct vhk_iova iova, uint64_t len, uint8_t perm,
			   struct vhk_iotlb_seg *seg, int max, struct vhk_iova *at);

/**
 * vhk_iotlb_next() - walk the cache, or look for overlaps
 * @t:    the cache
 * @from: an address
 * @e:    filled with the first translation that ends at @from or behind it
 *
 * Return: 1: there is one; 0: there is none.
 */
VHK_API int vhk_iotlb_next(const struct vhk_iotlb *t, struct vhk_iova from,
			   struct vhk_iotlb_entry *e);

#ifdef __cplusplus
}
#endif

#endif
