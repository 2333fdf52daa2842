// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device of one's own: a source of entropy (virtio 1.3, section 5.4), which fills whatever
 * buffers the guest hands it. own_device SOCKET. In QEMU: -device vhost-user-rng-pci,chardev=...
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <vhostkit/backend.h>

#define VIRTIO_ID_RNG 4

/* Chains arrive in batches, their segments as host pointers; each is answered with the number of
 * bytes written. */
static void work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	unsigned int i, s;

	(void)priv;
	for (i = 0; i < n; i++) {
		struct vhk_chain *c = chains[i];
		uint32_t written = 0;

		for (s = c->n_out; s < c->n_out + c->n_in; s++) {
			struct iovec *v = &c->seg[s];
			ssize_t got = getrandom(v->iov_base, v->iov_len, GRND_NONBLOCK);

			if (got < 0)
				break;
			written += (uint32_t)got;
			if ((size_t)got < v->iov_len)
				break;
		}
		vhk_queue_done(q, c, written);
	}
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
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = work };
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = VIRTIO_ID_RNG,
		.features = VHK_F_RING_ALL,
		.n_queues = 1,
		.queue_size = 1024,
	};
	struct sigaction bus = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct vhk_backend *backend = NULL;
	struct vhk_device *device = NULL;
	struct vhk_loop *loop = NULL;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
		return 2;
	}
	sigaction(SIGBUS, &bus, NULL);
	ret = vhk_loop_new(&loop, NULL);
	if (ret < 0)
		goto out;
	ret = vhk_loop_stop_on_signal(loop, SIGTERM);
	if (ret >= 0)
		ret = vhk_device_new(&device, &info, &ops, NULL);
	if (ret >= 0)
		ret = vhk_device_set_loops(device, &loop, 1);
	if (ret >= 0)
		ret = vhk_backend_listen(&backend, loop, device, argv[1], NULL);
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
