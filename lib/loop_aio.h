/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * File operations of the epoll engine: Linux AIO by raw system calls.
 */
#ifndef VHK_LIB_LOOP_AIO_H
#define VHK_LIB_LOOP_AIO_H

#include <linux/aio_abi.h>

#include "loop.h"

#define VHK_AIO_BATCH 64

struct vhk_aio {
	aio_context_t ctx;
	int event_fd; /* readable when something completed; -1: the kernel refuses AIO */
	unsigned int room, n_in; /* how many the kernel takes, and has */
	unsigned int n_queued;	 /* not handed over yet */
	struct iocb iocb[VHK_AIO_BATCH];
	struct vhk_io *io[VHK_AIO_BATCH];
};

void vhk_aio_preinit(struct vhk_aio *a);
int vhk_aio_init(struct vhk_aio *a, unsigned int room);
/*
 * @n_left: operations that did not end; then the context is left to the end of the process, which
 * waits for them.
 */
void vhk_aio_fini(struct vhk_aio *a, unsigned int n_left);
bool vhk_aio_begin(struct vhk_aio *a, int fd, struct vhk_io *io);
/* How many ended at once. */
unsigned int vhk_aio_submit(struct vhk_aio *a, struct vhk_loop *l);
bool vhk_aio_peek(const struct vhk_aio *a);
unsigned int vhk_aio_reap(struct vhk_aio *a, struct vhk_loop *l);

#endif
