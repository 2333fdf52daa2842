/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every other header of the library shares: how errors are told, address types,
 * feature masks, the log callback and the version.
 *
 * Languages: C11 and C++17, or later; gcc 12, clang 14 or later. The library itself is gnu11.
 *
 * Errors. A fallible function returns >= 0, or a negative errno value of which each has one
 * meaning:
 *   -EINVAL      an argument of the caller's is wrong
 *   -EBUSY       the call does not fit the object's state
 *   -EOPNOTSUPP  not negotiated, or an unknown flag
 *   -EAGAIN      nothing to be had at the moment
 *   -ENOBUFS     the ring is full
 *   -EFAULT      an address lies in no region
 *   -EBADMSG     the contents of a ring are broken; the ring stays so
 *   -EPROTO      the peer broke the protocol
 *   -EMSGSIZE    something does not fit its place
 *   -ENOTCONN    there is no peer
 *   -ETIMEDOUT   a deadline passed
 *   -EREMOTEIO   the peer answered that it refuses or failed
 * and what the kernel reported (-ENOMEM, -EACCES, ...) where a system call failed. errno itself is
 * not promised.
 *
 * Structures whose first member is `size_t sz` may grow: set sz to sizeof the structure; a NULL
 * pointer means defaults; non-zero bytes beyond what the library knows are refused with
 * -EOPNOTSUPP.
 *
 * Threads. An object belongs to one thread at a time. The library starts no thread and keeps no
 * global state.
 */
#ifndef VHOSTKIT_VHK_H
#define VHOSTKIT_VHK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the shared library exports. */
#define VHK_API __attribute__((visibility("default")))

/* The version that a program is compiled against; vhk_version() tells the one that it runs with. */
#define VHK_VERSION_MAJOR 0
#define VHK_VERSION_MINOR 1
#define VHK_VERSION_PATCH 0
#define VHK_VERSION_STRING "0.1.0"

/**
 * struct vhk_gpa - an address in the guest's physical memory
 * @v: the address, in bytes
 */
struct vhk_gpa {
	uint64_t v;
};

/**
 * struct vhk_uva - an address in the front end's own address space (vhost-user "user address")
 * @v: the address, in bytes
 */
struct vhk_uva {
	uint64_t v;
};

/**
 * struct vhk_iova - an address that an IOMMU translates
 * @v: the address, in bytes
 */
struct vhk_iova {
	uint64_t v;
};

/* Feature bits of virtio 1.3, section 6, and of vhost and vhost-user; masks, not bit numbers. */
#define VHK_F_NOTIFY_ON_EMPTY (1ULL << 24)
#define VHK_F_LOG_ALL (1ULL << 26)
#define VHK_F_ANY_LAYOUT (1ULL << 27)
#define VHK_F_INDIRECT_DESC (1ULL << 28)
#define VHK_F_EVENT_IDX (1ULL << 29)
#define VHK_F_PROTOCOL_FEATURES (1ULL << 30)
#define VHK_F_VERSION_1 (1ULL << 32)
#define VHK_F_ACCESS_PLATFORM (1ULL << 33)
#define VHK_F_RING_PACKED (1ULL << 34)
#define VHK_F_IN_ORDER (1ULL << 35)
#define VHK_F_ORDER_PLATFORM (1ULL << 36)
#define VHK_F_NOTIFICATION_DATA (1ULL << 38)
#define VHK_F_RING_RESET (1ULL << 40)

/**
 * What the library's rings implement on both sides (virtio 1.3, 2.7 and 2.8), and devices offer.
 *
 * Two bits are served and not in it. VHK_F_RING_RESET is the front end's promise to stop and start
 * a ring when its driver resets it (vhk_ctl_stop()): QEMU (7.2 to 10.1) hands the bit on to drivers
 * and stops no ring of a vhost-user device then, so that devices for it must not offer it.
 * VHK_F_NOTIFICATION_DATA needs a kick that carries data (vhk_vq_notification_data()): a vDPA
 * device's doorbell does, vhost-user and VDUSE have none that could.
 */
#define VHK_F_RING_ALL                                                                             \
	(VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX | VHK_F_VERSION_1 | VHK_F_RING_PACKED |             \
	 VHK_F_IN_ORDER)

/** Descriptors of the largest ring (virtio 1.3, 2.7 and 2.8). */
#define VHK_QUEUE_SIZE_MAX 32768

/**
 * enum vhk_log_level - how much a line matters
 * @VHK_LOG_ERROR: something failed and will not mend itself
 * @VHK_LOG_WARN:  a peer misbehaved, or something works worse than asked
 * @VHK_LOG_INFO:  what a user may want to know once: connected, started, stopped
 * @VHK_LOG_DEBUG: each message and each change
 */
enum vhk_log_level {
	VHK_LOG_ERROR,
	VHK_LOG_WARN,
	VHK_LOG_INFO,
	VHK_LOG_DEBUG,
};

/**
 * struct vhk_log - where an object's lines go
 * @fn:    called with one line without line feed; NULL: silence. Any thread that uses the object
 *         calls it
 * @arg:   handed to @fn
 * @level: lines above it are not made
 */
struct vhk_log {
	void (*fn)(void *arg, enum vhk_log_level level, const char *text);
	void *arg;
	enum vhk_log_level level;
};

/**
 * vhk_version() - the version of the library in use
 *
 * Return: "MAJOR.MINOR.PATCH", static.
 */
VHK_API const char *vhk_version(void);

#ifdef __cplusplus
}
#endif

#endif
