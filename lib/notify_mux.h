/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A multiplexer of notifications of the kernel module (linux/vhostkit.h): one file and one page for
 * the kicks and calls of many rings. Whose rings they are is not known here.
 */
#ifndef VHK_LIB_NOTIFY_MUX_H
#define VHK_LIB_NOTIFY_MUX_H

#include <stdbool.h>
#include <stdint.h>

struct vhk_mux {
	int fd; /* -1: none */
	void *page;
	uint64_t *kicks, *calls; /* a bit for each ring */
	unsigned int n_staged;
};

/*
 * Makes one with @n_rings, by /dev/vhostkit. @fd: one that is there already, which is duplicated;
 * -1: none. What open(2) or the module says: -ENOENT, -EACCES, ...; -ENOTTY: @fd is no such file.
 */
int vhk_mux_open(struct vhk_mux *m, int fd, unsigned int n_rings);
void vhk_mux_close(struct vhk_mux *m);

/*
 * -1: none of that kind. 1: the ring may have been kicked before. -EINVAL: no eventfd, or no such
 * ring; -EBUSY: it has one.
 */
int vhk_mux_bind(const struct vhk_mux *m, unsigned int ring, int kick_fd, int call_fd);
void vhk_mux_unbind_kick(const struct vhk_mux *m, unsigned int ring);
void vhk_mux_unbind_call(const struct vhk_mux *m, unsigned int ring);

/* 64 rings' kicks; the look at the rings comes after it. */
static inline uint64_t vhk_mux_take(const struct vhk_mux *m, unsigned int word)
{
	if (!__atomic_load_n(&m->kicks[word], __ATOMIC_RELAXED))
		return 0;
	return __atomic_exchange_n(&m->kicks[word], 0, __ATOMIC_SEQ_CST);
}

/* The staging thread is the one that sends. */
static inline void vhk_mux_stage(struct vhk_mux *m, unsigned int ring)
{
	uint64_t *word = &m->calls[ring / 64];

	__atomic_store_n(word, *word | 1ull << ring % 64, __ATOMIC_RELAXED);
	m->n_staged++;
}

/* Makes the calls that are staged, by one system call; how many of those. */
unsigned int vhk_mux_send(struct vhk_mux *m);

#endif
