// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Servers started with any of their first three file descriptors closed: what they say is lost
 * then, never lands in the image, and is not taken for said.
 */
#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (1 << 20)

static char image[128], sock[128], file_opt[160], sock_opt[160];

static void make_image(void)
{
	snprintf(image, sizeof(image), "%s/img", t_dir());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, SIZE));
}

static bool image_is_zeros(void)
{
	static char got[SIZE + 1], zeros[SIZE];
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	T_MUST(fd >= 0);
	n = read(fd, got, sizeof(got));
	close(fd);
	return n == SIZE && !memcmp(got, zeros, SIZE);
}

/* Bit i of @closed: file descriptor i is not there. */
static void start(struct t_prog *p, unsigned int closed)
{
	const char *args[T_ARGS + 1] = { file_opt, sock_opt, "--log-level=debug" };
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/ready%u", t_dir(), closed);
	p->ready = t_notify_socket(path);
	fflush(stdout);
	p->pid = fork();
	T_MUST(p->pid >= 0);
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("NOTIFY_SOCKET", path, 1);
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 2);
		for (fd = 0; fd < 3; fd++)
			if (closed & 1u << fd)
				close(fd);
		t_prog_exec("vhk-blk", args, -1, NULL);
	}
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	T_MUST(p->pidfd >= 0);
}

static void no_line_lands_in_the_image(void)
{
	struct t_front f;
	struct t_prog p;
	unsigned int closed;
	int status;

	make_image();
	for (closed = 1; closed < 8; closed++) {
		start(&p, closed);
		T_MUST(t_prog_ready(&p, MS));
		T_EQ(t_front_open(&f, sock, VHK_F_RING_ALL, 1, 16), 0);
		t_front_close(&f);
		kill(p.pid, SIGUSR1);
		kill(p.pid, SIGTERM);
		if (!t_readable(p.pidfd, MS))
			kill(p.pid, SIGKILL);
		T_MUST(waitpid(p.pid, &status, 0) == p.pid);
		T_OK(WIFEXITED(status) && !WEXITSTATUS(status));
		T_OK(image_is_zeros());
		close(p.pidfd);
		close(p.ready);
	}
}

/* A caller that asks what the program can do must not take nothing for an answer. */
static void an_answer_that_is_lost_is_an_error(void)
{
	static const char *const asks[] = { "--print-capabilities", "--help", "--version" };
	static const char *const programs[] = { "vhk-blk", "vhk-net" };
	static const char *const outs[] = { "/dev/full", "&-" };
	char cmd[512], err[100];
	size_t i;
	int status;

	snprintf(err, sizeof(err), "%s/err", t_dir());
	for (i = 0; i < 12; i++) {
		const char *program = programs[i / 6];

		snprintf(cmd, sizeof(cmd), "'%s' %s >%s 2>'%s'", t_program(program), asks[i % 3],
			 outs[i / 3 % 2], err);
		status = system(cmd);
		T_OK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		snprintf(cmd, sizeof(cmd),
			 "[ $(wc -l <'%s') = 1 ] && grep -q '^%s: stdout: ' '%s'", err, program,
			 err);
		T_EQ(system(cmd), 0);
	}
}

int main(void)
{
	T_RUN(no_line_lands_in_the_image);
	T_RUN(an_answer_that_is_lost_is_an_error);
	return t_end();
}
