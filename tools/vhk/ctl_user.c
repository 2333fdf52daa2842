// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk ctl show of a vhost-user back end. What kind of device it is vhost-user does not tell: bits
 * of devices have names, and the configuration space fields, where the user says which it is.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <unistd.h>

#include "ctl_show.h"
#include "disk.h"
#include "features.h"

#define PROTOCOL_ASKED                                                                             \
	(VHK_PF_MQ | VHK_PF_CONFIG | VHK_PF_CONFIGURE_MEM_SLOTS | VHK_PF_INFLIGHT_SHMFD)

struct offer {
	uint64_t features, protocol, queues, slots;
	struct vhk_ctl_inflight inflight;
	bool has_queues, has_slots, has_inflight;
	const struct feature_device *device; /* NULL: not known */
	struct config config; /* as far as the back end has one */
	int pid;
	enum vhk_ctl_op asked; /* the last question */
};

/* 1: it gives out so much, 0: it does not. */
static int ask_bytes(struct vhk_ctl *c, struct offer *o, uint32_t len)
{
	int ret = vhk_ctl_get_config(c, 0, o->config.bytes, len);

	if (ret)
		return ret == -EREMOTEIO ? 0 : ret;
	o->config.len = len;
	return 1;
}

/* As far as the fields go that have names; else all that there may be. */
static uint32_t most_bytes(const struct offer *o)
{
	switch (o->config.id) {
	case VIRTIO_KIND_BLOCK:
		return sizeof(struct virtio_blk_config);
	case VIRTIO_KIND_NET:
		return sizeof(struct virtio_net_config);
	default:
		return CONFIG_MAX;
	}
}

/*
 * The longest beginning of the configuration space that the back end gives out, which does not say
 * how much there is.
 */
static int ask_user_config(struct vhk_ctl *c, struct offer *o)
{
	uint32_t less = 0, more = most_bytes(o) + 1, len = more - 1;
	int ret;

	o->asked = VHK_CTL_GET_CONFIG;
	for (; less + 1 < more; len = less + (more - less) / 2) {
		ret = ask_bytes(c, o, len);
		if (ret < 0)
			return ret;
		if (ret)
			less = len;
		else
			more = len;
	}
	/* one that is refused may leave something behind */
	ret = less ? ask_bytes(c, o, less) : 0;
	return ret < 0 ? ret : 0;
}

static int ask_inflight(struct vhk_ctl *c, struct offer *o)
{
	int fd, ret;

	o->asked = VHK_CTL_GET_INFLIGHT_FD;
	o->inflight = (struct vhk_ctl_inflight){ .n_queues = 1, .queue_size = 128 };
	ret = vhk_ctl_get_inflight_fd(c, &o->inflight, &fd);
	if (ret == -EREMOTEIO)
		return 0;
	if (ret)
		return ret;
	o->has_inflight = true;
	close(fd);
	return 0;
}

static bool ask_if(const struct vhk_ctl *c, struct offer *o, enum vhk_ctl_op op)
{
	if (!vhk_ctl_can(c, op))
		return false;
	o->asked = op;
	return true;
}

static int ask_protocol(struct vhk_ctl *c, struct offer *o)
{
	int ret;

	o->asked = VHK_CTL_GET_PROTOCOL_FEATURES;
	ret = vhk_ctl_get_protocol_features(c, &o->protocol);
	if (ret)
		return ret;
	o->asked = VHK_CTL_SET_PROTOCOL_FEATURES;
	ret = vhk_ctl_set_protocol_features(c, o->protocol & PROTOCOL_ASKED);
	if (!ret && ask_if(c, o, VHK_CTL_GET_QUEUE_NUM)) {
		ret = vhk_ctl_get_queue_num(c, &o->queues);
		o->has_queues = !ret;
	}
	if (!ret && ask_if(c, o, VHK_CTL_GET_MAX_MEM_SLOTS)) {
		ret = vhk_ctl_get_max_mem_slots(c, &o->slots);
		o->has_slots = !ret;
	}
	if (!ret && vhk_ctl_can(c, VHK_CTL_GET_CONFIG))
		ret = ask_user_config(c, o);
	if (!ret && vhk_ctl_can(c, VHK_CTL_GET_INFLIGHT_FD))
		ret = ask_inflight(c, o);
	return ret;
}

static int ask_user(struct vhk_ctl *c, struct offer *o)
{
	int ret;

	o->asked = VHK_CTL_GET_FEATURES;
	ret = vhk_ctl_get_features(c, &o->features);
	o->pid = vhk_ctl_peer_pid(c);
	if (!ret && (o->features & VHK_F_PROTOCOL_FEATURES))
		ret = ask_protocol(c, o);
	return ret;
}

static const char *protocol_name(const void *arg, unsigned int bit)
{
	(void)arg;
	return vhk_ctl_protocol_name(bit);
}

static void print_text(const char *uri, const struct offer *o)
{
	printf("back end %s", uri);
	if (o->pid > 0)
		printf(" (process %d)", o->pid);
	putchar('\n');
	show_bits("features", o->features, show_feature_name, o->device);
	if (o->features & VHK_F_PROTOCOL_FEATURES)
		show_bits("protocol features", o->protocol, protocol_name, NULL);
	if (o->has_queues)
		printf("queues %llu\n", (unsigned long long)o->queues);
	if (o->has_slots)
		printf("memory slots %llu\n", (unsigned long long)o->slots);
	if (o->has_inflight)
		printf("inflight region %llu bytes for a queue of %u\n",
		       (unsigned long long)o->inflight.size, o->inflight.queue_size);
	if (!o->config.len)
		return;
	printf("configuration space (%u bytes)", o->config.len);
	printf(o->device ? "\n" : "; --device tells how to read it\n");
	config_text(&o->config);
}

static void print_json(const char *uri, const struct offer *o)
{
	struct json j;

	json_begin(&j, stdout);
	json_text(&j, "uri", uri);
	json_text(&j, "kind", "vhost-user");
	if (o->pid > 0)
		json_u64(&j, "pid", (uint64_t)o->pid);
	if (o->device)
		json_text(&j, "device", feature_device_name(o->device));
	json_u64(&j, "features", o->features);
	show_bits_json(&j, "feature_names", o->features, show_feature_name, o->device);
	json_u64(&j, "protocol_features", o->protocol);
	show_bits_json(&j, "protocol_feature_names", o->protocol, protocol_name, NULL);
	if (o->has_queues)
		json_u64(&j, "queues", o->queues);
	if (o->has_slots)
		json_u64(&j, "memory_slots", o->slots);
	json_bool(&j, "inflight", o->has_inflight);
	if (o->has_inflight)
		json_u64(&j, "inflight_bytes_per_queue_of_128", o->inflight.size);
	json_open(&j, "config", '{');
	config_json(&j, &o->config);
	json_close(&j, '}');
	json_end(&j);
}

static int ask_failed(const char *uri, const struct offer *o, int ret)
{
	if (ret != -ENOTCONN || o->asked != VHK_CTL_GET_FEATURES)
		return say_error(ret, "%s: %s", uri, vhk_ctl_op_name(o->asked));
	say("%s: " DISK_BUSY, uri);
	return EXIT_FAILED;
}

int show_user(struct vhk_ctl *c, const char *uri, bool json, const struct feature_device *device)
{
	struct offer o = { .device = device,
			   .config.id = device ? feature_device_id(device) : 0 };
	int ret = disk_why(c, ask_user(c, &o));

	if (ret)
		return ask_failed(uri, &o, ret);
	o.config.features = o.features;
	if (json)
		print_json(uri, &o);
	else
		print_text(uri, &o);
	return 0;
}
