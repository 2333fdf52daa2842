// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Postcopy (vhost-user, POSTCOPY_ADVISE to POSTCOPY_END): the guest runs here before all of its
 * memory has arrived. Who touches a page that has not, be it a loop or the kernel on its behalf,
 * waits until the front end, which reads our userfaultfd, has filled it in and wakes him.
 */
#include <fcntl.h>
#include <unistd.h>

#include "backend_impl.h"
#include "fd.h"
#include "uffd.h"

void vhk_session_init_postcopy(struct vhk_session *s)
{
	s->postcopy.uffd = -1;
}

typedef int region_fn(int uffd, const struct vhk_map *map);

static int watch_region(int uffd, const struct vhk_map *map)
{
	return vhk_uffd_register(uffd, map->base, map->len);
}

static int unwatch_region(int uffd, const struct vhk_map *map)
{
	vhk_uffd_unregister(uffd, map->base, map->len);
	return 0;
}

static int each_region(struct vhk_session *s, struct vhk_mem *m, region_fn *fn)
{
	struct vhk_table *t = vhk_mem_table(m);
	unsigned int i;
	int ret = 0;

	for (i = 0; i < t->n && !ret; i++)
		ret = fn(s->postcopy.uffd, &t->mapping[i]->map);
	vhk_table_put(t);
	return ret;
}

/* Whoever waits for a page goes on with what is there. */
void vhk_session_end_postcopy(struct vhk_session *s)
{
	struct vhk_backend_postcopy *p = &s->postcopy;

	if (p->uffd < 0)
		return;
	each_region(s, s->mem, unwatch_region);
	vhk_mem_free(p->pending);
	close(p->uffd);
	*p = (struct vhk_backend_postcopy){ .uffd = -1 };
}

int vhk_backend_postcopy_advise(struct vhk_session *s)
{
	int fd, uffd;

	if (s->postcopy.uffd >= 0)
		return vhk_session_refuse(s, -EBUSY, "advised already");
	uffd = vhk_uffd_open();
	if (uffd < 0)
		return vhk_session_refuse(s, uffd, "userfaultfd(2) cannot be had");
	fd = fcntl(uffd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		close(uffd);
		return vhk_session_refuse(s, -EMFILE, "no file descriptor is free");
	}
	s->postcopy.uffd = uffd;
	s->reply.fd[s->reply.n_fds++] = fd;
	return 0;
}

/* Memory that was shared before this has arrived as far as it is there, and is watched, too. */
int vhk_backend_postcopy_listen(struct vhk_session *s)
{
	int ret;

	if (s->postcopy.uffd < 0 || s->postcopy.listening)
		return vhk_session_refuse(s, -EBUSY, "not advised, or listening already");
	ret = each_region(s, s->mem, watch_region);
	if (ret)
		return vhk_session_refuse(s, ret, "memory cannot be watched");
	s->postcopy.listening = true;
	return 0;
}

int vhk_backend_postcopy_end(struct vhk_session *s)
{
	if (s->postcopy.uffd < 0)
		return vhk_session_refuse(s, -EBUSY, "not advised");
	vhk_session_end_postcopy(s);
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
	struct vhk_mem *m = s->postcopy.pending;
	int ret;

	s->postcopy.pending = NULL;
	ret = s->req.u64 ? vhk_session_refuse(s, -EINVAL, "the front end cannot use the bases")
			 : each_region(s, m, watch_region);
	if (!ret)
		ret = vhk_mem_assign(s->mem, m);
	vhk_mem_free(m);
	return ret ? ret : vhk_session_spread_table(s, true);
}
