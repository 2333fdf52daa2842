// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does something wrong when it is loaded, one thing that its parameter names: shows that the
 * debug kernel sees it, so that its silence elsewhere means something.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "lock-order, sleep, shift, use-after-free, out-of-bounds, or leak");

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(other);
static DEFINE_SPINLOCK(spin);
static int by = 40;

static void use_after_free(void)
{
	u8 *p = kmalloc(64, GFP_KERNEL);

	kfree(p);
	if (p)
		WRITE_ONCE(*p, 1);
}

static void out_of_bounds(void)
{
	u8 *p = kmalloc(60, GFP_KERNEL);

	if (p)
		WRITE_ONCE(p[60], 1);
	kfree(p);
}

static void leak(void)
{
	/* Volatile, so that it is asked for at all. */
	u8 *volatile p = kmalloc(77, GFP_KERNEL);

	if (p)
		WRITE_ONCE(*p, 1);
	p = NULL;
}

static void sleep_under_spinlock(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void lock_both(struct mutex *first, struct mutex *second)
{
	mutex_lock(first);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

static int __init broken_init(void)
{
	if (!strcmp(what, "use-after-free")) {
		use_after_free();
	} else if (!strcmp(what, "out-of-bounds")) {
		out_of_bounds();
	} else if (!strcmp(what, "leak")) {
		leak();
	} else if (!strcmp(what, "sleep")) {
		sleep_under_spinlock();
	} else if (!strcmp(what, "lock-order")) {
		lock_both(&one, &other);
		lock_both(&other, &one);
	} else if (!strcmp(what, "shift")) {
		by = 1 << READ_ONCE(by);
	} else {
		return -EINVAL;
	}
	return 0;
}

static void __exit broken_exit(void)
{
}

module_init(broken_init);
module_exit(broken_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Shows that a debug kernel sees what is wrong");
