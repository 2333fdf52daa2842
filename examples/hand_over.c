// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A disk server that is exchanged while its guest runs: hand_over IMAGE SOCKET UPGRADE serves, and
 * hand_over IMAGE SOCKET UPGRADE take goes on with what the first one serves, which then ends.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <vhostkit/backend.h>
#include <vhostkit/blk.h>

struct server {
	struct vhk_loop *loop;
	struct vhk_device *disk;
	struct vhk_backend *backend;
	const char *upgrade;
	int ret;
};

static void log_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s%s\n", level == VHK_LOG_ERROR ? "error: " : "", text);
}

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhk_mem_fault(info->si_addr))
		signal(signo, SIG_DFL);
}

/* Another process has the guest, or died with it: there is nothing left to do here. */
static void handed_over(void *arg, int ret, int pid)
{
	struct server *s = arg;

	(void)pid;
	s->ret = ret;
	vhk_loop_stop(s->loop);
}

/* The guest is here, and the next one may come; or it stays where it was, and the log says why. */
static void taken_over(void *arg, int ret, int pid)
{
	struct server *s = arg;

	(void)pid;
	s->ret = ret ? ret : vhk_backend_hand_over(s->backend, s->upgrade, handed_over, s);
	if (s->ret)
		vhk_loop_stop(s->loop);
}

static int serve(struct server *s, const char *path, bool take, const struct vhk_log *log)
{
	const struct vhk_backend_opts o = {
		.sz = sizeof(o), .log = *log, .flags = VHK_BACKEND_F_HAND_OVER
	};
	int ret;

	if (take)
		return vhk_backend_take_over(&s->backend, s->loop, s->disk, s->upgrade, path, &o,
					     taken_over, s);
	ret = vhk_backend_listen(&s->backend, s->loop, s->disk, path, &o);
	return ret ? ret : vhk_backend_hand_over(s->backend, s->upgrade, handed_over, s);
}

int main(int argc, char **argv)
{
	struct sigaction bus = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	const struct vhk_log log = { .fn = log_line, .level = VHK_LOG_INFO };
	struct vhk_blk_opts disk = { .sz = sizeof(disk), .log = log };
	const bool take = argc == 5 && !strcmp(argv[4], "take");
	struct server s = { .loop = NULL };
	int ret;

	if (argc != 4 && !take) {
		fprintf(stderr, "usage: %s IMAGE SOCKET UPGRADE [take]\n", argv[0]);
		return 2;
	}
	disk.path = argv[1];
	s.upgrade = argv[3];
	/* the other process has the image's lock, which comes with it */
	disk.flags = take ? VHK_BLK_F_INCOMING : 0;
	sigaction(SIGBUS, &bus, NULL);
	ret = vhk_loop_new(&s.loop, NULL);
	if (ret >= 0)
		ret = vhk_loop_stop_on_signal(s.loop, SIGTERM);
	if (ret >= 0)
		ret = vhk_blk_new(&s.disk, &disk);
	if (ret >= 0)
		ret = serve(&s, argv[2], take, &log);
	if (ret >= 0)
		ret = vhk_loop_run(s.loop);
	vhk_backend_close(s.backend);
	vhk_device_free(s.disk);
	vhk_loop_free(s.loop);
	if (ret >= 0)
		ret = s.ret;
	if (ret < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	return ret < 0;
}
