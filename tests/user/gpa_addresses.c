// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * GPA_ADDRESSES: memory and rings are named by guest addresses alone, on the wire, by the library's
 * front end, and to its back end.
 */
#include "t_both.h"
#include "t_types.h"
#include "t_user.h"

static void round_trip(uint64_t without, bool want, uint64_t features)
{
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = 64, .gpa = { 0x1000000 } };
	struct t_both both;
	struct t_types types;
	struct vhk_done done;
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	unsigned char *buf;
	struct iovec seg[2];
	unsigned int i;

	t_types_init(&types);
	t_both_open(&both, types.dev, NULL,
		    (struct vhk_ctl_opts){ .also = VHK_PF_GPA_ADDRESSES, .without = without });
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 8192, (void **)&buf));
	features |= VHK_F_VERSION_1;
	T_MUST(!vhk_ctl_setup(both.ctl, features, features, mem));
	T_EQ(!!(vhk_ctl_protocol_features(both.ctl) & VHK_PF_GPA_ADDRESSES), want);
	vo.features = vhk_ctl_features(both.ctl);
	T_MUST(!vhk_vq_new(&vq, mem, &vo));
	/* shares the queue's memory first */
	T_MUST(!vhk_ctl_start(both.ctl, 0, vq));
	for (i = 0; i < 20; i++) {
		seg[0] = (struct iovec){ buf, 16 };
		seg[1] = (struct iovec){ buf + 4096, 32 };
		T_MUST(!vhk_vq_add(vq, seg, 1, 1, vq));
		if (vhk_vq_publish(vq) > 0)
			T_EQ(vhk_ctl_kick(both.ctl, 0), 0);
		while (!vhk_vq_get(vq, &done, 1))
			T_MUST(!vhk_ctl_wait(both.ctl, 0, 10 * T_SECOND));
		T_EQ(done.written, 32);
	}
	t_both_close(&both);
	t_types_fini(&types);
	vhk_vq_free(vq);
	vhk_mem_free(mem);
}

static void by_slots(void)
{
	round_trip(0, true, 0);
}

static void by_table(void)
{
	round_trip(VHK_PF_CONFIGURE_MEM_SLOTS, true, 0);
}

static void left_out(void)
{
	round_trip(VHK_PF_GPA_ADDRESSES, false, 0);
}

/* What is missed is answered with guest addresses, too. */
static void behind_an_iommu(void)
{
	round_trip(0, true, VHK_F_ACCESS_PLATFORM);
	round_trip(VHK_PF_CONFIGURE_MEM_SLOTS, true, VHK_F_ACCESS_PLATFORM);
	round_trip(VHK_PF_GPA_ADDRESSES, false, VHK_F_ACCESS_PLATFORM);
}

/* What the user addresses of regions say does not matter: all the same, wrapping around. */
static void user_addresses_say_nothing(void)
{
	struct vhk_user_vring_addr addr = { .index = 0 };
	struct vhk_user_mem_table t = { .n = 2 };
	struct vhk_user_mem_reg reg = { 0 };
	struct vhk_region r;
	uint64_t protocol;
	struct t_user u;
	int fd[2];
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES);
	T_OK(protocol & VHK_USER_PF(GPA_ADDRESSES));
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
	T_MUST(!vhk_mem_get(u.mem, 0, &r, &fd[0]));
	fd[1] = fd[0];
	for (i = 0; i < 2; i++) {
		t.region[i] = t_wire_region(&r);
		t.region[i].gpa = T_GPA * (i + 1);
		t.region[i].uva = UINT64_MAX;
	}
	T_EQ(t_ask_fds(&u, VHK_USER_SET_MEM_TABLE, &t, 8 + 2 * 32, fd, 2), 0);
	reg.region = t.region[0];
	reg.region.gpa = T_GPA * 3;
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), fd, 1), 0);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
	addr.desc = 3 * T_GPA;
	addr.avail = 2 * T_GPA;
	addr.used = T_GPA;
	T_EQ(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	addr.used = (uintptr_t)u.buf;
	T_OK(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)) != 0);
	/* guest addresses still may not overlap or wrap */
	T_OK(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), fd, 1) != 0);
	reg.region.gpa = UINT64_MAX - 10;
	T_OK(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), fd, 1) != 0);
	t.region[1].gpa = t.region[0].gpa;
	T_OK(t_ask_fds(&u, VHK_USER_SET_MEM_TABLE, &t, 8 + 2 * 32, fd, 2) != 0);
	reg.region.gpa = T_GPA * 3;
	T_EQ(t_ask(&u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg)), 0);
	t_alive(&u);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN(by_slots);
	T_RUN(by_table);
	T_RUN(left_out);
	T_RUN(behind_an_iommu);
	T_RUN(user_addresses_say_nothing);
	return t_end();
}
