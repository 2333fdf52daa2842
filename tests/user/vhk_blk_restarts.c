// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Front end and vhk-blk, each as server or client of their socket, each killed under a verified
 * load and started again, in any order. What was answered is there, whoever died; where the front
 * end lives, everything that it asked for is answered.
 *
 * VHK_KILLS says how often in each case (2); VHK_SEED makes a run repeatable.
 */
#include <sys/stat.h>

#include "t_load.h"
#include "t_prog.h"

#define MS 20000

static char image[100], sock[100];

enum who { BACK = 1, FRONT = 2 };

static const struct kind {
	const char *name;
	unsigned int killed;
	enum who first; /* that is started again, and is ready before the other one is; 0: both */
} kinds[] = {
	{ "the back end is killed", BACK, 0 },
	{ "the front end is killed", FRONT, 0 },
	{ "both are killed, and start at once", BACK | FRONT, 0 },
	{ "both are killed, the back end comes first", BACK | FRONT, BACK },
	{ "both are killed, the front end comes first", BACK | FRONT, FRONT },
};

static struct t_prog back;
static pid_t front_pid;

/* What this process and the front end share besides. */
static struct meeting {
	bool stop; /* the front end is to end */
	bool torn; /* a back end died with writes that nobody has asked for again */
} *meeting;

static void start_back(bool listens)
{
	char file_opt[128], sock_opt[128];
	static unsigned int n;
	const char *threads = n++ % 2 ? "--threads=2" : "--threads=0";
	const char *args[] = { file_opt, sock_opt, threads, listens ? NULL : "--client", NULL };

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(&back, "vhk-blk", args);
}

/* ---- The front end, a process of its own. ---- */

static int read_block(unsigned int b, unsigned char *data)
{
	return t_front_do(&front, b % QUEUES, VIRTIO_BLK_T_IN, (uint64_t)b * (BLOCK / 512), data,
			  BLOCK);
}

static bool is_mixture(const unsigned char *data, unsigned int b, uint32_t version)
{
	unsigned char was[BLOCK], is[BLOCK];
	unsigned int i;

	fill(was, b, version);
	fill(is, b, version + 1);
	for (i = 0; i < BLOCK; i++)
		if (data[i] != was[i] && data[i] != is[i])
			return false;
	return true;
}

/* What was answered to a former driver is there. Of what was not, all or nothing is, unless the
 * back end died as well; it is written again then. */
static int look_at_all(void)
{
	unsigned char data[BLOCK];
	unsigned int b;
	int ret;

	for (b = 0; b < BLOCKS; b++) {
		ret = read_block(b, data);
		if (ret)
			return ret;
		if (holds(data, b, known->block[b].version)) {
			known->block[b].busy = false;
			continue;
		}
		T_OK(known->block[b].busy);
		if (!holds(data, b, known->block[b].version + 1)) {
			T_OK(meeting->torn && is_mixture(data, b, known->block[b].version));
			fill(data, b, known->block[b].version + 1);
			ret = t_front_do(&front, 0, VIRTIO_BLK_T_OUT, (uint64_t)b * (BLOCK / 512),
					 data, BLOCK);
			if (ret)
				return ret;
		}
		known->block[b].version++;
		known->block[b].busy = false;
	}
	meeting->torn = false;
	return 0;
}

static int come_back(void)
{
	int64_t until = (int64_t)t_now_ns() + 10 * T_SECOND;
	int ret;

	do
		ret = vhk_ctl_reconnect(front.ctl);
	while (ret == -ENOTCONN && (int64_t)t_now_ns() < until);
	return ret;
}

/* The requests that were under way are those of the first look, if it was cut off. */
static int open_and_look(const char *uri, uint64_t layout)
{
	int64_t until = (int64_t)t_now_ns() + 15 * T_SECOND;
	int ret;

	for (;;) {
		ret = t_front_open(&front, uri,
				   VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC |
					   1ULL << VIRTIO_BLK_F_FLUSH |
					   1ULL << VIRTIO_BLK_F_MQ | layout,
				   QUEUES, RING);
		if (!ret)
			ret = look_at_all();
		if (!ret || t_bad || (int64_t)t_now_ns() > until)
			return ret;
		t_front_close(&front);
	}
}

static int drive(bool listens, uint64_t layout)
{
	char uri[128];
	int ret;

	snprintf(uri, sizeof(uri), "%s:%s", listens ? "listen" : "unix", sock);
	T_EQ(open_and_look(uri, layout), 0);
	if (t_bad)
		return 1;
	while (!t_bad && !meeting->stop) {
		ret = load(10);
		if (ret) {
			T_EQ(ret, -ENOTCONN);
			take_answers();
			T_EQ(come_back(), 0);
		}
	}
	T_EQ(drain(), 0);
	T_EQ(outstanding(), 0);
	t_front_close(&front);
	return t_bad != 0;
}

/* ---- The other side of the table. ---- */

static void start_front(bool listens, uint64_t layout)
{
	fflush(stdout);
	front_pid = fork();
	T_MUST(front_pid >= 0);
	if (front_pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	t_folder[0] = 0; /* not this process's to remove */
	load_seed += (unsigned int)getpid();
	_exit(drive(listens, layout));
}

static int end_of_front(void)
{
	int status, n;

	for (n = 0; n < MS; n++) {
		if (waitpid(front_pid, &status, WNOHANG) == front_pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		poll(NULL, 0, 1);
	}
	kill(front_pid, SIGKILL);
	waitpid(front_pid, &status, 0);
	return -1;
}

/* @n more requests are answered. */
static bool goes_on(unsigned int n)
{
	uint64_t until = __atomic_load_n(&known->answered, __ATOMIC_RELAXED) + n;
	int ms;

	for (ms = 0; ms < MS; ms++) {
		if (__atomic_load_n(&known->answered, __ATOMIC_RELAXED) >= until)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

/* When the socket got its name; inode numbers come again. */
static uint64_t socket_time(void)
{
	struct stat st;

	return stat(sock, &st) ? 0
			       : (uint64_t)st.st_ctim.tv_sec * T_SECOND +
					 (uint64_t)st.st_ctim.tv_nsec;
}

/* Another one than the dead front end's: it listens when it has its name. */
static bool socket_is_new(uint64_t old)
{
	int ms;

	for (ms = 0; ms < MS; ms++) {
		if (socket_time() && socket_time() != old)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

/* Who connects is ready when it runs, who listens when the socket is there. */
static void start_again(const struct kind *k, bool back_listens, uint64_t layout)
{
	uint64_t old = socket_time();

	if ((k->killed & BACK) && k->first != FRONT)
		start_back(back_listens);
	if (k->first == BACK)
		T_OK(t_prog_ready(&back, MS));
	if (k->killed & FRONT)
		start_front(!back_listens, layout);
	if (k->first == FRONT) {
		if (!back_listens)
			T_OK(socket_is_new(old));
		start_back(back_listens);
	}
}

static void kill_them(const struct kind *k)
{
	if (k->killed & BACK)
		kill(back.pid, SIGKILL);
	if (k->killed & FRONT)
		kill(front_pid, SIGKILL);
	if (k->killed & BACK)
		T_EQ(t_prog_end(&back, MS), 1000 + SIGKILL);
	if (k->killed & FRONT)
		T_EQ(end_of_front(), 1000 + SIGKILL);
	if (k->killed == (BACK | FRONT))
		meeting->torn = true;
}

static unsigned int n_kills(void)
{
	const char *text = getenv("VHK_KILLS");

	return text ? (unsigned int)strtoul(text, NULL, 10) : 2;
}

static void restarted(const struct kind *k, bool back_listens, uint64_t layout)
{
	unsigned int n;

	unlink(image);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, BLOCK * BLOCKS));
	load_init();
	*meeting = (struct meeting){ 0 };
	start_back(back_listens);
	start_front(!back_listens, layout);
	T_OK(goes_on(100));
	for (n = 0; n < n_kills() && !t_bad; n++) {
		poll(NULL, 0, (int)random_below(20));
		kill_them(k);
		start_again(k, back_listens, layout);
		T_OK(goes_on(300));
	}
	meeting->stop = true;
	T_EQ(end_of_front(), 0);
	kill(back.pid, SIGTERM);
	T_EQ(t_prog_end(&back, MS), 0);
	whole_image_is_right(image);
	if (t_bad)
		printf("# %s; the back end %s; %s\n", k->name,
		       back_listens ? "listens" : "connects", layout ? "packed" : "split");
	unlink(image);
}

static void each_kind(bool back_listens, uint64_t layout)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !t_bad; i++)
		restarted(&kinds[i], back_listens, layout);
}

static void back_end_listens_split(void)
{
	each_kind(true, 0);
}

static void back_end_listens_packed(void)
{
	each_kind(true, VHK_F_RING_PACKED);
}

static void back_end_connects_split(void)
{
	each_kind(false, 0);
}

static void back_end_connects_packed(void)
{
	each_kind(false, VHK_F_RING_PACKED);
}

int main(void)
{
	const char *text = getenv("VHK_SEED");

	load_seed = text ? (unsigned int)strtoul(text, NULL, 10) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", load_seed);
	meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	T_MUST(meeting != MAP_FAILED);
	snprintf(image, sizeof(image), "/dev/shm/vhk-test-restarts-%d.img", getpid());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	T_RUN(back_end_listens_split);
	T_RUN(back_end_listens_packed);
	T_RUN(back_end_connects_split);
	T_RUN(back_end_connects_packed);
	return t_end();
}
