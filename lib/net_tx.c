// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Packets that the driver transmits: each header is copied once and judged, and the batch goes to
 * the port as it is, in the driver's memory.
 */
#include "net_impl.h"

/* Copies the first @n bytes of @c out; it has that many. Leaves @f behind them. */
static void take_bytes(struct net_frame *f, unsigned char *to, size_t n)
{
	size_t part;

	for (;;) {
		part = vhk_min(n, f->seg->iov_len);
		vhk_shared_copy(to, f->seg->iov_base, part);
		n -= part;
		if (part < f->seg->iov_len) {
			f->off = (uint32_t)part;
			return;
		}
		f->seg++;
		f->n_seg--;
		if (!n)
			return;
		to += part;
	}
}

/* In one piece, or in a segment of its own, or in any. */
static void take_header(struct net_frame *f, const struct vhk_chain *c, unsigned int hdr_len)
{
	const struct iovec *seg = c->seg;

	f->seg = seg;
	f->n_seg = c->n_out;
	f->off = 0;
	if (seg->iov_len <= hdr_len) {
		take_bytes(f, (unsigned char *)&f->hdr, hdr_len);
		return;
	}
	vhk_shared_copy(&f->hdr, seg->iov_base, sizeof(struct virtio_net_hdr));
	f->off = hdr_len;
}

/* The short way, for packets behind a header in one piece that puts nothing off. */
static inline bool take_plain(const struct vhk_chain *c, struct net_frame *f, unsigned int hdr_len,
			      unsigned int max_len)
{
	const struct iovec *seg = c->seg;
	const uint32_t len = c->out_len - hdr_len;
	uint64_t head;

	if (vhk_unlikely(c->flags & VHK_CHAIN_F_FAULT || c->out_len < hdr_len + ETH_HLEN ||
			 len > max_len || seg->iov_len <= hdr_len))
		return false;
	vhk_shared_copy(&head, seg->iov_base, sizeof(head));
	if (vhk_unlikely(!vhk_net_header_is_plain(head)))
		return false;
	net_set_words(&f->hdr, (struct net_words){ 0 });
	f->len = len;
	f->off = hdr_len;
	f->n_seg = c->n_out;
	f->seg = seg;
	return true;
}

static __attribute__((noinline)) bool take(struct net_queue *tx, const struct vhk_chain *c,
					   struct net_frame *f, uint64_t features)
{
	const unsigned int hdr_len = tx->hdr_len;
	enum vhk_net_drop why;

	if ((c->flags & VHK_CHAIN_F_FAULT) || c->out_len < hdr_len) {
		why = VHK_NET_DROP_HEADER;
		goto drop;
	}
	f->len = c->out_len - hdr_len;
	if (f->len < ETH_HLEN) {
		why = VHK_NET_DROP_RUNT;
		goto drop;
	}
	take_header(f, c, hdr_len);
	why = VHK_NET_DROP_OFFLOAD;
	if (!vhk_net_header_check(&f->hdr, f->len, features))
		goto drop;
	why = VHK_NET_DROP_LONG;
	if (f->len <= (f->hdr.gso_type ? NET_FRAME_MAX : tx->net->max_len))
		return true;
drop:
	vhk_net_dropped(tx, why, 1);
	return false;
}

void vhk_net_tx(struct net_queue *tx, struct vhk_chain **chains, unsigned int n)
{
	struct net_frame f[NET_BATCH];
	const uint64_t features = atomic_load_explicit(&tx->net->features, memory_order_relaxed);
	const unsigned int hdr_len = tx->hdr_len, max_len = tx->net->max_len;
	unsigned int i, k = 0;

	/* the header's line, and the packet's, which most begin with the next one */
	for (i = 0; i < n; i++)
		if (chains[i]->n_out) {
			const void *at = chains[i]->seg->iov_base;

			__builtin_prefetch(at);
			__builtin_prefetch((const void *)((uintptr_t)at + hdr_len));
		}
	for (i = 0; i < n; i++) {
		chains[i]->written = 0;
		k += take_plain(chains[i], &f[k], hdr_len, max_len) ||
		     take(tx, chains[i], &f[k], features);
	}
	net_count(&tx->counters.seen, n);
	if (vhk_likely(net_link(tx->net)))
		tx->net->ops->send(tx, f, k);
	else
		vhk_net_dropped(tx, VHK_NET_DROP_LINK, k);
	vhk_queue_done_all(tx->q, chains, n);
}
