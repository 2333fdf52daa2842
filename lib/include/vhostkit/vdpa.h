/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Management of vDPA devices: the kernel's generic netlink family "vdpa" (linux/vdpa.h), the vDPA
 * bus in sysfs, and what happens on it. What a device does once it is open is another matter; this
 * is about making, describing, binding and deleting it.
 *
 * The family lives in the initial network namespace only. Reading is free for all; making,
 * changing, deleting and statistics need CAP_NET_ADMIN there. Binding needs to write to sysfs.
 *
 * The kernel works on a request while it is being sent, so the deadline covers the wait for answers
 * and not the kernel's own work. That work can take long in one case: deleting or unbinding a
 * device whose /dev/vhost-vdpa-N is open waits, in the kernel and not interruptible, until it is
 * closed; and a deletion holds up every other request of generic netlink for so long.
 * vhk_vdpa_is_open() tells beforehand; vhk_vdpa_dev_del() itself does not ask.
 *
 * Codes that every function with a struct vhk_vdpa may return, beside those of its own:
 *   -EPERM       CAP_NET_ADMIN is missing
 *   -EOPNOTSUPP  this kernel does not have the command, or the device not the attribute
 *   -ENODEV      there is no such device or management device
 *   -EINVAL      an argument is out of range, or the kernel found a value wrong
 *   -ETIMEDOUT   no answer within the deadline
 *   -EPROTO      the kernel's answer is malformed
 *   -ENOTCONN    the kernel does not have the family any more (the module was unloaded)
 *   -ENOMEM
 * vhk_vdpa_error() says it in a sentence, with the kernel's own words where it gave some.
 */
#ifndef VHOSTKIT_VDPA_H
#define VHOSTKIT_VDPA_H

#include <sys/types.h>

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_vdpa; /* one thread at a time */

/** Bytes for the name of a device or bus with its final zero: what sysfs can hold. */
#define VHK_VDPA_NAME_SIZE 256

/*
 * Which members of a structure were told, or are to be set. Masks; the bit is the number of the
 * kernel's attribute (enum vdpa_attr).
 */
#define VHK_VDPA_BUS (1ULL << 1)
#define VHK_VDPA_MGMTDEV (1ULL << 2)
#define VHK_VDPA_CLASSES (1ULL << 3)
#define VHK_VDPA_NAME (1ULL << 4)
#define VHK_VDPA_ID (1ULL << 5)
#define VHK_VDPA_VENDOR (1ULL << 6)
#define VHK_VDPA_MAX_VQS (1ULL << 7)
#define VHK_VDPA_MAX_VQ_SIZE (1ULL << 8)
#define VHK_VDPA_MIN_VQ_SIZE (1ULL << 9)
#define VHK_VDPA_NET_MAC (1ULL << 10)
#define VHK_VDPA_NET_STATUS (1ULL << 11)
#define VHK_VDPA_NET_MAX_VQP (1ULL << 12)
#define VHK_VDPA_NET_MTU (1ULL << 13)
#define VHK_VDPA_NEGOTIATED (1ULL << 14)
#define VHK_VDPA_MGMTDEV_MAX_VQS (1ULL << 15)
#define VHK_VDPA_SUPPORTED (1ULL << 16)
#define VHK_VDPA_QUEUE_INDEX (1ULL << 17)
#define VHK_VDPA_STATS (1ULL << 18)
#define VHK_VDPA_FEATURES (1ULL << 20)
#define VHK_VDPA_BLK_CAPACITY (1ULL << 21)
#define VHK_VDPA_BLK_SIZE_MAX (1ULL << 22)
#define VHK_VDPA_BLK_BLK_SIZE (1ULL << 23)
#define VHK_VDPA_BLK_SEG_MAX (1ULL << 24)
#define VHK_VDPA_BLK_NUM_QUEUES (1ULL << 25)
#define VHK_VDPA_BLK_PHY_BLK_EXP (1ULL << 26)
#define VHK_VDPA_BLK_ALIGN_OFFSET (1ULL << 27)
#define VHK_VDPA_BLK_MIN_IO_SIZE (1ULL << 28)
#define VHK_VDPA_BLK_OPT_IO_SIZE (1ULL << 29)
#define VHK_VDPA_BLK_MAX_DISCARD_SEC (1ULL << 30)
#define VHK_VDPA_BLK_MAX_DISCARD_SEG (1ULL << 31)
#define VHK_VDPA_BLK_DISCARD_SEC_ALIGN (1ULL << 32)
#define VHK_VDPA_BLK_MAX_WRITE_ZEROES_SEC (1ULL << 33)
#define VHK_VDPA_BLK_MAX_WRITE_ZEROES_SEG (1ULL << 34)
#define VHK_VDPA_BLK_READ_ONLY (1ULL << 35)
#define VHK_VDPA_BLK_FLUSH (1ULL << 36)

/**
 * struct vhk_vdpa_opts - how requests are made
 * @sz:         sizeof(struct vhk_vdpa_opts)
 * @timeout_ms: longest wait for the answers to one request, ms. 0: default (5,000)
 * @log:        where lines go; copied
 */
struct vhk_vdpa_opts {
	size_t sz;
	uint32_t timeout_ms;
	struct vhk_log log;
};

/**
 * struct vhk_vdpa_mgmtdev - a management device: what devices are made by
 * @sz:       sizeof(struct vhk_vdpa_mgmtdev)
 * @has:      VHK_VDPA_BUS, _MGMTDEV, _CLASSES, _MGMTDEV_MAX_VQS, _SUPPORTED
 * @bus:      the bus that @name is on; empty for software
 * @name:     its own name
 * @classes:  virtio device ids (virtio 1.3, section 5) that it makes, as a mask of bits 1 to 63
 * @max_vqs:  most queues of one device
 * @features: virtio features that its devices can have
 */
struct vhk_vdpa_mgmtdev {
	size_t sz;
	uint64_t has;
	char bus[VHK_VDPA_NAME_SIZE];
	char name[VHK_VDPA_NAME_SIZE];
	uint64_t classes;
	uint32_t max_vqs;
	uint64_t features;
};

/**
 * struct vhk_vdpa_dev - a device
 * @sz:          sizeof(struct vhk_vdpa_dev)
 * @has:         VHK_VDPA_NAME, _BUS, _MGMTDEV, _ID, _VENDOR, _MAX_VQS, _MAX_VQ_SIZE, _MIN_VQ_SIZE
 * @name:        its name
 * @bus:         bus of the management device that made it; empty for software
 * @mgmtdev:     name of that management device
 * @id:          virtio device id
 * @vendor:      its vendor's id
 * @max_vqs:     queues
 * @max_vq_size: descriptors of its largest ring
 * @min_vq_size: descriptors of its smallest ring
 */
struct vhk_vdpa_dev {
	size_t sz;
	uint64_t has;
	char name[VHK_VDPA_NAME_SIZE];
	char bus[VHK_VDPA_NAME_SIZE];
	char mgmtdev[VHK_VDPA_NAME_SIZE];
	uint32_t id;
	uint32_t vendor;
	uint32_t max_vqs;
	uint16_t max_vq_size;
	uint16_t min_vq_size;
};

/**
 * struct vhk_vdpa_net - configuration of a network device (virtio 1.3, 5.1.4)
 * @mac:     address
 * @status:  bit 0: link is up, bit 1: announcement wanted
 * @max_vqp: most pairs of queues
 * @mtu:     bytes
 */
struct vhk_vdpa_net {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_vqp;
	uint16_t mtu;
};

/**
 * struct vhk_vdpa_blk - configuration of a block device (virtio 1.3, 5.2.4); kernels from 6.9 on
 * @capacity:                 sectors of 512 bytes
 * @size_max:                 largest segment, bytes
 * @seg_max:                  most segments of a request
 * @blk_size:                 block size, bytes
 * @num_queues:               queues
 * @physical_block_exp:       blocks of a physical block, as a power of two
 * @alignment_offset:         first aligned block
 * @min_io_size:              suggested least size of a request, blocks
 * @opt_io_size:              suggested best size of a request, blocks
 * @max_discard_sectors:      most sectors of a segment of a discard
 * @max_discard_seg:          most segments of a discard
 * @discard_sector_alignment: alignment of discards, sectors
 * @max_write_zeroes_sectors: most sectors of a segment that is zeroed
 * @max_write_zeroes_seg:     most segments of such a request
 * @read_only:                1: cannot be written
 * @flush:                    1: has a write cache
 */
struct vhk_vdpa_blk {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	uint32_t blk_size;
	uint16_t num_queues;
	uint8_t physical_block_exp;
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t read_only;
	uint8_t flush;
};

/**
 * struct vhk_vdpa_config - what a device is configured as
 * @sz:         sizeof(struct vhk_vdpa_config)
 * @has:        VHK_VDPA_NAME, _ID, _NEGOTIATED, _FEATURES, _NET_*, _BLK_*. A block device of a
 *              kernel before 6.9 has no _BLK_*: its attribute 21 is another thing, and not told
 * @name:       its name
 * @id:         virtio device id
 * @features:   virtio features that the device offers
 * @negotiated: virtio features that the driver took; once it said FEATURES_OK
 * @net:        of a network device
 * @blk:        of a block device
 */
struct vhk_vdpa_config {
	size_t sz;
	uint64_t has;
	char name[VHK_VDPA_NAME_SIZE];
	uint32_t id;
	uint64_t features;
	uint64_t negotiated;
	struct vhk_vdpa_net net;
	struct vhk_vdpa_blk blk;
};

/** Bytes for the name of a counter with its final zero. */
#define VHK_VDPA_STAT_SIZE 64
/** Counters of a queue that are told; a kernel's message does not hold more. */
#define VHK_VDPA_STATS_MAX 128

/**
 * struct vhk_vdpa_stat - a counter of the vendor's
 * @name:  the vendor's name for it
 * @value: the counter
 */
struct vhk_vdpa_stat {
	char name[VHK_VDPA_STAT_SIZE];
	uint64_t value;
};

/**
 * struct vhk_vdpa_vstats - the vendor's statistics of a queue
 * @sz:         sizeof(struct vhk_vdpa_vstats)
 * @has:        VHK_VDPA_NAME, _ID, _NEGOTIATED, _NET_MAX_VQP, _QUEUE_INDEX, _STATS
 * @name:       the device's name
 * @id:         virtio device id
 * @max_vqp:    most pairs of queues of a network device
 * @negotiated: virtio features that the driver took
 * @queue:      index of the queue
 * @n_stats:    entries of @stat
 * @stat:       the counters, in the kernel's order
 */
struct vhk_vdpa_vstats {
	size_t sz;
	uint64_t has;
	char name[VHK_VDPA_NAME_SIZE];
	uint32_t id;
	uint16_t max_vqp;
	uint64_t negotiated;
	uint32_t queue;
	uint32_t n_stats;
	struct vhk_vdpa_stat stat[VHK_VDPA_STATS_MAX];
};

/**
 * struct vhk_vdpa_params - what a device shall be
 * @sz:       sizeof(struct vhk_vdpa_params)
 * @set:      VHK_VDPA_NET_MAC, _NET_MTU, _NET_MAX_VQP, _FEATURES: which of the members below count
 * @mac:      of a network device
 * @mtu:      of a network device, bytes, at least 68
 * @max_vqp:  pairs of queues of a network device, at least 1
 * @features: virtio features that the device offers, no others (Linux 6.1)
 */
struct vhk_vdpa_params {
	size_t sz;
	uint64_t set;
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t max_vqp;
	uint64_t features;
};

/**
 * vhk_vdpa_open() - connect to the kernel's vDPA management
 * @out:  the object; vhk_vdpa_close() ends it
 * @opts: NULL: defaults
 *
 * Return: 0; -ENOENT: the kernel has no family "vdpa": the module vdpa is not loaded, or this is
 * not the initial network namespace; -EPROTONOSUPPORT, -EAFNOSUPPORT, -EACCES: generic netlink is
 * not to be had; -ETIMEDOUT; -EPROTO; -EMFILE, -ENFILE; -ENOMEM; -EINVAL, -EOPNOTSUPP: @opts. The
 * log gets a sentence.
 */
VHK_API int vhk_vdpa_open(struct vhk_vdpa **out, const struct vhk_vdpa_opts *opts);

/**
 * vhk_vdpa_close() - end it
 * @v: may be NULL
 */
VHK_API void vhk_vdpa_close(struct vhk_vdpa *v);

/**
 * vhk_vdpa_error() - the last failure in a sentence
 * @v: the object
 *
 * The kernel's extended acknowledgement where it sent one ("vdpa: device not found"), otherwise
 * what the code means here.
 *
 * Return: text without line feed, valid until the next call on @v; empty when the last call
 * succeeded.
 */
VHK_API const char *vhk_vdpa_error(const struct vhk_vdpa *v);

/**
 * vhk_vdpa_mgmtdev_get() - one management device (VDPA_CMD_MGMTDEV_GET)
 * @v:    the object
 * @name: "NAME", or "BUS/NAME" where it is on a bus
 * @out:  filled; its @sz is the caller's
 *
 * Return: 0; -ENODEV; the codes above.
 */
VHK_API int vhk_vdpa_mgmtdev_get(struct vhk_vdpa *v, const char *name,
				 struct vhk_vdpa_mgmtdev *out);

/**
 * vhk_vdpa_mgmtdev_dump() - every management device
 * @v:   the object
 * @fn:  called for each, after the last answer has come, so that it may use @v; what it returns
 *       other than 0 ends the walk. @m lives as long as the call
 * @arg: handed to @fn
 *
 * A list that changed while the kernel told it is asked for again, a few times.
 *
 * Return: 0; what @fn returned; -EAGAIN: it changed each time; the codes above.
 */
VHK_API int vhk_vdpa_mgmtdev_dump(struct vhk_vdpa *v,
				  int (*fn)(void *arg, const struct vhk_vdpa_mgmtdev *m),
				  void *arg);

/**
 * vhk_vdpa_dev_new() - make a device (VDPA_CMD_DEV_NEW)
 * @v:       the object
 * @name:    what it shall be called
 * @mgmtdev: who makes it, "NAME" or "BUS/NAME"
 * @params:  what it shall be; NULL: what the management device thinks
 *
 * A bus driver that is loaded takes the device at once.
 *
 * Return: 0; -EEXIST: the name is taken; -ENODEV: no such management device; -EOPNOTSUPP: it does
 * not know one of the parameters; what the management device says; the codes above.
 */
VHK_API int vhk_vdpa_dev_new(struct vhk_vdpa *v, const char *name, const char *mgmtdev,
			     const struct vhk_vdpa_params *params);

/**
 * vhk_vdpa_dev_del() - delete a device that was made by vhk_vdpa_dev_new() (VDPA_CMD_DEV_DEL)
 * @v:    the object
 * @name: which
 *
 * Blocks while the device's node is open: see the head of this file.
 *
 * Return: 0; -ENODEV; -EINVAL: it was not made by a user; the codes above.
 */
VHK_API int vhk_vdpa_dev_del(struct vhk_vdpa *v, const char *name);

/**
 * vhk_vdpa_dev_get() - one device (VDPA_CMD_DEV_GET)
 * @v:    the object
 * @name: which
 * @out:  filled; its @sz is the caller's
 *
 * Return: 0; -ENODEV; the codes above.
 */
VHK_API int vhk_vdpa_dev_get(struct vhk_vdpa *v, const char *name, struct vhk_vdpa_dev *out);

/**
 * vhk_vdpa_dev_dump() - every device
 * @v:   the object
 * @fn:  as for vhk_vdpa_mgmtdev_dump()
 * @arg: handed to @fn
 *
 * Return: as vhk_vdpa_mgmtdev_dump().
 */
VHK_API int vhk_vdpa_dev_dump(struct vhk_vdpa *v,
			      int (*fn)(void *arg, const struct vhk_vdpa_dev *d), void *arg);

/**
 * vhk_vdpa_config_get() - what a device is configured as (VDPA_CMD_DEV_CONFIG_GET)
 * @v:    the object
 * @name: which
 * @out:  filled; its @sz is the caller's
 *
 * Return: 0; -ENODEV; -EOPNOTSUPP: the kernel tells this of network and block devices only; the
 * codes above.
 */
VHK_API int vhk_vdpa_config_get(struct vhk_vdpa *v, const char *name,
				struct vhk_vdpa_config *out);

/**
 * vhk_vdpa_config_dump() - the configuration of every device
 * @v:   the object
 * @fn:  as for vhk_vdpa_mgmtdev_dump()
 * @arg: handed to @fn
 *
 * The kernel ends its list, without a word, at the first device that is neither a network nor a
 * block device; vhk_vdpa_dev_dump() with vhk_vdpa_config_get() finds the others.
 *
 * Return: as vhk_vdpa_mgmtdev_dump().
 */
VHK_API int vhk_vdpa_config_dump(struct vhk_vdpa *v,
				 int (*fn)(void *arg, const struct vhk_vdpa_config *c), void *arg);

/**
 * vhk_vdpa_vstats_get() - the vendor's statistics of one queue (VDPA_CMD_DEV_VSTATS_GET)
 * @v:     the object
 * @name:  which device
 * @queue: index of the queue
 * @out:   filled; its @sz is the caller's
 *
 * Return: 0; -EOPNOTSUPP: the device has none (the kernel asks network devices only); -EAGAIN: its
 * driver has not negotiated features; -ERANGE: no such queue; the codes above.
 */
VHK_API int vhk_vdpa_vstats_get(struct vhk_vdpa *v, const char *name, uint32_t queue,
				struct vhk_vdpa_vstats *out);

/**
 * vhk_vdpa_dev_set() - change a device (VDPA_CMD_DEV_ATTR_SET, Linux 6.12)
 * @v:      the object
 * @name:   which
 * @params: what; the kernel changes the address of a network device, so VHK_VDPA_NET_MAC only
 *
 * Return: 0; -EOPNOTSUPP: another parameter, or the device does not do it; the codes above.
 */
VHK_API int vhk_vdpa_dev_set(struct vhk_vdpa *v, const char *name,
			     const struct vhk_vdpa_params *params);

/* The bus: no netlink, only sysfs. */

/**
 * struct vhk_vdpa_place - what became of a device
 * @sz:          sizeof(struct vhk_vdpa_place)
 * @driver:      bus driver that has it, "vhost_vdpa" or "virtio_vdpa"; empty: none
 * @override:    the only driver that may take it; empty: any
 * @node:        "/dev/vhost-vdpa-N"; empty: none
 * @node_dev:    its device number
 * @virtio:      name of the virtio device, "virtioN"; empty: none
 * @net:         network interface; empty: none. In the namespace that this process sees
 * @block:       block device, as under /dev; empty: none
 */
struct vhk_vdpa_place {
	size_t sz;
	char driver[64];
	char override[64];
	char node[64];
	dev_t node_dev;
	char virtio[64];
	char net[64];
	char block[64];
};

/**
 * vhk_vdpa_place() - where a device went
 * @name: the device's name
 * @out:  filled; its @sz is the caller's
 *
 * Return: 0; -ENODEV: no such device; -EINVAL; what reading sysfs failed with.
 */
VHK_API int vhk_vdpa_place(const char *name, struct vhk_vdpa_place *out);

/** Bind or unbind even where somebody has the device open; see the head of this file. */
#define VHK_VDPA_F_FORCE 0x1

/**
 * vhk_vdpa_bind() - give a device to a bus driver, away from another if need be
 * @name:   the device's name
 * @driver: "vhost_vdpa" or "virtio_vdpa", or another driver of the vDPA bus
 * @flags:  VHK_VDPA_F_FORCE or 0
 *
 * The device is left to @driver alone (driver_override), so that no other takes it when loaded.
 *
 * Return: 0, also when it had the device before; -EINVAL: this can be no name of a device (empty,
 * ".", "..", with a slash or a control character) or driver; -ENODEV: no such device; -ENOENT: the
 * driver is not loaded; -EBUSY: the device's node is open; -EACCES, -EPERM: no right to write to
 * sysfs; -EOPNOTSUPP: unknown flag; what the driver failed with.
 */
VHK_API int vhk_vdpa_bind(const char *name, const char *driver, uint32_t flags);

/**
 * vhk_vdpa_unbind() - take a device from its bus driver
 * @name:  the device's name
 * @flags: VHK_VDPA_F_FORCE or 0
 *
 * Return: 0, also when none had it; as vhk_vdpa_bind().
 */
VHK_API int vhk_vdpa_unbind(const char *name, uint32_t flags);

/**
 * vhk_vdpa_autoprobe() - whether drivers and devices that come find each other by themselves
 * @on: 1, 0, or -1: leave it and tell
 *
 * A bus driver that is loaded takes every device that has none; unless this is 0 meanwhile.
 *
 * Return: what it was, 0 or 1; -ENODEV: the kernel has no vDPA bus; -EINVAL; -EACCES, -EPERM.
 */
VHK_API int vhk_vdpa_autoprobe(int on);

/**
 * struct vhk_vdpa_holder - a process that has a device open
 * @sz:   sizeof(struct vhk_vdpa_holder)
 * @pid:  its number
 * @fd:   its file descriptor
 * @comm: its name, as ps(1) shows it
 */
struct vhk_vdpa_holder {
	size_t sz;
	pid_t pid;
	int fd;
	char comm[32];
};

/**
 * vhk_vdpa_holders() - who has a device's node open
 * @name: the device's name
 * @fn:   called for each process found, once per process; what it returns other than 0 ends the
 *        walk. NULL: only count
 * @arg:  handed to @fn
 *
 * Looks through /proc, as far as this process may see it: others' file descriptors need
 * CAP_SYS_PTRACE, other pid namespaces stay hidden.
 *
 * Return: how many were found; what @fn returned; -ENODEV; what reading failed with.
 */
VHK_API int vhk_vdpa_holders(const char *name,
			     int (*fn)(void *arg, const struct vhk_vdpa_holder *h), void *arg);

/**
 * vhk_vdpa_is_open() - whether somebody has a device's node open
 * @name: the device's name
 *
 * Looks through /proc first; where that finds nobody it opens the node for a moment, which the
 * kernel allows one process at a time, and so finds those that /proc does not show. A device that
 * nobody has open is reset by that.
 *
 * Return: 1: open; 0: not open, or it has no node; -ENODEV; -EACCES, -EPERM: nobody in sight, and
 * no right to open the node.
 */
VHK_API int vhk_vdpa_is_open(const char *name);

/* What happens on the bus: the kernel's uevents. */

/**
 * enum vhk_vdpa_event_kind - what happened
 * @VHK_VDPA_ADD:         the device came
 * @VHK_VDPA_REMOVE:      the device went
 * @VHK_VDPA_BIND:        a bus driver took it
 * @VHK_VDPA_UNBIND:      a bus driver lost it
 * @VHK_VDPA_CHANGE:      the kernel says that something about it changed
 * @VHK_VDPA_IF_ADD:      a network interface or block device came out of it
 * @VHK_VDPA_IF_REMOVE:   that went
 */
enum vhk_vdpa_event_kind {
	VHK_VDPA_ADD,
	VHK_VDPA_REMOVE,
	VHK_VDPA_BIND,
	VHK_VDPA_UNBIND,
	VHK_VDPA_CHANGE,
	VHK_VDPA_IF_ADD,
	VHK_VDPA_IF_REMOVE,
};

/**
 * struct vhk_vdpa_event - one thing that happened
 * @sz:        sizeof(struct vhk_vdpa_event)
 * @kind:      what
 * @seq:       the kernel's number for the event; grows
 * @name:      the vDPA device
 * @driver:    @VHK_VDPA_BIND: who took it
 * @subsystem: "vdpa", "net" or "block"
 * @iface:     @VHK_VDPA_IF_ADD, @VHK_VDPA_IF_REMOVE: name of the interface or block device
 */
struct vhk_vdpa_event {
	size_t sz;
	enum vhk_vdpa_event_kind kind;
	uint64_t seq;
	char name[VHK_VDPA_NAME_SIZE];
	char driver[64];
	char subsystem[16];
	char iface[64];
};

struct vhk_vdpa_monitor; /* one thread at a time */

/**
 * vhk_vdpa_monitor_open() - listen to the vDPA bus
 * @out: the object; vhk_vdpa_monitor_close() ends it
 *
 * Everything that happens after this has returned is told. Needs no rights. Sure to
 * hear of every device is who listens in the initial network namespace.
 * A vhost-vdpa node comes with @VHK_VDPA_BIND and goes before
 * @VHK_VDPA_UNBIND; the kernel has no event of its own for it.
 *
 * Return: 0; -EPROTONOSUPPORT, -EAFNOSUPPORT, -EACCES: netlink is not to be had; -EMFILE, -ENFILE;
 * -ENOMEM.
 */
VHK_API int vhk_vdpa_monitor_open(struct vhk_vdpa_monitor **out);

/**
 * vhk_vdpa_monitor_close() - end it
 * @m: may be NULL
 */
VHK_API void vhk_vdpa_monitor_close(struct vhk_vdpa_monitor *m);

/**
 * vhk_vdpa_monitor_fd() - what to wait on
 * @m: the object
 *
 * Return: a file descriptor that is readable when vhk_vdpa_monitor_next() may have something; it
 * stays the object's.
 */
VHK_API int vhk_vdpa_monitor_fd(const struct vhk_vdpa_monitor *m);

/**
 * vhk_vdpa_monitor_next() - the next event; does not wait
 * @m:   the object
 * @out: filled with 0 only; its @sz is the caller's
 *
 * Return: 0; -EAGAIN: nothing more at the moment; -ENOBUFS: events were lost, look at the bus
 * afresh and go on; -EINVAL.
 */
VHK_API int vhk_vdpa_monitor_next(struct vhk_vdpa_monitor *m, struct vhk_vdpa_event *out);

#ifdef __cplusplus
}
#endif

#endif
