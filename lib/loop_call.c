// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * How the calls of a source leave the loop: many at once through a multiplexer, with the loop's
 * next entry into the kernel where its engine can, or not by the loop at all.
 *
 * The first call of many wakes the driver up, which costs more than all others; a driver that is
 * awake finds them together.
 */
#include "loop_impl.h"

void vhk_loop_forget_call(struct vhk_loop *l, struct vhk_source *s)
{
	if (s->calls_ring != VHK_NO_RING)
		vhk_loop_mux_forget_call(l, s);
	if (s->call_slot != VHK_NO_SLOT)
		l->engine->call_del(l, s);
	s->call_fd = -1;
}

void vhk_loop_set_call(struct vhk_loop *l, struct vhk_source *s, int call_fd)
{
	/* Out of the loop. */
	if (!s->state)
		return;
	vhk_loop_forget_call(l, s);
	if (call_fd < 0)
		return;
	s->call_fd = call_fd;
	vhk_loop_mux_set_call(l, s);
	if (l->engine->call_add)
		l->engine->call_add(l, s);
}

/*
 * Outside of rounds nobody would send what is staged. With one source at work the multiplexer costs
 * as much as a call by its eventfd.
 */
bool vhk_loop_stage_call(struct vhk_loop *l, struct vhk_source *s)
{
	if (!s->state || !l->inside)
		return false;
	if (s->calls_ring != VHK_NO_RING && l->n_active > 1) {
		vhk_loop_mux_stage_call(l, s);
		return true;
	}
	return s->call_slot != VHK_NO_SLOT && l->engine->call(l, s);
}

void vhk_loop_send_calls(struct vhk_loop *l)
{
	vhk_loop_mux_send(l);
	if (l->engine->call_send)
		l->engine->call_send(l);
}
