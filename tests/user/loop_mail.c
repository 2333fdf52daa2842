// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages: from several threads, in order per sender, none lost, whether the loop works, sleeps,
 * or has not begun.
 */
#include <pthread.h>

#include "loop_t.h"

#define N_SENDERS 4
#define N_WORKS 20000u

struct sender {
	struct vhk_loop *loop;
	struct vhk_work *works;
	unsigned int n_done;
	bool disorder;
	pthread_t thread;
};

static struct sender senders[N_SENDERS];
static unsigned int n_all;

static void work_done(struct vhk_work *w)
{
	struct sender *s;
	unsigned int i;

	for (i = 0; i < N_SENDERS; i++) {
		s = &senders[i];
		if (w < s->works || w >= s->works + N_WORKS)
			continue;
		s->disorder |= w != s->works + s->n_done;
		s->n_done++;
		/* It is the sender's again. */
		memset(w, 0xff, sizeof(*w));
		if (++n_all == N_SENDERS * N_WORKS)
			vhk_loop_stop(s->loop);
	}
}

static void *post_all(void *arg)
{
	struct sender *s = arg;
	unsigned int i, k, pause;

	for (i = 0; i < N_WORKS; i++) {
		s->works[i].fn = work_done;
		vhk_loop_post(s->loop, &s->works[i]);
		pause = i % 64 ? 0 : i % 4096;
		for (k = 0; k < pause; k++)
			__asm__ volatile("" ::: "memory");
	}
	return NULL;
}

static void in_order_per_sender(void)
{
	const struct t_mode *m;
	struct vhk_loop *l;
	int i;

	T_EACH_MODE(m) {
		l = t_loop(m);
		n_all = 0;
		for (i = 0; i < N_SENDERS; i++) {
			senders[i] = (struct sender){ .loop = l };
			senders[i].works = calloc(N_WORKS, sizeof(struct vhk_work));
			T_MUST(senders[i].works);
			T_MUST(!pthread_create(&senders[i].thread, NULL, post_all, &senders[i]));
		}
		T_EQ(vhk_loop_run(l), 0);
		for (i = 0; i < N_SENDERS; i++) {
			pthread_join(senders[i].thread, NULL);
			T_EQ(senders[i].n_done, N_WORKS);
			T_OK(!senders[i].disorder);
			free(senders[i].works);
		}
		vhk_loop_free(l);
	}
}

struct note {
	struct vhk_work w;
	struct vhk_loop *loop;
	unsigned int n, again;
};

static void note_fn(struct vhk_work *w)
{
	struct note *n = (struct note *)(uintptr_t)w;

	n->n++;
	if (n->again && n->again--)
		vhk_loop_post(n->loop, w);
}

static void posted_before_it_begins(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct note n = { .w.fn = note_fn };
		struct vhk_loop *l = t_loop(m);

		vhk_loop_post(l, &n.w);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(n.n, 1);
		T_EQ(vhk_loop_step(l, T_MS), 0);
		vhk_loop_free(l);
	}
}

/* A message that posts itself again does not keep the loop from other things. */
static void posts_itself_again(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct note n = { .w.fn = note_fn, .loop = l, .again = 10 };
		int i;

		vhk_loop_post(l, &n.w);
		for (i = 0; i < 30 && n.n < 11; i++)
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(n.n, 11);
		if (m->flags & VHK_LOOP_F_EMBED) {
			T_OK(!t_foreign_turn(l, 2));
			vhk_loop_post(l, &n.w);
			T_OK(t_foreign_turn(l, 1000));
			T_EQ(n.n, 12);
		}
		vhk_loop_free(l);
	}
}

static struct vhk_loop *recalling;
static struct vhk_work letter[5], taking;
static unsigned int n_read, read_last;

static void read_one(struct vhk_work *w)
{
	n_read++;
	read_last = (unsigned int)(w - letter);
}

/* Called before the rest of those that came with it. */
static void take_back(struct vhk_work *w)
{
	(void)w;
	T_OK(vhk_loop_recall(recalling, &letter[3]));
	T_OK(!vhk_loop_recall(recalling, &letter[3]));
	T_OK(vhk_loop_recall(recalling, &letter[4]));
	T_OK(!vhk_loop_recall(recalling, &taking));
}

/* A message that is taken back is not read, and the others are, in order, without another's coming
 * to wake the loop. */
static void taken_back(void)
{
	unsigned int i, k;

	T_MUST(!vhk_loop_new(&recalling, NULL));
	for (i = 0; i < 5; i++)
		letter[i].fn = read_one;
	T_OK(!vhk_loop_recall(recalling, &letter[0]));
	for (i = 0; i < 3; i++) {
		for (k = 0; k < 3; k++)
			vhk_loop_post(recalling, &letter[k]);
		T_OK(vhk_loop_recall(recalling, &letter[i]));
		T_OK(!vhk_loop_recall(recalling, &letter[i]));
		n_read = 0;
		T_OK(vhk_loop_step(recalling, 10000000000) > 0);
		T_EQ(n_read, 2);
		T_EQ(read_last, i == 2 ? 1 : 2);
		T_OK(!vhk_loop_recall(recalling, &letter[0]));
	}
	/* from within another message */
	taking.fn = take_back;
	vhk_loop_post(recalling, &letter[0]);
	vhk_loop_post(recalling, &taking);
	vhk_loop_post(recalling, &letter[3]);
	vhk_loop_post(recalling, &letter[1]);
	vhk_loop_post(recalling, &letter[4]);
	n_read = 0;
	while (vhk_loop_step(recalling, 0) > 0)
		;
	T_EQ(n_read, 2);
	T_EQ(read_last, 1);
	vhk_loop_free(recalling);
}

int main(void)
{
	T_RUN(taken_back);
	T_RUN(in_order_per_sender);
	T_RUN(posted_before_it_begins);
	T_RUN(posts_itself_again);
	return t_end();
}
