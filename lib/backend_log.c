// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The dirty log of a session (vhost-user, "Migration"): where it lies, who hears of it, and when
 * rings write to it, which is while VHOST_F_LOG_ALL is set and there is a log. Each log is made
 * once and never changes; running queues go from one to the next by a change.
 */
#include <fcntl.h>
#include <unistd.h>

#include "backend_impl.h"

#define PAGE_SHIFT 12

struct vhk_backend_log {
	struct vhk_dirty dirty;
	struct vhk_notify call;
	uint64_t uva; /* where the front end has it, without LOG_SHMFD */
};

static void log_free(struct vhk_backend_log *l)
{
	if (!l)
		return;
	vhk_table_put(l->dirty.table);
	vhk_notify_fini(&l->call);
	free(l);
}

void vhk_session_init_log(struct vhk_session *s)
{
	s->log_call = (struct vhk_notify){ .fd = -1 };
}

void vhk_session_drop_log(struct vhk_session *s)
{
	log_free(s->log);
	log_free(s->former_log);
	s->log = s->former_log = NULL;
	vhk_notify_fini(&s->log_call);
}

/* A log of @size bytes at @bits, which @t keeps mapped; @uva: where the front end has it, or 0. */
static int log_new(struct vhk_session *s, struct vhk_table *t, void *bits, uint64_t size,
		   uint64_t uva, struct vhk_backend_log **out)
{
	struct vhk_backend_log *l = calloc(1, sizeof(*l));
	int ret, fd = -1;

	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->uva = uva;
	l->call = (struct vhk_notify){ .fd = -1 };
	if (s->log_call.fd >= 0) {
		fd = fcntl(s->log_call.fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			ret = -errno;
			free(l);
			return ret;
		}
		l->call = (struct vhk_notify){ .fd = fd, .kind = s->log_call.kind };
	}
	l->dirty = (struct vhk_dirty){
		.bits = bits,
		.size = size,
		.table = vhk_table_get(t),
		.call = fd < 0 ? NULL : &l->call,
	};
	*out = l;
	return 0;
}

const struct vhk_dirty *vhk_session_dirty(const struct vhk_session *s)
{
	return s->log && (s->st.features & VHK_F_LOG_ALL) ? &s->log->dirty : NULL;
}

uint64_t vhk_session_used_gpa(void *arg, unsigned int idx)
{
	const struct vhk_session *s = arg;
	const struct vhk_user_vring_addr *a = &s->ring[idx].addr;

	return a->flags & VHK_USER_VRING_LOG ? a->log : UINT64_MAX;
}

static int finish_log(struct vhk_session *s, int ret, uint32_t base)
{
	(void)base;
	log_free(s->former_log);
	s->former_log = NULL;
	return ret;
}

/* Hands what is in force to the queues that run. */
int vhk_session_spread_log(struct vhk_session *s)
{
	int ret = vhk_device_set_dirty(s->backend->dev, vhk_session_dirty(s), vhk_session_used_gpa,
				       vhk_session_changed, s);

	return vhk_session_wait(s, ret, finish_log);
}

static int log_replace(struct vhk_session *s, struct vhk_backend_log *l)
{
	int ret;

	s->former_log = s->log;
	s->log = l;
	ret = vhk_session_spread_log(s);
	if (ret >= 0)
		return ret;
	s->log = s->former_log;
	s->former_log = NULL;
	log_free(l);
	return ret;
}

/* Bytes of a log with a bit for each page of @m. */
static uint64_t log_size(const struct vhk_mem *m)
{
	unsigned int n = vhk_mem_count(m);
	struct vhk_region r;

	if (!n || vhk_mem_get(m, n - 1, &r, NULL))
		return 0;
	return ((r.gpa.v + (r.size - 1)) >> PAGE_SHIFT) / 8 + 1;
}

bool vhk_session_log_covers(const struct vhk_session *s, const struct vhk_mem *m)
{
	const struct vhk_dirty *d = vhk_session_dirty(s);

	return !d || log_size(m) <= d->size || !vhk_session_runs_any(s);
}

int vhk_session_check_log(struct vhk_session *s, const struct vhk_mem *m)
{
	if (vhk_session_log_covers(s, m))
		return 0;
	return vhk_session_refuse(s, -EINVAL, "the log is too small for it, and rings are running");
}

static int set_log_by_fd(struct vhk_session *s, struct vhk_backend_log **l)
{
	struct vhk_user_log log;
	struct vhk_mem *mem;
	void *va;
	int ret;

	memcpy(&log, s->req.bytes, sizeof(log));
	if (log.size < log_size(s->mem))
		return vhk_session_refuse(s, -EINVAL, "the log is too small for the memory");
	ret = vhk_mem_new_file_take_fd(&mem, log.offset, log.size, vhk_msg_take_fd(&s->req, 0),
				       vhk_session_keeps_fds(s), &va);
	if (ret)
		return vhk_session_refuse(s, ret, "the log cannot be mapped");
	ret = log_new(s, mem->table, va, log.size, 0, l);
	vhk_mem_free(mem);
	return ret;
}

/* Without LOG_SHMFD the log is somewhere in what the front end shares. */
static int set_log_by_address(struct vhk_session *s, struct vhk_backend_log **l)
{
	const struct vhk_uva at = { s->req.u64 };
	uint64_t size = log_size(s->mem);
	struct iovec seg;

	if (!size || vhk_mem_find_uva(s->mem, at, size, &seg, 1) != 1)
		return vhk_session_refuse(s, -EFAULT, "the log is not inside the memory table");
	return log_new(s, s->mem->table, seg.iov_base, size, at.v, l);
}

int vhk_backend_set_log_base(struct vhk_session *s)
{
	struct vhk_backend_log *l;
	int ret;

	if (s->st.protocol & VHK_USER_PF(LOG_SHMFD))
		ret = set_log_by_fd(s, &l);
	else
		ret = set_log_by_address(s, &l);
	return ret ? ret : log_replace(s, l);
}

/* Signalled whenever pages were logged. */
int vhk_backend_set_log_fd(struct vhk_session *s)
{
	const struct vhk_dirty *d = s->log ? &s->log->dirty : NULL;
	struct vhk_backend_log *l;
	struct vhk_notify n;
	int fd, ret = vhk_session_take_fd(s, &fd);

	if (ret)
		return ret;
	if (vhk_notify_init_take_fd(&n, fd))
		return vhk_session_refuse(s, -EINVAL, "neither eventfd, pipe nor socket");
	vhk_notify_fini(&s->log_call);
	s->log_call = n;
	if (!d)
		return 0;
	ret = log_new(s, d->table, (void *)d->bits, d->size, s->log->uva, &l);
	return ret ? ret : log_replace(s, l);
}

int vhk_session_log_message(const struct vhk_session *s, struct vhk_msg *m)
{
	const struct vhk_table *t = s->log ? s->log->dirty.table : NULL;
	struct vhk_user_log log;

	if (!s->log)
		return 0;
	vhk_msg_init(m, VHK_USER_SET_LOG_BASE, 0);
	m->hdr.size = sizeof(m->u64);
	m->u64 = s->log->uva;
	if (!(s->st.protocol & VHK_USER_PF(LOG_SHMFD)))
		return 1;
	if (t->mapping[0]->fd < 0)
		return -EOPNOTSUPP;
	log = (struct vhk_user_log){ t->region[0].size, t->region[0].offset };
	memcpy(m->bytes, &log, sizeof(log));
	m->hdr.size = sizeof(log);
	m->fd[m->n_fds++] = t->mapping[0]->fd;
	return 1;
}
