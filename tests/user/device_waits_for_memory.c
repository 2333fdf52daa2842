// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A queue whose memory is mapped when it is first met: it asks its door once, waits without
 * spinning, and goes on with a new table, with the news that there is no such memory, or by
 * stopping.
 */
#include "ring_layout.h"
#include "t_device.h"

static const uint64_t layouts[] = {
	VHK_F_VERSION_1,
	VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
};

/* The memory without the buffers, which are its first region. */
static struct vhk_mem *without_buffers(const struct driver *d)
{
	struct vhk_region r;
	struct vhk_mem *m;

	T_MUST(!vhk_mem_new(&m));
	T_MUST(!vhk_mem_assign(m, d->mem));
	T_MUST(!vhk_mem_get(m, 0, &r, NULL));
	T_EQ(r.gpa.v, 0);
	T_MUST(!vhk_mem_del(m, &r));
	return m;
}

static void start_without_buffers(struct rig *r)
{
	struct vhk_mem *m = without_buffers(&r->drv);
	struct vhk_queue_setup s;

	driver_setup(&r->drv, &s);
	vhk_table_put(s.table);
	s.table = vhk_mem_table(m);
	s.waits = true;
	T_EQ(vhk_device_start_queue(r->echo.dev, 0, &s, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
	vhk_mem_free(m);
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

static void miss_over(struct rig *r, bool nowhere)
{
	T_EQ(vhk_device_miss_over(r->echo.dev, 0, nowhere, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
}

static void give_buffers(struct rig *r)
{
	struct vhk_table *t = vhk_mem_table(r->drv.mem);

	T_EQ(vhk_device_set_table(r->echo.dev, t, false, find_same, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
	vhk_table_put(t);
	miss_over(r, false);
}

/* What comes back within ten seconds, whatever it holds. */
static unsigned int take_any(struct rig *r, unsigned int want)
{
	uint64_t end = t_now_ns() + 10000000000u;
	struct vhk_done done[ECHO_SIZE];
	unsigned int got = 0;
	int n;

	while (got < want && t_now_ns() < end) {
		n = vhk_vq_get(r->drv.vq, done, ECHO_SIZE);
		T_OK(n >= 0);
		if (n <= 0)
			vhk_loop_step(r->door.ctl, 1000000);
		else
			got += (unsigned int)n;
	}
	return got;
}

static void until_missed(struct rig *r, int times)
{
	T_OK(door_until(&r->door, &r->door.misses, times));
	T_EQ(r->door.misses, times);
}

static void memory_comes(struct rig *r)
{
	unsigned int i, want = 20;

	start_without_buffers(r);
	for (i = 0; i < want; i++)
		driver_send(&r->drv, (unsigned char)i);
	until_missed(r, 1);
	T_EQ(r->door.miss_at, 0);
	T_EQ(r->door.miss_len, ECHO_BUF);
	T_EQ(driver_take(&r->drv), 0);
	give_buffers(r);
	T_EQ(take_any(r, want), want);
	T_EQ(r->door.misses, 1);
	rig_stop(r);
}

/* The chain is answered as one that points nowhere; the one behind it is asked for anew. */
static void memory_is_nowhere(struct rig *r)
{
	start_without_buffers(r);
	driver_send(&r->drv, 1);
	until_missed(r, 1);
	miss_over(r, true);
	T_EQ(take_any(r, 1), 1);
	driver_send(&r->drv, 2);
	until_missed(r, 2);
	give_buffers(r);
	T_EQ(take_any(r, 1), 1);
	T_EQ(r->door.errors, 0);
	rig_stop(r);
}

/* What waits is not popped, and is still there for the next start. */
static void stop_while_waiting(struct rig *r)
{
	driver_send(&r->drv, 1);
	start_without_buffers(r);
	until_missed(r, 1);
	rig_stop(r);
	T_EQ(driver_take(&r->drv), 0);
	rig_start(r);
	T_EQ(take_any(r, 1), 1);
	rig_stop(r);
	T_EQ(vhk_device_miss_over(r->echo.dev, 0, true, door_answer, &r->door), -EBUSY);
}

/* A table of descriptors is memory like any other. The driver's side is made by hand. */
static void table_comes(struct rig *r)
{
	struct split_desc *table = (void *)r->drv.buf, *desc;
	const uint64_t end = t_now_ns() + 10000000000u;
	struct split_avail *avail;
	struct split_used *used;
	struct vhk_vq_addr a;

	if (r->drv.features & VHK_F_RING_PACKED || !(r->drv.features & VHK_F_INDIRECT_DESC))
		return;
	T_EQ(vhk_vq_addr(r->drv.vq, &a), 0);
	desc = a.desc;
	avail = a.driver;
	used = a.device;
	table[0] = (struct split_desc){ .addr = 4096, .len = ECHO_BUF, .flags = DESC_F_WRITE };
	desc[0] = (struct split_desc){ .addr = 0, .len = 16, .flags = DESC_F_INDIRECT };
	avail->ring[0] = 0;
	__atomic_store_n(&avail->idx, 1, __ATOMIC_RELEASE);
	start_without_buffers(r);
	until_missed(r, 1);
	T_EQ(r->door.miss_at, 0);
	T_EQ(r->door.miss_len, 16);
	give_buffers(r);
	while (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) != 1 && !r->door.errors &&
	       t_now_ns() < end)
		vhk_loop_step(r->door.ctl, 1000000);
	T_EQ(r->door.errors, 0);
	rig_stop(r);
	T_EQ(r->door.base, 1);
}

static void in_each_layout(void (*fn)(struct rig *r))
{
	unsigned int i, threads;
	struct rig r;

	for (i = 0; i < vhk_array_size(layouts); i++)
		for (threads = 0; threads < 2; threads++) {
			rig_init(&r, VHK_LOOP_AUTO, threads, layouts[i]);
			fn(&r);
			rig_fini(&r);
		}
}

static void a_queue_goes_on_when_memory_comes(void)
{
	in_each_layout(memory_comes);
}

static void a_chain_that_points_nowhere_is_handed_out(void)
{
	in_each_layout(memory_is_nowhere);
}

static void a_queue_stops_while_it_waits(void)
{
	in_each_layout(stop_while_waiting);
}

static void a_queue_waits_for_tables_too(void)
{
	in_each_layout(table_comes);
}

int main(void)
{
	T_RUN(a_queue_goes_on_when_memory_comes);
	T_RUN(a_chain_that_points_nowhere_is_handed_out);
	T_RUN(a_queue_stops_while_it_waits);
	T_RUN(a_queue_waits_for_tables_too);
	return t_end();
}
