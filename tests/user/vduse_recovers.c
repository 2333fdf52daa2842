// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A process that serves a VDUSE device is killed with requests in hand, and this one takes over:
 * every request is done, in the order in which the driver made them, and none twice.
 */
#include <signal.h>
#include <sys/wait.h>

#include "t_vduse.h"

#define N 12

/* Serves until it is killed; answers @done of the first N requests and says so. */
static void serve_and_hold(struct served *s, unsigned int done, int tell)
{
	unsigned int i;

	/* a loop belongs to one process */
	T_MUST(!vhk_loop_new(&s->ctl, NULL));
	s->echo.hold[0] = true;
	T_MUST(!served_open(s));
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
	served_kick(s, 0);
	served_until_held(s, N);
	/* out of order: the last ones first */
	for (i = 0; i < done; i++)
		echo_answer(s->echo.queue[0], s->echo.held[0][N - 1 - i]);
	for (i = 0; i < 100; i++)
		vhk_loop_step(s->ctl, 0);
	T_EQ(write(tell, "", 1), 1);
	for (;;)
		pause();
}

static void kill_one(uint64_t api, uint64_t features, unsigned int done)
{
	struct served s;
	unsigned int i;
	int pipe_fd[2];
	pid_t child;

	k_init();
	k.api = api;
	served_init(&s, features);
	k_share(s.drv.mem, 0);
	k_ready(&s.drv, 0);
	for (i = 0; i < N; i++) {
		unsigned char *out = s.drv.buf + i * 2 * ECHO_BUF;
		struct iovec seg[2] = { { out, ECHO_BUF }, { out + ECHO_BUF, ECHO_BUF } };

		memset(out, (int)i + 1, ECHO_BUF);
		T_EQ(vhk_vq_add(s.drv.vq, seg, 1, 1, out), 0);
	}
	s.drv.next = N;
	vhk_vq_publish(s.drv.vq);
	T_MUST(!pipe2(pipe_fd, O_CLOEXEC));
	fflush(stdout);
	child = fork();
	if (!child) {
		serve_and_hold(&s, done, pipe_fd[1]);
		_exit(1);
	}
	T_OK(t_readable(pipe_fd[0], 10000));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	T_EQ(driver_take(&s.drv), done);

	/* the kernel has what the child made of it */
	k.exists = k.attached = k.driver_ok = true;
	T_EQ(served_open(&s), 0);
	T_EQ(s.state, VHK_VDUSE_UP);
	T_EQ(served_take(&s, N - done), N - done);
	served_send(&s, 77);
	T_EQ(served_take(&s, 1), 1);
	T_OK(k.config_irqs > 0);
	T_OK(k.irqs > 0);
	vhk_vduse_close(s.v);
	served_fini(&s);
	k_fini();
	unlink(s.log);
}

static void what_was_in_hand_is_done_by_the_next(void)
{
	static const uint64_t layouts[] = {
		VHK_F_VERSION_1,
		VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED,
		VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX,
	};
	static const unsigned int done[] = { 0, 1, 5, N };
	unsigned int i, n;

	for (i = 0; i < vhk_array_size(layouts); i++)
		for (n = 0; n < vhk_array_size(done); n++)
			kill_one(n & 1, layouts[i], done[n]);
}

int main(void)
{
	T_RUN(what_was_in_hand_is_done_by_the_next);
	return t_end();
}
