// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Requests of the control queue (virtio 1.3, 5.1.6.5). Each is copied whole before it is looked at,
 * and answered by the one byte at the end of its writable part.
 */
#include <endian.h>

#include "net_copy.h"
#include "net_impl.h"

/* A request that is longer asks for more addresses than any filter has. */
#define REQUEST_MAX 4096

struct request {
	struct vhk_net *net;
	uint64_t features;
	const uint8_t *data; /* behind class and command */
	uint32_t len;
};

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static bool set_rx(const struct request *r, uint8_t cmd)
{
	const uint64_t needs = cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ? NET_F(CTRL_RX)
								   : NET_F(CTRL_RX_EXTRA);

	if (cmd > VIRTIO_NET_CTRL_RX_NOBCAST || !(r->features & needs) || r->len != 1)
		return false;
	vhk_net_filter_set_mode(&r->net->filter, 1u << cmd, r->data[0]);
	return true;
}

/* Two lists, each of a number and so many addresses; both are sound, or neither is taken. */
static bool set_table(const struct request *r)
{
	const uint8_t *list[2];
	uint32_t i, n[2], at = 0;

	for (i = 0; i < 2; i++) {
		if (r->len - at < sizeof(n[0]))
			return false;
		n[i] = get32(r->data + at);
		at += sizeof(n[0]);
		list[i] = r->data + at;
		if (n[i] > (r->len - at) / ETH_ALEN)
			return false;
		at += n[i] * ETH_ALEN;
	}
	if (at != r->len)
		return false;
	for (i = 0; i < 2; i++)
		vhk_net_filter_set_table(&r->net->filter, i, list[i], n[i]);
	return true;
}

static bool set_mac(const struct request *r, uint8_t cmd)
{
	if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return r->features & NET_F(CTRL_RX) && set_table(r);
	if (cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET || !(r->features & NET_F(CTRL_MAC_ADDR)) ||
	    r->len != ETH_ALEN || net_mac_is_group(net_mac(r->data)))
		return false;
	vhk_net_filter_set_mac(&r->net->filter, net_mac(r->data));
	return true;
}

static bool set_vlan(const struct request *r, uint8_t cmd)
{
	if (cmd > VIRTIO_NET_CTRL_VLAN_DEL || !(r->features & NET_F(CTRL_VLAN)) || r->len != 2 ||
	    get16(r->data) >= NET_VLANS)
		return false;
	vhk_net_filter_set_vlan(&r->net->filter, get16(r->data), cmd == VIRTIO_NET_CTRL_VLAN_ADD);
	return true;
}

static bool ack_announce(const struct request *r, uint8_t cmd)
{
	if (cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK || !(r->features & NET_F(GUEST_ANNOUNCE)) ||
	    r->len)
		return false;
	atomic_store_explicit(&r->net->announce, false, memory_order_relaxed);
	return true;
}

static bool set_pairs(const struct request *r, uint8_t cmd)
{
	if (cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !(r->features & NET_F(MQ)) || r->len != 2 ||
	    !get16(r->data) || get16(r->data) > r->net->n_pairs)
		return false;
	atomic_store_explicit(&r->net->active, get16(r->data), memory_order_relaxed);
	return true;
}

static bool set_offloads(const struct request *r, uint8_t cmd)
{
	uint64_t f;

	if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
	    !(r->features & NET_F(CTRL_GUEST_OFFLOADS)) || r->len != sizeof(f))
		return false;
	memcpy(&f, r->data, sizeof(f));
	f = le64toh(f);
	if (f & ~(r->features & NET_GUEST) || r->net->ops->set_offload(r->net, f))
		return false;
	atomic_store_explicit(&r->net->guest, f, memory_order_relaxed);
	return true;
}

static bool carry_out(const struct request *r, uint8_t class, uint8_t cmd)
{
	switch (class) {
	case VIRTIO_NET_CTRL_RX:
		return set_rx(r, cmd);
	case VIRTIO_NET_CTRL_MAC:
		return set_mac(r, cmd);
	case VIRTIO_NET_CTRL_VLAN:
		return set_vlan(r, cmd);
	case VIRTIO_NET_CTRL_ANNOUNCE:
		return ack_announce(r, cmd);
	case VIRTIO_NET_CTRL_MQ:
		return set_pairs(r, cmd);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return set_offloads(r, cmd);
	default:
		return false;
	}
}

bool vhk_net_ctrl_request(struct vhk_net *net, const uint8_t *bytes, uint32_t len)
{
	struct request r = { .net = net };

	if (len < sizeof(struct virtio_net_ctrl_hdr))
		return false;
	r.features = atomic_load_explicit(&net->features, memory_order_relaxed);
	r.data = bytes + sizeof(struct virtio_net_ctrl_hdr);
	r.len = len - (uint32_t)sizeof(struct virtio_net_ctrl_hdr);
	return carry_out(&r, bytes[0], bytes[1]);
}

static bool serve(struct vhk_net *net, const struct vhk_chain *c)
{
	uint8_t bytes[REQUEST_MAX];
	const struct iovec seg = { bytes, sizeof(bytes) };
	struct net_place to = { &seg, 0 }, from = { c->seg, 0 };

	if ((c->flags & VHK_CHAIN_F_FAULT) || c->out_len > sizeof(bytes))
		return false;
	net_copy_segs(&to, &from, c->out_len);
	return vhk_net_ctrl_request(net, bytes, c->out_len);
}

/* The answer is the last writable byte; what lies before it nobody fills. */
static unsigned char *place_of_answer(const struct vhk_chain *c)
{
	const struct iovec *seg = c->seg + c->n_out + c->n_in - 1;

	if (!c->in_len || !seg->iov_base)
		return NULL;
	return (unsigned char *)seg->iov_base + seg->iov_len - 1;
}

static void answer(struct vhk_chain *c, unsigned char *at, bool ok)
{
	const uint8_t ack = ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

	vhk_shared_copy(at, &ack, 1);
	c->written = c->in_len == 1;
	if (c->in_len != 1)
		c->flags |= VHK_CHAIN_F_SCATTERED;
}

/* Whether it was carried out; without a place to say so it is not. */
static bool serve_one(struct net_queue *nq, struct vhk_chain *c)
{
	unsigned char *at = place_of_answer(c);
	bool ok;

	c->written = 0;
	if (!at) {
		vhk_queue_fail(nq->q);
		return false;
	}
	ok = serve(nq->net, c);
	answer(c, at, ok);
	return ok;
}

void vhk_net_ctrl(struct net_queue *nq, struct vhk_chain **chains, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		net_count(&nq->counters.seen, 1);
		if (serve_one(nq, chains[i]))
			net_passed(nq, 1, chains[i]->out_len);
		else
			vhk_net_dropped(nq, VHK_NET_DROP_HEADER, 1);
	}
	vhk_queue_done_all(nq->q, chains, n);
}
