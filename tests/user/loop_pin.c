// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Guest memory registered with io_uring. A page that is taken out of the memory's file shows which
 * way an operation went: registered memory is still the page that was there before.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "loop_pin.h"
#include "loop_t.h"
#include "mem.h"

#define PAGE 4096
#define N_REGIONS 509

static const struct t_mode own = { VHK_LOOP_IO_URING, VHK_LOOP_F_PIN };
static const struct t_mode plain = { VHK_LOOP_IO_URING, 0 };

static unsigned int n_lines;

static void count_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	n_lines += level <= VHK_LOG_WARN && strstr(text, "cannot be pinned");
}

static uint64_t pinned(const struct vhk_loop *l)
{
	struct vhk_loop_stats s;

	vhk_loop_stats(l, &s);
	return s.pinned;
}

static int res;

static void io_done(struct vhk_io *io, int r)
{
	(void)io;
	res = r;
}

/* One page of the file, whose bytes are all 0x5a, to @va. */
static int read_page(struct vhk_loop *l, void *va)
{
	static unsigned char page[PAGE];
	struct iovec iov = { va, PAGE };
	struct vhk_io io = { .op = VHK_IO_READ, .n_iov = 1, .iov = &iov, .done = io_done };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file%u", t_dir(), geteuid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memset(page, 0x5a, sizeof(page));
	T_MUST(fd >= 0 && pwrite(fd, page, sizeof(page), 0) == PAGE);
	io.file = vhk_loop_add_file(l, fd, 0);
	T_MUST(io.file >= 0);
	vhk_loop_submit(l, &io);
	while (vhk_loop_io_in_flight(l))
		vhk_loop_step(l, 100 * T_MS);
	vhk_loop_del_file(l, io.file);
	close(fd);
	return res;
}

static int new_memfd(size_t size)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

/* @n regions of one page each, all of one file; the file's fd, which the caller closes. */
static int new_memory(struct vhk_mem **m, unsigned int n)
{
	struct vhk_region r = { .size = PAGE };
	int fd = new_memfd((size_t)n * PAGE);
	unsigned int i;

	T_MUST(!vhk_mem_new(m));
	for (i = 0; i < n; i++) {
		r.gpa.v = 2 * i * PAGE;
		r.uva.v = r.gpa.v;
		r.offset = (uint64_t)i * PAGE;
		T_MUST(!vhk_mem_add_take_fd(*m, &r, dup(fd)));
	}
	return fd;
}

static unsigned char *at(const struct vhk_table *t, unsigned int i)
{
	return t->by_gpa[i].va;
}

/* What the driver sees of a page that is given back while the loop has it, and then read into. */
static unsigned char given_back(const struct t_mode *mode)
{
	struct vhk_loop *l = t_loop(mode);
	struct vhk_table *t;
	struct vhk_mem *m;
	unsigned char seen;
	int fd = new_memory(&m, 1);

	t = vhk_mem_table(m);
	*at(t, 0) = 1;
	vhk_loop_pin(l, t);
	T_EQ(pinned(l), mode->flags & VHK_LOOP_F_PIN ? PAGE : 0);
	T_MUST(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	T_EQ(*at(t, 0), 0);
	T_EQ(read_page(l, at(t, 0)), PAGE);
	seen = *at(t, 0);
	vhk_loop_unpin(l, t);
	T_EQ(pinned(l), 0);
	/* nobody's any more: now it is found where it is */
	T_EQ(read_page(l, at(t, 0)), PAGE);
	T_EQ(*at(t, 0), 0x5a);
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_loop_free(l);
	close(fd);
	return seen;
}

static void registered_on_request_only(void)
{
	T_EQ(given_back(&plain), 0x5a);
	T_EQ(given_back(&own), 0);
}

/* Two queues, then a table with one region less: the other region stays as it is. */
static void tables_share_what_they_share(void)
{
	struct vhk_loop *l = t_loop(&own);
	struct vhk_table *both, *one;
	struct vhk_mem *m;
	int fd = new_memory(&m, 2);

	both = vhk_mem_table(m);
	vhk_loop_pin(l, both);
	vhk_loop_pin(l, both);
	T_EQ(pinned(l), 2 * PAGE);
	T_EQ(vhk_mem_del(m, &both->region[0]), 0);
	one = vhk_mem_table(m);
	vhk_loop_pin(l, one);
	vhk_loop_unpin(l, both);
	T_EQ(pinned(l), 2 * PAGE);
	vhk_loop_pin(l, one);
	vhk_loop_unpin(l, both);
	T_EQ(pinned(l), PAGE);
	T_EQ(vhk_pin_find(l, at(both, 0), PAGE), -1);
	T_OK(vhk_pin_find(l, at(both, 1), PAGE) >= 0);
	vhk_table_put(both);
	T_EQ(read_page(l, at(one, 0)), PAGE);
	T_EQ(*at(one, 0), 0x5a);
	vhk_loop_unpin(l, one);
	vhk_loop_unpin(l, one);
	T_EQ(pinned(l), 0);
	vhk_table_put(one);
	vhk_mem_free(m);
	vhk_loop_free(l);
	close(fd);
}

/* The loop is freed while it has memory. */
static void all_slots(void)
{
	struct vhk_loop *l = t_loop(&own);
	struct vhk_table *t;
	struct vhk_mem *m;
	int fd = new_memory(&m, N_REGIONS);
	unsigned int i;

	t = vhk_mem_table(m);
	vhk_loop_pin(l, t);
	T_EQ(pinned(l), N_REGIONS * PAGE);
	for (i = 0; i < N_REGIONS; i++) {
		T_OK(vhk_pin_find(l, at(t, i), PAGE) >= 0);
		T_EQ(vhk_pin_find(l, at(t, i) + 1, PAGE), -1);
		T_EQ(vhk_pin_find(l, at(t, i) - 1, 2), -1);
	}
	for (i = 0; i < N_REGIONS; i += 50) {
		T_EQ(read_page(l, at(t, i)), PAGE);
		T_EQ(at(t, i)[PAGE - 1], 0x5a);
	}
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_loop_free(l);
	close(fd);
}

/* A region whose pages are not there is used as without the flag, and told of once. */
static void what_cannot_be_is_said(void)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .flags = VHK_LOOP_F_PIN,
				   .engine = VHK_LOOP_IO_URING,
				   .log = { .fn = count_line, .level = VHK_LOG_WARN } };
	struct vhk_region there = { .gpa = { 1 << 20 }, .uva = { 1 << 20 }, .size = PAGE };
	struct vhk_table *t;
	struct vhk_loop *l;
	struct vhk_mem *m;
	int fd = new_memory(&m, 2), other = new_memfd(PAGE);

	T_MUST(!vhk_loop_new(&l, &o));
	T_MUST(!vhk_mem_add_take_fd(m, &there, other));
	t = vhk_mem_table(m);
	T_MUST(!ftruncate(fd, 0));
	n_lines = 0;
	vhk_loop_pin(l, t);
	T_EQ(pinned(l), PAGE);
	T_EQ(n_lines, 1);
	T_EQ(vhk_pin_find(l, at(t, 0), PAGE), -1);
	T_MUST(!ftruncate(fd, 2 * PAGE));
	T_EQ(read_page(l, at(t, 0)), PAGE);
	T_EQ(*at(t, 0), 0x5a);
	vhk_loop_unpin(l, t);
	T_EQ(pinned(l), 0);
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_loop_free(l);
	close(fd);
}

/*
 * With room for one memory and a half: the new one finds it when the old one is gone. What the
 * limit does not let in is not brought into memory piece by piece.
 */
static void within_the_limit(void)
{
	const struct rlimit limit = { 6 << 20, 6 << 20 };
	struct vhk_mem *m[2], *large;
	struct vhk_region r = { .size = 4 << 20 };
	struct vhk_table *t[2], *tl;
	struct vhk_loop *l;
	struct stat st;
	int i, fd;

	T_MUST(!setrlimit(RLIMIT_MEMLOCK, &limit));
	/* of root nothing is counted */
	if (!geteuid())
		T_MUST(!setresuid(64123, 64123, 64123));
	l = t_loop(&own);
	for (i = 0; i < 2; i++) {
		T_MUST(!vhk_mem_new(&m[i]));
		T_MUST(!vhk_mem_add_take_fd(m[i], &r, new_memfd(4 << 20)));
		t[i] = vhk_mem_table(m[i]);
		vhk_loop_pin(l, t[i]);
		T_EQ(pinned(l), 4 << 20);
	}
	vhk_loop_unpin(l, t[0]);
	T_EQ(pinned(l), 4 << 20);
	T_OK(vhk_pin_find(l, at(t[1], 0), PAGE) >= 0);
	fd = new_memfd(64 << 20);
	T_MUST(!vhk_mem_new(&large));
	for (i = 0; i < 8; i++) {
		r = (struct vhk_region){ .gpa = { (uint64_t)i << 24 }, .size = 8 << 20,
					 .offset = (uint64_t)i << 23 };
		r.uva.v = r.gpa.v;
		T_MUST(!vhk_mem_add_take_fd(large, &r, dup(fd)));
	}
	tl = vhk_mem_table(large);
	vhk_loop_pin(l, tl);
	T_EQ(pinned(l), 4 << 20);
	T_MUST(!fstat(fd, &st));
	T_OK(st.st_blocks * 512 <= 8 << 20);
	vhk_loop_unpin(l, tl);
	vhk_loop_unpin(l, t[1]);
	T_EQ(pinned(l), 0);
	vhk_loop_free(l);
}

/* In a process of its own, which has less rights afterwards. */
static void limits(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	T_MUST(pid >= 0);
	if (!pid) {
		within_the_limit();
		_exit(t_bad != 0);
	}
	T_MUST(waitpid(pid, &status, 0) == pid);
	T_EQ(status, 0);
}

static void late_memory_is_not(void)
{
	struct vhk_loop *l = t_loop(&own);
	struct vhk_table *t;
	struct vhk_mem *m;
	int fd = new_memory(&m, 1);

	t = vhk_mem_table(m);
	vhk_table_set_late(t, true);
	vhk_loop_pin(l, t);
	T_EQ(pinned(l), 0);
	T_EQ(vhk_pin_find(l, at(t, 0), PAGE), -1);
	vhk_loop_unpin(l, t);
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_loop_free(l);
	close(fd);
}

/* The limit holds for the ring and not for the memory; the rights of root would do without. */
static void in_the_childs_limits(void)
{
	struct rlimit little = { 1 << 18, 1 << 18 };
	struct vhk_loop_opts o = { .sz = sizeof(o), .flags = VHK_LOOP_F_PIN,
				   .engine = VHK_LOOP_IO_URING,
				   .log = { .fn = count_line, .level = VHK_LOG_WARN } };
	struct vhk_region r = { .size = 1 << 20 };
	struct vhk_table *t;
	struct vhk_loop *l;
	struct vhk_mem *m;

	t_bad = 0;
	T_MUST(!setrlimit(RLIMIT_MEMLOCK, &little));
	T_MUST(geteuid() || !setresuid(65534, 65534, 65534));
	T_MUST(!vhk_loop_new(&l, &o) && !vhk_mem_new(&m));
	T_MUST(!vhk_mem_add_take_fd(m, &r, new_memfd(r.size)));
	t = vhk_mem_table(m);
	n_lines = 0;
	vhk_loop_pin(l, t);
	T_EQ(pinned(l), 0);
	T_EQ(n_lines, 1);
	T_EQ(read_page(l, at(t, 0)), PAGE);
	T_EQ(*at(t, 0), 0x5a);
	vhk_loop_unpin(l, t);
	vhk_table_put(t);
	vhk_mem_free(m);
	vhk_loop_free(l);
}

static void more_than_may_be_locked(void)
{
	int status;
	pid_t pid;

	T_MUST(!chmod(t_dir(), 0777));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		in_the_childs_limits();
		fflush(stdout);
		_exit(t_bad ? 1 : 42);
	}
	T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	T_OK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void epoll_cannot(void)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .engine = VHK_LOOP_EPOLL,
				   .flags = VHK_LOOP_F_PIN };
	struct vhk_loop *l;

	T_EQ(vhk_loop_new(&l, &o), -EOPNOTSUPP);
	T_OK(!l);
}

int main(void)
{
	T_RUN(registered_on_request_only);
	T_RUN(tables_share_what_they_share);
	T_RUN(all_slots);
	T_RUN(what_cannot_be_is_said);
	T_RUN(limits);
	T_RUN(late_memory_is_not);
	T_RUN(more_than_may_be_locked);
	T_RUN(epoll_cannot);
	return t_end();
}
