// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Watched fds: level-triggered, changed and removed inside callbacks, hung up, closed and used
 * again.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "loop_t.h"

struct watch {
	struct vhk_loop *loop;
	int fd, other;
	uint32_t events;
	unsigned int n;
	enum { LEAVE, DRAIN, DEL_SELF, DEL_OTHER, TO_OUT, REPLACE } what;
};

static void called(void *arg, uint32_t events)
{
	struct watch *w = arg;
	char c[64];

	w->n++;
	w->events = events;
	switch (w->what) {
	case LEAVE:
		break;
	case DRAIN:
		T_OK(read(w->fd, c, sizeof(c)) > 0);
		break;
	case DEL_SELF:
		T_EQ(vhk_loop_del_fd(w->loop, w->fd), 0);
		break;
	case DEL_OTHER:
		T_EQ(vhk_loop_del_fd(w->loop, w->other), 0);
		T_EQ(vhk_loop_del_fd(w->loop, w->fd), 0);
		break;
	case TO_OUT:
		T_EQ(vhk_loop_mod_fd(w->loop, w->fd, EPOLLOUT), 0);
		break;
	case REPLACE:
		T_EQ(vhk_loop_del_fd(w->loop, w->fd), 0);
		T_EQ(vhk_loop_add_fd(w->loop, w->fd, EPOLLIN, called, w), 0);
		break;
	}
}

static void pair(int fd[2])
{
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
}

static void unpair(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static void step_n(struct vhk_loop *l, int n)
{
	while (n--)
		T_OK(vhk_loop_step(l, T_MS) >= 0);
}

static void level_triggered(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct watch w = { .loop = l };
		int fd[2];

		pair(fd);
		w.fd = fd[0];
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, called, &w), 0);
		T_EQ(vhk_loop_step(l, T_MS), 0);
		T_EQ(w.n, 0);
		T_MUST(write(fd[1], "x", 1) == 1);
		while (w.n < 5 && vhk_loop_step(l, 1000 * T_MS) > 0)
			;
		T_EQ(w.n, 5);
		T_EQ(w.events, EPOLLIN);
		w.what = DRAIN;
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		step_n(l, 3);
		T_EQ(w.n, 6);
		T_EQ(vhk_loop_del_fd(l, fd[0]), 0);
		T_MUST(write(fd[1], "x", 1) == 1);
		step_n(l, 3);
		T_EQ(w.n, 6);
		vhk_loop_free(l);
		unpair(fd);
	}
}

static void changed_inside_a_callback(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct watch w = { .loop = l, .what = TO_OUT };
		int fd[2];

		pair(fd);
		w.fd = fd[0];
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, called, &w), 0);
		T_MUST(write(fd[1], "x", 1) == 1);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(w.events, EPOLLIN);
		while (w.n < 3 && vhk_loop_step(l, 1000 * T_MS) > 0)
			;
		T_EQ(w.events, EPOLLOUT);
		/* Neither: only what cannot be left out is told. */
		w.what = LEAVE;
		T_EQ(vhk_loop_mod_fd(l, fd[0], 0), 0);
		w.n = 0;
		step_n(l, 3);
		T_EQ(w.n, 0);
		shutdown(fd[0], SHUT_RDWR);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_OK(w.events & EPOLLHUP);
		w.what = REPLACE;
		T_EQ(vhk_loop_mod_fd(l, fd[0], EPOLLIN), 0);
		while (w.n < 5 && vhk_loop_step(l, 1000 * T_MS) > 0)
			;
		T_EQ(w.n, 5);
		vhk_loop_free(l);
		unpair(fd);
	}
}

static void removed_inside_a_callback(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct watch a = { .loop = l, .what = DEL_OTHER }, b = a;
		int x[2], y[2];

		pair(x);
		pair(y);
		a.fd = b.other = x[0];
		b.fd = a.other = y[0];
		T_EQ(vhk_loop_add_fd(l, x[0], EPOLLIN, called, &a), 0);
		T_EQ(vhk_loop_add_fd(l, y[0], EPOLLIN, called, &b), 0);
		T_EQ(vhk_loop_step(l, 0), 0);
		T_MUST(write(x[1], "x", 1) == 1 && write(y[1], "y", 1) == 1);
		step_n(l, 4);
		T_EQ(a.n + b.n, 1);
		vhk_loop_free(l);
		unpair(x);
		unpair(y);
	}
}

/*
 * The same number is another file soon after: news of the former one does not reach its callback.
 */
static void number_used_again(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct watch a = { .loop = l, .what = DEL_SELF }, b = { .loop = l, .what = DRAIN };
		int x[2], y[2], i;

		for (i = 0; i < 20; i++) {
			pair(x);
			a.fd = x[0];
			T_EQ(vhk_loop_add_fd(l, x[0], EPOLLIN, called, &a), 0);
			T_MUST(write(x[1], "x", 1) == 1);
			if (i & 1)
				T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			else
				T_EQ(vhk_loop_del_fd(l, x[0]), 0);
			unpair(x);
			pair(y);
			T_EQ(y[0], x[0]);
			b.fd = y[0];
			b.n = 0;
			T_EQ(vhk_loop_add_fd(l, y[0], EPOLLIN, called, &b), 0);
			step_n(l, 2);
			T_EQ(b.n, 0);
			T_MUST(write(y[1], "y", 1) == 1);
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
			T_EQ(b.n, 1);
			T_EQ(vhk_loop_del_fd(l, y[0]), 0);
			unpair(y);
		}
		T_EQ(a.n, 10);
		vhk_loop_free(l);
	}
}

static void wakes_foreign_loop(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l;
		struct watch w = { .what = DRAIN };
		int fd[2], i;

		if (!(m->flags & VHK_LOOP_F_EMBED))
			continue;
		w.loop = l = t_loop(m);
		pair(fd);
		w.fd = fd[0];
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, called, &w), 0);
		while (t_foreign_turn(l, 2))
			;
		for (i = 1; i < 10; i++) {
			T_MUST(write(fd[1], "x", 1) == 1);
			while (w.n != (unsigned int)i && t_foreign_turn(l, 1000))
				;
			T_EQ(w.n, i);
		}
		vhk_loop_free(l);
		unpair(fd);
	}
}

static void many(void)
{
	const struct t_mode *m;
	static struct watch w[200];
	int fd[200], i;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop_opts(m, 4, 0);
		unsigned int sum = 0;

		for (i = 0; i < 200; i++) {
			fd[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
			w[i] = (struct watch){ .loop = l, .fd = fd[i], .what = DEL_SELF };
			T_EQ(vhk_loop_add_fd(l, fd[i], EPOLLIN, called, &w[i]), 0);
		}
		while (sum < 200 && vhk_loop_step(l, 1000 * T_MS) > 0)
			for (i = 0, sum = 0; i < 200; i++)
				sum += w[i].n;
		T_EQ(sum, 200);
		T_EQ(vhk_loop_step(l, T_MS), 0);
		vhk_loop_free(l);
		for (i = 0; i < 200; i++)
			close(fd[i]);
	}
}

/* A server that is killed leaves nothing behind that answers in its name. */
static void socket_ends_with_the_process(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct t_mode *m;
	struct watch w = { 0 };
	int listener, fd, i, status;
	pid_t pid;

	T_EACH_MODE(m) {
		for (i = 0; i < 10; i++) {
			snprintf(at.sun_path, sizeof(at.sun_path), "%s/sock", t_dir());
			unlink(at.sun_path);
			listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
			T_MUST(!bind(listener, (struct sockaddr *)&at, sizeof(at)));
			T_MUST(!listen(listener, 1));
			pid = fork();
			if (!pid) {
				struct vhk_loop *l = t_loop(m);

				w.loop = l;
				vhk_loop_add_fd(l, listener, EPOLLIN, called, &w);
				vhk_loop_step(l, 0);
				raise(SIGKILL);
			}
			close(listener);
			T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
			T_OK(WIFSIGNALED(status));
			fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
			T_EQ(connect(fd, (struct sockaddr *)&at, sizeof(at)), -1);
			T_EQ(errno, ECONNREFUSED);
			close(fd);
		}
	}
}

static void refusals(void)
{
	const struct t_mode *m;
	char path[128];
	int file, fd[2], before = t_count_fds();

	snprintf(path, sizeof(path), "%s/file", t_dir());
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(file >= 0);
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		pair(fd);
		T_EQ(vhk_loop_add_fd(l, file, EPOLLIN, called, NULL), -EINVAL);
		T_EQ(vhk_loop_add_fd(l, -1, EPOLLIN, called, NULL), -EINVAL);
		T_EQ(vhk_loop_add_fd(l, 3999, EPOLLIN, called, NULL), -EBADF);
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, NULL, NULL), -EINVAL);
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN | EPOLLET, called, NULL), -EINVAL);
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, called, NULL), 0);
		T_EQ(vhk_loop_add_fd(l, fd[0], EPOLLIN, called, NULL), -EBUSY);
		T_EQ(vhk_loop_mod_fd(l, fd[0], EPOLLONESHOT), -EINVAL);
		T_EQ(vhk_loop_mod_fd(l, fd[1], EPOLLIN), -EINVAL);
		T_EQ(vhk_loop_del_fd(l, fd[1]), -EINVAL);
		T_EQ(vhk_loop_del_fd(l, fd[0]), 0);
		T_EQ(vhk_loop_del_fd(l, fd[0]), -EINVAL);
		vhk_loop_free(l);
		unpair(fd);
	}
	close(file);
	T_EQ(t_count_fds(), before);
}

int main(void)
{
	T_RUN(level_triggered);
	T_RUN(changed_inside_a_callback);
	T_RUN(removed_inside_a_callback);
	T_RUN(number_used_again);
	T_RUN(wakes_foreign_loop);
	T_RUN(many);
	T_RUN(socket_ends_with_the_process);
	T_RUN(refusals);
	return t_end();
}
