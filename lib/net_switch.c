// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A learning switch: packets go from the memory of one driver straight into that of another. All of
 * it runs in one thread, so a port that has no room costs the others no more than finding that out.
 */
#include <sys/epoll.h>
#include <sys/random.h>

#include "clock.h"
#include "fd.h"
#include "net_copy.h"
#include "net_fd.h"
#include "net_impl.h"
#include "net_open.h"
#include "net_table.h"

#define ADDRESSES 4096
#define ADDRESSES_MAX 1048576
#define AGE_S 300
#define FLOOD_PPS 20000
#define FLOOD_MAX 1000000000
#define SECOND 1000000000ULL
#define TAP_ROUND 64
#define RARP_LEN 60

/* A port is a card or a tap. */
struct sw_port {
	struct vhk_switch *sw;
	unsigned int idx;
	struct vhk_net *net;	  /* or NULL: a tap */
	struct net_reader reader; /* a tap's */
	bool gone;
	struct net_counters to, from; /* a tap's */
	/* Packets for everybody that it may send still, in units of a packet each second. */
	uint64_t tokens, tokens_at;
	/* A card's own packet, on its way into the switch's thread. */
	struct vhk_work work;
	atomic_bool posted;
	unsigned char frame[RARP_LEN];
};

struct vhk_switch {
	struct vhk_loop *loop;
	struct vhk_log log;
	struct net_table *table;
	uint32_t flood_pps;
	uint32_t now; /* s, of this batch */
	uint64_t now_ns;
	unsigned int n_ports;
	struct sw_port *port[NET_TABLE_PORTS];
};

/* Where a batch comes from: a card's queue, or a tap. */
struct origin {
	struct sw_port *port;
	unsigned int pair;
	uint64_t packets, bytes;
	uint64_t dropped[VHK_NET_DROPS];
};

static void look_at_clock(struct vhk_switch *sw)
{
	sw->now_ns = vhk_now_ns();
	sw->now = (uint32_t)(sw->now_ns / SECOND);
}

static void count_to(struct sw_port *p, const struct net_frame *f, ssize_t ret)
{
	net_count(&p->to.seen, 1);
	if (ret < 0) {
		net_count(&p->to.dropped[vhk_net_write_failed(NULL, (int)ret)], 1);
		return;
	}
	net_count(&p->to.packets, 1);
	net_count(&p->to.bytes, f->len);
}

/* False: nobody is there. */
static bool send_to(struct sw_port *p, unsigned int pair, const struct net_frame *f, unsigned int n)
{
	struct net_queue *rx;
	unsigned int i;

	if (p->net) {
		rx = vhk_net_rx_of(p->net, pair);
		if (rx)
			vhk_net_deliver(rx, f, n);
		return rx;
	}
	for (i = 0; i < n && !p->gone; i++)
		count_to(p, &f[i], vhk_net_write(p->reader.fd, false, &f[i]));
	return !p->gone;
}

static bool may_flood(struct sw_port *p)
{
	const struct vhk_switch *sw = p->sw;
	const uint64_t most = SECOND * vhk_max(sw->flood_pps / 10, 32u);
	const uint64_t gap = vhk_min(sw->now_ns - p->tokens_at, SECOND);

	p->tokens_at = sw->now_ns;
	p->tokens = vhk_min(p->tokens + gap * sw->flood_pps, most);
	if (p->tokens < SECOND)
		return false;
	p->tokens -= SECOND;
	return true;
}

static void flood(struct origin *o, const struct net_frame *f)
{
	struct vhk_switch *sw = o->port->sw;
	bool any = false;
	unsigned int i;

	if (!may_flood(o->port)) {
		o->dropped[VHK_NET_DROP_FLOOD]++;
		return;
	}
	for (i = 0; i < sw->n_ports; i++)
		if (sw->port[i] && sw->port[i] != o->port)
			any |= send_to(sw->port[i], o->pair, f, 1);
	o->packets += any;
	o->bytes += any ? f->len : 0;
	o->dropped[VHK_NET_DROP_LINK] += !any;
}

/* Learns where it comes from; the port it is for, or -1: everybody. */
static int route(struct origin *o, const struct net_frame *f)
{
	struct vhk_switch *sw = o->port->sw;
	unsigned char head[2 * ETH_ALEN];
	const struct iovec seg = { head, sizeof(head) };
	struct net_place to = { &seg, 0 }, from = { f->seg, f->off };
	uint64_t mac;

	net_copy_segs(&to, &from, sizeof(head));
	mac = net_mac(head + ETH_ALEN);
	if (!net_mac_is_group(mac) && mac)
		vhk_net_table_learn(sw->table, mac, o->port->idx, sw->now);
	mac = net_mac(head);
	return net_mac_is_group(mac) ? -1 : vhk_net_table_find(sw->table, mac, sw->now);
}

/* Packets that follow one another to the same port go there together. */
static void forward_run(struct origin *o, int port, const struct net_frame *f, unsigned int n)
{
	struct sw_port *p = o->port->sw->port[port];
	unsigned int i;

	if (p == o->port || !send_to(p, o->pair, f, n)) {
		o->dropped[VHK_NET_DROP_LINK] += n;
		return;
	}
	o->packets += n;
	for (i = 0; i < n; i++)
		o->bytes += f[i].len;
}

static void forward(struct origin *o, const struct net_frame *f, unsigned int n)
{
	unsigned int i, begun = 0;
	int to = -1, next;

	look_at_clock(o->port->sw);
	for (i = 0; i < n; i++) {
		next = route(o, &f[i]);
		if (next == to && to >= 0)
			continue;
		if (to >= 0)
			forward_run(o, to, &f[begun], i - begun);
		begun = i;
		to = next;
		if (to < 0)
			flood(o, &f[i]);
	}
	if (to >= 0)
		forward_run(o, to, &f[begun], n - begun);
}

static void card_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	struct origin o = { .port = tx->net->port, .pair = tx->pair };
	unsigned int i;

	forward(&o, f, n);
	net_passed(tx, o.packets, o.bytes);
	for (i = 0; i < VHK_NET_DROPS; i++)
		vhk_net_dropped(tx, (enum vhk_net_drop)i, o.dropped[i]);
}

static int card_start(struct net_queue *nq)
{
	const struct sw_port *p = nq->net->port;

	return vhk_queue_loop(nq->q) == p->sw->loop ? 0 : -EINVAL;
}

/* Another driver may have other addresses. */
static void card_stop(struct net_queue *nq)
{
	const struct sw_port *p = nq->net->port;

	vhk_net_table_forget_port(p->sw->table, p->idx);
}

static int card_offload(struct vhk_net *net, uint64_t guest)
{
	(void)net;
	(void)guest;
	return 0;
}

static void announced(struct vhk_work *w)
{
	struct sw_port *p = vhk_container_of(w, struct sw_port, work);
	const struct iovec seg = { p->frame, sizeof(p->frame) };
	const struct net_frame f = { .len = sizeof(p->frame), .seg = &seg, .n_seg = 1 };
	struct origin o = { .port = p };

	forward(&o, &f, 1);
	atomic_store(&p->posted, false);
}

/* One that has not been sent yet says the same. */
static void card_announce(struct vhk_net *net, const void *frame, size_t len)
{
	struct sw_port *p = net->port;

	if (len != sizeof(p->frame) || atomic_exchange(&p->posted, true))
		return;
	memcpy(p->frame, frame, len);
	p->work.fn = announced;
	vhk_loop_post(p->sw->loop, &p->work);
}

static void card_free(struct vhk_net *net)
{
	struct sw_port *p = net->port;

	if (!p)
		return;
	/* no ring was started after it that would have come to rest behind it */
	if (atomic_load(&p->posted))
		vhk_loop_recall(p->sw->loop, &p->work);
	vhk_net_table_forget_port(p->sw->table, p->idx);
	p->sw->port[p->idx] = NULL;
	free(p);
}

static const struct net_port_ops card_ops = {
	.features = NET_F(CSUM) | NET_F(GUEST_CSUM),
	.set_offload = card_offload,
	.start = card_start,
	.stop = card_stop,
	.send = card_send,
	.announce = card_announce,
	.free = card_free,
};

static int add_port(struct vhk_switch *sw, struct sw_port **out)
{
	struct sw_port *p;
	unsigned int i;

	for (i = 0; i < NET_TABLE_PORTS && sw->port[i]; i++)
		;
	if (i == NET_TABLE_PORTS)
		return -EMSGSIZE;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->sw = sw;
	p->idx = i;
	p->reader.fd = -1;
	p->tokens = UINT64_MAX / 2;
	sw->port[i] = p;
	sw->n_ports = vhk_max(sw->n_ports, i + 1);
	*out = p;
	return 0;
}

int vhk_net_switch_open(struct vhk_net *net)
{
	struct sw_port *p;
	int ret;

	net->ops = &card_ops;
	ret = add_port(net->sw, &p);
	if (ret)
		return ret;
	p->net = net;
	net->port = p;
	return 0;
}

static void tap_count(struct sw_port *p, const struct origin *o, uint64_t seen)
{
	unsigned int i;

	net_count(&p->from.seen, seen);
	net_count(&p->from.packets, o->packets);
	net_count(&p->from.bytes, o->bytes);
	for (i = 0; i < VHK_NET_DROPS; i++)
		net_count(&p->from.dropped[i], o->dropped[i]);
}

static void tap_ready(void *arg, uint32_t events)
{
	struct sw_port *p = arg;
	struct origin o = { .port = p };
	struct net_frame f;
	unsigned int i;
	int ret = 0;

	(void)events;
	for (i = 0; i < TAP_ROUND; i++) {
		ret = vhk_net_reader_next(&p->reader, &f);
		if (ret == -EMSGSIZE || (!ret && f.len < ETH_HLEN))
			o.dropped[ret ? VHK_NET_DROP_LONG : VHK_NET_DROP_RUNT]++;
		else if (ret)
			break;
		else
			forward(&o, &f, 1);
	}
	tap_count(p, &o, i);
	if (!ret || ret == -EAGAIN || ret == -EINTR || ret == -EIO || ret == -EMSGSIZE)
		return;
	p->gone = true;
	vhk_loop_del_fd(p->sw->loop, p->reader.fd);
	vhk_net_table_forget_port(p->sw->table, p->idx);
	vhk_log(&p->sw->log, VHK_LOG_ERROR, "switch: the tap is gone: %s", strerrordesc_np(-ret));
}

static void free_tap(struct sw_port *p)
{
	p->sw->port[p->idx] = NULL;
	vhk_net_reader_fini(&p->reader);
	vhk_fd_close(p->reader.fd);
	free(p);
}

int vhk_switch_add_tap(struct vhk_switch *s, int fd)
{
	struct sw_port *p;
	int ret = vhk_net_tap_init(fd);

	if (!ret)
		ret = vhk_net_tap_offload(fd, NET_F(GUEST_CSUM));
	if (!ret)
		ret = add_port(s, &p);
	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	ret = vhk_net_reader_init(&p->reader, fd, false);
	if (!ret)
		ret = vhk_loop_add_fd(s->loop, fd, EPOLLIN, tap_ready, p);
	if (ret)
		free_tap(p);
	return ret;
}

static int check_opts(struct vhk_switch_opts *o)
{
	if (!o->addresses)
		o->addresses = ADDRESSES;
	if (!o->age_s)
		o->age_s = AGE_S;
	if (!o->flood_pps)
		o->flood_pps = FLOOD_PPS;
	return o->loop && o->addresses <= ADDRESSES_MAX && o->flood_pps <= FLOOD_MAX ? 0 : -EINVAL;
}

int vhk_switch_new(struct vhk_switch **out, const struct vhk_switch_opts *opts)
{
	struct vhk_switch_opts o;
	struct vhk_switch *s;
	uint64_t seed;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&o, sizeof(o), opts);
	if (!ret)
		ret = check_opts(&o);
	if (!ret && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		ret = -EIO;
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->loop = o.loop;
	s->log = o.log;
	s->flood_pps = o.flood_pps;
	s->table = vhk_net_table_new(o.addresses, o.age_s, seed);
	if (!s->table) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

unsigned int vhk_switch_addresses(const struct vhk_switch *s)
{
	return vhk_net_table_count(s->table);
}

int vhk_switch_tap_stats(const struct vhk_switch *s, unsigned int tap, struct vhk_net_stats *from,
			 struct vhk_net_stats *to)
{
	unsigned int i;

	for (i = 0; i < s->n_ports; i++) {
		if (!s->port[i] || s->port[i]->net || tap--)
			continue;
		vhk_net_read_counters(&s->port[i]->from, from);
		vhk_net_read_counters(&s->port[i]->to, to);
		return 0;
	}
	return -EINVAL;
}

void vhk_switch_free(struct vhk_switch *s)
{
	unsigned int i;

	if (!s)
		return;
	for (i = 0; i < s->n_ports; i++) {
		if (!s->port[i] || s->port[i]->net)
			continue;
		if (!s->port[i]->gone)
			vhk_loop_del_fd(s->loop, s->port[i]->reader.fd);
		free_tap(s->port[i]);
	}
	vhk_net_table_free(s->table);
	free(s);
}
