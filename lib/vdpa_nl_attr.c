// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Attributes of the family "vdpa" into structures: one table says which attribute goes where and
 * how long it must be. What is not in the table is passed over, since kernels add to the family.
 */
#include <netlink/attr.h>

#include "vdpa_nl.h"

enum form { INTEGER, TEXT, BYTES };

struct field {
	uint16_t attr;
	uint16_t at;
	uint16_t size;
	uint16_t form;
};

#define FIELD(attr, type, member, form)                                                            \
	{ attr, offsetof(struct vhk_vdpa_##type, member),                                          \
	  sizeof(((struct vhk_vdpa_##type *)0)->member), form }

static const struct field mgmtdev_fields[] = {
	FIELD(1, mgmtdev, bus, TEXT),	     FIELD(2, mgmtdev, name, TEXT),
	FIELD(3, mgmtdev, classes, INTEGER), FIELD(15, mgmtdev, max_vqs, INTEGER),
	FIELD(16, mgmtdev, features, INTEGER),
};

static const struct field dev_fields[] = {
	FIELD(1, dev, bus, TEXT),	   FIELD(2, dev, mgmtdev, TEXT),
	FIELD(4, dev, name, TEXT),	   FIELD(5, dev, id, INTEGER),
	FIELD(6, dev, vendor, INTEGER),	   FIELD(7, dev, max_vqs, INTEGER),
	FIELD(8, dev, max_vq_size, INTEGER), FIELD(9, dev, min_vq_size, INTEGER),
};

static const struct field config_fields[] = {
	FIELD(4, config, name, TEXT),
	FIELD(5, config, id, INTEGER),
	FIELD(10, config, net.mac, BYTES),
	FIELD(11, config, net.status, INTEGER),
	FIELD(12, config, net.max_vqp, INTEGER),
	FIELD(13, config, net.mtu, INTEGER),
	FIELD(14, config, negotiated, INTEGER),
	FIELD(20, config, features, INTEGER),
	FIELD(21, config, blk.capacity, INTEGER),
	FIELD(22, config, blk.size_max, INTEGER),
	FIELD(23, config, blk.blk_size, INTEGER),
	FIELD(24, config, blk.seg_max, INTEGER),
	FIELD(25, config, blk.num_queues, INTEGER),
	FIELD(26, config, blk.physical_block_exp, INTEGER),
	FIELD(27, config, blk.alignment_offset, INTEGER),
	FIELD(28, config, blk.min_io_size, INTEGER),
	FIELD(29, config, blk.opt_io_size, INTEGER),
	FIELD(30, config, blk.max_discard_sectors, INTEGER),
	FIELD(31, config, blk.max_discard_seg, INTEGER),
	FIELD(32, config, blk.discard_sector_alignment, INTEGER),
	FIELD(33, config, blk.max_write_zeroes_sectors, INTEGER),
	FIELD(34, config, blk.max_write_zeroes_seg, INTEGER),
	FIELD(35, config, blk.read_only, INTEGER),
	FIELD(36, config, blk.flush, INTEGER),
};

static const struct field vstats_fields[] = {
	FIELD(4, vstats, name, TEXT),	       FIELD(5, vstats, id, INTEGER),
	FIELD(12, vstats, max_vqp, INTEGER),   FIELD(14, vstats, negotiated, INTEGER),
	FIELD(17, vstats, queue, INTEGER),
};

static const struct kind {
	const struct field *fields;
	size_t n_fields, size;
	size_t has; /* where the mask is */
	uint64_t need;
} kinds[] = {
	[VHK_NL_MGMTDEV] = { mgmtdev_fields, vhk_array_size(mgmtdev_fields),
			     sizeof(struct vhk_vdpa_mgmtdev),
			     offsetof(struct vhk_vdpa_mgmtdev, has), VHK_VDPA_MGMTDEV },
	[VHK_NL_DEV] = { dev_fields, vhk_array_size(dev_fields), sizeof(struct vhk_vdpa_dev),
			 offsetof(struct vhk_vdpa_dev, has), VHK_VDPA_NAME },
	[VHK_NL_CONFIG] = { config_fields, vhk_array_size(config_fields),
			    sizeof(struct vhk_vdpa_config), offsetof(struct vhk_vdpa_config, has),
			    VHK_VDPA_NAME | VHK_VDPA_ID },
	[VHK_NL_VSTATS] = { vstats_fields, vhk_array_size(vstats_fields),
			    sizeof(struct vhk_vdpa_vstats), offsetof(struct vhk_vdpa_vstats, has),
			    VHK_VDPA_NAME | VHK_VDPA_ID },
};

#define ID_BLOCK 2
#define ATTR_NET_STATUS 11
#define BLK_ALL                                                                                    \
	(VHK_VDPA_BLK_FLUSH * 2 - VHK_VDPA_BLK_CAPACITY) /* the bits from one to the other */

size_t vhk_nl_record_size(enum vhk_nl_kind kind)
{
	return kinds[kind].size;
}

static int read_text(char *to, size_t size, const struct nlattr *attr)
{
	const char *text = nla_data(attr);
	size_t len = strnlen(text, (size_t)nla_len(attr));

	if (!len || len >= size)
		return -EPROTO;
	memcpy(to, text, len);
	to[len] = 0;
	return 0;
}

static int read_field(const struct field *f, char *record, const struct nlattr *attr)
{
	char *to = record + f->at;
	uint8_t byte;

	if (f->form == TEXT)
		return read_text(to, f->size, attr);
	/* linux/vdpa.h calls it a u8, the kernel sends a u16. */
	if (f->attr == ATTR_NET_STATUS && nla_len(attr) == sizeof(byte)) {
		memcpy(&byte, nla_data(attr), sizeof(byte));
		memcpy(to, &(uint16_t){ byte }, sizeof(uint16_t));
		return 0;
	}
	if (nla_len(attr) != f->size)
		return -EPROTO;
	memcpy(to, nla_data(attr), f->size);
	return 0;
}

/* Names and values take turns. */
static int read_stat(struct vhk_vdpa_vstats *s, const struct nlattr *attr, bool *named)
{
	struct vhk_vdpa_stat *stat = &s->stat[s->n_stats];

	if (s->n_stats == VHK_VDPA_STATS_MAX)
		return -EPROTO;
	if (nla_type(attr) == VHK_NL_STAT_NAME) {
		if (*named)
			return -EPROTO;
		*named = true;
		return read_text(stat->name, sizeof(stat->name), attr);
	}
	if (!*named || nla_len(attr) != sizeof(stat->value))
		return -EPROTO;
	memcpy(&stat->value, nla_data(attr), sizeof(stat->value));
	s->has |= VHK_VDPA_STATS;
	s->n_stats++;
	*named = false;
	return 0;
}

static const struct field *find(const struct kind *k, int attr)
{
	size_t i;

	for (i = 0; i < k->n_fields; i++)
		if (k->fields[i].attr == attr)
			return &k->fields[i];
	return NULL;
}

static int read_attr(enum vhk_nl_kind kind, void *out, const struct nlattr *attr, bool *named)
{
	const struct field *f = find(&kinds[kind], nla_type(attr));
	uint64_t *has = (void *)((char *)out + kinds[kind].has);
	int ret;

	if (kind == VHK_NL_VSTATS &&
	    (nla_type(attr) == VHK_NL_STAT_NAME || nla_type(attr) == VHK_NL_STAT_VALUE))
		return read_stat(out, attr, named);
	if (!f)
		return 0;
	ret = read_field(f, out, attr);
	if (!ret)
		*has |= 1ull << f->attr;
	return ret;
}

/*
 * Attribute 21 was the device's features before it was the capacity (Linux 6.1 has it so, 6.9 and
 * later otherwise). Kernels that mean the capacity send READ_ONLY and FLUSH with it, always.
 */
static void drop_old_meaning(struct vhk_vdpa_config *c)
{
	const uint64_t always = VHK_VDPA_BLK_READ_ONLY | VHK_VDPA_BLK_FLUSH;

	if (c->id == ID_BLOCK && (c->has & always) == always)
		return;
	c->has &= ~BLK_ALL;
	memset(&c->blk, 0, sizeof(c->blk));
}

int vhk_nl_record_read(enum vhk_nl_kind kind, void *out, const struct nlattr *first, int len)
{
	const struct kind *k = &kinds[kind];
	const struct nlattr *attr;
	bool named = false;
	int ret, rest = len;
	uint64_t has;

	memset(out, 0, k->size);
	memcpy(out, &k->size, sizeof(k->size));
	for (attr = first; nla_ok(attr, rest); attr = nla_next(attr, &rest)) {
		ret = read_attr(kind, out, attr, &named);
		if (ret)
			return ret;
	}
	memcpy(&has, (char *)out + k->has, sizeof(has));
	if (rest > 0 || named || (has & k->need) != k->need)
		return -EPROTO;
	if (kind == VHK_NL_CONFIG)
		drop_old_meaning(out);
	return 0;
}
