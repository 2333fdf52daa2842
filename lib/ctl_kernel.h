/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The kernel's doors of the front end: vhost-net, vhost-vsock, vhost-scsi and vhost-vDPA. A request
 * is an ioctl, and done when it was submitted.
 */
#ifndef VHK_LIB_CTL_KERNEL_H
#define VHK_LIB_CTL_KERNEL_H

#include "ctl_impl.h"
#include "kern.h"

/* A mapping that the kernel holds for a vDPA device. */
struct vhk_ctl_vdpa_map {
	uint32_t asid;
	uint8_t perm;
	bool table; /* made by SET_MEM_TABLE */
	uint64_t first, last;
	uint64_t va;
};

struct vhk_ctl_vdpa {
	struct vhk_ctl_vdpa_map *map; /* sorted by address space, then by address */
	unsigned int n_maps, room;
	struct vhk_ctl_iova_range range;
	uint32_t n_asids;
	bool in_batch;
	uint32_t batch_asid;
	uint8_t status; /* as set last */
	int config_fd;
};

struct vhk_ctl_kernel {
	struct vhk_ctl c;
	char *uri;    /* NULL: the device was given as an fd */
	int given_fd; /* until it is used */
	int fd;
	enum vhk_ctl_kind kind;
	uint64_t absent; /* rows that this kernel or device turned out to lack */
	struct vhk_ctl_offer offer;
	uint64_t backend_offered, backend;
	char endpoint[224]; /* vhost-scsi, where it has one */
	uint16_t tpgt;
	struct vhk_ctl_vdpa vdpa;
};

static inline struct vhk_ctl_kernel *vhk_ctl_kernel_of(const struct vhk_ctl *c)
{
	return (struct vhk_ctl_kernel *)vhk_container_of(c, struct vhk_ctl_kernel, c);
}

/* ctl_kernel_req.c: requests. */
bool vhk_ctl_kernel_can(const struct vhk_ctl_kernel *k, enum vhk_ctl_op op);
/* Performs a request that is known to be possible; learns from it. */
int vhk_ctl_kernel_do(struct vhk_ctl_kernel *k, struct vhk_ctl_req *r);
/* The same for one that is an op and a number, or a ring and a number. */
int vhk_ctl_kernel_set(struct vhk_ctl_kernel *k, enum vhk_ctl_op op, uint64_t v);
int vhk_ctl_kernel_set_vring(struct vhk_ctl_kernel *k, enum vhk_ctl_op op, unsigned int idx,
			     uint32_t num, int fd);
/* Finds out what this kernel lacks, as far as it can be asked for without an owner. */
void vhk_ctl_kernel_probe(struct vhk_ctl_kernel *k);

/* ctl_vdpa.c */
void vhk_ctl_vdpa_init(struct vhk_ctl_kernel *k);
void vhk_ctl_vdpa_fini(struct vhk_ctl_kernel *k);
int vhk_ctl_vdpa_prepare(struct vhk_ctl_kernel *k);
int vhk_ctl_vdpa_halt(struct vhk_ctl_kernel *k, unsigned int first, unsigned int n);
void vhk_ctl_vdpa_settle(struct vhk_ctl_kernel *k);

/* ctl_vdpa_map.c: IOTLB messages, judged before the kernel sees them. */
int vhk_ctl_vdpa_iotlb(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m);
int vhk_ctl_vdpa_table(struct vhk_ctl_kernel *k, const struct vhk_mem *m);
/* Once more, after a reset that the device's translations did not survive. */
int vhk_ctl_vdpa_remap(struct vhk_ctl_kernel *k);

#endif
