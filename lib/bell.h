/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Eventfds of ours that a peer has, too. It shares the open file: it may fill the counter, empty
 * it, and take O_NONBLOCK away, between any two system calls of ours.
 */
#ifndef VHK_LIB_BELL_H
#define VHK_LIB_BELL_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros: did not ring yet. */
struct vhk_bell {
	unsigned long aio; /* a context of Linux AIO's */
	int file;	   /* with @aio: an empty one */
	bool refused;	   /* there is none to be had */
};

/*
 * Adds 1 to @fd, and never waits: the kernel does it, which sends the call that it is told with the
 * end of a read. Where Linux AIO is refused, by a look and a write: a peer that fills the counter
 * between these keeps us. A counter at its end is as good. 0 or -errno.
 */
int vhk_bell_ring(struct vhk_bell *b, int fd);
void vhk_bell_fini(struct vhk_bell *b);

/* Takes what @fd counted, and never waits. True: it was not 0. */
bool vhk_bell_take(int fd);

#endif
