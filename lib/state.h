/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Moves a device's state into or out of a pipe, on a loop and without ever waiting (vhost-user,
 * "Migrating back-end state"). Control thread.
 */
#ifndef VHK_LIB_STATE_H
#define VHK_LIB_STATE_H

#include "device.h"

struct vhk_state;

/* How it ended: 0; what the device said; -EPIPE: the reader is gone; -ETIMEDOUT: nothing moved for
 * ten seconds; -EOPNOTSUPP: a pipe that the kernel cannot read or write without waiting. The
 * transfer is over, its fd closed, and it is still to be freed. */
typedef void vhk_state_fn(void *arg, int ret);

/*
 * Begins a transfer. @save: out of the device, else into it, up to the end of the stream. @fd: a
 * pipe or a stream socket, owned from the call on. @done comes once, and not from within this call.
 * Return: 0; -EINVAL: @fd is nothing of the kind; -ENOMEM; what the loop said.
 */
int vhk_state_new_take_fd(struct vhk_state **out, struct vhk_loop *loop, struct vhk_device *d,
			  int fd, bool save, vhk_state_fn *done, void *arg);
/* Under way or over; NULL is accepted. A transfer under way is given up without a word. */
void vhk_state_free(struct vhk_state *t);

#endif
