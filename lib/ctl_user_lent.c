// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The books about what a back end was granted (vhost-user, "Shared objects" and
 * VHOST_USER_BACKEND_SHMEM_MAP).
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "ctl_user_lent.h"
#include "fd.h"
#include "map.h"
#include "proto.h"

/* Of either kind; a back end that needs more is refused. */
#define LENT_MAX 1024

void vhk_ctl_user_lent_sizes(struct vhk_ctl_user_lent *l, const struct vhk_ctl_shmem *s)
{
	memcpy(l->size, s->size, sizeof(l->size));
	l->sizes_known = true;
}

void vhk_ctl_user_lent_unmap(struct vhk_ctl_user_lent *l, struct vhk_ctl *c)
{
	while (l->n_maps) {
		struct vhk_shmem_map m = l->map[--l->n_maps];

		if (c->back.shmem_unmap)
			c->back.shmem_unmap(c->opts.arg, &m);
	}
	free(l->map);
	l->map = NULL;
}

void vhk_ctl_user_lent_drop(struct vhk_ctl_user_lent *l, struct vhk_ctl *c)
{
	vhk_ctl_user_lent_unmap(l, c);
	while (l->n_objects) {
		struct vhk_uuid id = l->object[--l->n_objects];

		if (c->back.object_remove)
			c->back.object_remove(c->opts.arg, &id);
	}
	free(l->object);
	l->object = NULL;
}

static int find_object(const struct vhk_ctl_user_lent *l, const struct vhk_uuid *id)
{
	unsigned int i;

	for (i = 0; i < l->n_objects; i++)
		if (!memcmp(&l->object[i], id, sizeof(*id)))
			return (int)i;
	return -ENOENT;
}

int vhk_ctl_user_lent_add(struct vhk_ctl_user_lent *l, struct vhk_ctl *c, const struct vhk_uuid *id)
{
	int ret;

	if (find_object(l, id) >= 0)
		return -EEXIST;
	if (l->n_objects == LENT_MAX)
		return -ENOSPC;
	if (!l->object)
		l->object = calloc(LENT_MAX, sizeof(*l->object));
	if (!l->object)
		return -ENOMEM;
	ret = c->back.object_add ? c->back.object_add(c->opts.arg, id) : -EOPNOTSUPP;
	if (!ret)
		l->object[l->n_objects++] = *id;
	return ret;
}

int vhk_ctl_user_lent_remove(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			     const struct vhk_uuid *id)
{
	int at = find_object(l, id);

	if (at < 0)
		return at;
	l->object[at] = l->object[--l->n_objects];
	if (c->back.object_remove)
		c->back.object_remove(c->opts.arg, id);
	return 0;
}

/* Whole pages, and no file is longer. */
static bool pages_ok(uint64_t at, uint64_t len)
{
	return len && !(at % VHK_USER_PAGE) && !(len % VHK_USER_PAGE) && at <= INT64_MAX &&
	       len <= INT64_MAX - at;
}

/*
 * 0: @fd may be mapped there. What a file system of the peer's would have to be asked for is taken
 * as it was known last: it may never answer.
 */
static int check_file(int fd, uint64_t at, uint64_t len)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st))
		return -errno;
	switch (st.stx_mode & S_IFMT) {
	case S_IFREG:
		return at + len <= vhk_align_up(st.stx_size, VHK_USER_PAGE) ? 0 : -EINVAL;
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFDIR:
	case S_IFLNK:
		return -EINVAL;
	default:
		return 0;
	}
}

int vhk_ctl_user_lent_doorbell(int fd, uint64_t at, uint64_t len)
{
	int ret = pages_ok(at, len) ? check_file(fd, at, len) : -EINVAL;
	void *va;

	if (!ret)
		ret = vhk_map_file(&va, fd, len, at);
	if (!ret)
		vhk_unmap(va, len);
	return ret;
}

static bool overlaps(const struct vhk_shmem_map *a, const struct vhk_shmem_map *b)
{
	return a->id == b->id && a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

static int check_map(const struct vhk_ctl_user_lent *l, const struct vhk_shmem_map *m)
{
	unsigned int i;

	if (!l->sizes_known || m->len > l->size[m->id] || m->offset > l->size[m->id] - m->len)
		return -EINVAL;
	if (!pages_ok(m->fd_offset, m->len) || m->offset % VHK_USER_PAGE)
		return -EINVAL;
	for (i = 0; i < l->n_maps; i++)
		if (overlaps(&l->map[i], m))
			return -EEXIST;
	return l->n_maps == LENT_MAX ? -ENOSPC : 0;
}

int vhk_ctl_user_lent_map(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			  const struct vhk_shmem_map *m, int fd)
{
	int ret = c->back.shmem_map ? check_map(l, m) : -EOPNOTSUPP;

	if (!ret)
		ret = check_file(fd, m->fd_offset, m->len);
	if (!ret && !l->map)
		l->map = calloc(LENT_MAX, sizeof(*l->map));
	if (!ret && !l->map)
		ret = -ENOMEM;
	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	ret = c->back.shmem_map(c->opts.arg, m, fd);
	if (!ret)
		l->map[l->n_maps++] = *m;
	return ret;
}

int vhk_ctl_user_lent_take(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			   const struct vhk_shmem_map *m)
{
	unsigned int i;

	for (i = 0; i < l->n_maps; i++) {
		struct vhk_shmem_map has = l->map[i];

		if (has.id != m->id || has.offset != m->offset || has.len != m->len)
			continue;
		l->map[i] = l->map[--l->n_maps];
		if (c->back.shmem_unmap)
			c->back.shmem_unmap(c->opts.arg, &has);
		return 0;
	}
	return -ENOENT;
}
