// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk: a disk served over vhost-user or VDUSE. This file puts the parts together and takes them
 * apart in the opposite order.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "vhk-blk.h"

#define RESIZE_NS 1000000000u

const char say_name[] = "vhk-blk";

struct server {
	struct options o;
	struct vhk_loop *ctl;
	struct crew *crew;
	struct vhk_device *disk;
	struct vhk_backend *be;
	struct vduse *vduse;
	bool up;
	int timer; /* looks at the image's size while a session is up; 0: not running */
	bool handed_over;
	int failed; /* a hand-over, with that */
};

static void look_at_size(void *arg)
{
	struct server *s = arg;
	int ret = vhk_blk_resize(s->disk);

	if (ret < 0)
		say("%s: %s", s->o.blk.path, strerror(-ret));
}

/* Block devices send no word of a new size, so somebody has to look. */
static void each_second(void *arg)
{
	struct server *s = arg;
	int ret;

	s->timer = 0;
	look_at_size(s);
	if (!s->up)
		return;
	ret = vhk_loop_add_timer(s->ctl, RESIZE_NS, each_second, s);
	s->timer = ret > 0 ? ret : 0;
}

static void on_session(void *arg, bool up)
{
	struct server *s = arg;

	if (s->timer)
		vhk_loop_del_timer(s->ctl, s->timer);
	s->timer = 0;
	s->up = up;
	if (up)
		each_second(s);
	else if (s->be && vhk_backend_is_over(s->be))
		vhk_loop_stop(s->ctl);
}

static void on_sigusr1(void *arg)
{
	stats_print(((struct server *)arg)->disk);
}

static int take_signals(struct server *s)
{
	int ret = vhk_loop_stop_on_signal(s->ctl, SIGTERM);

	if (!ret)
		ret = vhk_loop_stop_on_signal(s->ctl, SIGINT);
	if (!ret)
		ret = vhk_loop_add_signal(s->ctl, SIGHUP, look_at_size, s);
	if (!ret)
		ret = vhk_loop_add_signal(s->ctl, SIGUSR1, on_sigusr1, s);
	return ret;
}

/* With threads of their own for the queues this one has none. */
static int new_ctl(struct server *s)
{
	struct vhk_loop_opts o = s->o.loop;

	if (s->o.threads) {
		o.poll_ns = UINT64_MAX;
		o.notify = VHK_LOOP_NOTIFY_POLL;
		o.flags &= ~(uint32_t)VHK_LOOP_F_PIN;
	}
	return vhk_loop_new(&s->ctl, &o);
}

static void say_no_loops(const struct options *o, int ret)
{
	const bool mux = o->loop.notify == VHK_LOOP_NOTIFY_MUX;

	say("event loop%s%s: %s%s", mux ? " with /dev/vhostkit (--notify=mux)" : "",
	    o->loop.flags & VHK_LOOP_F_PIN ? " with --pin-memory" : "", strerror(-ret),
	    mux && ret == -ENOENT ? "; is the module vhostkit loaded?" : "");
}

static int make_loops(struct server *s)
{
	unsigned int n;
	int ret;

	ret = new_ctl(s);
	/* A thread that waits for the image must not be the one that answers front ends. */
	if (!ret && !s->o.threads && !strcmp(vhk_loop_engine_name(s->ctl), "epoll")) {
		vhk_loop_free(s->ctl);
		s->o.threads = 1;
		ret = new_ctl(s);
	}
	n = s->o.threads ? s->o.threads : 1;
	if (!ret)
		ret = take_signals(s);
	if (!ret)
		ret = crew_new(&s->crew, s->o.threads, &s->o.loop, s->ctl);
	if (!ret && vhk_blk_wants_writer(s->disk))
		ret = crew_add_writer(s->crew);
	if (!ret)
		ret = vhk_device_set_loops(s->disk, crew_loops(s->crew), n);
	if (!ret)
		ret = vhk_device_set_call_delay(s->disk, s->o.coalesce_us);
	if (ret)
		say_no_loops(&s->o, ret);
	return ret;
}

/* Another server has the guest, or died with it. */
static void on_handed_over(void *arg, int ret, int pid)
{
	struct server *s = arg;

	s->handed_over = true;
	s->failed = ret;
	if (ret)
		say("%s: server %d died with what it took over", s->o.hand_over, pid);
	else
		systemd_main_pid(pid);
	vhk_loop_stop(s->ctl);
}

/* The next one may come as soon as the guest is here. */
static int let_take_over(struct server *s)
{
	int ret = s->o.hand_over ? vhk_backend_hand_over(s->be, s->o.hand_over, on_handed_over, s)
				 : 0;

	if (ret)
		say("%s: %s", s->o.hand_over, door_why_not(ret));
	return ret;
}

static void on_taken_over(void *arg, int ret, int pid)
{
	struct server *s = arg;

	(void)pid;
	/* why not was logged, and the other server keeps its guest */
	if (ret) {
		s->failed = ret;
		vhk_loop_stop(s->ctl);
		return;
	}
	/* the guest is served: not being able to hand it on is no reason to end */
	let_take_over(s);
	systemd_notify("READY=1");
}

static int take_over(struct server *s, const struct vhk_backend_opts *o)
{
	int ret = vhk_backend_take_over(&s->be, s->ctl, s->disk, s->o.take_over, s->o.door.path,
					o, on_taken_over, s);

	if (ret == -EPERM)
		say("%s: that server is another user's", s->o.take_over);
	else if (ret)
		say("%s: no server to take over from: %s", s->o.take_over, strerror(-ret));
	return ret;
}

static uint32_t door_flags(const struct options *o)
{
	return (o->hand_over ? VHK_BACKEND_F_HAND_OVER : 0) |
	       (o->postcopy ? VHK_BACKEND_F_POSTCOPY : 0);
}

/* Said before a guest is on its way. */
static int check_door(const struct options *o)
{
	int ret = vhk_backend_check(door_flags(o));

	if (ret == -EPERM)
		say("--postcopy: no userfaultfd(2) for this process: it has to be root, "
		    "vm.unprivileged_userfaultfd 1, or /dev/userfaultfd accessible");
	else if (ret)
		say("--postcopy: userfaultfd(2): %s", strerror(-ret));
	return ret;
}

static int open_door(struct server *s)
{
	const struct vhk_backend_opts o = {
		.sz = sizeof(o),
		.log = s->o.blk.log,
		.on_session = on_session,
		.arg = s,
		.flags = door_flags(&s->o),
	};
	int ret;

	if (s->o.vduse) {
		ret = vduse_open(&s->vduse, &s->o, s->ctl, s->disk);
		/* A driver that comes reads the size that the kernel was told last. */
		if (!ret)
			on_session(s, true);
		return ret;
	}
	if (s->o.take_over)
		return take_over(s, &o);
	ret = door_open(&s->be, s->ctl, s->disk, &s->o.door, &o);
	return ret ? ret : let_take_over(s);
}

static int serve(struct server *s)
{
	int ret = crew_start(s->crew);

	if (ret) {
		say("threads: %s", strerror(-ret));
		return ret;
	}
	ret = s->vduse ? vduse_attach(s->vduse) : 0;
	if (ret) {
		say("threads: %s", strerror(-ret));
		return ret;
	}
	if (!s->o.take_over)
		systemd_notify("READY=1");
	ret = vhk_loop_run(s->ctl);
	if (ret < 0)
		say("event loop: %s", strerror(-ret));
	/* the service goes on, if another process has it */
	if (!s->handed_over)
		systemd_notify("STOPPING=1");
	return ret < 0 ? ret : s->failed;
}

static int run(struct server *s)
{
	int ret;

	ret = check_door(&s->o);
	if (ret)
		return ret;
	/* The other server has the image until the guest is here. */
	if (s->o.take_over)
		s->o.blk.flags |= VHK_BLK_F_INCOMING;
	/* The disk first: waiting for a dead server's lock can be ended by any signal. */
	ret = vhk_blk_new(&s->disk, &s->o.blk);
	if (ret == -ENOMEM)
		say("%s: %s", s->o.blk.path, strerror(-ret));
	if (ret)
		return ret;
	ret = make_loops(s);
	if (!ret)
		ret = open_door(s);
	if (!ret)
		ret = serve(s);
	return ret;
}

/* The session ends while its data loops still run; the rings are gone before their loops. */
static int clean_up(struct server *s)
{
	int ret, stopped;

	vhk_backend_close(s->be);
	ret = vduse_close(s->vduse);
	stopped = crew_stop(s->crew);
	if (!ret)
		ret = stopped;
	vhk_device_free(s->disk);
	vhk_loop_free(s->ctl);
	crew_free(s->crew);
	return ret;
}

int main(int argc, char **argv)
{
	struct server s = { .timer = 0 };
	int ret, end;

	if (!process_fill_stdio())
		return 1;
	switch (options_read(&s.o, argc, argv)) {
	case CLI_DONE:
		return process_finish_stdout();
	case CLI_WRONG:
		return 2;
	case CLI_GO:
		break;
	}
	if (!s.o.door.path && s.o.door.fd < 0 && !s.o.vduse && !s.o.take_over) {
		ret = systemd_sockets(1, &s.o.door.fd);
		if (ret < 0)
			return 1;
		if (!ret) {
			say("--socket-path, --fd, --vduse or --take-over is missing");
			return 2;
		}
	}
	process_hold_signals((const int[]){ SIGHUP, SIGUSR1, 0 });
	process_raise_fd_limit();
	ret = run(&s);
	end = clean_up(&s);
	return ret < 0 || end < 0;
}
