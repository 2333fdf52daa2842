// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Calls that are held back: one tells of many answers, at last when nothing is in hand or the time
 * is over; a request alone is called for at once, and a queue that stops owes nothing.
 */
#include "device_impl.h"
#include "t_device.h"

#define LONG_NS 1000000000u
#define SHORT_NS 2000000u
#define N 10

static uint64_t calls(struct rig *r)
{
	uint64_t n = 0;

	return read(r->drv.call, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void settle(struct rig *r)
{
	while (vhk_loop_step(r->door.ctl, 1000000) > 0)
		;
}

static void start(struct rig *r, uint64_t features, uint64_t delay_ns)
{
	rig_init(r, VHK_LOOP_AUTO, 0, features);
	r->echo.dev->call_delay_ns = delay_ns;
	rig_start(r);
	settle(r);
	calls(r); /* that of the start */
}

static const uint64_t layouts[] = {
	VHK_F_VERSION_1,
	VHK_F_VERSION_1 | VHK_F_EVENT_IDX,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX,
};

static void alone_is_at_once(void)
{
	struct rig r;
	size_t i;
	int k;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		start(&r, layouts[i], LONG_NS);
		for (k = 0; k < 3; k++) {
			vhk_vq_arm(r.drv.vq);
			driver_send(&r.drv, 1);
			settle(&r);
			T_EQ(calls(&r), 1);
			T_EQ(driver_take(&r.drv), 1);
		}
		rig_stop(&r);
		rig_fini(&r);
	}
}

/* The driver asks for a call after each answer, and gets one. */
static void one_for_many(void)
{
	struct rig r;
	unsigned int k;
	uint64_t begin, n;
	size_t i;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		start(&r, layouts[i], LONG_NS);
		r.echo.hold[0] = true;
		vhk_vq_arm(r.drv.vq);
		for (k = 0; k < N; k++)
			driver_send(&r.drv, (unsigned char)k);
		settle(&r);
		T_EQ(r.echo.n_held[0], N);
		begin = t_now_ns();
		for (k = 0, n = 0; k < N; k++) {
			n += calls(&r);
			/* A machine that was away for the whole time is excused. */
			T_OK(n == 0 || t_now_ns() - begin > LONG_NS / 2);
			echo_answer(r.echo.queue[0], r.echo.held[0][k]);
			settle(&r);
			T_EQ(driver_take(&r.drv), 1);
			vhk_vq_arm(r.drv.vq);
		}
		T_OK(n + calls(&r) >= 1);
		rig_stop(&r);
		rig_fini(&r);
	}
}

static void time_is_bounded(void)
{
	struct rig r;
	uint64_t end;
	size_t i;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		start(&r, layouts[i], SHORT_NS);
		r.echo.hold[0] = true;
		vhk_vq_arm(r.drv.vq);
		driver_send(&r.drv, 1);
		driver_send(&r.drv, 2);
		settle(&r);
		T_EQ(r.echo.n_held[0], 2);
		echo_answer(r.echo.queue[0], r.echo.held[0][0]);
		for (end = t_now_ns() + 5000000000u; !calls(&r) && t_now_ns() < end;)
			vhk_loop_step(r.door.ctl, SHORT_NS);
		T_OK(t_now_ns() < end);
		T_EQ(driver_take(&r.drv), 1);
		echo_answer(r.echo.queue[0], r.echo.held[0][1]);
		rig_stop(&r);
		rig_fini(&r);
	}
}

static void stopping_calls(void)
{
	struct rig r;
	size_t i;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		start(&r, layouts[i], LONG_NS);
		r.echo.hold[0] = true;
		vhk_vq_arm(r.drv.vq);
		driver_send(&r.drv, 1);
		driver_send(&r.drv, 2);
		settle(&r);
		echo_answer(r.echo.queue[0], r.echo.held[0][0]);
		settle(&r);
		echo_answer(r.echo.queue[0], r.echo.held[0][1]);
		rig_stop(&r);
		T_OK(calls(&r) >= 1);
		T_EQ(driver_take(&r.drv), 2);
		rig_fini(&r);
	}
}

static void refuses(void)
{
	struct rig r;
	struct echo e;

	echo_new(&e);
	T_EQ(vhk_device_set_call_delay(e.dev, 1000000), 0);
	T_EQ(e.dev->call_delay_ns, 1000000000u);
	T_EQ(vhk_device_set_call_delay(e.dev, 1000001), -EINVAL);
	T_EQ(vhk_device_set_call_delay(e.dev, 0), 0);
	T_EQ(e.dev->call_delay_ns, 0);
	vhk_device_free(e.dev);
	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	T_EQ(vhk_device_set_call_delay(r.echo.dev, 1), -EBUSY);
	rig_fini(&r);
}

int main(void)
{
	T_RUN(alone_is_at_once);
	T_RUN(one_for_many);
	T_RUN(time_is_bounded);
	T_RUN(stopping_calls);
	T_RUN(refuses);
	return t_end();
}
