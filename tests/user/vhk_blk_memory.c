// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What vhk-blk takes for itself: little with four queues at work, and no more after a thousand
 * front ends have come and gone, in memory, in descriptors and in mappings.
 */
#include <dirent.h>

#include "t_front.h"
#include "t_prog.h"

#define SESSIONS 1000
#define WARM 50
#define OWN_KIB_MAX 8192

/* Sanitizers take memory of their own by the hundred MiB, and give it back late. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURED false
#else
#define MEASURED true
#endif

struct usage {
	long own_kib; /* private: neither the guest's memory nor pages of programs and libraries */
	long fds;
	long mappings;
};

static long status_kib(pid_t pid, const char *field)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kib = atol(line + strlen(field));
	fclose(f);
	return kib;
}

static long count_fds(pid_t pid)
{
	char path[64];
	long n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	T_MUST(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long count_mappings(pid_t pid)
{
	char path[64], line[512];
	long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n++;
	fclose(f);
	return n;
}

static struct usage look(pid_t pid)
{
	return (struct usage){ status_kib(pid, "RssAnon:"), count_fds(pid), count_mappings(pid) };
}

static void one_session(const char *sock, struct usage *busy, pid_t pid)
{
	unsigned char data[4096];
	struct t_front f;
	unsigned int q;

	T_MUST(!t_front_open(&f, sock, VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_MQ, T_QUEUES, 256));
	for (q = 0; q < T_QUEUES; q++)
		T_EQ(t_front_do(&f, q, VIRTIO_BLK_T_IN, 8, data, sizeof(data)), 0);
	if (busy)
		*busy = look(pid);
	t_front_close(&f);
}

static void sessions_leave_nothing(void)
{
	char image[100], sock[100], file_opt[128], sock_opt[128];
	const char *args[T_ARGS + 1] = { file_opt, sock_opt, "--num-queues=4" };
	struct usage before, after;
	struct t_prog p;
	unsigned int i;

	snprintf(image, sizeof(image), "%s/disk.img", t_dir());
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	T_MUST(!close(open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	T_MUST(!truncate(image, 1 << 20));
	t_prog_start(&p, "vhk-blk", args);
	T_MUST(t_prog_ready(&p, 10000));
	for (i = 0; i < WARM; i++)
		one_session(sock, NULL, p.pid);
	one_session(sock, &before, p.pid);
	for (i = 0; i < SESSIONS - 1; i++)
		one_session(sock, NULL, p.pid);
	one_session(sock, &after, p.pid);
	printf("# own memory %ld KiB, then %ld; fds %ld, %ld; mappings %ld, %ld\n", before.own_kib,
	       after.own_kib, before.fds, after.fds, before.mappings, after.mappings);
	T_EQ(after.fds, before.fds);
	if (MEASURED) {
		T_OK(after.own_kib < OWN_KIB_MAX);
		T_OK(after.own_kib <= before.own_kib + 64);
		T_OK(after.mappings <= before.mappings);
	}
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, 5000), 0);
}

int main(void)
{
	T_RUN(sessions_leave_nothing);
	return t_end();
}
