// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end killed at any instant: a child works on a ring and is stepped instruction by
 * instruction; whenever shared memory has changed, a copy of it is what a kill would have left. On
 * each copy a second device takes over, and together both must answer every chain exactly once, in
 * the order in which the driver made them available.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "t_ring.h"

#define SIZE 16
#define CHAINS 5
#ifdef __SANITIZE_ADDRESS__
#define FIRST_ROUNDS 3 /* several times as many instructions */
#else
#define FIRST_ROUNDS 0
#endif
#define SHARED_BYTES 4096 /* of RAM: the ring's parts */

struct world {
	struct peer p;
	struct vhk_ring_opts o;
	void *region;
	int ids[PEER_SIZE_MAX]; /* in the order of availability */
	unsigned int n_ids;
};

static void world_init(struct world *w, bool packed, uint16_t size, uint64_t features)
{
	const size_t bytes = vhk_inflight_size(size, packed);

	peer_init(&w->p, packed, size, features);
	w->region = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_MUST(w->region != MAP_FAILED);
	vhk_inflight_init(w->region, size, packed);
	if (!packed)
		peer_start_at(&w->p, 65533);
	w->o = peer_opts(&w->p);
	w->o.inflight = w->region;
	w->o.inflight_size = bytes;
	w->o.max_segs = 8; /* a ring is cleared when it is made, and that is stepped byte by byte */
	w->n_ids = 0;
}

static void world_fini(struct world *w)
{
	munmap(w->region, w->o.inflight_size);
	peer_fini(&w->p);
}

/* @to keeps its own memory and gets @from's contents. */
static void world_copy(struct world *to, const struct world *from)
{
	struct peer p = from->p;

	memcpy(to->p.ram, from->p.ram, SHARED_BYTES);
	memcpy(to->region, from->region, from->o.inflight_size);
	p.mem = to->p.mem;
	p.ram = to->p.ram;
	p.desc = to->p.desc;
	p.driver = to->p.driver;
	p.device = to->p.device;
	to->p = p;
	memcpy(to->ids, from->ids, sizeof(to->ids));
	to->n_ids = from->n_ids;
}

static void add_chains(struct world *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct peer_buf b[2] = {
			{ PEER_GPA + 0x8000, 8, 0 },
			{ PEER_GPA + 0x9000, 8, D_WRITE },
		};
		const int id = peer_add(&w->p, b, 1 + w->n_ids % 2);

		T_MUST(id >= 0);
		w->ids[w->n_ids++] = id;
	}
}

static struct vhk_ring *open_ring(const struct world *w)
{
	struct vhk_ring *r = NULL;
	int ret = vhk_ring_new(&r, w->p.mem, &w->o);

	if (ret) {
		printf("# ring refused: %d\n", ret);
		t_bad++;
	}
	return r;
}

static void answer(struct vhk_ring *r, struct vhk_chain *c)
{
	c->written = c->in_len;
	vhk_ring_push(r, c);
}

/* IN_ORDER: one entry may answer several. Others: one each. Marks what the driver has seen. */
static void see_used(struct world *w, uint8_t *seen, unsigned int *n_seen)
{
	const bool in_order = w->p.features & VHK_F_IN_ORDER;
	uint32_t len;
	uint16_t id;

	while (peer_peek(&w->p)) {
		peer_read_used(&w->p, &id, &len);
		while (in_order && w->ids[*n_seen] != id) {
			T_MUST(*n_seen < w->n_ids);
			seen[*n_seen]++;
			peer_step_used(&w->p, w->p.count[w->ids[(*n_seen)++]]);
		}
		if (in_order) {
			seen[*n_seen]++;
		} else {
			unsigned int i;

			for (i = 0; i < w->n_ids && w->ids[i] != id; i++)
				;
			T_MUST(i < w->n_ids);
			seen[i]++;
		}
		peer_step_used(&w->p, w->p.count[id]);
		(*n_seen)++;
	}
}

/* Some rounds, so that lists are out of order and positions somewhere. */
static void age(struct world *w, unsigned int rounds)
{
	struct vhk_ring *r = open_ring(w);
	struct vhk_chain *c[3];
	unsigned int i;

	for (; rounds; rounds--) {
		uint8_t seen[PEER_SIZE_MAX] = { 0 };
		unsigned int n_seen = 0;

		w->n_ids = 0;
		add_chains(w, 3);
		T_MUST(vhk_ring_pop(r, c, 3) == 3);
		answer(r, c[1]);
		answer(r, c[2]);
		vhk_ring_publish(r);
		answer(r, c[0]);
		vhk_ring_publish(r);
		see_used(w, seen, &n_seen);
		for (i = 0; i < 3; i++)
			peer_reclaim(&w->p, (uint16_t)w->ids[i]);
	}
	vhk_ring_free(r);
	w->n_ids = 0;
}

/* What the former back end left: two chains in flight, one answered. */
static void leave_behind(struct world *w)
{
	struct vhk_ring *r = open_ring(w);
	struct vhk_chain *c[3];

	add_chains(w, 3);
	T_MUST(vhk_ring_pop(r, c, 3) == 3);
	answer(r, c[1]);
	vhk_ring_publish(r);
	vhk_ring_free(r);
}

/* What is stepped: takes over, answers out of order, in batches and alone. */
static void work(const struct world *w)
{
	/* IN_ORDER holds back what leave_behind() answered. */
	const int first = w->p.features & VHK_F_IN_ORDER ? 5 : 4;
	struct vhk_chain *c[16];
	struct vhk_ring *r = NULL;
	int n;

	if (vhk_ring_new(&r, w->p.mem, &w->o))
		_exit(2);
	n = vhk_ring_pop(r, c, 8);
	n += vhk_ring_pop(r, c + n, 2);
	if (n != first)
		_exit(3);
	answer(r, c[2]);
	answer(r, c[0]);
	vhk_ring_publish(r);
	n = vhk_ring_pop(r, c + first, 2);
	answer(r, c[first + 1]);
	vhk_ring_publish(r);
	answer(r, c[3]);
	answer(r, c[1]);
	if (first == 5)
		answer(r, c[4]);
	answer(r, c[first]);
	vhk_ring_publish(r);
	n += vhk_ring_pop(r, c, 8);
	answer(r, c[0]);
	vhk_ring_publish(r);
	_exit(n == 3 ? 0 : 4);
}

static void check(struct world *w)
{
	uint8_t seen[PEER_SIZE_MAX] = { 0 };
	struct vhk_chain *c[SIZE];
	unsigned int n_seen = 0, i, at = 0;
	struct vhk_ring *r;
	int n;

	see_used(w, seen, &n_seen);
	r = open_ring(w);
	if (!r)
		return;
	while ((n = vhk_ring_pop(r, c, 2)) > 0) {
		for (i = 0; i < (unsigned int)n; i++, at++) {
			while (at < w->n_ids && seen[at])
				at++;
			T_MUST(at < w->n_ids);
			T_EQ(c[i]->id, w->ids[at]);
			T_EQ(c[i]->out_len, 8);
		}
		for (i = (unsigned int)n; i--;)
			answer(r, c[i]);
		vhk_ring_publish(r);
	}
	T_EQ(n, 0);
	see_used(w, seen, &n_seen);
	T_EQ(n_seen, w->n_ids);
	for (i = 0; i < w->n_ids; i++)
		T_EQ(seen[i], 1);
	T_EQ(vhk_ring_in_flight(r), 0);
	vhk_ring_free(r);
}

/* True when the child has ended. */
static bool step_child(pid_t pid, int *status)
{
	T_MUST(!ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));
	T_MUST(waitpid(pid, status, 0) == pid);
	return WIFEXITED(*status) || WIFSIGNALED(*status);
}

static void kill_everywhere(bool packed, uint16_t size, uint64_t features, unsigned int rounds)
{
	unsigned char *before = malloc(SHARED_BYTES);
	struct world w, copy;
	void *region_before;
	unsigned int points = 0;
	int status = 0;
	pid_t pid;

	world_init(&w, packed, size, features);
	world_init(&copy, packed, size, features);
	region_before = calloc(1, w.o.inflight_size);
	T_MUST(before && region_before);
	age(&w, rounds);
	leave_behind(&w);
	add_chains(&w, CHAINS);
	fflush(stdout);
	pid = fork();
	T_MUST(pid >= 0);
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(99);
		raise(SIGSTOP);
		work(&w);
	}
	T_MUST(waitpid(pid, &status, 0) == pid);
	memset(before, 0xff, SHARED_BYTES);
	while (!WIFEXITED(status) && !WIFSIGNALED(status) && !t_bad) {
		if (memcmp(before, w.p.ram, SHARED_BYTES) ||
		    memcmp(region_before, w.region, w.o.inflight_size)) {
			memcpy(before, w.p.ram, SHARED_BYTES);
			memcpy(region_before, w.region, w.o.inflight_size);
			world_copy(&copy, &w);
			check(&copy);
			points++;
		}
		if (step_child(pid, &status))
			break;
	}
	if (t_bad)
		kill(pid, SIGKILL);
	else
		T_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	printf("# %s, size %u, features %#llx: killed at %u points\n", packed ? "packed" : "split",
	       size, (unsigned long long)features, points);
	T_OK(points > 20);
	free(before);
	free(region_before);
	world_fini(&copy);
	world_fini(&w);
}

static bool may_trace(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void split_killed_at_every_store(void)
{
	if (!may_trace())
		T_SKIP("ptrace(2) is refused here");
	kill_everywhere(false, SIZE, 0, 7);
}

static void packed_killed_at_every_store(void)
{
	unsigned int rounds;

	if (!may_trace())
		T_SKIP("ptrace(2) is refused here");
	for (rounds = FIRST_ROUNDS; rounds < 4; rounds++)
		kill_everywhere(true, 13, 0, rounds);
}

static void in_order_killed_at_every_store(void)
{
	if (!may_trace())
		T_SKIP("ptrace(2) is refused here");
	kill_everywhere(false, SIZE, VHK_F_IN_ORDER, 3);
	kill_everywhere(true, 13, VHK_F_IN_ORDER, 3);
}

int main(void)
{
	T_RUN(split_killed_at_every_store);
	T_RUN(packed_killed_at_every_store);
	T_RUN(in_order_killed_at_every_store);
	return t_end();
}
