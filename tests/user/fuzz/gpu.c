// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Either end of a vhost-user-gpu connection against a peer that sends any bytes and fds. The first
 * byte says which end; records of a size and bytes follow, sent one by one. What must hold: no
 * sanitizer speaks, no call waits, and no fd stays open.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "gpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static unsigned int sum;

static void touch(const struct vhk_gpu_msg *m)
{
	const unsigned char *d = m->data;
	size_t i;

	for (i = 0; i < m->len; i += 97)
		sum += d[i];
	if (m->fd >= 0)
		close(m->fd);
}

static void serve(void *arg, const struct vhk_gpu_msg *m)
{
	static const struct vhk_gpu_display displays[VHK_GPU_SCANOUTS_MAX];
	struct vhk_gpu_msg a = { .op = m->op, .fd = -1 };

	touch(m);
	if (m->op == VHK_GPU_GET_DISPLAY_INFO)
		a.display = displays;
	if (m->op == VHK_GPU_GET_EDID) {
		a.data = "edid";
		a.len = 4;
	}
	vhk_gpu_answer(*(struct vhk_gpu **)arg, &a);
}

static void answered(void *arg, const struct vhk_gpu_msg *m)
{
	(void)arg;
	if (m)
		touch(m);
}

static void ask_all(struct vhk_gpu *g)
{
	static const enum vhk_gpu_op ops[] = { VHK_GPU_GET_PROTOCOL_FEATURES,
					       VHK_GPU_GET_DISPLAY_INFO, VHK_GPU_DMABUF_UPDATE,
					       VHK_GPU_GET_EDID };
	unsigned int i;

	for (i = 0; i < vhk_array_size(ops); i++)
		vhk_gpu_send(g, &(struct vhk_gpu_msg){ .op = ops[i], .fd = -1 }, answered, NULL);
}

static void send_piece(int sock, const uint8_t *bytes, size_t len, bool with_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int lent = STDIN_FILENO;

	memset(&control, 0, sizeof(control));
	if (with_fd) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &lent, sizeof(int));
	}
	(void)!sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhk_gpu *g = NULL;
	int fd[2], probe, first;
	size_t n;

	first = dup(0);
	close(first);
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	if (size && data[0] & 1) {
		must(!vhk_gpu_new(&g, fd[1], NULL));
		ask_all(g);
	} else {
		must(!vhk_gpu_new_display(&g, fd[1], VHK_GPU_F_ALL, serve, &g, NULL));
	}
	for (data++, size = size ? size - 1 : 0; size; data += n, size -= n) {
		const uint8_t head = *data++;

		size--;
		n = vhk_min(size, (size_t)(head & 0x7f));
		if (n)
			send_piece(fd[0], data, n, head & 0x80);
		vhk_gpu_process(g);
	}
	close(fd[0]);
	while (!vhk_gpu_process(g))
		;
	vhk_gpu_free(g);
	probe = dup(0);
	close(probe);
	must(probe == first);
	return 0;
}
