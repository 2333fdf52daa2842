// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Queues that are not as was negotiated, and one ring as two queues: refused before anything is
 * sent, with a line that says what is wrong.
 */
#include "t_peer_lives.h"
#include "t_said_line.h"

#define F VHK_F_VERSION_1
#define ALL (VHK_F_RING_PACKED | VHK_F_EVENT_IDX | VHK_F_IN_ORDER | VHK_F_INDIRECT_DESC)

static const struct {
	uint64_t negotiated, made;
	int want;
	const char *said;
} cases[] = {
	{ 0, 0, 0, NULL },
	{ ALL, ALL, 0, NULL },
	{ ALL, ALL & ~VHK_F_INDIRECT_DESC, 0, NULL },
	{ 0, VHK_F_INDIRECT_DESC, -EINVAL,
	  "queue 1 is made for INDIRECT_DESC, which was not negotiated" },
	{ VHK_F_EVENT_IDX, 0, -EINVAL, "queue 1 is made without EVENT_IDX, which was negotiated" },
	{ 0, VHK_F_EVENT_IDX, -EINVAL, "queue 1 is made for EVENT_IDX, which was not negotiated" },
	{ VHK_F_IN_ORDER, 0, -EINVAL, "queue 1 is made without IN_ORDER, which was negotiated" },
	{ 0, VHK_F_IN_ORDER, -EINVAL, "queue 1 is made for IN_ORDER, which was not negotiated" },
	{ VHK_F_RING_PACKED, 0, -EINVAL,
	  "queue 1 is made without RING_PACKED, which was negotiated" },
	{ VHK_F_EVENT_IDX, VHK_F_RING_PACKED, -EINVAL,
	  "queue 1 is made for RING_PACKED, which was not negotiated" },
};

static struct t_lives lives;
static struct vhk_mem *mem;
static struct vhk_ctl *ctl;

static void begin(const struct t_life *life, uint64_t features)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 20000,
					.log = t_said_log() };

	t_lives_start(&lives, life, 1);
	T_MUST(!vhk_mem_new(&mem) && !vhk_ctl_open(&ctl, lives.uri, &o));
	T_MUST(!vhk_ctl_setup(ctl, features, features, mem));
	t_lines[0] = 0;
}

static void end(void)
{
	vhk_ctl_close(ctl);
	t_lives_end(&lives);
}

static struct vhk_vq *new_vq(uint64_t features, unsigned int i)
{
	const struct vhk_vq_opts o = { .sz = sizeof(o), .size = 16, .max_indirect = 4,
				       .features = features,
				       .gpa = { 0x1000000ull * (i + 1) } };
	struct vhk_vq *q;

	T_MUST(!vhk_vq_new(&q, mem, &o));
	T_EQ(vhk_vq_features(q), features & ALL);
	return q;
}

static void other_features(void)
{
	const struct t_life life = { F | ALL | VHK_F_PROTOCOL_FEATURES,
				     VHK_PF_REPLY_ACK | VHK_PF_CONFIGURE_MEM_SLOTS, 2, 509 };
	struct vhk_vq *q[2];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&life, F | cases[i].negotiated);
		q[0] = new_vq(F | cases[i].negotiated, 0);
		q[1] = new_vq(F | cases[i].made, 1);
		T_EQ(vhk_ctl_start_all(ctl, q, 2), cases[i].want);
		if (cases[i].said)
			T_SAID(cases[i].said);
		/* and nothing runs: not the one that is right, either */
		T_EQ(vhk_ctl_start(ctl, 0, q[0]), cases[i].want ? 0 : -EBUSY);
		end();
		vhk_vq_free(q[0]);
		vhk_vq_free(q[1]);
		vhk_mem_free(mem);
	}
}

static void one_ring_as_two_queues(void)
{
	const struct t_life life = { F | VHK_F_PROTOCOL_FEATURES, VHK_PF_REPLY_ACK, 2, 0 };
	struct vhk_vq *q[2];

	begin(&life, F);
	q[0] = q[1] = new_vq(F, 0);
	T_EQ(vhk_ctl_start_all(ctl, q, 2), -EBUSY);
	T_SAID("queue 1 has the ring of queue 0");
	T_EQ(vhk_ctl_start(ctl, 0, q[0]), 0);
	T_EQ(vhk_ctl_start(ctl, 1, q[0]), -EBUSY);
	T_SAID("queue 1 has the ring of queue 0");
	T_EQ(vhk_ctl_stop(ctl, 0, NULL), 0);
	T_EQ(vhk_ctl_start(ctl, 1, q[0]), 0);
	end();
	vhk_vq_free(q[0]);
	vhk_mem_free(mem);
}

int main(void)
{
	T_RUN(other_features);
	T_RUN(one_ring_as_two_queues);
	return t_end();
}
