// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Postcopy (vhost-user, POSTCOPY_ADVISE to POSTCOPY_END): the guest runs here before all of its
 * memory has arrived. Who touches a page that has not, be it a loop or the kernel on its behalf,
 * waits until the front end, which reads our userfaultfd, has filled it in and wakes him.
 *
 * The control thread, which hears that the front end is gone, touches none of it.
 */
#include <inttypes.h>
#include <unistd.h>

#include "backend_impl.h"
#include "clock.h"
#include "fd.h"
#include "uffd.h"

void vhk_session_init_postcopy(struct vhk_session *s)
{
	s->postcopy.uffd = s->postcopy.nothing = -1;
}

typedef int mapping_fn(const struct vhk_backend_postcopy *p, const struct vhk_map *map);

static int watch(const struct vhk_backend_postcopy *p, const struct vhk_map *map)
{
	return vhk_uffd_register(p->uffd, map->base, map->len);
}

static int unwatch(const struct vhk_backend_postcopy *p, const struct vhk_map *map)
{
	vhk_uffd_unregister(p->uffd, map->base, map->len);
	return 0;
}

/* Who waits finds nothing, and faults: zeros in place of what did not arrive would end up in a
 * file. Where even that cannot be had he has to go on all the same: the table is torn by now, and
 * what is read from it is not to be acted upon. */
static int take_away(const struct vhk_backend_postcopy *p, const struct vhk_map *map)
{
	if (vhk_map_take_away(map, p->nothing))
		return unwatch(p, map);
	vhk_uffd_wake(p->uffd, map->base, map->len);
	return 0;
}

static int each_mapping(const struct vhk_backend_postcopy *p, const struct vhk_table *t,
			mapping_fn *fn)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; t && i < t->n && !ret; i++)
		ret = fn(p, &t->mapping[i]->map);
	return ret;
}

static int watch_table(struct vhk_session *s, const struct vhk_table *t)
{
	vhk_table_set_late(t, true);
	return each_mapping(&s->postcopy, t, watch);
}

static void postcopy_fini(struct vhk_backend_postcopy *p)
{
	vhk_mem_free(p->pending);
	vhk_table_put(p->former);
	close(p->nothing);
	close(p->uffd);
	*p = (struct vhk_backend_postcopy){ .uffd = -1, .nothing = -1 };
}

bool vhk_session_abandon_postcopy(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;
	bool listening = p->listening;

	if (p->uffd < 0)
		return false;
	if (listening) {
		vhk_table_tear(s->mem->table);
		if (p->former)
			vhk_table_tear(p->former);
		each_mapping(p, p->former, take_away);
		each_mapping(p, s->mem->table, take_away);
	}
	postcopy_fini(p);
	return listening;
}

static int open_fds(struct vhk_backend_postcopy *p)
{
	int uffd, nothing = vhk_map_nothing();

	if (nothing < 0)
		return nothing;
	uffd = vhk_uffd_open();
	if (uffd < 0) {
		close(nothing);
		return uffd;
	}
	p->nothing = nothing;
	p->uffd = uffd;
	return 0;
}

/* NULL: the code says it. */
static const char *why_not_advised(int err)
{
	switch (err) {
	case -EPERM:
	case -ENOSYS:
		return "userfaultfd(2) cannot be had";
	case -EMFILE:
	case -ENFILE:
		return "no file descriptor is free";
	default:
		return NULL;
	}
}

int vhk_backend_postcopy_advise(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;
	int fd, ret;

	if (p->uffd >= 0)
		return vhk_session_refuse(s, -EBUSY, "advised already");
	ret = open_fds(p);
	if (ret)
		return vhk_session_refuse(s, ret, why_not_advised(ret));
	ret = vhk_fd_duplicate(&fd, p->uffd);
	if (ret) {
		vhk_session_abandon_postcopy(s);
		return vhk_session_refuse(s, ret, why_not_advised(ret));
	}
	s->reply.fd[s->reply.n_fds++] = fd;
	return 0;
}

/*
 * Memory that was shared before this has arrived as far as it is there, and is watched, too. What
 * shows a scattered ring in one piece is a mapping of its own, whose faults the front end could not
 * tell the place of.
 */
int vhk_backend_postcopy_listen(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;
	int ret;

	if (p->uffd < 0 || p->listening)
		return vhk_session_refuse(s, -EBUSY, "not advised, or listening already");
	if (vhk_session_has_iotlb(s) && vhk_session_runs_any(s))
		return vhk_session_refuse(s, -EBUSY, "rings behind an IOMMU are running");
	ret = watch_table(s, s->mem->table);
	if (ret) {
		each_mapping(p, s->mem->table, unwatch);
		vhk_table_set_late(s->mem->table, false);
		return vhk_session_refuse(s, ret, "memory cannot be watched");
	}
	p->listening = true;
	p->since = vhk_now_ns();
	vhk_session_log(s, VHK_LOG_INFO, "memory is still to arrive (postcopy)");
	return 0;
}

int vhk_backend_postcopy_end(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;

	if (p->uffd < 0)
		return vhk_session_refuse(s, -EBUSY, "not advised");
	if (p->listening) {
		each_mapping(p, p->former, unwatch);
		each_mapping(p, s->mem->table, unwatch);
		vhk_table_set_late(s->mem->table, false);
		vhk_session_log(s, VHK_LOG_INFO, "all memory has arrived, after %" PRIu64 " ms",
				(vhk_now_ns() - p->since) / 1000000);
	}
	postcopy_fini(p);
	return 0;
}

/* Where each region is mapped here: what addresses of faults are relative to. */
int vhk_session_offer_bases(struct vhk_session *s, struct vhk_mem *m)
{
	struct vhk_table *t = vhk_mem_table(m);
	struct vhk_user_mem_table table;
	unsigned int i, hint = 0;

	memcpy(&table, s->req.bytes, sizeof(table));
	for (i = 0; i < table.n; i++)
		table.region[i].uva =
			(uintptr_t)vhk_table_at(t, table.region[i].gpa, 1, &hint);
	vhk_table_put(t);
	vhk_session_reply(s, &table, s->req.hdr.size);
	vhk_mem_free(s->postcopy.pending);
	s->postcopy.pending = m;
	return 0;
}

bool vhk_session_accepts_bases(const struct vhk_session *s)
{
	return s->postcopy.pending && s->req.hdr.request == VHK_USER_SET_MEM_TABLE &&
	       s->req.hdr.size == sizeof(s->req.u64);
}

/* Only from here on may a page be touched, and a fault be met (vhost-user, SET_MEM_TABLE). */
int vhk_backend_accept_bases(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;
	struct vhk_table *former = vhk_mem_table(s->mem);
	struct vhk_mem *m = p->pending;
	int ret;

	p->pending = NULL;
	if (s->req.u64)
		ret = vhk_session_refuse(s, -EINVAL, "the front end cannot use the bases");
	else /* once more: rings may have started since it was offered, and another log been set */
		ret = vhk_session_check_log(s, m);
	if (!ret)
		ret = watch_table(s, m->table);
	if (!ret)
		ret = vhk_mem_assign(s->mem, m);
	vhk_mem_free(m);
	if (ret) {
		vhk_table_put(former);
		return ret;
	}
	/* The request before this one was answered when nothing used what is put here. */
	vhk_table_put(p->former);
	p->former = former;
	return vhk_session_spread_table(s, true);
}
