// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Our back end and a network device of the test's own against a front end that nobody here wrote,
 * DPDK's virtio-user under testpmd, which sends back what it receives: every frame byte by byte,
 * over each form of ring, one pair of queues or several; it is killed under load, in both roles
 * of the socket, and left by the back end.
 */
#include <vhostkit/backend.h>

#include "t_frame.h"
#include "t_testpmd.h"

#define PAIRS 3
#define WINDOW 64 /* frames of a pair on their way */
#define ROOM (T_NET_HDR + T_FRAME_MAX)
#define RING 256
#define FRAMES 1500
#define MRG_RXBUF (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MQ (1ULL << VIRTIO_NET_F_MQ)

struct pair {
	struct vhk_queue *rx; /* the driver's to receive with */
	struct vhk_chain *held[RING];
	unsigned int first, n_held;
	uint32_t sent, got;
	uint32_t seen; /* of got, and since when it has been that */
	uint64_t since;
};

/* The device: sends each pair @target frames, which come back in order. */
struct card {
	struct vhk_device *dev;
	struct vhk_loop *loop;
	struct vhk_backend *be;
	struct pair pair[PAIRS];
	uint64_t features;
	uint32_t target;
	bool drains; /* buffers go back at once: whoever gave them wants to stop */
	bool settled; /* what belongs to a former connection has passed */
	bool lossy;   /* frames under way may be dropped, which DPDK does as it connects again */
	unsigned int n_up, n_down, n_wrong, n_lost;
};

static struct card card;
static struct t_alien pmd;
static char sock[80];

/* Copies to the writable part of a chain, as much as goes in. */
static uint32_t fill(const struct vhk_chain *c, const unsigned char *from, uint32_t len)
{
	uint32_t done = 0, part;
	unsigned int i;

	for (i = c->n_out; i < (unsigned int)c->n_out + c->n_in && done < len; i++, done += part) {
		part = len - done < c->seg[i].iov_len ? len - done : (uint32_t)c->seg[i].iov_len;
		memcpy(c->seg[i].iov_base, from + done, part);
	}
	return done;
}

/* A frame with its header goes into the oldest buffer. */
static void give(struct pair *p, const unsigned char *from, uint32_t len)
{
	struct vhk_chain *c = p->held[p->first++ % RING];

	p->n_held--;
	vhk_queue_done(p->rx, c, fill(c, from, len));
}

/* The next frame; false: it has to wait. */
static bool send_one(unsigned int i)
{
	static unsigned char buf[ROOM];
	const struct virtio_net_hdr_v1 h = { .num_buffers = 1 };
	struct pair *p = &card.pair[i];
	uint32_t len;

	if (p->sent == card.target || !p->n_held || p->sent - p->got >= WINDOW)
		return false;
	len = t_frame_make(buf + T_NET_HDR, i, p->sent++);
	memcpy(buf, &h, T_NET_HDR);
	give(p, buf, T_NET_HDR + len);
	return true;
}

static void pump(unsigned int i)
{
	static const unsigned char nothing[T_NET_HDR + T_FRAME_MIN];
	struct pair *p = &card.pair[i];

	while (send_one(i))
		;
	while (card.drains && p->n_held)
		give(p, nothing, sizeof(nothing));
}

/* One that was sent behind those that are missing. */
static bool is_later(unsigned int i, const unsigned char *frame, uint32_t len)
{
	struct pair *p = &card.pair[i];
	uint32_t n = p->got + 1;

	while (n < p->sent && !t_frame_is(frame, len, i, n))
		n++;
	if (n >= p->sent)
		return false;
	card.n_lost += n - p->got;
	p->got = n + 1;
	return true;
}

static void take(unsigned int i, const struct vhk_chain *c)
{
	static unsigned char buf[ROOM];
	struct pair *p = &card.pair[i];
	uint32_t len = 0;
	unsigned int s;

	if (c->out_len > ROOM) {
		card.n_wrong++;
		return;
	}
	for (s = 0; s < c->n_out; len += (uint32_t)c->seg[s++].iov_len)
		memcpy(buf + len, c->seg[s].iov_base, c->seg[s].iov_len);
	if (len > T_NET_HDR && t_frame_is(buf + T_NET_HDR, len - T_NET_HDR, i, p->got)) {
		p->got++;
		card.settled = true;
	} else if (card.settled && !card.drains &&
		   !(card.lossy && len > T_NET_HDR &&
		     is_later(i, buf + T_NET_HDR, len - T_NET_HDR))) {
		card.n_wrong++;
	}
}

static void card_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	unsigned int i, at = vhk_queue_index(q);
	struct pair *p = &card.pair[at / 2];

	(void)priv;
	for (i = 0; i < n; i++) {
		if (at % 2) {
			take(at / 2, c[i]);
			vhk_queue_done(q, c[i], 0);
		} else {
			p->held[(p->first + p->n_held++) % RING] = c[i];
		}
	}
	pump(at / 2);
}

static int card_start(void *priv, struct vhk_queue *q)
{
	const unsigned int at = vhk_queue_index(q);

	(void)priv;
	card.features = vhk_queue_features(q);
	if (!(at % 2))
		card.pair[at / 2].rx = q;
	return 0;
}

static void on_session(void *arg, bool up)
{
	(void)arg;
	*(up ? &card.n_up : &card.n_down) += 1;
}

static void card_init(unsigned int n_pairs)
{
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = card_work,
						   .queue_start = card_start };
	const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 1,
		.features = VHK_F_RING_ALL | MRG_RXBUF | MQ,
		.n_queues = (uint16_t)(2 * n_pairs),
		.queue_size = RING,
	};

	memset(&card, 0, sizeof(card));
	snprintf(sock, sizeof(sock), "%s/card", t_dir());
	T_MUST(!vhk_loop_new(&card.loop, NULL));
	T_MUST(!vhk_device_new(&card.dev, &info, &ops, NULL));
}

/* Queues come to rest when nothing of them is held. */
static void close_back_end(void)
{
	unsigned int i;

	card.drains = true;
	for (i = 0; i < PAIRS; i++)
		pump(i);
	vhk_backend_close(card.be);
	card.be = NULL;
}

static void card_fini(void)
{
	close_back_end();
	vhk_device_free(card.dev);
	vhk_loop_free(card.loop);
}

static void serve(bool listens)
{
	const struct vhk_backend_opts o = { .sz = sizeof(o), .on_session = on_session };

	T_MUST(!(listens ? vhk_backend_listen : vhk_backend_connect)(&card.be, card.loop, card.dev,
								     sock, &o));
}

/* @options: of virtio-user. */
static void start_pmd(const char *options, unsigned int n_pairs)
{
	char vdev[200];

	snprintf(vdev, sizeof(vdev), "net_virtio_user0,path=%s,queues=%u,queue_size=%d%s%s", sock,
		 n_pairs, RING, n_pairs > 1 ? ",cq=1" : "", options);
	t_testpmd_start(&pmd, vdev, n_pairs, NULL);
}

/* Counts anew from here; frames of before may still come. */
static void begin_to_count(void)
{
	unsigned int i;

	for (i = 0; i < PAIRS; i++) {
		card.pair[i].sent = card.pair[i].got = 0;
		card.pair[i].first = card.pair[i].n_held = 0;
	}
	card.target = 0;
	card.drains = card.settled = card.lossy = false;
	card.n_lost = 0;
}

static bool all_got(unsigned int n_pairs)
{
	unsigned int i;

	for (i = 0; i < n_pairs && card.pair[i].got == card.target; i++)
		;
	return i == n_pairs;
}

/* What has not come back for a while is lost, where anything may be. */
static void miss(struct pair *p, uint64_t now)
{
	if (p->got != p->seen || p->got == p->sent)
		p->since = now;
	p->seen = p->got;
	if (!card.lossy || now - p->since < 2000000000u)
		return;
	card.n_lost += p->sent - p->got;
	p->got = p->sent;
}

/* @count frames more for each pair, there and back. What comes before it forwards is lost. */
static bool echo(unsigned int n_pairs, uint32_t count)
{
	uint64_t end = t_now_ns() + 60000000000u;
	unsigned int i;

	while (!t_alien_says(&pmd, "packets/burst") && t_now_ns() < end)
		T_MUST(vhk_loop_step(card.loop, 10000000) >= 0);
	card.target += count;
	while (!all_got(n_pairs) && t_now_ns() < end && !t_readable(pmd.pidfd, 0)) {
		for (i = 0; i < n_pairs; i++) {
			miss(&card.pair[i], t_now_ns());
			pump(i);
		}
		T_MUST(vhk_loop_step(card.loop, 10000000) >= 0);
	}
	T_EQ(card.n_wrong, 0);
	T_OK(card.n_lost < count / 2);
	if (!all_got(n_pairs))
		for (i = 0; i < n_pairs; i++)
			printf("# pair %u: %u sent, %u came back, %u buffers\n", i,
			       card.pair[i].sent, card.pair[i].got, card.pair[i].n_held);
	if (!all_got(n_pairs))
		t_alien_show(&pmd);
	return all_got(n_pairs);
}

/* Until the front end is gone. */
static bool gone(unsigned int n_down)
{
	uint64_t end = t_now_ns() + 20000000000u;
	unsigned int i;

	card.drains = true;
	while (card.n_down < n_down && t_now_ns() < end) {
		for (i = 0; i < PAIRS; i++)
			pump(i);
		vhk_loop_step(card.loop, 10000000);
	}
	return card.n_down >= n_down;
}

/* By its own command; it stops its queues one by one before it goes. */
static void quit_pmd(void)
{
	const unsigned int down = card.n_down;

	card.drains = true;
	t_alien_tell(&pmd, "quit\n");
	T_OK(gone(down + 1));
	T_EQ(t_alien_end(&pmd, 20000), 0);
}

static const struct {
	const char *options;
	unsigned int n_pairs;
	uint64_t features; /* that it is to take */
} cases[] = {
	{ ",mrg_rxbuf=0,in_order=0", 1, 0 },
	{ ",mrg_rxbuf=1,in_order=0", 1, MRG_RXBUF },
	{ ",mrg_rxbuf=0,in_order=1", 1, VHK_F_IN_ORDER },
	{ ",mrg_rxbuf=1,in_order=1", 1, VHK_F_IN_ORDER | MRG_RXBUF },
	{ ",packed_vq=1,mrg_rxbuf=0,in_order=0", 1, VHK_F_RING_PACKED },
	{ ",packed_vq=1,mrg_rxbuf=1,in_order=0", 1, VHK_F_RING_PACKED | MRG_RXBUF },
	{ ",packed_vq=1,mrg_rxbuf=0,in_order=1", 1,
	  VHK_F_RING_PACKED | VHK_F_IN_ORDER },
	{ ",packed_vq=1,mrg_rxbuf=1,in_order=1", 1,
	  VHK_F_RING_PACKED | VHK_F_IN_ORDER | MRG_RXBUF },
	{ ",mrg_rxbuf=1,in_order=0", PAIRS, MRG_RXBUF | MQ },
	{ ",packed_vq=1,mrg_rxbuf=1,in_order=0", PAIRS,
	  VHK_F_RING_PACKED | MRG_RXBUF | MQ },
};

static void every_form_of_ring(void)
{
	size_t i;

	if (!t_alien_find(TESTPMD))
		T_SKIP("no " TESTPMD);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("# %u pairs%s\n", cases[i].n_pairs, cases[i].options);
		card_init(PAIRS);
		serve(true);
		start_pmd(cases[i].options, cases[i].n_pairs);
		T_OK(echo(cases[i].n_pairs, FRAMES));
		T_EQ(card.features & cases[i].features, cases[i].features);
		quit_pmd();
		card_fini();
	}
}

/* Killed under load, again and again, and the next one is served. */
static void killed(bool listens, const char *options)
{
	unsigned int i, down;

	card_init(1);
	if (listens)
		serve(true);
	for (i = 0; i < 2; i++) {
		begin_to_count();
		start_pmd(options, 1);
		if (!listens && !i)
			serve(false);
		T_OK(echo(1, 1000));
		card.target += 1000;
		pump(0);
		down = card.n_down;
		t_alien_kill(&pmd);
		T_OK(gone(down + 1));
		if (!listens)
			unlink(sock);
	}
	card_fini();
}

static void it_connects_and_is_killed(void)
{
	if (!t_alien_find(TESTPMD))
		T_SKIP("no " TESTPMD);
	killed(true, ",mrg_rxbuf=1");
	killed(true, ",packed_vq=1,mrg_rxbuf=1,in_order=1");
}

static void it_serves_and_is_killed(void)
{
	if (!t_alien_find(TESTPMD))
		T_SKIP("no " TESTPMD);
	killed(false, ",server=1,mrg_rxbuf=1");
	killed(false, ",server=1,packed_vq=1,mrg_rxbuf=1");
}

/* The back end goes, and another one comes to the same front end. */
static void left(const char *options)
{
	unsigned int i;

	card_init(1);
	start_pmd(options, 1);
	for (i = 0; i < 2; i++) {
		begin_to_count();
		card.lossy = i;
		serve(false);
		T_OK(echo(1, 1000));
		close_back_end();
	}
	t_alien_kill(&pmd);
	unlink(sock);
	card_fini();
}

static void it_serves_and_is_left(void)
{
	if (!t_alien_find(TESTPMD))
		T_SKIP("no " TESTPMD);
	left(",server=1,mrg_rxbuf=1,in_order=0");
	left(",server=1,packed_vq=1,mrg_rxbuf=1");
}

int main(void)
{
	T_RUN(every_form_of_ring);
	T_RUN(it_connects_and_is_killed);
	T_RUN(it_serves_and_is_killed);
	T_RUN(it_serves_and_is_left);
	return t_end();
}
