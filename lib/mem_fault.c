// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What happens when a file behind guest memory shrinks under us: the application's SIGBUS handler
 * asks here, and what it met becomes private zeros. No more than that as long as mappings last,
 * since the kernel may be about to write other pages to a disk, and fails where there are none.
 * Everything below vhk_mem_fault() is async-signal-safe.
 */
#include "base.h"
#include "mem.h"

/* Each piece may be a mapping of its own, and a process has no more than 65,530. */
#define PIECES_MAX 1024

/*
 * The scopes of this thread, innermost first. Initial-exec: a handler must not be the first to
 * touch a variable that the dynamic linker would have to allocate.
 */
static _Thread_local struct vhk_fault_scope *scopes __attribute__((tls_model("initial-exec")));

void vhk_fault_enter(struct vhk_fault_scope *s, const struct vhk_table *t)
{
	s->outer = scopes;
	s->table = t;
	atomic_store_explicit(&s->torn, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_release);
	scopes = s;
}

void vhk_fault_leave(struct vhk_fault_scope *s)
{
	struct vhk_fault_scope **at = &scopes;

	while (*at && *at != s)
		at = &(*at)->outer;
	if (*at)
		*at = s->outer;
	atomic_signal_fence(memory_order_release);
}

/* The mapping of @t that @addr lies in, padding of its pages included. */
static const struct vhk_map *map_at(const struct vhk_table *t, const unsigned char *addr)
{
	const struct vhk_map *m;
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		m = &t->mapping[i]->map;
		if (addr >= m->base && (size_t)(addr - m->base) < m->len)
			return m;
	}
	return NULL;
}

/* The block at @addr, or all from there on. */
static int replace_from(const struct vhk_map *m, const unsigned char *addr, bool one)
{
	size_t from = (size_t)(addr - m->base) & ~(m->block - 1);

	return vhk_map_replace(m->base + from, one ? m->block : m->len - from);
}

/* Tells everybody who works with @m: other threads, which will read the zeros without a fault. */
static void tell(const struct vhk_map *m, const unsigned char *addr)
{
	struct vhk_fault_scope *s;

	for (s = scopes; s; s = s->outer) {
		if (!s->table || map_at(s->table, addr) != m)
			continue;
		atomic_store_explicit(&s->table->torn->set, true, memory_order_release);
		atomic_store_explicit(&s->torn, true, memory_order_relaxed);
	}
}

bool vhk_mem_fault(void *addr)
{
	const struct vhk_map *m = NULL;
	struct vhk_torn *torn = NULL;
	struct vhk_fault_scope *s;
	bool one;

	for (s = scopes; s && !m; s = s->outer) {
		m = s->table ? map_at(s->table, addr) : NULL;
		torn = m ? s->table->torn : NULL;
	}
	if (!m)
		return false;
	tell(m, addr);
	one = atomic_fetch_add_explicit(&torn->pieces, 1, memory_order_relaxed) < PIECES_MAX;
	return !replace_from(m, addr, one);
}
