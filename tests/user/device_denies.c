// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * An address that will not be translated is told to a queue that missed it, and to none that starts
 * or has failed to: its ring is not there to hear of it.
 */
#include <semaphore.h>

#include "t_device.h"

static struct vhk_iotlb *translate_all(const struct driver *d)
{
	const struct vhk_iotlb_opts o = { .sz = sizeof(o) };
	struct vhk_iotlb_entry e;
	struct vhk_iotlb *t;
	struct vhk_region r;
	unsigned int i;

	T_MUST(!vhk_iotlb_new(&t, &o));
	for (i = 0; i < vhk_mem_count(d->mem); i++) {
		T_MUST(!vhk_mem_get(d->mem, i, &r, NULL));
		e = (struct vhk_iotlb_entry){ { r.gpa.v }, r.size, r.uva, VHK_IOTLB_PERM_RW };
		T_MUST(!vhk_iotlb_add(t, &e));
	}
	return t;
}

static void start(struct rig *r, const struct vhk_iotlb *t)
{
	struct vhk_queue_setup s;

	driver_setup(&r->drv, &s);
	s.iotlb = vhk_iotlb_table(t);
	T_EQ(vhk_device_start_queue(r->echo.dev, 0, &s, door_answer, &r->door), 0);
}

/* Holds the queue's loop up between the start and what is told after it. */
static sem_t go_on;

static void hold_up(struct vhk_work *w)
{
	(void)w;
	while (sem_wait(&go_on))
		;
}

static void a_start_that_fails(void)
{
	struct vhk_work held = { .fn = hold_up };
	struct vhk_iotlb *t;
	struct rig r;

	T_MUST(!sem_init(&go_on, 0, 0));
	rig_init(&r, VHK_LOOP_AUTO, 1, VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM);
	t = translate_all(&r.drv);
	r.echo.refuse_start = true;
	start(&r, t);
	vhk_loop_post(r.data[0], &held);
	vhk_device_deny(r.echo.dev, 0, 0x1000);
	/* the ring is freed with the answer, whatever is still on its way to its queue */
	T_EQ(door_wait(&r.door), -EIO);
	vhk_device_deny(r.echo.dev, 0, 0x2000);
	sem_post(&go_on);
	/* and it can be started again */
	r.echo.refuse_start = false;
	start(&r, t);
	T_EQ(door_wait(&r.door), 0);
	vhk_device_deny(r.echo.dev, 0, 0x4000);
	rig_stop(&r);
	rig_fini(&r);
	vhk_iotlb_free(t);
}

int main(void)
{
	T_RUN(a_start_that_fails);
	return t_end();
}
