/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver for a device behind vhost-vdpa, small enough to do everything wrong: one queue at a
 * time, memory at a fixed IOVA, descriptors as the caller wants them. The requests are those of a
 * disk. Every wait has a deadline.
 */
#ifndef VHK_VM_VDPA_DRIVER_H
#define VHK_VM_VDPA_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Later than Debian 12's headers. */
#ifndef VHOST_VDPA_RESUME
#define VHOST_VDPA_RESUME _IO(VHOST_VIRTIO, 0x7E)
#endif

#ifndef SIZE
#define SIZE 64u /* entries of the ring, up to 128 */
#endif
#define MEM_SIZE 0x200000u
#define RO_SIZE 0x1000u
#define IOVA 0x10000000ull
#define IOVA_RO 0x20000000ull /* the same pages as the last of memory, not to be written */
#define IOVA_NONE 0x30000000ull
#define IN_ORDER 35
#define PACKED 34

/* Where things lie in memory. */
enum { AT_DESC = 0, AT_DRIVER = 0x1000, AT_DEVICE = 0x2000, AT_HDR = 0x3000, AT_STATUS = 0x8000,
       AT_TABLE = 0x10000, AT_DATA = 0x20000, AT_RO = MEM_SIZE - RO_SIZE };

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct driver {
	const char *path;
	int fd, kick, call;
	unsigned int queue;
	unsigned char *mem;
	bool packed, indirect;
	uint64_t features;
	uint16_t avail, used; /* split: free-running; packed: slots */
	bool avail_wrap, used_wrap;
	uint64_t ring_iova; /* of AT_DESC */
	uint64_t device_iova;
};

static inline int drv_fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

#define TRY(call)                          \
	do {                               \
		if ((call) < 0)            \
			drv_fail(#call);   \
	} while (0)

static inline int drv_iotlb(struct driver *d, uint8_t type, uint64_t iova, void *va, uint64_t size,
			    uint8_t perm)
{
	struct vhost_msg_v2 msg = { .type = VHOST_IOTLB_MSG_V2 };

	msg.iotlb.type = type;
	msg.iotlb.iova = iova;
	msg.iotlb.uaddr = (uint64_t)(uintptr_t)va;
	msg.iotlb.size = size;
	msg.iotlb.perm = perm;
	return write(d->fd, &msg, sizeof(msg)) == sizeof(msg) ? 0 : -1;
}

static inline uint8_t drv_status(struct driver *d)
{
	uint8_t status;

	TRY(ioctl(d->fd, VHOST_VDPA_GET_STATUS, &status));
	return status;
}

static inline void drv_set_status(struct driver *d, uint8_t status)
{
	TRY(ioctl(d->fd, VHOST_VDPA_SET_STATUS, &status));
}

static inline void drv_open(struct driver *d)
{
	uint64_t backend;
	int n;

	/* The node is there a little after the device. */
	for (n = 0; n < 100 && (d->fd = open(d->path, O_RDWR | O_CLOEXEC)) < 0; n++)
		usleep(50000);
	TRY(d->fd);
	TRY(ioctl(d->fd, VHOST_SET_OWNER, NULL));
	TRY(ioctl(d->fd, VHOST_GET_BACKEND_FEATURES, &backend));
	TRY(ioctl(d->fd, VHOST_SET_BACKEND_FEATURES, &backend));
	d->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->mem == MAP_FAILED)
		drv_fail("mmap");
	d->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->ring_iova = IOVA;
	d->device_iova = IOVA + AT_DEVICE;
	TRY(drv_iotlb(d, VHOST_IOTLB_UPDATE, IOVA, d->mem, MEM_SIZE, VHOST_ACCESS_RW));
	TRY(drv_iotlb(d, VHOST_IOTLB_UPDATE, IOVA_RO, d->mem + AT_RO, RO_SIZE, VHOST_ACCESS_RO));
}

static inline void drv_close(struct driver *d)
{
	close(d->fd);
	close(d->kick);
	close(d->call);
	munmap(d->mem, MEM_SIZE);
}

static inline uint64_t drv_negotiate(struct driver *d, uint64_t without)
{
	uint64_t features;

	drv_set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	TRY(ioctl(d->fd, VHOST_GET_FEATURES, &features));
	features &= ~without;
	TRY(ioctl(d->fd, VHOST_SET_FEATURES, &features));
	drv_set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				  VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(drv_status(d) & VIRTIO_CONFIG_S_FEATURES_OK))
		drv_fail("features are refused");
	return features;
}

/* From a reset device to a running queue. */
static inline void drv_start(struct driver *d, uint64_t without)
{
	struct vhost_vring_state num = { .index = d->queue, .num = SIZE };
	struct vhost_vring_state base = { .index = d->queue }, on = { .index = d->queue, .num = 1 };
	struct vhost_vring_file kick = { .index = d->queue, .fd = d->kick };
	struct vhost_vring_file call = { .index = d->queue, .fd = d->call };
	struct vhost_vring_addr addr = {
		.index = d->queue,
		.desc_user_addr = d->ring_iova + AT_DESC,
		.avail_user_addr = d->ring_iova + AT_DRIVER,
		.used_user_addr = d->device_iova,
	};

	memset(d->mem, 0, AT_DATA);
	d->features = drv_negotiate(d, without);
	d->packed = d->features >> PACKED & 1;
	d->indirect = d->features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	d->avail = d->used = 0;
	d->avail_wrap = d->used_wrap = true;
	if (d->packed)
		base.num = 0x80008000;
	TRY(ioctl(d->fd, VHOST_SET_VRING_NUM, &num));
	TRY(ioctl(d->fd, VHOST_SET_VRING_BASE, &base));
	TRY(ioctl(d->fd, VHOST_SET_VRING_ADDR, &addr));
	TRY(ioctl(d->fd, VHOST_SET_VRING_KICK, &kick));
	TRY(ioctl(d->fd, VHOST_SET_VRING_CALL, &call));
	TRY(ioctl(d->fd, VHOST_VDPA_SET_VRING_ENABLE, &on));
	drv_set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void drv_restart(struct driver *d, uint64_t without)
{
	uint64_t n;

	drv_set_status(d, 0);
	if (read(d->call, &n, sizeof(n)) < 0)
		n = 0;
	drv_start(d, without);
}

static inline void drv_kick(struct driver *d)
{
	const uint64_t one = 1;

	if (write(d->kick, &one, sizeof(one)) < 0)
		drv_fail("kick");
}

static inline struct split_desc *drv_split(struct driver *d)
{
	return (void *)(d->mem + AT_DESC);
}

static inline uint16_t *drv_avail(struct driver *d)
{
	return (void *)(d->mem + AT_DRIVER);
}

static inline volatile uint16_t *drv_used_idx(struct driver *d)
{
	return (void *)(d->mem + AT_DEVICE + 2);
}

/* Split: makes a chain available whose first descriptor is @head. */
static inline void drv_offer(struct driver *d, uint16_t head)
{
	uint16_t *avail = drv_avail(d);

	avail[2 + d->avail % SIZE] = head;
	d->avail++;
	__atomic_store_n(&avail[1], d->avail, __ATOMIC_RELEASE);
}

/* Packed: a descriptor in the next slot; the first of a chain must be written last. */
static inline void drv_packed_put(struct driver *d, unsigned int ahead, uint64_t addr, uint32_t len,
				  uint16_t flags, uint16_t id)
{
	const unsigned int at = d->avail + ahead;
	const bool wrap = at >= SIZE ? !d->avail_wrap : d->avail_wrap;
	struct packed_desc *p = (void *)(d->mem + AT_DESC);

	p += at % SIZE;
	p->addr = addr;
	p->len = len;
	p->id = id;
	flags |= wrap ? 0x80 : 0x8000;
	__atomic_store_n(&p->flags, flags, __ATOMIC_RELEASE);
}

static inline void drv_packed_step(struct driver *d, unsigned int n)
{
	d->avail = (uint16_t)(d->avail + n);
	if (d->avail >= SIZE) {
		d->avail = (uint16_t)(d->avail - SIZE);
		d->avail_wrap = !d->avail_wrap;
	}
}

struct drv_req {
	uint32_t type;
	uint64_t sector;
	uint64_t data; /* IOVA */
	uint32_t len;
	uint64_t status; /* IOVA; 0: its own */
	bool indirect;
};

static inline uint64_t drv_hdr(struct driver *d, unsigned int slot, const struct drv_req *r)
{
	struct virtio_blk_outhdr *h = (void *)(d->mem + AT_HDR + 16 * slot);

	h->type = r->type;
	h->ioprio = 0;
	h->sector = r->sector;
	d->mem[AT_STATUS + slot] = 0xaa;
	return IOVA + AT_HDR + 16 * slot;
}

/* Puts request number @slot, below SIZE / 4, into the ring. */
static inline void drv_put(struct driver *d, unsigned int slot, const struct drv_req *r)
{
	const uint64_t hdr = drv_hdr(d, slot, r);
	const uint64_t status = r->status ? r->status : IOVA + AT_STATUS + slot;
	const uint16_t in = r->type & VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	const uint16_t next = VRING_DESC_F_NEXT;
	const uint16_t head = (uint16_t)(4 * slot);
	const struct split_desc chain[3] = {
		{ hdr, 16, next, (uint16_t)(head + 1) },
		{ r->data, r->len, next | in, (uint16_t)(head + 2) },
		{ status, 1, VRING_DESC_F_WRITE, 0 },
	};
	struct split_desc *table = (void *)(d->mem + AT_TABLE + 64 * slot);
	unsigned int i;

	for (i = 0; i < 3 && r->indirect; i++) {
		table[i] = chain[i];
		table[i].next = (uint16_t)(i + 1);
		if (d->packed) {
			/* id and flags change places */
			table[i].next = chain[i].flags & VRING_DESC_F_WRITE;
			table[i].flags = 0;
		}
	}
	if (r->indirect && d->packed) {
		drv_packed_put(d, 0, IOVA + AT_TABLE + 64 * slot, 48, VRING_DESC_F_INDIRECT, head);
		drv_packed_step(d, 1);
	} else if (r->indirect) {
		drv_split(d)[head] = (struct split_desc){ IOVA + AT_TABLE + 64 * slot, 48,
							  VRING_DESC_F_INDIRECT, 0 };
		drv_offer(d, head);
	} else if (d->packed) {
		for (i = 3; i-- > 0;)
			drv_packed_put(d, i, chain[i].addr, chain[i].len, chain[i].flags, head);
		drv_packed_step(d, 3);
	} else {
		memcpy(drv_split(d) + head, chain, sizeof(chain));
		drv_offer(d, head);
	}
}

/* The id of the next chain that came back, -1 where none did. */
static inline int drv_get(struct driver *d, unsigned int n_desc, uint32_t *len)
{
	struct packed_desc *p = (struct packed_desc *)(void *)(d->mem + AT_DESC) + d->used;
	uint32_t *used = (void *)(d->mem + AT_DEVICE + 4);
	uint16_t flags;
	int id;

	if (!d->packed) {
		if (__atomic_load_n(drv_used_idx(d), __ATOMIC_ACQUIRE) == d->used)
			return -1;
		id = (int)used[2 * (d->used % SIZE)];
		*len = used[2 * (d->used++ % SIZE) + 1];
		return id;
	}
	flags = __atomic_load_n(&p->flags, __ATOMIC_ACQUIRE);
	if (!!(flags & 0x80) != d->used_wrap || !!(flags & 0x8000) != d->used_wrap)
		return -1;
	id = p->id;
	*len = p->len;
	d->used = (uint16_t)(d->used + n_desc);
	if (d->used >= SIZE) {
		d->used = (uint16_t)(d->used - SIZE);
		d->used_wrap = !d->used_wrap;
	}
	return id;
}

/* Waits for a chain, or for the device to give up: its id, -1 for a broken ring, -2 for silence. */
static inline int drv_wait(struct driver *d, unsigned int n_desc, uint32_t *len)
{
	int n, id;

	for (n = 0; n < 6000; n++) {
		id = drv_get(d, n_desc, len);
		if (id >= 0)
			return id;
		if (drv_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return -1;
		usleep(5000);
	}
	return -2;
}

/* One request from start to end: its status, or what drv_wait() says. */
static inline int drv_do(struct driver *d, const struct drv_req *r)
{
	uint32_t len;
	int id;

	drv_put(d, 0, r);
	drv_kick(d);
	id = drv_wait(d, r->indirect ? 1 : 3, &len);
	return id < 0 ? id : d->mem[AT_STATUS];
}

#endif
