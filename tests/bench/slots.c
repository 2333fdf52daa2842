// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What adding memory does to requests that are under way: the latency of reads from a disk of
 * vhk-blk while nothing else happens, and while the front end adds 500 regions one after the other.
 * Rounds alternate; medians of their 50th and 99th percentiles are printed, and how many file
 * descriptors the back end has open before and after.
 */
#include <dirent.h>
#include <sys/mman.h>

#include "t_front.h"
#include "t_prog.h"

#define ROUNDS 7
#define SLOTS 500
#define READS 4000
#define SLOT_SIZE 65536ull
#define SLOT_GPA 0x100000000ull

struct round {
	double p50, p99;
};

struct adder {
	struct t_front *f;
	struct vhk_ctl_req req;
	unsigned int added, failed;
	bool on;
	int fd;
};

static void add_next(struct adder *a);

static void added(struct vhk_ctl_req *r)
{
	struct adder *a = r->arg;

	a->failed += r->ret != 0;
	a->added++;
	a->on = false;
}

static void add_next(struct adder *a)
{
	const uint64_t at = SLOT_GPA + a->added * SLOT_SIZE;

	if (a->on || a->added == SLOTS)
		return;
	a->req = (struct vhk_ctl_req){
		.op = VHK_CTL_ADD_MEM_REG,
		.fd = a->fd,
		.region = { { at }, { at }, SLOT_SIZE, a->added * SLOT_SIZE },
		.done = added,
		.arg = a,
	};
	a->on = true;
	T_MUST(!vhk_ctl_submit(a->f->ctl, &a->req));
}

static void remove_all(struct adder *a)
{
	unsigned int i;

	for (i = 0; i < a->added; i++) {
		const uint64_t at = SLOT_GPA + i * SLOT_SIZE;
		const struct vhk_region r = { { at }, { at }, SLOT_SIZE, i * SLOT_SIZE };

		T_MUST(!vhk_ctl_rem_mem_reg(a->f->ctl, &r));
	}
	a->added = 0;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Reads, one after the other; with @a, regions are added meanwhile. */
static struct round reads(struct t_front *f, struct adder *a)
{
	static double us[READS];
	unsigned char data[4096];
	unsigned int n;
	uint64_t t;

	for (n = 0; n < READS; n++) {
		if (a)
			add_next(a);
		t = t_now_ns();
		T_MUST(!t_front_do(f, 0, VIRTIO_BLK_T_IN, n * 8 % 8192, data, sizeof(data)));
		us[n] = (double)(t_now_ns() - t) / 1000;
		if (a)
			vhk_ctl_process(f->ctl);
	}
	qsort(us, READS, sizeof(us[0]), by_value);
	return (struct round){ us[READS / 2], us[READS * 99 / 100] };
}

static unsigned int fds_of(pid_t pid)
{
	unsigned int n = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	T_MUST(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static double median(struct round *r, size_t member)
{
	double v[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++)
		v[i] = *(double *)(void *)((char *)&r[i] + member);
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	return v[ROUNDS / 2];
}

static void print_row(const char *what, struct round *r)
{
	printf("%-22s%10.1f%10.1f\n", what, median(r, offsetof(struct round, p50)),
	       median(r, offsetof(struct round, p99)));
}

int main(void)
{
	static const char *const args[] = { "--blk-file=/dev/shm/vhk-bench-slots.img",
					    "--socket-path=/dev/shm/vhk-bench-slots.sock", NULL };
	struct round still[ROUNDS], busy[ROUNDS];
	unsigned int i, before, after = 0, fastest = SLOTS;
	struct adder a = { 0 };
	struct t_front f;
	struct t_prog p;
	int image = open("/dev/shm/vhk-bench-slots.img", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	T_MUST(image >= 0 && !posix_fallocate(image, 0, 16 << 20));
	a.f = &f;
	a.fd = memfd_create("slots", MFD_CLOEXEC);
	T_MUST(a.fd >= 0 && !ftruncate(a.fd, (off_t)(SLOTS * SLOT_SIZE)));
	t_prog_start(&p, "vhk-blk", args);
	T_MUST(t_prog_ready(&p, 10000));
	T_MUST(!t_front_open(&f, args[1] + strlen("--socket-path="), VHK_F_RING_ALL, 1, 64));
	reads(&f, NULL);
	before = fds_of(p.pid);
	for (i = 0; i < ROUNDS; i++) {
		still[i] = reads(&f, NULL);
		busy[i] = reads(&f, &a);
		while (a.on)
			T_MUST(!vhk_ctl_process(f.ctl));
		fastest = a.added < fastest ? a.added : fastest;
		after = fds_of(p.pid);
		remove_all(&a);
	}
	printf("%-22s%10s%10s\n", "us", "p50", "p99");
	print_row("nothing else", still);
	print_row("regions are added", busy);
	printf("%u regions or more a round, %u refused; fds of the back end: %u, then %u\n",
	       fastest, a.failed, before, after);
	t_front_close(&f);
	kill(p.pid, SIGTERM);
	t_prog_end(&p, 5000);
	close(image);
	unlink("/dev/shm/vhk-bench-slots.img");
	return 0;
}
