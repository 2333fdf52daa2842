// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Packets into the driver's buffers: a batch of chains is popped, filled and published at once;
 * what was not needed goes back into the ring.
 */
#include "net_copy.h"
#include "net_impl.h"

/* Room for @want more chains at the end of the list. */
static void make_room(struct net_give *g, unsigned int want)
{
	if (g->n + want <= NET_CHAINS)
		return;
	vhk_queue_done_all(g->rx->q, g->chain, g->used);
	g->n -= g->used;
	memmove(g->chain, g->chain + g->used, g->n * sizeof(g->chain[0]));
	g->used = 0;
}

bool vhk_net_give_room(struct net_give *g, unsigned int n)
{
	unsigned int got;

	while (g->n - g->used < n) {
		make_room(g, n);
		got = vhk_queue_pop(g->rx->q, g->chain + g->n, n - (g->n - g->used));
		g->n += got;
		if (!got)
			return false;
	}
	return true;
}

unsigned int vhk_net_give_begin(struct net_give *g, struct net_queue *rx, unsigned int want)
{
	unsigned int i;

	g->rx = rx;
	g->used = 0;
	g->seen = g->packets = g->bytes = 0;
	g->link = net_link(rx->net);
	g->filter = atomic_load_explicit(&rx->net->filter.on, memory_order_relaxed);
	g->n = vhk_queue_pop(rx->q, g->chain, want);
	/* the header is read, and mostly left as it is; the packet is written */
	for (i = 0; i < g->n; i++)
		if (g->chain[i]->n_in) {
			const void *at = g->chain[i]->seg[g->chain[i]->n_out].iov_base;

			__builtin_prefetch(at);
			vhk_prefetch_write((const void *)((uintptr_t)at + rx->hdr_len));
		}
	return g->n;
}

void vhk_net_give_end(struct net_give *g)
{
	struct net_queue *rx = g->rx;

	net_count(&rx->counters.seen, g->seen);
	net_passed(rx, g->packets, g->bytes);
	vhk_queue_unpop(rx->q, g->chain + g->used, g->n - g->used);
	if (g->used)
		vhk_queue_done_all(rx->q, g->chain, g->used);
}

/*
 * The header's line goes back to the driver only if it differs from what is there: buffers come
 * back with the header of the packet before, and mostly it is the same.
 */
static inline void put_header(unsigned char *to, struct net_words w, unsigned int hdr_len)
{
	uint64_t old;
	uint32_t old_tail;

	vhk_shared_copy(&old, to, sizeof(old));
	if (old != w.head)
		vhk_shared_copy(to, &w.head, sizeof(w.head));
	to += sizeof(w.head);
	if (vhk_unlikely(hdr_len != sizeof(struct virtio_net_hdr_v1))) {
		vhk_shared_copy(to, &w.tail, sizeof(uint16_t));
		return;
	}
	vhk_shared_copy(&old_tail, to, sizeof(old_tail));
	if (old_tail != w.tail)
		vhk_shared_copy(to, &w.tail, sizeof(w.tail));
}

static uint64_t guest_of(const struct net_queue *rx)
{
	return atomic_load_explicit(&rx->net->guest, memory_order_relaxed);
}

/* Why the driver does not get it; VHK_NET_DROPS: it does. */
static __attribute__((noinline)) enum vhk_net_drop judge(const struct net_give *g,
							 const struct net_frame *f)
{
	const struct vhk_net *net = g->rx->net;
	unsigned char head[18] = { 0 };
	struct net_place to, from = { f->seg, f->off };
	const struct iovec seg = { head, sizeof(head) };

	if (!g->link)
		return VHK_NET_DROP_LINK;
	if (f->len < ETH_HLEN)
		return VHK_NET_DROP_RUNT;
	if (f->hdr.gso_type && !vhk_net_header_gso_fits(&f->hdr, guest_of(g->rx)))
		return VHK_NET_DROP_OFFLOAD;
	if (f->len > (f->hdr.gso_type ? NET_FRAME_MAX : net->max_len))
		return VHK_NET_DROP_LONG;
	if (!g->filter)
		return VHK_NET_DROPS;
	to = (struct net_place){ &seg, 0 };
	net_copy_segs(&to, &from, vhk_min(f->len, (uint32_t)sizeof(head)));
	return vhk_net_filter_takes(&net->filter, head) ? VHK_NET_DROPS : VHK_NET_DROP_FILTER;
}

static bool plain(const struct net_give *g, const struct net_frame *f)
{
	const struct vhk_net *net = g->rx->net;

	return g->link && f->len >= ETH_HLEN && f->len <= net->max_len && !f->hdr.gso_type &&
	       !g->filter;
}

/* The next chain is of no use for a packet: the driver gets it back empty. */
static void pass_over(struct net_give *g)
{
	g->chain[g->used++]->written = 0;
}

/* Chains from g->used on that hold @need bytes, or 0. */
static unsigned int gather(struct net_give *g, uint64_t need)
{
	uint64_t room = 0;
	unsigned int k = 0;

	while (vhk_net_give_room(g, k + 1)) {
		const struct vhk_chain *c = g->chain[g->used + k];

		if (c->flags & VHK_CHAIN_F_FAULT || c->in_len < g->rx->hdr_len) {
			if (!k) {
				pass_over(g);
				continue;
			}
			return 0;
		}
		room += c->in_len;
		k++;
		if (room >= need)
			return k;
		if (!g->rx->mergeable) {
			pass_over(g);
			return 0;
		}
		if (k == NET_CHAINS - 1)
			return 0;
	}
	return 0;
}

/* Segments of the @k next chains as one list; fewer than they have is a hostile driver's fault. */
static unsigned int list_segs(const struct net_give *g, unsigned int k, struct iovec *seg,
			      unsigned int max)
{
	unsigned int i, s, n = 0;

	for (i = 0; i < k; i++) {
		const struct vhk_chain *c = g->chain[g->used + i];

		for (s = 0; s < c->n_in && n < max; s++)
			seg[n++] = c->seg[c->n_out + s];
	}
	return n;
}

static uint64_t sum_of(const struct iovec *seg, unsigned int n)
{
	uint64_t sum = 0;

	while (n--)
		sum += seg[n].iov_len;
	return sum;
}

static void count_written(struct net_give *g, unsigned int k, uint64_t n)
{
	unsigned int i;

	for (i = 0; i < k; i++) {
		struct vhk_chain *c = g->chain[g->used + i];

		c->written = (uint32_t)vhk_min(n, (uint64_t)c->in_len);
		n -= c->written;
	}
}

/* A driver without GUEST_CSUM gets whole packets. */
static void finish_sum(const struct net_queue *rx, struct virtio_net_hdr_v1 *hdr, uint32_t len,
		       const struct iovec *seg, unsigned int n)
{
	if (!hdr->flags || guest_of(rx) & NET_F(GUEST_CSUM))
		return;
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		vhk_net_header_sum(hdr, len, seg, n, rx->hdr_len);
	memset(hdr, 0, sizeof(*hdr));
}

/* Any layout on both sides, and as many chains as it takes. */
static __attribute__((noinline)) bool give_any(struct net_give *g, const struct net_frame *f)
{
	const uint64_t need = (uint64_t)g->rx->hdr_len + f->len;
	struct iovec seg[2 * NET_SEGS], hdr_seg;
	struct virtio_net_hdr_v1 hdr = f->hdr;
	struct net_place to = { seg, 0 }, from;
	unsigned int n, k = gather(g, need);

	if (!k)
		return false;
	n = list_segs(g, k, seg, vhk_array_size(seg));
	if (sum_of(seg, n) < need) {
		pass_over(g);
		return false;
	}
	to.off = 0;
	from = (struct net_place){ f->seg, f->off };
	hdr_seg = (struct iovec){ &hdr, g->rx->hdr_len };
	{
		struct net_place skip = { seg, 0 }, zero = { &hdr_seg, 0 };

		net_copy_segs(&skip, &zero, g->rx->hdr_len);
		to = skip;
	}
	net_copy_segs(&to, &from, f->len);
	finish_sum(g->rx, &hdr, f->len, seg, n);
	hdr.num_buffers = htole16((uint16_t)k);
	to = (struct net_place){ seg, 0 };
	from = (struct net_place){ &hdr_seg, 0 };
	net_copy_segs(&to, &from, g->rx->hdr_len);
	count_written(g, k, need);
	g->used += k;
	return true;
}

/* @w is one of ours, without num_buffers. */
static inline struct net_words in_one_buffer(struct net_words w)
{
	const struct virtio_net_hdr_v1 one = { .num_buffers = htole16(1) };

	w.tail |= net_words(&one).tail;
	return w;
}

/* One segment on both sides. */
static inline bool give_one(struct vhk_chain *c, const struct net_frame *f, struct net_words w,
			    unsigned int hdr_len)
{
	const struct iovec *to = c->seg + c->n_out;

	if (vhk_unlikely(c->n_in != 1 || f->n_seg != 1 || (c->flags & VHK_CHAIN_F_FAULT) ||
			 to->iov_len < hdr_len + f->len))
		return false;
	net_copy((char *)to->iov_base + hdr_len, (const char *)f->seg->iov_base + f->off, f->len);
	put_header(to->iov_base, in_one_buffer(w), hdr_len);
	c->written = hdr_len + f->len;
	return true;
}

static bool give_summed(struct net_give *g, const struct net_frame *f)
{
	if (f->hdr.flags && !(guest_of(g->rx) & NET_F(GUEST_CSUM)))
		return false;
	if (!give_one(g->chain[g->used], f, net_words(&f->hdr), g->rx->hdr_len))
		return false;
	g->used++;
	return true;
}

bool vhk_net_give(struct net_give *g, const struct net_frame *f)
{
	enum vhk_net_drop why;

	g->seen++;
	if (vhk_unlikely(!plain(g, f))) {
		why = judge(g, f);
		if (why != VHK_NET_DROPS)
			goto drop;
	}
	why = VHK_NET_DROP_ROOM;
	if (vhk_unlikely(!vhk_net_give_room(g, 1)))
		goto drop;
	if (vhk_unlikely(!give_summed(g, f)) && !give_any(g, f))
		goto drop;
	g->packets++;
	g->bytes += f->len;
	return true;
drop:
	vhk_net_dropped(g->rx, why, 1);
	return false;
}

/*
 * The short way, for packets that put nothing off and lie in one piece, into buffers that do: up to
 * the first that is another, whose number is returned.
 */
static unsigned int give_plain(struct net_give *g, const struct net_frame *f, unsigned int n)
{
	const unsigned int hdr_len = g->rx->hdr_len, max_len = g->rx->net->max_len;
	struct vhk_chain **c = g->chain + g->used;
	struct net_words w;
	uint64_t bytes = 0;
	unsigned int i;

	if (!g->link || g->filter)
		return 0;
	n = vhk_min(n, g->n - g->used);
	for (i = 0; i < n; i++, f++) {
		w = net_words(&f->hdr);
		if (w.head || f->len < ETH_HLEN || f->len > max_len ||
		    !give_one(c[i], f, w, hdr_len))
			break;
		bytes += f->len;
	}
	g->used += i;
	g->seen += i;
	g->packets += i;
	g->bytes += bytes;
	return i;
}

unsigned int vhk_net_give_some(struct net_give *g, const struct net_frame *f, unsigned int n)
{
	const unsigned int k = give_plain(g, f, n);

	if (vhk_likely(k))
		return k;
	vhk_net_give(g, f);
	return 1;
}

unsigned int vhk_net_deliver(struct net_queue *rx, const struct net_frame *f, unsigned int n)
{
	struct net_give g;
	unsigned int i;

	vhk_net_give_begin(&g, rx, vhk_min(n, (unsigned int)NET_BATCH));
	for (i = 0; i < n;)
		i += vhk_net_give_some(&g, f + i, n - i);
	vhk_net_give_end(&g);
	return (unsigned int)g.packets;
}
