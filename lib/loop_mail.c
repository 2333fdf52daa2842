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

/* What has come joins what is read already. */
static void take_out(struct vhk_loop *l)
{
	struct vhk_work **end = &l->letters;

	while (*end)
		end = &(*end)->next;
	*end = reversed(atomic_exchange_explicit(&l->mail, NULL, memory_order_acquire));
}

/* Those that come meanwhile are left for the next time. */
unsigned int vhk_mail_read(struct vhk_loop *l)
{
	struct vhk_work *w;
	unsigned int n = 0;

	if (atomic_load_explicit(&l->mail, memory_order_relaxed))
		take_out(l);
	for (; (w = l->letters); n++) {
		l->letters = w->next; /* w is the sender's again once fn runs */
		w->fn(w);
	}
	return n;
}

bool vhk_loop_recall(struct vhk_loop *l, struct vhk_work *w)
{
	struct vhk_work **at;

	take_out(l);
	for (at = &l->letters; *at && *at != w; at = &(*at)->next)
		;
	if (!*at)
		return false;
	*at = w->next;
	return true;
}
