// SPDX-License-Identifier: GPL-2.0-only
/*
 * The multiplexer's file: made by an ioctl of /dev/vhostkit, polled, mapped, told to bind and to
 * call.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "arg.h"
#include "compat_notify.h"
#include "notify.h"

union arg {
	struct vhk_arg_head head;
	struct vhostkit_notify_bind bind;
	struct vhostkit_notify_unbind unbind;
};

static int do_bind(struct vhk_notify *n, const void __user *user)
{
	union arg arg;
	u32 size;
	int ret;

	ret = vhk_arg_read(&arg, sizeof(arg.bind), VHOSTKIT_NOTIFY_F_ALL, user, &size);
	return ret ? ret : vhk_notify_bind(n, &arg.bind);
}

static int do_unbind(struct vhk_notify *n, const void __user *user)
{
	union arg arg;
	u32 size;
	int ret;

	ret = vhk_arg_read(&arg, sizeof(arg.unbind), VHOSTKIT_NOTIFY_F_ALL, user, &size);
	return ret ? ret : vhk_notify_unbind(n, &arg.unbind);
}

static long notify_ioctl(struct file *file, unsigned int cmd, unsigned long uptr)
{
	struct vhk_notify *n = file->private_data;

	switch (cmd) {
	case VHOSTKIT_NOTIFY_CALL:
		return uptr ? -EINVAL : vhk_notify_call(n);
	case VHOSTKIT_NOTIFY_BIND:
		return do_bind(n, (void __user *)uptr);
	case VHOSTKIT_NOTIFY_UNBIND:
		return do_unbind(n, (void __user *)uptr);
	default:
		return -ENOTTY;
	}
}

/* Done when it returns: nothing is ever under way that would have to be cancelled. */
static int notify_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const u64 *payload = vhk_uring_payload(cmd);

	if (cmd->cmd_op != VHOSTKIT_NOTIFY_CALL)
		return -ENOTTY;
	if (READ_ONCE(payload[0]) || READ_ONCE(payload[1]))
		return -EINVAL;
	return vhk_notify_call(cmd->file->private_data);
}

/*
 * Waits first, then looks: the queue's lock orders both against the callback, which sets a bit and
 * then takes that lock to see who waits.
 */
static __poll_t notify_poll(struct file *file, struct poll_table_struct *table)
{
	struct vhk_notify *n = file->private_data;
	u32 i;

	poll_wait(file, &n->wait, table);
	for (i = 0; i < n->n_words; i++)
		if (READ_ONCE(n->kicks[i]))
			return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static vm_fault_t notify_fault(struct vm_fault *vmf)
{
	struct vhk_notify *n = vmf->vma->vm_file->private_data;

	/* A mapping can be made longer. */
	if (vmf->pgoff)
		return VM_FAULT_SIGBUS;
	get_page(n->page);
	vmf->page = n->page;
	return 0;
}

static const struct vm_operations_struct notify_vm_ops = {
	.fault = notify_fault,
};

static int notify_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vma->vm_ops = &notify_vm_ops;
	return 0;
}

static void notify_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct vhk_notify *n = file->private_data;
	u32 i, kicks = 0, calls = 0;

	mutex_lock(&n->lock);
	for (i = 0; i < n->n_rings; i++) {
		kicks += !!n->rings[i].kick;
		calls += !!rcu_access_pointer(n->rings[i].call);
	}
	mutex_unlock(&n->lock);
	seq_printf(m, "vhostkit-rings:\t%u\nvhostkit-kicks:\t%u\nvhostkit-calls:\t%u\n",
		   n->n_rings, kicks, calls);
}

static void notify_free(struct vhk_notify *n)
{
	vhk_notify_unbind_all(n);
	vhk_notify_uncharge(n->user, n->n_rings);
	put_page(n->page);
	mutex_destroy(&n->lock);
	kvfree(n);
}

static int notify_release(struct inode *inode, struct file *file)
{
	notify_free(file->private_data);
	return 0;
}

static const struct file_operations notify_fops = {
	.owner = THIS_MODULE,
	.release = notify_release,
	.unlocked_ioctl = notify_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = notify_uring_cmd,
	.poll = notify_poll,
	.mmap = notify_mmap,
	.show_fdinfo = notify_show_fdinfo,
	.llseek = noop_llseek,
};

static struct vhk_notify *notify_alloc(u32 n_rings)
{
	const u32 n_words = DIV_ROUND_UP(n_rings, BITS_PER_LONG);
	struct vhk_notify *n;
	int ret = -ENOMEM;

	n = kvzalloc(struct_size(n, rings, n_words * BITS_PER_LONG), GFP_KERNEL_ACCOUNT);
	if (!n)
		return ERR_PTR(-ENOMEM);
	n->page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!n->page)
		goto err_free;
	ret = vhk_notify_charge(&n->user, n_rings);
	if (ret)
		goto err_page;
	n->kicks = page_address(n->page) + VHOSTKIT_NOTIFY_KICKS;
	n->calls = page_address(n->page) + VHOSTKIT_NOTIFY_CALLS;
	n->n_rings = n_rings;
	n->n_words = n_words;
	init_waitqueue_head(&n->wait);
	mutex_init(&n->lock);
	return n;

err_page:
	put_page(n->page);
err_free:
	kvfree(n);
	return ERR_PTR(ret);
}

int vhk_notify_new(const struct vhostkit_notify_new *arg)
{
	struct vhk_notify *n;
	int fd;

	BUILD_BUG_ON(VHOSTKIT_NOTIFY_KICKS + VHOSTKIT_NOTIFY_MAX_RINGS / 8 > VHOSTKIT_NOTIFY_CALLS);
	BUILD_BUG_ON(VHOSTKIT_NOTIFY_CALLS + VHOSTKIT_NOTIFY_MAX_RINGS / 8 > PAGE_SIZE);
	if (!arg->n_rings || arg->n_rings > VHOSTKIT_NOTIFY_MAX_RINGS || arg->reserved)
		return -EINVAL;
	n = notify_alloc(arg->n_rings);
	if (IS_ERR(n))
		return PTR_ERR(n);
	fd = anon_inode_getfd("[vhostkit-notify]", &notify_fops, n, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		notify_free(n);
	return fd;
}

/* Calls that were unbound may be waiting for their last readers. */
void vhk_notify_exit(void)
{
	rcu_barrier();
}
