// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A random walk over the messages of a front end. A model says which steps are legal: those are
 * accepted, all others refused, and whatever came before, the session answers and the rings that
 * run still work. Every now and then the front end stops in the middle of something, and the next
 * one finds a back end as good as new. Open fds and mappings are the same in the end.
 *
 * VHK_WALK says how many steps (20,000), VHK_SEED makes a walk repeatable.
 */
#include <sys/un.h>

#include "t_user.h"

#define SIZE 64
#define EXTRA_GPA 0x40000000u
#define EXTRA_SIZE 0x4000u
#define OFFERED_LATER (VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC | VHK_F_IN_ORDER)
/* GPA_ADDRESSES changes what addresses mean, and messages that need a peer are walked elsewhere. */
#define NOT_TAKEN (VHK_USER_PF(GPA_ADDRESSES) | VHK_USER_PF(INBAND_NOTIFICATIONS))

static struct t_user u;
static unsigned int seed;
static int extra;
static unsigned int n_legal, n_refused, n_echoes, n_sessions;

/* What the front end has said, as far as it was accepted. */
static struct {
	bool owned, features_set, protocol_set;
	uint64_t features, protocol, protocol_offered;
	bool base_mem, extra_mem; /* the rings' regions, and one more */
	struct {
		struct t_ring r;
		bool made, num, addr, runs, enabled;
	} ring[T_QUEUES];
	uint8_t status;
} m;

static unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static bool one_in(unsigned int n)
{
	return !below(n);
}

static bool acks(void)
{
	return m.protocol & VHK_USER_PF(REPLY_ACK);
}

static bool has(uint64_t protocol)
{
	return (m.protocol & protocol) == protocol;
}

static const char *step_name = "";

static void trail(const char *what, bool legal, uint64_t got)
{
	printf("# seed %s, step %s: %s was %s (0x%" PRIx64 "), features 0x%" PRIx64
	       ", protocol 0x%" PRIx64 "\n",
	       getenv("VHK_SEED") ? getenv("VHK_SEED") : "above", step_name, what,
	       legal ? "refused" : "accepted", got, m.features, m.protocol);
	T_OK(!"as the model has it");
}

/* A request whose answer says whether it was accepted; without REPLY_ACK nobody says. */
static bool ask(bool legal, uint32_t request, const void *payload, uint32_t size, const int *fd,
		unsigned int n_fds)
{
	uint64_t got;

	if (!acks()) {
		t_send(&u, request, 0, payload, size, fd, n_fds);
		t_settle(&u);
	} else {
		got = t_ask_fds(&u, request, payload, size, fd, n_fds);
		if (!got != legal)
			trail(vhk_proto_request(request) ? vhk_proto_request(request)->name
							 : "an unknown message",
			      legal, got);
	}
	*(legal ? &n_legal : &n_refused) += 1;
	return legal;
}

/* One that is answered with a payload; without, it was refused. */
static bool get(bool legal, uint32_t request, const void *payload, uint32_t size, struct vhk_msg *a)
{
	if (!t_get(&u, request, payload, size, a)) {
		trail("a question", legal, T_NO_ANSWER);
		return false;
	}
	if ((a->hdr.size > 0) != legal)
		trail(vhk_proto_request(request)->name, legal, a->hdr.size);
	while (a->n_fds)
		close(a->fd[--a->n_fds]);
	*(legal ? &n_legal : &n_refused) += 1;
	return legal;
}

static bool runs_any(void)
{
	unsigned int i;

	for (i = 0; i < T_QUEUES; i++)
		if (m.ring[i].runs)
			return true;
	return false;
}

/* The answers that decide what later steps may do are asked for in between. */
static void get_something(void)
{
	struct vhk_msg a;

	switch (below(5)) {
	case 0:
		get(true, VHK_USER_GET_FEATURES, NULL, 0, &a);
		break;
	case 1:
		get(true, VHK_USER_GET_PROTOCOL_FEATURES, NULL, 0, &a);
		break;
	case 2:
		get(has(VHK_USER_PF(MQ)), VHK_USER_GET_QUEUE_NUM, NULL, 0, &a);
		break;
	case 3:
		get(has(VHK_USER_PF(CONFIGURE_MEM_SLOTS)), VHK_USER_GET_MAX_MEM_SLOTS, NULL, 0, &a);
		break;
	default:
		if (get(has(VHK_USER_PF(STATUS)), VHK_USER_GET_STATUS, NULL, 0, &a))
			T_EQ(a.u64, m.status);
	}
}

static void set_features(void)
{
	uint64_t f = T_SPLIT | (OFFERED_LATER & ((uint64_t)below(1u << 30) << 20));
	bool legal = true;

	if (one_in(3))
		f |= VHK_F_RING_PACKED;
	if (one_in(4)) {
		f |= 1ull << (41 + below(20));
		legal = false;
	}
	if (legal && runs_any() && f != m.features)
		legal = false;
	if (!ask(legal, VHK_USER_SET_FEATURES, &f, sizeof(f), NULL, 0))
		return;
	m.features = f;
	m.features_set = true;
}

static void set_protocol(void)
{
	uint64_t p = m.protocol_offered & ~NOT_TAKEN;
	bool legal = !runs_any();

	if (one_in(2))
		p &= ~(1ull << below(24)) | VHK_USER_PF(REPLY_ACK);
	if (one_in(5)) {
		p |= 1ull << (24 + below(40));
		legal = false;
	}
	/* What these stand on goes with them. */
	if (!(p & VHK_USER_PF(INFLIGHT_SHMFD)) || !(p & VHK_USER_PF(GET_VRING_BASE_INFLIGHT)))
		p &= ~(VHK_USER_PF(GET_VRING_BASE_INFLIGHT) |
		       VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN));
	if (!(p & VHK_USER_PF(BACKEND_REQ)))
		p &= ~VHK_USER_PF(BACKEND_SEND_FD);
	if (ask(legal, VHK_USER_SET_PROTOCOL_FEATURES, &p, sizeof(p), NULL, 0)) {
		m.protocol = p;
		m.protocol_set = true;
	}
}

static void set_owner(void)
{
	if (ask(!m.owned, VHK_USER_SET_OWNER, NULL, 0, NULL, 0))
		m.owned = true;
}

static void reset_owner(void)
{
	unsigned int i;

	ask(true, VHK_USER_RESET_OWNER, NULL, 0, NULL, 0);
	for (i = 0; i < T_QUEUES && m.features & VHK_F_PROTOCOL_FEATURES; i++)
		m.ring[i].enabled = false;
}

static void set_mem_table(void)
{
	struct vhk_user_mem_table t = { 0 };
	struct vhk_region r;
	int fd[VHK_USER_TABLE_MAX];
	uint32_t size;
	bool legal = true;

	for (t.n = 0; t.n < vhk_mem_count(u.mem); t.n++) {
		T_MUST(!vhk_mem_get(u.mem, t.n, &r, &fd[t.n]));
		t.region[t.n] = t_wire_region(&r);
	}
	switch (below(8)) {
	case 0:
		t.region[below(t.n)].size = 0;
		legal = false;
		break;
	case 1:
		t.region[0].gpa = t.region[1].gpa;
		legal = false;
		break;
	case 2:
		t.region[below(t.n)].offset = 0 - 4096ull;
		legal = false;
		break;
	case 3:
		t.padding = 1;
		legal = false;
	}
	size = (uint32_t)(offsetof(struct vhk_user_mem_table, region) + t.n * sizeof(*t.region));
	if (!ask(legal, VHK_USER_SET_MEM_TABLE, &t, size, fd, t.n))
		return;
	m.base_mem = true;
	m.extra_mem = false;
}

static void mem_slot(void)
{
	struct vhk_user_mem_reg reg = { .region = { EXTRA_GPA, EXTRA_SIZE, 0x7000000000, 0 } };
	bool known = has(VHK_USER_PF(CONFIGURE_MEM_SLOTS)), add = one_in(2), broken = one_in(5);

	if (broken)
		reg.region.size = one_in(2) ? 0 : 0 - EXTRA_GPA + 1ull;
	if (add && ask(known && !broken && !m.extra_mem, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg),
		       &extra, 1))
		m.extra_mem = true;
	else if (!add && ask(known && !broken && m.extra_mem, VHK_USER_REM_MEM_REG, &reg,
			     sizeof(reg), &extra, one_in(4)))
		m.extra_mem = false;
}

/* The driver's side is made for what was negotiated, anew with every start. */
static void make_ring(unsigned int i)
{
	struct t_ring *r = &m.ring[i].r;

	if (m.ring[i].made && r->features == m.features) {
		vhk_vq_reset(r->vq, NULL, NULL);
		return;
	}
	if (m.ring[i].made)
		t_ring_fini(r);
	t_ring_init(&u, r, i, m.features);
	m.ring[i].made = true;
	m.base_mem = false;
}

static bool packed(void)
{
	return m.features & VHK_F_RING_PACKED;
}

static void vring_num(void)
{
	static const uint32_t wrong[] = { 0, 257, 300, 65536, 0xffffffff };
	unsigned int i = below(T_QUEUES), index = one_in(8) ? T_QUEUES + below(1000) : i;
	uint32_t num = one_in(4) ? wrong[below(5)] : SIZE;
	bool legal = m.features_set && index == i && !m.ring[i].runs && num == SIZE;
	struct vhk_user_vring_state v = { index, num };

	if (ask(legal, VHK_USER_SET_VRING_NUM, &v, sizeof(v), NULL, 0))
		m.ring[i].num = true;
}

static void vring_base(void)
{
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { i, one_in(4) ? 0x10000 : 0 };
	bool legal = m.features_set && !m.ring[i].runs && (!v.num || packed());

	ask(legal, VHK_USER_SET_VRING_BASE, &v, sizeof(v), NULL, 0);
}

static void vring_addr(void)
{
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_addr a = { .index = i };
	bool legal = m.features_set;

	if (!m.ring[i].made)
		return;
	a = t_ring_wire_addr(&m.ring[i].r);
	switch (below(6)) {
	case 0:
		a.desc += 8;
		legal = false;
		break;
	case 1:
		a.flags = 2;
		legal = false;
		break;
	case 2:
		a.index = T_QUEUES;
		legal = false;
	}
	/* There is memory to hold it against, and it is not in it. */
	if (legal && !m.ring[i].runs && (!m.base_mem || !m.ring[i].num))
		return;
	if (ask(legal, VHK_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0))
		m.ring[i].addr = true;
}

static void vring_fd(void)
{
	static const uint32_t which[] = { VHK_USER_SET_VRING_CALL, VHK_USER_SET_VRING_ERR };
	uint64_t v = below(T_QUEUES);
	const struct t_ring *r = &m.ring[v].r;
	unsigned int how = below(4);

	if (!m.ring[v].made)
		return;
	if (how == 1)
		v |= VHK_USER_VRING_FD_NONE; /* and yet there is one */
	else if (how == 2)
		v += T_QUEUES;
	/* Only the right call is of use later. */
	ask(!how || how == 3, which[how == 3], &v, sizeof(v), &r->call, 1);
}

/* Everything that a start needs, said in a legal order; then the start. */
static void start_ring(void)
{
	unsigned int i = below(T_QUEUES);
	uint64_t v = i;

	if (m.ring[i].runs || !m.features_set || !acks())
		return;
	make_ring(i);
	if (!m.base_mem) {
		if (t_ask_mem_table(&u))
			trail("SET_MEM_TABLE", true, 0);
		m.base_mem = true;
		m.extra_mem = false;
	}
	t_ring_set_up(&u, &m.ring[i].r, t_ring_base(&m.ring[i].r));
	m.ring[i].num = m.ring[i].addr = true;
	if (ask(true, VHK_USER_SET_VRING_KICK, &v, sizeof(v), &m.ring[i].r.kick, 1))
		m.ring[i].runs = true;
}

/* Without size or addresses it cannot be started. */
static void start_too_early(void)
{
	uint64_t v = below(T_QUEUES);
	int kick = eventfd(0, EFD_CLOEXEC);

	if (!m.ring[v].num || !m.ring[v].addr)
		ask(false, VHK_USER_SET_VRING_KICK, &v, sizeof(v), &kick, 1);
	close(kick);
}

static void enable(void)
{
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { i, below(3) };
	/* before SET_FEATURES it is for who has sent SET_PROTOCOL_FEATURES */
	bool legal = m.features_set ? m.features & VHK_F_PROTOCOL_FEATURES : m.protocol_set;

	if (ask(legal && v.num < 2, VHK_USER_SET_VRING_ENABLE, &v, sizeof(v), NULL, 0))
		m.ring[i].enabled = v.num;
}

static void stop_ring(void)
{
	const bool skip = one_in(3);
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { one_in(8) ? 500 : i, 0 };
	struct vhk_msg a;
	bool legal = v.index == i && (!skip || has(VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN)));

	if (get(legal, skip ? VHK_USER_GET_VRING_BASE_SKIP_DRAIN : VHK_USER_GET_VRING_BASE, &v,
		sizeof(v), &a))
		m.ring[i].runs = false;
}

static void config(void)
{
	struct vhk_user_config c = { .offset = below(80), .size = 1 + below(40) };
	struct vhk_msg a;
	uint32_t len = (uint32_t)offsetof(struct vhk_user_config, data) + c.size;
	bool known = has(VHK_USER_PF(CONFIG));

	if (one_in(2)) {
		get(known && c.offset < T_CONFIG_SIZE, VHK_USER_GET_CONFIG, &c, len, &a);
		return;
	}
	/* byte 0 may be written, alone */
	if (one_in(2))
		c = (struct vhk_user_config){ .size = 1, .flags = below(3) };
	len = (uint32_t)offsetof(struct vhk_user_config, data) + c.size;
	known &= !c.offset && c.size == 1 && c.flags < 2;
	ask(known, VHK_USER_SET_CONFIG, &c, len, NULL, 0);
}

static void status(void)
{
	static const uint64_t some[] = { 1, 3, 11, 15, 0, 0x100, UINT64_MAX };
	uint64_t v = some[below(7)];
	unsigned int i;

	if (!ask(has(VHK_USER_PF(STATUS)) && v < 0x100, VHK_USER_SET_STATUS, &v, sizeof(v), NULL,
		 0))
		return;
	/* virtio 1.3, 3.1.1: no FEATURES_OK without features */
	m.status = (uint8_t)(m.features_set ? v : v & ~8u);
	/* 0 stops the rings; a driver that has not noticed goes on from there */
	for (i = 0; i < T_QUEUES && !v; i++)
		m.ring[i].runs = false;
}

static void reset_device(void)
{
	unsigned int i;

	if (!ask(has(VHK_USER_PF(RESET_DEVICE)), VHK_USER_RESET_DEVICE, NULL, 0, NULL, 0))
		return;
	m.status = 0;
	for (i = 0; i < T_QUEUES; i++)
		m.ring[i].runs = m.ring[i].num = m.ring[i].addr = m.ring[i].enabled = false;
}

static void inflight(void)
{
	struct vhk_user_inflight in = { .num_queues = (uint16_t)below(4),
					.queue_size = (uint16_t)(one_in(3) ? below(65536) : SIZE) };
	struct vhk_msg a;

	get(has(VHK_USER_PF(INFLIGHT_SHMFD)) && in.num_queues && in.num_queues <= T_QUEUES &&
		    in.queue_size && in.queue_size <= T_QUEUE_SIZE,
	    VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &a);
}

/* Whatever is no message at all, or one of another length, or with fds too many. */
static void nonsense(void)
{
	uint64_t junk[8];
	int fd[3] = { u.fd, u.fd, u.fd };
	uint32_t request = 1 + below(60), size;
	const struct vhk_proto *row = vhk_proto_request(request);
	struct vhk_msg a;

	memset(junk, 0xa5, sizeof(junk));
	if (!acks())
		return;
	if (!row) {
		ask(false, request, junk, below(65), fd, below(3));
		return;
	}
	if (row->reply == VHK_REPLY_PAYLOAD) {
		size = row->size_max < 64 ? row->size_max + 1 : 3;
		t_send(&u, request, 0, junk, size, NULL, 0);
		T_MUST(t_recv(&u, &a));
		T_EQ(a.hdr.size, 0);
		n_refused++;
		return;
	}
	/* with as many fds as it has never */
	if (row->fds_max < 3)
		ask(false, request, junk, vhk_min(row->size_min, (uint16_t)64), fd, 3);
	else if (row->size_min > 3)
		ask(false, request, junk, 3, NULL, 0);
}

static void use_rings(void)
{
	unsigned int i, n = 1 + below(3);

	for (i = 0; i < T_QUEUES; i++) {
		if (!m.ring[i].runs || !m.ring[i].enabled)
			continue;
		t_ring_echo(&u, &m.ring[i].r, n);
		n_echoes += n;
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
	unsigned int weight;
} steps[] = {
	{ "get_something", get_something, 4 },
	{ "set_features", set_features, 4 },
	{ "set_protocol", set_protocol, 2 },
	{ "set_owner", set_owner, 1 },
	{ "reset_owner", reset_owner, 1 },
	{ "set_mem_table", set_mem_table, 3 },
	{ "mem_slot", mem_slot, 4 },
	{ "vring_num", vring_num, 4 },
	{ "vring_base", vring_base, 2 },
	{ "vring_addr", vring_addr, 4 },
	{ "vring_fd", vring_fd, 3 },
	{ "start_ring", start_ring, 10 },
	{ "start_too_early", start_too_early, 2 },
	{ "enable", enable, 10 },
	{ "stop_ring", stop_ring, 4 },
	{ "config", config, 2 },
	{ "status", status, 2 },
	{ "reset_device", reset_device, 1 },
	{ "inflight", inflight, 2 },
	{ "nonsense", nonsense, 6 },
	{ "use_rings", use_rings, 12 },
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static void step(void)
{
	unsigned int i, all = 0, at;

	for (i = 0; i < N_STEPS; i++)
		all += steps[i].weight;
	at = below(all);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	step_name = steps[i].name;
	steps[i].fn();
	if (one_in(8))
		t_alive(&u);
}

/* Half a message, a question whose answer nobody takes, or just gone. */
static void stop_in_the_middle(void)
{
	struct vhk_msg_hdr h = { VHK_USER_SET_MEM_TABLE, VHK_MSG_VERSION | VHK_MSG_NEED_REPLY, 40 };
	unsigned char half[sizeof(h) + 20] = { 0 };
	int fd = eventfd(0, EFD_CLOEXEC);

	memcpy(half, &h, sizeof(h));
	switch (below(4)) {
	case 0:
		t_send_bytes(u.fd, half, 1 + below(sizeof(half) - 1), &fd, one_in(2));
		break;
	case 1:
		t_send(&u, VHK_USER_GET_FEATURES, 0, NULL, 0, NULL, 0);
		t_send(&u, VHK_USER_GET_VRING_BASE, 0, half, 8, NULL, 0);
		break;
	case 2:
		t_send(&u, VHK_USER_SET_VRING_KICK, VHK_MSG_NEED_REPLY, half + 12, 8, &fd, 1);
		shutdown(u.fd, SHUT_RD);
	}
	close(fd);
	t_settle(&u);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

static unsigned int count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned int n = 0;

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, "memfd:");
	fclose(f);
	return n;
}

/* From a new connection to where rings can be started. */
static void session_begin(const char *path)
{
	struct vhk_msg a;
	unsigned int i;

	memset(&m, 0, sizeof(m));
	u.fd = connect_to(path);
	t_alive(&u);
	T_MUST(t_get(&u, VHK_USER_GET_PROTOCOL_FEATURES, NULL, 0, &a));
	m.protocol_offered = a.u64;
	m.protocol = a.u64 & ~NOT_TAKEN;
	m.protocol_set = true;
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &m.protocol, sizeof(m.protocol), NULL, 0);
	/* a ring more of the driver's changes the table, and is made before one is sent */
	m.features = T_SPLIT;
	for (i = 0; i < T_QUEUES; i++)
		make_ring(i);
	m.features = 0;
	n_sessions++;
}

static void session_end(void)
{
	const unsigned int down = u.n_down;
	unsigned int i;

	if (one_in(2))
		stop_in_the_middle();
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down > down);
	t_settle(&u);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_fini(&m.ring[i].r);
}

static void walk(void)
{
	const char *steps_env = getenv("VHK_WALK"), *seed_env = getenv("VHK_SEED");
	unsigned long left = steps_env ? strtoul(steps_env, NULL, 0) : 20000;
	struct vhk_backend_opts o;
	char path[100];
	int fds;
	unsigned int maps, n;

	seed = seed_env ? (unsigned int)strtoul(seed_env, NULL, 0) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", seed);
	t_user_init(&u, VHK_LOOP_AUTO);
	o = t_user_opts(&u);
	extra = memfd_create("extra", MFD_CLOEXEC);
	T_MUST(extra >= 0 && !ftruncate(extra, EXTRA_SIZE));
	snprintf(path, sizeof(path), "%s/walk", t_dir());
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, path, &o));
	/* What is made once, at the first use, is there after this. */
	session_begin(path);
	for (n = 0; n < 300; n++)
		step();
	session_end();
	fds = t_count_fds();
	maps = count_mappings();
	while (left && !t_bad) {
		session_begin(path);
		for (n = 50 + below(500); n && left && !t_bad; n--, left--)
			step();
		session_end();
		T_EQ(t_count_fds(), fds);
		T_EQ(count_mappings(), maps);
	}
	printf("# %u sessions, %u steps accepted, %u refused, %u requests of rings\n", n_sessions,
	       n_legal, n_refused, n_echoes);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN(walk);
	return t_end();
}
