/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registry of backing disks: named files and block devices, each used by one vDPA device at
 * most. The users live in another module.
 */
#ifndef VHK_DISK_H
#define VHK_DISK_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/vhostkit.h>

#include "compat.h"

#define VHK_MAX_DISKS 4096

struct vhk_disk;

/*
 * What the user of a disk does for the registry. Called with the registry locked: never from there
 * into the registry again.
 */
struct vhk_disk_user_ops {
	/* The size has changed. */
	void (*resized)(void *user, u64 bytes);
	/* Fills what @out is about; 0, or -EINVAL where out->queue does not exist. */
	int (*stats)(void *user, struct vhostkit_disk_stats *out);
	/* The block device behind it has gone away. */
	void (*gone)(void *user);
};

/* All but @bytes, @gone, @claimed, @ops and @user stays as it is while the disk exists. */
struct vhk_disk {
	struct list_head link; /* by name */
	char name[VHOSTKIT_NAME_SIZE];
	char serial[VHOSTKIT_SERIAL_SIZE];
	struct file *file;	  /* what the owner handed over */
	struct block_device *bdev; /* NULL: a regular file */
	struct vhk_claim claim;	  /* of @bdev */
	bool read_only;
	bool direct; /* not through the page cache */
	u32 flags;   /* VHOSTKIT_DISK_F_* */
	u32 n_queues;
	u32 queue_size;
	u32 block_size;
	u64 bytes; /* the registry's lock */
	bool gone; /* the backing */
	bool claimed;
	const struct vhk_disk_user_ops *ops; /* NULL: nobody is attached */
	void *user;
};

/* -ENOENT; -EBUSY: somebody has it. The disk stays until it is released. */
struct vhk_disk *vhk_disk_claim(const char *name);
/* From here on the ops are called; first of all, with the size as it is. */
void vhk_disk_attach(struct vhk_disk *disk, const struct vhk_disk_user_ops *ops, void *user);
/* Returns when no call of the user's ops runs, and none will. */
void vhk_disk_release(struct vhk_disk *disk);

/* The ioctls. Arguments are copies; unknown bits of flags are refused by the caller. */
int vhk_disk_add(const struct vhostkit_disk_add *arg);
int vhk_disk_del(const struct vhostkit_disk_del *arg);
int vhk_disk_resize(struct vhostkit_disk_resize *arg);
int vhk_disk_query(struct vhostkit_disk_query *arg);
int vhk_disk_stats(struct vhostkit_disk_stats *arg);
unsigned int vhk_disk_count(void);
void vhk_disk_del_all(void);
/* A disk's block device has gone away; nothing of it is locked. */
void vhk_disk_backing_gone(struct block_device *bdev);

/* backing.c: a disk's backing. */
int vhk_backing_open(struct vhk_disk *disk, int fd);
void vhk_backing_close(struct vhk_disk *disk);
/* Whole blocks; 0 where there is not one. */
u64 vhk_backing_bytes(const struct vhk_disk *disk);
/* Whether the two may not exist beside one another. */
bool vhk_backing_clash(const struct vhk_disk *a, const struct vhk_disk *b);

#endif
