// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Handing the session over to another process (backend_over.h): when it may be, and in what order.
 * What is said is in backend_tell.c, the way back in backend_give_back.c, the door that successors
 * come to in backend_give_sock.c. Requests of the front end are not read meanwhile, and find
 * whoever serves in the end. Until COMMIT has been read by the other process its death, its refusal
 * or a deadline mean that the rings start here again; from then on this one serves nobody.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "backend_give.h"
#include "clock.h"

/* Defaults of opts.over_ms and opts.rest_ms. */
#define OVER_MS 10000
#define REST_MS 3000
/* Between looks at what is waited for. */
#define LOOK_NS 1000000u
/* Between lines about a successor that does not answer COMMIT, in the end. */
#define SILENT_NS_MAX 60000000000u

static void give_pump(struct vhk_give *g);
static void give_late(void *arg);

void vhk_give_del_timer(struct vhk_give *g, int *timer)
{
	if (*timer > 0)
		vhk_loop_del_timer(g->backend->ctl, *timer);
	*timer = 0;
}

/* The successor is gone, or has no more to say. */
static void drop_successor(struct vhk_give *g)
{
	vhk_give_del_timer(g, &g->deadline);
	vhk_give_del_timer(g, &g->look);
	if (g->sock.fd < 0)
		return;
	vhk_loop_del_fd(g->backend->ctl, g->sock.fd);
	vhk_sock_fini(&g->sock);
}

static void give_fail(struct vhk_give *g, int err, const char *why)
{
	vhk_give_log_failure(g, err, why);
	drop_successor(g);
	/* nothing was stopped for it, and the session may be in the middle of a change */
	if (g->state == GIVE_QUIET) {
		g->state = GIVE_IDLE;
		return;
	}
	g->failed = true;
	if (!g->changing)
		vhk_give_back(g);
}

/* Whatever becomes of the successor, nobody is served here any more. */
static void give_away(struct vhk_give *g, int ret)
{
	struct vhk_backend *b = g->backend;

	drop_successor(g);
	g->state = GIVE_OVER;
	b->over = true;
	if (!ret)
		b->bound.ino = 0;
	vhk_backend_stop_listening(b);
	if (ret)
		vhk_log(&b->o.log, VHK_LOG_ERROR, "%s: handed over to process %d, which died",
			b->name, g->pid);
	else
		vhk_log(&b->o.log, VHK_LOG_INFO, "%s: handed over to process %d", b->name, g->pid);
	if (g->session)
		vhk_session_stop(&b->s);
	g->fn(g->arg, ret, g->pid);
}

static void give_lost(struct vhk_give *g)
{
	/* a peer that has not read all that was sent has not read COMMIT, which came last */
	if (g->state != GIVE_COMMITTED || g->sock.reset)
		give_fail(g, -ENOTCONN, "it hung up");
	else
		give_away(g, -ENOTCONN);
}

/* The successor has that long from here on. */
static int limit(struct vhk_give *g, uint64_t ns)
{
	vhk_give_del_timer(g, &g->deadline);
	g->deadline = vhk_loop_add_timer(g->backend->ctl, ns, give_late, g);
	return g->deadline < 0 ? g->deadline : 0;
}

static uint64_t over_ns(const struct vhk_give *g)
{
	const uint32_t ms = g->backend->o.over_ms;

	return (ms ? ms : OVER_MS) * 1000000ull;
}

static uint64_t rest_ns(const struct vhk_give *g)
{
	const uint32_t ms = g->backend->o.rest_ms;

	return (ms ? ms : REST_MS) * 1000000ull;
}

static void give_commit(void *arg)
{
	struct vhk_give *g = arg;
	struct vhk_session *s = &g->backend->s;

	g->look = 0;
	if (g->session && !vhk_session_channel_is_calm(s)) {
		g->look = vhk_loop_add_timer(g->backend->ctl, LOOK_NS, give_commit, g);
		if (g->look < 0)
			give_fail(g, g->look, NULL);
		return;
	}
	if (g->session) {
		vhk_session_pause_channel(s);
		vhk_session_unwatch(s);
	}
	vhk_backend_unwatch(g->backend);
	/* the successor may listen at the same path for its own */
	vhk_give_unlisten(g);
	g->state = GIVE_COMMITTED;
	g->committed_ns = vhk_now_ns();
	g->silent_ns = rest_ns(g);
	g->step = vhk_tell_commit;
	give_pump(g);
}

static void rest_next(struct vhk_give *g);

static void rested(void *arg, int ret, uint32_t base)
{
	struct vhk_give *g = arg;

	g->changing = false;
	if (!ret)
		vhk_session_note_base(&g->backend->s, g->cursor - 1, base);
	if (g->failed)
		vhk_give_back(g);
	else if (ret)
		give_fail(g, ret, NULL);
	else
		rest_next(g);
}

/* Rings come to rest, from the cursor on, one by one. One that the table no longer holds was
 * stopped by the device already. */
static void rest_next(struct vhk_give *g)
{
	struct vhk_session *s = &g->backend->s;
	int ret;

	while (g->session && g->cursor < s->st.n_queues) {
		unsigned int idx = g->cursor++;

		if (!vhk_session_runs(s, idx) || s->ring[idx].lost)
			continue;
		ret = vhk_device_rest_queue(s->backend->dev, idx, rested, g);
		if (ret) {
			give_fail(g, ret, NULL);
			return;
		}
		s->ring[idx].given = true;
		g->changing = true;
		return;
	}
	ret = limit(g, rest_ns(g));
	if (ret < 0) {
		give_fail(g, ret, NULL);
		return;
	}
	g->state = GIVE_POSITIONS;
	g->step = vhk_tell_positions;
	give_pump(g);
}

/* The answer to READY or COMMIT; others were not asked for. */
static void give_reply(struct vhk_give *g, const struct vhk_msg *m)
{
	const bool ready = m->hdr.request == VHK_OVER_READY;

	if (!ready && m->hdr.request != VHK_OVER_COMMIT)
		return;
	if (!(m->hdr.flags & VHK_MSG_REPLY) || m->hdr.size != sizeof(m->u64) ||
	    !g->step || *g->step || ready == (g->state == GIVE_COMMITTED)) {
		/* behind COMMIT it may serve, whatever it says: its end tells */
		if (g->state != GIVE_COMMITTED)
			give_fail(g, -EPROTO, "its answer makes no sense");
		return;
	}
	if (m->u64) {
		give_fail(g, -EREMOTEIO, "it refuses; it says why");
		return;
	}
	if (g->state == GIVE_DESCRIBE) {
		g->state = GIVE_REST;
		g->cursor = 0;
		rest_next(g);
	} else if (g->state == GIVE_POSITIONS) {
		g->state = GIVE_CALM;
		give_commit(g);
	} else if (g->state == GIVE_COMMITTED) {
		give_away(g, 0);
	} else {
		give_fail(g, -EPROTO, "it answers what was not asked");
	}
}

static void give_receive(struct vhk_give *g)
{
	struct vhk_msg m;
	int ret;

	while (g->sock.fd >= 0) {
		ret = vhk_sock_recv(&g->sock, &m);
		if (ret == -EAGAIN)
			return;
		if (ret && ret != -EBADF) {
			give_lost(g);
			return;
		}
		give_reply(g, &m);
		vhk_msg_fini(&m);
	}
}

static void rewatch(struct vhk_give *g)
{
	if (g->sock.fd >= 0)
		vhk_loop_mod_fd(g->backend->ctl, g->sock.fd,
				EPOLLIN | (g->sock.n_tx ? EPOLLOUT : 0u));
}

/* Says what there is to say, as far as it is taken. */
static void give_pump(struct vhk_give *g)
{
	const char *why;
	struct vhk_msg m;
	int ret;

	while (g->sock.fd >= 0 && g->step && *g->step && !g->sock.n_tx) {
		vhk_msg_init(&m, 0, 0);
		why = NULL;
		ret = (*g->step)(g, &m, &why);
		if (!ret) {
			g->step++;
			g->at = 0;
			continue;
		}
		g->at++;
		if (ret > 0) {
			ret = vhk_sock_send(&g->sock, &m);
			why = ret == -ENOTCONN ? "it hung up" : NULL;
		}
		if (ret < 0) {
			give_fail(g, ret, why);
			return;
		}
	}
	rewatch(g);
}

static void give_event(void *arg, uint32_t events)
{
	struct vhk_give *g = arg;

	(void)events;
	/* what it said before it hung up comes first, and tells the end of it */
	give_receive(g);
	if (!vhk_sock_flush(&g->sock))
		give_pump(g);
	rewatch(g);
}

/* It may have read COMMIT, and go on at any time: only its end can tell that it does not serve. */
static void still_silent(struct vhk_give *g)
{
	vhk_log(&g->backend->o.log, VHK_LOG_WARN,
		"%s: process %d was given everything %llu s ago, and does not say whether it "
		"serves; if it hangs, kill it",
		g->backend->name, g->pid,
		(unsigned long long)(vhk_now_ns() - g->committed_ns) / 1000000000);
	/* without memory for a timer this was the last line */
	limit(g, g->silent_ns);
	g->silent_ns = vhk_min(2 * g->silent_ns, (uint64_t)SILENT_NS_MAX);
}

static void give_late(void *arg)
{
	struct vhk_give *g = arg;

	g->deadline = 0;
	if (g->state == GIVE_COMMITTED)
		still_silent(g);
	else
		give_fail(g, -ETIMEDOUT, "it takes too long");
}

/* -EAGAIN: the session is in the middle of something. */
static int freeze(struct vhk_give *g, const char **why)
{
	struct vhk_backend *b = g->backend;
	struct vhk_session *s = &b->s;

	g->session = s->state != VHK_SESSION_NONE;
	if (!g->session) {
		vhk_backend_unwatch(b);
		vhk_give_del_timer(g, &b->timer);
		return 0;
	}
	if (s->state != VHK_SESSION_READY || s->doomed || s->sock.got || s->sock.n_tx)
		return -EAGAIN;
	*why = "a migration is under way";
	if (s->postcopy.uffd >= 0 || s->moving || s->moved != -ENODATA)
		return -EBUSY;
	s->state = VHK_SESSION_GIVEN;
	vhk_session_watch(s);
	return 0;
}

static void give_begin(void *arg)
{
	struct vhk_give *g = arg;
	const char *why = NULL;
	int ret = freeze(g, &why);

	g->look = 0;
	if (ret == -EAGAIN) {
		g->look = vhk_loop_add_timer(g->backend->ctl, LOOK_NS, give_begin, g);
		if (g->look >= 0)
			return;
		ret = g->look;
	}
	if (ret) {
		vhk_give_log_failure(g, ret, why);
		drop_successor(g);
		g->state = GIVE_IDLE;
		return;
	}
	vhk_device_share(g->backend->dev, true);
	g->state = GIVE_DESCRIBE;
	g->step = vhk_tell_session;
	give_pump(g);
}

static void reset(struct vhk_give *g)
{
	g->state = GIVE_QUIET;
	g->failed = false;
	g->step = NULL;
	g->at = 0;
	g->iova = g->n_state = 0;
	g->told_state = false;
	g->cursor = 0;
}

int vhk_give_begin_take_fd(struct vhk_give *g, int fd)
{
	int ret = vhk_sock_peer_is_ours(fd);

	if (ret < 0 || g->state != GIVE_IDLE) {
		close(fd);
		return ret < 0 ? ret : -EBUSY;
	}
	g->pid = ret;
	vhk_sock_init_take_fd(&g->sock, fd);
	ret = vhk_loop_add_fd(g->backend->ctl, fd, EPOLLIN, give_event, g);
	if (!ret)
		ret = limit(g, over_ns(g));
	if (ret < 0) {
		drop_successor(g);
		return ret;
	}
	reset(g);
	give_begin(g);
	return 0;
}

void vhk_give_session_ends(struct vhk_give *g)
{
	if (g->state == GIVE_COMMITTED || g->state == GIVE_OVER) {
		drop_successor(g);
		g->state = GIVE_OVER;
		vhk_session_stop(&g->backend->s);
	} else if (g->state != GIVE_RESUME && !g->failed) {
		give_fail(g, -ENOTCONN, "the session has ended");
	}
}

void vhk_give_close(struct vhk_give *g)
{
	if (!g)
		return;
	vhk_give_unlisten(g);
	/* the successor listens there, or will; what it leaves behind dead is replaced */
	if (g->state == GIVE_COMMITTED)
		g->backend->bound.ino = 0;
	if (g->session && g->state > GIVE_QUIET)
		return; /* the session's end has the rest undone */
	drop_successor(g);
	if (g->state != GIVE_OVER)
		g->state = GIVE_IDLE;
}

void vhk_give_free(struct vhk_give *g)
{
	if (!g)
		return;
	drop_successor(g);
	vhk_give_unlisten(g);
	free(g->path);
	free(g);
}

int vhk_backend_hand_over(struct vhk_backend *b, const char *path, vhk_backend_over_fn *fn,
			  void *arg)
{
	struct vhk_give *g;
	int ret;

	if (!(b->o.flags & VHK_BACKEND_F_HAND_OVER))
		return -EOPNOTSUPP;
	if (b->give || b->take || b->over)
		return -EBUSY;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	*g = (struct vhk_give){ .backend = b, .fn = fn, .arg = arg, .listen_fd = -1,
				.sock.fd = -1 };
	g->path = strdup(path);
	ret = g->path ? vhk_give_start_listening(g) : -ENOMEM;
	if (ret) {
		vhk_give_free(g);
		return ret;
	}
	b->give = g;
	return 0;
}
