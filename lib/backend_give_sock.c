// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The socket that successors come to, and what is said of those that come to nothing: any process
 * of the same user may come, and do so without end.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "backend_give.h"

/* Until another try to let somebody in. */
#define PAUSE_NS 100000000u

void vhk_give_log_failure(struct vhk_give *g, int err, const char *why)
{
	const struct vhk_backend *b = g->backend;

	if (!why)
		why = strerrordesc_np(-err);
	vhk_log_rationed(&b->o.log, &g->failures, VHK_LOG_WARN,
			 "%s: not handed over to process %d: %s", b->name, g->pid, why);
}

static void log_deaf(const struct vhk_give *g, int err)
{
	vhk_log(&g->backend->o.log, VHK_LOG_ERROR, "%s: no successor can come: %s", g->path,
		strerrordesc_np(-err));
}

static void give_accept(void *arg, uint32_t events);

static int watch(struct vhk_give *g)
{
	int ret = vhk_loop_add_fd(g->backend->ctl, g->listen_fd, EPOLLIN, give_accept, g);

	g->watched = !ret;
	return ret;
}

static void unwatch(struct vhk_give *g)
{
	if (g->watched)
		vhk_loop_del_fd(g->backend->ctl, g->listen_fd);
	g->watched = false;
}

/* Without a free descriptor the connection stays where it is, and must not be spun on. */
static void watch_later(struct vhk_give *g);

static void watch_again(void *arg)
{
	struct vhk_give *g = arg;

	g->pause = 0;
	if (watch(g))
		watch_later(g);
}

static void watch_later(struct vhk_give *g)
{
	unwatch(g);
	g->pause = vhk_loop_add_timer(g->backend->ctl, PAUSE_NS, watch_again, g);
	if (g->pause < 0)
		log_deaf(g, g->pause);
}

static void turn_away(struct vhk_give *g, int err)
{
	vhk_log_rationed(&g->backend->o.log, &g->failures, VHK_LOG_WARN,
			 "%s: a successor was turned away: %s", g->path, strerrordesc_np(-err));
}

static void give_accept(void *arg, uint32_t events)
{
	struct vhk_give *g = arg;
	int ret, fd = vhk_sock_accept(g->listen_fd);

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0) {
		vhk_log_rationed(&g->backend->o.log, &g->failures, VHK_LOG_WARN,
				 "%s: cannot accept: %s", g->path, strerrordesc_np(-fd));
		watch_later(g);
		return;
	}
	ret = vhk_give_begin_take_fd(g, fd);
	if (ret)
		turn_away(g, ret);
}

int vhk_give_start_listening(struct vhk_give *g)
{
	int ret, fd = vhk_sock_listen(g->path);

	if (fd < 0)
		return fd;
	g->listen_fd = fd;
	vhk_sock_note_file(&g->bound, g->path);
	ret = watch(g);
	if (ret)
		vhk_give_unlisten(g);
	return ret;
}

void vhk_give_listen(struct vhk_give *g)
{
	int ret = g->listen_fd < 0 ? vhk_give_start_listening(g) : 0;

	if (ret)
		log_deaf(g, ret);
}

void vhk_give_unlisten(struct vhk_give *g)
{
	if (g->listen_fd < 0)
		return;
	vhk_give_del_timer(g, &g->pause);
	unwatch(g);
	close(g->listen_fd);
	g->listen_fd = -1;
	vhk_sock_remove_file(&g->bound, g->path);
}
