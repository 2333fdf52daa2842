/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-3-Clause */
/*
 * The interface of vhostkit's kernel modules: ioctls of /dev/vhostkit, and of files that one of
 * them makes (see "Notifications" below).
 *
 * The module vhostkit keeps a registry of backing disks. A disk is a file or a block device that
 * its owner hands over as an open fd, under a name:
 *
 *	fd = open("/srv/d0.img", O_RDWR);
 *	add = { .size = sizeof(add), .fd = fd, .name = "d0" };
 *	ioctl(ctl, VHOSTKIT_DISK_ADD, &add);
 *
 * The fd can be closed then. The command `vdpa dev add name d0 mgmtdev vhostkit_blk` makes a vDPA
 * device out of the disk of the same name, and `vdpa dev del d0` takes the device away and leaves
 * the disk.
 *
 * Permissions. The node belongs to root, mode 0600; whoever may open it may use every call. What a
 * disk may do was decided when its fd was opened: I/O runs with that file's credentials, and a disk
 * that is to be written needs an fd that is open for writing.
 *
 * Growing. Every call takes a pointer to a structure that starts with its size in bytes as the
 * caller knows it. A structure that is shorter than the first version's is refused with EINVAL.
 * One that is longer than the kernel's must be zero in what the kernel does not know, otherwise
 * E2BIG. What a longer kernel structure holds beyond the caller's counts as zero, and is not
 * written back. Unknown bits in @flags are refused with EOPNOTSUPP. Reserved members must be zero
 * (EINVAL). Structures have the same layout for 32-bit and 64-bit callers.
 *
 * Errors that every call can give: ENOTTY (no such call), EFAULT (bad pointer), E2BIG, EINVAL,
 * EOPNOTSUPP as above. A call that fails has changed nothing.
 */
#ifndef _UAPI_LINUX_VHOSTKIT_H
#define _UAPI_LINUX_VHOSTKIT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VHOSTKIT_TYPE 0xb9

#define VHOSTKIT_INFO _IO(VHOSTKIT_TYPE, 0x00)
#define VHOSTKIT_DISK_ADD _IO(VHOSTKIT_TYPE, 0x01)
#define VHOSTKIT_DISK_DEL _IO(VHOSTKIT_TYPE, 0x02)
#define VHOSTKIT_DISK_RESIZE _IO(VHOSTKIT_TYPE, 0x03)
#define VHOSTKIT_DISK_QUERY _IO(VHOSTKIT_TYPE, 0x04)
#define VHOSTKIT_DISK_STATS _IO(VHOSTKIT_TYPE, 0x05)

/* With the NUL that ends it. */
#define VHOSTKIT_NAME_SIZE 32
#define VHOSTKIT_SERIAL_SIZE 20

#define VHOSTKIT_MAX_QUEUES 64
#define VHOSTKIT_MAX_QUEUE_SIZE 1024

/* Bits of vhostkit_info.features. */
#define VHOSTKIT_FEATURE_DISKS (1ULL << 0)
#define VHOSTKIT_FEATURE_NOTIFY (1ULL << 1)

/**
 * struct vhostkit_info - VHOSTKIT_INFO: what this module is
 * @size: in: size of this structure
 * @flags: in: 0
 * @features: out: VHOSTKIT_FEATURE_* bits
 * @max_disks: out: how many disks the registry holds at most
 * @n_disks: out: how many it holds
 * @version: out: version of the module, ended by NUL
 *
 * Return: 0.
 */
struct vhostkit_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__u32 max_disks;
	__u32 n_disks;
	char version[16];
};

/* Flags of a disk, in vhostkit_disk_add and vhostkit_disk_query. */
/** Refuse writes, even if @fd is open for them. */
#define VHOSTKIT_DISK_F_READ_ONLY (1U << 0)
/** Go through the page cache where direct I/O would be possible. Regular files only. */
#define VHOSTKIT_DISK_F_BUFFERED (1U << 1)
#define VHOSTKIT_DISK_F_ALL (VHOSTKIT_DISK_F_READ_ONLY | VHOSTKIT_DISK_F_BUFFERED)

/**
 * struct vhostkit_disk_add - VHOSTKIT_DISK_ADD: registers a backing disk
 * @size: in: size of this structure
 * @flags: in: VHOSTKIT_DISK_F_*
 * @fd: in: a regular file or a block device, open for reading, and for writing unless the disk is
 *	read-only; the caller keeps it
 * @n_queues: in: virtqueues of a device made of it, 1 to VHOSTKIT_MAX_QUEUES; 0: as many as CPUs
 *	are online, 16 at most
 * @queue_size: in: entries of a queue at most, a power of two, 16 to VHOSTKIT_MAX_QUEUE_SIZE;
 *	0: 256
 * @block_size: in: logical block size in bytes, 512 to 4096, a power of two, and no smaller than
 *	the block device's; 0: 512 for a file, the block device's own otherwise
 * @name: in: 1 to 31 of A-Z a-z 0-9 . _ - and the first a letter or a digit, then NUL to the end
 * @serial: in: what VIRTIO_BLK_T_GET_ID answers, padded by NUL; all NUL: the name
 * @reserved: in: 0
 *
 * A block device is opened once more, exclusively: nobody else can mount or claim it while the
 * disk exists. A regular file can back any number of read-only disks, or one that is written.
 *
 * Return: 0, or
 * EBADF	@fd is no open file, or not open for reading
 * EACCES	@fd or its block device cannot be written, and the disk is not read-only
 * EINVAL	a bad @name, @n_queues, @queue_size or @block_size; VHOSTKIT_DISK_F_BUFFERED for a
 *		block device; not one block in the file
 * ENOTBLK	neither a regular file nor a block device
 * EPERM	opened with O_APPEND, or append-only
 * ETXTBSY	a swap file
 * EEXIST	@name is taken
 * EBUSY	another disk writes the file, or, for a disk that is to write, has it; the block
 *		device is in use
 * ENOSPC	the registry is full
 * ENOMEM
 */
struct vhostkit_disk_add {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 n_queues;
	__u32 queue_size;
	__u32 block_size;
	char name[VHOSTKIT_NAME_SIZE];
	char serial[VHOSTKIT_SERIAL_SIZE];
	__u32 reserved;
};

/**
 * struct vhostkit_disk_del - VHOSTKIT_DISK_DEL: forgets a disk and closes its backing
 * @size: in: size of this structure
 * @flags: in: 0
 * @name: in: the disk
 *
 * Return: 0, ENOENT (no such disk), EBUSY (a vDPA device uses it).
 */
struct vhostkit_disk_del {
	__u32 size;
	__u32 flags;
	char name[VHOSTKIT_NAME_SIZE];
};

/**
 * struct vhostkit_disk_resize - VHOSTKIT_DISK_RESIZE: looks at the size of the backing again
 * @size: in: size of this structure
 * @flags: in: 0
 * @name: in: the disk
 * @bytes: out: the size of the disk, whole blocks
 *
 * A device that uses the disk tells its driver when the size has changed. Requests beyond the end
 * of a disk that shrank fail.
 *
 * Return: 0, ENOENT, EINVAL (not one block is left; the disk keeps its size).
 */
struct vhostkit_disk_resize {
	__u32 size;
	__u32 flags;
	char name[VHOSTKIT_NAME_SIZE];
	__aligned_u64 bytes;
};

/** In vhostkit_disk_query.flags: the disk behind @name in the order of names; "" is before all. */
#define VHOSTKIT_DISK_QUERY_F_NEXT (1U << 0)
#define VHOSTKIT_DISK_QUERY_F_ALL VHOSTKIT_DISK_QUERY_F_NEXT

/* Bits of vhostkit_disk_query.state. */
/** A vDPA device has it. */
#define VHOSTKIT_DISK_S_CLAIMED (1U << 0)
/** The backing is a block device. */
#define VHOSTKIT_DISK_S_BLOCK_DEVICE (1U << 1)
/** Data does not go through the page cache. */
#define VHOSTKIT_DISK_S_DIRECT (1U << 2)
/** The block device has gone away; every request fails. */
#define VHOSTKIT_DISK_S_GONE (1U << 3)

/**
 * struct vhostkit_disk_query - VHOSTKIT_DISK_QUERY: what a disk is
 * @size: in: size of this structure
 * @flags: in: VHOSTKIT_DISK_QUERY_F_*
 * @name: in: a disk; out: the disk that the rest is about
 * @serial: out
 * @disk_flags: out: VHOSTKIT_DISK_F_*
 * @state: out: VHOSTKIT_DISK_S_*
 * @n_queues: out
 * @queue_size: out
 * @block_size: out: bytes
 * @backing_major: out: of the block device, or of the one with the file's file system
 * @backing_minor: out
 * @backing_inode: out: of the file, or of the node of the block device
 * @bytes: out: size of the disk
 *
 * A list is got by starting with the name "" and VHOSTKIT_DISK_QUERY_F_NEXT, until ENOENT. Disks
 * that come or go meanwhile may be in it or not.
 *
 * Return: 0, ENOENT.
 */
struct vhostkit_disk_query {
	__u32 size;
	__u32 flags;
	char name[VHOSTKIT_NAME_SIZE];
	char serial[VHOSTKIT_SERIAL_SIZE];
	__u32 disk_flags;
	__u32 state;
	__u32 n_queues;
	__u32 queue_size;
	__u32 block_size;
	__u32 backing_major;
	__u32 backing_minor;
	__aligned_u64 backing_inode;
	__aligned_u64 bytes;
};

/** In vhostkit_disk_stats.queue: the sum of all queues. */
#define VHOSTKIT_ALL_QUEUES 0xffffffffU

/**
 * struct vhostkit_disk_stats - VHOSTKIT_DISK_STATS: what a disk's device has done since it is there
 * @size: in: size of this structure
 * @flags: in: 0
 * @name: in: the disk
 * @queue: in: number of a queue, or VHOSTKIT_ALL_QUEUES
 * @in_flight: out: requests taken and not yet answered
 * @reads: out: requests done, with @read_bytes
 * @writes: out: requests done, with @write_bytes
 * @flushes: out
 * @discards: out: discard requests
 * @zeroes: out: write-zeroes requests
 * @errors: out: requests answered with an I/O error, of any kind, which count nowhere else
 * @unsupported: out: requests answered with VIRTIO_BLK_S_UNSUPP
 * @kicks: out: notifications by the driver
 * @calls: out: notifications of the driver
 *
 * Return: 0, ENOENT (no such disk), ENODEV (no vDPA device has it), EINVAL (no such queue).
 */
struct vhostkit_disk_stats {
	__u32 size;
	__u32 flags;
	char name[VHOSTKIT_NAME_SIZE];
	__u32 queue;
	__u32 in_flight;
	__aligned_u64 reads;
	__aligned_u64 read_bytes;
	__aligned_u64 writes;
	__aligned_u64 write_bytes;
	__aligned_u64 flushes;
	__aligned_u64 discards;
	__aligned_u64 zeroes;
	__aligned_u64 errors;
	__aligned_u64 unsupported;
	__aligned_u64 kicks;
	__aligned_u64 calls;
};

/*
 * Notifications
 *
 * A back end with many virtqueues learns of each kick by a poll of its eventfd, and makes each
 * call by a write. A multiplexer does both for many rings at once. It is a file;
 * VHOSTKIT_NOTIFY_NEW on /dev/vhostkit makes it, with a number of rings; each ring is bound to the
 * eventfd of its kicks, of its calls, or to both:
 *
 *	new = { .size = sizeof(new), .n_rings = 64 };
 *	mux = ioctl(ctl, VHOSTKIT_NOTIFY_NEW, &new);
 *	page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, mux, 0);
 *	bind = { .size = sizeof(bind), .ring = 3, .kick_fd = kick, .call_fd = call,
 *		 .flags = VHOSTKIT_NOTIFY_F_KICK | VHOSTKIT_NOTIFY_F_CALL };
 *	ioctl(mux, VHOSTKIT_NOTIFY_BIND, &bind);
 *
 * Permissions. Who may open /dev/vhostkit may make multiplexers. A multiplexer itself asks for
 * none: it can do nothing but what eventfds that its holder has can do, so it may be handed to a
 * process without privileges (it is closed on exec).
 *
 * Kicks. The page has a bit for each ring, of number ring, in 64-bit words of the machine's own
 * byte order from VHOSTKIT_NOTIFY_KICKS on. A kick sets it. A bit that was clear wakes whoever
 * polls the multiplexer, which is readable while a bit is set. Whoever takes bits clears them
 * first, whole words at once (an atomic exchange), and then looks at the rings: a kick that comes
 * meanwhile sets its bit again. A loop that spins reads the words and makes no system call.
 * Edge-triggered waits (EPOLLET, io_uring's multishot poll) are woken by each bit that was clear.
 * A multishot poll can end, when the completion queue is full for instance; when it is armed again
 * it looks at the bits, so nothing is lost.
 *
 * The eventfd's count is left alone: the multiplexer reads nothing, and others may wait for the
 * same eventfd. It may be in semaphore mode, non-blocking or not, and bound to several rings or
 * multiplexers.
 *
 * Calls. From VHOSTKIT_NOTIFY_CALLS on there are as many words, which the holders write: a bit
 * that is set stages a call of that ring. VHOSTKIT_NOTIFY_CALL takes all bits that are set and
 * adds one to the eventfd of each, as a write would that never blocks: a count at its end stays
 * there. Bits of rings without an eventfd of calls are taken, and nothing happens. A bit that is
 * set while the command runs is taken by it or stays. Threads that stage in the same word do it
 * atomically.
 *
 * By io_uring: IORING_OP_URING_CMD on the multiplexer, cmd_op VHOSTKIT_NOTIFY_CALL, and zeros for
 * the 16 bytes of payload. It is done when it is submitted, and never waits.
 *
 * Lives. A binding belongs to the file, and not to a process: it ends by VHOSTKIT_NOTIFY_UNBIND or
 * with the last reference to the multiplexer (each fd, each mapping, of all processes that have
 * one by fork or by a socket). It needs no fd of the eventfd any more, which can be closed, and
 * then counts against no limit of open files. When the last fd of an eventfd is closed,
 * everywhere, the bit is set once more; the binding stays, as others in the kernel (KVM's
 * ioeventfd) may go on to signal it.
 *
 * No kick is lost: of one that came before the binding its caller is told; one after it sets the
 * bit; after unbinding it is in the eventfd's count, together with those before, which nobody has
 * read.
 *
 * The page is output to its holders. What they write where is their own affair: bits of kicks that
 * are set or cleared by hand mislead those that look at them, and nobody else.
 *
 * Limits. VHOSTKIT_NOTIFY_MAX_RINGS rings for a multiplexer; for all that a user has made together
 * the module's parameter max_rings_per_user, whoever holds them. Memory is charged to the caller's
 * memory cgroup.
 *
 * /proc/PID/fdinfo/FD of a multiplexer has lines vhostkit-rings, vhostkit-kicks and
 * vhostkit-calls: how many rings there are, and how many have an eventfd of each kind.
 *
 * Errors are those of all calls (see the top), EINVAL for arguments to a command that takes none,
 * and those listed. Structures grow as all others.
 */
#define VHOSTKIT_NOTIFY_NEW _IO(VHOSTKIT_TYPE, 0x40)
#define VHOSTKIT_NOTIFY_BIND _IO(VHOSTKIT_TYPE, 0x41)
#define VHOSTKIT_NOTIFY_UNBIND _IO(VHOSTKIT_TYPE, 0x42)
/**
 * VHOSTKIT_NOTIFY_CALL - on a multiplexer, with 0 for an argument: makes the calls that are staged
 *
 * Return: how many eventfds were signalled, or EINVAL.
 */
#define VHOSTKIT_NOTIFY_CALL _IO(VHOSTKIT_TYPE, 0x43)

#define VHOSTKIT_NOTIFY_MAX_RINGS 4096

/* Where the words are in the page, in bytes. */
#define VHOSTKIT_NOTIFY_KICKS 0
#define VHOSTKIT_NOTIFY_CALLS 2048

/**
 * struct vhostkit_notify_new - VHOSTKIT_NOTIFY_NEW, on /dev/vhostkit: makes a multiplexer
 * @size: in: size of this structure
 * @flags: in: 0
 * @n_rings: in: 1 to VHOSTKIT_NOTIFY_MAX_RINGS
 * @reserved: in: 0
 *
 * Return: an fd, closed on exec, or
 * EINVAL	a bad @n_rings
 * EDQUOT	with these the user would have made more rings than max_rings_per_user
 * EMFILE, ENFILE, ENOMEM
 */
struct vhostkit_notify_new {
	__u32 size;
	__u32 flags;
	__u32 n_rings;
	__u32 reserved;
};

/* Which eventfd of a ring is meant, in vhostkit_notify_bind and vhostkit_notify_unbind. */
#define VHOSTKIT_NOTIFY_F_KICK (1U << 0)
#define VHOSTKIT_NOTIFY_F_CALL (1U << 1)
#define VHOSTKIT_NOTIFY_F_ALL (VHOSTKIT_NOTIFY_F_KICK | VHOSTKIT_NOTIFY_F_CALL)

/**
 * struct vhostkit_notify_bind - VHOSTKIT_NOTIFY_BIND, on a multiplexer: gives a ring its eventfds
 * @size: in: size of this structure
 * @flags: in: VHOSTKIT_NOTIFY_F_*, at least one
 * @ring: in: below the multiplexer's n_rings
 * @kick_fd: in: an eventfd with VHOSTKIT_NOTIFY_F_KICK, else -1; the caller keeps it
 * @call_fd: in: likewise with VHOSTKIT_NOTIFY_F_CALL
 * @reserved: in: 0
 *
 * An eventfd of kicks that is readable may have been signalled before: then the caller is to have
 * the ring looked at. No bit tells of it.
 *
 * Return: 1 if the ring may have been kicked before, else 0, or
 * EINVAL	a bad @ring; no flag; an fd where there is no flag; an fd that is no eventfd
 * EBADF	no open fd
 * EBUSY	the ring has such an eventfd
 * ENOMEM
 */
struct vhostkit_notify_bind {
	__u32 size;
	__u32 flags;
	__u32 ring;
	__s32 kick_fd;
	__s32 call_fd;
	__u32 reserved;
};

/**
 * struct vhostkit_notify_unbind - VHOSTKIT_NOTIFY_UNBIND, on a multiplexer: takes eventfds away
 * @size: in: size of this structure
 * @flags: in: VHOSTKIT_NOTIFY_F_*, at least one
 * @ring: in: below the multiplexer's n_rings
 * @reserved: in: 0
 *
 * When it returns no kick sets the bit any more; the bit stays as it is. A call that another thread
 * is making may still arrive.
 *
 * Return: 0, EINVAL (a bad @ring, no flag), ENOENT (the ring has no such eventfd).
 */
struct vhostkit_notify_unbind {
	__u32 size;
	__u32 flags;
	__u32 ring;
	__u32 reserved;
};

#endif
