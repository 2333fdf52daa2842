// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A file behind guest memory shrinks while we work on it: with vhk_mem_fault() in the SIGBUS
 * handler the process lives and the scope that was in force says so. Faults elsewhere are not ours.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "mem.h"
#include "t.h"

#define PAGE 4096ull

static sigjmp_buf out;
static volatile sig_atomic_t refused;

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	if (vhk_mem_fault(info->si_addr))
		return;
	refused++;
	siglongjmp(out, 1);
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	T_MUST(!sigaction(SIGBUS, &sa, NULL));
}

static int new_file(uint64_t size)
{
	int fd = memfd_create("region", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

/* Eight pages, from an odd place in the file on; *fd is a duplicate that stays open. */
static struct vhk_mem *one_region(int *fd)
{
	struct vhk_region r = { .gpa = { 0x10000 }, .size = 8 * PAGE, .offset = 100 };
	struct vhk_mem *m;

	T_MUST(!vhk_mem_new(&m));
	*fd = new_file(9 * PAGE);
	T_EQ(vhk_mem_add_take_fd(m, &r, dup(*fd)), 0);
	return m;
}

static unsigned char *at(struct vhk_table *t, uint64_t gpa)
{
	unsigned int hint = 0;
	unsigned char *va = vhk_table_at(t, gpa, 1, &hint);

	T_MUST(va);
	return va;
}

static bool touch(volatile unsigned char *p)
{
	if (sigsetjmp(out, 1))
		return false;
	*p = (unsigned char)(*p + 1);
	return true;
}

/* What was not met is still missing for the kernel, which must find no zeros to write to a disk. */
static bool kernel_finds(const void *page)
{
	const int null = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool found;

	T_MUST(null >= 0);
	found = write(null, page, 1) == 1;
	close(null);
	return found;
}

static void what_is_met_becomes_zeros(void)
{
	struct vhk_fault_scope s;
	struct vhk_table *t;
	struct vhk_mem *m;
	int fd;

	m = one_region(&fd);
	t = vhk_mem_table(m);
	*at(t, 0x10000) = 11;
	*at(t, 0x10000 + 4 * PAGE) = 22;
	vhk_fault_enter(&s, t);
	T_OK(touch(at(t, 0x10000)));
	T_OK(!s.torn);
	T_MUST(!ftruncate(fd, 3 * PAGE));
	T_OK(touch(at(t, 0x10000 + 4 * PAGE)));
	T_OK(s.torn);
	T_EQ(*at(t, 0x10000 + 4 * PAGE), 1);
	T_OK(kernel_finds(at(t, 0x10000 + 4 * PAGE)));
	T_OK(!kernel_finds(at(t, 0x10000 + 3 * PAGE)));
	T_OK(!kernel_finds(at(t, 0x10000 + 5 * PAGE)));
	s.torn = false;
	T_OK(touch(at(t, 0x10000 + 7 * PAGE)));
	T_OK(s.torn);
	T_EQ(*at(t, 0x10000 + 7 * PAGE), 1);
	T_EQ(*at(t, 0x10000), 12);
	vhk_fault_leave(&s);
	vhk_table_put(t);
	vhk_mem_free(m);
	close(fd);
}

/* Each page that is replaced is a mapping, and a process may have only so many. */
static void more_pages_than_mappings(void)
{
	const struct vhk_region r = { { 0x10000 }, { 0x20000 }, 400000ULL * PAGE, 0 };
	int fd = memfd_create("vhk-test", MFD_CLOEXEC), mine = dup(fd);
	struct vhk_fault_scope s;
	struct vhk_table *t;
	struct vhk_mem *m;
	uint64_t i;

	T_MUST(fd >= 0 && mine >= 0 && !ftruncate(fd, (off_t)r.size));
	T_MUST(!vhk_mem_new(&m) && !vhk_mem_add_take_fd(m, &r, fd));
	t = vhk_mem_table(m);
	vhk_fault_enter(&s, t);
	T_MUST(!ftruncate(mine, 0));
	for (i = 0; i < 200000 && !t_bad; i++)
		T_OK(touch(at(t, 0x10000 + 2 * i * PAGE)));
	T_OK(s.torn);
	vhk_fault_leave(&s);
	vhk_table_put(t);
	vhk_mem_free(m);
	close(mine);
}

static void a_fault_outside_of_a_scope_is_not_ours(void)
{
	struct vhk_fault_scope s;
	struct vhk_table *t;
	struct vhk_mem *m, *other;
	int fd;

	m = one_region(&fd);
	t = vhk_mem_table(m);
	T_MUST(!ftruncate(fd, 0));
	refused = 0;
	T_OK(!touch(at(t, 0x10000)));
	T_EQ(refused, 1);
	vhk_fault_enter(&s, t);
	vhk_fault_leave(&s);
	T_OK(!touch(at(t, 0x10000)));
	T_EQ(refused, 2);
	T_OK(!s.torn);
	/* In a scope, but of another table. */
	T_MUST(!vhk_mem_new(&other));
	vhk_fault_enter(&s, NULL);
	T_OK(!touch(at(t, 0x10000)));
	vhk_fault_leave(&s);
	T_EQ(refused, 3);
	T_OK(!vhk_mem_fault(&s));
	T_OK(!vhk_mem_fault(NULL));
	vhk_mem_free(other);
	vhk_table_put(t);
	vhk_mem_free(m);
	close(fd);
}

/* Two queues of one session, and one of another, left in the order in which they were entered. */
static void all_queues_of_a_session_are_told(void)
{
	struct vhk_fault_scope s[3];
	struct vhk_mem *m, *other;
	struct vhk_table *t;
	int fd, fd_other;

	m = one_region(&fd);
	other = one_region(&fd_other);
	t = vhk_mem_table(m);
	vhk_fault_enter(&s[0], t);
	vhk_fault_enter(&s[1], vhk_mem_table(other));
	vhk_fault_enter(&s[2], t);
	T_MUST(!ftruncate(fd, 0));
	T_OK(touch(at(t, 0x10000 + 5 * PAGE)));
	T_OK(s[0].torn && !s[1].torn && s[2].torn);
	vhk_fault_leave(&s[0]);
	s[2].torn = false;
	T_OK(touch(at(t, 0x10000)));
	T_OK(s[2].torn);
	vhk_fault_leave(&s[2]);
	T_OK(!vhk_mem_fault(at(t, 0x10000)));
	T_MUST(!ftruncate(fd_other, 0));
	T_OK(touch(at((struct vhk_table *)s[1].table, 0x10000)));
	T_OK(s[1].torn);
	/* A queue that changes over to another table answers for that one. */
	vhk_table_put((struct vhk_table *)s[1].table);
	s[1].table = t;
	T_OK(vhk_mem_fault(at(t, 0x10000)));
	vhk_fault_leave(&s[1]);
	vhk_fault_leave(&s[1]);
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_mem_free(other);
	close(fd);
	close(fd_other);
}

static void scopes_nest(void)
{
	struct vhk_fault_scope outer, inner;
	struct vhk_mem *a, *b;
	struct vhk_table *ta, *tb;
	int fda, fdb;

	a = one_region(&fda);
	b = one_region(&fdb);
	ta = vhk_mem_table(a);
	tb = vhk_mem_table(b);
	T_MUST(!ftruncate(fda, 0) && !ftruncate(fdb, 0));
	vhk_fault_enter(&outer, ta);
	vhk_fault_enter(&inner, tb);
	T_OK(touch(at(ta, 0x10000)));
	T_OK(outer.torn && !inner.torn);
	T_OK(touch(at(tb, 0x10000)));
	T_OK(inner.torn);
	vhk_fault_leave(&inner);
	vhk_fault_leave(&outer);
	vhk_table_put(ta);
	vhk_table_put(tb);
	vhk_mem_free(a);
	vhk_mem_free(b);
	close(fda);
	close(fdb);
}

static void *fault_in_a_thread(void *arg)
{
	struct vhk_fault_scope s;
	struct vhk_table *t = arg;
	volatile unsigned char *p = at(t, 0x10000 + 5 * PAGE);

	vhk_fault_enter(&s, t);
	*p = 5;
	vhk_fault_leave(&s);
	return s.torn && *p == 5 ? arg : NULL;
}

static void scopes_are_a_threads_own(void)
{
	struct vhk_table *t;
	struct vhk_mem *m;
	pthread_t thread;
	void *ret = NULL;
	int fd;

	m = one_region(&fd);
	t = vhk_mem_table(m);
	T_MUST(!ftruncate(fd, PAGE));
	T_MUST(!pthread_create(&thread, NULL, fault_in_a_thread, t));
	T_MUST(!pthread_join(thread, &ret));
	T_OK(ret);
	vhk_table_put(t);
	vhk_mem_free(m);
	close(fd);
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;

	T_MUST(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void fault_once(void)
{
	struct vhk_fault_scope s;
	struct vhk_table *t;
	struct vhk_mem *m;
	int fd;

	m = one_region(&fd);
	t = vhk_mem_table(m);
	T_MUST(!ftruncate(fd, 2 * PAGE));
	vhk_fault_enter(&s, t);
	T_OK(touch(at(t, 0x10000 + 6 * PAGE)));
	vhk_fault_leave(&s);
	vhk_table_put(t);
	vhk_mem_free(m);
	close(fd);
}

static void a_torn_region_is_unmapped_whole(void)
{
	int before, i;

	fault_once();
	before = count_maps();
	for (i = 0; i < 100; i++)
		fault_once();
	T_OK(count_maps() <= before + 2);
}

static void memory_of_our_own_cannot_shrink(void)
{
	struct vhk_mem *m;
	void *va;
	int fd;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 3 * PAGE - 5, &va), 0);
	T_EQ(vhk_mem_get(m, 0, NULL, &fd), 0);
	T_OK(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_EQ(ftruncate(fd, 0), -1);
	T_EQ(errno, EPERM);
	T_EQ(ftruncate(fd, 1 << 20), -1);
	T_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	memset(va, 1, 3 * PAGE - 5);
	vhk_mem_free(m);
}

int main(void)
{
	install();
	T_RUN(what_is_met_becomes_zeros);
	T_RUN(more_pages_than_mappings);
	T_RUN(a_fault_outside_of_a_scope_is_not_ours);
	T_RUN(scopes_nest);
	T_RUN(all_queues_of_a_session_are_told);
	T_RUN(scopes_are_a_threads_own);
	T_RUN(a_torn_region_is_unmapped_whole);
	T_RUN(memory_of_our_own_cannot_shrink);
	return t_end();
}
