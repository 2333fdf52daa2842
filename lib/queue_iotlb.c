// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a queue and the control thread tell each other of single IOVAs, at any time and without an
 * answer: which one is missed, and which one will not be translated.
 */
#include "base.h"
#include "device_impl.h"

/* Sequentially consistent, as the taking: what is stored before a message that is not posted again
 * is seen by whoever takes that message. */
static void iova_send(struct vhk_queue_iova *m, struct vhk_loop *to, void (*fn)(struct vhk_work *),
		      uint64_t what)
{
	atomic_store(&m->what, what);
	if (atomic_exchange(&m->posted, true))
		return;
	m->work.fn = fn;
	vhk_loop_post(to, &m->work);
}

static uint64_t iova_take(struct vhk_queue_iova *m)
{
	atomic_store(&m->posted, false);
	return atomic_load(&m->what);
}

static void queue_told(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, lacks.work);
	const uint64_t what = iova_take(&q->lacks);

	if (q->dev->door)
		q->dev->door->queue_lacks(q->dev->door_arg, q->idx, what & ~VHK_LACKS_FLAGS,
					   what & VHK_LACKS_PERM, what & VHK_LACKS_DENIED);
}

void vhk_queue_lacks(void *arg, uint64_t iova, uint8_t perm, bool denied)
{
	struct vhk_queue *q = arg;
	const uint64_t what = (iova & ~VHK_LACKS_FLAGS) | perm | (denied ? VHK_LACKS_DENIED : 0);

	if (what == q->told)
		return;
	q->told = what;
	iova_send(&q->lacks, q->dev->ctl, queue_told, what);
}

static void queue_denied(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, denied.work);

	vhk_ring_deny(q->ring, iova_take(&q->denied));
	q->told = 0;
	vhk_loop_activate(q->loop, &q->source);
}

/* A queue that stops gets no message behind the one that stops it; one that starts has missed
 * nothing, and its ring goes if it fails. */
void vhk_device_deny(struct vhk_device *d, unsigned int idx, uint64_t iova)
{
	struct vhk_queue *q = &d->queue[idx];

	const bool leaves = q->msg.ask == VHK_ASK_STOP || q->msg.ask == VHK_ASK_SUSPEND;

	if (q->started && !q->starting && !(d->change.pending && leaves))
		iova_send(&q->denied, q->loop, queue_denied, iova);
}
