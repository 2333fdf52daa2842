// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end's requests in random order, to a back end that answers each as it likes: well, with a
 * refusal, with nonsense, late, with half a message, not at all, or by hanging up. Every request
 * ends with the code for what happened, the connection lives where it should, and where it does not
 * the next back end finds the front end as good as new. Open fds are the same in the end.
 *
 * VHK_WALK says how many requests (1,500), VHK_SEED makes a walk repeatable.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "t_peer.h"

#define FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL)
#define PROTOCOL                                                                                   \
	(VHK_PF_MQ | VHK_PF_LOG_SHMFD | VHK_PF_RARP | VHK_PF_REPLY_ACK | VHK_PF_MTU |              \
	 VHK_PF_CONFIG | VHK_PF_INFLIGHT_SHMFD | VHK_PF_RESET_DEVICE |                             \
	 VHK_PF_CONFIGURE_MEM_SLOTS | VHK_PF_STATUS)
#define ALSO (VHK_PF_RARP | VHK_PF_MTU)
#define SILENCE_MS 20
#define EXTRA_GPA 0x40000000

/* What the back end does with the next request. */
enum plan {
	WELL,
	REFUSE,
	OTHER_REQUEST, /* answers a question that nobody asked */
	OTHER_SIZE,
	NO_REPLY_FLAG,
	FDS_TOO_MANY,
	SILENT,
	LATE, /* with what it answers to the next one */
	HALF_AND_GONE,
	HALF_AND_SILENT,
	GONE,
	N_PLANS
};

static unsigned int seed;
static unsigned int n_asked[N_PLANS];

static struct {
	int listener, stop, inflight;
	enum plan plan;
	pthread_t thread;
} peer;

static unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static bool answers_with_payload(uint32_t request)
{
	switch (request) {
	case VHK_CTL_GET_FEATURES:
	case VHK_CTL_GET_PROTOCOL_FEATURES:
	case VHK_CTL_GET_QUEUE_NUM:
	case VHK_CTL_GET_MAX_MEM_SLOTS:
	case VHK_CTL_GET_STATUS:
	case VHK_CTL_GET_VRING_BASE:
	case VHK_CTL_GET_INFLIGHT_FD:
	case VHK_CTL_GET_CONFIG:
		return true;
	default:
		return false;
	}
}

static void answer_well(int sock, const struct t_peer_msg *m)
{
	if (m->request == VHK_CTL_GET_CONFIG)
		t_peer_send(sock, m->request, T_PEER_REPLY, m->bytes, m->size, NULL, 0);
	else if (m->request == VHK_CTL_SET_LOG_BASE)
		t_peer_send(sock, m->request, T_PEER_REPLY, NULL, 0, NULL, 0);
	else
		t_peer_answer(sock, m, FEATURES, PROTOCOL, peer.inflight);
}

/* False: hung up. */
static bool answer_half(int sock, const struct t_peer_msg *m, bool gone)
{
	const uint32_t half[5] = { m->request, T_PEER_REPLY, 8 };

	send(sock, half, 1 + m->request % 19, MSG_NOSIGNAL);
	return !gone;
}

static void answer_badly(int sock, const struct t_peer_msg *m, enum plan plan)
{
	const uint64_t v[32] = { 5 };

	switch (plan) {
	case REFUSE:
		if (answers_with_payload(m->request))
			t_peer_send(sock, m->request, T_PEER_REPLY, NULL, 0, NULL, 0);
		else
			t_peer_send(sock, m->request, T_PEER_REPLY, v, 8, NULL, 0);
		break;
	case OTHER_REQUEST:
		t_peer_send(sock, m->request ^ 0x40, T_PEER_REPLY, v, 8, NULL, 0);
		break;
	case OTHER_SIZE:
		t_peer_send(sock, m->request, T_PEER_REPLY, v, 5, NULL, 0);
		break;
	case NO_REPLY_FLAG:
		t_peer_send(sock, m->request, T_PEER_ASK, v, 8, NULL, 0);
		break;
	default:
		t_peer_send(sock, m->request, T_PEER_REPLY, v, 8,
			    (const int[]){ peer.inflight, peer.inflight, peer.inflight }, 3);
	}
}

/* One connection, to its end. */
static void serve(int sock)
{
	struct pollfd p[] = { { sock, POLLIN, 0 }, { peer.stop, POLLIN, 0 } };
	struct t_peer_msg m, late = { 0 };
	bool owes = false, lives = true;
	enum plan plan;

	while (lives && poll(p, 2, -1) >= 0 && !p[1].revents) {
		if (!t_peer_recv(sock, &m))
			break;
		t_peer_close_fds(&m);
		plan = __atomic_exchange_n(&peer.plan, WELL, __ATOMIC_ACQ_REL);
		if (owes)
			answer_well(sock, &late);
		owes = plan == LATE;
		late = m;
		if (plan == WELL)
			answer_well(sock, &m);
		else if (plan == HALF_AND_GONE || plan == HALF_AND_SILENT)
			lives = answer_half(sock, &m, plan == HALF_AND_GONE);
		else if (plan == GONE)
			lives = false;
		else if (plan != SILENT && plan != LATE)
			answer_badly(sock, &m, plan);
	}
	close(sock);
}

static void *peer_run(void *arg)
{
	struct pollfd p[] = { { peer.listener, POLLIN, 0 }, { peer.stop, POLLIN, 0 } };

	(void)arg;
	while (poll(p, 2, -1) >= 0 && !p[1].revents)
		serve(accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC));
	return NULL;
}

static void peer_start(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	peer.stop = eventfd(0, EFD_CLOEXEC);
	peer.inflight = memfd_create("inflight", MFD_CLOEXEC);
	T_MUST(peer.inflight >= 0 && !ftruncate(peer.inflight, 0x1000));
	T_MUST(!bind(peer.listener, (struct sockaddr *)&sun, sizeof(sun)));
	T_MUST(!listen(peer.listener, 8));
	T_MUST(!pthread_create(&peer.thread, NULL, peer_run, NULL));
}

static void peer_stop(void)
{
	const uint64_t one = 1;

	T_MUST(write(peer.stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(peer.thread, NULL);
	close(peer.listener);
	close(peer.stop);
	close(peer.inflight);
}

static struct vhk_ctl *ctl;
static struct vhk_mem *mem;
static int event_fd, extra_fd, log_fd;
static unsigned char config[16];

/* A request that the model may send at any time. */
static void make_request(struct vhk_ctl_req *r)
{
	static const enum vhk_ctl_op ops[] = {
		VHK_CTL_GET_FEATURES,	VHK_CTL_SET_FEATURES,	   VHK_CTL_SET_VRING_NUM,
		VHK_CTL_SET_VRING_BASE, VHK_CTL_SET_VRING_ADDR,	   VHK_CTL_SET_VRING_KICK,
		VHK_CTL_SET_VRING_CALL, VHK_CTL_SET_VRING_ERR,	   VHK_CTL_SET_VRING_ENABLE,
		VHK_CTL_GET_VRING_BASE, VHK_CTL_GET_QUEUE_NUM,	   VHK_CTL_GET_CONFIG,
		VHK_CTL_SET_CONFIG,	VHK_CTL_GET_INFLIGHT_FD,   VHK_CTL_GET_MAX_MEM_SLOTS,
		VHK_CTL_ADD_MEM_REG,	VHK_CTL_REM_MEM_REG,	   VHK_CTL_SET_MEM_TABLE,
		VHK_CTL_SET_STATUS,	VHK_CTL_GET_STATUS,	   VHK_CTL_SEND_RARP,
		VHK_CTL_NET_SET_MTU,	VHK_CTL_RESET_DEVICE,	   VHK_CTL_SET_LOG_BASE,
	};

	memset(r, 0, sizeof(*r));
	r->op = ops[below(sizeof(ops) / sizeof(ops[0]))];
	r->fd = -1;
	switch (r->op) {
	case VHK_CTL_SET_FEATURES:
		r->u64 = FEATURES;
		break;
	case VHK_CTL_SET_VRING_NUM:
	case VHK_CTL_SET_VRING_BASE:
		r->vring = (struct vhk_ctl_vring){ below(64), 64 };
		break;
	case VHK_CTL_SET_VRING_ENABLE:
	case VHK_CTL_GET_VRING_BASE:
		r->vring = (struct vhk_ctl_vring){ below(64), 1 };
		break;
	case VHK_CTL_SET_VRING_ADDR:
		r->addr = (struct vhk_ctl_vring_addr){
			.index = below(64), .desc = { 0x1000 }, .driver = { 0x2000 },
			.device = { 0x3000 }
		};
		break;
	case VHK_CTL_SET_VRING_KICK:
	case VHK_CTL_SET_VRING_CALL:
	case VHK_CTL_SET_VRING_ERR:
		r->vring.index = below(64);
		r->fd = below(2) ? event_fd : -1;
		break;
	case VHK_CTL_GET_CONFIG:
	case VHK_CTL_SET_CONFIG:
		r->config = (struct vhk_ctl_config){ below(100), 1 + below(16), 0, config };
		break;
	case VHK_CTL_GET_INFLIGHT_FD:
		r->inflight.n_queues = 2;
		r->inflight.queue_size = 64;
		break;
	case VHK_CTL_ADD_MEM_REG:
		r->fd = extra_fd;
		/* fallthrough */
	case VHK_CTL_REM_MEM_REG:
		r->region = (struct vhk_region){ { EXTRA_GPA }, { EXTRA_GPA }, 4096, 0 };
		break;
	case VHK_CTL_SET_MEM_TABLE:
		r->mem = mem;
		break;
	case VHK_CTL_SET_LOG_BASE:
		r->fd = log_fd;
		r->log.size = 4096;
		break;
	default:
		r->u64 = 1400;
	}
	if (r->op == VHK_CTL_SET_STATUS)
		r->u64 = 15;
}

/* The code with which each plan ends a request; 0 for both of them: either one. */
static bool fits(enum plan plan, int ret)
{
	switch (plan) {
	case WELL:
		return !ret;
	case REFUSE:
		return ret == -EREMOTEIO;
	case OTHER_REQUEST:
	case OTHER_SIZE:
	case NO_REPLY_FLAG:
	case FDS_TOO_MANY:
		return ret == -EPROTO;
	case SILENT:
	case LATE:
	case HALF_AND_SILENT:
		return ret == -ETIMEDOUT;
	case GONE:
		return ret == -ENOTCONN;
	default:
		return ret == -ENOTCONN || ret == -EPROTO;
	}
}

static void done(struct vhk_ctl_req *r)
{
	*(bool *)r->arg = true;
}

static int ask(struct vhk_ctl_req *r)
{
	struct pollfd p = { .fd = vhk_ctl_fd(ctl), .events = POLLIN };
	uint64_t end = t_now_ns() + 30000000000u;
	bool over = false;
	int ret;

	r->done = done;
	r->arg = &over;
	ret = vhk_ctl_submit(ctl, r);
	if (ret)
		return ret;
	while (!over && t_now_ns() < end) {
		poll(&p, 1, 1000);
		vhk_ctl_process(ctl);
	}
	T_MUST(over);
	return r->ret;
}

static bool connection_is_lost(enum plan plan, int ret)
{
	return ret == -ENOTCONN || ret == -EPROTO || plan == HALF_AND_SILENT;
}

static void step(void)
{
	/* What was never answered: the next answer to that message is taken for the missing one. */
	static uint64_t owed;
	enum plan plan = below(3) ? WELL : (enum plan)below(N_PLANS);
	struct vhk_ctl_req r;
	int ret;

	do
		make_request(&r);
	while (owed >> r.op & 1);
	/* nobody specifies what is in this answer */
	if (r.op == VHK_CTL_SET_LOG_BASE && plan == OTHER_SIZE)
		plan = WELL;
	if (plan == SILENT || plan == LATE || plan == HALF_AND_SILENT)
		r.timeout_ms = SILENCE_MS;
	__atomic_store_n(&peer.plan, plan, __ATOMIC_RELEASE);
	ret = ask(&r);
	n_asked[plan]++;
	if (plan == SILENT)
		owed |= 1ull << r.op;
	else if (plan != LATE)
		owed = 0;
	if (!ret && r.op == VHK_CTL_GET_INFLIGHT_FD)
		close(r.fd);
	if (!fits(plan, ret)) {
		printf("# %s, plan %d: %s\n", vhk_ctl_op_name(r.op), plan, strerror(-ret));
		T_OK(!"the code fits");
	}
	if (!connection_is_lost(plan, ret))
		return;
	__atomic_store_n(&peer.plan, WELL, __ATOMIC_RELEASE);
	if (plan != HALF_AND_SILENT) {
		make_request(&r);
		T_EQ(ask(&r), -ENOTCONN);
	}
	T_EQ(vhk_ctl_reconnect(ctl), 0);
}

static void walk(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_WAIT,
					.timeout_ms = 20000, .also = ALSO };
	const char *steps_env = getenv("VHK_WALK"), *seed_env = getenv("VHK_SEED");
	unsigned long left = steps_env ? strtoul(steps_env, NULL, 0) : 1500;
	char path[80], uri[100];
	unsigned int i;
	int fds;
	void *va;

	seed = seed_env ? (unsigned int)strtoul(seed_env, NULL, 0) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", seed);
	event_fd = eventfd(0, EFD_CLOEXEC);
	extra_fd = memfd_create("extra", MFD_CLOEXEC);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	T_MUST(!ftruncate(extra_fd, 4096) && !ftruncate(log_fd, 4096));
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 0x10000, &va));
	snprintf(path, sizeof(path), "%s/peer", t_dir());
	snprintf(uri, sizeof(uri), "unix:%s", path);
	fds = t_count_fds();
	peer_start(path);
	T_MUST(!vhk_ctl_open(&ctl, uri, &o));
	T_MUST(!vhk_ctl_setup(ctl, FEATURES, 0, mem));
	while (left-- && !t_bad)
		step();
	vhk_ctl_close(ctl);
	peer_stop();
	T_EQ(t_count_fds(), fds);
	for (i = 0; i < N_PLANS; i++)
		printf("# plan %u: %u\n", i, n_asked[i]);
	vhk_mem_free(mem);
	close(event_fd);
	close(extra_fd);
	close(log_fd);
}

int main(void)
{
	T_RUN(walk);
	return t_end();
}
