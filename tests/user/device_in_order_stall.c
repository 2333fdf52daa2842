// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * IN_ORDER, with chains so long that segment blocks run out: a queue that waits for blocks goes on
 * when requests behind a slow one are answered, though nothing can be published before that one.
 */
#include "t_device.h"

#define SENT 200
#define SEGS 6

static void send_long(struct driver *d)
{
	struct iovec seg[SEGS];
	unsigned int i;

	for (i = 0; i < SEGS; i++)
		seg[i] = (struct iovec){ d->buf + i * ECHO_BUF, ECHO_BUF };
	T_EQ(vhk_vq_add(d->vq, seg, SEGS / 2, SEGS / 2, d->buf), 0);
}

/* Until the loop sleeps with the queue parked, so that only an answer can set it going. */
static void settle(struct rig *r)
{
	while (vhk_loop_step(r->door.ctl, 1000000) > 0)
		;
}

/* Ten at a time, all but the first. Returns how many have come when no more do. */
static unsigned int answer_behind_the_first(struct rig *r)
{
	unsigned int n = 1, until;

	settle(r);
	while (n < r->echo.n_held[0]) {
		for (until = vhk_min(n + 10, r->echo.n_held[0]); n < until; n++)
			vhk_queue_done(r->echo.queue[0], r->echo.held[0][n], 0);
		settle(r);
	}
	return n;
}

static void goes_on(uint64_t features)
{
	struct vhk_done done[ECHO_SIZE];
	struct rig r;
	unsigned int i;
	int fds = t_count_fds();

	rig_init(&r, VHK_LOOP_AUTO, 0, features | VHK_F_INDIRECT_DESC | VHK_F_IN_ORDER);
	rig_start(&r);
	r.echo.hold[0] = true;
	for (i = 0; i < SENT; i++)
		send_long(&r.drv);
	if (vhk_vq_publish(r.drv.vq) > 0)
		driver_kick(&r.drv);
	settle(&r);
	T_OK(r.echo.n_held[0] > 1 && r.echo.n_held[0] < SENT);
	T_EQ(answer_behind_the_first(&r), SENT);
	T_EQ(vhk_vq_get(r.drv.vq, done, ECHO_SIZE), 0);
	vhk_queue_done(r.echo.queue[0], r.echo.held[0][0], 0);
	rig_stop(&r);
	T_EQ(vhk_vq_get(r.drv.vq, done, ECHO_SIZE), r.echo.n_held[0]);
	rig_fini(&r);
	T_EQ(t_count_fds(), fds);
}

static void goes_on_behind_a_slow_request(void)
{
	static const uint64_t features[] = {
		VHK_F_VERSION_1,
		VHK_F_VERSION_1 | VHK_F_EVENT_IDX,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX,
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(features); i++)
		goes_on(features[i]);
}

int main(void)
{
	T_RUN(goes_on_behind_a_slow_request);
	return t_end();
}
