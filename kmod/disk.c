// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of backing disks: names, claims, and the answers to the ioctls about them.
 */
#include <linux/cpumask.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kdev_t.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "disk.h"

#define QUEUES_DEFAULT_MAX 16
#define QUEUE_SIZE_DEFAULT 256
#define QUEUE_SIZE_MIN 16

/* Protects the list, n_disks, and bytes, ops and user of each disk; held while ops run. */
static DEFINE_MUTEX(lock);
static LIST_HEAD(disks);
static unsigned int n_disks;

/* Text that fills its field with NUL to the end. */
static bool is_padded(const char *text, size_t size)
{
	return !memchr_inv(text + strnlen(text, size), 0, size - strnlen(text, size));
}

static bool is_name(const char *name)
{
	const char *c;

	if (name[VHOSTKIT_NAME_SIZE - 1] || !is_padded(name, VHOSTKIT_NAME_SIZE))
		return false;
	if (!isascii(name[0]) || !isalnum(name[0]))
		return false;
	for (c = name; *c; c++)
		if (!isascii(*c) || (!isalnum(*c) && !strchr("._-", *c)))
			return false;
	return true;
}

/* The first disk whose name is not before @name; NULL: all are. */
static struct vhk_disk *find_from(const char *name)
{
	struct vhk_disk *disk;

	lockdep_assert_held(&lock);
	list_for_each_entry(disk, &disks, link)
		if (strncmp(disk->name, name, VHOSTKIT_NAME_SIZE) >= 0)
			return disk;
	return NULL;
}

static struct vhk_disk *find(const char *name)
{
	struct vhk_disk *disk = find_from(name);

	return disk && !strncmp(disk->name, name, VHOSTKIT_NAME_SIZE) ? disk : NULL;
}

static int check_add(const struct vhostkit_disk_add *arg)
{
	if (!is_name(arg->name) || !is_padded(arg->serial, sizeof(arg->serial)) || arg->reserved)
		return -EINVAL;
	if (arg->n_queues > VHOSTKIT_MAX_QUEUES)
		return -EINVAL;
	if (arg->queue_size && (!is_power_of_2(arg->queue_size) ||
				arg->queue_size < QUEUE_SIZE_MIN ||
				arg->queue_size > VHOSTKIT_MAX_QUEUE_SIZE))
		return -EINVAL;
	if (arg->block_size && (!is_power_of_2(arg->block_size) || arg->block_size < 512 ||
				arg->block_size > 4096))
		return -EINVAL;
	return 0;
}

static void disk_free(struct vhk_disk *disk)
{
	vhk_backing_close(disk);
	kfree(disk);
}

static struct vhk_disk *disk_new(const struct vhostkit_disk_add *arg)
{
	struct vhk_disk *disk;
	int ret;

	disk = kzalloc(sizeof(*disk), GFP_KERNEL_ACCOUNT);
	if (!disk)
		return ERR_PTR(-ENOMEM);
	memcpy(disk->name, arg->name, sizeof(disk->name));
	if (arg->serial[0])
		memcpy(disk->serial, arg->serial, sizeof(disk->serial));
	else
		memcpy(disk->serial, arg->name, sizeof(disk->serial));
	disk->flags = arg->flags;
	disk->read_only = arg->flags & VHOSTKIT_DISK_F_READ_ONLY;
	disk->n_queues = arg->n_queues ?:
			 min_t(unsigned int, num_online_cpus(), QUEUES_DEFAULT_MAX);
	disk->queue_size = arg->queue_size ?: QUEUE_SIZE_DEFAULT;
	disk->block_size = arg->block_size;
	ret = vhk_backing_open(disk, arg->fd);
	if (ret) {
		disk_free(disk);
		return ERR_PTR(ret);
	}
	disk->bytes = vhk_backing_bytes(disk);
	return disk;
}

static int insert(struct vhk_disk *disk)
{
	struct vhk_disk *next, *other;

	lockdep_assert_held(&lock);
	if (find(disk->name))
		return -EEXIST;
	if (n_disks == VHK_MAX_DISKS)
		return -ENOSPC;
	list_for_each_entry(other, &disks, link)
		if (vhk_backing_clash(disk, other))
			return -EBUSY;
	next = find_from(disk->name);
	list_add_tail(&disk->link, next ? &next->link : &disks);
	n_disks++;
	return 0;
}

static bool exists(const char *name)
{
	bool found;

	mutex_lock(&lock);
	found = find(name);
	mutex_unlock(&lock);
	return found;
}

/*
 * Opening can take long and is done unlocked. The first look at the name is for its error alone: a
 * disk that exists already also has its block device.
 */
int vhk_disk_add(const struct vhostkit_disk_add *arg)
{
	struct vhk_disk *disk;
	int ret;

	ret = check_add(arg);
	if (ret)
		return ret;
	if (exists(arg->name))
		return -EEXIST;
	disk = disk_new(arg);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	mutex_lock(&lock);
	ret = insert(disk);
	mutex_unlock(&lock);
	if (ret)
		disk_free(disk);
	return ret;
}

static void remove(struct vhk_disk *disk)
{
	lockdep_assert_held(&lock);
	list_del(&disk->link);
	n_disks--;
}

int vhk_disk_del(const struct vhostkit_disk_del *arg)
{
	struct vhk_disk *disk;
	int ret = 0;

	mutex_lock(&lock);
	disk = find(arg->name);
	if (!disk)
		ret = -ENOENT;
	else if (disk->claimed)
		ret = -EBUSY;
	else
		remove(disk);
	mutex_unlock(&lock);
	if (!ret)
		disk_free(disk);
	return ret;
}

void vhk_disk_del_all(void)
{
	struct vhk_disk *disk, *next;
	LIST_HEAD(gone);

	mutex_lock(&lock);
	list_splice_init(&disks, &gone);
	n_disks = 0;
	mutex_unlock(&lock);
	/* A block device that goes away has locks of its own around ours. */
	list_for_each_entry_safe(disk, next, &gone, link)
		disk_free(disk);
}

/* The disk may be on its way out already, and then is in no list. */
void vhk_disk_backing_gone(struct block_device *bdev)
{
	struct vhk_disk *disk;

	mutex_lock(&lock);
	list_for_each_entry(disk, &disks, link) {
		if (disk->bdev != bdev)
			continue;
		disk->gone = true;
		pr_notice_ratelimited("vhostkit: the device behind disk %s has gone\n", disk->name);
		if (disk->ops)
			disk->ops->gone(disk->user);
	}
	mutex_unlock(&lock);
}

static int resize(struct vhk_disk *disk)
{
	const u64 bytes = vhk_backing_bytes(disk);

	lockdep_assert_held(&lock);
	if (!bytes)
		return -EINVAL;
	if (bytes == disk->bytes)
		return 0;
	disk->bytes = bytes;
	if (disk->ops)
		disk->ops->resized(disk->user, bytes);
	return 0;
}

int vhk_disk_resize(struct vhostkit_disk_resize *arg)
{
	struct vhk_disk *disk;
	int ret;

	mutex_lock(&lock);
	disk = find(arg->name);
	ret = disk ? resize(disk) : -ENOENT;
	if (!ret)
		arg->bytes = disk->bytes;
	mutex_unlock(&lock);
	return ret;
}

static void describe(const struct vhk_disk *disk, struct vhostkit_disk_query *out)
{
	const struct inode *inode = file_inode(disk->file);
	const dev_t dev = disk->bdev ? inode->i_rdev : inode->i_sb->s_dev;

	lockdep_assert_held(&lock);
	memcpy(out->name, disk->name, sizeof(out->name));
	memcpy(out->serial, disk->serial, sizeof(out->serial));
	out->disk_flags = disk->flags;
	out->state = (disk->claimed ? VHOSTKIT_DISK_S_CLAIMED : 0) |
		     (disk->bdev ? VHOSTKIT_DISK_S_BLOCK_DEVICE : 0) |
		     (disk->direct ? VHOSTKIT_DISK_S_DIRECT : 0) |
		     (disk->gone ? VHOSTKIT_DISK_S_GONE : 0);
	out->n_queues = disk->n_queues;
	out->queue_size = disk->queue_size;
	out->block_size = disk->block_size;
	out->backing_major = MAJOR(dev);
	out->backing_minor = MINOR(dev);
	out->backing_inode = inode->i_ino;
	out->bytes = disk->bytes;
}

static struct vhk_disk *find_next(const char *name)
{
	struct vhk_disk *disk;

	list_for_each_entry(disk, &disks, link)
		if (strncmp(disk->name, name, VHOSTKIT_NAME_SIZE) > 0)
			return disk;
	return NULL;
}

int vhk_disk_query(struct vhostkit_disk_query *arg)
{
	struct vhk_disk *disk;

	mutex_lock(&lock);
	disk = arg->flags & VHOSTKIT_DISK_QUERY_F_NEXT ? find_next(arg->name) : find(arg->name);
	if (disk)
		describe(disk, arg);
	mutex_unlock(&lock);
	return disk ? 0 : -ENOENT;
}

int vhk_disk_stats(struct vhostkit_disk_stats *arg)
{
	struct vhk_disk *disk;
	int ret = -ENOENT;

	mutex_lock(&lock);
	disk = find(arg->name);
	if (disk)
		ret = disk->ops ? disk->ops->stats(disk->user, arg) : -ENODEV;
	mutex_unlock(&lock);
	return ret;
}

unsigned int vhk_disk_count(void)
{
	return READ_ONCE(n_disks);
}

struct vhk_disk *vhk_disk_claim(const char *name)
{
	struct vhk_disk *disk = NULL;

	mutex_lock(&lock);
	/* A longer name cannot be in the registry, and must not match by its start. */
	if (strlen(name) < VHOSTKIT_NAME_SIZE)
		disk = find(name);
	if (!disk) {
		disk = ERR_PTR(-ENOENT);
	} else if (disk->claimed) {
		disk = ERR_PTR(-EBUSY);
	} else {
		disk->claimed = true;
	}
	mutex_unlock(&lock);
	return disk;
}
EXPORT_SYMBOL_GPL(vhk_disk_claim);

void vhk_disk_attach(struct vhk_disk *disk, const struct vhk_disk_user_ops *ops, void *user)
{
	mutex_lock(&lock);
	disk->ops = ops;
	disk->user = user;
	ops->resized(user, disk->bytes);
	if (disk->gone)
		ops->gone(user);
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_GPL(vhk_disk_attach);

void vhk_disk_release(struct vhk_disk *disk)
{
	mutex_lock(&lock);
	disk->ops = NULL;
	disk->user = NULL;
	disk->claimed = false;
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_GPL(vhk_disk_release);
