// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk whose stderr nobody reads, be it a pipe, a socket or a terminal, and a front end that
 * makes it say more than any of them holds: everybody is served, SIGTERM ends it, and whoever reads
 * on learns how many lines are missing.
 */
#define _XOPEN_SOURCE 700
#include <termios.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (1 << 20)
/* Two lines each, more than is kept for a reader to come. */
#define N_MESSAGES 5000

static char image[128], sock[100], file_opt[160], sock_opt[160];

static void make_image(void)
{
	snprintf(image, sizeof(image), "%s/img", t_dir());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, SIZE));
}

/* fd[0]: the reader's end. */
static void open_pipe(int *fd)
{
	T_MUST(!pipe2(fd, O_CLOEXEC) && fcntl(fd[1], F_SETPIPE_SZ, 4096) > 0);
}

static void open_socket(int *fd)
{
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
}

static void open_terminal(int *fd)
{
	struct termios raw;

	fd[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	T_MUST(fd[0] >= 0 && !grantpt(fd[0]) && !unlockpt(fd[0]));
	fd[1] = open(ptsname(fd[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	T_MUST(fd[1] >= 0 && !tcgetattr(fd[1], &raw));
	cfmakeraw(&raw);
	T_MUST(!tcsetattr(fd[1], TCSANOW, &raw));
}

static void start(struct t_prog *p, int err, const char *threads)
{
	const char *args[T_ARGS + 1] = { file_opt, sock_opt, "--log-level=debug", threads };
	char path[100];

	memset(p, 0, sizeof(*p));
	snprintf(path, sizeof(path), "%s/ready", t_dir());
	p->ready = t_notify_socket(path);
	fflush(stdout);
	p->pid = fork();
	T_MUST(p->pid >= 0);
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("NOTIFY_SOCKET", path, 1);
		dup2(err, 2);
		t_prog_exec("vhk-blk", args, -1, NULL);
	}
	close(err);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	T_MUST(p->pidfd >= 0 && t_prog_ready(p, MS));
}

static int stop(struct t_prog *p)
{
	int status;
	bool in_time;

	kill(p->pid, SIGTERM);
	in_time = t_readable(p->pidfd, MS);
	if (!in_time)
		kill(p->pid, SIGKILL);
	T_MUST(waitpid(p->pid, &status, 0) == p->pid);
	close(p->pidfd);
	close(p->ready);
	return !in_time ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Requests that nobody knows, and one that is answered: true when it was. */
static bool make_noise(void)
{
	static uint32_t msg[N_MESSAGES + 1][3];
	const struct timeval patience = { .tv_sec = MS / 1000 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned char answer[32];
	size_t sent = 0;
	unsigned int i;
	ssize_t n;
	bool ok;

	for (i = 0; i <= N_MESSAGES; i++) {
		msg[i][0] = i < N_MESSAGES ? 200 : VHK_CTL_GET_FEATURES;
		msg[i][1] = 1;
	}
	T_MUST(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", sock);
	T_MUST(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	while (sent < sizeof(msg)) {
		n = send(fd, (char *)msg + sent, sizeof(msg) - sent, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	ok = sent == sizeof(msg) && t_readable(fd, MS) && recv(fd, answer, sizeof(answer), 0) == 20;
	close(fd);
	return ok;
}

static bool is_served(void)
{
	unsigned char sector[512];
	struct t_front f;
	bool ok;

	if (t_front_open(&f, sock, VHK_F_RING_ALL, 1, 16))
		return false;
	ok = t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, sector, sizeof(sector)) == VIRTIO_BLK_S_OK;
	t_front_close(&f);
	return ok;
}

static char text[1 << 20];
static size_t n_text;

static bool read_on(int fd)
{
	ssize_t got;

	if (n_text == sizeof(text) - 1 || !t_readable(fd, MS))
		return false;
	got = read(fd, text + n_text, sizeof(text) - 1 - n_text);
	if (got <= 0)
		return false;
	n_text += (size_t)got;
	text[n_text] = 0;
	return true;
}

/* Reads on: true when the lines say what is missing. */
static bool learns(int fd)
{
	while (!strstr(text, " lines were lost\n"))
		if (!read_on(fd))
			return false;
	return true;
}

static void serves_without_reader(void (*open_kind)(int *fd), const char *threads)
{
	struct t_prog p;
	int fd[2];

	open_kind(fd);
	start(&p, fd[1], threads);
	T_OK(make_noise());
	T_OK(is_served());
	kill(p.pid, SIGUSR1);
	T_OK(is_served());
	T_EQ(stop(&p), 0);
	close(fd[0]);
}

static void a_full_pipe(void)
{
	serves_without_reader(open_pipe, "--threads=0");
	serves_without_reader(open_pipe, "--threads=2");
}

static void a_full_socket(void)
{
	serves_without_reader(open_socket, "--threads=0");
}

static void a_full_terminal(void)
{
	serves_without_reader(open_terminal, "--threads=0");
}

static void a_reader_that_comes_back(void)
{
	struct t_prog p;
	int fd[2];

	open_pipe(fd);
	start(&p, fd[1], "--threads=0");
	T_OK(make_noise());
	T_MUST(read_on(fd[0]));
	T_MUST(read_on(fd[0]));
	kill(p.pid, SIGUSR1);
	T_OK(learns(fd[0]));
	close(fd[0]);
	T_EQ(stop(&p), 0);
}

int main(void)
{
	make_image();
	T_RUN(a_full_pipe);
	T_RUN(a_full_socket);
	T_RUN(a_full_terminal);
	T_RUN(a_reader_that_comes_back);
	return t_end();
}
