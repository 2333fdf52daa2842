// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-net: network cards served over vhost-user. This file puts the parts together and takes them
 * apart in the opposite order.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "vhk-net.h"

const char say_name[] = "vhk-net";

struct server;

struct card {
	struct server *server;
	char name[32]; /* where no path is */
	struct vhk_device *dev;
	struct vhk_backend *be;
	bool connected; /* the one session there can be came with the socket */
};

struct server {
	struct options o;
	struct vhk_loop *ctl;
	struct crew *crew;
	struct vhk_switch *sw;
	struct card card[CARDS_MAX];
	unsigned int n_connected;
};

static const char *name_of(const struct server *s, unsigned int i)
{
	return s->o.door[i].path ? s->o.door[i].path : s->card[i].name;
}

static void on_session(void *arg, bool up)
{
	struct card *c = arg;

	if (!up && c->connected && !--c->server->n_connected)
		vhk_loop_stop(c->server->ctl);
}

static void on_sigusr1(void *arg)
{
	const struct server *s = arg;
	unsigned int i;

	for (i = 0; i < s->o.n; i++)
		stats_print(name_of(s, i), s->card[i].dev);
	if (s->sw && (s->o.tap || s->o.macvtap))
		stats_print_tap(s->o.tap ? s->o.tap : s->o.macvtap, s->sw);
}

static void on_sigusr2(void *arg)
{
	const struct server *s = arg;
	unsigned int i;

	for (i = 0; i < s->o.n; i++)
		vhk_net_announce(s->card[i].dev);
}

static int make_loops(struct server *s)
{
	struct vhk_loop_opts ctl = s->o.loop;
	int ret;

	if (s->o.threads)
		ctl.poll_ns = UINT64_MAX;
	ret = vhk_loop_new(&s->ctl, &ctl);
	if (!ret)
		ret = vhk_loop_stop_on_signal(s->ctl, SIGTERM);
	if (!ret)
		ret = vhk_loop_stop_on_signal(s->ctl, SIGINT);
	if (!ret)
		ret = vhk_loop_add_signal(s->ctl, SIGUSR1, on_sigusr1, s);
	if (!ret)
		ret = vhk_loop_add_signal(s->ctl, SIGUSR2, on_sigusr2, s);
	if (!ret)
		ret = crew_new(&s->crew, s->o.threads, &s->o.loop, s->ctl);
	if (ret)
		say("event loop: %s", strerror(-ret));
	return ret;
}

/* Both queues of a pair run on one loop; pair @first is the first of the card's. */
static int spread(struct server *s, struct card *c, unsigned int first)
{
	const unsigned int pairs = s->o.net.num_pairs, n = s->o.threads ? s->o.threads : 1;
	struct vhk_loop *loops[2 * VHK_NET_PAIRS_MAX];
	unsigned int i;

	for (i = 0; i < 2 * pairs; i++)
		loops[i] = crew_loops(s->crew)[(first + i / 2) % n];
	return vhk_device_set_loops(c->dev, loops, 2 * pairs);
}

static void next_mac(uint8_t *mac)
{
	int i;

	for (i = 5; i > 2 && !++mac[i]; i--)
		;
}

static int make_switch(struct server *s, const int *fds)
{
	int ret;

	if (s->o.port != VHK_NET_SWITCH)
		return 0;
	s->o.sw.loop = crew_loops(s->crew)[0];
	ret = vhk_switch_new(&s->sw, &s->o.sw);
	if (!ret && (s->o.tap || s->o.macvtap))
		ret = vhk_switch_add_tap(s->sw, fds[0]);
	if (ret)
		say("switch: %s", strerror(-ret));
	s->o.net.sw = s->sw;
	return ret;
}

static int make_cards(struct server *s)
{
	static const uint8_t none[6];
	const bool counts = memcmp(s->o.net.mac, none, sizeof(none)) != 0;
	int fds[VHK_NET_PAIRS_MAX];
	unsigned int i;
	int ret = port_open(&s->o, fds);

	s->o.net.port = s->o.port;
	if (!ret)
		ret = make_switch(s, fds);
	for (i = 0; i < s->o.n && !ret; i++) {
		ret = vhk_net_new(&s->card[i].dev, &s->o.net);
		if (!ret)
			ret = spread(s, &s->card[i], i * s->o.net.num_pairs);
		if (ret)
			say("network card: %s", strerror(-ret));
		if (counts)
			next_mac(s->o.net.mac);
	}
	return ret;
}

static bool is_connected(int fd)
{
	socklen_t len = sizeof(int);
	int listening = 1;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) && !listening;
}

static int open_door(struct server *s, unsigned int i)
{
	struct door door = s->o.door[i];
	struct card *c = &s->card[i];
	const struct vhk_backend_opts o = {
		.sz = sizeof(o), .log = s->o.net.log, .on_session = on_session, .arg = c
	};

	c->server = s;
	door.client = s->o.client;
	if (!door.path) {
		snprintf(c->name, sizeof(c->name), "file descriptor %d", door.fd);
		c->connected = is_connected(door.fd);
		s->n_connected += c->connected;
	}
	return door_open(&c->be, s->ctl, c->dev, &door, &o);
}

static int serve(struct server *s)
{
	int ret = crew_start(s->crew);

	if (ret) {
		say("threads: %s", strerror(-ret));
		return ret;
	}
	systemd_notify("READY=1");
	ret = vhk_loop_run(s->ctl);
	if (ret < 0)
		say("event loop: %s", strerror(-ret));
	systemd_notify("STOPPING=1");
	return ret;
}

static int run(struct server *s)
{
	unsigned int i;
	int ret = make_loops(s);

	if (!ret)
		ret = make_cards(s);
	for (i = 0; i < s->o.n && !ret; i++)
		ret = open_door(s, i);
	if (!ret)
		ret = serve(s);
	return ret;
}

/* Sessions end while their data loops still run; the rings are gone before their loops. */
static int clean_up(struct server *s)
{
	unsigned int i;
	int ret;

	for (i = 0; i < s->o.n; i++)
		vhk_backend_close(s->card[i].be);
	ret = crew_stop(s->crew);
	for (i = 0; i < s->o.n; i++)
		vhk_device_free(s->card[i].dev);
	vhk_switch_free(s->sw);
	crew_free(s->crew);
	vhk_loop_free(s->ctl);
	return ret;
}

/* Sockets by LISTEN_FDS, where none was named. */
static int take_sockets(struct options *o)
{
	int i, first = -1, n = systemd_sockets(CARDS_MAX, &first);

	for (i = 0; i < n; i++)
		o->door[o->n++] = (struct door){ .fd = first + i };
	if (!n)
		say("--socket-path or --fd is missing");
	return n > 0 ? 0 : n < 0 ? 1 : 2;
}

int main(int argc, char **argv)
{
	static struct server s;
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
	ret = s.o.n ? 0 : take_sockets(&s.o);
	if (ret)
		return ret;
	if (!options_fit(&s.o))
		return 2;
	process_hold_signals((const int[]){ SIGUSR1, SIGUSR2, 0 });
	process_raise_fd_limit();
	ret = run(&s);
	end = clean_up(&s);
	return ret < 0 || end < 0;
}
