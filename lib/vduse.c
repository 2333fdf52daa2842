// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device behind VDUSE: made or taken over, given back, taken away.
 */
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "vduse_impl.h"

#define WAIT_MS 5000
#define CLOSE_NS 1000000000
#define RETRY_NS 10000000
#define ALIGN 4096
#define ID_BLOCK 2
#define BLK_F_CONFIG_WCE (1ull << 11)

static void config_changed(void *arg);
static void queue_error(void *arg, unsigned int idx, int err);
static void queue_misses(void *arg, unsigned int idx, uint64_t at, uint64_t len);

static const struct vhk_door_ops door_ops = {
	.config_changed = config_changed,
	.queue_error = queue_error,
	.queue_misses = queue_misses,
};

static int read_config(struct vhk_vduse *v, void *buf, uint32_t *len)
{
	*len = vhk_device_info(v->dev)->config_size;
	return *len ? vhk_device_get_config(v->dev, 0, buf, *len) : 0;
}

/* The driver reads the kernel's copy. */
static int refresh_config(struct vhk_vduse *v)
{
	unsigned char config[256];
	uint32_t len;
	int ret = read_config(v, config, &len);

	if (ret < 0 || !len)
		return vhk_min(ret, 0);
	return vhk_vduse_set_config(v->fd, 0, config, len);
}

static void config_changed(void *arg)
{
	struct vhk_vduse *v = arg;
	int ret;

	if (v->broken || v->closing)
		return;
	ret = refresh_config(v);
	if (ret) {
		vduse_log_line(v, VHK_LOG_WARN, "the configuration cannot be changed: %s",
			       strerrordesc_np(-ret));
		return;
	}
	/* Not let through before DRIVER_OK, and a driver on its way there may have read already. */
	v->config_owed = !vhk_vduse_probe(v) && v->starting;
}

static void queue_error(void *arg, unsigned int idx, int err)
{
	struct vhk_vduse *v = arg;

	if (v->left_behind || idx >= v->n_queues)
		return;
	vduse_log_line(v, VHK_LOG_WARN, "queue %u stopped: %s", idx,
		       err == -EBADMSG	 ? "what the driver put into its ring makes no sense"
		       : err == -EFAULT ? "memory went from under it"
					 : strerrordesc_np(-err));
}

static void queue_misses(void *arg, unsigned int idx, uint64_t at, uint64_t len)
{
	struct vhk_vduse *v = arg;
	struct vduse_queue *q = &v->queue[idx];

	q->misses = true;
	q->miss_at = at;
	q->miss_len = len;
	if (!v->closing && !v->broken)
		vhk_vduse_serve_misses(v);
}

static void vduse_free(struct vhk_vduse *v)
{
	vhk_vduse_log_close(v);
	vhk_mem_free(v->mem);
	vhk_fd_close(v->fd);
	vhk_fd_close(v->control);
	free(v->queue);
	free(v);
}

/* It names a file beside VDUSE's own, and stands in lines of the log. */
static int check_name(const char *name)
{
	const size_t len = name ? strlen(name) : 0;
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 127)
			return -EINVAL;
	if (!len || len >= VDUSE_NAME_MAX || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, "..") || !strcmp(name, "control"))
		return -EINVAL;
	return 0;
}

static uint64_t offered_of(const struct vhk_vduse *v)
{
	const struct vhk_device_info *info = vhk_device_info(v->dev);
	uint64_t f = info->features & ~v->o.without & ~VHK_F_PROTOCOL_FEATURES & ~VHK_F_LOG_ALL;

	/* The kernel's copy of the configuration is read-only for drivers. */
	if (info->device_id == ID_BLOCK)
		f &= ~BLK_F_CONFIG_WCE;
	return f | VHK_F_ACCESS_PLATFORM;
}

static int vduse_new(struct vhk_vduse **out, struct vhk_loop *ctl, struct vhk_device *d,
		     const char *name, const struct vhk_vduse_opts *o)
{
	struct vhk_vduse *v = calloc(1, sizeof(*v));
	unsigned int i;
	int ret;

	if (!v)
		return -ENOMEM;
	v->control = v->fd = -1;
	v->ctl = ctl;
	v->dev = d;
	v->n_queues = vhk_device_info(d)->n_queues;
	v->queue = calloc(v->n_queues, sizeof(*v->queue));
	ret = vhk_opts_read(&v->o, sizeof(v->o), o);
	if (!ret && !v->queue)
		ret = -ENOMEM;
	if (!ret)
		ret = check_name(name);
	if (!ret && v->o.inflight && strlen(v->o.inflight) >= sizeof(v->log.path))
		ret = -EINVAL;
	if (!ret)
		ret = vhk_mem_new(&v->mem);
	if (ret) {
		vduse_free(v);
		return ret;
	}
	for (i = 0; i < v->n_queues; i++)
		v->queue[i].kick = -1;
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->offered = offered_of(v);
	if (!v->o.wait_ms)
		v->o.wait_ms = WAIT_MS;
	vhk_vduse_log_path(v, v->o.inflight);
	v->o.inflight = NULL;
	*out = v;
	return 0;
}

/* From API 1 on the first two reserved words are the number of groups and of address spaces. */
static void fill_config(struct vhk_vduse *v, struct vduse_dev_config *c)
{
	const struct vhk_device_info *info = vhk_device_info(v->dev);

	snprintf(c->name, sizeof(c->name), "%s", v->name);
	c->device_id = info->device_id;
	c->features = v->offered;
	c->vq_num = v->n_queues;
	c->vq_align = ALIGN;
	c->config_size = info->config_size;
	if (v->api)
		c->reserved[0] = c->reserved[1] = 1;
}

static int create(struct vhk_vduse *v)
{
	struct vduse_dev_config *c = calloc(1, sizeof(*c) + 256);
	uint32_t len;
	int ret;

	if (!c)
		return -ENOMEM;
	fill_config(v, c);
	ret = read_config(v, c->config, &len);
	if (ret >= 0)
		ret = vhk_vduse_create(v->control, c);
	v->created = !ret;
	free(c);
	return ret;
}

/* One that nobody serves and nothing uses is of no worth. */
static int create_or_find(struct vhk_vduse *v)
{
	int ret = create(v);

	if (ret != -EEXIST)
		return ret;
	if (!vhk_vduse_destroy_device(v->control, v->name))
		ret = create(v);
	return ret == -EEXIST ? 0 : ret;
}

/* The file of a process that was killed is closed when the kernel is through with its requests; one
 * of a device that was just made may take its time to appear. */
static int open_device(struct vhk_vduse *v)
{
	const uint64_t end = vhk_now_ns() + v->o.wait_ms * 1000000ull;
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	int fd;

	for (;;) {
		fd = vhk_vduse_open_device(v->name);
		if (fd != -EBUSY && fd != -ENOENT && fd != -ENXIO)
			break;
		if (vhk_now_ns() >= end)
			break;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	if (fd < 0)
		return fd;
	v->fd = fd;
	return 0;
}

static int setup_queues(struct vhk_vduse *v)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < v->n_queues && !ret; i++)
		ret = vhk_vduse_setup_queue(v->fd, i, vhk_device_info(v->dev)->queue_size);
	return ret;
}

/* The driver ran before us: it goes on where the former process stopped. */
static int recover(struct vhk_vduse *v)
{
	int ret = vhk_vduse_accept_features(v);

	if (ret)
		return ret;
	ret = vhk_vduse_map(v, 0, UINT64_MAX);
	if (ret && ret != -EMSGSIZE)
		return ret;
	v->status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	v->running = true;
	v->recovering = true;
	vduse_log_line(v, VHK_LOG_INFO, "taken over from a former process, with its driver");
	vhk_vduse_tell(v, VHK_VDUSE_UP);
	vhk_vduse_start_soon(v);
	return 0;
}

/*
 * From API 1 on the kernel refuses this while the driver runs: the queues are then as the former
 * process has set them up. One that was reset behind the refusal does not run any more.
 */
static int setup_again(struct vhk_vduse *v)
{
	int ret = setup_queues(v);

	if (ret != -EINVAL || !v->api)
		return ret;
	return vhk_vduse_probe(v) ? 0 : setup_queues(v);
}

/* Behind the log: a device of another shape is not touched. */
static int take_over(struct vhk_vduse *v)
{
	int ret = vhk_vduse_log_open(v);

	if (ret == -ENODATA && !vhk_vduse_probe(v))
		ret = vhk_vduse_log_make(v);
	if (!ret)
		ret = setup_again(v);
	if (!ret)
		ret = refresh_config(v);
	if (!ret && vhk_vduse_probe(v))
		ret = recover(v);
	return ret;
}

static int begin(struct vhk_vduse *v)
{
	int ret = create_or_find(v);

	if (!ret)
		ret = open_device(v);
	if (ret)
		return ret;
	if (!v->created)
		return take_over(v);
	ret = setup_queues(v);
	return ret ? ret : vhk_vduse_log_make(v);
}

/* A kernel that does not take what API 1 asks for may take less. */
static int negotiate_and_begin(struct vhk_vduse *v, uint64_t api)
{
	int ret;

	v->api = api;
	v->extras = VHK_VDUSE_F_QUEUE_READY | VHK_VDUSE_F_SUSPEND;
	ret = vhk_vduse_negotiate(v->control, &v->api, &v->extras);
	if (ret)
		return ret;
	vduse_log_line(v, VHK_LOG_DEBUG, "VDUSE API %llu", (unsigned long long)v->api);
	ret = begin(v);
	if (ret == -EINVAL && v->api && v->fd < 0)
		return negotiate_and_begin(v, 0);
	return ret;
}

static void undo_create(struct vhk_vduse *v)
{
	vhk_fd_close(v->fd);
	v->fd = -1;
	if (!v->created)
		return;
	vhk_vduse_destroy_device(v->control, v->name);
	vhk_vduse_log_remove(v);
}

int vhk_vduse_open(struct vhk_vduse **out, struct vhk_loop *ctl, struct vhk_device *d,
		   const char *name, const struct vhk_vduse_opts *o)
{
	struct vhk_vduse *v;
	int ret;

	*out = NULL;
	ret = vduse_new(&v, ctl, d, name, o);
	if (ret)
		return ret;
	ret = vhk_device_hold(d, ctl, &door_ops, v);
	if (ret)
		goto err;
	ret = vhk_vduse_open_control();
	if (ret < 0)
		goto err_held;
	v->control = ret;
	ret = negotiate_and_begin(v, VHK_VDUSE_API);
	if (!ret)
		ret = vhk_vduse_watch(v);
	if (ret)
		goto err_created;
	*out = v;
	return 0;
err_created:
	vhk_vduse_start_never(v);
	undo_create(v);
err_held:
	vhk_device_drop(d);
err:
	vduse_free(v);
	return ret;
}

static void all_stopped(void *arg, int ret, uint32_t base)
{
	struct vhk_vduse *v = arg;

	(void)ret, (void)base;
	v->stopped = true;
}

static bool step_until(struct vhk_vduse *v, uint64_t end)
{
	const uint64_t now = vhk_now_ns();

	return now < end && vhk_loop_step(v->ctl, (int64_t)(end - now)) >= 0;
}

/* What was begun ends first, then all queues. */
static bool come_to_rest(struct vhk_vduse *v)
{
	const uint64_t end = vhk_now_ns() + CLOSE_NS;

	vhk_device_hurry(v->dev);
	while (v->task != VDUSE_TASK_NONE)
		if (!step_until(v, end))
			return false;
	if (vhk_device_stop_all(v->dev, all_stopped, v))
		return false;
	while (!v->stopped)
		if (!step_until(v, end))
			break;
	return v->stopped;
}

/* Whether it came to rest, and @v may be freed. */
static bool shut(struct vhk_vduse *v)
{
	v->closing = true;
	vhk_vduse_unwatch(v);
	vhk_vduse_unwatch_kicks(v);
	vhk_vduse_start_never(v);
	if (come_to_rest(v)) {
		vhk_vduse_drop_kicks(v);
		vhk_device_drop(v->dev);
		return true;
	}
	/* Requests under way still write into the driver's memory and into the file. */
	vduse_log_line(v, VHK_LOG_ERROR, "the device does not come to rest; left behind");
	v->o = (struct vhk_vduse_opts){ .sz = sizeof(v->o) };
	v->left_behind = true;
	return false;
}

void vhk_vduse_close(struct vhk_vduse *v)
{
	if (v && shut(v))
		vduse_free(v);
}

int vhk_vduse_destroy(struct vhk_vduse *v)
{
	int ret;

	if (!v)
		return 0;
	if (!shut(v))
		return -EBUSY;
	vhk_fd_close(v->fd);
	v->fd = -1;
	ret = vhk_vduse_destroy_device(v->control, v->name);
	if (!ret)
		vhk_vduse_log_remove(v);
	vduse_free(v);
	return ret;
}
