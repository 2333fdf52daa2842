// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every change of a running queue, asked for in the control thread and carried out in the loop's:
 * one loop for both, and a loop in a thread of its own. Nothing leaks, each answer comes exactly
 * once.
 */
#include "t_device.h"

/* Answers that come within five seconds, at most @want. */
static unsigned int rig_take(struct rig *r, unsigned int want)
{
	uint64_t end = t_now_ns() + 5000000000u;
	unsigned int got = 0;

	while (got < want && t_now_ns() < end) {
		got += driver_take(&r->drv);
		if (got < want && !vhk_vq_arm(r->drv.vq))
			r->n_data ? (void)t_readable(r->drv.call, 10) :
				    (void)vhk_loop_step(r->door.ctl, 10000000);
		if (t_readable(r->drv.call, 0)) {
			uint64_t v;

			T_EQ(read(r->drv.call, &v, sizeof(v)), sizeof(v));
		}
	}
	return got;
}

static void echo_some(struct rig *r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		driver_send(&r->drv, (unsigned char)i);
	T_EQ(rig_take(r, n), n);
}

static void change_each(struct rig *r)
{
	struct vhk_device *dev = r->echo.dev;
	struct vhk_table *t;
	int i;

	rig_start(r);
	echo_some(r, 30);
	for (i = 0; i < 3; i++) {
		T_EQ(vhk_device_set_call(dev, 0, dup(r->drv.call), door_answer, &r->door), 0);
		T_EQ(vhk_device_set_call(dev, 0, dup(r->drv.call), door_answer, &r->door), -EBUSY);
		T_EQ(door_wait(&r->door), 0);
		T_EQ(vhk_device_set_kick(dev, 0, dup(r->drv.kick), door_answer, &r->door), 0);
		T_EQ(door_wait(&r->door), 0);
		T_EQ(vhk_device_set_err(dev, 0, dup(r->drv.err), door_answer, &r->door), 0);
		T_EQ(door_wait(&r->door), 0);
		echo_some(r, 30);
	}
	T_EQ(vhk_device_set_enabled(dev, 0, false, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
	driver_send(&r->drv, 7);
	T_EQ(driver_take(&r->drv), 0);
	T_EQ(vhk_device_set_enabled(dev, 0, true, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
	T_EQ(rig_take(r, 1), 1);
	t = vhk_mem_table(r->drv.mem);
	T_OK(t);
	vhk_table_put(t);
	rig_stop(r);
	rig_start(r);
	echo_some(r, 10);
	rig_stop(r);
	T_EQ(r->echo.starts, 2);
	T_EQ(r->echo.stops, 2);
	T_EQ(r->door.errors, 0);
}

static void every_change(void)
{
	static const uint64_t features[] = {
		VHK_F_VERSION_1,
		VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX | VHK_F_IN_ORDER,
	};
	unsigned int i, engine, threaded;
	int fds = t_count_fds();

	for (i = 0; i < vhk_array_size(features); i++)
		for (engine = VHK_LOOP_IO_URING; engine <= VHK_LOOP_EPOLL; engine++)
			for (threaded = 0; threaded < 2; threaded++) {
				struct rig r;

				rig_init(&r, (enum vhk_loop_engine)engine, threaded, features[i]);
				change_each(&r);
				rig_fini(&r);
			}
	T_EQ(t_count_fds(), fds);
}

/* Stopping waits for what the device has in hand, and the base says that all of it was answered. */
static void stop_drains(void)
{
	struct rig r;
	int i;

	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	rig_start(&r);
	rig_hold(&r, 5);
	T_EQ(vhk_device_stop_queue(r.echo.dev, 0, door_answer, &r.door), 0);
	for (i = 0; i < 20; i++)
		vhk_loop_step(r.door.ctl, 0);
	T_EQ(r.door.answers, 1);
	echo_let_go(&r.echo, 0);
	T_EQ(door_wait(&r.door), 0);
	T_EQ(r.door.base, 5);
	T_EQ(driver_take(&r.drv), 5);
	rig_fini(&r);
}

/* The gauge is written where answers are published, and the last ones may go another way. */
static void nothing_is_in_flight_after_a_stop(void)
{
	struct vhk_queue_stats stats;
	struct rig r;

	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	rig_start(&r);
	rig_hold(&r, 6);
	echo_answer(r.echo.queue[0], r.echo.held[0][--r.echo.n_held[0]]);
	vhk_loop_step(r.door.ctl, 0);
	T_EQ(vhk_device_stats(r.echo.dev, 0, &stats), 0);
	T_EQ(stats.in_flight, 5);
	T_EQ(vhk_device_stop_queue(r.echo.dev, 0, door_answer, &r.door), 0);
	vhk_loop_step(r.door.ctl, 0);
	echo_let_go(&r.echo, 0);
	T_EQ(door_wait(&r.door), 0);
	T_EQ(vhk_device_stats(r.echo.dev, 0, &stats), 0);
	T_EQ(stats.in_flight, 0);
	rig_fini(&r);
}

/* The answer to a change is a node inside the device. */
static void a_device_stays_until_its_answer_came(void)
{
	struct rig r;
	int fds = t_count_fds();

	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	T_EQ(vhk_device_stop_all(r.echo.dev, door_answer, &r.door), 0);
	vhk_device_drop(r.echo.dev);
	vhk_device_free(r.echo.dev);
	T_EQ(r.echo.frees, 0);
	while (vhk_loop_step(r.door.ctl, 0) > 0)
		;
	T_EQ(r.door.answers, 0);
	rig_fini(&r);
	T_EQ(r.echo.frees, 1);
	T_EQ(t_count_fds(), fds);
}

static int find_same(void *arg, unsigned int idx, struct vhk_ring_place *at)
{
	struct rig *r = vhk_container_of(arg, struct rig, door);
	struct vhk_vq_addr a;

	(void)idx;
	T_EQ(vhk_vq_addr(r->drv.vq, &a), 0);
	*at = (struct vhk_ring_place){ .desc = a.desc, .driver = a.driver, .device = a.device };
	return 0;
}

/*
 * A table that took something away is answered when the last chain that points into the old one is.
 */
static void table_waits_for_chains(void)
{
	struct vhk_region gone = { .gpa = { 1ull << 30 }, .size = 4096 };
	struct vhk_table *t;
	struct rig r;
	void *va;
	int i;

	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	rig_start(&r);
	rig_hold(&r, 1);
	T_EQ(vhk_mem_alloc(r.drv.mem, gone.gpa, gone.size, &va), 0);
	t = vhk_mem_table(r.drv.mem);
	T_EQ(vhk_device_set_table(r.echo.dev, t, true, find_same, door_answer, &r.door), 0);
	vhk_table_put(t);
	for (i = 0; i < 20; i++)
		vhk_loop_step(r.door.ctl, 0);
	T_EQ(r.door.answers, 1);
	echo_let_go(&r.echo, 0);
	T_EQ(door_wait(&r.door), 0);
	r.echo.hold[0] = false;
	T_EQ(rig_take(&r, 1), 1);
	echo_some(&r, 30);

	t = vhk_mem_table(r.drv.mem);
	T_EQ(vhk_device_set_table(r.echo.dev, t, false, find_nothing, door_answer, &r.door), 0);
	vhk_table_put(t);
	T_EQ(door_wait(&r.door), 0);
	T_OK(door_until(&r.door, &r.door.errors, 1));
	T_EQ(r.door.error, -EFAULT);
	T_OK(t_readable(r.drv.err, 1000));
	rig_stop(&r);
	rig_fini(&r);
}

static uint64_t pinned(const struct rig *r)
{
	struct vhk_loop_stats s;

	vhk_loop_stats(r->door.ctl, &s);
	return s.pinned;
}

static uint64_t size_of(const struct vhk_table *t)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < t->n; i++)
		sum += t->by_gpa[i].size;
	return sum;
}

/*
 * What chains in hand point into stays registered with io_uring until the last of them is answered,
 * though there is another table: operations that the kernel does not know of yet may name it.
 */
static void pinned_for_as_long_as_chains(void)
{
	struct vhk_region more = { .gpa = { 1ull << 30 }, .size = 1 << 20 };
	struct vhk_table *with, *without;
	struct rig r;
	void *va;

	rig_init_flags(&r, VHK_LOOP_IO_URING, 0, VHK_F_VERSION_1, VHK_LOOP_F_PIN);
	without = vhk_mem_table(r.drv.mem);
	T_MUST(!vhk_mem_alloc(r.drv.mem, more.gpa, more.size, &va));
	with = vhk_mem_table(r.drv.mem);
	rig_start(&r);
	T_EQ(pinned(&r), size_of(with));
	rig_hold(&r, 1);
	T_EQ(vhk_device_set_table(r.echo.dev, without, true, find_same, door_answer, &r.door), 0);
	vhk_loop_step(r.door.ctl, 0);
	T_EQ(r.door.answers, 1);
	T_EQ(pinned(&r), size_of(with));
	echo_let_go(&r.echo, 0);
	T_EQ(door_wait(&r.door), 0);
	T_EQ(pinned(&r), size_of(without));
	T_EQ(vhk_device_set_table(r.echo.dev, with, false, find_same, door_answer, &r.door), 0);
	T_EQ(door_wait(&r.door), 0);
	T_EQ(pinned(&r), size_of(with));
	rig_stop(&r);
	T_EQ(pinned(&r), 0);
	vhk_table_put(with);
	vhk_table_put(without);
	rig_fini(&r);
}

/*
 * Asks for the stop from within the answer to the start, before the loop has looked at the ring
 * once.
 */
static void stop_at_once(void *arg, int ret, uint32_t base)
{
	struct rig *r = arg;

	(void)base;
	T_EQ(ret, 0);
	T_EQ(vhk_device_stop_queue(r->echo.dev, 0, door_answer, &r->door), 0);
}

/* More than a loop hands out in one round. */
#define LEFT_OVER 100

/*
 * What a dead back end had in hand is answered before the queue stops, however soon that is asked
 * for.
 */
static void stop_hands_out_what_was_left_over(void)
{
	_Alignas(64) static unsigned char region[8192];
	struct vhk_queue_setup s;
	struct rig dead, next;

	T_MUST(vhk_inflight_size(ECHO_SIZE, false) <= sizeof(region));
	vhk_inflight_init(region, ECHO_SIZE, false);
	rig_init(&dead, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	driver_setup(&dead.drv, &s);
	s.inflight = region;
	s.inflight_size = sizeof(region);
	T_EQ(vhk_device_start_queue(dead.echo.dev, 0, &s, door_answer, &dead.door), 0);
	T_EQ(door_wait(&dead.door), 0);
	rig_hold(&dead, LEFT_OVER);

	rig_init(&next, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	driver_setup(&dead.drv, &s);
	s.inflight = region;
	s.inflight_size = sizeof(region);
	T_EQ(vhk_device_start_queue(next.echo.dev, 0, &s, stop_at_once, &next), 0);
	T_EQ(door_wait(&next.door), 0);
	T_EQ(next.door.base, LEFT_OVER);
	T_EQ(driver_take(&dead.drv), LEFT_OVER);
	rig_fini(&next);

	/* the dead one's chains, so that its memory can go */
	vhk_device_stop_queue(dead.echo.dev, 0, door_answer, &dead.door);
	vhk_loop_step(dead.door.ctl, 0);
	echo_let_go(&dead.echo, 0);
	T_EQ(door_wait(&dead.door), 0);
	rig_fini(&dead);
}

static void refusals(void)
{
	struct vhk_queue_setup s;
	struct rig r;
	int fds, file;

	rig_init(&r, VHK_LOOP_AUTO, 0, VHK_F_VERSION_1);
	fds = t_count_fds();
	T_EQ(vhk_device_hold(r.echo.dev, r.door.ctl, &door_ops, &r.door), -EBUSY);
	T_EQ(vhk_device_stop_queue(r.echo.dev, 0, door_answer, &r.door), -EBUSY);
	T_EQ(vhk_device_stop_queue(r.echo.dev, ECHO_QUEUES, door_answer, &r.door), -EINVAL);
	T_EQ(vhk_device_set_call(r.echo.dev, 0, dup(r.drv.call), door_answer, &r.door), -EBUSY);
	T_EQ(vhk_device_set_kick(r.echo.dev, 0, dup(r.drv.kick), door_answer, &r.door), -EBUSY);
	driver_setup(&r.drv, &s);
	T_EQ(vhk_device_start_queue(r.echo.dev, ECHO_QUEUES, &s, door_answer, &r.door), -EINVAL);
	driver_setup(&r.drv, &s);
	s.size = 2 * ECHO_SIZE;
	T_EQ(vhk_device_start_queue(r.echo.dev, 0, &s, door_answer, &r.door), -EINVAL);
	driver_setup(&r.drv, &s);
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	close(s.call_fd);
	s.call_fd = file;
	T_EQ(vhk_device_start_queue(r.echo.dev, 0, &s, door_answer, &r.door), -EINVAL);
	T_EQ(t_count_fds(), fds);
	rig_start(&r);
	driver_setup(&r.drv, &s);
	T_EQ(vhk_device_start_queue(r.echo.dev, 0, &s, door_answer, &r.door), -EBUSY);
	rig_stop(&r);
	T_EQ(t_count_fds(), fds);
	rig_fini(&r);
}

int main(void)
{
	T_RUN(every_change);
	T_RUN(stop_drains);
	T_RUN(nothing_is_in_flight_after_a_stop);
	T_RUN(a_device_stays_until_its_answer_came);
	T_RUN(table_waits_for_chains);
	T_RUN(pinned_for_as_long_as_chains);
	T_RUN(stop_hands_out_what_was_left_over);
	T_RUN(refusals);
	return t_end();
}
