// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The loop's life and its rounds: work, hand over, reap, publish; then let others run or
 * spin for as long as it pays, ask for kicks, look once more and sleep.
 */
#include <limits.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "barrier.h"
#include "loop_impl.h"
#include "loop_pin.h"

#define POLL_NS 64000	 /* spins out a driver's own wake-up (25 us) and what it then does */
#define WAKE_NS 25000	 /* a sleep and a wake-up between two cores */
#define NAP_MIN 50000	 /* between two looks at idle sources without kicks, ns */
#define NAP_MAX 1000000	 /* and after a while */
#define BLIND_NS 1000000 /* sources without kicks are spun on for so long after their last work */
#define ROUNDS_MAX 16	 /* of one embedded step */
#define RUN_DRAIN_NS 1000000000u
#define FREE_DRAIN_NS 5000000000u

void vhk_loop_wake(struct vhk_loop *l)
{
	const uint64_t one = 1;
	int saved = errno;

	/* Non-blocking. Full is as good: it is readable then. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

void vhk_loop_touch(struct vhk_loop *l)
{
	if ((l->flags & VHK_LOOP_F_EMBED) && !l->inside)
		vhk_loop_wake(l);
}

void vhk_loop_stop(struct vhk_loop *l)
{
	atomic_store(&l->stop, true);
	vhk_loop_wake(l);
}

static int open_engine(struct vhk_loop *l, const struct vhk_loop_opts *o)
{
	int ret = -EINVAL;

	if (o->engine == VHK_LOOP_AUTO || o->engine == VHK_LOOP_IO_URING) {
		l->engine = &vhk_engine_uring;
		ret = l->engine->open(l, o);
		if (!ret)
			vhk_log(&l->log, VHK_LOG_INFO, "loop: io_uring");
		if (!ret || o->engine == VHK_LOOP_IO_URING)
			return ret;
	}
	if (o->engine == VHK_LOOP_AUTO)
		vhk_log(&l->log, VHK_LOG_INFO, "loop: epoll, as there is no io_uring: %s",
			strerror(-ret));
	else if (o->engine == VHK_LOOP_EPOLL)
		vhk_log(&l->log, VHK_LOG_INFO, "loop: epoll");
	else
		return -EINVAL;
	l->engine = &vhk_engine_epoll;
	return l->engine->open(l, o);
}

/* On the only processor a spin holds up whoever it waits for. */
static uint64_t longest_spin(const struct vhk_loop_opts *o)
{
	if (o->poll_ns)
		return o->poll_ns == UINT64_MAX ? 0 : o->poll_ns;
	return sysconf(_SC_NPROCESSORS_ONLN) == 1 ? 0 : POLL_NS;
}

static int init(struct vhk_loop *l, const struct vhk_loop_opts *o)
{
	struct vhk_poll wake = { .kind = VHK_POLL_WAKE, .events = EPOLLIN };
	bool embed = o->flags & VHK_LOOP_F_EMBED;
	uint32_t i;
	int ret;

	if (o->flags & ~(uint32_t)VHK_LOOP_F_ALL)
		return -EOPNOTSUPP;
	l->flags = o->flags;
	l->log = o->log;
	vhk_learn_init(&l->learn, longest_spin(o), o->wake_ns ? o->wake_ns : WAKE_NS);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		return -errno;
	ret = open_engine(l, o);
	if (ret) {
		l->engine = NULL;
		return ret;
	}
	wake.fd = l->wake_fd;
	ret = vhk_poll_add(l, &wake, &i);
	if (!ret && o->flags & VHK_LOOP_F_PIN)
		ret = vhk_pins_init(l);
	if (!ret)
		ret = vhk_loop_mux_init(l, o);
	if (!ret && embed)
		ret = vhk_timers_init_fd(l);
	if (!ret && embed)
		ret = l->engine->submit(l);
	/* From here on the foreign loop sleeps on our fd. */
	atomic_store(&l->sleeping, embed);
	return ret;
}

int vhk_loop_new(struct vhk_loop **out, const struct vhk_loop_opts *o)
{
	struct vhk_loop_opts opts;
	struct vhk_loop *l;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&opts, sizeof(opts), o);
	if (ret)
		return ret;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->wake_fd = l->timer_fd = -1;
	l->free_poll = VHK_NO_POLL;
	l->backlog_tail = &l->backlog;
	l->own_tail = &l->own;
	l->to_write_tail = &l->to_write;
	l->own_left = VHK_OWN_ROUND;
	l->nap = NAP_MIN;
	vhk_sources_init(l);
	ret = init(l, &opts);
	if (ret) {
		vhk_loop_free(l);
		return ret;
	}
	*out = l;
	return 0;
}

void vhk_loop_free(struct vhk_loop *l)
{
	if (!l)
		return;
	if (l->engine) {
		l->closing = true;
		vhk_io_drop(l);
		if (l->n_io)
			l->engine->cancel(l);
		vhk_io_drain(l, FREE_DRAIN_NS);
		if (l->n_io)
			vhk_log(&l->log, VHK_LOG_ERROR, "loop: %u operations did not end", l->n_io);
		/* the writer has some, and would give them back to nobody */
		if (l->n_io && l->writer)
			return;
		vhk_io_leave_writer(l);
		vhk_signals_fini(l);
		l->engine->close(l);
		vhk_pins_free(l);
	}
	vhk_loop_mux_free(l);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	free(l->timers);
	free(l->files);
	free(l->polls);
	free(l);
}

/* The time with nothing to do ended: how long it was, without what a sleep added. */
static void learn(struct vhk_loop *l)
{
	uint64_t gap;

	if (!l->idle_since)
		return;
	gap = vhk_now_ns() - l->idle_since;
	if (l->slept)
		gap -= vhk_min(gap, l->learn.cost);
	/* what storage took says nothing of drivers */
	if (!l->idle_io)
		vhk_learn_gap(&l->learn, gap);
	l->idle_since = 0;
	l->slept = false;
}

unsigned int vhk_loop_hand_over(struct vhk_loop *l, bool idle)
{
	unsigned int n, under_way;
	int ret;

	vhk_io_flush(l);
	vhk_io_send_writes(l);
	under_way = l->n_io;
	ret = l->engine->submit(l);
	if (ret)
		l->err = ret;
	n = l->engine->reap(l, idle) + vhk_loop_mux_reap(l) + vhk_io_take_made(l);
	if (under_way)
		l->prompt = !l->n_io;
	return n;
}

static void publish(struct vhk_loop *l)
{
	vhk_sources_flush(l);
	vhk_loop_send_calls(l);
}

unsigned int vhk_loop_tell_fds(struct vhk_loop *l)
{
	if (!l->fds_due)
		return 0;
	l->fds_due = false;
	return l->engine->tell_fds(l);
}

/*
 * Messages of all kinds, which may take long. What is answered already does not wait for them, nor
 * does what drivers have asked for meanwhile, for one round.
 */
static unsigned int serve_others(struct vhk_loop *l)
{
	if (!l->fds_due && !vhk_mail_waits(l))
		return 0;
	publish(l);
	l->put_off = !l->put_off && vhk_sources_ready(l);
	return l->put_off ? 1 : vhk_loop_tell_fds(l) + vhk_mail_read(l);
}

/* How many things were done. */
static unsigned int go_round(struct vhk_loop *l)
{
	unsigned int n;

	vhk_loop_count(&l->stats.rounds, 1);
	l->n_learn = 0;
	n = vhk_io_go_on(l);
	n += vhk_sources_work(l);
	n += vhk_loop_hand_over(l, !n);
	n += serve_others(l);
	if (!n || l->own || !(++l->n_rounds & 15))
		n += vhk_timers_fire(l);
	publish(l);
	/* Other things than requests do not end the idle time: a timer is no reason to spin. */
	if (l->n_learn)
		learn(l);
	return n;
}

static uint64_t spin_until(struct vhk_loop *l, uint64_t until)
{
	/* Storage wakes the thread by an interrupt: a spin would only burn the time until then. */
	uint64_t end = l->idle_since + (l->n_io ? 0 : l->learn.window);

	if (l->n_blind && l->learn.max)
		end = vhk_max(end, l->blind_busy + BLIND_NS);
	end = vhk_min(end, until);
	return vhk_min(end, vhk_timers_next(l));
}

static bool came(struct vhk_loop *l)
{
	return vhk_sources_ready(l) || vhk_loop_mux_peek(l) || l->engine->peek(l) ||
	       vhk_mail_waits(l) || vhk_io_made(l) ||
	       atomic_load_explicit(&l->stop, memory_order_relaxed);
}

static bool spin(struct vhk_loop *l, uint64_t now, uint64_t end)
{
	unsigned int i;

	for (; now < end; now = vhk_now_ns()) {
		for (i = 0; i < 32; i++) {
			if (came(l))
				return true;
			vhk_pause();
		}
	}
	return false;
}

/*
 * A driver that waits for this processor is served sooner by a change of threads than by a spin,
 * which it would only be kept off by, and at less cost than by a sleep and a kick. Where it needs
 * another thread to be woken up by, that one has its turn first.
 */
static bool give_way(struct vhk_loop *l, uint64_t now)
{
	const uint64_t limit = 2 * l->learn.cost;
	uint64_t last = 0, ns = 0;
	bool yes = false;

	if (l->n_io || !l->n_active || !vhk_yields_due(&l->yields, now))
		return false;
	if (came(l))
		return true;
	while (!yes && ns - last >= VHK_YIELD_LEAST * (ns > 0) && ns <= limit) {
		last = ns;
		sched_yield();
		vhk_loop_note_syscalls(l, 1);
		yes = came(l);
		ns = vhk_now_ns() - now;
	}
	vhk_yields_note(&l->yields, yes, now, ns, limit);
	/* how long that took says nothing of spins */
	if (yes)
		l->idle_since = 0;
	return yes;
}

/* When to wake up by ourselves. */
static uint64_t sleep_end(struct vhk_loop *l, uint64_t until)
{
	uint64_t end = vhk_min(until, vhk_timers_next(l));

	/* What found no room although nothing is under way is tried again soon. */
	if (l->n_blind || l->backlog) {
		end = vhk_min(end, vhk_now_ns() + l->nap);
		l->nap = vhk_min(l->nap * 2, (uint64_t)NAP_MAX);
	}
	return end;
}

static int64_t time_to(uint64_t end)
{
	uint64_t now = vhk_now_ns();

	if (end == VHK_NEVER)
		return -1;
	return end > now ? (int64_t)(end - now) : 0;
}

static void note_blind(struct vhk_loop *l, uint64_t now)
{
	if (!l->blind_worked)
		return;
	l->blind_worked = false;
	l->blind_busy = now;
	l->nap = NAP_MIN;
}

static int go_to_sleep(struct vhk_loop *l, uint64_t until)
{
	int ret = 0;

	/* Then look: pairs with the push, then the look at sleeping, in vhk_loop_post(), and in a
	 * writer's give_back(). */
	atomic_store(&l->sleeping, true);
	if (!vhk_mail_waits(l) && !vhk_io_made(l) && !atomic_load(&l->stop)) {
		vhk_loop_count(&l->stats.sleeps, 1);
		ret = l->engine->wait(l, time_to(sleep_end(l, until)));
	}
	atomic_store_explicit(&l->sleeping, false, memory_order_relaxed);
	l->slept = true;
	return ret;
}

/* Returns when there may be something to do. */
static int idle(struct vhk_loop *l, uint64_t until)
{
	uint64_t now = vhk_now_ns();

	if (l->own)
		return 0;
	note_blind(l, now);
	l->slept = false;
	if (!l->idle_since) {
		l->idle_since = now;
		l->idle_io = l->n_io;
		if (give_way(l, now))
			return 0;
	}
	if (spin(l, now, spin_until(l, until)) || !vhk_sources_arm(l))
		return 0;
	return go_to_sleep(l, until);
}

static int enter(struct vhk_loop *l)
{
	int ret;

	if (l->inside)
		return -EBUSY;
	if (l->err)
		return l->err;
	ret = l->engine->bind(l);
	if (ret)
		return ret;
	l->inside = true;
	atomic_store(&l->owner, (unsigned long)pthread_self());
	atomic_store(&l->sleeping, false);
	return 0;
}

/*
 * What a foreign loop must wake us for is put where its poll of our fd sees it. Returns how much
 * was done.
 */
static unsigned int hand_out(struct vhk_loop *l)
{
	unsigned int i, n = 0;
	bool quiet = false;

	for (i = 0; i < ROUNDS_MAX && !l->err; i++) {
		quiet = vhk_sources_arm(l) && !l->own && !l->fds_due && !l->engine->peek(l);
		/* The foreign loop has its own to serve, too. */
		if (quiet || l->own)
			break;
		n += go_round(l);
	}
	note_blind(l, vhk_now_ns());
	l->engine->submit(l);
	vhk_timers_set_fd(l, sleep_end(l, VHK_NEVER));
	atomic_store(&l->sleeping, true);
	if (!quiet || vhk_mail_waits(l) || vhk_io_made(l))
		vhk_loop_wake(l);
	return n;
}

static unsigned int leave(struct vhk_loop *l)
{
	unsigned int n = l->flags & VHK_LOOP_F_EMBED ? hand_out(l) : 0;

	l->inside = false;
	if (atomic_exchange(&l->stop, false))
		atomic_store(&l->owner, 0);
	return n;
}

int vhk_loop_run(struct vhk_loop *l)
{
	int ret = enter(l);

	if (ret)
		return ret;
	while (!l->err && !atomic_load_explicit(&l->stop, memory_order_relaxed))
		if (!go_round(l))
			l->err = idle(l, VHK_NEVER);
	/* The thread may end after this, and only it can see completions. */
	if (!l->err)
		vhk_io_drain(l, RUN_DRAIN_NS);
	leave(l);
	l->engine->unbind(l);
	atomic_store(&l->owner, 0);
	return l->err;
}

int vhk_loop_step(struct vhk_loop *l, int64_t timeout_ns)
{
	uint64_t until = VHK_NEVER;
	unsigned int n;
	int ret = enter(l);

	if (ret)
		return ret;
	if (timeout_ns >= 0)
		until = vhk_now_ns() + (uint64_t)timeout_ns;
	for (;;) {
		n = go_round(l);
		if (n || l->err || atomic_load_explicit(&l->stop, memory_order_relaxed) ||
		    vhk_now_ns() >= until)
			break;
		l->err = idle(l, until);
	}
	n += leave(l);
	return l->err ? l->err : (int)vhk_min(n, (unsigned int)INT_MAX);
}

bool vhk_loop_is_mine(const struct vhk_loop *l)
{
	unsigned long owner = atomic_load(&l->owner);

	return !owner || owner == (unsigned long)pthread_self();
}

int vhk_loop_fd(const struct vhk_loop *l)
{
	return l->flags & VHK_LOOP_F_EMBED ? l->engine->fd(l) : -EINVAL;
}

void vhk_loop_note_syscalls(struct vhk_loop *l, unsigned int n)
{
	vhk_loop_count(&l->stats.syscalls, n);
}

void vhk_loop_stats(const struct vhk_loop *l, struct vhk_loop_stats *out)
{
	out->rounds = __atomic_load_n(&l->stats.rounds, __ATOMIC_RELAXED);
	out->sleeps = __atomic_load_n(&l->stats.sleeps, __ATOMIC_RELAXED);
	out->syscalls = __atomic_load_n(&l->stats.syscalls, __ATOMIC_RELAXED);
	out->pinned = __atomic_load_n(&l->stats.pinned, __ATOMIC_RELAXED);
}

const char *vhk_loop_engine_name(const struct vhk_loop *l)
{
	return l->engine->name;
}
