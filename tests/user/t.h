/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every test program shares: TAP output, comparisons that print both values, skips, a folder
 * of its own, waiting on an fd with a deadline. A test calls T_RUN() for each function and returns
 * t_end().
 */
#ifndef VHK_TESTS_T_H
#define VHK_TESTS_T_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int t_count, t_failed, t_bad, t_dead;
static const char *t_skipped;
static char t_folder[64];

#define T_OK(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);              \
			t_bad++;                                                                   \
		}                                                                                  \
	} while (0)

#define T_EQ(got, want)                                                                            \
	do {                                                                                       \
		int64_t t_got = (int64_t)(got), t_want = (int64_t)(want);                          \
		if (t_got != t_want) {                                                             \
			printf("# %s:%d: %s is %" PRId64 " (0x%" PRIx64 "), want %" PRId64         \
			       " (0x%" PRIx64 ")\n",                                               \
			       __FILE__, __LINE__, #got, t_got, (uint64_t)t_got, t_want,           \
			       (uint64_t)t_want);                                                  \
			t_bad++;                                                                   \
		}                                                                                  \
	} while (0)

#define T_STR(got, want)                                                                           \
	do {                                                                                       \
		const char *t_got = (got), *t_want = (want);                                       \
		if (!t_got || strcmp(t_got, t_want)) {                                             \
			printf("# %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got,   \
			       t_got ? t_got : "(null)", t_want);                                  \
			t_bad++;                                                                   \
		}                                                                                  \
	} while (0)

/* What the rest of the test stands on: ends the program when it does not hold. */
#define T_MUST(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# %s:%d: must hold: %s (errno %s)\n", __FILE__, __LINE__, #cond,   \
			       strerror(errno));                                                   \
			printf("not ok %d - gave up\n1..%d\n", t_count + 1, t_count + 1);          \
			fflush(stdout);                                                            \
			t_dead = 1;                                                                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Leaves the running function with a reason. REQUIRE_ALL=1 turns it into a failure. */
#define T_SKIP(reason)                                                                             \
	do {                                                                                       \
		t_skipped = (reason);                                                              \
		return;                                                                            \
	} while (0)

#define T_RUN(fn) t_run(#fn, fn)

static inline void t_run(const char *name, void (*fn)(void))
{
	const char *all = getenv("REQUIRE_ALL");

	t_bad = 0;
	t_skipped = NULL;
	fn();
	t_count++;
	if (t_skipped && all && !strcmp(all, "1")) {
		printf("# skipped (%s), and skips are failures here\n", t_skipped);
		t_bad++;
	}
	t_failed += t_bad != 0;
	printf("%s %d - %s", t_bad ? "not ok" : "ok", t_count, name);
	if (t_skipped)
		printf(" # SKIP %s", t_skipped);
	printf("\n");
	fflush(stdout);
}

static inline int t_end(void)
{
	printf("1..%d\n", t_count);
	return t_failed != 0;
}

static inline void t_remove_folder(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", t_folder);
	if (system(cmd))
		fprintf(stderr, "%s: left behind\n", t_folder);
}

/* A folder of the test's own, removed at exit. */
static inline const char *t_dir(void)
{
	if (!t_folder[0]) {
		strcpy(t_folder, "/tmp/vhk-test-XXXXXX");
		T_MUST(mkdtemp(t_folder));
		atexit(t_remove_folder);
	}
	return t_folder;
}

/* True when @fd became readable within @ms. */
static inline bool t_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static inline uint64_t t_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Open file descriptors of this process. */
static inline int t_count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Mappings of this process whose file has @name in its own. */
static inline unsigned int t_count_maps(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, name) != NULL;
	fclose(f);
	return n;
}

#endif
