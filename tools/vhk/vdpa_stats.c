// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa dev vstats show: one queue as iproute2 does, or all of them.
 */
#include <errno.h>
#include <string.h>

#include "vdpa.h"

#define CTRL_VQ 17

static const char *queue_type(const struct vhk_vdpa_vstats *s)
{
	if (s->negotiated >> CTRL_VQ & 1 && s->queue == 2u * s->max_vqp)
		return "control_vq";
	return s->queue & 1 ? "tx" : "rx";
}

static void show_stats(struct vdpa_out *o, const struct vhk_vdpa_vstats *s)
{
	unsigned int i;

	if (s->id == VDPA_ID_NET && s->has & VHK_VDPA_QUEUE_INDEX)
		vdpa_out_text(o, "queue_type", queue_type(s));
	for (i = 0; i < s->n_stats; i++)
		vdpa_out_u64(o, s->stat[i].name, s->stat[i].value);
	if (s->has & VHK_VDPA_QUEUE_INDEX)
		vdpa_out_u64(o, "queue_index", s->queue);
}

static int show_one(struct vdpa_cli *c, const char *name, uint32_t queue)
{
	struct vhk_vdpa_vstats s = { .sz = sizeof(s) };
	struct vdpa_out o;

	if (vhk_vdpa_vstats_get(c->v, name, queue, &s))
		return vdpa_failed(c, name);
	vdpa_out_begin(&o, c, "vstats");
	vdpa_out_open(&o, s.name, true);
	show_stats(&o, &s);
	vdpa_out_close(&o);
	vdpa_out_end(&o);
	return 0;
}

/* In JSON an object has a key once: the queues are an array. */
static void show_next(struct vdpa_out *o, const struct vhk_vdpa_vstats *s)
{
	if (o->json)
		json_open(&o->j, NULL, '{');
	else
		vdpa_out_open(o, s->name, true);
	show_stats(o, s);
	vdpa_out_close(o);
}

static int show_all(struct vdpa_cli *c, const char *name)
{
	struct vhk_vdpa_vstats s = { .sz = sizeof(s) };
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct vdpa_out o;
	uint32_t queue;
	int ret;

	if (vhk_vdpa_dev_get(c->v, name, &d) || vhk_vdpa_vstats_get(c->v, name, 0, &s))
		return vdpa_failed(c, name);
	vdpa_out_begin(&o, c, "vstats");
	if (o.json) {
		vdpa_out_open(&o, name, true);
		json_open(&o.j, "queues", '[');
	}
	show_next(&o, &s);
	for (queue = 1, ret = 0; queue < d.max_vqs && !ret; queue++) {
		ret = vhk_vdpa_vstats_get(c->v, name, queue, &s);
		if (!ret)
			show_next(&o, &s);
	}
	if (o.json) {
		json_close(&o.j, ']');
		vdpa_out_close(&o);
	}
	vdpa_out_end(&o);
	/* Queues that the driver did not ask for have none. */
	return !ret || ret == -ERANGE || ret == -EINVAL ? 0 : vdpa_failed(c, name);
}

int vdpa_vstats_show(struct vdpa_cli *c, int argc, char **argv)
{
	uint64_t queue = 0;
	int ret;

	if (argc < 1)
		return say_usage("vdpa dev vstats show: of which device?");
	if (argc > 1 && strcmp(argv[1], "qidx"))
		return say_usage("vdpa dev vstats show: unknown option \"%s\"", argv[1]);
	if (argc == 2 || argc > 3 || (argc == 3 && !parse_size(argv[2], 0, UINT32_MAX, &queue)))
		return say_usage("vdpa dev vstats show: qidx takes the number of a queue");
	ret = vdpa_connect(c);
	if (ret)
		return ret;
	return argc == 3 ? show_one(c, argv[0], (uint32_t)queue) : show_all(c, argv[0]);
}
