// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk and the library's own front end: every kind of request over the socket, on both ring
 * layouts, both engines, with and without data threads, on every kind of file.
 */
#include <sys/stat.h>
#include <sys/vfs.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SECTORS 4096
#define WANT                                                                                       \
	(VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_CONFIG_WCE |           \
	 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES |                        \
	 1ULL << VIRTIO_BLK_F_MQ)

static char image[100], sock[100], file_opt[128], sock_opt[128];

static void make_image(const char *folder)
{
	snprintf(image, sizeof(image), "%s/vhk-test-serves.img", folder);
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	unlink(image);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, 512 * SECTORS));
}

static void start(struct t_prog *p, const char *const *more)
{
	const char *args[T_ARGS + 1] = { file_opt, sock_opt, "--serial=disk" };
	unsigned int i;

	for (i = 0; more && more[i]; i++)
		args[3 + i] = more[i];
	t_prog_start(p, "vhk-blk", args);
	if (t_prog_ready(p, MS))
		return;
	t_prog_end(p, 100);
	printf("# %s", p->text[2]);
	T_MUST(!"vhk-blk is ready");
}

static void stop(struct t_prog *p)
{
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, 2000), 0);
	if (p->text[2][0])
		printf("# %s", p->text[2]);
	T_OK(access(sock, F_OK));
}

static void every_kind(struct t_front *f, unsigned int queue)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = htole64(16),
							 .num_sectors = htole32(8) };
	unsigned char data[8192], back[8192];
	char id[21] = "";
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i + queue + (i >> 8));
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_OUT, 8, data, sizeof(data)), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_IN, 8, back, sizeof(back)), 0);
	T_EQ(memcmp(data, back, sizeof(data)), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_WRITE_ZEROES, 0, &range, sizeof(range)), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_IN, 8, back, sizeof(back)), 0);
	memset(data + 4096, 0, 4096);
	T_EQ(memcmp(data, back, sizeof(data)), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_DISCARD, 0, &range, sizeof(range)), 0);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_GET_ID, 0, id, 20), 0);
	T_STR(id, "disk");
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_IN, SECTORS, back, 512), VIRTIO_BLK_S_IOERR);
	T_EQ(t_front_do(f, queue, 77, 0, NULL, 0), VIRTIO_BLK_S_UNSUPP);
	T_EQ(t_front_do(f, queue, VIRTIO_BLK_T_IN, SECTORS - 1, back, 512), 0);
}

#define ARGS(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void every_kind_of_request_in_every_way(void)
{
	static const char *const ways[][4] = {
		{ NULL },
		{ "--threads=2" },
		{ "--no-io-uring" },
		{ "--no-io-uring", "--threads=2" },
		{ "--direct" },
		{ "--direct", "--no-io-uring" },
		{ "--poll-us=0", "--queue-size=16" },
	};
	static const char *const folders[] = { "/var/tmp", "/dev/shm" };
	static const uint64_t layouts[] = { 0, VHK_F_RING_PACKED };
	struct t_front f;
	struct t_prog p;
	unsigned int w, d, l, q;
	int bad;

	for (w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (d = 0; d < 2; d++) {
			make_image(folders[d]);
			start(&p, ways[w]);
			for (l = 0; l < 2; l++) {
				bad = t_bad;
				T_EQ(t_front_open(&f, sock,
						  (WANT & ~VHK_F_RING_PACKED) | layouts[l], 3, 16),
				     0);
				for (q = 0; q < 3; q++)
					every_kind(&f, q);
				t_front_close(&f);
				if (t_bad != bad)
					printf("# way %u, %s, layout %u\n", w, folders[d], l);
			}
			stop(&p);
			unlink(image);
		}
}

static void the_driver_is_told_of_a_new_size(void)
{
	struct virtio_blk_config c;
	unsigned char data[512];
	struct t_front f;
	struct t_prog p;
	int64_t until;

	make_image("/var/tmp");
	start(&p, NULL);
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, SECTORS, data, 512), VIRTIO_BLK_S_IOERR);
	T_MUST(!truncate(image, 512 * 2 * SECTORS));
	T_MUST(!kill(p.pid, SIGHUP));
	until = (int64_t)t_now_ns() + 5 * T_SECOND;
	while (!f.n_config && (int64_t)t_now_ns() < until) {
		t_readable(vhk_ctl_fd(f.ctl), 100);
		T_EQ(vhk_ctl_process(f.ctl) < 0, 0);
	}
	T_EQ(f.n_config, 1);
	T_EQ(vhk_ctl_get_config(f.ctl, 0, &c, 60), 0);
	T_EQ(le64toh(c.capacity), 2 * SECTORS);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, SECTORS, data, 512), 0);
	/* smaller, and nobody says so: noticed within a second or so */
	T_MUST(!truncate(image, 512 * 8));
	until = (int64_t)t_now_ns() + 5 * T_SECOND;
	while (f.n_config < 2 && (int64_t)t_now_ns() < until) {
		t_readable(vhk_ctl_fd(f.ctl), 100);
		T_EQ(vhk_ctl_process(f.ctl) < 0, 0);
	}
	T_EQ(f.n_config, 2);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 8, data, 512), VIRTIO_BLK_S_IOERR);
	t_front_close(&f);
	stop(&p);
	unlink(image);
}

static void a_read_only_disk_stays_as_it_is(void)
{
	unsigned char data[512] = { 1 };
	struct t_front f;
	struct t_prog p;

	make_image("/var/tmp");
	start(&p, ARGS("--read-only"));
	T_EQ(t_front_open(&f, sock, WANT | 1ULL << VIRTIO_BLK_F_RO, 1, 16), 0);
	T_OK(vhk_ctl_features(f.ctl) & 1ULL << VIRTIO_BLK_F_RO);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_IOERR);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, data, 512), 0);
	T_EQ(data[0], 0);
	t_front_close(&f);
	stop(&p);
	unlink(image);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 4));
	return fd;
}

static void one_session(const char *uri)
{
	unsigned char data[512];
	struct t_front f;

	T_EQ(t_front_open(&f, uri, WANT, 1, 16), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, data, 512), 0);
	t_front_close(&f);
}

static void the_socket_may_come_from_elsewhere(void)
{
	const char *args[] = { file_opt, NULL, NULL };
	struct t_prog p;
	char uri[32];
	int fd, pair[2];

	make_image("/var/tmp");
	/* systemd's */
	fd = listen_at(sock);
	t_prog_start_fd(&p, "vhk-blk", args, fd, "1");
	T_MUST(t_prog_ready(&p, MS));
	one_session(sock);
	one_session(sock);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 2000), 0);
	/* it is not ours to remove */
	T_EQ(access(sock, F_OK), 0);
	/* a listening one by number */
	args[1] = "--fd=3";
	t_prog_start_fd(&p, "vhk-blk", args, fd, NULL);
	T_MUST(t_prog_ready(&p, MS));
	one_session(sock);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 2000), 0);
	close(fd);
	unlink(sock);
	/* a connected one: its end is the program's */
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	t_prog_start_fd(&p, "vhk-blk", args, pair[1], NULL);
	close(pair[1]);
	T_MUST(t_prog_ready(&p, MS));
	snprintf(uri, sizeof(uri), "fd:%d", pair[0]);
	one_session(uri);
	T_EQ(t_prog_end(&p, 2000), 0);
	unlink(image);
}

static void statistics_come_on_request(void)
{
	struct t_prog p;
	char line[512] = "";

	make_image("/var/tmp");
	start(&p, NULL);
	one_session(sock);
	T_MUST(!kill(p.pid, SIGUSR1));
	T_OK(t_readable(p.err, MS) && read(p.err, line, sizeof(line) - 1) > 0);
	T_OK(strstr(line, "queue 0: requests 1 ") && strstr(line, "read 1 (512 bytes)"));
	stop(&p);
	unlink(image);
}

static uint64_t cpu_ns(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

static void idle_is_idle(void)
{
	unsigned char data[512];
	struct t_front f;
	struct t_prog p;
	uint64_t cpu;

	make_image("/var/tmp");
	start(&p, NULL);
	T_EQ(t_front_open(&f, sock, WANT, 2, 16), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, data, 512), 0);
	T_EQ(t_readable(p.pidfd, 100), false);
	cpu = cpu_ns(p.pid);
	if (!cpu)
		T_SKIP("no /proc/PID/schedstat");
	T_EQ(t_readable(p.pidfd, 1000), false);
	/* one look at the size of the image, 0.2 % of a second at most */
	T_OK(cpu_ns(p.pid) - cpu < 2000000);
	t_front_close(&f);
	stop(&p);
	unlink(image);
}

static void a_killed_servers_socket_is_replaced(void)
{
	struct t_prog p;

	make_image("/var/tmp");
	start(&p, NULL);
	kill(p.pid, SIGKILL);
	T_EQ(t_prog_end(&p, MS), 1000 + SIGKILL);
	T_EQ(access(sock, F_OK), 0);
	start(&p, NULL);
	one_session(sock);
	stop(&p);
	unlink(image);
}

static void a_front_end_may_listen(void)
{
	struct t_prog p;
	char uri[128];

	make_image("/var/tmp");
	start(&p, ARGS("--client"));
	/* nobody was there at first, and nobody is between the two */
	snprintf(uri, sizeof(uri), "listen:%s", sock);
	one_session(uri);
	one_session(uri);
	unlink(sock);
	stop(&p);
	unlink(image);
}

static void an_end_under_load_is_quick_and_clean(void)
{
	static const char *const ways[][2] = { { NULL }, { "--threads=2" }, { "--no-io-uring" } };
	struct t_front f;
	struct t_prog p;
	struct t_req *r;
	unsigned int w, i;

	for (w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		make_image("/var/tmp");
		start(&p, ways[w]);
		T_EQ(t_front_open(&f, sock, WANT, 2, 64), 0);
		for (i = 0; i < 32; i++) {
			r = t_front_idle(&f);
			r->queue = i % 2;
			r->type = VIRTIO_BLK_T_OUT;
			r->sector = i;
			r->len = 512;
			T_EQ(t_front_add(&f, r), 0);
		}
		T_EQ(t_front_publish(&f), 0);
		stop(&p);
		for (i = 0; i < 2; i++)
			while ((r = t_front_get(&f, i)))
				T_EQ(r->s->status, 0);
		t_front_close(&f);
		unlink(image);
	}
}

/* The back end shares the files, and may make them block, and the counters full or empty. */
static void a_front_end_is_not_held_by_its_eventfds(void)
{
	const uint64_t full = UINT64_MAX - 1;
	struct t_front f;
	struct t_prog p;
	uint64_t n;
	int kick, call;

	make_image(t_dir());
	start(&p, NULL);
	T_MUST(!t_front_open(&f, sock, WANT, 1, 64));
	kick = vhk_ctl_kick_fd(f.ctl, 0);
	call = vhk_ctl_call_fd(f.ctl, 0);
	T_MUST(kick >= 0 && call >= 0);
	n = (uint64_t)read(kick, &n, sizeof(n));
	T_MUST(write(kick, &full, sizeof(full)) == sizeof(full));
	T_MUST(!fcntl(kick, F_SETFL, fcntl(kick, F_GETFL) & ~O_NONBLOCK));
	T_MUST(!fcntl(call, F_SETFL, fcntl(call, F_GETFL) & ~O_NONBLOCK));
	alarm(60);
	T_EQ(vhk_ctl_kick(f.ctl, 0), 0);
	T_EQ(vhk_ctl_wait(f.ctl, 0, 1000000), -ETIMEDOUT);
	alarm(0);
	t_front_close(&f);
	stop(&p);
}

int main(void)
{
	T_RUN(every_kind_of_request_in_every_way);
	T_RUN(the_driver_is_told_of_a_new_size);
	T_RUN(a_read_only_disk_stays_as_it_is);
	T_RUN(the_socket_may_come_from_elsewhere);
	T_RUN(statistics_come_on_request);
	T_RUN(idle_is_idle);
	T_RUN(a_front_end_may_listen);
	T_RUN(an_end_under_load_is_quick_and_clean);
	T_RUN(a_killed_servers_socket_is_replaced);
	T_RUN(a_front_end_is_not_held_by_its_eventfds);
	return t_end();
}
