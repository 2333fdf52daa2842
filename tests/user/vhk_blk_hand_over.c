// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One vhk-blk takes over from another, again and again under a verified load: the connection lives,
 * nothing is lost, and no notification is missed. What cannot be taken over stays where it is.
 */
#include "t_load.h"
#include "t_prog.h"

#define MS 10000

static char image[100], other[100], sock[100], over[100];
static struct t_prog server[2];

static void paths(const char *folder)
{
	snprintf(image, sizeof(image), "%s/vhk-test-over-%d.img", folder, getpid());
	snprintf(other, sizeof(other), "%s/vhk-test-over-%d-2.img", folder, getpid());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(over, sizeof(over), "%s/over", t_dir());
	unlink(image);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, BLOCK * BLOCKS));
	T_MUST(!close(open(other, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(other, BLOCK * BLOCKS));
}

/* @at: its socket. @taker: takes over. @more: further options, or NULL. */
static void start_server_at(struct t_prog *p, const char *at, const char *file, bool taker,
			    const char *more)
{
	char file_opt[128], sock_opt[128], give[128], take[128];
	const char *args[] = { file_opt, sock_opt, give, more ? more : "--poll-us=64",
			       taker ? take : NULL, NULL };

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", file);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", at);
	snprintf(give, sizeof(give), "--hand-over=%s", over);
	snprintf(take, sizeof(take), "--take-over=%s", over);
	t_prog_start(p, "vhk-blk", args);
}

static void start_server(struct t_prog *p, const char *file, bool taker, const char *more)
{
	start_server_at(p, sock, file, taker, more);
}

static int open_front(uint64_t layout)
{
	return t_front_open(&front, sock,
			    VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC |
				    1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_MQ | layout,
			    QUEUES, RING);
}

static bool has_ended(const struct t_prog *p)
{
	return t_readable(p->pidfd, 0);
}

/* The load goes on until @p has ended. */
static void load_until_end(struct t_prog *p)
{
	uint64_t end = t_now_ns() + MS * 1000000ull;

	while (!has_ended(p) && t_now_ns() < end && !t_bad)
		T_EQ(load(20), 0);
	T_OK(has_ended(p));
}

static void said_main_pid(struct t_prog *p, pid_t pid)
{
	char said[64] = "", want[64];

	snprintf(want, sizeof(want), "MAINPID=%d", pid);
	while (recv(p->ready, said, sizeof(said) - 1, MSG_DONTWAIT) > 0 && strcmp(said, want))
		memset(said, 0, sizeof(said));
	T_STR(said, want);
	/* that its service ends is not said: it does not */
	T_OK(recv(p->ready, said, sizeof(said) - 1, MSG_DONTWAIT) < 0);
}

static void taken_over(const char *folder, uint64_t layout, unsigned int times)
{
	static const char *const kinds[] = { "--poll-us=64", "--threads=2", "--no-io-uring",
					     "--poll-us=0" };
	unsigned int n;

	paths(folder);
	load_init();
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	T_MUST(!open_front(layout));
	for (n = 1; n <= times && !t_bad; n++) {
		T_EQ(load(random_below(500)), 0);
		start_server(&server[n % 2], image, true, kinds[n % 4]);
		load_until_end(&server[(n - 1) % 2]);
		said_main_pid(&server[(n - 1) % 2], server[n % 2].pid);
		T_EQ(t_prog_end(&server[(n - 1) % 2], MS), 0);
		T_STR(server[(n - 1) % 2].text[2], "");
		T_OK(t_prog_ready(&server[n % 2], MS));
	}
	T_EQ(load(500), 0);
	T_EQ(drain(), 0);
	T_EQ(outstanding(), 0);
	t_front_close(&front);
	/* the next front end finds the last server at the same path */
	T_EQ(open_front(layout), 0);
	T_EQ(load(100), 0);
	T_EQ(drain(), 0);
	t_front_close(&front);
	kill(server[(n - 1) % 2].pid, SIGTERM);
	T_EQ(t_prog_end(&server[(n - 1) % 2], MS), 0);
	T_OK(access(sock, F_OK) < 0);
	T_OK(access(over, F_OK) < 0);
	whole_image_is_right(image);
	printf("# %u times, %llu requests answered\n", n - 1, (unsigned long long)known->answered);
	unlink(image);
	unlink(other);
}

static void split_ring_on_a_disk_file(void)
{
	taken_over("/var/tmp", 0, 5);
}

static void packed_ring_on_a_disk_file(void)
{
	taken_over("/var/tmp", VHK_F_RING_PACKED, 5);
}

static void split_ring_on_a_memory_file(void)
{
	taken_over("/dev/shm", 0, 5);
}

static void packed_ring_on_a_memory_file(void)
{
	taken_over("/dev/shm", VHK_F_RING_PACKED, 5);
}

/* A server that nobody is connected to hands its socket on, and its image. */
static void nobody_is_connected(void)
{
	paths("/dev/shm");
	load_init();
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	start_server(&server[1], image, true, NULL);
	T_OK(t_prog_ready(&server[1], MS));
	T_EQ(t_prog_end(&server[0], MS), 0);
	/* the lock is still held */
	start_server(&server[0], image, false, "--read-only");
	T_EQ(open_front(0), 0);
	T_EQ(load(100), 0);
	T_EQ(t_prog_end(&server[0], MS), 1);
	T_EQ(drain(), 0);
	t_front_close(&front);
	kill(server[1].pid, SIGTERM);
	T_EQ(t_prog_end(&server[1], MS), 0);
	unlink(image);
	unlink(other);
}

/* A successor that does not fit says what it lacks, in one line, and the old server goes on. Then
 * one that does takes over. */
static void what_does_not_fit(void)
{
	static const struct {
		const char *more, *says;
		bool other, elsewhere;
	} cases[] = {
		{ "--read-only", "its disk is writable, this one is not", false, false },
		{ "--num-queues=1", "it has 16 queues, more than the 1 here", false, false },
		{ "--queue-size=64", "size of up to 1024, here of 64", false, false },
		{ "--serial=another", "the serial \"", false, false },
		{ "--block-size=4096", "block size of 512 bytes, this one of 4096", false, false },
		{ "--direct", "without O_DIRECT", false, false },
		{ NULL, "another image", true, false },
		{ NULL, "its socket for front ends is not", false, true },
	};
	unsigned int i;

	paths("/var/tmp");
	load_init();
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	T_MUST(!open_front(VHK_F_RING_PACKED));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		T_EQ(load(100), 0);
		start_server_at(&server[1], cases[i].elsewhere ? image : sock,
				cases[i].other ? other : image, true, cases[i].more);
		load_until_end(&server[1]);
		T_EQ(t_prog_end(&server[1], MS), 1);
		T_EQ(t_lines(server[1].text[2]), 1);
		T_OK(strstr(server[1].text[2], cases[i].says));
		if (!strstr(server[1].text[2], cases[i].says))
			printf("# %s\n", server[1].text[2]);
	}
	start_server(&server[1], image, true, NULL);
	load_until_end(&server[0]);
	T_EQ(t_prog_end(&server[0], MS), 0);
	T_EQ(load(100), 0);
	T_EQ(drain(), 0);
	t_front_close(&front);
	kill(server[1].pid, SIGTERM);
	T_EQ(t_prog_end(&server[1], MS), 0);
	T_OK(access(sock, F_OK) < 0);
	whole_image_is_right(image);
	unlink(image);
	unlink(other);
}

/* Nobody is there, but a front end that was there may come back and find less than it had. */
static void nor_while_nobody_is_connected(void)
{
	paths("/dev/shm");
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	start_server(&server[1], image, true, "--serial=another");
	T_EQ(t_prog_end(&server[1], MS), 1);
	T_OK(strstr(server[1].text[2], "the serial \""));
	T_EQ(open_front(0), 0);
	t_front_close(&front);
	kill(server[0].pid, SIGTERM);
	T_EQ(t_prog_end(&server[0], MS), 0);
	unlink(image);
	unlink(other);
}

/* Of a size that changes there and then the driver is told, whoever sees it first. */
static void a_size_that_changes(void)
{
	uint64_t capacity = 0, end = t_now_ns() + MS * 1000000ull;

	paths("/dev/shm");
	load_init();
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	T_MUST(!open_front(0));
	T_MUST(!truncate(image, 2 * BLOCK * BLOCKS));
	start_server(&server[1], image, true, NULL);
	load_until_end(&server[0]);
	T_EQ(t_prog_end(&server[0], MS), 0);
	while (!front.n_config && t_now_ns() < end)
		vhk_ctl_process(front.ctl);
	T_OK(front.n_config);
	T_EQ(vhk_ctl_get_config(front.ctl, 0, &capacity, sizeof(capacity)), 0);
	T_EQ(capacity, 2 * BLOCK * BLOCKS / 512);
	T_EQ(drain(), 0);
	t_front_close(&front);
	kill(server[1].pid, SIGTERM);
	T_EQ(t_prog_end(&server[1], MS), 0);
	unlink(image);
	unlink(other);
}

/* Successors are killed at random instants: whoever has the guest then goes on, or is killed as a
 * back end is, and the next one has all that it needs. */
static void killed_in_the_middle(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned int n, kept = 0, lost = 0;
	int ret, old = 0;

	paths("/dev/shm");
	load_init();
	start_server(&server[0], image, false, NULL);
	T_MUST(t_prog_ready(&server[0], MS));
	T_MUST(!open_front(0));
	for (n = 0; n < 20 && !t_bad; n++) {
		uint64_t at;

		T_EQ(load(50), 0);
		start_server(&server[!old], image, true, NULL);
		at = t_now_ns() + 1000000ull * (3 + random_below(12));
		do
			ret = load(1);
		while (!ret && t_now_ns() < at);
		kill(server[n % 2 ? old : !old].pid, SIGKILL);
		nanosleep(&ms, NULL);
		if (!ret)
			ret = load(200);
		take_answers();
		if (!ret && n % 2)
			old = !old; /* it was over when the old one died */
		kept += !ret;
		if (!ret) {
			T_EQ(t_prog_end(&server[!old], MS) == -1, 0);
			continue;
		}
		/* whichever is left ends by itself, or serves the next front end */
		lost++;
		kill(server[0].pid, SIGKILL);
		kill(server[1].pid, SIGKILL);
		t_prog_end(&server[0], MS);
		t_prog_end(&server[1], MS);
		old = 0;
		start_server(&server[0], image, false, NULL);
		T_MUST(t_prog_ready(&server[0], MS));
		T_EQ(vhk_ctl_reconnect(front.ctl), 0);
	}
	printf("# %u successors killed: %u times the guest did not notice, %u times it came back\n",
	       n, kept, lost);
	T_EQ(load(100), 0);
	T_EQ(drain(), 0);
	t_front_close(&front);
	kill(server[old].pid, SIGTERM);
	T_EQ(t_prog_end(&server[old], MS), 0);
	whole_image_is_right(image);
	unlink(image);
	unlink(other);
}

static void options_that_exclude_each_other(void)
{
	static const char *const lines[][5] = {
		{ "--blk-file=/x", "--vduse=d", "--hand-over=/y", NULL },
		{ "--blk-file=/x", "--vduse=d", "--take-over=/y", NULL },
		{ "--blk-file=/x", "--fd=3", "--take-over=/y", NULL },
		{ "--blk-file=/x", "--incoming", "--take-over=/y", NULL },
		{ "--blk-file=/x", "--socket-path=/z", "--take-over=", NULL },
		{ "--socket-path=/z", "--client", "--take-over=/y", "--blk-file=/x" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		t_prog_start(&server[0], "vhk-blk", lines[i]);
		T_EQ(t_prog_end(&server[0], MS), 2);
		T_EQ(t_lines(server[0].text[2]), 1);
	}
}

static void nobody_to_take_over_from(void)
{
	paths("/dev/shm");
	start_server(&server[0], image, true, NULL);
	T_EQ(t_prog_end(&server[0], MS), 1);
	T_OK(strstr(server[0].text[2], "no server to take over from"));
	unlink(image);
	unlink(other);
}

int main(void)
{
	const char *text = getenv("VHK_SEED");

	load_seed = text ? (unsigned int)strtoul(text, NULL, 10) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", load_seed);
	T_RUN(split_ring_on_a_disk_file);
	T_RUN(packed_ring_on_a_disk_file);
	T_RUN(split_ring_on_a_memory_file);
	T_RUN(packed_ring_on_a_memory_file);
	T_RUN(nobody_is_connected);
	T_RUN(what_does_not_fit);
	T_RUN(nor_while_nobody_is_connected);
	T_RUN(a_size_that_changes);
	T_RUN(killed_in_the_middle);
	T_RUN(options_that_exclude_each_other);
	T_RUN(nobody_to_take_over_from);
	return t_end();
}
