// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Statistics on request: one line for each queue that was ever used.
 */
#include <inttypes.h>
#include <stdio.h>

#include "vhk-net.h"

struct text {
	char bytes[512];
	unsigned int n;
};

static void print_counters(struct text *t, const struct vhk_net_stats *s)
{
	unsigned int k, drops = 0;

	t->n = (unsigned int)snprintf(t->bytes, sizeof(t->bytes),
				      "seen %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64
				      " dropped",
				      s->seen, s->packets, s->bytes);
	for (k = 0; k < VHK_NET_DROPS; k++) {
		if (!s->dropped[k] || t->n >= sizeof(t->bytes))
			continue;
		drops++;
		t->n += (unsigned int)snprintf(t->bytes + t->n, sizeof(t->bytes) - t->n,
					       " %s %" PRIu64,
					       vhk_net_drop_name((enum vhk_net_drop)k),
					       s->dropped[k]);
	}
	if (!drops)
		snprintf(t->bytes + t->n, sizeof(t->bytes) - t->n, " 0");
}

static void print_queue(const char *name, unsigned int i, const struct vhk_queue_stats *q,
			const struct vhk_net_stats *s)
{
	struct text t;

	print_counters(&t, s);
	say("%s: queue %u: %s kicks %" PRIu64 " calls %" PRIu64 " batches %" PRIu64, name, i,
	    t.bytes, q->kicks, q->calls, q->rounds);
}

void stats_print_tap(const char *name, const struct vhk_switch *sw)
{
	struct vhk_net_stats from, to;
	struct text t;

	if (vhk_switch_tap_stats(sw, 0, &from, &to))
		return;
	print_counters(&t, &from);
	say("%s: in: %s", name, t.bytes);
	print_counters(&t, &to);
	say("%s: out: %s", name, t.bytes);
}

void stats_print(const char *name, const struct vhk_device *d)
{
	unsigned int i, used = 0, n = vhk_device_info(d)->n_queues;
	struct vhk_queue_stats q;
	struct vhk_net_stats s;

	for (i = 0; i < n; i++) {
		if (vhk_device_stats(d, i, &q) || vhk_net_stats(d, i, &s) || !(s.seen + q.kicks))
			continue;
		print_queue(name, i, &q, &s);
		used++;
	}
	if (!used)
		say("%s: %u queues, none used yet", name, n);
}
