// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Sources come and go while kicks arrive: nothing is called after gone, nothing is missed before; a
 * busy source does not starve others; what is staged is flushed in the same round; messages wait
 * for requests that are there.
 */
#include <pthread.h>

#include "loop_t.h"

#define N_RINGS 8

struct bed {
	struct t_ring r[N_RINGS];
	int kick[N_RINGS];
	atomic_bool over;
};

static unsigned int n_late;

static unsigned int strict_work(struct vhk_source *s, unsigned int quantum)
{
	n_late += t_ring_of(s)->n_gone != 0;
	return t_ring_work(s, quantum);
}

static void strict_kicked(struct vhk_source *s)
{
	n_late += t_ring_of(s)->n_gone != 0;
	t_ring_kicked(s);
}

static void *kick_all(void *arg)
{
	struct bed *b = arg;
	unsigned int i;

	for (i = 0; !atomic_load(&b->over); i++) {
		atomic_fetch_add(&b->r[i % N_RINGS].avail, 1);
		t_write_kick(b->kick[i % N_RINGS]);
	}
	return NULL;
}

static void removed_while_kicked(void)
{
	struct vhk_source_ops ops = t_ring_ops;
	const struct t_mode *m;

	ops.work = strict_work;
	ops.kicked = strict_kicked;
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop_opts(m, 8, UINT64_MAX);
		static struct bed b;
		unsigned int i, turn;
		pthread_t t;

		memset(&b, 0, sizeof(b));
		for (i = 0; i < N_RINGS; i++) {
			t_ring_init(&b.r[i], l, -2);
			b.r[i].s.ops = &ops;
			b.kick[i] = b.r[i].s.kick_fd;
			T_EQ(vhk_loop_add_source(l, &b.r[i].s), 0);
		}
		T_MUST(!pthread_create(&t, NULL, kick_all, &b));
		for (turn = 0; turn < 2000; turn++) {
			i = turn % N_RINGS;
			T_OK(vhk_loop_step(l, turn % 3 ? 0 : T_MS) >= 0);
			vhk_loop_del_source(l, &b.r[i].s);
			T_EQ(b.r[i].n_gone, 1);
			T_OK(vhk_loop_step(l, 0) >= 0);
			b.r[i].n_gone = 0;
			T_EQ(vhk_loop_add_source(l, &b.r[i].s), 0);
			T_EQ(vhk_loop_set_kick(l, &b.r[i].s, turn & 1 ? -1 : b.kick[i]), 0);
		}
		T_EQ(n_late, 0);
		atomic_store(&b.over, true);
		pthread_join(t, NULL);
		for (i = 0; i < N_RINGS; i++) {
			while (b.r[i].seen != atomic_load(&b.r[i].avail) &&
			       vhk_loop_step(l, 1000 * T_MS) > 0)
				;
			T_EQ(b.r[i].seen, atomic_load(&b.r[i].avail));
			vhk_loop_del_source(l, &b.r[i].s);
		}
		vhk_loop_free(l);
		for (i = 0; i < N_RINGS; i++)
			close(b.kick[i]);
	}
}

/* Each function of a source may take the source out, and free it. */
enum where {
	IN_WORK,
	IN_ARM,
	IN_FLUSH,
	IN_KICKED,
	N_WHERE,
};

static struct mortal {
	struct vhk_source s;
	struct vhk_loop *loop;
	enum where where;
	unsigned int n_gone;
} *mortal;
static unsigned int n_gone;

static void die_if(struct vhk_source *s, enum where where)
{
	struct mortal *x = (struct mortal *)(uintptr_t)s;

	if (x->where == where)
		vhk_loop_del_source(x->loop, s);
}

static unsigned int mortal_work(struct vhk_source *s, unsigned int quantum)
{
	struct mortal *x = (struct mortal *)(uintptr_t)s;

	if (x->where == IN_FLUSH)
		vhk_loop_staged(x->loop, s);
	die_if(s, IN_WORK);
	return quantum ? 0 : 1;
}

static bool mortal_ready(const struct vhk_source *s)
{
	return !s;
}

static bool mortal_arm(struct vhk_source *s)
{
	die_if(s, IN_ARM);
	return false;
}

static void mortal_disarm(struct vhk_source *s)
{
	(void)s;
}

static void mortal_flush(struct vhk_source *s)
{
	die_if(s, IN_FLUSH);
}

static void mortal_kicked(struct vhk_source *s)
{
	die_if(s, IN_KICKED);
}

static void mortal_gone(struct vhk_source *s)
{
	n_gone++;
	memset(s, 0x5a, sizeof(*s));
	free(s);
}

static void removed_by_its_own_functions(void)
{
	static const struct vhk_source_ops ops = {
		mortal_work,  mortal_ready,  mortal_arm,  mortal_disarm,
		mortal_flush, mortal_kicked, mortal_gone,
	};
	const struct t_mode *m;
	enum where where;

	T_EACH_MODE(m) {
		for (where = 0; where < N_WHERE; where++) {
			struct vhk_loop *l = t_loop(m);
			int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

			mortal = calloc(1, sizeof(*mortal));
			T_MUST(mortal && kick >= 0);
			*mortal = (struct mortal){ { .ops = &ops, .kick_fd = kick }, l, where, 0 };
			n_gone = 0;
			T_EQ(vhk_loop_add_source(l, &mortal->s), 0);
			t_settle(l);
			t_write_kick(kick);
			t_settle(l);
			T_EQ(n_gone, 1);
			t_write_kick(kick);
			t_settle(l);
			vhk_loop_free(l);
			close(kick);
		}
	}
}

/* One source always has work; the others, an fd and a message get their turn. */
static unsigned int n_other;

static unsigned int endless(struct vhk_source *s, unsigned int quantum)
{
	(void)s;
	return quantum;
}

static bool endless_ready(const struct vhk_source *s)
{
	return s;
}

static bool endless_arm(struct vhk_source *s)
{
	return s;
}

static void count(void *arg, uint32_t events)
{
	(void)events;
	(void)arg;
	n_other++;
}

static void busy_source_starves_nobody(void)
{
	struct vhk_source_ops ops = t_ring_ops;
	const struct t_mode *m;

	ops.work = endless;
	ops.ready = endless_ready;
	ops.arm = endless_arm;
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct t_ring busy, quiet;
		int fd[2], i;

		T_MUST(!pipe2(fd, O_CLOEXEC));
		t_ring_init(&busy, l, -2);
		busy.s.ops = &ops;
		t_ring_init(&quiet, l, -2);
		n_other = 0;
		T_EQ(vhk_loop_add_source(l, &quiet.s), 0);
		t_settle(l);
		T_EQ(vhk_loop_add_source(l, &busy.s), 0);
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, count, l), 0);
		T_OK(t_ring_add(&quiet));
		T_MUST(write(fd[1], "x", 1) == 1);
		for (i = 0; i < 100 && (!quiet.seen || !n_other); i++)
			T_OK(vhk_loop_step(l, 0) > 0);
		T_EQ(quiet.seen, 1);
		T_OK(n_other > 0);
		/* A foreign loop gets its thread back, and is asked to come again. */
		if (m->flags & VHK_LOOP_F_EMBED)
			T_OK(t_foreign_turn(l, 1000));
		vhk_loop_del_source(l, &busy.s);
		vhk_loop_del_source(l, &quiet.s);
		vhk_loop_free(l);
		t_ring_fini(&busy);
		t_ring_fini(&quiet);
		close(fd[0]);
		close(fd[1]);
	}
}

struct late {
	struct vhk_work w;
	struct t_ring *r;
};

static void stage(struct vhk_work *w)
{
	struct t_ring *r = ((struct late *)(uintptr_t)w)->r;

	vhk_loop_staged(r->loop, &r->s);
	vhk_loop_staged(r->loop, &r->s);
}

static void staged_is_flushed_in_the_round(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct late late = { .w.fn = stage };
		struct t_ring r;

		t_ring_init(&r, l, -2);
		late.r = &r;
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		t_settle(l);
		vhk_loop_post(l, &late.w);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(r.n_flushes, 1);
		/* Work and what it staged: once for each quantum. */
		t_settle(l);
		atomic_fetch_add(&r.avail, 8);
		t_write_kick(r.s.kick_fd);
		t_settle(l);
		T_EQ(r.seen, 8);
		T_EQ(r.n_flushes, 3);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

static void quantum_follows_load(void)
{
	struct vhk_loop *l = t_loop(&t_modes[2]);
	static struct t_ring r[8];
	unsigned int i;

	T_EQ(vhk_loop_quantum(l), 4);
	for (i = 0; i < 8; i++) {
		t_ring_init(&r[i], l, -2);
		atomic_fetch_add(&r[i].avail, 1000);
		T_EQ(vhk_loop_add_source(l, &r[i].s), 0);
	}
	T_OK(vhk_loop_step(l, 0) > 0);
	T_EQ(vhk_loop_quantum(l), 32);
	for (i = 0; i < 1000 && vhk_loop_step(l, 0) > 0; i++)
		;
	for (i = 0; i < 200; i++)
		vhk_loop_step(l, 0);
	T_EQ(vhk_loop_quantum(l), 4);
	for (i = 0; i < 8; i++) {
		T_EQ(r[i].seen, 1000);
		vhk_loop_del_source(l, &r[i].s);
		t_ring_fini(&r[i]);
	}
	vhk_loop_free(l);
}

struct message {
	struct t_ring *r;
	int fd;
	unsigned int seen, flushed, n;
};

static void read_message(void *arg, uint32_t events)
{
	struct message *m = arg;
	uint64_t v;

	(void)events;
	T_MUST(read(m->fd, &v, sizeof(v)) == sizeof(v));
	m->seen = m->r->seen;
	m->flushed = m->r->n_flushes;
	m->n++;
}

/* What comes together with a message, or while it is about to be told, is answered first. */
static void requests_go_before_messages(void)
{
	static const struct t_mode modes[] = { { VHK_LOOP_IO_URING, 0 },
					       { VHK_LOOP_IO_URING, VHK_LOOP_F_EMBED } };
	struct message msg;
	struct vhk_loop *l;
	struct t_ring r;
	unsigned int i, n;

	for (i = 0; i < 2; i++) {
		l = t_loop(&modes[i]);
		t_ring_init(&r, l, -2);
		msg = (struct message){ .r = &r, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
		T_MUST(msg.fd >= 0 && !vhk_loop_add_fd(l, msg.fd, EPOLLIN, read_message, &msg));
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		t_settle(l);
		t_write_kick(msg.fd);
		T_OK(t_ring_add(&r));
		for (n = 0; n < 100 && !msg.n; n++)
			T_MUST(vhk_loop_step(l, 10 * T_MS) >= 0);
		T_EQ(msg.n, 1);
		T_EQ(msg.seen, 1);
		T_OK(msg.flushed > 0);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_del_fd(l, msg.fd);
		t_ring_fini(&r);
		vhk_loop_free(l);
		close(msg.fd);
	}
}

int main(void)
{
	T_RUN(removed_while_kicked);
	T_RUN(removed_by_its_own_functions);
	T_RUN(busy_source_starves_nobody);
	T_RUN(staged_is_flushed_in_the_round);
	T_RUN(quantum_follows_load);
	T_RUN(requests_go_before_messages);
	return t_end();
}
