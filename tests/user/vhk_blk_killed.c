// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk killed at random instants under load, and started anew each time: every request is
 * answered, and what was read is always the last version of a block whose write was answered, or
 * none that was never written.
 *
 * VHK_KILLS says how often (100); VHK_SEED makes a run repeatable.
 */
#include <sys/time.h>

#include "t_load.h"
#include "t_prog.h"

#define MS 10000

static char image[100], sock[100];

static struct t_prog server;
static uint64_t resubmitted;

/* Every server is another kind, on the same image. */
static void start_server(unsigned int n)
{
	static const char *const kinds[] = { "--poll-us=64", "--threads=2", "--no-io-uring",
					     "--direct" };
	char file_opt[128], sock_opt[128];
	const char *args[] = { file_opt, sock_opt, kinds[n % 4], NULL };

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(&server, "vhk-blk", args);
}

static void on_alarm(int signo)
{
	(void)signo;
	kill(server.pid, SIGKILL);
}

static void reap_server(void)
{
	T_EQ(t_prog_end(&server, MS), 1000 + SIGKILL);
	if (server.text[2][0])
		printf("# %s", server.text[2]);
}

/*
 * A dead server's listening socket lives on until the kernel has taken its io_uring apart: a
 * connection to it is made, and reset. So once more, until the next server has it.
 */
static int come_back(void)
{
	int64_t until = (int64_t)t_now_ns() + 10 * T_SECOND;
	int ret;

	do
		ret = vhk_ctl_reconnect(front.ctl);
	while (ret == -ENOTCONN && (int64_t)t_now_ns() < until);
	return ret;
}

/* Between two instructions of the server, wherever it is, while the load goes on; the front end
 * finds out by itself. */
static void kill_and_come_back(unsigned int n)
{
	struct itimerval soon = { .it_value = { .tv_usec = 1 + random_below(4000) } };

	T_MUST(!setitimer(ITIMER_REAL, &soon, NULL));
	T_EQ(load(UINT64_MAX / 2), -ENOTCONN);
	reap_server();
	take_answers();
	resubmitted += outstanding();
	start_server(n);
	T_EQ(come_back(), 0);
}

static void killed(const char *folder, uint64_t layout, unsigned int kills)
{
	unsigned int n;

	snprintf(image, sizeof(image), "%s/vhk-test-killed-%d.img", folder, getpid());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	unlink(image);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, BLOCK * BLOCKS));
	load_init();
	resubmitted = 0;
	start_server(0);
	T_MUST(!t_front_open(&front, sock,
			     VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC |
				     1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_MQ | layout,
			     QUEUES, RING));
	for (n = 1; n <= kills && !t_bad; n++) {
		T_EQ(load(random_below(200)), 0);
		kill_and_come_back(n);
	}
	T_EQ(load(500), 0);
	T_EQ(drain(), 0);
	T_EQ(outstanding(), 0);
	t_front_close(&front);
	kill(server.pid, SIGTERM);
	T_EQ(t_prog_end(&server, MS), 0);
	whole_image_is_right(image);
	printf("# %u kills, %llu requests answered, %llu of them under way at a kill\n", n - 1,
	       (unsigned long long)known->answered, (unsigned long long)resubmitted);
	unlink(image);
}

static unsigned int n_kills(void)
{
	const char *text = getenv("VHK_KILLS");

	return text ? (unsigned int)strtoul(text, NULL, 10) : 100;
}

static void split_ring_on_a_disk_file(void)
{
	killed("/var/tmp", 0, n_kills() / 4);
}

static void packed_ring_on_a_disk_file(void)
{
	killed("/var/tmp", VHK_F_RING_PACKED, n_kills() / 4);
}

static void split_ring_on_a_memory_file(void)
{
	killed("/dev/shm", 0, n_kills() / 4);
}

static void packed_ring_on_a_memory_file(void)
{
	killed("/dev/shm", VHK_F_RING_PACKED, n_kills() / 4);
}

int main(void)
{
	const struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	const char *text = getenv("VHK_SEED");

	sigaction(SIGALRM, &sa, NULL);
	load_seed = text ? (unsigned int)strtoul(text, NULL, 10) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", load_seed);
	T_RUN(split_ring_on_a_disk_file);
	T_RUN(packed_ring_on_a_disk_file);
	T_RUN(split_ring_on_a_memory_file);
	T_RUN(packed_ring_on_a_memory_file);
	return t_end();
}
