// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa mgmtdev show, dev show, dev config show and dev vstats show.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpa.h"

static void handle(char *to, size_t size, const char *bus, const char *name)
{
	snprintf(to, size, "%s%s%s", bus, *bus ? "/" : "", name);
}

static int show_mgmtdev(void *arg, const struct vhk_vdpa_mgmtdev *m)
{
	char name[2 * VHK_VDPA_NAME_SIZE];
	uint32_t id = m->classes >> VDPA_ID_NET & 1 ? VDPA_ID_NET : 0;
	struct vdpa_out *o = arg;

	handle(name, sizeof(name), m->bus, m->name);
	vdpa_out_open(o, name, false);
	if (m->has & VHK_VDPA_CLASSES)
		vdpa_out_bits(o, "supported_classes", m->classes & ~1ull, vdpa_class_name, 0);
	if (m->has & VHK_VDPA_MGMTDEV_MAX_VQS) {
		/* A line of its own in text. */
		if (!o->json)
			printf("\n  ");
		vdpa_out_u64(o, "max_supported_vqs", m->max_vqs);
	}
	if (m->has & VHK_VDPA_SUPPORTED) {
		vdpa_out_bits(o, "dev_features", m->features, vdpa_iproute2_name, id);
		if (!id && m->classes >> VDPA_ID_BLOCK & 1 && !o->numeric)
			vdpa_out_bits(o, "feature_names", m->features, vdpa_feature_name,
				      VDPA_ID_BLOCK);
	}
	vdpa_out_close(o);
	return 0;
}

int vdpa_mgmtdev_show(struct vdpa_cli *c, int argc, char **argv)
{
	struct vhk_vdpa_mgmtdev m = { .sz = sizeof(m) };
	struct vdpa_out o;
	int ret;

	if (argc > 1)
		return say_usage("vdpa mgmtdev show: unknown option \"%s\"", argv[1]);
	ret = vdpa_connect(c);
	if (ret)
		return ret;
	if (argc && vhk_vdpa_mgmtdev_get(c->v, argv[0], &m))
		return vdpa_failed(c, argv[0]);
	vdpa_out_begin(&o, c, "mgmtdev");
	if (argc)
		show_mgmtdev(&o, &m);
	else
		ret = vhk_vdpa_mgmtdev_dump(c->v, show_mgmtdev, &o);
	vdpa_out_end(&o);
	return ret ? vdpa_failed(c, "mgmtdev") : 0;
}

static const char *type_name(uint32_t id)
{
	return id == VDPA_ID_NET ? "network" : id == VDPA_ID_BLOCK ? "block" : "<unknown type>";
}

static void show_type(struct vdpa_out *o, uint32_t id)
{
	if (o->numeric)
		vdpa_out_u64(o, "type", id);
	else
		vdpa_out_text(o, "type", type_name(id));
}

static int show_dev(void *arg, const struct vhk_vdpa_dev *d)
{
	char mgmtdev[2 * VHK_VDPA_NAME_SIZE];
	struct vdpa_out *o = arg;

	handle(mgmtdev, sizeof(mgmtdev), d->bus, d->mgmtdev);
	vdpa_out_open(o, d->name, false);
	show_type(o, d->id);
	vdpa_out_text(o, "mgmtdev", mgmtdev);
	if (d->has & VHK_VDPA_VENDOR)
		vdpa_out_u64(o, "vendor_id", d->vendor);
	if (d->has & VHK_VDPA_MAX_VQS)
		vdpa_out_u64(o, "max_vqs", d->max_vqs);
	if (d->has & VHK_VDPA_MAX_VQ_SIZE)
		vdpa_out_u64(o, "max_vq_size", d->max_vq_size);
	if (d->has & VHK_VDPA_MIN_VQ_SIZE)
		vdpa_out_u64(o, "min_vq_size", d->min_vq_size);
	vdpa_out_place(o, d->name);
	vdpa_out_close(o);
	return 0;
}

int vdpa_dev_show(struct vdpa_cli *c, int argc, char **argv)
{
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct vdpa_out o;
	int ret;

	if (argc > 1)
		return say_usage("vdpa dev show: unknown option \"%s\"", argv[1]);
	ret = vdpa_connect(c);
	if (ret)
		return ret;
	if (argc && vhk_vdpa_dev_get(c->v, argv[0], &d))
		return vdpa_failed(c, argv[0]);
	vdpa_out_begin(&o, c, "dev");
	if (argc)
		show_dev(&o, &d);
	else
		ret = vhk_vdpa_dev_dump(c->v, show_dev, &o);
	vdpa_out_end(&o);
	return ret ? vdpa_failed(c, "dev") : 0;
}

static void show_net(struct vdpa_out *o, const struct vhk_vdpa_config *c)
{
	const uint8_t *m = c->net.mac;
	const char *link = c->net.status & 1 ? "up" : "down";
	char mac[18];

	if (c->has & VHK_VDPA_NET_MAC) {
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
			 m[4], m[5]);
		vdpa_out_text(o, "mac", mac);
	}
	if (c->has & VHK_VDPA_NET_STATUS) {
		/* iproute2 has a space at the end of these two keys; whoever reads it looks for
		 * that. */
		if (o->json) {
			json_text(&o->j, "link ", link);
			json_bool(&o->j, "link_announce ", c->net.status & 2);
		}
		vdpa_out_text(o, "link", link);
		vdpa_out_bool(o, "link_announce", c->net.status & 2);
	}
	if (c->has & VHK_VDPA_NET_MAX_VQP)
		vdpa_out_u64(o, "max_vq_pairs", c->net.max_vqp);
	if (c->has & VHK_VDPA_NET_MTU)
		vdpa_out_u64(o, "mtu", c->net.mtu);
}

static void show_blk(struct vdpa_out *o, const struct vhk_vdpa_config *c)
{
	const struct {
		uint64_t bit;
		const char *key;
		uint64_t v;
	} items[] = {
		{ VHK_VDPA_BLK_CAPACITY, "capacity", c->blk.capacity },
		{ VHK_VDPA_BLK_SIZE_MAX, "size_max", c->blk.size_max },
		{ VHK_VDPA_BLK_SEG_MAX, "seg_max", c->blk.seg_max },
		{ VHK_VDPA_BLK_BLK_SIZE, "blk_size", c->blk.blk_size },
		{ VHK_VDPA_BLK_NUM_QUEUES, "num_queues", c->blk.num_queues },
		{ VHK_VDPA_BLK_PHY_BLK_EXP, "physical_block_exp", c->blk.physical_block_exp },
		{ VHK_VDPA_BLK_ALIGN_OFFSET, "alignment_offset", c->blk.alignment_offset },
		{ VHK_VDPA_BLK_MIN_IO_SIZE, "min_io_size", c->blk.min_io_size },
		{ VHK_VDPA_BLK_OPT_IO_SIZE, "opt_io_size", c->blk.opt_io_size },
		{ VHK_VDPA_BLK_MAX_DISCARD_SEC, "max_discard_sectors",
		  c->blk.max_discard_sectors },
		{ VHK_VDPA_BLK_MAX_DISCARD_SEG, "max_discard_seg", c->blk.max_discard_seg },
		{ VHK_VDPA_BLK_DISCARD_SEC_ALIGN, "discard_sector_alignment",
		  c->blk.discard_sector_alignment },
		{ VHK_VDPA_BLK_MAX_WRITE_ZEROES_SEC, "max_write_zeroes_sectors",
		  c->blk.max_write_zeroes_sectors },
		{ VHK_VDPA_BLK_MAX_WRITE_ZEROES_SEG, "max_write_zeroes_seg",
		  c->blk.max_write_zeroes_seg },
	};
	size_t i;

	for (i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (c->has & items[i].bit)
			vdpa_out_u64(o, items[i].key, items[i].v);
	if (c->has & VHK_VDPA_BLK_READ_ONLY)
		vdpa_out_bool(o, "read_only", c->blk.read_only);
	if (c->has & VHK_VDPA_BLK_FLUSH)
		vdpa_out_bool(o, "flush", c->blk.flush);
}

static void show_config(struct vdpa_out *o, const struct vhk_vdpa_config *c)
{
	bool net = c->id == VDPA_ID_NET;

	vdpa_out_open(o, c->name, true);
	if (net)
		show_net(o, c);
	else
		show_blk(o, c);
	if (c->has & VHK_VDPA_NEGOTIATED)
		vdpa_out_bits(o, "negotiated_features", c->negotiated,
			      net ? vdpa_iproute2_name : vdpa_feature_name, c->id);
	if (c->has & VHK_VDPA_FEATURES)
		vdpa_out_bits(o, "dev_features", c->features,
			      net ? vdpa_iproute2_name : vdpa_feature_name, c->id);
	vdpa_out_close(o);
}

struct config_walk {
	struct vdpa_cli *c;
	struct vdpa_out *o;
};

/* One at a time: the kernel's own list ends at the first device of another kind. */
static int config_of(void *arg, const struct vhk_vdpa_dev *d)
{
	struct config_walk *w = arg;
	struct vhk_vdpa_config config = { .sz = sizeof(config) };
	int ret = vhk_vdpa_config_get(w->c->v, d->name, &config);

	if (!ret)
		show_config(w->o, &config);
	/* Gone meanwhile, or nothing to tell. */
	return ret == -ENODEV || ret == -EOPNOTSUPP ? 0 : ret;
}

int vdpa_config_show(struct vdpa_cli *c, int argc, char **argv)
{
	struct vhk_vdpa_config config = { .sz = sizeof(config) };
	struct vdpa_out o;
	struct config_walk w = { c, &o };
	int ret;

	if (argc > 1)
		return say_usage("vdpa dev config show: unknown option \"%s\"", argv[1]);
	ret = vdpa_connect(c);
	if (ret)
		return ret;
	if (argc && vhk_vdpa_config_get(c->v, argv[0], &config))
		return vdpa_failed(c, argv[0]);
	vdpa_out_begin(&o, c, "config");
	if (argc)
		show_config(&o, &config);
	else
		ret = vhk_vdpa_dev_dump(c->v, config_of, &w);
	vdpa_out_end(&o);
	return ret ? vdpa_failed(c, "config") : 0;
}
