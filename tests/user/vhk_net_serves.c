// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-net and the library's own front end: sockets of every origin, threads, both engines, a
 * switch; statistics, readiness, an orderly end; and what is wrong with a command line is said in
 * one line.
 */
#include "t_net.h"
#include "t_prog.h"

#define MS 10000

static char sock[2][80], sock_opt[2][256];
static unsigned char sent[2048], got[70000];

static void paths(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		snprintf(sock[i], sizeof(sock[i]), "%s/sock%u", t_dir(), i);
		snprintf(sock_opt[i], sizeof(sock_opt[i]), "--socket-path=%s", sock[i]);
	}
}

static void start_fd(struct t_prog *p, const char *const *args, int fd, const char *listen_fds)
{
	t_prog_start_fd(p, "vhk-net", args, fd, listen_fds);
	if (t_prog_ready(p, MS))
		return;
	t_prog_end(p, 100);
	printf("# %s", p->text[2]);
	T_MUST(!"vhk-net is ready");
}

static void stop(struct t_prog *p)
{
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, 5000), 0);
}

static void drive(struct t_net *t, const char *uri, uint64_t want, unsigned int queues)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_WAIT, .timeout_ms = 10000,
				  .n_queues = (uint16_t)queues, .queue_size = T_NET_SIZE };

	memset(t, 0, sizeof(*t));
	T_MUST(!vhk_ctl_open(&t->ctl, uri, &o));
	T_EQ(t_net_setup(t, want, queues), 0);
}

static void hang_up(struct t_net *t)
{
	vhk_ctl_close(t->ctl);
	t_net_drop_queues(t);
}

static void there_and_back(struct t_net *t, unsigned int pair)
{
	struct virtio_net_hdr_v1 hdr;
	unsigned int i;

	t_net_fill(t, 2 * pair, 8);
	for (i = 0; i < 50; i++) {
		t_frame(sent, 60 + 20 * i, i);
		T_EQ(t_net_send(t, 2 * pair + 1, NULL, sent, 60 + 20 * i), 0);
		T_EQ(t_net_recv(t, 2 * pair, &hdr, got), 60 + 20 * (int)i);
		T_EQ(memcmp(sent, got, 60 + 20 * i), 0);
	}
}

static void in_every_way(void)
{
	static const char *const ways[][3] = {
		{ NULL },
		{ "--threads=2" },
		{ "--no-io-uring" },
		{ "--no-io-uring", "--threads=1" },
		{ "--poll-us=0" },
	};
	static const uint64_t layouts[] = { 0, VHK_F_RING_PACKED | VHK_F_EVENT_IDX };
	const char *args[T_ARGS + 1];
	char uri[256];
	struct t_prog p;
	struct t_net t;
	unsigned int i, k, n;

	paths();
	for (i = 0; i < vhk_array_size(ways); i++) {
		memset(args, 0, sizeof(args));
		n = 0;
		args[n++] = sock_opt[0];
		args[n++] = "--forward=io";
		args[n++] = "--queue-pairs=2";
		for (k = 0; ways[i][k]; k++)
			args[n++] = ways[i][k];
		start_fd(&p, args, -1, NULL);
		snprintf(uri, sizeof(uri), "unix:%s", sock[0]);
		for (k = 0; k < 2; k++) {
			drive(&t, uri,
			      VHK_F_VERSION_1 | T_NF(CTRL_VQ) | T_NF(MQ) | layouts[k], 4);
			there_and_back(&t, 0);
			there_and_back(&t, 1);
			hang_up(&t);
		}
		stop(&p);
		T_OK(access(sock[0], F_OK));
	}
}

static void two_sockets_are_a_switch(void)
{
	const char *const args[] = { sock_opt[0], sock_opt[1], "--mac=02:00:00:00:00:fe", NULL };
	struct virtio_net_hdr_v1 hdr;
	struct virtio_net_config c;
	struct t_net t[2];
	struct t_prog p;
	char uri[256];
	unsigned int i;

	paths();
	start_fd(&p, args, -1, NULL);
	for (i = 0; i < 2; i++) {
		snprintf(uri, sizeof(uri), "unix:%s", sock[i]);
		drive(&t[i], uri, VHK_F_VERSION_1 | T_NF(MAC), 2);
		t_net_fill(&t[i], 0, 8);
		T_EQ(vhk_ctl_get_config(t[i].ctl, 0, &c, 6), 0);
		T_EQ(c.mac[5], 0xfe + i);
	}
	for (i = 0; i < 100; i++) {
		t_frame(sent, 100 + i, i);
		memset(sent, 255, 6);
		T_EQ(t_net_send(&t[i % 2], 1, NULL, sent, 100 + i), 0);
		T_EQ(t_net_recv(&t[1 - i % 2], 0, &hdr, got), 100 + (int)i);
		T_EQ(memcmp(sent, got, 100 + i), 0);
	}
	kill(p.pid, SIGUSR1);
	hang_up(&t[0]);
	hang_up(&t[1]);
	stop(&p);
	T_OK(strstr(p.text[2], "queue 1: seen 50 packets 50"));
	T_OK(strstr(p.text[2], "dropped 0"));
}

static void a_connected_socket_ends_with_its_peer(void)
{
	const char *const args[] = { "--fd=3", "--forward=io", NULL };
	struct t_prog p;
	struct t_net t;
	char uri[32];
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	start_fd(&p, args, fd[1], NULL);
	close(fd[1]);
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	drive(&t, uri, VHK_F_VERSION_1, 2);
	there_and_back(&t, 0);
	hang_up(&t);
	T_EQ(t_prog_end(&p, MS), 0);
}

static void systemd_passes_a_socket(void)
{
	const char *const args[] = { "--forward=io", NULL };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct t_prog p;
	struct t_net t;
	char uri[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	paths();
	memcpy(sun.sun_path, sock[0], strlen(sock[0]));
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 1));
	start_fd(&p, args, fd, "1");
	snprintf(uri, sizeof(uri), "unix:%s", sock[0]);
	drive(&t, uri, VHK_F_VERSION_1, 2);
	there_and_back(&t, 0);
	hang_up(&t);
	stop(&p);
	close(fd);
}

static void what_is_wrong_is_said(void)
{
	static const struct {
		const char *args[5];
		int status;
		const char *said;
	} cases[] = {
		{ { NULL }, 2, "--socket-path or --fd is missing" },
		{ { "--socket-path=x" }, 2, "one card needs" },
		{ { "--socket-path=" }, 2, "--socket-path takes" },
		{ { "--socket-path=x", "--tap=a", "--forward=io" }, 2, "exclude each other" },
		{ { "--socket-path=x", "--forward=up" }, 2, "io, mac, rxonly or txonly" },
		{ { "--socket-path=x", "--tap=much-too-long-a-name" }, 2, "up to 15 bytes" },
		{ { "--socket-path=x", "--forward=io", "--queue-pairs=65" }, 2, "1 to 64" },
		{ { "--socket-path=x", "--forward=io", "--queue-pairs=0" }, 2, "1 to 64" },
		{ { "--socket-path=x", "--forward=io", "--queue-size=100" }, 2, "power of two" },
		{ { "--socket-path=x", "--forward=io", "--mac=01:00:00:00:00:01" }, 2, "--mac" },
		{ { "--socket-path=x", "--forward=io", "--mac=2:0:0:0:0:1" }, 2, "--mac" },
		{ { "--socket-path=x", "--forward=io", "--mac=00:00:00:00:00:00" }, 2, "--mac" },
		{ { "--socket-path=x", "--forward=io", "--mtu=67" }, 2, "68 to 65535" },
		{ { "--socket-path=x", "--forward=io", "--frame-size=60" }, 2, "txonly" },
		{ { "--socket-path=x", "--forward=io", "--threads=2" }, 2, "--threads=2" },
		{ { "--socket-path=x", "--forward=io", "--addresses=2" }, 2, "a switch's" },
		{ { "--socket-path=x", "--socket-path=y", "--threads=2" }, 2, "one thread" },
		{ { "--socket-path=x", "--socket-path=y", "--interface=lo" }, 2, "one card" },
		{ { "--socket-path=x", "--interface=lo", "--queue-pairs=2" }, 2, "one pair" },
		{ { "--fd=0", "--client", "--forward=io" }, 2, "--client needs" },
		{ { "--socket-path=x", "--forward=io", "more" }, 2, "is no option" },
		{ { "--socket-path=x", "--tap=a/b" }, 2, "name of an interface" },
		{ { "--socket-path=x", "--tap=a:b" }, 2, "name of an interface" },
		{ { "--socket-path=x", "--macvtap=.." }, 2, "name of an interface" },
		{ { "--socket-path=x", "--interface=a b" }, 2, "name of an interface" },
		{ { "--socket-path=x", "--interface=no-such-one" }, 1, "no such interface" },
		{ { "--socket-path=x", "--macvtap=no-such-one" }, 1, "no such interface" },
		{ { "--socket-path=x", "--macvtap=lo" }, 1, "lo: is no macvtap" },
		{ { "--socket-path=/no/such/folder/x", "--forward=io" }, 1, "/no/such/folder/x" },
		{ { "--fd=0", "--forward=io" }, 1, "not a socket" },
		{ { "--print-capabilities", "--nonsense" }, 0, "" },
		{ { "--version" }, 0, "" },
		{ { "--help" }, 0, "" },
	};
	struct t_prog p;
	unsigned int i;
	int status;

	for (i = 0; i < vhk_array_size(cases); i++) {
		t_prog_start(&p, "vhk-net", cases[i].args);
		status = t_prog_end(&p, MS);
		T_EQ(status, cases[i].status);
		T_EQ(t_lines(p.text[2]), cases[i].status ? 1 : 0);
		if (status != cases[i].status || !strstr(p.text[2], cases[i].said)) {
			T_STR(p.text[2], cases[i].said);
			printf("# case %u\n", i);
		}
		if (!i)
			continue;
		if (!strcmp(cases[i].args[0], "--print-capabilities"))
			T_OK(strstr(p.text[1], "\"type\":\"net\""));
	}
}

static void more_sockets_than_ports(void)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd),
		 "'%s' $(seq -f --socket-path=/x%%g 64) 2>&1 | "
		 "grep -qx 'vhk-net: more than 63 sockets'",
		 t_program("vhk-net"));
	T_EQ(system(cmd), 0);
}

int main(void)
{
	T_RUN(in_every_way);
	T_RUN(two_sockets_are_a_switch);
	T_RUN(a_connected_socket_ends_with_its_peer);
	T_RUN(systemd_passes_a_socket);
	T_RUN(what_is_wrong_is_said);
	T_RUN(more_sockets_than_ports);
	return t_end();
}
