// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A random walk over all messages of a front end, and what the back end asks of it. A model says
 * which steps are legal: those are accepted, all others refused, or they end the session; whatever
 * came before, the session answers and the rings that run still work. Every now and then the front
 * end stops in the middle of something, and the next one finds a back end as good as new. Open fds
 * and mappings are the same in the end. A message that was not walked is a failure.
 *
 * VHK_WALK says how many steps (200,000), VHK_SEED makes a walk repeatable.
 */
#include "t_bus.h"
#include "t_walk_channel.h"
#include "t_walk_move.h"
#include "t_walk_ring.h"
#include "t_walk_settle.h"
#include "t_walk_type.h"

#define STEPS 200000ul

static bool whole; /* the walk is long enough for every message */

/* A message that is none, by its form: what it is to be is right but for that. */
static void send_malformed(const struct vhk_proto *row, uint32_t request, uint32_t size,
			   unsigned int n_fds)
{
	static unsigned char junk[VHK_MSG_PAYLOAD_MAX];
	int fd[VHK_USER_TABLE_MAX + 1];
	struct vhk_msg a;
	unsigned int i;

	for (i = 0; i < vhk_array_size(fd); i++)
		fd[i] = extra;
	memset(junk, 0xa5, sizeof(junk));
	count[request].malformed++;
	if (row->reply == VHK_REPLY_PAYLOAD) {
		t_send(&u, request, 0, junk, size, fd, n_fds);
		T_MUST(t_recv(&u, &a));
		T_EQ(a.hdr.request, request);
		T_EQ(a.hdr.size, 0);
		T_EQ(a.n_fds, 0);
	} else if (acks() || always_answered(request)) {
		T_OK(verdict(request, t_ask_fds(&u, request, junk, size, fd, n_fds)) != 0);
	} else {
		t_send(&u, request, 0, junk, size, fd, n_fds);
		t_settle(&u);
	}
}

static void malformed(void)
{
	const uint32_t request = 1 + below(VHK_USER_REQ_MAX);
	const struct vhk_proto *row = vhk_proto_request(request);

	if (request == VHK_USER_SET_MEM_TABLE && m.listening)
		return;
	switch (below(4)) {
	case 0:
		if (row->size_max < VHK_MSG_PAYLOAD_MAX)
			send_malformed(row, request, row->size_max + 1u, row->fds_min);
		break;
	case 1:
		if (row->size_min)
			send_malformed(row, request, row->size_min - 1u, row->fds_min);
		break;
	case 2:
		if (row->fds_max < 8)
			send_malformed(row, request, row->size_min, row->fds_max + 1u);
		break;
	default:
		if (row->fds_min)
			send_malformed(row, request, row->size_min, row->fds_min - 1u);
	}
}

static void unknown(void)
{
	const uint32_t request = one_in(2) ? VHK_USER_REQ_MAX + 1 + below(60)
					   : (uint32_t)rand_r(&seed) | 0x10000;
	static const unsigned char junk[64];
	const int fd[3] = { extra, u.fd, extra };
	const uint32_t size = below(65);

	ask(false, request, junk, size, fd, below(4));
}

/* Longer than any message, or notifications without a way: nothing can come after that. */
static void end_it(void)
{
	const struct vhk_msg_hdr h = { VHK_USER_GET_FEATURES, VHK_MSG_VERSION,
				       VHK_MSG_PAYLOAD_MAX + 1 + below(1u << 20) };
	const uint64_t mute = VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(CONFIG) |
			      (one_in(2) ? VHK_USER_PF(BACKEND_REQ) : VHK_USER_PF(REPLY_ACK));

	m.over = true;
	if (one_in(2)) {
		t_send_bytes(u.fd, &h, sizeof(h), NULL, 0);
	} else {
		t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &mute, sizeof(mute), NULL, 0);
		count[VHK_USER_SET_PROTOCOL_FEATURES].refused++;
	}
	T_OK(t_closed(&u, u.fd));
}

static const struct {
	const char *name;
	void (*fn)(void);
	unsigned int weight[WALK_MODES];
} steps[] = {
	{ "get_something", get_something, { 4, 4, 4, 4, 4, 4 } },
	{ "set_features", set_features, { 4, 3, 4, 3, 3, 4 } },
	{ "set_protocol", set_protocol, { 2, 2, 2, 2, 1, 2 } },
	{ "set_owner", set_owner, { 1, 1, 1, 1, 1, 1 } },
	{ "reset_owner", reset_owner, { 1, 1, 1, 1, 1, 1 } },
	{ "set_mem_table", set_mem_table, { 3, 2, 3, 2, 5, 3 } },
	{ "mem_slot", mem_slot, { 4, 2, 4, 2, 1, 4 } },
	{ "vring_num", vring_num, { 4, 3, 3, 3, 2, 3 } },
	{ "vring_base", vring_base, { 2, 2, 2, 2, 1, 2 } },
	{ "vring_addr", vring_addr, { 4, 3, 4, 4, 2, 3 } },
	{ "vring_fd", vring_fd, { 3, 4, 3, 3, 2, 3 } },
	{ "start_ring", start_ring, { 24, 24, 24, 24, 24, 24 } },
	{ "start_too_early", start_too_early, { 2, 2, 2, 2, 2, 2 } },
	{ "kick_otherwise", kick_otherwise, { 2, 2, 2, 2, 1, 2 } },
	{ "kick_by_message", kick_by_message, { 1, 6, 1, 1, 1, 1 } },
	{ "enable", enable, { 16, 16, 16, 16, 16, 16 } },
	{ "stop_ring", stop_ring, { 4, 4, 4, 4, 4, 4 } },
	{ "use_rings", use_rings, { 20, 20, 20, 20, 20, 20 } },
	{ "break_ring", break_ring, { 1, 2, 1, 1, 1, 1 } },
	{ "config", config, { 2, 1, 1, 1, 1, 2 } },
	{ "status", status, { 2, 2, 2, 2, 2, 2 } },
	{ "reset_device", reset_device, { 1, 1, 1, 1, 1, 1 } },
	{ "set_log", set_log, { 4, 2, 4, 4, 2, 4 } },
	{ "log_call", log_call, { 2, 1, 2, 1, 1, 1 } },
	{ "get_inflight", get_inflight, { 2, 1, 1, 1, 1, 1 } },
	{ "set_inflight", set_inflight, { 4, 2, 2, 2, 2, 4 } },
	{ "begin_transfer", begin_transfer, { 4, 2, 2, 2, 2, 4 } },
	{ "go_on_with_transfer", go_on_with_transfer, { 4, 2, 2, 2, 2, 4 } },
	{ "check_transfer", check_transfer, { 4, 2, 2, 2, 2, 4 } },
	{ "postcopy", postcopy, { 1, 1, 1, 1, 16, 1 } },
	{ "set_channel", set_channel, { 3, 6, 2, 6, 1, 3 } },
	{ "hang_up_channel", hang_up_channel, { 1, 1, 1, 1, 1, 1 } },
	{ "device_asks", device_asks, { 6, 4, 2, 4, 1, 6 } },
	{ "config_changes", config_changes, { 2, 1, 1, 1, 1, 2 } },
	{ "iotlb", iotlb, { 1, 1, 1, 16, 1, 1 } },
	{ "mood", mood, { 2, 2, 2, 2, 2, 2 } },
	{ "rarp", rarp, { 2, 1, 1, 1, 1, 1 } },
	{ "mtu", mtu, { 2, 1, 1, 1, 1, 1 } },
	{ "endian", endian, { 4, 1, 1, 1, 1, 1 } },
	{ "crypto", crypto, { 4, 1, 1, 1, 1, 1 } },
	{ "gpu", gpu, { 2, 1, 1, 1, 1, 1 } },
	{ "shared_object", shared_object, { 3, 1, 1, 1, 1, 1 } },
	{ "shmem_config", shmem_config, { 2, 1, 1, 1, 1, 1 } },
	{ "malformed", malformed, { 8, 6, 6, 6, 6, 6 } },
	{ "unknown", unknown, { 2, 1, 1, 1, 1, 1 } },
};

static void step(void)
{
	unsigned int i, all = 0, at;

	if (one_in(600)) {
		step_name = "end_it";
		end_it();
		return;
	}
	for (i = 0; i < vhk_array_size(steps); i++)
		all += steps[i].weight[m.mode];
	at = below(all);
	for (i = 0; at >= steps[i].weight[m.mode]; i++)
		at -= steps[i].weight[m.mode];
	step_name = steps[i].name;
	if (getenv("T_VERBOSE"))
		printf("# step %s\n", step_name);
	steps[i].fn();
	if (one_in(8))
		t_alive(&u);
	if (!one_in(4))
		take_questions();
}

/* Any message, up to any byte of it, or whole, and nobody takes the answer; or just gone. */
static void stop_in_the_middle(void)
{
	const uint32_t request = 1 + below(VHK_USER_REQ_MAX);
	const struct vhk_proto *row = vhk_proto_request(request);
	const struct vhk_msg_hdr h = { request, VHK_MSG_VERSION | VHK_MSG_NEED_REPLY,
				       row->size_min };
	unsigned char bytes[sizeof(h) + VHK_MSG_PAYLOAD_MAX] = { 0 };
	const size_t len = sizeof(h) + row->size_min;
	int fd[2] = { extra, log_call_fd };
	size_t part;

	memcpy(bytes, &h, sizeof(h));
	switch (below(5)) {
	case 0: /* fds, and next to nothing */
		t_send_bytes(u.fd, bytes, 1, fd, 1 + below(2));
		break;
	case 1: /* the header alone */
		t_send_bytes(u.fd, bytes, sizeof(h), fd, row->fds_min);
		break;
	case 2:
		part = 1 + below((unsigned int)len - 1);
		t_send_bytes(u.fd, bytes, part, fd, below(2));
		break;
	case 3:
		t_send_bytes(u.fd, bytes, len, fd, row->fds_min);
		t_send(&u, VHK_USER_GET_FEATURES, 0, NULL, 0, NULL, 0);
		shutdown(u.fd, SHUT_RD);
		break;
	default:
		t_send_bytes(u.fd, bytes, len, fd, row->fds_min);
	}
	if (one_in(2))
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

/* Another kind of back end, in the place of the one that there is. */
static void serve_with(const char *path, uint32_t flags, struct vhk_device *d)
{
	static uint32_t current = UINT32_MAX;
	struct vhk_backend_opts o = t_user_opts(&u);

	if (flags == current && d == served)
		return;
	vhk_backend_close(u.be);
	o.flags = flags;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, d, path, &o));
	current = flags;
	served = d;
}

/* Whoever may wait for a page must not be who brings it. */
static void serve_for(const char *path, enum walk_mode mode)
{
	uint32_t flags = VHK_BACKEND_F_POSTCOPY;
	struct vhk_device *d = apart;

	if (mode != WALK_POSTCOPY || !can_watch) {
		flags = one_in(4) ? VHK_BACKEND_F_HAND_OVER : 0;
		d = one_in(2) ? apart : close_by;
	}
	serve_with(path, flags, d);
}

static unsigned int n_down_before;

/* From a new connection to where rings can be started. */
static void session_begin(const char *path, enum walk_mode mode)
{
	struct vhk_msg a;
	unsigned int i;

	memset(&m, 0, sizeof(m));
	m.mode = mode;
	m.channel = m.state_fd = -1;
	serve_for(path, mode);
	n_down_before = u.n_down;
	u.fd = connect_to(path);
	t_alive(&u);
	T_MUST(t_get(&u, VHK_USER_GET_PROTOCOL_FEATURES, NULL, 0, &a));
	m.protocol_offered = a.u64;
	m.protocol = for_mode(a.u64);
	m.protocol_set = true;
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &m.protocol, sizeof(m.protocol), NULL, 0);
	/* a ring more of the driver's changes the table, and is made before one is sent */
	m.features = T_SPLIT;
	for (i = 0; i < T_QUEUES; i++) {
		m.ring[i].err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		T_MUST(m.ring[i].err >= 0 && make_ring(i));
	}
	m.features = 0;
	n_sessions++;
	n_of_mode[mode]++;
}

static void session_end(void)
{
	unsigned int i;

	if (one_in(2) && !m.over)
		stop_in_the_middle();
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down > n_down_before);
	t_settle(&u);
	T_EQ(m.n_done, m.n_asked);
	drop_channel();
	if (m.state_fd >= 0)
		close(m.state_fd);
	for (i = 0; i < T_QUEUES; i++) {
		t_ring_fini(&m.ring[i].r);
		close(m.ring[i].err);
	}
	if (dev.gpu >= 0)
		close(dev.gpu);
	dev.gpu = -1;
	dev.refuse = false;
}

/* How many steps it had, at most @n. */
static unsigned int session(const char *path, enum walk_mode mode, unsigned int n)
{
	unsigned int i;

	session_begin(path, mode);
	for (i = 0; i < n && !t_bad && !m.over; i++)
		step();
	session_end();
	return i;
}

static void walk_all(const char *path, unsigned long left)
{
	unsigned int i, n, maps;
	int fds;

	/* What is made once, at the first use, is there after this. */
	for (i = 0; i < WALK_MODES; i++)
		session(path, i, 100);
	fds = t_count_fds();
	maps = count_mappings();
	while (left && !t_bad) {
		n = 50 + below(500);
		n = (unsigned int)vhk_min((unsigned long)n, left);
		left -= session(path, below(WALK_MODES), n);
		T_EQ(t_count_fds(), fds);
		T_EQ(count_mappings(), maps);
	}
}

static void walk(void)
{
	const char *steps_env = getenv("VHK_WALK"), *seed_env = getenv("VHK_SEED");
	unsigned long left = steps_env ? strtoul(steps_env, NULL, 0) : STEPS;
	char path[100];
	unsigned int i;

	seed = seed_env ? (unsigned int)strtoul(seed_env, NULL, 0) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", seed);
	t_user_init(&u, VHK_LOOP_AUTO);
	t_handle_bus();
	T_MUST(!vhk_loop_new(&u.queue_loop, NULL));
	close_by = dev_new(&u.echo);
	apart = dev_new(&u.echo);
	T_MUST(!vhk_device_set_loops(apart, &u.queue_loop, 1));
	extra = memfd_create("extra", MFD_CLOEXEC);
	log_file = memfd_create("log", MFD_CLOEXEC);
	log_call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(extra >= 0 && !ftruncate(extra, EXTRA_SIZE));
	T_MUST(log_file >= 0 && !ftruncate(log_file, LOG_FILE) && log_call_fd >= 0);
	log_file_bits = mmap(NULL, LOG_FILE, PROT_READ | PROT_WRITE, MAP_SHARED, log_file, 0);
	T_MUST(log_file_bits != MAP_FAILED);
	snprintf(path, sizeof(path), "%s/walk", t_dir());
	can_watch = !vhk_backend_check(VHK_BACKEND_F_POSTCOPY);
	walk_all(path, left);
	whole = left >= STEPS && !t_bad;
	for (i = 0; i < WALK_MODES; i++)
		printf("# %u sessions: %s\n", n_of_mode[i], walk_mode_names[i]);
	printf("# %u requests of rings, %u of them logged; %u rings broken\n", n_echoes, n_logged,
	       n_broken);
	vhk_backend_close(u.be);
	u.be = NULL;
	vhk_device_free(close_by);
	vhk_device_free(apart);
	vhk_loop_free(u.queue_loop);
	t_user_fini(&u);
	munmap(log_file_bits, LOG_FILE);
	close(extra);
	close(log_file);
	close(log_call_fd);
}

static bool is_postcopy(uint32_t request)
{
	return request >= VHK_USER_POSTCOPY_ADVISE && request <= VHK_USER_POSTCOPY_END;
}

/* Legal whenever it is well formed. */
static bool is_always_legal(uint32_t request)
{
	return request == VHK_USER_GET_FEATURES || request == VHK_USER_GET_PROTOCOL_FEATURES ||
	       request == VHK_USER_RESET_OWNER;
}

static void check_request(uint32_t request)
{
	const bool ok = count[request].accepted && count[request].malformed &&
			(count[request].refused || is_always_legal(request));

	if (!ok || getenv("T_VERBOSE"))
		printf("# %s: %u accepted, %u refused, %u malformed\n", name_of(request),
		       count[request].accepted, count[request].refused, count[request].malformed);
	T_OK(ok);
}

static void every_message(void)
{
	uint32_t i;

	if (!whole)
		T_SKIP("the walk was a short one, or came to a stop");
	for (i = 1; i <= VHK_USER_REQ_MAX; i++)
		if (!is_postcopy(i))
			check_request(i);
}

static void every_message_of_postcopy(void)
{
	uint32_t i;

	if (!whole)
		T_SKIP("the walk was a short one, or came to a stop");
	if (!can_watch)
		T_SKIP("userfaultfd(2) is refused here");
	for (i = VHK_USER_POSTCOPY_ADVISE; i <= VHK_USER_POSTCOPY_END; i++)
		check_request(i);
}

/* An error and a change of the configuration are told, and nothing is to be answered; what a no to
 * a miss means is for backend_iotlb. */
static bool has_no_no(uint32_t request)
{
	return request == VHK_USER_BACK_VRING_ERR || request == VHK_USER_BACK_CONFIG_CHANGE_MSG ||
	       request == VHK_USER_BACK_IOTLB_MSG;
}

static void every_message_of_the_back_end(void)
{
	uint32_t i;

	if (!whole)
		T_SKIP("the walk was a short one, or came to a stop");
	for (i = 1; i <= VHK_USER_BACK_REQ_MAX; i++) {
		const bool ok = back_count[i].came && (has_no_no(i) || back_count[i].no);

		if (!ok || getenv("T_VERBOSE"))
			printf("# %s: %u came, %u yes, %u no\n", vhk_proto_back_request(i)->name,
			       back_count[i].came, back_count[i].yes, back_count[i].no);
		T_OK(ok);
	}
}

int main(void)
{
	T_RUN(walk);
	T_RUN(every_message);
	T_RUN(every_message_of_postcopy);
	T_RUN(every_message_of_the_back_end);
	return t_end();
}
