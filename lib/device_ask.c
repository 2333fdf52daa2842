// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a device asks of the front end, on its way to the door that serves the device.
 */
#include "base.h"
#include "device_impl.h"

static int ask(struct vhk_device *d, const struct vhk_ask *a)
{
	if (!d->door)
		return -ENOTCONN;
	return d->door->ask ? d->door->ask(d->door_arg, a) : -EOPNOTSUPP;
}

int vhk_device_lend_notifier(struct vhk_device *d, unsigned int queue, int fd, uint64_t offset,
			     uint64_t size, vhk_asked_fn *done, void *arg)
{
	const struct vhk_ask a = {
		.kind = VHK_ASK_FOR_NOTIFIER,
		.fd = fd,
		.done = done,
		.arg = arg,
		.notifier = { queue, offset, size },
	};

	if (queue >= d->info.n_queues || (fd >= 0 && !size))
		return -EINVAL;
	return d->info.flags & VHK_DEVICE_F_NOTIFIER ? ask(d, &a) : -EOPNOTSUPP;
}

static int ask_shmem(struct vhk_device *d, enum vhk_ask_kind kind, const struct vhk_shmem_map *m,
		     int fd, vhk_asked_fn *done, void *arg)
{
	const struct vhk_ask a = { .kind = kind, .fd = fd, .done = done, .arg = arg, .shmem = *m };

	if (m->flags & ~VHK_SHMEM_F_ALL)
		return -EINVAL;
	return ask(d, &a);
}

int vhk_device_map_shmem(struct vhk_device *d, const struct vhk_shmem_map *m, int fd,
			 vhk_asked_fn *done, void *arg)
{
	return fd < 0 ? -EINVAL : ask_shmem(d, VHK_ASK_FOR_SHMEM_MAP, m, fd, done, arg);
}

int vhk_device_unmap_shmem(struct vhk_device *d, const struct vhk_shmem_map *m, vhk_asked_fn *done,
			   void *arg)
{
	return ask_shmem(d, VHK_ASK_FOR_SHMEM_UNMAP, m, -1, done, arg);
}

static int ask_object(struct vhk_device *d, enum vhk_ask_kind kind, const struct vhk_uuid *id,
		      vhk_asked_fn *done, void *arg)
{
	const struct vhk_ask a = { .kind = kind, .fd = -1, .done = done, .arg = arg, .uuid = *id };

	return ask(d, &a);
}

int vhk_device_add_object(struct vhk_device *d, const struct vhk_uuid *id, vhk_asked_fn *done,
			  void *arg)
{
	return ask_object(d, VHK_ASK_FOR_OBJECT_ADD, id, done, arg);
}

int vhk_device_remove_object(struct vhk_device *d, const struct vhk_uuid *id, vhk_asked_fn *done,
			     void *arg)
{
	return ask_object(d, VHK_ASK_FOR_OBJECT_REMOVE, id, done, arg);
}

int vhk_device_lookup_object(struct vhk_device *d, const struct vhk_uuid *id, vhk_asked_fn *done,
			     void *arg)
{
	return done ? ask_object(d, VHK_ASK_FOR_OBJECT_LOOKUP, id, done, arg) : -EINVAL;
}
