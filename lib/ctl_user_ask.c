// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The back end's requests, one function each; they were found right by the message table.
 */
#include <unistd.h>

#include "ctl_user.h"

static int config_changed(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	(void)m;
	(void)fd;
	if (u->c.opts.on_config)
		u->c.opts.on_config(u->c.opts.arg);
	return 0;
}

static int iotlb(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_user_iotlb t;
	struct vhk_iotlb_msg out;

	(void)fd;
	memcpy(&t, m->bytes, sizeof(t));
	if (t.type != VHK_IOTLB_MISS && t.type != VHK_IOTLB_ACCESS_FAIL)
		return -EINVAL;
	out = (struct vhk_iotlb_msg){ .iova = { t.iova }, .size = t.size, .uva = { t.uaddr },
				      .perm = t.perm, .type = t.type };
	vhk_ctl_iotlb_event(&u->c, &out);
	return 0;
}

static int host_notifier(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_user_vring_area a;
	int ret;

	(void)fd;
	memcpy(&a, m->bytes, sizeof(a));
	if (!u->c.back.host_notifier)
		return -EOPNOTSUPP;
	ret = m->n_fds ? vhk_ctl_user_lent_doorbell(m->fd[0], a.offset, a.size) : 0;
	if (ret)
		return ret;
	return u->c.back.host_notifier(u->c.opts.arg,
				       (unsigned int)(a.index & VHK_USER_VRING_FD_INDEX),
				       vhk_msg_take_fd(m, 0), a.offset, a.size);
}

static unsigned int index_of(const struct vhk_msg *m)
{
	uint32_t idx;

	memcpy(&idx, m->bytes, sizeof(idx));
	return idx;
}

static struct vhk_ctl_queue *queue_of(const struct vhk_ctl_user *u, unsigned int idx)
{
	return idx < VHK_CTL_QUEUES_MAX ? u->c.queue[idx] : NULL;
}

/* An eventfd of ours: a counter at its end wakes as well as any. */
static void ring_up(int fd)
{
	const uint64_t one = 1;
	ssize_t ignored = write(fd, &one, sizeof(one));

	(void)ignored;
}

static int vring_call(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	unsigned int idx = index_of(m);
	struct vhk_ctl_queue *q = queue_of(u, idx);

	(void)fd;
	if (q)
		ring_up(q->call_fd);
	if (u->c.back.call)
		u->c.back.call(u->c.opts.arg, idx);
	return 0;
}

static int vring_error(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	unsigned int idx = index_of(m);
	struct vhk_ctl_queue *q = queue_of(u, idx);

	(void)fd;
	if (q)
		ring_up(q->err_fd);
	if (u->c.back.error)
		u->c.back.error(u->c.opts.arg, idx);
	return 0;
}

static struct vhk_uuid uuid_of(const struct vhk_msg *m)
{
	struct vhk_uuid id;

	memcpy(&id, m->bytes, sizeof(id));
	return id;
}

static int object_add(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_uuid id = uuid_of(m);

	(void)fd;
	return vhk_ctl_user_lent_add(&u->lent, &u->c, &id);
}

static int object_remove(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_uuid id = uuid_of(m);

	(void)fd;
	return vhk_ctl_user_lent_remove(&u->lent, &u->c, &id);
}

static int object_lookup(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_uuid id = uuid_of(m);
	int ret;

	if (!u->c.back.object_lookup)
		return -EOPNOTSUPP;
	ret = u->c.back.object_lookup(u->c.opts.arg, &id, fd);
	if (ret)
		*fd = -1;
	return ret;
}

static struct vhk_shmem_map map_of(const struct vhk_msg *m)
{
	struct vhk_user_mmap w;

	memcpy(&w, m->bytes, sizeof(w));
	return (struct vhk_shmem_map){
		.id = w.shmid,
		.flags = (uint32_t)w.flags,
		.fd_offset = w.fd_offset,
		.offset = w.shm_offset,
		.len = w.len,
	};
}

static int shmem_map(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_shmem_map map = map_of(m);

	(void)fd;
	return vhk_ctl_user_lent_map(&u->lent, &u->c, &map, vhk_msg_take_fd(m, 0));
}

static int shmem_unmap(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_shmem_map map = map_of(m);

	(void)fd;
	return vhk_ctl_user_lent_take(&u->lent, &u->c, &map);
}

static int (*const serve[VHK_USER_BACK_REQ_MAX + 1])(struct vhk_ctl_user *u, struct vhk_msg *m,
						     int *fd) = {
	[VHK_USER_BACK_IOTLB_MSG] = iotlb,
	[VHK_USER_BACK_CONFIG_CHANGE_MSG] = config_changed,
	[VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG] = host_notifier,
	[VHK_USER_BACK_VRING_CALL] = vring_call,
	[VHK_USER_BACK_VRING_ERR] = vring_error,
	[VHK_USER_BACK_SHARED_OBJECT_ADD] = object_add,
	[VHK_USER_BACK_SHARED_OBJECT_REMOVE] = object_remove,
	[VHK_USER_BACK_SHARED_OBJECT_LOOKUP] = object_lookup,
	[VHK_USER_BACK_SHMEM_MAP] = shmem_map,
	[VHK_USER_BACK_SHMEM_UNMAP] = shmem_unmap,
};

int vhk_ctl_user_back_do(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	return serve[m->hdr.request] ? serve[m->hdr.request](u, m, fd) : -EOPNOTSUPP;
}
