// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Whatever makes an object and cannot says why, and leaves NULL where the object would have been,
 * which every way of freeing it accepts.
 */
#include <vhostkit/backend.h>
#include <vhostkit/blk.h>
#include <vhostkit/ctl.h>
#include <vhostkit/vq.h>

#include "loop.h"
#include "ring.h"
#include "t.h"

/* Options that are longer than any that the library knows of, and not zero there. */
static union {
	size_t sz;
	unsigned char bytes[1024];
} strange;

static struct vhk_loop *loop;
static struct vhk_mem *mem;
static int nothing;

#define BOGUS ((void *)&nothing)

static void refused(const char *what, int ret, const void *out)
{
	if (ret >= 0 || out)
		printf("# %s\n", what);
	T_OK(ret < 0);
	T_OK(!out);
}

static void unknown_options_leave_null(void)
{
	struct vhk_backend *b = BOGUS;
	struct vhk_device *d = BOGUS;
	struct vhk_loop *l = BOGUS;
	struct vhk_ring *r = BOGUS;
	struct vhk_ctl *c = BOGUS;
	struct vhk_vq *q = BOGUS;
	int ret, fds = t_count_fds();

	ret = vhk_loop_new(&l, (void *)&strange);
	refused("loop", ret, l);
	ret = vhk_ring_new(&r, mem, (void *)&strange);
	refused("ring", ret, r);
	ret = vhk_vq_new(&q, mem, (void *)&strange);
	refused("vq", ret, q);
	ret = vhk_blk_new(&d, (void *)&strange);
	refused("blk", ret, d);
	d = BOGUS;
	ret = vhk_device_new(&d, (void *)&strange, (void *)&strange, NULL);
	refused("device", ret, d);
	ret = vhk_ctl_open(&c, "unix:/nowhere", (void *)&strange);
	refused("ctl", ret, c);
	c = BOGUS;
	ret = vhk_ctl_open(&c, "nowhere", NULL);
	refused("ctl with a strange address", ret, c);
	ret = vhk_backend_listen(&b, loop, NULL, "/nowhere/at/all", (void *)&strange);
	refused("backend", ret, b);
	vhk_loop_free(l);
	vhk_ring_free(r);
	vhk_vq_free(q);
	vhk_device_free(d);
	vhk_ctl_close(c);
	vhk_backend_close(b);
	T_EQ(t_count_fds(), fds);
}

static void no_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	(void)priv;
	(void)q;
	(void)c;
	(void)n;
}

static void values_leave_null(void)
{
	struct vhk_loop_opts lo = { .sz = sizeof(lo), .engine = (enum vhk_loop_engine)77 };
	struct vhk_ring_opts ro = { .sz = sizeof(ro), .size = 3 };
	struct vhk_blk_opts bo = { .sz = sizeof(bo), .path = "/nowhere/at/all" };
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = 3 };
	const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = no_work };
	struct vhk_device_info di = { .sz = sizeof(di), .n_queues = 1, .queue_size = 8,
				      .features = VHK_F_NOTIFICATION_DATA };
	struct vhk_device *d = BOGUS;
	struct vhk_loop *l = BOGUS;
	struct vhk_ring *r = BOGUS;
	struct vhk_vq *q = BOGUS;
	int ret, fds = t_count_fds();

	ret = vhk_loop_new(&l, &lo);
	refused("loop", ret, l);
	ret = vhk_ring_new(&r, mem, &ro);
	refused("ring", ret, r);
	ret = vhk_vq_new(&q, mem, &vo);
	refused("vq", ret, q);
	ret = vhk_blk_new(&d, &bo);
	refused("blk", ret, d);
	d = BOGUS;
	ret = vhk_device_new(&d, &di, &ops, NULL);
	refused("device whose kicks would carry data", ret, d);
	di.features = 0;
	T_EQ(vhk_device_new(&d, &di, &ops, NULL), 0);
	vhk_device_free(d);
	T_EQ(t_count_fds(), fds);
}

int main(void)
{
	memset(&strange, 0xff, sizeof(strange));
	strange.sz = sizeof(strange);
	T_MUST(!vhk_loop_new(&loop, NULL) && !vhk_mem_new(&mem));
	T_RUN(unknown_options_leave_null);
	T_RUN(values_leave_null);
	vhk_mem_free(mem);
	vhk_loop_free(loop);
	return t_end();
}
