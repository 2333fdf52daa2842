// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * How vhk vdpa prints: what iproute2 prints as iproute2 does, in text and in JSON, and more behind
 * it.
 */
#include <inttypes.h>

#include "features.h"
#include "vdpa.h"

void vdpa_out_begin(struct vdpa_out *o, const struct vdpa_cli *c, const char *section)
{
	*o = (struct vdpa_out){ .json = c->json, .numeric = c->numeric };
	if (!o->json)
		return;
	json_begin_style(&o->j, stdout, c->pretty ? JSON_PRETTY : JSON_COMPACT);
	json_open(&o->j, section, '{');
}

void vdpa_out_end(struct vdpa_out *o)
{
	if (!o->json)
		return;
	json_close(&o->j, '}');
	json_end(&o->j);
}

void vdpa_out_open(struct vdpa_out *o, const char *name, bool space_behind)
{
	o->space_behind = space_behind;
	o->some = false;
	if (o->json)
		json_open(&o->j, name, '{');
	else
		printf("%s: ", name);
}

void vdpa_out_close(struct vdpa_out *o)
{
	if (o->json)
		json_close(&o->j, '}');
	else
		putchar('\n');
}

static void text_item(struct vdpa_out *o, const char *key, const char *v)
{
	printf("%s%s %s%s", o->some && !o->space_behind ? " " : "", key, v,
	       o->space_behind ? " " : "");
	o->some = true;
}

void vdpa_out_text(struct vdpa_out *o, const char *key, const char *v)
{
	if (o->json)
		json_text(&o->j, key, v);
	else
		text_item(o, key, v);
}

void vdpa_out_u64(struct vdpa_out *o, const char *key, uint64_t v)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, v);
	if (o->json)
		json_u64(&o->j, key, v);
	else
		text_item(o, key, number);
}

void vdpa_out_bool(struct vdpa_out *o, const char *key, bool v)
{
	if (o->json)
		json_bool(&o->j, key, v);
	else
		text_item(o, key, v ? "true" : "false");
}

static void put_bit(struct vdpa_out *o, unsigned int bit, const char *name)
{
	if (o->json && name)
		json_text(&o->j, NULL, name);
	else if (o->json)
		json_u64(&o->j, NULL, bit);
	else if (name)
		printf(" %s", name);
	else
		printf(o->numeric ? " %u" : " bit_%u", bit);
}

void vdpa_out_bits(struct vdpa_out *o, const char *key, uint64_t bits,
		   const char *(*name)(uint32_t id, unsigned int bit), uint32_t id)
{
	unsigned int bit;

	if (o->json)
		json_open(&o->j, key, '[');
	else
		printf("\n  %s", key);
	for (bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			put_bit(o, bit, o->numeric ? NULL : name(id, bit));
	if (o->json)
		json_close(&o->j, ']');
}

struct holders {
	struct vdpa_out *o;
	unsigned int n;
};

static int put_holder(void *arg, const struct vhk_vdpa_holder *h)
{
	struct holders *all = arg;
	struct vdpa_out *o = all->o;

	if (!o->json) {
		printf("%s%s(%d)", all->n ? "," : " opened_by ", h->comm, (int)h->pid);
	} else {
		if (!all->n)
			json_open(&o->j, "opened_by", '[');
		json_open(&o->j, NULL, '{');
		json_u64(&o->j, "pid", (uint64_t)h->pid);
		json_text(&o->j, "comm", h->comm);
		json_close(&o->j, '}');
	}
	all->n++;
	return 0;
}

void vdpa_out_place(struct vdpa_out *o, const char *name)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	struct holders all = { o, 0 };

	if (vhk_vdpa_place(name, &p))
		return;
	if (*p.driver)
		vdpa_out_text(o, "driver", p.driver);
	if (*p.override)
		vdpa_out_text(o, "driver_override", p.override);
	if (*p.node)
		vdpa_out_text(o, "node", p.node);
	if (*p.virtio)
		vdpa_out_text(o, "virtio", p.virtio);
	if (*p.net)
		vdpa_out_text(o, "netdev", p.net);
	if (*p.block)
		vdpa_out_text(o, "block", p.block);
	if (!*p.node)
		return;
	vhk_vdpa_holders(name, put_holder, &all);
	if (all.n && o->json)
		json_close(&o->j, ']');
}

/* Of a network device's own bits; it has no others by name. */
#define IPROUTE2_NET 0xf200000009ffffafull
#define RING_INDIRECT_DESC 28
#define RING_EVENT_IDX 29
#define CTRL_RX_EXTRA 20

const char *vdpa_iproute2_name(uint32_t id, unsigned int bit)
{
	if (bit == RING_INDIRECT_DESC)
		return "RING_INDIRECT_DESC";
	if (bit == RING_EVENT_IDX)
		return "RING_EVENT_IDX";
	if (bit >= 32 && bit <= 38)
		return feature_name(NULL, bit);
	if (id != VDPA_ID_NET || !(IPROUTE2_NET >> bit & 1))
		return NULL;
	return bit == CTRL_RX_EXTRA ? "CTRL_RX_EXTRA" : feature_name(feature_device("net"), bit);
}

const char *vdpa_feature_name(uint32_t id, unsigned int bit)
{
	static const char *const kinds[] = { [VDPA_ID_NET] = "net", [VDPA_ID_BLOCK] = "blk" };
	const char *kind = id < sizeof(kinds) / sizeof(kinds[0]) ? kinds[id] : NULL;

	return feature_name(kind ? feature_device(kind) : NULL, bit);
}

const char *vdpa_class_name(uint32_t id, unsigned int bit)
{
	(void)id;
	return bit == VDPA_ID_NET ? "net" : bit == VDPA_ID_BLOCK ? "block" : "< unknown class >";
}
