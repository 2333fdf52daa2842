/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to the kernel's vhost devices (<linux/vhost.h>): one row for each ioctl, one
 * function that performs it, and the messages that are read and written. What headers of an older
 * system lack is defined here.
 */
#ifndef VHK_LIB_KERN_H
#define VHK_LIB_KERN_H

#include <linux/vhost.h>
#include <vhostkit/ctl.h>

#include "vdpa_bus.h"

#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};
struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};
#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER _IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif
#ifndef VHOST_VDPA_RESUME
#define VHOST_VDPA_RESUME _IO(VHOST_VIRTIO, 0x7E)
#endif
#ifndef VHOST_VDPA_GET_VRING_DESC_GROUP
#define VHOST_VDPA_GET_VRING_DESC_GROUP _IOWR(VHOST_VIRTIO, 0x7F, struct vhost_vring_state)
#endif
#ifndef VHOST_VDPA_GET_VRING_SIZE
#define VHOST_VDPA_GET_VRING_SIZE _IOWR(VHOST_VIRTIO, 0x82, struct vhost_vring_state)
#endif
#ifndef VHOST_GET_FEATURES_ARRAY
struct vhost_features_array {
	__u64 count;
	__u64 features[];
};
#define VHOST_GET_FEATURES_ARRAY _IOR(VHOST_VIRTIO, 0x83, struct vhost_features_array)
#define VHOST_SET_FEATURES_ARRAY _IOW(VHOST_VIRTIO, 0x83, struct vhost_features_array)
#endif
#ifndef VHOST_SET_FORK_FROM_OWNER
#define VHOST_SET_FORK_FROM_OWNER _IOW(VHOST_VIRTIO, 0x84, __u8)
#endif
#ifndef VHOST_GET_FORK_FROM_OWNER
#define VHOST_GET_FORK_FROM_OWNER _IOR(VHOST_VIRTIO, 0x85, __u8)
#endif

/* Kinds of devices, as a mask: 1 << enum vhk_ctl_kind. */
#define VHK_KERN_NET (1u << VHK_CTL_KIND_NET)
#define VHK_KERN_VSOCK (1u << VHK_CTL_KIND_VSOCK)
#define VHK_KERN_SCSI (1u << VHK_CTL_KIND_SCSI)
#define VHK_KERN_VDPA (1u << VHK_CTL_KIND_VDPA)
#define VHK_KERN_VHOST (VHK_KERN_NET | VHK_KERN_VSOCK | VHK_KERN_SCSI)
#define VHK_KERN_ALL (VHK_KERN_VHOST | VHK_KERN_VDPA)

/* What an ioctl's argument looks like, and where it lies in a request. */
enum vhk_kern_form {
	VHK_KERN_NONE,
	VHK_KERN_U8, /* u64 */
	VHK_KERN_U16,
	VHK_KERN_U32,
	VHK_KERN_U64,
	VHK_KERN_FD,	/* fd */
	VHK_KERN_VRING, /* vring: index and number */
	VHK_KERN_FILE,	/* vring.index and fd */
	VHK_KERN_ADDR,
	VHK_KERN_ADDR_IOVA,
	VHK_KERN_MEM,
	VHK_KERN_CONFIG,
	VHK_KERN_RANGE,
	VHK_KERN_ARRAY,
	VHK_KERN_SCSI_TARGET,
	VHK_KERN_OTHER, /* no ioctl */
};

struct vhk_kern_row {
	enum vhk_ctl_op op;
	unsigned long nr;
	const char *name; /* NULL: proto's row has it */
	unsigned int kinds;
	enum vhk_kern_form form;
	bool answers; /* what the kernel leaves in the argument is the answer */
};

#define VHK_KERN_ROWS 64 /* bound of their number */

/* NULL: no ioctl does that for any device of these kinds. */
const struct vhk_kern_row *vhk_kern_row(enum vhk_ctl_op op, unsigned int kinds);
/* The row's place in the table, below VHK_KERN_ROWS. */
unsigned int vhk_kern_index(const struct vhk_kern_row *row);
/* Performs it; answers are left in @r. 0 or -errno as the kernel gave it; -EINVAL, -ENOMEM. */
int vhk_kern_call(int fd, const struct vhk_kern_row *row, struct vhk_ctl_req *r);

/* kern_iotlb.c. @features are the backend features in force: they choose the format. */
int vhk_kern_iotlb_send(int fd, uint64_t features, const struct vhk_iotlb_msg *m);
/* 1: *m is filled in, 0: nothing to be had, or -errno. */
int vhk_kern_iotlb_recv(int fd, struct vhk_iotlb_msg *m);

/* kern_open.c. The path of the node that @uri ("/dev/...", "vdpa:NAME") names: 0 or -errno. */
int vhk_kern_resolve(const struct vhk_bus_root *root, const char *uri, char *path, size_t size,
		     const struct vhk_log *log);
/*
 * Opens it, and tells what it is. The fd, or -errno as
 * vhk_ctl_open(), with a line in @log.
 */
int vhk_kern_open(const struct vhk_bus_root *root, const char *uri, enum vhk_ctl_kind *kind,
		  const struct vhk_log *log);
/* What an open character device is: 0; -EINVAL none of ours. */
int vhk_kern_kind(const struct vhk_bus_root *root, int fd, const char *path,
		  enum vhk_ctl_kind *kind);

#endif
