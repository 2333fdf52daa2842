// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk ctl show: asks a back end for everything it offers, without starting anything.
 */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include <vhostkit/ctl.h>

#include "commands.h"
#include "disk.h"
#include "features.h"
#include "say.h"
#include "uri.h"

#define PROTOCOL_ASKED                                                                             \
	(VHK_PF_MQ | VHK_PF_CONFIG | VHK_PF_CONFIGURE_MEM_SLOTS | VHK_PF_INFLIGHT_SHMFD)

struct offer {
	uint64_t features, protocol, queues, slots;
	struct vhk_ctl_inflight inflight;
	bool has_queues, has_slots, has_inflight;
	struct virtio_blk_config config;
	uint32_t config_len; /* bytes of it that the back end has */
	int pid;
	enum vhk_ctl_op asked; /* the last question */
};

static const char *blk_feature_name(unsigned int bit)
{
	return feature_name(feature_device("blk"), bit);
}

/* The longest beginning of the configuration space that the back end gives out. */
static int ask_config(struct vhk_ctl *c, struct offer *o)
{
	static const uint32_t tries[] = { sizeof(struct virtio_blk_config), 60, 36, 24, 8 };
	size_t i;
	int ret = 0;

	o->asked = VHK_CTL_GET_CONFIG;
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		if (tries[i] > sizeof(o->config))
			continue;
		ret = vhk_ctl_get_config(c, 0, &o->config, tries[i]);
		if (!ret)
			o->config_len = tries[i];
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
		ret = ask_config(c, o);
	if (!ret && vhk_ctl_can(c, VHK_CTL_GET_INFLIGHT_FD))
		ret = ask_inflight(c, o);
	return ret;
}

static int ask(struct vhk_ctl *c, struct offer *o)
{
	int ret;

	o->asked = VHK_CTL_GET_FEATURES;
	ret = vhk_ctl_get_features(c, &o->features);
	o->pid = vhk_ctl_peer_pid(c);
	if (!ret && (o->features & VHK_F_PROTOCOL_FEATURES))
		ret = ask_protocol(c, o);
	return ret;
}

static void print_bits(const char *what, uint64_t bits, const char *(*name)(unsigned int bit))
{
	unsigned int i;

	printf("%s 0x%llx\n", what, (unsigned long long)bits);
	for (i = 0; i < 64; i++)
		if (bits >> i & 1)
			printf("  %2u %s\n", i, name(i) ? name(i) : "?");
}

static const char *protocol_name(unsigned int bit)
{
	return vhk_ctl_protocol_name(bit);
}

/* What of the block device's configuration space the features make valid (virtio 1.3, 5.2.4). */
static const struct field {
	const char *name;
	size_t at, size;
	int bit; /* -1: always */
} fields[] = {
	{ "capacity", offsetof(struct virtio_blk_config, capacity), 8, -1 },
	{ "size_max", offsetof(struct virtio_blk_config, size_max), 4, VIRTIO_BLK_F_SIZE_MAX },
	{ "seg_max", offsetof(struct virtio_blk_config, seg_max), 4, VIRTIO_BLK_F_SEG_MAX },
	{ "cylinders", offsetof(struct virtio_blk_config, geometry.cylinders), 2,
	  VIRTIO_BLK_F_GEOMETRY },
	{ "heads", offsetof(struct virtio_blk_config, geometry.heads), 1, VIRTIO_BLK_F_GEOMETRY },
	{ "sectors", offsetof(struct virtio_blk_config, geometry.sectors), 1,
	  VIRTIO_BLK_F_GEOMETRY },
	{ "blk_size", offsetof(struct virtio_blk_config, blk_size), 4, VIRTIO_BLK_F_BLK_SIZE },
	{ "physical_block_exp", offsetof(struct virtio_blk_config, physical_block_exp), 1,
	  VIRTIO_BLK_F_TOPOLOGY },
	{ "alignment_offset", offsetof(struct virtio_blk_config, alignment_offset), 1,
	  VIRTIO_BLK_F_TOPOLOGY },
	{ "min_io_size", offsetof(struct virtio_blk_config, min_io_size), 2,
	  VIRTIO_BLK_F_TOPOLOGY },
	{ "opt_io_size", offsetof(struct virtio_blk_config, opt_io_size), 4,
	  VIRTIO_BLK_F_TOPOLOGY },
	{ "writeback", offsetof(struct virtio_blk_config, wce), 1, 11 },
	{ "num_queues", offsetof(struct virtio_blk_config, num_queues), 2, VIRTIO_BLK_F_MQ },
	{ "max_discard_sectors", offsetof(struct virtio_blk_config, max_discard_sectors), 4,
	  VIRTIO_BLK_F_DISCARD },
	{ "max_discard_seg", offsetof(struct virtio_blk_config, max_discard_seg), 4,
	  VIRTIO_BLK_F_DISCARD },
	{ "discard_sector_alignment",
	  offsetof(struct virtio_blk_config, discard_sector_alignment), 4, VIRTIO_BLK_F_DISCARD },
	{ "max_write_zeroes_sectors",
	  offsetof(struct virtio_blk_config, max_write_zeroes_sectors), 4,
	  VIRTIO_BLK_F_WRITE_ZEROES },
	{ "max_write_zeroes_seg", offsetof(struct virtio_blk_config, max_write_zeroes_seg), 4,
	  VIRTIO_BLK_F_WRITE_ZEROES },
	{ "write_zeroes_may_unmap", offsetof(struct virtio_blk_config, write_zeroes_may_unmap), 1,
	  VIRTIO_BLK_F_WRITE_ZEROES },
};

static bool field_get(const struct offer *o, const struct field *f, uint64_t *v)
{
	uint64_t raw = 0;

	if (f->at + f->size > o->config_len)
		return false;
	if (f->bit >= 0 && !(o->features >> f->bit & 1))
		return false;
	memcpy(&raw, (const unsigned char *)&o->config + f->at, f->size);
	*v = le64toh(raw);
	return true;
}

static void print_text(const char *uri, const struct offer *o)
{
	uint64_t v;
	size_t i;

	printf("back end %s", uri);
	if (o->pid > 0)
		printf(" (process %d)", o->pid);
	putchar('\n');
	print_bits("features", o->features, blk_feature_name);
	if (o->features & VHK_F_PROTOCOL_FEATURES)
		print_bits("protocol features", o->protocol, protocol_name);
	if (o->has_queues)
		printf("queues %llu\n", (unsigned long long)o->queues);
	if (o->has_slots)
		printf("memory slots %llu\n", (unsigned long long)o->slots);
	if (o->has_inflight)
		printf("inflight region %llu bytes for a queue of %u\n",
		       (unsigned long long)o->inflight.size, o->inflight.queue_size);
	if (!o->config_len)
		return;
	printf("configuration space, as a block device (%u bytes)\n", o->config_len);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!field_get(o, &fields[i], &v))
			continue;
		printf("  %s %llu", fields[i].name, (unsigned long long)v);
		if (!i && v > INT64_MAX / DISK_SECTOR)
			printf(" sectors (more than a disk can have)");
		else if (!i)
			printf(" sectors (%llu bytes)", (unsigned long long)v * DISK_SECTOR);
		putchar('\n');
	}
}

static void json_bits(struct json *j, const char *key, uint64_t bits,
		      const char *(*name)(unsigned int bit))
{
	char number[16];
	unsigned int i;

	json_open(j, key, '[');
	for (i = 0; i < 64; i++) {
		snprintf(number, sizeof(number), "%u", i);
		if (bits >> i & 1)
			json_text(j, NULL, name(i) ? name(i) : number);
	}
	json_close(j, ']');
}

static void print_json(const char *uri, const struct offer *o)
{
	struct json j;
	uint64_t v;
	size_t i;

	json_begin(&j, stdout);
	json_text(&j, "uri", uri);
	if (o->pid > 0)
		json_u64(&j, "pid", (uint64_t)o->pid);
	json_u64(&j, "features", o->features);
	json_bits(&j, "feature_names", o->features, blk_feature_name);
	json_u64(&j, "protocol_features", o->protocol);
	json_bits(&j, "protocol_feature_names", o->protocol, protocol_name);
	if (o->has_queues)
		json_u64(&j, "queues", o->queues);
	if (o->has_slots)
		json_u64(&j, "memory_slots", o->slots);
	json_bool(&j, "inflight", o->has_inflight);
	if (o->has_inflight)
		json_u64(&j, "inflight_bytes_per_queue_of_128", o->inflight.size);
	json_open(&j, "config", '{');
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (field_get(o, &fields[i], &v))
			json_u64(&j, fields[i].name, v);
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

int ctl_show(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "timeout", required_argument, NULL, 't' },
						 { "quiet", no_argument, NULL, 'q' },
						 { 0 } };
	struct vhk_ctl_opts opts = { .sz = sizeof(opts), .log = say_log() };
	struct offer o = { 0 };
	struct vhk_ctl *c;
	bool json = false;
	uint64_t ns;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "jqt:", options, NULL)) >= 0) {
		if (opt == 'j')
			json = true;
		else if (opt == 't' && parse_seconds(optarg, &ns))
			opts.timeout_ms = (uint32_t)(ns / 1000000u + 1);
		else if (opt != 'q')
			return opt == '?' ? EXIT_USAGE : say_usage("bad timeout: %s", optarg);
	}
	if (optind + 1 != argc)
		return say_usage("ctl show takes one URI");
	ret = uri_check(argv[optind]);
	if (ret)
		return ret;
	ret = vhk_ctl_open(&c, argv[optind], &opts);
	if (ret)
		return say_error(ret, "%s", argv[optind]);
	ret = ask(c, &o);
	vhk_ctl_close(c);
	if (ret)
		return ask_failed(argv[optind], &o, ret);
	if (json)
		print_json(argv[optind], &o);
	else
		print_text(argv[optind], &o);
	return 0;
}
