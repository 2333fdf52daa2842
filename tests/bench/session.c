// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a session costs beside its requests: the time from connecting until all queues have
 * started, and the processor time of a back end whose driver asks for nothing. Prints microseconds,
 * a line for each set-up, then the processor time as parts of a hundred.
 *
 *   session URI QUEUES TIMES SECONDS
 */
#include <vhostkit/ctl.h>

#include "t.h"

#define QUEUES_MAX 256
#define RING 128
#define BLOCK (64u << 10)

struct session {
	struct vhk_mem *mem;
	struct vhk_ctl *ctl;
	struct vhk_vq *vq[QUEUES_MAX];
	unsigned char *rings;
	unsigned int n;
};

static void start(struct session *s, const char *uri)
{
	const struct vhk_ctl_opts co = { .sz = sizeof(co),
					 .timeout_ms = 20000,
					 .n_queues = (uint16_t)s->n,
					 .queue_size = RING };
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = RING };
	unsigned int i;

	T_MUST(!vhk_ctl_open(&s->ctl, uri, &co));
	T_MUST(!vhk_ctl_setup(s->ctl, VHK_F_VERSION_1 | VHK_F_EVENT_IDX, VHK_F_VERSION_1, s->mem));
	o.features = vhk_ctl_features(s->ctl);
	T_MUST(vhk_vq_bytes(&o) <= BLOCK);
	for (i = 0; i < s->n; i++) {
		o.block = s->rings + (size_t)i * BLOCK;
		T_MUST(!vhk_vq_new(&s->vq[i], s->mem, &o));
	}
	T_MUST(!vhk_ctl_start_all(s->ctl, s->vq, s->n));
}

static void end(struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		T_MUST(!vhk_ctl_stop(s->ctl, i, NULL));
	vhk_ctl_close(s->ctl);
	for (i = 0; i < s->n; i++)
		vhk_vq_free(s->vq[i]);
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	T_MUST(!clock_gettime(clock, &t));
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The first moments are those of the start, in which a loop may still look around. */
static double idle_percent(struct session *s, double seconds)
{
	struct timespec wait = { .tv_nsec = 200000000 };
	clockid_t clock;
	uint64_t t, cpu;

	T_MUST(!clock_getcpuclockid(vhk_ctl_peer_pid(s->ctl), &clock));
	nanosleep(&wait, NULL);
	t = t_now_ns();
	cpu = cpu_ns(clock);
	wait.tv_sec = (time_t)seconds;
	wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
	nanosleep(&wait, NULL);
	cpu = cpu_ns(clock) - cpu;
	return 100.0 * (double)cpu / (double)(t_now_ns() - t);
}

int main(int argc, char **argv)
{
	struct session s = { 0 };
	int i, times;
	uint64_t t;

	if (argc != 5 || atoi(argv[2]) < 1 || atoi(argv[2]) > QUEUES_MAX) {
		fprintf(stderr, "usage: session URI QUEUES TIMES SECONDS\n");
		return 2;
	}
	s.n = (unsigned int)atoi(argv[2]);
	times = atoi(argv[3]);
	T_MUST(!vhk_mem_new(&s.mem));
	T_MUST(!vhk_mem_alloc(s.mem, (struct vhk_gpa){ 0x100000 }, (size_t)s.n * BLOCK,
			      (void **)&s.rings));
	for (i = 0; i < times; i++) {
		if (i)
			end(&s);
		t = t_now_ns();
		start(&s, argv[1]);
		printf("%.1f\n", (double)(t_now_ns() - t) / 1000);
	}
	printf("%.4f\n", idle_percent(&s, atof(argv[4])));
	end(&s);
	vhk_mem_free(s.mem);
	return 0;
}
