// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk ctl show of the kernel's devices. Some questions only the owner may ask: it is claimed, which
 * ends when it is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_show.h"
#include "features.h"

/* Every kernel has fewer rings; a device that never says where they end is not asked for ever. */
#define RINGS_MAX 65536u
#define WORDS 2u /* of features: the first, and those since Linux 6.17 */

/* Questions that a number answers. */
enum value {
	BACKEND_FEATURES,
	DEVICE_ID,
	STATUS,
	QUEUES,
	RING_MAX,
	GROUPS,
	SPACES,
	CONFIG_SIZE,
	SCSI_ABI,
	EVENTS_MISSED,
	FORK_FROM_OWNER,
	N_VALUES,
};

static const struct question {
	enum vhk_ctl_op op;
	const char *text, *key;
} questions[N_VALUES] = {
	[BACKEND_FEATURES] = { VHK_CTL_GET_BACKEND_FEATURES, NULL, NULL },
	[DEVICE_ID] = { VHK_CTL_GET_DEVICE_ID, NULL, NULL },
	[STATUS] = { VHK_CTL_GET_STATUS, "status", "status" },
	[QUEUES] = { VHK_CTL_GET_QUEUE_NUM, NULL, NULL },
	[RING_MAX] = { VHK_CTL_GET_VRING_NUM, "largest ring", "ring_max" },
	[GROUPS] = { VHK_CTL_GET_GROUP_NUM, "groups of rings", "groups" },
	[SPACES] = { VHK_CTL_GET_AS_NUM, "address spaces", "address_spaces" },
	[CONFIG_SIZE] = { VHK_CTL_GET_CONFIG_SIZE, NULL, NULL },
	[SCSI_ABI] = { VHK_CTL_SCSI_GET_ABI_VERSION, "ABI version", "abi_version" },
	[EVENTS_MISSED] = { VHK_CTL_SCSI_GET_EVENTS_MISSED, "events missed", "events_missed" },
	[FORK_FROM_OWNER] = { VHK_CTL_GET_FORK_FROM_OWNER, "workers are the owner's threads",
			      "fork_from_owner" },
};

/* Questions about a ring. */
enum of_ring { RING_SIZE, RING_GROUP, RING_DESC_GROUP, N_OF_RING };

static const struct question ring_questions[N_OF_RING] = {
	[RING_SIZE] = { VHK_CTL_GET_VRING_SIZE, "up to %u entries", "size" },
	[RING_GROUP] = { VHK_CTL_GET_VRING_GROUP, "group %u", "group" },
	[RING_DESC_GROUP] = { VHK_CTL_GET_VRING_DESC_GROUP, "descriptors in group %u",
			      "desc_group" },
};

struct ring {
	uint32_t has; /* 1 << enum of_ring */
	uint32_t v[N_OF_RING];
	bool doorbell;
};

struct door {
	struct vhk_ctl *c;
	enum vhk_ctl_op asked;
	uint64_t features[WORDS];
	bool has_words;
	uint32_t has; /* 1 << enum value */
	uint64_t v[N_VALUES];
	bool has_range;
	struct vhk_ctl_iova_range range;
	struct config config;
	uint32_t n_rings;
	struct ring *ring; /* vDPA; NULL otherwise */
};

static const char *const kinds[] = {
	[VHK_CTL_KIND_NET] = "vhost-net",
	[VHK_CTL_KIND_VSOCK] = "vhost-vsock",
	[VHK_CTL_KIND_SCSI] = "vhost-scsi",
	[VHK_CTL_KIND_VDPA] = "vhost-vdpa",
};

static bool has(const struct door *d, enum value v)
{
	return d->has >> v & 1;
}

/* 0: answered; 1: there is no such thing; negative: it failed. */
static int ask(struct door *d, struct vhk_ctl_req *r)
{
	int ret;

	r->fd = -1;
	if (!vhk_ctl_can(d->c, r->op))
		return 1;
	d->asked = r->op;
	ret = vhk_ctl_call(d->c, r);
	return ret == -EOPNOTSUPP ? 1 : ret;
}

static int ask_values(struct door *d)
{
	unsigned int i;
	int ret;

	for (i = 0; i < N_VALUES; i++) {
		struct vhk_ctl_req r = { .op = questions[i].op };

		ret = ask(d, &r);
		if (ret < 0)
			return ret;
		d->v[i] = ret ? 0 : r.u64;
		d->has |= !ret << i;
	}
	return 0;
}

static int ask_features(struct door *d)
{
	struct vhk_ctl_req one = { .op = VHK_CTL_GET_FEATURES };
	struct vhk_ctl_req all = { .op = VHK_CTL_GET_FEATURES_ARRAY,
				   .features = { .word = d->features, .n = WORDS } };
	int ret = ask(d, &all);

	d->has_words = !ret;
	if (ret <= 0)
		return ret;
	ret = ask(d, &one);
	d->features[0] = ret ? 0 : one.u64;
	return ret;
}

static int ask_config(struct door *d)
{
	const uint64_t size = d->v[CONFIG_SIZE];
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_CONFIG };
	int ret;

	if (!size)
		return 0;
	d->config.len = size < CONFIG_MAX ? (uint32_t)size : CONFIG_MAX;
	d->config.id = (uint32_t)d->v[DEVICE_ID];
	d->config.features = d->features[0];
	r.config = (struct vhk_ctl_config){ .len = d->config.len, .data = d->config.bytes };
	ret = ask(d, &r);
	if (ret)
		d->config.len = 0;
	return ret;
}

static int ask_range(struct door *d)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_IOVA_RANGE };
	int ret = ask(d, &r);

	d->has_range = !ret;
	if (!ret)
		d->range = r.range;
	return ret < 0 ? ret : 0;
}

static int ask_ring(struct door *d, unsigned int idx, struct ring *to)
{
	volatile void *bell;
	unsigned int i;
	int ret;

	for (i = 0; i < N_OF_RING; i++) {
		struct vhk_ctl_req r = { .op = ring_questions[i].op, .vring = { .index = idx } };

		ret = ask(d, &r);
		if (ret < 0)
			return ret;
		to->v[i] = ret ? 0 : r.vring.num;
		to->has |= !ret << i;
	}
	d->asked = VHK_CTL_MAP_DOORBELL;
	ret = vhk_ctl_map_doorbell(d->c, idx, &bell);
	to->doorbell = !ret;
	vhk_ctl_unmap_doorbell(bell);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int ask_rings(struct door *d)
{
	unsigned int i;
	int ret = 0;

	d->asked = VHK_CTL_GET_QUEUE_NUM;
	if (d->v[QUEUES] > RINGS_MAX)
		return -EPROTO;
	d->n_rings = (uint32_t)d->v[QUEUES];
	d->ring = calloc(d->n_rings ? d->n_rings : 1, sizeof(*d->ring));
	if (!d->ring)
		return -ENOMEM;
	for (i = 0; i < d->n_rings && !ret; i++)
		ret = ask_ring(d, i, &d->ring[i]);
	return ret;
}

/* How many rings vhost has only shows by where they end. */
static int count_rings(struct door *d)
{
	int ret = 0;

	for (; d->n_rings < RINGS_MAX && !ret; d->n_rings += !ret) {
		struct vhk_ctl_req r = { .op = VHK_CTL_GET_VRING_BASE,
					 .vring = { .index = d->n_rings } };

		ret = ask(d, &r);
	}
	return ret < 0 && ret != -ENOBUFS ? ret : 0;
}

/* Negative: the door is no use. What is not there is left out. */
static int ask_all(struct door *d)
{
	const bool vdpa = vhk_ctl_kind(d->c) == VHK_CTL_KIND_VDPA;
	struct vhk_ctl_req own = { .op = VHK_CTL_SET_OWNER };
	int ret = ask(d, &own);

	if (ret >= 0)
		ret = ask_features(d);
	if (ret >= 0)
		ret = ask_values(d);
	if (ret >= 0)
		ret = vdpa ? ask_rings(d) : count_rings(d);
	if (ret < 0 || !vdpa)
		return ret;
	ret = ask_config(d);
	return ret < 0 ? ret : ask_range(d);
}

static const struct feature_device *device_of(const struct door *d)
{
	static const char *const own[] = { [VHK_CTL_KIND_NET] = "net",
					   [VHK_CTL_KIND_VSOCK] = "vsock",
					   [VHK_CTL_KIND_SCSI] = "scsi" };
	const enum vhk_ctl_kind kind = vhk_ctl_kind(d->c);

	return kind == VHK_CTL_KIND_VDPA ? feature_device_of_id((uint32_t)d->v[DEVICE_ID]) :
					   feature_device(own[kind]);
}

static const char *backend_name(const void *arg, unsigned int bit)
{
	static const char *const names[] = { [1] = "IOTLB_MSG_V2",
					     [2] = "IOTLB_BATCH",
					     [3] = "IOTLB_ASID",
					     [4] = "SUSPEND",
					     [5] = "RESUME",
					     [6] = "ENABLE_AFTER_DRIVER_OK",
					     [7] = "DESC_ASID",
					     [8] = "IOTLB_PERSIST" };

	(void)arg;
	return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}

static const char *request_name(const struct door *d, unsigned int op)
{
	return vhk_ctl_can(d->c, (enum vhk_ctl_op)op) ? vhk_ctl_op_name((enum vhk_ctl_op)op) : NULL;
}

#define TEXT_WIDTH 78u

static void requests_text(const struct door *d)
{
	unsigned int op, column = 0;
	const char *name;

	printf("requests");
	for (op = 0; op <= VHK_CTL_ACCEPT_BASES; op++) {
		name = request_name(d, op);
		if (!name)
			continue;
		if (!column || column + 1 + strlen(name) > TEXT_WIDTH)
			column = (unsigned int)printf("\n  %s", name) - 1;
		else
			column += (unsigned int)printf(" %s", name);
	}
	putchar('\n');
}

static bool same_ring(const struct ring *a, const struct ring *b)
{
	return a->has == b->has && a->doorbell == b->doorbell && !memcmp(a->v, b->v, sizeof(a->v));
}

static void ring_text(const struct ring *r, unsigned int first, unsigned int last)
{
	const char *between = ":";
	unsigned int i;

	printf("  ring %u", first);
	if (last > first)
		printf(" to %u", last);
	for (i = 0; i < N_OF_RING; i++) {
		if (!(r->has >> i & 1))
			continue;
		printf("%s ", between);
		printf(ring_questions[i].text, r->v[i]);
		between = ",";
	}
	printf("%s %s doorbell\n", between, r->doorbell ? "a" : "no");
}

static void rings_text(const struct door *d)
{
	unsigned int first, last;

	printf("rings %u\n", d->n_rings);
	for (first = 0; d->ring && first < d->n_rings; first = last + 1) {
		for (last = first; last + 1 < d->n_rings; last++)
			if (!same_ring(&d->ring[first], &d->ring[last + 1]))
				break;
		ring_text(&d->ring[first], first, last);
	}
}

static void door_text(const struct door *d, const char *uri)
{
	const struct feature_device *device = device_of(d);
	unsigned int i;

	printf("%s %s\n", kinds[vhk_ctl_kind(d->c)], uri);
	if (has(d, DEVICE_ID))
		printf("device %llu (%s)\n", (unsigned long long)d->v[DEVICE_ID],
		       device ? feature_device_name(device) : "?");
	show_bits("features", d->features[0], show_feature_name, device);
	for (i = 1; d->has_words && i < WORDS; i++)
		printf("features from bit %u on 0x%llx\n", 64 * i,
		       (unsigned long long)d->features[i]);
	if (has(d, BACKEND_FEATURES))
		show_bits("backend features", d->v[BACKEND_FEATURES], backend_name, NULL);
	for (i = 0; i < N_VALUES; i++)
		if (has(d, i) && questions[i].text)
			printf("%s %llu\n", questions[i].text, (unsigned long long)d->v[i]);
	rings_text(d);
	if (d->has_range)
		printf("addresses 0x%llx to 0x%llx\n", (unsigned long long)d->range.first.v,
		       (unsigned long long)d->range.last.v);
	if (d->config.len) {
		printf("configuration space (%llu bytes)\n",
		       (unsigned long long)d->v[CONFIG_SIZE]);
		config_text(&d->config);
	}
	requests_text(d);
}

static void rings_json(struct json *j, const struct door *d)
{
	unsigned int i, k;

	json_u64(j, "rings", d->n_rings);
	if (!d->ring)
		return;
	json_open(j, "ring", '[');
	for (i = 0; i < d->n_rings; i++) {
		json_open(j, NULL, '{');
		for (k = 0; k < N_OF_RING; k++)
			if (d->ring[i].has >> k & 1)
				json_u64(j, ring_questions[k].key, d->ring[i].v[k]);
		json_bool(j, "doorbell", d->ring[i].doorbell);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void requests_json(struct json *j, const struct door *d)
{
	unsigned int op;

	json_open(j, "requests", '[');
	for (op = 0; op <= VHK_CTL_ACCEPT_BASES; op++)
		if (request_name(d, op))
			json_text(j, NULL, request_name(d, op));
	json_close(j, ']');
}

static void features_json(struct json *j, const struct door *d)
{
	const struct feature_device *device = device_of(d);
	unsigned int i;

	if (has(d, DEVICE_ID))
		json_u64(j, "device_id", d->v[DEVICE_ID]);
	if (has(d, DEVICE_ID) && device)
		json_text(j, "device", feature_device_name(device));
	json_u64(j, "features", d->features[0]);
	show_bits_json(j, "feature_names", d->features[0], show_feature_name, device);
	if (d->has_words) {
		json_open(j, "features_array", '[');
		for (i = 0; i < WORDS; i++)
			json_u64(j, NULL, d->features[i]);
		json_close(j, ']');
	}
	if (!has(d, BACKEND_FEATURES))
		return;
	json_u64(j, "backend_features", d->v[BACKEND_FEATURES]);
	show_bits_json(j, "backend_feature_names", d->v[BACKEND_FEATURES], backend_name, NULL);
}

static void door_json(const struct door *d, const char *uri)
{
	struct json j;
	unsigned int i;

	json_begin(&j, stdout);
	json_text(&j, "uri", uri);
	json_text(&j, "kind", kinds[vhk_ctl_kind(d->c)]);
	features_json(&j, d);
	for (i = 0; i < N_VALUES; i++)
		if (has(d, i) && questions[i].key)
			json_u64(&j, questions[i].key, d->v[i]);
	rings_json(&j, d);
	if (d->has_range) {
		json_u64(&j, "iova_first", d->range.first.v);
		json_u64(&j, "iova_last", d->range.last.v);
	}
	if (has(d, CONFIG_SIZE))
		json_u64(&j, "config_size", d->v[CONFIG_SIZE]);
	if (d->config.len) {
		json_open(&j, "config", '{');
		config_json(&j, &d->config);
		json_close(&j, '}');
	}
	requests_json(&j, d);
	json_end(&j);
}

int show_kernel(struct vhk_ctl *c, const char *uri, bool json)
{
	struct door d = { .c = c };
	int ret = ask_all(&d);

	if (ret < 0)
		ret = say_error(ret, "%s: %s", uri, vhk_ctl_op_name(d.asked));
	else if (json)
		door_json(&d, uri);
	else
		door_text(&d, uri);
	free(d.ring);
	return ret > 0 ? EXIT_FAILED : 0;
}
