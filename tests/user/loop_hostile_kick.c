// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Kick fds that are no eventfds: what cannot be watched is refused, the rest neither spins nor
 * stalls the loop, nor the peer that writes to it. (Class: not an eventfd as kick.)
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include "loop_t.h"

static uint64_t cpu_us(void)
{
	struct rusage u;

	T_MUST(!getrusage(RUSAGE_SELF, &u));
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void must_be_quiet(struct vhk_loop *l)
{
	uint64_t before = cpu_us(), until = t_now_ns() + 50 * T_MS;
	int n = 0;

	while (t_now_ns() < until) {
		T_OK(vhk_loop_step(l, 50 * T_MS) >= 0);
		n++;
	}
	T_OK(n < 10);
	T_OK(cpu_us() - before < 25000);
}

static void unwatchable_is_refused(void)
{
	const struct t_mode *m;
	char path[128];
	int fd[5], i;

	snprintf(path, sizeof(path), "%s/file", t_dir());
	fd[0] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fd[1] = open(t_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fd[3] = 3999;
	fd[4] = open(path, O_PATH | O_CLOEXEC);
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		for (i = 0; i < 5; i++) {
			struct t_ring r;

			t_ring_init(&r, l, fd[i]);
			T_EQ(vhk_loop_add_source(l, &r.s), i < 3 ? -EINVAL : -EBADF);
			T_EQ(r.n_gone, 0);
			/* A ring that has one keeps it. */
			t_ring_init(&r, l, -2);
			T_EQ(vhk_loop_add_source(l, &r.s), 0);
			T_EQ(vhk_loop_set_kick(l, &r.s, fd[i]), i < 3 ? -EINVAL : -EBADF);
			t_settle(l);
			T_OK(t_ring_add(&r));
			while (r.seen != 1 && vhk_loop_step(l, 1000 * T_MS) > 0)
				;
			T_EQ(r.seen, 1);
			vhk_loop_del_source(l, &r.s);
			t_ring_fini(&r);
		}
		vhk_loop_free(l);
	}
	for (i = 0; i < 5; i++)
		if (i != 3)
			close(fd[i]);
}

static void make_pair(int fd[2], bool stream_socket, bool blocking)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK);

	if (stream_socket)
		T_MUST(!socketpair(AF_UNIX, type, 0, fd));
	else
		T_MUST(!pipe2(fd, O_CLOEXEC | (blocking ? 0 : O_NONBLOCK)));
}

/* Far more kicks than fit, and each is heard; the writer never finds it full. */
static void pipe_and_socket_are_emptied(void)
{
	const struct t_mode *m;
	int kind, fd[2];
	unsigned int i;

	T_EACH_MODE(m) {
		for (kind = 0; kind < 4; kind++) {
			struct vhk_loop *l = t_loop(m);
			struct t_ring r;

			make_pair(fd, kind & 1, kind & 2);
			t_ring_init(&r, l, fd[0]);
			T_EQ(vhk_loop_add_source(l, &r.s), 0);
			fcntl(fd[1], F_SETFL, O_NONBLOCK);
			for (i = 0; i < 20000; i++) {
				t_write_kick(fd[1]);
				atomic_fetch_add(&r.avail, 1);
				if (i % 16 == 0)
					T_OK(vhk_loop_step(l, 0) >= 0);
			}
			while (r.seen != i && vhk_loop_step(l, 1000 * T_MS) > 0)
				;
			T_EQ(r.seen, i);
			T_OK(r.n_kicks > 100);
			t_settle(l);
			must_be_quiet(l);
			vhk_loop_del_source(l, &r.s);
			vhk_loop_free(l);
			close(fd[0]);
			close(fd[1]);
		}
	}
}

/* As many bytes at once as go in: the next kick needs room. */
static void a_flood_leaves_room(void)
{
	static char bytes[1 << 16];
	const struct t_mode *m;
	unsigned int i;
	int kind, fd[2];

	T_EACH_MODE(m) {
		for (kind = 0; kind < 2; kind++) {
			struct vhk_loop *l = t_loop(m);
			struct t_ring r;

			make_pair(fd, kind, false);
			t_ring_init(&r, l, fd[0]);
			T_EQ(vhk_loop_add_source(l, &r.s), 0);
			t_settle(l);
			for (i = 1; i <= 4; i++) {
				while (write(fd[1], bytes, sizeof(bytes)) > 0)
					;
				t_settle(l);
				atomic_fetch_add(&r.avail, 1);
				T_EQ(write(fd[1], bytes, 8), 8);
				while (r.seen != i && vhk_loop_step(l, 1000 * T_MS) > 0)
					;
				T_EQ(r.seen, i);
			}
			vhk_loop_del_source(l, &r.s);
			vhk_loop_free(l);
			close(fd[0]);
			close(fd[1]);
		}
	}
}

static void closed_peer_does_not_spin(void)
{
	const struct t_mode *m;
	int kind, fd[2];

	T_EACH_MODE(m) {
		for (kind = 0; kind < 4; kind++) {
			struct vhk_loop *l = t_loop(m);
			struct t_ring r, other;

			make_pair(fd, kind & 1, false);
			t_ring_init(&r, l, fd[0]);
			t_ring_init(&other, l, -2);
			/* Closed before it is watched, and after. */
			if (kind & 2)
				close(fd[1]);
			T_EQ(vhk_loop_add_source(l, &r.s), 0);
			T_EQ(vhk_loop_add_source(l, &other.s), 0);
			t_settle(l);
			if (!(kind & 2)) {
				atomic_fetch_add(&r.avail, 1);
				close(fd[1]);
				t_settle(l);
				T_EQ(r.seen, 1);
			}
			must_be_quiet(l);
			T_OK(t_ring_add(&other));
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			t_settle(l);
			T_EQ(other.seen, 1);
			/* A better one in its place. */
			T_EQ(vhk_loop_set_kick(l, &r.s, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), 0);
			close(fd[0]);
			t_settle(l);
			T_OK(t_ring_add(&r));
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			t_settle(l);
			T_OK(r.seen == atomic_load(&r.avail));
			vhk_loop_del_source(l, &r.s);
			vhk_loop_del_source(l, &other.s);
			vhk_loop_free(l);
			t_ring_fini(&r);
			t_ring_fini(&other);
		}
	}
}

/* A counter at its end: the peer cannot add to it, and we do not mind. */
static void full_eventfd(void)
{
	const struct t_mode *m;
	uint64_t most = UINT64_MAX - 1;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct t_ring r;

		t_ring_init(&r, l, -2);
		T_MUST(write(r.s.kick_fd, &most, sizeof(most)) == sizeof(most));
		atomic_fetch_add(&r.avail, 1);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		t_settle(l);
		T_EQ(r.seen, 1);
		must_be_quiet(l);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

/*
 * Work that is there and not taken (a queue that is disabled): no spinning; taken once the device
 * says so.
 */
static unsigned int hold_back(struct vhk_source *s, unsigned int quantum)
{
	return t_ring_of(s)->stop_at ? 0 : t_ring_work(s, quantum);
}

static void holding_back_does_not_spin(void)
{
	const struct t_mode *m;
	int blind;

	T_EACH_MODE(m) {
		for (blind = 0; blind < 2; blind++) {
			struct vhk_source_ops ops = t_ring_ops;
			struct vhk_loop *l = t_loop(m);
			struct t_ring r;

			ops.work = hold_back;
			t_ring_init(&r, l, blind ? -1 : -2);
			r.s.ops = &ops;
			r.stop_at = 1;
			atomic_fetch_add(&r.avail, 5);
			T_EQ(vhk_loop_add_source(l, &r.s), 0);
			t_settle(l);
			must_be_quiet(l);
			r.stop_at = 0;
			vhk_loop_staged(l, &r.s);
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			T_EQ(r.seen, 5);
			vhk_loop_del_source(l, &r.s);
			vhk_loop_free(l);
			t_ring_fini(&r);
		}
	}
}

/* The driver gives no kick fd: the loop looks by itself, and sleeps in between. */
static void no_kick_at_all(void)
{
	const struct t_mode *m;
	unsigned int i;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct t_ring r;

		t_ring_init(&r, l, -1);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		for (i = 1; i < 20; i++) {
			atomic_fetch_add(&r.avail, 1);
			if (m->flags & VHK_LOOP_F_EMBED)
				while (r.seen != i && t_foreign_turn(l, 1000))
					;
			else
				T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			T_EQ(r.seen, i);
		}
		T_EQ(vhk_loop_step(l, 10 * T_MS), 0);
		must_be_quiet(l);
		/* It gets one after all. */
		T_EQ(vhk_loop_set_kick(l, &r.s, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), 0);
		t_settle(l);
		T_OK(t_ring_add(&r));
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		t_settle(l);
		T_EQ(r.seen, 20);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

int main(void)
{
	T_RUN(unwatchable_is_refused);
	T_RUN(pipe_and_socket_are_emptied);
	T_RUN(a_flood_leaves_room);
	T_RUN(closed_peer_does_not_spin);
	T_RUN(full_eventfd);
	T_RUN(holding_back_does_not_spin);
	T_RUN(no_kick_at_all);
	return t_end();
}
