// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk ctl show of a vhost-user back end. What kind of device it is vhost-user does not tell: bits
 * and configuration space are read as those of a disk.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
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
	struct config config; /* as far as the back end has one */
	int pid;
	enum vhk_ctl_op asked; /* the last question */
};

/* The longest beginning of the configuration space that the back end gives out. */
static int ask_user_config(struct vhk_ctl *c, struct offer *o)
{
	static const uint32_t tries[] = { sizeof(struct virtio_blk_config), 60, 36, 24, 8 };
	size_t i;
	int ret = 0;

	o->asked = VHK_CTL_GET_CONFIG;
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		ret = vhk_ctl_get_config(c, 0, o->config.bytes, tries[i]);
		if (!ret)
			o->config.len = tries[i];
		if (ret != -EREMOTEIO)
			return ret;
	}
	return 0;
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
	show_bits("features", o->features, show_feature_name, feature_device("blk"));
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
	printf("configuration space, as a block device (%u bytes)\n", o->config.len);
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
	json_u64(&j, "features", o->features);
	show_bits_json(&j, "feature_names", o->features, show_feature_name,
		       feature_device("blk"));
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

int show_user(struct vhk_ctl *c, const char *uri, bool json)
{
	struct offer o = { .config.id = VIRTIO_KIND_BLOCK };
	int ret = ask_user(c, &o);

	if (ret)
		return ask_failed(uri, &o, ret);
	o.config.features = o.features;
	if (json)
		print_json(uri, &o);
	else
		print_text(uri, &o);
	return 0;
}
