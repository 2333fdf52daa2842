// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end's functions in random order: setting up, starting, stopping, reconnecting, moving a
 * state, and messages one by one, waiting or not, from within completions, too. With a back end
 * that answers well each returns what its place in the order calls for; with one that answers as it
 * likes each returns in time, and the front end can be brought back to work. It is closed whenever:
 * everything under way is told its end once, and fds and mappings are what they were.
 *
 * VHK_WALK says how many front ends (80), VHK_SEED makes a walk repeatable.
 */
#include "t_walk_peer.h"

#define QUEUES 2
#define DEADLINE_NS 20000000000u

static struct {
	bool good; /* the back end answers well, and in time */
	bool set_up;
	unsigned int n_jobs, n_jobs_done;
	unsigned int n_sent, n_sent_done;
	bool starts[QUEUES]; /* what the job under way is about */
	int job; /* its return value */
	struct vhk_vq *q[QUEUES];
	bool runs[QUEUES];
} f;

static const char *step_name = "";
static unsigned int n_lives, n_steps, n_back;

static bool in_job(void)
{
	return f.n_jobs > f.n_jobs_done;
}

static bool runs_any(void)
{
	return f.runs[0] || f.runs[1];
}

/* Codes of vhk.h that a front end can end with, whatever the back end does. */
static bool is_a_code(int ret)
{
	static const int codes[] = { 0, EBUSY, ENOTCONN, EPROTO, EREMOTEIO, ETIMEDOUT, EINVAL,
				     EOPNOTSUPP, EMSGSIZE, EBADMSG, ENOENT, ECONNREFUSED };
	unsigned int i;

	for (i = 0; i < vhk_array_size(codes); i++)
		if (ret == -codes[i])
			return true;
	return false;
}

static void returned(int ret, int want)
{
	if (f.good ? ret == want : is_a_code(ret))
		return;
	printf("# %s: %s, want %s; %s%s%s%s\n", step_name, strerror(-ret),
	       f.good ? strerror(-want) : "a code", f.set_up ? "set up, " : "",
	       f.runs[0] ? "0 runs, " : "", f.runs[1] ? "1 runs, " : "", in_job() ? "a job" : "");
	T_OK(!"returned what it must");
}

static bool pump_until(bool (*over)(void))
{
	struct pollfd p = { .fd = vhk_ctl_fd(ctl), .events = POLLIN };
	uint64_t end = t_now_ns() + DEADLINE_NS;

	while (!over() && t_now_ns() < end) {
		poll(&p, 1, 100);
		vhk_ctl_process(ctl);
	}
	return over();
}

static bool no_job(void)
{
	return !in_job();
}

static bool all_told(void)
{
	return !in_job() && f.n_sent == f.n_sent_done;
}

/* Whoever waits inside of a completion would wait for himself. */
static void try_from_within(void)
{
	T_EQ(vhk_ctl_setup(ctl, FEATURES, 0, mem), -EBUSY);
	T_EQ(vhk_ctl_reconnect(ctl), -EBUSY);
	T_EQ(vhk_ctl_process(ctl), -EBUSY);
}

static bool within; /* a completion runs inside of vhk_ctl_process() */

static void setup_done(void *arg, int ret)
{
	(void)arg;
	f.n_jobs_done++;
	f.job = ret;
	f.set_up |= !ret;
}

static void start_done(void *arg, int ret)
{
	unsigned int i;

	(void)arg;
	f.n_jobs_done++;
	f.job = ret;
	for (i = 0; i < QUEUES; i++)
		f.runs[i] |= f.starts[i] && !ret;
}

static void stop_done(void *arg, int ret)
{
	unsigned int i;

	(void)arg;
	f.n_jobs_done++;
	f.job = ret;
	/* after an error as well */
	for (i = 0; i < QUEUES; i++)
		f.runs[i] &= !f.starts[i];
}

static void reconnect_done(void *arg, int ret)
{
	(void)arg;
	f.n_jobs_done++;
	f.job = ret;
}

/* A job that was taken, or was not. */
static void began(int ret, int want)
{
	returned(ret, want);
	f.n_jobs += !ret;
	if (f.good && !ret && below(2)) {
		T_OK(pump_until(no_job));
		T_EQ(f.job, 0);
	}
}

static void setup(void)
{
	const int want = in_job() || f.set_up ? -EBUSY : 0;
	int ret;

	if (below(2)) {
		began(vhk_ctl_setup_async(ctl, FEATURES | VHK_F_ACCESS_PLATFORM, 0, mem, setup_done,
					  NULL),
		      want);
		return;
	}
	ret = vhk_ctl_setup(ctl, FEATURES | VHK_F_ACCESS_PLATFORM, 0, mem);
	returned(ret, want);
	f.set_up |= !ret;
}

static void start(void)
{
	const unsigned int i = below(QUEUES);
	int ret = vhk_ctl_start(ctl, i, f.q[i]);

	returned(ret, in_job() || !f.set_up || f.runs[i] ? -EBUSY : 0);
	f.runs[i] |= !ret;
}

static void start_all(void)
{
	int ret = vhk_ctl_start_all(ctl, f.q, QUEUES);

	returned(ret, in_job() || !f.set_up || runs_any() ? -EBUSY : 0);
	if (!ret)
		f.runs[0] = f.runs[1] = true;
}

static void choose(unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		f.starts[i] = i >= first && i < first + n;
}

/* The job's own -EBUSY may come by its end. */
static void start_async(void)
{
	const unsigned int first = below(QUEUES), n = 1 + below(QUEUES - first);
	const bool busy = in_job() || !f.set_up || f.runs[first] || f.runs[first + n - 1];

	if (!in_job())
		choose(first, n);
	if (!in_job() && busy)
		return;
	began(vhk_ctl_start_async(ctl, first, f.q + first, n, start_done, NULL),
	      busy ? -EBUSY : 0);
}

static void stop(void)
{
	const unsigned int i = below(QUEUES);
	const bool ran = f.runs[i], busy = in_job();
	uint32_t base;
	int ret = vhk_ctl_stop(ctl, i, &base);

	returned(ret, busy || !ran ? -EBUSY : 0);
	if (!busy)
		f.runs[i] = false;
}

static void stop_async(void)
{
	const unsigned int i = below(QUEUES);

	if (!in_job() && !f.runs[i])
		return;
	if (!in_job())
		choose(i, 1);
	began(vhk_ctl_stop_async(ctl, i, 1, stop_done, NULL), in_job() ? -EBUSY : 0);
}

static void use(void)
{
	const unsigned int i = below(QUEUES);

	/* it stops, or comes, at any moment */
	if (in_job())
		return;
	returned(vhk_ctl_kick(ctl, i), f.runs[i] ? 0 : -EBUSY);
	T_EQ(vhk_ctl_call_fd(ctl, i) >= 0, f.runs[i]);
	T_EQ(vhk_ctl_kick_fd(ctl, i) >= 0, f.runs[i]);
	returned(vhk_ctl_wait(ctl, i, 0), f.runs[i] ? -ETIMEDOUT : -EBUSY);
}

static void reconnect(void)
{
	const int want = in_job() || !f.set_up ? -EBUSY : 0;

	if (below(2))
		returned(vhk_ctl_reconnect(ctl), want);
	else
		began(vhk_ctl_reconnect_async(ctl, reconnect_done, NULL), want);
}

static int put_state(void *arg, const void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	return 0;
}

static ssize_t get_state(void *arg, void *buf, size_t len)
{
	unsigned int *left = arg;

	if (!*left)
		return 0;
	--*left;
	memset(buf, 1, len);
	return (ssize_t)len;
}

/* The back end closes its end of the pipe at once: a state of no bytes. */
static void move_state(void)
{
	unsigned int left = below(3);
	int ret;

	if (!vhk_ctl_can(ctl, VHK_CTL_SET_DEVICE_STATE_FD) || runs_any() || in_job())
		return;
	if (below(2)) {
		returned(vhk_ctl_save_state(ctl, put_state, NULL), 0);
		return;
	}
	ret = vhk_ctl_load_state(ctl, get_state, &left);
	T_OK(is_a_code(ret) || ret == -EPIPE);
}

static void sent_done(struct vhk_ctl_req *r)
{
	f.n_sent_done++;
	drop_answer(r);
	/* only what was submitted and not done at once is told from within */
	if (within && below(4) == 0)
		try_from_within();
	free(r);
}

static void send_message(void)
{
	struct vhk_ctl_req *r;
	int ret;

	/* what is negotiated decides what may be said */
	if (f.good && (in_job() || !f.set_up))
		return;
	r = malloc(sizeof(*r));
	T_MUST(r);
	make_request(r);
	r->done = sent_done;
	step_name = vhk_ctl_op_name(r->op);
	ret = vhk_ctl_submit(ctl, r);
	/* one channel at a time is on its way */
	returned(ret, ret == -EBUSY && r->op == VHK_CTL_SET_BACKEND_REQ_FD ? ret : 0);
	if (ret)
		free(r);
	else
		f.n_sent++;
}

static void ask_features(void)
{
	uint64_t v;

	returned(vhk_ctl_get_features(ctl, &v), 0);
}

static void process(void)
{
	unsigned int n = below(4);

	within = true;
	while (n--)
		returned(vhk_ctl_process(ctl), 0);
	within = false;
}

static void change_memory(void)
{
	const struct vhk_gpa at = { 0x50000000u + ((uint64_t)below(8) << 20) };
	struct vhk_region r;
	unsigned int i;
	void *va;

	if (in_job())
		return;
	for (i = 0; i < vhk_mem_count(mem); i++) {
		T_MUST(!vhk_mem_get(mem, i, &r, NULL));
		if (r.gpa.v == at.v) {
			T_EQ(vhk_mem_del(mem, &r), 0);
			return;
		}
	}
	if (vhk_mem_count(mem) < 7)
		T_EQ(vhk_mem_alloc(mem, at, 0x2000, &va), 0);
}

static const struct {
	const char *name;
	void (*fn)(void);
	unsigned int weight;
} steps[] = {
	{ "setup", setup, 6 },
	{ "start", start, 8 },
	{ "start_all", start_all, 3 },
	{ "start_async", start_async, 6 },
	{ "stop", stop, 5 },
	{ "stop_async", stop_async, 4 },
	{ "use", use, 6 },
	{ "reconnect", reconnect, 4 },
	{ "move_state", move_state, 3 },
	{ "send_message", send_message, 12 },
	{ "ask_features", ask_features, 4 },
	{ "process", process, 12 },
	{ "change_memory", change_memory, 4 },
};

static void step(void)
{
	unsigned int i, all = 0, at;

	for (i = 0; i < vhk_array_size(steps); i++)
		all += steps[i].weight;
	at = below(all);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	step_name = steps[i].name;
	if (getenv("T_VERBOSE"))
		printf("# step %s\n", step_name);
	steps[i].fn();
	n_steps++;
}

/* Whatever went before: with a back end that answers well it works again. */
static void bring_back(void)
{
	uint64_t v, end = t_now_ns() + DEADLINE_NS;
	unsigned int i;
	int ret;

	__atomic_store_n(&peer.odds, 0, __ATOMIC_RELEASE);
	T_OK(pump_until(all_told));
	if (!f.set_up) {
		T_EQ(vhk_ctl_reconnect(ctl), -EBUSY);
		return;
	}
	do
		ret = vhk_ctl_reconnect(ctl);
	while (ret && t_now_ns() < end);
	T_EQ(ret, 0);
	do
		ret = vhk_ctl_get_features(ctl, &v);
	while (ret == -ETIMEDOUT && t_now_ns() < end);
	T_EQ(ret, 0);
	for (i = 0; i < QUEUES; i++)
		T_EQ(vhk_ctl_call_fd(ctl, i) >= 0, f.runs[i]);
	n_back++;
}

static unsigned int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned int n = 0;

	T_MUST(maps);
	while (fgets(line, sizeof(line), maps))
		n += !!strstr(line, "memfd:");
	fclose(maps);
	return n;
}

static void open_front_end(const char *path, bool good)
{
	const uint64_t inband = below(4) ? 0 : VHK_PF_INBAND_NOTIFICATIONS;
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_WAIT,
					.timeout_ms = good ? 20000 : 30,
					.also = ALSO | inband };
	struct vhk_vq_opts q = { .sz = sizeof(q), .size = 64, .features = VHK_F_VERSION_1 };
	char uri[100];
	unsigned int i;

	memset(&f, 0, sizeof(f));
	f.good = good;
	for (i = 0; i < QUEUES; i++) {
		q.gpa.v = 0x10000000ull * (i + 1);
		T_MUST(!vhk_vq_new(&f.q[i], mem, &q));
	}
	snprintf(uri, sizeof(uri), "unix:%s", path);
	T_MUST(!vhk_ctl_open(&ctl, uri, &o));
}

static void live(bool good)
{
	unsigned int n = 20 + below(150), i, maps;
	char path[80];
	int fds;

	fds = t_count_fds();
	maps = count_mappings();
	peer_init();
	snprintf(path, sizeof(path), "%s/peer-%u", t_dir(), n_lives++);
	peer.features = FEATURES | (below(2) ? VHK_F_ACCESS_PLATFORM : 0);
	peer.protocol = (below(2) ? WITH_SLOTS : PROTOCOL) | VHK_PF_INBAND_NOTIFICATIONS;
	peer.seed = below(1u << 30);
	peer.odds = 0;
	peer_start(path);
	open_front_end(path, good);
	if (!good)
		__atomic_store_n(&peer.odds, 4 + below(40), __ATOMIC_RELEASE);
	for (; n && !t_bad; n--)
		step();
	if (below(2) && !t_bad)
		bring_back();
	vhk_ctl_close(ctl);
	T_EQ(f.n_jobs_done, f.n_jobs);
	T_EQ(f.n_sent_done, f.n_sent);
	peer_stop();
	for (i = 0; i < QUEUES; i++)
		vhk_vq_free(f.q[i]);
	peer_fini();
	T_EQ(t_count_fds(), fds);
	T_EQ(count_mappings(), maps);
}

static void walk(bool good)
{
	const char *lives_env = getenv("VHK_WALK"), *seed_env = getenv("VHK_SEED");
	unsigned long left = (lives_env ? strtoul(lives_env, NULL, 0) : 80) / 2;

	seed = seed_env ? (unsigned int)strtoul(seed_env, NULL, 0) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", seed);
	n_steps = n_back = 0;
	while (left-- && !t_bad)
		live(good);
	printf("# %u front ends so far, %u steps, %u brought back\n", n_lives, n_steps, n_back);
}

static void answered_well(void)
{
	walk(true);
}

static void answered_anyhow(void)
{
	walk(false);
}

int main(void)
{
	T_RUN(answered_well);
	T_RUN(answered_anyhow);
	return t_end();
}
