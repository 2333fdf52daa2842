// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device: its life, its configuration space, and the door that holds it. What happens to running
 * queues is in device_change.c and queue.c.
 */
#include "base.h"
#include "device_impl.h"

#define QUEUES_MAX 1024
#define CONFIG_MAX 256

static int check_info(const struct vhk_device_info *i)
{
	/* Eventfds and VRING_KICK have no room for what a kick would carry. */
	if ((i->flags & ~VHK_DEVICE_F_ALL) || (i->features & VHK_F_NOTIFICATION_DATA))
		return -EOPNOTSUPP;
	if (!i->n_queues || i->n_queues > QUEUES_MAX || i->config_size > CONFIG_MAX)
		return -EINVAL;
	if (!i->queue_size || i->queue_size > VHK_QUEUE_SIZE_MAX)
		return -EINVAL;
	return 0;
}

static int check_ops(const struct vhk_device *d)
{
	if (!d->ops.work || (d->info.config_size && !d->ops.get_config))
		return -EINVAL;
	return !d->ops.open_crypto == !d->ops.close_crypto ? 0 : -EINVAL;
}

int vhk_device_new(struct vhk_device **out, const struct vhk_device_info *info,
		   const struct vhk_device_ops *ops, void *priv)
{
	struct vhk_device *d = calloc(1, sizeof(*d));
	unsigned int i;
	int ret;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	ret = vhk_opts_read(&d->info, sizeof(d->info), info);
	if (!ret)
		ret = vhk_opts_read(&d->ops, sizeof(d->ops), ops);
	if (!ret)
		ret = check_info(&d->info);
	if (!ret)
		ret = check_ops(d);
	if (ret)
		goto err;
	ret = -ENOMEM;
	d->queue = aligned_alloc(64, d->info.n_queues * sizeof(*d->queue));
	if (!d->queue)
		goto err;
	memset(d->queue, 0, d->info.n_queues * sizeof(*d->queue));
	for (i = 0; i < d->info.n_queues; i++)
		vhk_queue_init(&d->queue[i], d, i);
	d->priv = priv;
	*out = d;
	return 0;
err:
	free(d);
	return ret;
}

static bool any_ring(const struct vhk_device *d)
{
	unsigned int i;

	for (i = 0; i < d->info.n_queues; i++)
		if (d->queue[i].ring)
			return true;
	return false;
}

void vhk_device_free(struct vhk_device *d)
{
	if (!d)
		return;
	/* the kernel may still write into what these rings point at, or an answer is under way */
	if (any_ring(d) || d->change.pending)
		return;
	if (d->ops.free)
		d->ops.free(d->priv);
	free(d->loops);
	free(d->queue);
	free(d);
}

void *vhk_device_priv(const struct vhk_device *d)
{
	return d->priv;
}

void vhk_device_share(struct vhk_device *d, bool on)
{
	d->shared = on;
}

bool vhk_device_does(const struct vhk_device *d, const struct vhk_device_ops *ops)
{
	return d->ops.work == ops->work;
}

const struct vhk_device_info *vhk_device_info(const struct vhk_device *d)
{
	return &d->info;
}

int vhk_device_set_loops(struct vhk_device *d, struct vhk_loop *const *loops, unsigned int n)
{
	struct vhk_loop **copy;

	if (!n)
		return -EINVAL;
	if (d->ctl)
		return -EBUSY;
	copy = malloc(n * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, loops, n * sizeof(*copy));
	free(d->loops);
	d->loops = copy;
	d->n_loops = n;
	return 0;
}

int vhk_device_set_call_delay(struct vhk_device *d, uint32_t us)
{
	if (us > 1000000)
		return -EINVAL;
	if (d->ctl)
		return -EBUSY;
	d->call_delay_ns = us * 1000ull;
	return 0;
}

int vhk_device_hold(struct vhk_device *d, struct vhk_loop *ctl, const struct vhk_door_ops *ops,
		    void *arg)
{
	unsigned int i;

	if (d->door || any_ring(d) || d->change.pending)
		return -EBUSY;
	d->ctl = ctl;
	d->door = ops;
	d->door_arg = arg;
	for (i = 0; i < d->info.n_queues; i++)
		d->queue[i].loop = d->n_loops ? d->loops[i % d->n_loops] : ctl;
	return 0;
}

bool vhk_device_runs_in(const struct vhk_device *d, const struct vhk_loop *l)
{
	unsigned int i;

	for (i = 0; i < d->info.n_queues; i++)
		if (d->queue[i].loop == l)
			return true;
	return false;
}

void vhk_device_drop(struct vhk_device *d)
{
	d->door = NULL;
	d->door_arg = NULL;
	d->change.fn = NULL;
	d->shared = false;
}

int vhk_device_config_changed(struct vhk_device *d)
{
	if (!d->door)
		return -ENOTCONN;
	d->door->config_changed(d->door_arg);
	return 0;
}

int vhk_device_set_features(struct vhk_device *d, uint64_t features)
{
	return d->ops.set_features ? d->ops.set_features(d->priv, features) : 0;
}

static bool in_config(const struct vhk_device *d, uint32_t off, uint32_t len)
{
	return off <= d->info.config_size && len <= d->info.config_size - off;
}

int vhk_device_get_config(struct vhk_device *d, uint32_t off, void *buf, uint32_t len)
{
	return in_config(d, off, len) ? d->ops.get_config(d->priv, off, buf, len) : -EINVAL;
}

int vhk_device_set_config(struct vhk_device *d, uint32_t off, const void *buf, uint32_t len)
{
	if (!in_config(d, off, len))
		return -EINVAL;
	return d->ops.set_config ? d->ops.set_config(d->priv, off, buf, len) : -EOPNOTSUPP;
}

int vhk_device_restore_config(struct vhk_device *d, uint32_t off, const void *buf, uint32_t len)
{
	if (!d->ops.restore_config)
		return vhk_device_set_config(d, off, buf, len);
	return in_config(d, off, len) ? d->ops.restore_config(d->priv, off, buf, len) : -EINVAL;
}

const struct vhk_device_ops *vhk_device_ops(const struct vhk_device *d)
{
	return &d->ops;
}

bool vhk_device_has_state(const struct vhk_device *d)
{
	return d->ops.save && d->ops.load;
}

ssize_t vhk_device_save(struct vhk_device *d, uint64_t off, void *buf, size_t len)
{
	return d->ops.save(d->priv, off, buf, len);
}

int vhk_device_load(struct vhk_device *d, uint64_t off, const void *buf, size_t len)
{
	return d->ops.load(d->priv, off, buf, len);
}

void vhk_device_reset(struct vhk_device *d)
{
	if (d->ops.reset)
		d->ops.reset(d->priv);
}

bool vhk_device_queue_started(const struct vhk_device *d, unsigned int idx)
{
	return idx < d->info.n_queues && d->queue[idx].started;
}

int vhk_device_stats(const struct vhk_device *d, unsigned int queue, struct vhk_queue_stats *out)
{
	const struct vhk_queue_stats *s;

	if (queue >= d->info.n_queues)
		return -EINVAL;
	s = &d->queue[queue].stats;
	out->requests = __atomic_load_n(&s->requests, __ATOMIC_RELAXED);
	out->kicks = __atomic_load_n(&s->kicks, __ATOMIC_RELAXED);
	out->calls = __atomic_load_n(&s->calls, __ATOMIC_RELAXED);
	out->rounds = __atomic_load_n(&s->rounds, __ATOMIC_RELAXED);
	out->in_flight = __atomic_load_n(&s->in_flight, __ATOMIC_RELAXED);
	return 0;
}
