// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many rings the files have that a user has made, whoever holds them afterwards.
 */
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "notify.h"

static unsigned int max_rings_per_user = 65536;
module_param(max_rings_per_user, uint, 0644);
MODULE_PARM_DESC(max_rings_per_user, "Rings of all multiplexers that one user may make (65536)");

/* Exists as long as it has rings. */
struct vhk_notify_user {
	struct list_head link;
	kuid_t uid;
	u32 n_rings;
};

static DEFINE_MUTEX(users_lock); /* the list, and what is in it */
static LIST_HEAD(users);

static struct vhk_notify_user *user_get(kuid_t uid)
{
	struct vhk_notify_user *user;

	list_for_each_entry(user, &users, link)
		if (uid_eq(user->uid, uid))
			return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return NULL;
	user->uid = uid;
	list_add(&user->link, &users);
	return user;
}

static void drop_empty(struct vhk_notify_user *user)
{
	if (user->n_rings)
		return;
	list_del(&user->link);
	kfree(user);
}

int vhk_notify_charge(struct vhk_notify_user **out, u32 n_rings)
{
	const u32 max = READ_ONCE(max_rings_per_user);
	struct vhk_notify_user *user;
	int ret = -ENOMEM;

	mutex_lock(&users_lock);
	user = user_get(current_uid());
	if (user && user->n_rings <= max && n_rings <= max - user->n_rings) {
		user->n_rings += n_rings;
		*out = user;
		ret = 0;
	} else if (user) {
		drop_empty(user);
		ret = -EDQUOT;
	}
	mutex_unlock(&users_lock);
	return ret;
}

void vhk_notify_uncharge(struct vhk_notify_user *user, u32 n_rings)
{
	mutex_lock(&users_lock);
	user->n_rings -= n_rings;
	drop_empty(user);
	mutex_unlock(&users_lock);
}
