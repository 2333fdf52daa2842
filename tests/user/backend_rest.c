// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A ring that loses its translation during a migration rests until it has another one: what the
 * device works with is not let go of meanwhile, since the machine runs on. It is when the ring
 * stops.
 */
#include <vhostkit/iotlb.h>

#include "t_user.h"

#define FEATURES (T_SPLIT | VHK_F_ACCESS_PLATFORM)
#define LOG_SIZE 0x10000

static struct t_user u;
static struct t_ring ring;
static int channel, bits;

static void iotlb(uint8_t type, uint64_t iova, const struct vhk_region *r)
{
	struct vhk_user_iotlb t = {
		.iova = iova,
		.size = r->size,
		.uaddr = r->uva.v,
		.perm = VHK_IOTLB_PERM_RW,
		.type = type,
	};
	struct vhk_msg m;

	T_MUST(t_get(&u, VHK_USER_IOTLB_MSG, &t, sizeof(t), &m));
	T_EQ(m.u64, 0);
}

/* Ring addresses are those of this process, descriptors hold guest addresses. */
static void each_region(uint8_t type)
{
	struct vhk_region r;
	unsigned int i;

	for (i = 0; i < vhk_mem_count(u.mem); i++) {
		T_MUST(!vhk_mem_get(u.mem, i, &r, NULL));
		iotlb(type, r.gpa.v, &r);
		iotlb(type, r.uva.v, &r);
	}
}

static void open_logged(void)
{
	struct vhk_user_log log = { .size = LOG_SIZE };
	struct vhk_msg m;
	int pair[2];

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, FEATURES | VHK_F_LOG_ALL);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	channel = pair[0];
	t_ring_init(&u, &ring, 0, FEATURES);
	T_EQ(t_ask_mem_table(&u), 0);
	bits = memfd_create("log", MFD_CLOEXEC);
	T_MUST(!ftruncate(bits, LOG_SIZE));
	t_send(&u, VHK_USER_SET_LOG_BASE, 0, &log, sizeof(log), &bits, 1);
	T_MUST(t_recv(&u, &m));
	each_region(VHK_IOTLB_UPDATE);
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 3);
}

static void close_logged(void)
{
	t_ring_fini(&ring);
	t_user_fini(&u);
	close(channel);
	close(bits);
}

static void keeps_what_it_works_with(void)
{
	open_logged();
	T_EQ(u.echo.n_begin, 1);
	each_region(VHK_IOTLB_INVALIDATE);
	T_EQ(u.echo.n_end, 0);
	/* started once more, be it by another fd: it rests all the same */
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, ring.kick), 0);
	T_EQ(u.echo.n_end, 0);
	each_region(VHK_IOTLB_UPDATE);
	t_ring_echo(&u, &ring, 3);
	T_EQ(u.echo.n_begin, 1);
	T_EQ(u.echo.n_end, 0);
	t_stop_ring(&u, 0);
	T_EQ(u.echo.n_end, 1);
	close_logged();
}

static void lets_go_when_its_rest_is_over(void)
{
	open_logged();
	each_region(VHK_IOTLB_INVALIDATE);
	T_EQ(u.echo.n_end, 0);
	t_stop_ring(&u, 0);
	T_EQ(u.echo.n_end, 1);
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	T_EQ(u.echo.n_end, 1);
	close_logged();
}

int main(void)
{
	T_RUN(keeps_what_it_works_with);
	T_RUN(lets_go_when_its_rest_is_over);
	return t_end();
}
