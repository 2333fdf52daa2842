// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Serves an image as a virtio disk: serve_disk IMAGE SOCKET. Ends, with everything released, on
 * SIGTERM or SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <vhostkit/backend.h>
#include <vhostkit/blk.h>

static void log_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s%s\n", level == VHK_LOG_ERROR ? "error: " : "", text);
}

/* A front end that cuts its memory short ends its session, not this process. */
static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhk_mem_fault(info->si_addr))
		signal(signo, SIG_DFL);
}

int main(int argc, char **argv)
{
	struct vhk_log log = { .fn = log_line, .level = VHK_LOG_INFO };
	struct vhk_backend_opts served = { .sz = sizeof(served), .log = log };
	struct vhk_blk_opts disk = { .sz = sizeof(disk), .num_queues = 2, .log = log };
	struct sigaction bus = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct vhk_backend *backend = NULL;
	struct vhk_device *device = NULL;
	struct vhk_loop *loop = NULL;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: %s IMAGE SOCKET\n", argv[0]);
		return 2;
	}
	disk.path = argv[1];
	sigaction(SIGBUS, &bus, NULL);
	ret = vhk_loop_new(&loop, NULL);
	if (ret < 0)
		goto out;
	ret = vhk_loop_stop_on_signal(loop, SIGTERM);
	if (ret >= 0)
		ret = vhk_loop_stop_on_signal(loop, SIGINT);
	if (ret >= 0)
		ret = vhk_blk_new(&device, &disk);
	if (ret >= 0)
		ret = vhk_device_set_loops(device, &loop, 1);
	if (ret >= 0)
		ret = vhk_backend_listen(&backend, loop, device, argv[2], &served);
	if (ret >= 0)
		ret = vhk_loop_run(loop);
	vhk_backend_close(backend); /* removes the socket */
	vhk_device_free(device);
	vhk_loop_free(loop);
out:
	if (ret < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	return ret < 0;
}
