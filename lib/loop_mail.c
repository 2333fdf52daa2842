// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages to a loop: many senders push, its thread takes the whole list at once. The list is last
 * in first out, so the reader turns it round.
 */
#include "loop_impl.h"

/*
 * Sequentially consistent both times: the push, then the look at sleeping, pair with the loop's
 * store to sleeping, then its look at the list: one of the two sees the other's.
 */
void vhk_loop_post(struct vhk_loop *l, struct vhk_work *w)
{
	struct vhk_work *first = atomic_load_explicit(&l->mail, memory_order_relaxed);

	do {
		w->next = first;
	} while (!atomic_compare_exchange_weak(&l->mail, &first, w));
	if (atomic_load(&l->sleeping) && atomic_exchange(&l->sleeping, false))
		vhk_loop_wake(l);
}

static struct vhk_work *reversed(struct vhk_work *w)
{
	struct vhk_work *done = NULL, *next;

	for (; w; w = next) {
		next = w->next;
		w->next = done;
		done = w;
	}
	return done;
}

unsigned int vhk_mail_read(struct vhk_loop *l)
{
	struct vhk_work *w, *next;
	unsigned int n = 0;

	if (!atomic_load_explicit(&l->mail, memory_order_relaxed))
		return 0;
	w = reversed(atomic_exchange_explicit(&l->mail, NULL, memory_order_acquire));
	for (; w; w = next, n++) {
		next = w->next; /* w is the sender's again once fn runs */
		w->fn(w);
	}
	return n;
}
