/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sized structures that ioctls take: copied once, and checked as far as that is the same for
 * all.
 */
#ifndef VHK_ARG_H
#define VHK_ARG_H

#include <linux/mm.h>
#include <linux/uaccess.h>

/* What every structure starts with. */
struct vhk_arg_head {
	u32 size;
	u32 flags;
};

/*
 * Fills @arg, of @want bytes, which are also those of the first version while there is only one.
 * @flags: those that are known. @size: as the caller said.
 */
static inline int vhk_arg_read(void *arg, u32 want, u32 flags, const void __user *user, u32 *size)
{
	const struct vhk_arg_head *head = arg;
	int ret;

	if (get_user(*size, (const u32 __user *)user))
		return -EFAULT;
	if (*size < want)
		return -EINVAL;
	/* More than a page can only be a mistake. */
	if (*size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(arg, want, user, *size);
	if (ret)
		return ret;
	return head->flags & ~flags ? -EOPNOTSUPP : 0;
}

#endif
