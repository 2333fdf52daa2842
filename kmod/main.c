// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vhostkit: takes sized structures from callers and hands copies to the registry of disks and
 * to whatever makes files for notifications.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>

#include "arg.h"
#include "disk.h"
#include "notify.h"
#include "version.h"

union arg {
	struct vhk_arg_head head;
	struct vhostkit_info info;
	struct vhostkit_disk_add add;
	struct vhostkit_disk_del del;
	struct vhostkit_disk_resize resize;
	struct vhostkit_disk_query query;
	struct vhostkit_disk_stats stats;
	struct vhostkit_notify_new notify;
};

static int do_info(union arg *arg)
{
	struct vhostkit_info *info = &arg->info;

	info->features = VHOSTKIT_FEATURE_DISKS | VHOSTKIT_FEATURE_NOTIFY;
	info->max_disks = VHK_MAX_DISKS;
	info->n_disks = vhk_disk_count();
	strscpy_pad(info->version, VHK_MODULE_VERSION, sizeof(info->version));
	return 0;
}

static int do_add(union arg *arg)
{
	return vhk_disk_add(&arg->add);
}

static int do_del(union arg *arg)
{
	return vhk_disk_del(&arg->del);
}

static int do_resize(union arg *arg)
{
	return vhk_disk_resize(&arg->resize);
}

static int do_query(union arg *arg)
{
	return vhk_disk_query(&arg->query);
}

static int do_stats(union arg *arg)
{
	return vhk_disk_stats(&arg->stats);
}

static int do_notify_new(union arg *arg)
{
	return vhk_notify_new(&arg->notify);
}

/* @run returns what the call returns, if that is not negative. */
static const struct call {
	int (*run)(union arg *arg);
	u32 size;
	u32 flags;
	bool answers;
} calls[] = {
	[_IOC_NR(VHOSTKIT_INFO)] = { do_info, sizeof(struct vhostkit_info), 0, true },
	[_IOC_NR(VHOSTKIT_DISK_ADD)] = { do_add, sizeof(struct vhostkit_disk_add),
					 VHOSTKIT_DISK_F_ALL, false },
	[_IOC_NR(VHOSTKIT_DISK_DEL)] = { do_del, sizeof(struct vhostkit_disk_del), 0, false },
	[_IOC_NR(VHOSTKIT_DISK_RESIZE)] = { do_resize, sizeof(struct vhostkit_disk_resize), 0,
					    true },
	[_IOC_NR(VHOSTKIT_DISK_QUERY)] = { do_query, sizeof(struct vhostkit_disk_query),
					   VHOSTKIT_DISK_QUERY_F_ALL, true },
	[_IOC_NR(VHOSTKIT_DISK_STATS)] = { do_stats, sizeof(struct vhostkit_disk_stats), 0, true },
	[_IOC_NR(VHOSTKIT_NOTIFY_NEW)] = { do_notify_new, sizeof(struct vhostkit_notify_new), 0,
					   false },
};

static const struct call *find_call(unsigned int cmd)
{
	const unsigned int nr = _IOC_NR(cmd);

	if (nr >= ARRAY_SIZE(calls) || cmd != _IO(VHOSTKIT_TYPE, nr))
		return NULL;
	return calls[nr].run ? &calls[nr] : NULL;
}

static long vhostkit_ioctl(struct file *file, unsigned int cmd, unsigned long uptr)
{
	const struct call *call = find_call(cmd);
	void __user *user = (void __user *)uptr;
	union arg arg;
	u32 size;
	int ret;

	if (!call)
		return -ENOTTY;
	ret = vhk_arg_read(&arg, call->size, call->flags, user, &size);
	if (ret)
		return ret;
	ret = call->run(&arg);
	if (ret < 0 || !call->answers)
		return ret;
	/* The caller may have changed it meanwhile. */
	arg.head.size = size;
	return copy_to_user(user, &arg, call->size) ? -EFAULT : 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = vhostkit_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhostkit",
	.fops = &fops,
	.mode = 0600,
};

static int __init vhostkit_init(void)
{
	return misc_register(&misc);
}

static void __exit vhostkit_exit(void)
{
	misc_deregister(&misc);
	vhk_notify_exit();
	vhk_disk_del_all();
}

module_init(vhostkit_init);
module_exit(vhostkit_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VHK_MODULE_VERSION);
MODULE_DESCRIPTION("Notifications of virtqueues, and backing disks for software vDPA devices");
MODULE_AUTHOR("The vhostkit authors");
