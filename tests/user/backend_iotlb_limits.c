// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end behind an IOMMU and a front end that goes to the limits: what it may say wrong, more
 * translations than are kept, sessions and channels that end at any time.
 */
#include "t_iotlb.h"

static void what_a_front_end_may_not_say(void)
{
	const uint64_t high = 1ull << 40;
	struct front f;
	uint64_t uva;
	size_t i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	uva = uva_of(&f, data_iova(&f));
	const struct vhk_user_iotlb refused[] = {
		message(UPDATE, high, 0, uva, RW),
		message(UPDATE, 0, 0, uva, RW),
		message(UPDATE, high, PAGE, uva, 0),
		message(UPDATE, high, PAGE, uva, RW + 1),
		message(UPDATE, high, PAGE, 0, RW),
		message(UPDATE, high, UINT64_MAX - high, uva, RW),
		message(UPDATE, UINT64_MAX, 2, uva, RW),
		message(UPDATE, high, 2, UINT64_MAX, RW),
		message(UPDATE, high, T_BUF_SIZE, uva, RW),
		message(INVALIDATE, high, 0, 0, 0),
		message(INVALIDATE, UINT64_MAX, 2, 0, 0),
		message(MISS, high, PAGE, 0, RO),
		message(VHK_IOTLB_ACCESS_FAIL, high, PAGE, 0, RO),
		message(VHK_IOTLB_BATCH_BEGIN, 0, 0, 0, 0),
		message(0, high, PAGE, uva, RW),
		message(255, high, PAGE, uva, RW),
	};
	for (i = 0; i < vhk_array_size(refused); i++)
		T_OK(t_ask(&f.u, VHK_USER_IOTLB_MSG, &refused[i], sizeof(refused[i])) != 0);
	echo(&f, &f.r, 3);
	/* one that lies over others, cut in pieces, and the pieces again */
	for (i = 0; i < 8; i++) {
		T_EQ(iotlb(&f, UPDATE, high, 8 * PAGE, uva, RW), 0);
		T_EQ(iotlb(&f, UPDATE, high + i * PAGE, PAGE, uva, RO), 0);
		T_EQ(iotlb(&f, INVALIDATE, high + i * PAGE + 1, PAGE, 0, 0), 0);
	}
	T_EQ(iotlb(&f, UPDATE, UINT64_MAX, 1, uva, RO), 0);
	T_EQ(iotlb(&f, INVALIDATE, UINT64_MAX, 1, 0, 0), 0);
	echo(&f, &f.r, 3);
	end(&f);
}

/* So many, apart from each other; sent without waiting for each answer. */
static void fill(struct front *f, unsigned int n)
{
	const uint64_t uva = uva_of(f, data_iova(f));
	struct vhk_user_iotlb m;
	unsigned int i, sent;

	for (i = 0; i < n; i += sent) {
		for (sent = 0; sent < 50 && i + sent < n; sent++) {
			m = message(UPDATE, (1ull << 40) + (i + sent) * 2 * PAGE, PAGE, uva, RW);
			t_send(&f->u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
		}
		for (sent = 0; sent < 50 && i + sent < n; sent++)
			take_u64(f, VHK_USER_IOTLB_MSG, 0);
	}
}

/* The cache is full to the last one, and the translation in use is cut in two. */
static void a_full_cache_forgets_nothing_in_use(void)
{
	const uint64_t one = 1;
	struct iovec seg[2];
	struct vhk_region r;
	struct front f;
	unsigned int i, n;

	begin(&f, FEATURES);
	n = vhk_mem_count(f.u.mem);
	for (i = 0; i < n; i++) {
		T_MUST(!vhk_mem_get(f.u.mem, i, &r, NULL));
		T_EQ(iotlb(&f, UPDATE, r.gpa.v, r.size, r.uva.v, RW), 0);
	}
	start(&f, &f.r);
	fill(&f, VHK_IOTLB_LIMIT - 2 - n);
	T_EQ(iotlb(&f, UPDATE, (1ull << 40) + 16, 16, uva_of(&f, data_iova(&f)), RO), 0);
	f.u.echo.hold = true;
	seg[0] = (struct iovec){ f.u.buf + 4 * PAGE, 16 };
	seg[1] = (struct iovec){ f.u.buf + 5 * PAGE, 32 };
	T_MUST(!vhk_vq_add(f.r.vq, seg, 1, 1, &f.r));
	vhk_vq_publish(f.r.vq);
	T_MUST(write(f.r.kick, &one, sizeof(one)) == sizeof(one));
	SERVE_UNTIL(&f, f.u.echo.n_held == 1);
	T_EQ(f.n_misses, 0);
	/* a place below that of the chain, then the chain's */
	send_invalidate(&f, data_iova(&f), PAGE);
	send_invalidate(&f, iova_of(&f, seg[1].iov_base), PAGE);
	t_settle(&f.u);
	T_OK(!t_readable(f.u.fd, 20));
	t_echo_release(&f.u.echo);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	SERVE_UNTIL(&f, get(&f.r));
	echo(&f, &f.r, 3);
	end(&f);
}

/* More than are kept: sent without waiting for each answer. */
static void translations_without_end(void)
{
	const unsigned int n = VHK_IOTLB_LIMIT + 3000, burst = 50;
	struct vhk_user_iotlb m;
	struct front f;
	unsigned int i, k;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	for (i = 0; i < n; i += burst) {
		for (k = i; k < i + burst; k++) {
			m = message(UPDATE, (1ull << 40) + k * 2 * PAGE, PAGE,
				    uva_of(&f, data_iova(&f)), RO);
			t_send(&f.u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
		}
		for (k = 0; k < burst; k++)
			take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	}
	echo(&f, &f.r, 3);
	f.u.echo.hold = true;
	t_ring_add(&f.u, &f.r);
	SERVE_UNTIL(&f, f.u.echo.n_held == 1);
	/* what is forgotten may be in use: every invalidation waits for everybody */
	send_invalidate(&f, 1ull << 50, PAGE);
	t_settle(&f.u);
	T_OK(!t_readable(f.u.fd, 20));
	t_echo_release(&f.u.echo);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	end(&f);
}

static void sessions_end_at_any_time(void)
{
	unsigned int k, fds = 0;
	struct front f;

	for (k = 0; k < 12; k++) {
		begin(&f, layouts[k % vhk_array_size(layouts)]);
		start(&f, &f.r);
		if (k % 4 == 0)
			take_miss(&f);
		else
			echo(&f, &f.r, 2);
		if (k % 4 == 2) {
			T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
			t_ring_add(&f.u, &f.r);
			take_miss(&f);
		} else if (k % 4 == 3) {
			f.u.echo.hold = true;
			t_ring_add(&f.u, &f.r);
			T_UNTIL(&f.u, f.u.echo.n_held == 1);
			send_invalidate(&f, 0, 0);
			t_settle(&f.u);
		}
		t_user_hang_up(&f.u);
		if (k % 4 == 3) {
			t_settle(&f.u);
			t_echo_release(&f.u.echo);
		}
		T_UNTIL(&f.u, f.u.n_down == 1);
		end(&f);
		if (k < 4)
			fds = (unsigned int)t_count_fds();
		T_EQ(t_count_fds(), fds);
	}
}

/* A question is put again on a channel that takes the place of one that is gone. */
static void another_channel_hears_of_the_miss(void)
{
	struct vhk_user_iotlb m;
	struct front f;
	int former;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
	t_ring_add(&f.u, &f.r);
	m = take_miss(&f);
	former = f.channel;
	send_channel(&f);
	T_EQ(take_miss(&f).iova, m.iova);
	T_EQ(map(&f, m.iova, RW), 0);
	answer(&f, 0);
	SERVE_UNTIL(&f, get(&f.r));
	close(former);
	end(&f);
}

/* Without a channel there are no misses, so there are no IOVAs. */
static void without_a_channel_addresses_are_plain(void)
{
	struct vhk_user_iotlb m = message(INVALIDATE, 0, 0, 0, 0);
	struct front f;
	uint64_t protocol;

	memset(&f, 0, sizeof(f));
	t_user_init(&f.u, VHK_LOOP_AUTO);
	t_user_open(&f.u);
	protocol = t_get_u64(&f.u, VHK_USER_GET_PROTOCOL_FEATURES);
	protocol = VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(MQ);
	t_send(&f.u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	T_EQ(t_ask_u64(&f.u, VHK_USER_SET_FEATURES, FEATURES), 0);
	t_ring_init(&f.u, &f.r, 0, FEATURES);
	T_EQ(t_ask_mem_table(&f.u), 0);
	T_OK(t_ask(&f.u, VHK_USER_IOTLB_MSG, &m, sizeof(m)) != 0);
	t_ring_start(&f.u, &f.r, f.r.kick);
	t_ring_echo(&f.u, &f.r, 5);
	t_ring_fini(&f.r);
	t_user_fini(&f.u);
}

int main(void)
{
	T_RUN(what_a_front_end_may_not_say);
	T_RUN(a_full_cache_forgets_nothing_in_use);
	T_RUN(translations_without_end);
	T_RUN(sessions_end_at_any_time);
	T_RUN(another_channel_hears_of_the_miss);
	T_RUN(without_a_channel_addresses_are_plain);
	return t_end();
}
