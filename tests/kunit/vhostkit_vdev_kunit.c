// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations of the vDPA bus, on a device whose queues do nothing: every state that requests
 * lead to, with every request, held against a model of it; the config space; address spaces.
 */
#include "t_kunit.h"

#undef free
#define VHK_TRACE_H
#include "../../kmod/vdev.h"

static inline void trace_vhk_kick(const struct vhk_vq *vq) { }
static inline void trace_vhk_call(const struct vhk_vq *vq) { }
static inline void trace_vhk_reset(const struct vhk_dev *dev) { }
static inline void trace_vhk_map(const struct vhk_dev *dev, u32 asid, u64 iova, u64 size, u32 perm,
				 int ret) { }

void vhk_debugfs_add(struct vhk_dev *dev) { }
void vhk_debugfs_del(struct vhk_dev *dev) { }
void vhk_charge_set(struct vhk_charge *c) { }
void vhk_charge_drop(struct vhk_charge *c) { }

#include <linux/cc_platform.h>

static bool t_encrypted;
#define cc_platform_has(attr) t_encrypted

#include "../user/kernel/kring.h"

#include "../../kmod/status.c"
#undef KNOWN
#include "../../kmod/vq.c"
#include "../../kmod/vdev.c"

#define N_VQS 3
#define VQ 1 /* that the requests are for */
#define OTHER 0

static struct {
	unsigned int started, stopped, kicked, config_told;
	unsigned int fail_init_at; /* counts down; 0: none fails */
	unsigned int offset, len;  /* of the last write to the config space */
	unsigned int writes;
} seen;

static int q_init(struct vhk_vq *vq)
{
	if (seen.fail_init_at && !--seen.fail_init_at)
		return -ENOMEM;
	return 0;
}

static void q_fini(struct vhk_vq *vq)
{
	T_EQ(vq->state, VHK_VQ_IDLE);
}

static void q_start(struct vhk_vq *vq)
{
	T_EQ(vq->state, VHK_VQ_IDLE);
	vhk_vq_set_state(vq, VHK_VQ_RUNNING);
	seen.started++;
}

static void q_stop(struct vhk_vq *vq)
{
	T_EQ(vq->state, VHK_VQ_RUNNING);
	vhk_vq_set_state(vq, VHK_VQ_IDLE);
	seen.stopped++;
}

static void q_kick(struct vhk_vq *vq)
{
	seen.kicked++;
}

static const struct vhk_queue_ops q_ops = {
	.reads = true,
	.init = q_init,
	.fini = q_fini,
	.start = q_start,
	.stop = q_stop,
	.kick = q_kick,
};

/* The last queue is in a group of its own. */
static u32 d_group(const struct vhk_vq *vq)
{
	return vq->index == N_VQS - 1;
}

#define BAD_FEATURE BIT_ULL(5)

static int d_check_features(u64 features)
{
	return features & BAD_FEATURE ? -EINVAL : 0;
}

static void d_config(struct vhk_dev *dev, unsigned int offset, const void *buf, unsigned int len)
{
	seen.offset = offset;
	seen.len = len;
	seen.writes += len != 0;
}

static const struct vhk_dev_ops d_ops = {
	.id = 2,
	.queues = &q_ops,
	.group = d_group,
	.check_features = d_check_features,
	.config = d_config,
};

static irqreturn_t config_told(void *private)
{
	seen.config_told++;
	return IRQ_HANDLED;
}

static struct vhk_dev *begin(void)
{
	struct vhk_dev *dev = kunit_kzalloc(t_test, sizeof(*dev), GFP_KERNEL);

	T_MUST(dev);
	memset(&seen, 0, sizeof(seen));
	dev->vdpa.ngroups = 2;
	dev->vdpa.nas = VHK_MAX_AS;
	dev->max_queue_size = 64;
	dev->max_segs = 4;
	dev->offered = NEEDED | BAD_FEATURE | BIT_ULL(VIRTIO_F_RING_PACKED);
	dev->config_size = 100;
	T_EQ(vhk_dev_init(dev, &d_ops, N_VQS), 0);
	return dev;
}

static void end(struct vhk_dev *dev)
{
	vhk_dev_stop(dev);
	kvfree(dev->vqs);
	T_EQ(seen.started, seen.stopped);
	T_EQ(t_page_refs(), 0);
}

/* What a device must be like, and what changes it. */
struct model {
	u8 status;
	bool features, ready, suspended, running;
};

#define AD (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define FO VIRTIO_CONFIG_S_FEATURES_OK
#define DO VIRTIO_CONFIG_S_DRIVER_OK
#define FA VIRTIO_CONFIG_S_FAILED
#define NR VIRTIO_CONFIG_S_NEEDS_RESET

enum request {
	SET_AD, SET_FO, SET_DO, SET_FA, SET_ALL, SET_NOTHING,
	FEATURES, NO_FEATURES, UNKNOWN_FEATURES, BAD_FEATURES,
	READY, NOT_READY, SUSPEND, RESUME, RESET, BREAK,
	SET_POS, GET_POS, ADDRESS, NUM, KICK, GROUP, MAP, UNMAP, RESET_MAP,
	N_REQUESTS
};

static bool model_runs(const struct model *m)
{
	return m->ready && !m->suspended && m->status & DO && !(m->status & (FA | NR));
}

static int model_status(struct model *m, u8 want)
{
	u8 next = m->status | want;

	if (!(m->status & FO) && !m->features)
		next &= ~FO;
	if (!(next & FO))
		next &= ~DO;
	m->status = next;
	m->running |= model_runs(m);
	return 0;
}

static int model_features(struct model *m, bool on, int ret)
{
	if (m->status & FO)
		return -EBUSY;
	if (!ret)
		m->features = on;
	return ret;
}

static int model_step(struct model *m, enum request r)
{
	switch (r) {
	case SET_AD:
		return model_status(m, AD);
	case SET_FO:
		return model_status(m, AD | FO);
	case SET_DO:
		return model_status(m, AD | DO);
	case SET_FA:
		return model_status(m, FA);
	case SET_ALL:
		return model_status(m, AD | FO | DO);
	case SET_NOTHING:
		return model_status(m, 0);
	case FEATURES:
		return model_features(m, true, 0);
	case NO_FEATURES:
		return model_features(m, false, 0);
	case UNKNOWN_FEATURES:
	case BAD_FEATURES:
		return model_features(m, false, -EINVAL);
	case READY:
		m->ready = true;
		m->running |= model_runs(m);
		return 0;
	case NOT_READY:
		m->ready = false;
		m->running = false;
		return 0;
	case SUSPEND:
		m->suspended = true;
		m->running = false;
		return 0;
	case RESUME:
		m->suspended = false;
		m->running |= model_runs(m);
		return 0;
	case RESET:
		*m = (struct model){ };
		return 0;
	case BREAK:
		/* A device that was reset meanwhile has nothing to complain about. */
		if (m->status)
			m->status |= NR;
		return 0;
	case SET_POS:
	case GET_POS:
	case ADDRESS:
		return m->running ? -EBUSY : 0;
	case GROUP:
		return m->status & DO ? -EBUSY : 0;
	default:
		return 0;
	}
}

static int do_status(struct vdpa_device *v, u8 status)
{
	op_set_status(v, status);
	return 0;
}

static int do_ready(struct vdpa_device *v, bool on)
{
	op_set_vq_ready(v, VQ, on);
	return 0;
}

static int do_step(struct vhk_dev *dev, enum request r)
{
	struct vdpa_vq_state pos = { };
	struct vdpa_device *v = &dev->vdpa;

	switch (r) {
	case SET_AD:
		return do_status(v, AD);
	case SET_FO:
		return do_status(v, AD | FO);
	case SET_DO:
		return do_status(v, AD | DO);
	case SET_FA:
		return do_status(v, FA);
	case SET_ALL:
		/* The last bit is the device's to set. */
		return do_status(v, AD | FO | DO | NR);
	case SET_NOTHING:
		return do_status(v, 0);
	case FEATURES:
		return op_set_driver_features(v, NEEDED);
	case NO_FEATURES:
		return op_set_driver_features(v, 0);
	case UNKNOWN_FEATURES:
		return op_set_driver_features(v, NEEDED | BIT_ULL(6));
	case BAD_FEATURES:
		return op_set_driver_features(v, NEEDED | BAD_FEATURE);
	case READY:
		return do_ready(v, true);
	case NOT_READY:
		return do_ready(v, false);
	case SUSPEND:
		return op_suspend(v);
	case RESUME:
		return op_resume(v);
	case RESET:
		return op_reset(v);
	case BREAK:
		vhk_dev_needs_reset(dev);
		return 0;
	case SET_POS:
		return op_set_vq_state(v, VQ, &pos);
	case GET_POS:
		return op_get_vq_state(v, VQ, &pos);
	case ADDRESS:
		return op_set_vq_address(v, VQ, 0, 0, 0);
	case NUM:
		op_set_vq_num(v, VQ, 64);
		return 0;
	case KICK:
		op_kick_vq(v, VQ);
		return 0;
	case GROUP:
		return op_set_group_asid(v, 1, 0);
	case MAP:
		return op_dma_map(v, 1, 0x1000, PAGE_SIZE, virt_to_phys(t_arena), VHK_MAY_READ,
				  NULL);
	case UNMAP:
		return op_dma_unmap(v, 1, 0x1000, PAGE_SIZE);
	case RESET_MAP:
		return op_reset_map(v, 1);
	default:
		return -ENOTTY;
	}
}

/* What was mapped goes again at once: mappings are no part of the state. */
static int take(struct vhk_dev *dev, enum request r)
{
	const int ret = do_step(dev, r);

	if (r == MAP && !ret)
		T_EQ(do_step(dev, UNMAP), 0);
	return ret;
}

static bool same(struct vhk_dev *dev, const struct model *m)
{
	return op_get_status(&dev->vdpa) == m->status &&
	       op_get_driver_features(&dev->vdpa) == (m->features ? NEEDED : 0) &&
	       op_get_vq_ready(&dev->vdpa, VQ) == m->ready && dev->suspended == m->suspended &&
	       (dev->vqs[VQ].state == VHK_VQ_RUNNING) == m->running &&
	       dev->vqs[OTHER].state == VHK_VQ_IDLE;
}

/* Each state once, with the way to it: from which one, and by which request. */
struct place {
	struct model m;
	u16 from;
	u8 by;
};

#define MAX_PLACES 512

static void go(struct vhk_dev *dev, const struct place *places, u16 to)
{
	u8 way[32];
	int n = 0;

	for (; to; to = places[to].from)
		way[n++] = places[to].by;
	take(dev, RESET);
	while (n)
		take(dev, way[--n]);
}

static unsigned int find_place(const struct place *places, unsigned int n, const struct model *m)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!memcmp(&places[i].m, m, sizeof(*m)))
			break;
	return i;
}

static void tell_place(const struct model *m, unsigned int r)
{
	KUNIT_FAIL(t_test, "request %u, status %#x features %u ready %u suspended %u running %u\n",
		   r, m->status, m->features, m->ready, m->suspended, m->running);
}

static void every_state_with_every_request(void)
{
	struct place *places = kunit_kcalloc(t_test, MAX_PLACES, sizeof(*places), GFP_KERNEL);
	struct vhk_dev *dev = begin();
	unsigned int i, r, k, n = 1;

	T_MUST(places);
	for (i = 0; i < n; i++) {
		for (r = 0; r < N_REQUESTS; r++) {
			struct model m = places[i].m;
			const int want = model_step(&m, r);

			go(dev, places, i);
			if (!same(dev, &places[i].m) || take(dev, r) != want || !same(dev, &m))
				tell_place(&places[i].m, r);
			k = find_place(places, n, &m);
			if (k < n)
				continue;
			T_MUST(n < MAX_PLACES);
			places[n++] = (struct place){ .m = m, .from = i, .by = r };
		}
		cond_resched();
	}
	printf("%u states, %u requests\n", n, N_REQUESTS);
	T_OK(n > 50);
	take(dev, RESET);
	end(dev);
}

static void running(struct vhk_dev *dev, u64 features)
{
	take(dev, RESET);
	T_EQ(op_set_driver_features(&dev->vdpa, features), 0);
	take(dev, READY);
	take(dev, SET_ALL);
	T_EQ(dev->vqs[VQ].state, VHK_VQ_RUNNING);
}

/* A ring that cannot be is the driver's mistake: the device says that it needs a reset. */
static void a_ring_that_cannot_be_needs_a_reset(void)
{
	struct vdpa_callback cb = { .callback = config_told };
	struct vhk_dev *dev = begin();
	struct vdpa_device *v = &dev->vdpa;

	op_set_config_cb(v, &cb);
	T_EQ(op_set_driver_features(v, NEEDED), 0);
	T_EQ(op_set_vq_address(v, VQ, 1, 0, 0), 0);
	take(dev, READY);
	T_EQ(seen.config_told, 0);
	take(dev, SET_ALL);
	T_EQ(op_get_status(v), AD | FO | DO | NR);
	T_EQ(seen.config_told, 1);
	T_EQ(seen.started, 0);
	T_EQ(op_get_generation(v), 1);
	/* It is said once, and not at all to nobody. */
	take(dev, BREAK);
	T_EQ(seen.config_told, 1);
	take(dev, RESET);
	take(dev, BREAK);
	T_EQ(op_get_status(v), 0);
	/* A reset forgets who was to be told, and where the ring was. */
	running(dev, NEEDED);
	take(dev, BREAK);
	T_EQ(seen.config_told, 1);
	take(dev, RESET);
	end(dev);
}

static void positions_are_kept(void)
{
	struct vdpa_vq_state pos = { .split.avail_index = 7 }, got = { };
	struct vhk_dev *dev = begin();
	struct vdpa_device *v = &dev->vdpa;

	T_EQ(op_set_driver_features(v, NEEDED), 0);
	T_EQ(op_set_vq_state(v, VQ, &pos), 0);
	take(dev, READY);
	take(dev, SET_ALL);
	T_EQ(op_get_vq_state(v, VQ, &got), -EBUSY);
	take(dev, SUSPEND);
	T_EQ(op_get_vq_state(v, VQ, &got), 0);
	T_EQ(got.split.avail_index, 7);
	take(dev, RESUME);
	take(dev, NOT_READY);
	T_EQ(op_get_vq_state(v, VQ, &got), 0);
	T_EQ(got.split.avail_index, 7);
	take(dev, RESET);
	T_EQ(op_get_vq_state(v, VQ, &got), 0);
	T_EQ(got.split.avail_index, 0);

	pos = (struct vdpa_vq_state){ .packed = { .last_avail_idx = 9, .last_avail_counter = 1,
						  .last_used_idx = 9, .last_used_counter = 1 } };
	T_EQ(op_set_driver_features(v, NEEDED | BIT_ULL(VIRTIO_F_RING_PACKED)), 0);
	T_EQ(op_set_vq_state(v, VQ, &pos), 0);
	take(dev, READY);
	take(dev, SET_ALL);
	T_EQ(dev->vqs[VQ].state, VHK_VQ_RUNNING);
	take(dev, SUSPEND);
	T_EQ(op_get_vq_state(v, VQ, &got), 0);
	T_OK(!memcmp(&got.packed, &pos.packed, sizeof(got.packed)));
	take(dev, RESET);
	end(dev);
}

static void sizes_that_cannot_be_are_not_taken(void)
{
	static const struct {
		u32 num, want;
	} cases[] = { { 16, 16 }, { 0, 16 }, { 65, 16 }, { U32_MAX, 16 }, { 64, 64 }, { 1, 1 } };
	struct vhk_dev *dev = begin();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		op_set_vq_num(&dev->vdpa, VQ, cases[i].num);
		T_EQ(dev->vqs[VQ].num, cases[i].want);
	}
	take(dev, RESET);
	T_EQ(dev->vqs[VQ].num, 64);
	running(dev, NEEDED);
	op_set_vq_num(&dev->vdpa, VQ, 8);
	T_EQ(dev->vqs[VQ].num, 64);
	take(dev, RESET);
	end(dev);
}

static void groups_have_spaces_of_their_own(void)
{
	struct vhk_dev *dev = begin();
	struct vdpa_device *v = &dev->vdpa;

	T_EQ(op_get_vq_group(v, VQ), 0);
	T_EQ(op_get_vq_group(v, N_VQS - 1), 1);
	T_EQ(op_set_group_asid(v, 2, 0), -EINVAL);
	T_EQ(op_set_group_asid(v, 0, 2), -EINVAL);
	T_EQ(op_set_group_asid(v, U32_MAX, U32_MAX), -EINVAL);
	T_EQ(op_set_group_asid(v, 1, 1), 0);
	T_OK(vhk_vq_map(&dev->vqs[VQ]) == &dev->maps[0]);
	T_OK(vhk_vq_map(&dev->vqs[N_VQS - 1]) == &dev->maps[1]);
	T_EQ(op_dma_map(v, 2, 0, PAGE_SIZE, virt_to_phys(t_arena), VHK_MAY_READ, NULL), -EINVAL);
	T_EQ(op_dma_unmap(v, 2, 0, PAGE_SIZE), -EINVAL);
	T_EQ(op_reset_map(v, 2), -EINVAL);
	T_EQ(op_dma_map(v, 0, 0, PAGE_SIZE, virt_to_phys(t_arena), VHK_MAY_READ, NULL), 0);
	T_EQ(op_dma_map(v, 1, 0, PAGE_SIZE, virt_to_phys(t_arena), VHK_MAY_READ, NULL), 0);
	T_EQ(t_page_refs(), 2);
	/* One space is cleared, and a reset clears none, but gives each group the first again. */
	T_EQ(op_reset_map(v, 1), 0);
	T_EQ(t_page_refs(), 1);
	take(dev, RESET);
	T_EQ(t_page_refs(), 1);
	T_OK(vhk_vq_map(&dev->vqs[N_VQS - 1]) == &dev->maps[0]);
	end(dev);
}

/* Only virtio-vdpa's addresses are those of this kernel. */
static void identity_is_for_a_driver_of_this_kernel(void)
{
	const u64 both = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct device_driver drv = { .name = "vhost_vdpa" };
	struct vhk_dev *dev = begin();

	dev->offered |= both;
	running(dev, both);
	T_OK(!dev->maps[0].is_identity);
	take(dev, RESET);
	dev->vdpa.dev.driver = &drv;
	take(dev, RESET);
	T_EQ(op_get_device_features(&dev->vdpa) & both, both);
	running(dev, both);
	T_OK(!dev->maps[0].is_identity);
	drv.name = "virtio_vdpa";
	take(dev, RESET);
	T_EQ(op_get_device_features(&dev->vdpa) & both, BIT_ULL(VIRTIO_F_VERSION_1));
	running(dev, BIT_ULL(VIRTIO_F_VERSION_1));
	T_OK(dev->maps[0].is_identity && !dev->maps[1].is_identity);
	take(dev, RESET);
	T_OK(!dev->maps[0].is_identity);
	dev->vdpa.dev.driver = NULL;
	end(dev);
}

/* Addresses that are not memory's are refused where the driver sees it, and nothing runs. */
static void other_addresses_of_this_kernel_are_refused(void)
{
	static const struct dma_map_ops other = { };
	const u64 asks = NEEDED | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct device_driver drv = { .name = "virtio_vdpa" };
	struct vhk_dev *dev = begin();
	struct vhk_dev_ops card = *dev->ops;
	int i;

	/* A disk of this kernel's does not offer it. */
	card.id = VIRTIO_ID_NET;
	dev->ops = &card;
	dev->vdpa.dev.driver = &drv;
	dev->offered |= asks;
	for (i = 0; i < 2; i++) {
		t_encrypted = !i;
		set_dma_ops(&dev->vdpa.dev, i ? &other : NULL);
		/* There are kernels without such operations. */
		if (i && !get_dma_ops(&dev->vdpa.dev))
			break;
		take(dev, RESET);
		T_EQ(op_set_driver_features(&dev->vdpa, asks), -EOPNOTSUPP);
		T_EQ(op_get_driver_features(&dev->vdpa), 0);
		take(dev, READY);
		take(dev, SET_ALL);
		T_EQ(op_get_status(&dev->vdpa), AD);
		T_EQ(dev->vqs[VQ].state, VHK_VQ_IDLE);
		/* Who asks no platform gives addresses of memory. Who maps is not concerned. */
		take(dev, RESET);
		T_EQ(op_set_driver_features(&dev->vdpa, NEEDED), 0);
		drv.name = "vhost_vdpa";
		running(dev, asks);
		drv.name = "virtio_vdpa";
	}
	t_encrypted = false;
	set_dma_ops(&dev->vdpa.dev, NULL);
	take(dev, RESET);
	T_EQ(op_set_driver_features(&dev->vdpa, asks), 0);
	dev->vdpa.dev.driver = NULL;
	end(dev);
}

static void the_config_space_has_an_end(void)
{
	static const struct {
		unsigned int offset, len;
		bool in;
	} cases[] = {
		{ 0, 100, true },	   { 99, 1, true },	      { 0, 1, true },
		{ 0, 101, false },	   { 100, 1, false },	      { 99, 2, false },
		{ 101, 1, false },	   { UINT_MAX, 1, false },    { UINT_MAX - 1, 4, false },
		{ VHK_CONFIG_MAX, 1, false }, { 4, UINT_MAX - 2, false },
	};
	struct vhk_dev *dev = begin();
	unsigned int i, k;
	u8 buf[128];

	T_EQ(op_get_config_size(&dev->vdpa), 100);
	memset(dev->config, 0xa5, sizeof(dev->config));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const unsigned int len = cases[i].len;

		seen.writes = 0;
		op_set_config(&dev->vdpa, cases[i].offset, buf, len);
		T_EQ(seen.writes, cases[i].in);
		if (len > sizeof(buf))
			continue;
		/* What is not there reads as zero, and nothing behind is written. */
		memset(buf, 0x5a, sizeof(buf));
		op_get_config(&dev->vdpa, cases[i].offset, buf, len);
		for (k = 0; k < sizeof(buf); k++)
			T_EQ(buf[k], k >= len ? 0x5a : cases[i].in ? 0xa5 : 0);
	}
	seen.writes = 0;
	op_set_config(&dev->vdpa, 3, buf, 0);
	T_EQ(seen.writes, 0);
	op_set_config(&dev->vdpa, 3, buf, 7);
	T_EQ(seen.offset, 3);
	T_EQ(seen.len, 7);
	end(dev);
}

static void changes_of_the_config_are_told(void)
{
	struct vdpa_callback cb = { .callback = config_told }, none = { };
	struct vhk_dev *dev = begin();
	const u32 value = 0x01020304;
	u32 got;

	op_set_config_cb(&dev->vdpa, &cb);
	vhk_dev_set_config(dev, 8, &value, sizeof(value));
	T_EQ(seen.config_told, 1);
	T_EQ(op_get_generation(&dev->vdpa), 1);
	op_get_config(&dev->vdpa, 8, &got, sizeof(got));
	T_EQ(got, value);
	op_set_config_cb(&dev->vdpa, &none);
	vhk_dev_config_changed(dev);
	T_EQ(seen.config_told, 1);
	T_EQ(op_get_generation(&dev->vdpa), 2);
	end(dev);
}

/* Each queue's part of it, and what they stand on. */
static void half_a_device_goes_whole(void)
{
	unsigned int i;

	for (i = 1; i <= N_VQS; i++) {
		struct vhk_dev *dev = kunit_kzalloc(t_test, sizeof(*dev), GFP_KERNEL);

		T_MUST(dev);
		seen.fail_init_at = i;
		dev->max_queue_size = 64;
		dev->max_segs = 4;
		T_EQ(vhk_dev_init(dev, &d_ops, N_VQS), -ENOMEM);
		kvfree(dev->vqs);
	}
	for (i = 1; i <= 1 + 2 * N_VQS; i++) {
		struct vhk_dev *dev = kunit_kzalloc(t_test, sizeof(*dev), GFP_KERNEL);

		T_MUST(dev);
		dev->max_queue_size = 64;
		dev->max_segs = 4;
		t_allocs = 0;
		t_alloc_fails = i;
		T_EQ(vhk_dev_init(dev, &d_ops, N_VQS), -ENOMEM);
		t_alloc_fails = 0;
		kvfree(dev->vqs);
	}
}

T_CASE(every_state_with_every_request)
T_CASE(a_ring_that_cannot_be_needs_a_reset)
T_CASE(positions_are_kept)
T_CASE(sizes_that_cannot_be_are_not_taken)
T_CASE(groups_have_spaces_of_their_own)
T_CASE(identity_is_for_a_driver_of_this_kernel)
T_CASE(other_addresses_of_this_kernel_are_refused)
T_CASE(the_config_space_has_an_end)
T_CASE(changes_of_the_config_are_told)
T_CASE(half_a_device_goes_whole)

T_SUITE("vhostkit_vdev",
	T_ENTRY(every_state_with_every_request),
	T_ENTRY(a_ring_that_cannot_be_needs_a_reset),
	T_ENTRY(positions_are_kept),
	T_ENTRY(sizes_that_cannot_be_are_not_taken),
	T_ENTRY(groups_have_spaces_of_their_own),
	T_ENTRY(identity_is_for_a_driver_of_this_kernel),
	T_ENTRY(other_addresses_of_this_kernel_are_refused),
	T_ENTRY(the_config_space_has_an_end),
	T_ENTRY(changes_of_the_config_are_told),
	T_ENTRY(half_a_device_goes_whole));
