// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: what a random read of 4 KiB costs, past the page cache.
 * Prints ns per request, which are instructions where the clock counts these.
 *
 *   disk_rate aio DISK_OR_FILE DEPTH COUNT [JOBS]   through the block layer, by Linux AIO
 *   disk_rate ring NODE DEPTH COUNT                 through vhost-vdpa, by a driver that does no
 *           more than it has to: a split ring, chains of three descriptors, flags in place of
 *           EVENT_IDX
 *
 * With JOBS as many processes do COUNT each, every one on a processor of its own, and what is
 * printed is the time that went by for one request of all.
 */
#define SIZE 128u
#include "vdpa_driver.h"

#include <linux/aio_abi.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK 4096u
#define DEPTH_MAX (SIZE / 4)
#define SECTORS (BLOCK / 512)

static unsigned int depth;
static uint64_t n_blocks, next;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static uint64_t any_block(void)
{
	next = next * 6364136223846793005u + 1442695040888963407u;
	return (next >> 33) % n_blocks;
}

struct aio {
	aio_context_t ctx;
	struct iocb cb[DEPTH_MAX];
	int fd;
};

static struct aio aio;

static void aio_open(const char *path)
{
	unsigned char *buf = mmap(NULL, DEPTH_MAX * BLOCK, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	unsigned int i;

	TRY(aio.fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC));
	TRY(syscall(SYS_io_setup, DEPTH_MAX, &aio.ctx));
	n_blocks = (uint64_t)lseek(aio.fd, 0, SEEK_END) / BLOCK;
	for (i = 0; i < DEPTH_MAX; i++) {
		aio.cb[i].aio_fildes = (uint32_t)aio.fd;
		aio.cb[i].aio_lio_opcode = IOCB_CMD_PREAD;
		aio.cb[i].aio_buf = (uint64_t)(uintptr_t)(buf + i * BLOCK);
		aio.cb[i].aio_nbytes = BLOCK;
	}
}

static void aio_put(struct iocb **list, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		list[i]->aio_offset = (int64_t)(any_block() * BLOCK);
	if (syscall(SYS_io_submit, aio.ctx, n, list) != (long)n)
		drv_fail("io_submit");
}

/* Requests that are under way stay so: as many are put as came back. */
static unsigned int aio_turn(bool first)
{
	struct io_event done[DEPTH_MAX];
	struct iocb *list[DEPTH_MAX];
	long i, n = depth;

	if (!first)
		TRY(n = syscall(SYS_io_getevents, aio.ctx, 1, depth, done, NULL));
	for (i = 0; i < n; i++) {
		if (!first && done[i].res != BLOCK)
			drv_fail("a read");
		list[i] = first ? aio.cb + i : (void *)(uintptr_t)done[i].obj;
	}
	aio_put(list, (unsigned int)n);
	return (unsigned int)n;
}

static struct driver drv;

static void ring_open(const char *path)
{
	struct {
		struct vhost_vdpa_config head;
		uint64_t sectors;
	} c = { .head = { .off = 0, .len = 8 } };

	drv.path = path;
	drv_open(&drv);
	drv_start(&drv, 1ull << PACKED | 1ull << IN_ORDER | 1ull << VIRTIO_RING_F_EVENT_IDX |
				1ull << VIRTIO_RING_F_INDIRECT_DESC);
	TRY(ioctl(drv.fd, VHOST_VDPA_GET_CONFIG, &c));
	n_blocks = c.sectors / SECTORS;
	TRY(fcntl(drv.call, F_SETFL, 0));
}

static void ring_put(unsigned int slot)
{
	const struct drv_req r = {
		.type = VIRTIO_BLK_T_IN,
		.sector = any_block() * SECTORS,
		.data = IOVA + AT_DATA + slot * BLOCK,
		.len = BLOCK,
	};

	drv_put(&drv, slot, &r);
}

/* What is in the used ring, put once more. */
static unsigned int ring_reap(void)
{
	unsigned int n = 0, slot;
	uint32_t len;
	int id;

	while ((id = drv_get(&drv, 3, &len)) >= 0) {
		slot = (unsigned int)id / 4;
		if (slot >= depth || drv.mem[AT_STATUS + slot] || len != BLOCK + 1)
			drv_fail("a read");
		ring_put(slot);
		n++;
	}
	return n;
}

static void ring_kick(void)
{
	const volatile uint16_t *flags = (void *)(drv.mem + AT_DEVICE);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(*flags & VRING_USED_F_NO_NOTIFY))
		drv_kick(&drv);
}

/* Calls are wanted while it waits only. */
static unsigned int ring_turn(bool first)
{
	volatile uint16_t *flags = drv_avail(&drv);
	unsigned int n;
	uint64_t calls;

	if (first) {
		for (n = 0; n < depth; n++)
			ring_put(n);
		ring_kick();
		return n;
	}
	while (!(n = ring_reap())) {
		*flags = 0;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (*drv_used_idx(&drv) == drv.used)
			TRY(read(drv.call, &calls, sizeof(calls)));
		*flags = VRING_AVAIL_F_NO_INTERRUPT;
	}
	ring_kick();
	return n;
}

/* So many requests more. */
static uint64_t run(unsigned int (*turn)(bool first), uint64_t count)
{
	uint64_t n = 0;

	while (n < count)
		n += turn(false);
	return n;
}

/* One of several: is warm, says so, and begins when it is told. */
static void job(unsigned int i, const char *path, uint64_t count, int ready, int go)
{
	cpu_set_t cpus;
	char c = 0;

	CPU_ZERO(&cpus);
	CPU_SET(i, &cpus);
	TRY(sched_setaffinity(0, sizeof(cpus), &cpus));
	next = i;
	aio_open(path);
	aio_turn(true);
	run(aio_turn, 4 * DEPTH_MAX);
	if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(1);
	run(aio_turn, count);
	_exit(0);
}

static void run_jobs(unsigned int n, const char *path, uint64_t count)
{
	int ready[2], go[2], status;
	int64_t start;
	unsigned int i;
	char c = 0;

	TRY(pipe(ready));
	TRY(pipe(go));
	for (i = 0; i < n; i++) {
		pid_t pid;

		TRY(pid = fork());
		if (!pid)
			job(i, path, count, ready[1], go[0]);
	}
	TRY(close(ready[1]));
	for (i = 0; i < n; i++)
		if (read(ready[0], &c, 1) != 1)
			drv_fail("a job");
	start = now();
	for (i = 0; i < n; i++)
		if (write(go[1], &c, 1) != 1)
			drv_fail("a job");
	for (i = 0; i < n; i++) {
		TRY(wait(&status));
		if (status)
			drv_fail("a job");
	}
	printf("%lld\n", (long long)((uint64_t)(now() - start) / (n * count)));
}

int main(int argc, char **argv)
{
	unsigned int (*turn)(bool first) = aio_turn;
	uint64_t n, count;
	int64_t start;
	int jobs;

	if (argc != 5 && argc != 6)
		return 2;
	depth = (unsigned int)atoi(argv[3]);
	count = (uint64_t)atoll(argv[4]);
	jobs = argc == 6 ? atoi(argv[5]) : 0;
	if (!depth || depth > DEPTH_MAX || !count || jobs < 0 || jobs > 64)
		return 2;
	if (jobs) {
		run_jobs((unsigned int)jobs, argv[2], count);
		return 0;
	}
	if (!strcmp(argv[1], "ring")) {
		ring_open(argv[2]);
		turn = ring_turn;
	} else {
		aio_open(argv[2]);
	}
	if (!n_blocks)
		return 2;
	turn(true);
	run(turn, 4 * DEPTH_MAX);
	start = now();
	n = run(turn, count);
	printf("%lld\n", (long long)((uint64_t)(now() - start) / n));
	return 0;
}
