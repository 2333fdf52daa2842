/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages of the vhost-user-gpu protocol on the wire, and the table that says what each looks
 * like. gpu.c has the connection, gpu_wire.c what is in a payload.
 */
#ifndef VHK_LIB_GPU_H
#define VHK_LIB_GPU_H

#include <vhostkit/gpu.h>

#define VHK_GPU_REPLY 0x4

struct vhk_gpu_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vhk_gpu_row {
	const char *name;
	uint32_t size_min, size_max; /* of the request, bytes */
	bool takes_fd;
	bool answered;
	uint32_t answer_min, answer_max;
	uint64_t need; /* features */
};

/* NULL: there is no such message. */
const struct vhk_gpu_row *vhk_gpu_row(uint32_t op);

/* The largest payload in pieces: what is encoded, and the data behind it. */
struct vhk_gpu_out {
	unsigned char head[512];
	uint32_t n_head;
	const void *data;
	uint32_t n_data;
};

/* 0 or -EINVAL. @answer: as an answer, else as a request. */
int vhk_gpu_encode(const struct vhk_gpu_msg *m, bool answer, struct vhk_gpu_out *out);

/* What a decoded message points to besides the payload. */
struct vhk_gpu_room {
	struct vhk_gpu_display display[VHK_GPU_SCANOUTS_MAX];
};
/* A payload whose size is right by the row: 0 or -EPROTO. @m->fd is the caller's to fill in. */
int vhk_gpu_decode(enum vhk_gpu_op op, bool answer, const unsigned char *payload, uint32_t size,
		   struct vhk_gpu_room *room, struct vhk_gpu_msg *m);

#endif
