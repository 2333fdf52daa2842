// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Memory goes while the device has requests in hand: a table no longer holds the ring, or a file
 * under a table in use or under a former one is cut short. Such requests are not answered, the door
 * is told of the error, and the queue stops as any other.
 */
#include <sys/mman.h>

#include "t_bus.h"
#include "t_device.h"

#define LAYOUTS 2

static const uint64_t layouts[LAYOUTS] = {
	VHK_F_VERSION_1,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED,
};

/* The device's own mapping of a driver's ring. The buffers that it finds at their addresses lie in
 * a file that can be cut. */
struct view {
	struct vhk_mem *mem;
	int data;
	void *part[3];
};

static void view_add_ring(struct view *v, const struct driver *d, uint64_t shift)
{
	struct vhk_region r;
	int fd;

	T_EQ(vhk_mem_get(d->mem, 1, &r, &fd), 0);
	r.gpa.v += shift;
	T_EQ(vhk_mem_add_take_fd(v->mem, &r, fcntl(fd, F_DUPFD_CLOEXEC, 0)), 0);
}

static void view_find_ring(struct view *v, const struct driver *d, uint64_t shift)
{
	struct vhk_vq_addr a;
	struct iovec seg;
	struct vhk_gpa at;
	unsigned int i;
	void *part[3];

	T_EQ(vhk_vq_addr(d->vq, &a), 0);
	part[0] = a.desc;
	part[1] = a.driver;
	part[2] = a.device;
	for (i = 0; i < 3; i++) {
		T_EQ(vhk_mem_gpa(d->mem, part[i], 4, &at), 0);
		at.v += shift;
		T_EQ(vhk_mem_find(v->mem, at, 4, &seg, 1), 1);
		v->part[i] = seg.iov_base;
	}
}

static void view_init(struct view *v, const struct driver *d)
{
	struct vhk_region r;

	T_MUST(!vhk_mem_new(&v->mem));
	v->data = memfd_create("data", MFD_CLOEXEC);
	T_EQ(vhk_mem_get(d->mem, 0, &r, NULL), 0);
	T_MUST(v->data >= 0 && !ftruncate(v->data, (off_t)r.size));
	T_EQ(vhk_mem_add_take_fd(v->mem, &r, fcntl(v->data, F_DUPFD_CLOEXEC, 0)), 0);
	view_add_ring(v, d, 0);
	view_find_ring(v, d, 0);
}

static void view_fini(struct view *v)
{
	vhk_mem_free(v->mem);
	close(v->data);
}

static struct vhk_ring_place place_of(const struct view *v)
{
	return (struct vhk_ring_place){
		.desc = v->part[0],
		.driver = v->part[1],
		.device = v->part[2],
	};
}

/* Starts queue @idx on the device's own mapping. */
static void start_on_view(struct rig *r, unsigned int idx, const struct view *v, struct driver *d)
{
	struct vhk_queue_setup s;

	driver_setup(d, &s);
	vhk_table_put(s.table);
	s.table = vhk_mem_table(v->mem);
	s.at = place_of(v);
	T_EQ(vhk_device_start_queue(r->echo.dev, idx, &s, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
}

static void stop_all(struct rig *r)
{
	T_EQ(vhk_device_stop_all(r->echo.dev, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
}

static void a_ring_is_taken_away(void)
{
	int fds = t_count_fds();
	unsigned int l;

	for (l = 0; l < LAYOUTS; l++) {
		struct vhk_table *t;
		struct rig r;

		rig_init(&r, VHK_LOOP_AUTO, 0, layouts[l]);
		rig_start(&r);
		rig_hold(&r, 3);
		t = vhk_mem_table(r.drv.mem);
		T_EQ(vhk_device_set_table(r.echo.dev, t, false, find_nothing, door_answer, &r.door),
		     0);
		vhk_table_put(t);
		T_EQ(door_wait(&r.door), 0);
		T_OK(door_until(&r.door, &r.door.errors, 1));
		T_EQ(r.door.error, -EFAULT);
		echo_let_go(&r.echo, 0);
		rig_stop(&r);
		T_EQ(driver_take(&r.drv), 0);
		T_EQ(r.echo.stops, 1);
		rig_fini(&r);
	}
	T_EQ(t_count_fds(), fds);
}

struct moved {
	struct rig rig;
	struct view former, next;
};

static int find_next(void *arg, unsigned int idx, struct vhk_ring_place *at)
{
	const struct moved *m = vhk_container_of(arg, struct moved, rig.door);

	(void)idx;
	*at = place_of(&m->next);
	return 0;
}

/* As SET_MEM_TABLE does it: the former mappings go with their last chain. */
static void set_next_table(struct moved *m)
{
	struct vhk_table *t;
	int i;

	T_EQ(vhk_mem_assign(m->former.mem, m->next.mem), 0);
	t = vhk_mem_table(m->former.mem);
	T_EQ(vhk_device_set_table(m->rig.echo.dev, t, true, find_next, door_answer, &m->rig.door),
	     0);
	vhk_table_put(t);
	for (i = 0; i < 20; i++)
		vhk_loop_step(m->rig.door.ctl, 0);
	T_EQ(m->rig.door.answers, 1);
}

/*
 * The file is cut when the next table is in force already, and the device has yet to read what a
 * chain of the former one points at.
 */
static void a_former_table_is_cut_short(void)
{
	int fds = t_count_fds();
	unsigned int l;

	for (l = 0; l < LAYOUTS; l++) {
		struct moved m;
		struct rig *r = &m.rig;

		rig_init(r, VHK_LOOP_AUTO, 0, layouts[l]);
		view_init(&m.former, &r->drv);
		view_init(&m.next, &r->drv);
		start_on_view(r, 0, &m.former, &r->drv);
		rig_hold(r, 1);
		set_next_table(&m);
		T_EQ(ftruncate(m.former.data, 0), 0);
		echo_let_go(&r->echo, 0);
		T_EQ(door_wait(&r->door), 0);
		T_OK(door_until(&r->door, &r->door.errors, 1));
		T_EQ(r->door.error, -EFAULT);
		rig_stop(r);
		T_EQ(driver_take(&r->drv), 0);
		view_fini(&m.former);
		view_fini(&m.next);
		rig_fini(r);
	}
	T_EQ(t_count_fds(), fds);
}

struct let_go {
	struct vhk_work work;
	struct echo *echo;
	unsigned int at;
	_Atomic int done;
};

static void let_go(struct vhk_work *w)
{
	struct let_go *l = vhk_container_of(w, struct let_go, work);

	echo_let_go(l->echo, l->at);
	l->done = 1;
}

/* In the thread of the queue's loop, which is the one that meets the memory. */
static void let_go_in_its_thread(struct rig *r, unsigned int at)
{
	struct let_go l = { .work.fn = let_go, .echo = &r->echo, .at = at };
	uint64_t end = t_now_ns() + 5000000000u;

	vhk_loop_post(r->data[at], &l.work);
	while (!l.done && t_now_ns() < end)
		vhk_loop_step(r->door.ctl, 1000000);
	T_MUST(l.done);
}

#define RING_SHIFT (1ull << 28)

/*
 * Two queues on loops of their own share a file. The first that reads where it was cut meets the
 * fault; the second reads zeros as if they were the driver's.
 */
static void one_thread_meets_what_all_read(void)
{
	int fds = t_count_fds();
	unsigned int l;

	for (l = 0; l < LAYOUTS; l++) {
		struct driver second;
		struct view v[2];
		struct rig r;

		rig_init(&r, VHK_LOOP_AUTO, 2, layouts[l]);
		driver_init(&second, layouts[l]);
		view_init(&v[0], &r.drv);
		view_add_ring(&v[0], &second, RING_SHIFT);
		v[1] = v[0];
		view_find_ring(&v[1], &second, RING_SHIFT);
		r.echo.hold[0] = r.echo.hold[1] = true;
		start_on_view(&r, 0, &v[0], &r.drv);
		start_on_view(&r, 1, &v[1], &second);
		driver_send(&r.drv, 9);
		driver_send(&second, 9);
		rig_until_held(&r, 0, 1);
		rig_until_held(&r, 1, 1);
		T_EQ(ftruncate(v[0].data, 0), 0);
		let_go_in_its_thread(&r, 0);
		T_OK(door_until(&r.door, &r.door.errors, 1));
		let_go_in_its_thread(&r, 1);
		T_OK(door_until(&r.door, &r.door.errors, 2));
		stop_all(&r);
		T_EQ(driver_take(&r.drv), 0);
		T_EQ(driver_take(&second), 0);
		view_fini(&v[0]);
		driver_fini(&second);
		rig_fini(&r);
	}
	T_EQ(t_count_fds(), fds);
}

int main(void)
{
	t_handle_bus();
	T_RUN(a_ring_is_taken_away);
	T_RUN(a_former_table_is_cut_short);
	T_RUN(one_thread_meets_what_all_read);
	return t_end();
}
