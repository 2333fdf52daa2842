// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A session handed from one back end to another: what goes with it, and what the front end sees of
 * it.
 */
#include "t_over.h"

static void ring_goes_on(uint64_t features)
{
	unsigned int at;
	int fds;

	open_old(features);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 0xf), 0);
	at = u.echo.n_work;
	taken_over();
	T_OK(vhk_backend_is_over(u.be));
	T_OK(!vhk_backend_is_over(heir.be));
	t_ring_echo(&u, &ring, 70);
	T_EQ(u.echo.n_work, at);
	T_EQ(heir.echo.n_work, 70);
	T_EQ(heir.echo.features, features & ~VHK_F_PROTOCOL_FEATURES);
	T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 0xf);
	t_alive(&u);
	/* owned, so not to be owned again */
	T_OK(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0) != 0);
	/* stops where it stands, and goes on from there */
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, t_stop_ring(&u, 0)), 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, ring.kick), 0);
	t_ring_echo(&u, &ring, 3);
	/* the second is as good as the first */
	T_EQ(vhk_backend_hand_over(heir.be, over, on_given, NULL), 0);
	T_EQ(vhk_backend_hand_over(heir.be, over, on_given, NULL), -EBUSY);
	T_EQ(vhk_backend_hand_over(u.be, over, on_given, NULL), -EBUSY);
	fds = t_count_fds();
	T_OK(fds > 0);
	/* the socket is the heir's now */
	t_user_hang_up(&u);
	T_UNTIL(&u, heir.n_down == 1);
	vhk_backend_close(u.be);
	u.be = NULL;
	T_OK(!access(front, F_OK));
	u.fd = dial(front);
	t_alive(&u);
	close_heir();
	T_OK(access(front, F_OK) < 0);
	T_OK(access(over, F_OK) < 0);
	close_old();
}

static void split_ring_goes_on(void)
{
	ring_goes_on(T_SPLIT);
}

static void packed_ring_goes_on(void)
{
	ring_goes_on(T_PACKED);
}

static void step(unsigned int n)
{
	uint64_t protocol;

	switch (n) {
	case 0:
		t_alive(&u);
		return;
	case 1:
		protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES);
		protocol &= ~VHK_USER_PF(GPA_ADDRESSES);
		t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
		return;
	case 2:
		T_EQ(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0), 0);
		return;
	case 3:
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
		return;
	case 4:
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
		return;
	}
}

/* A driver resets its ring, and the server is another one when the ring is started again. */
static void a_ring_is_reset_meanwhile(void)
{
	static const uint64_t layouts[] = { T_SPLIT, T_PACKED };
	struct vhk_user_vring_addr addr;
	struct extras x = { 0 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		open_old(layouts[i]);
		add_extras(&x);
		t_ring_echo(&u, &ring, 100);
		t_stop_ring(&u, 0);
		taken_over();
		vhk_vq_reset(ring.vq, NULL, NULL);
		addr = t_ring_wire_addr(&ring);
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, t_ring_base(&ring)), 0);
		T_EQ(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, ring.kick), 0);
		t_ring_echo(&u, &ring, 70);
		T_EQ(heir.echo.n_work, 70);
		close_extras(&x);
		close_heir();
		close_old();
	}
}

/* A guest that has no driver yet: its front end said little, or nothing. */
static void after_every_step(void)
{
	unsigned int i, k;

	for (i = 0; i <= 5; i++) {
		open_server();
		T_UNTIL(&u, u.n_up == 1);
		for (k = 0; k < i; k++)
			step(k);
		if (i > 1)
			t_alive(&u);
		taken_over();
		for (; k < 5; k++)
			step(k);
		begin_ring(T_SPLIT);
		T_EQ(u.echo.n_work, 0);
		close_heir();
		close_old();
	}
}

/* What the front end sends meanwhile is answered by the one that serves in the end; what the device
 * has in hand is answered first. */
static void nothing_is_lost_meanwhile(void)
{
	struct vhk_msg m;

	open_old(T_SPLIT);
	u.echo.hold = true;
	t_ring_add(&u, &ring);
	T_UNTIL(&u, u.echo.n_held == 1);
	T_MUST(!begin_heir());
	t_settle(&u);
	t_settle(&u);
	t_send(&u, VHK_USER_GET_QUEUE_NUM, 0, NULL, 0, NULL, 0);
	t_ring_add(&u, &ring);
	t_settle(&u);
	T_EQ(n_given, 0);
	T_EQ(u.echo.n_held, 1);
	t_echo_release(&u.echo);
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.hdr.request, VHK_USER_GET_QUEUE_NUM);
	T_EQ(m.u64, T_QUEUES);
	T_OK(t_ring_get(&u, &ring));
	T_OK(t_ring_get(&u, &ring));
	T_EQ(heir.echo.n_work, 1);
	close_heir();
	close_old();
}

/* Half of a message is here: the rest has to come first. */
static void waits_for_whole_messages(void)
{
	struct vhk_msg_hdr h = { VHK_USER_GET_FEATURES, VHK_MSG_VERSION, 0 };
	struct vhk_msg m;

	open_old(T_SPLIT);
	t_send_bytes(u.fd, &h, 5, NULL, 0);
	t_settle(&u);
	T_MUST(!begin_heir());
	t_settle(&u);
	t_settle(&u);
	T_EQ(heir.n_done, 0);
	t_send_bytes(u.fd, (char *)&h + 5, sizeof(h) - 5, NULL, 0);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.u64, T_FEATURES);
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	t_ring_echo(&u, &ring, 3);
	close_heir();
	close_old();
}

static bool is_marked(const struct extras *x, uint64_t gpa)
{
	return x->marks[gpa >> 15] & 1 << ((gpa >> 12) & 7);
}

static void what_else_goes_along(void)
{
	struct extras x;
	struct vhk_msg m;

	open_old(T_SPLIT);
	add_extras(&x);
	/* a question that is answered when the other one serves */
	vhk_device_config_changed(u.echo.dev);
	T_MUST(t_recv_from(&u, x.channel, &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	T_OK(is_marked(&x, T_GPA + 4096));
	T_OK(is_marked(&x, LOG_GPA));
	T_OK(t_readable(x.call, 0));
	vhk_device_config_changed(heir.echo.dev);
	T_MUST(t_recv_from(&u, x.channel, &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
	/* the memory is the same: a region more is one more, and the ring runs on */
	t_ring_echo(&u, &ring, 3);
	vhk_queue_fail(heir.echo.last);
	T_UNTIL(&u, t_readable(x.err, 0));
	close_heir();
	close_extras(&x);
	close_old();
}

/* The driver is told of a configuration space that is not what it was. */
static void other_configuration_is_told(void)
{
	struct extras x;
	struct vhk_msg m;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		open_old(T_SPLIT);
		add_extras(&x);
		T_MUST(!begin_heir());
		heir.echo.config[5] = (unsigned char)(heir.echo.config[5] + i);
		T_UNTIL(&u, heir.n_done && n_given);
		T_EQ(t_readable(x.channel, 0), i);
		if (i)
			T_OK(t_recv_from(&u, x.channel, &m) &&
			     m.hdr.request == VHK_USER_BACK_CONFIG_CHANGE_MSG);
		close_heir();
		close_extras(&x);
		close_old();
	}
}

/* Rings that are kicked by messages, and call by them. */
static void notifications_as_messages(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	uint64_t protocol;
	int channel[2];

	open_old(T_SPLIT);
	t_stop_ring(&u, 0);
	protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES) & ~VHK_USER_PF(GPA_ADDRESSES);
	T_OK(protocol & VHK_USER_PF(INBAND_NOTIFICATIONS));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, t_ring_base(&ring)), 0);
	T_EQ(t_ask(&u, VHK_USER_VRING_KICK, &v, sizeof(v)), 0);
	taken_over();
	vhk_vq_arm(ring.vq);
	t_ring_add(&u, &ring);
	T_EQ(t_ask(&u, VHK_USER_VRING_KICK, &v, sizeof(v)), 0);
	T_OK(t_ring_get(&u, &ring));
	T_EQ(heir.echo.n_work, 1);
	/* the call fd of before is still there */
	T_OK(t_readable(ring.call, 0));
	close_heir();
	close(channel[0]);
	close_old();
}

static void translate(uint64_t iova, const struct vhk_region *r)
{
	struct vhk_user_iotlb t = {
		.iova = iova,
		.size = r->size,
		.uaddr = r->uva.v,
		.perm = VHK_IOTLB_PERM_RW,
		.type = VHK_IOTLB_UPDATE,
	};
	struct vhk_msg m;

	T_MUST(t_get(&u, VHK_USER_IOTLB_MSG, &t, sizeof(t), &m));
	T_EQ(m.u64, 0);
}

/* Translations go along, so the heir has nothing to ask. */
static void behind_an_iommu(void)
{
	const uint64_t features = T_SPLIT | VHK_F_ACCESS_PLATFORM;
	struct vhk_backend_opts o;
	struct vhk_region r;
	int channel[2];
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	n_given = 0;
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, front, &o));
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
	t_negotiate(&u, features);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	t_ring_init(&u, &ring, 0, features);
	T_EQ(t_ask_mem_table(&u), 0);
	for (i = 0; i < vhk_mem_count(u.mem); i++) {
		T_MUST(!vhk_mem_get(u.mem, i, &r, NULL));
		/* descriptors hold guest addresses, the ring's own are what they are here */
		translate(r.gpa.v, &r);
		translate(r.uva.v, &r);
	}
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 3);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	T_EQ(heir.echo.n_work, 3);
	T_OK(!t_readable(channel[0], 0));
	close_heir();
	close(channel[0]);
	close_old();
}

/* No session went along, so none ends either. */
static void nobody_is_served(void)
{
	open_server();
	T_UNTIL(&u, u.n_up == 1);
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	T_MUST(!begin_heir());
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_EQ(heir.n_up, 0);
	T_OK(!heir.ended);
	T_OK(strstr(heir.said, "which served nobody"));
	u.fd = dial(front);
	t_alive(&u);
	T_OK(!heir.ended);
	close_heir();
	t_user_fini(&u);
}

/* @h is refused by what it has, and says so in one line with @why in it. */
static void refused(struct heir *h, const char *why)
{
	T_UNTIL(&u, h->n_done);
	T_OK(h->ret < 0);
	T_EQ(h->log.n[VHK_LOG_ERROR] + h->log.n[VHK_LOG_WARN], 1);
	T_OK(strstr(h->log.last, why));
	if (!strstr(h->log.last, why))
		printf("# %s\n", h->log.last);
	T_EQ(h->n_up, 0);
	T_EQ(n_given, 0);
	vhk_backend_close(h->be);
	vhk_device_free(h->echo.dev);
	t_alive(&u);
}

/* Whoever was offered something would miss it. */
static void what_offers_less(void)
{
	struct vhk_backend_opts o;

	open_server();
	t_alive(&u);
	T_MUST(!begin_heir_at(&heir, front, VHK_F_RING_ALL & ~VHK_F_EVENT_IDX));
	refused(&heir, "features 0x20000000");
	t_user_hang_up(&u);
	vhk_backend_close(u.be);
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER | VHK_BACKEND_F_XEN;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, front, &o));
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
	t_alive(&u);
	T_MUST(!begin_heir());
	refused(&heir, "protocol features 0x20000");
	t_user_fini(&u);
}

/* The socket that front ends come to is known by its file, whoever made it and whatever way leads
 * there. */
static void where_front_ends_come_to(void)
{
	static struct heir third;
	char elsewhere[128], link[128];
	struct vhk_backend_opts o;

	open_server();
	t_alive(&u);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", t_dir());
	snprintf(link, sizeof(link), "%s/link", t_dir());
	T_MUST(!begin_heir_at(&heir, elsewhere, VHK_F_RING_ALL));
	refused(&heir, elsewhere);
	T_MUST(!begin_heir_at(&heir, over, VHK_F_RING_ALL));
	refused(&heir, over);
	/* one that does not know, and the next one does */
	T_MUST(!begin_heir_at(&heir, NULL, VHK_F_RING_ALL));
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_EQ(vhk_backend_hand_over(heir.be, over, on_given, NULL), 0);
	n_given = 0;
	T_MUST(!symlink(front, link));
	T_MUST(!begin_heir_at(&third, link, VHK_F_RING_ALL));
	T_UNTIL(&u, third.n_done && n_given);
	T_EQ(third.ret, 0);
	close_heir();
	t_alive(&u);
	vhk_backend_close(third.be);
	vhk_device_free(third.echo.dev);
	unlink(front);
	/* a listening socket that came as an fd, as systemd's do */
	t_user_hang_up(&u);
	vhk_backend_close(u.be);
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_take_fd(&u.be, u.loop, u.echo.dev, bound_socket(front), &o));
	n_given = 0;
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
	t_alive(&u);
	T_MUST(!begin_heir_at(&heir, elsewhere, VHK_F_RING_ALL));
	refused(&heir, elsewhere);
	T_MUST(!begin_heir());
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	close_heir();
	T_OK(access(front, F_OK) < 0);
	t_user_fini(&u);
}

/* A machine comes to @e, and goes on elsewhere: the device hears that it does. */
static void moves_away(struct t_echo *e)
{
	const unsigned int n = e->n_end_logged;
	struct vhk_backend_opts o = t_user_opts(&u);
	struct extras x;

	u.n_down = 0;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, e->dev, front, &o));
	u.fd = dial(front);
	t_negotiate(&u, T_SPLIT);
	begin_ring(T_SPLIT);
	add_extras(&x);
	t_stop_ring(&u, 0);
	T_EQ(e->n_end_logged, n + 1);
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	vhk_backend_close(u.be);
	u.be = NULL;
	close_extras(&x);
}

static void close_server(void)
{
	t_user_hang_up(&u);
	vhk_backend_close(u.be);
	u.be = NULL;
}

/* While two processes have a device neither lets go of what is the other's as well. One that is
 * served again, by itself, does. */
static void is_its_own_again(void)
{
	struct vhk_msg m;
	int fd;

	/* it was handed over */
	open_server();
	t_alive(&u);
	taken_over();
	close_server();
	close_heir();
	moves_away(&u.echo);
	close_old();
	/* it was not taken over */
	open_server();
	t_alive(&u);
	T_MUST(!begin_heir_at(&heir, over, VHK_F_RING_ALL));
	T_UNTIL(&u, heir.n_done);
	T_OK(heir.ret < 0);
	vhk_backend_close(heir.be);
	heir.be = NULL;
	close_server();
	moves_away(&heir.echo);
	close_heir();
	close_old();
	/* it was closed in the middle, and served nobody */
	open_server();
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	fd = dial(over);
	T_MUST(t_recv_from(&u, fd, &m));
	close_server();
	moves_away(&u.echo);
	close(fd);
	close_old();
}

static void what_cannot_be_opened(void)
{
	struct vhk_backend_opts o;
	char path[128];
	int fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	fds = t_count_fds();
	snprintf(path, sizeof(path), "%s/front", t_dir());
	snprintf(over, sizeof(over), "%s/nobody", t_dir());
	o = t_user_opts(&u);
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, path, &o));
	T_EQ(vhk_backend_hand_over(u.be, over, on_given, NULL), -EOPNOTSUPP);
	vhk_backend_close(u.be);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, path, &o));
	T_OK(vhk_backend_hand_over(u.be, "/nowhere/at/all", on_given, NULL) < 0);
	T_EQ(vhk_backend_hand_over(u.be, path, on_given, NULL), -EADDRINUSE);
	T_EQ(begin_heir(), -ENOENT);
	vhk_device_free(heir.echo.dev);
	over[0] = 0;
	T_OK(begin_heir() < 0);
	vhk_device_free(heir.echo.dev);
	vhk_backend_close(u.be);
	u.be = NULL;
	T_EQ(t_count_fds(), fds);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN_ON_BOTH(split_ring_goes_on);
	T_RUN_ON_BOTH(packed_ring_goes_on);
	T_RUN(a_ring_is_reset_meanwhile);
	T_RUN(after_every_step);
	T_RUN(nothing_is_lost_meanwhile);
	T_RUN(waits_for_whole_messages);
	T_RUN(what_else_goes_along);
	T_RUN(other_configuration_is_told);
	T_RUN(notifications_as_messages);
	T_RUN(behind_an_iommu);
	T_RUN(nobody_is_served);
	T_RUN(what_offers_less);
	T_RUN(where_front_ends_come_to);
	T_RUN(is_its_own_again);
	T_RUN(what_cannot_be_opened);
	return t_end();
}
