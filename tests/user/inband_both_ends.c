// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end whose queues are started, kicked and called by messages alone, against a back end of
 * the library's.
 */
#include "t_both.h"
#include "t_types.h"

#define ALSO VHK_PF_INBAND_NOTIFICATIONS
#define N 300

static unsigned int n_calls, n_errors;

static void on_call(void *arg, unsigned int idx)
{
	(void)arg;
	T_EQ(idx, 1);
	n_calls++;
}

static void on_error(void *arg, unsigned int idx)
{
	(void)arg;
	T_EQ(idx, 1);
	n_errors++;
}

static const struct vhk_ctl_back back = {
	.sz = sizeof(back),
	.call = on_call,
	.error = on_error,
};

struct fixture {
	struct t_both both;
	struct t_types types;
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	unsigned char *buf;
};

static void fixture_init(struct fixture *f, uint64_t features)
{
	struct vhk_vq_opts o = {
		.sz = sizeof(o), .size = 64, .features = features, .gpa = { 0x1000000 }
	};

	n_calls = n_errors = 0;
	t_types_init(&f->types);
	t_both_open(&f->both, f->types.dev, NULL,
		    (struct vhk_ctl_opts){ .also = ALSO, .back = &back });
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_mem_alloc(f->mem, (struct vhk_gpa){ 0 }, 8192, (void **)&f->buf));
	T_MUST(!vhk_ctl_setup(f->both.ctl, features, VHK_F_VERSION_1, f->mem));
	T_OK(vhk_ctl_protocol_features(f->both.ctl) & ALSO);
	T_MUST(!vhk_vq_new(&f->vq, f->mem, &o));
	T_MUST(!vhk_ctl_start(f->both.ctl, 1, f->vq));
}

static void fixture_fini(struct fixture *f)
{
	t_both_close(&f->both);
	t_types_fini(&f->types);
	vhk_vq_free(f->vq);
	vhk_mem_free(f->mem);
}

static int echo(struct fixture *f)
{
	struct iovec seg[2] = { { f->buf, 16 }, { f->buf + 4096, 32 } };
	struct vhk_done done;
	int ret;

	T_MUST(!vhk_vq_add(f->vq, seg, 1, 1, f));
	ret = vhk_vq_publish(f->vq) > 0 ? vhk_ctl_kick(f->both.ctl, 1) : 0;
	while (!ret && !vhk_vq_get(f->vq, &done, 1))
		ret = vhk_ctl_wait(f->both.ctl, 1, 10 * T_SECOND);
	return ret;
}

static void round_trips(uint64_t features)
{
	struct fixture f;
	uint32_t base;
	unsigned int i;

	fixture_init(&f, features);
	for (i = 0; i < N; i++)
		T_MUST(!echo(&f));
	T_OK(n_calls > 0 && n_calls <= N + 1);
	T_EQ(vhk_ctl_stop(f.both.ctl, 1, &base), 0);
	T_MUST(!vhk_ctl_start(f.both.ctl, 1, f.vq));
	T_EQ(echo(&f), 0);
	T_EQ(n_errors, 0);
	fixture_fini(&f);
}

static void split(void)
{
	round_trips(VHK_F_VERSION_1);
}

static void packed_event_idx(void)
{
	round_trips(VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX);
}

/* Many kicks without waiting: one is on its way at most, and none is lost. */
static void kicks_without_waiting(void)
{
	struct iovec seg[2];
	struct vhk_done done;
	struct fixture f;
	unsigned int i;
	int n = 0, got;

	fixture_init(&f, VHK_F_VERSION_1);
	for (i = 0; i < 30; i++) {
		seg[0] = (struct iovec){ f.buf, 16 };
		seg[1] = (struct iovec){ f.buf + 4096, 32 };
		T_MUST(!vhk_vq_add(f.vq, seg, 1, 1, &f));
		vhk_vq_publish(f.vq);
		T_EQ(vhk_ctl_kick(f.both.ctl, 1), 0);
	}
	while (n < 30) {
		got = vhk_vq_get(f.vq, &done, 1);
		T_MUST(got >= 0);
		n += got;
		if (!got)
			T_MUST(!vhk_ctl_wait(f.both.ctl, 1, 10 * T_SECOND));
	}
	/* closed with one under way */
	T_EQ(vhk_ctl_kick(f.both.ctl, 1), 0);
	fixture_fini(&f);
}

static void broken_ring(void)
{
	struct vhk_vq_addr a;
	struct fixture f;
	uint16_t *avail;

	fixture_init(&f, VHK_F_VERSION_1);
	T_MUST(!vhk_vq_addr(f.vq, &a));
	avail = (uint16_t *)a.driver;
	avail[2 + avail[1] % 64] = 64;
	__atomic_store_n(&avail[1], (uint16_t)(avail[1] + 1), __ATOMIC_RELEASE);
	T_EQ(vhk_ctl_kick(f.both.ctl, 1), 0);
	T_EQ(vhk_ctl_wait(f.both.ctl, 1, 10 * T_SECOND), -EBADMSG);
	T_EQ(n_errors, 1);
	T_EQ(vhk_ctl_fault(f.both.ctl, 1), -EBADMSG);
	T_EQ(vhk_ctl_fault(f.both.ctl, 5), -EBUSY);
	fixture_fini(&f);
}

int main(void)
{
	T_RUN(split);
	T_RUN(packed_event_idx);
	T_RUN(kicks_without_waiting);
	T_RUN(broken_ring);
	return t_end();
}
