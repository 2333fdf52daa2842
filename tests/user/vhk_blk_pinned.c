// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk --pin-memory: the guest's memory is pinned by each thread that serves it and let go when
 * it leaves, and requests do what they did.
 */
#include "t_front.h"
#include "t_prog.h"

#define SIZE (1u << 20)

/* What the kernel says that the process has pinned, KiB. */
static long kernel_says(pid_t pid)
{
	char path[64], line[128];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	T_MUST(f);
	while (kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld", &kib);
	fclose(f);
	return kib;
}

static void start(struct t_prog *p, struct t_front *f, const char *more)
{
	char sock[100], file_opt[160], sock_opt[160];
	const char *args[T_ARGS + 1] = { file_opt, sock_opt, "--threads=2", more };
	int fd;

	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s/image", t_dir());
	fd = open(file_opt + strlen("--blk-file="), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0 && !ftruncate(fd, SIZE));
	close(fd);
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, 10000));
	T_MUST(!t_front_open(f, sock, VHK_F_RING_ALL, 2, 64));
}

/* KiB of the front end's memory. */
static long memory_of(const struct t_front *f)
{
	struct vhk_region r;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; !vhk_mem_get(f->mem, i, &r, NULL); i++)
		sum += r.size;
	return (long)(sum >> 10);
}

static void requests(struct t_front *f)
{
	unsigned char data[4096], back[4096];
	unsigned int i;

	for (i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof(data));
		T_EQ(t_front_do(f, i & 1, VIRTIO_BLK_T_OUT, i * 8, data, sizeof(data)), 0);
		T_EQ(t_front_do(f, i & 1, VIRTIO_BLK_T_IN, i * 8, back, sizeof(back)), 0);
		T_EQ(memcmp(data, back, sizeof(data)), 0);
	}
}

/* By each of the two threads, for as long as there is a guest. */
static void pinned_while_served(void)
{
	struct t_front f;
	struct t_prog p;
	unsigned int i;
	long want;

	start(&p, &f, "--pin-memory");
	want = 2 * memory_of(&f);
	requests(&f);
	T_OK(kernel_says(p.pid) >= want);
	t_front_close(&f);
	for (i = 0; i < 1000 && kernel_says(p.pid); i++)
		usleep(10000);
	T_EQ(kernel_says(p.pid), 0);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 5000), 0);
}

static void not_unasked(void)
{
	struct t_front f;
	struct t_prog p;

	start(&p, &f, "--direct");
	requests(&f);
	T_EQ(kernel_says(p.pid), 0);
	t_front_close(&f);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 5000), 0);
}

int main(void)
{
	T_RUN(pinned_while_served);
	T_RUN(not_unasked);
	return t_end();
}
