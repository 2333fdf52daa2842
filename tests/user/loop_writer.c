// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A writer makes a loop's writes in a thread of its own: all of them, each once, in the loop's
 * order and answered in the loop's thread; their errors; and what is under way when a loop ends.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "loop_t.h"

#define N 500u
#define BLOCK 4096u

struct op {
	struct vhk_io io;
	struct iovec iov;
	int res;
	unsigned int n_done;
	pthread_t by;
};

static struct op ops[N];
static unsigned char bytes[N][BLOCK];
static unsigned int n_ended;

static void done(struct vhk_io *io, int res)
{
	struct op *op = (struct op *)(uintptr_t)io;

	op->res = res;
	op->n_done++;
	op->by = pthread_self();
	n_ended++;
}

static void *run(void *arg)
{
	vhk_writer_run(arg);
	return NULL;
}

static int image(int flags)
{
	char path[64];
	int fd = memfd_create("vhk-test", MFD_CLOEXEC), again;

	T_MUST(fd >= 0 && !ftruncate(fd, N * BLOCK));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	T_MUST(again >= 0);
	close(fd);
	return again;
}

static void submit(struct vhk_loop *l, int file, unsigned int i, unsigned int block)
{
	memset(bytes[i], (int)(i % 251) + 1, BLOCK);
	ops[i] = (struct op){
		.io = { .op = VHK_IO_WRITE, .file = file, .off = block * BLOCK, .n_iov = 1 },
		.iov = { bytes[i], BLOCK },
	};
	ops[i].io.iov = &ops[i].iov;
	ops[i].io.done = done;
	vhk_loop_submit(l, &ops[i].io);
}

static void step_until(struct vhk_loop *l, unsigned int n)
{
	const uint64_t end = t_now_ns() + 20000 * T_MS;

	while (n_ended < n && t_now_ns() < end)
		T_MUST(vhk_loop_step(l, 100 * T_MS) >= 0);
	T_EQ(n_ended, n);
}

static unsigned char first_byte(int fd, unsigned int block)
{
	unsigned char c = 0;

	T_MUST(pread(fd, &c, 1, block * BLOCK) == 1);
	return c;
}

static void makes_them_all(struct vhk_loop *l, int fd)
{
	const int file = vhk_loop_add_file(l, fd, VHK_FILE_F_ASYNC_WRITE);
	unsigned int i;

	n_ended = 0;
	for (i = 0; i < N; i++)
		submit(l, file, i, i);
	step_until(l, N);
	for (i = 0; i < N; i++) {
		T_EQ(ops[i].res, BLOCK);
		T_EQ(ops[i].n_done, 1);
		T_OK(pthread_equal(ops[i].by, pthread_self()));
		T_EQ(first_byte(fd, i), i % 251 + 1);
	}
	/* to one place: the last one stays */
	n_ended = 0;
	for (i = 0; i < N; i++)
		submit(l, file, i, 7);
	step_until(l, N);
	T_EQ(first_byte(fd, 7), (N - 1) % 251 + 1);
	T_EQ(vhk_loop_io_in_flight(l), 0);
	vhk_loop_del_file(l, file);
}

static void tells_errors(struct vhk_loop *l)
{
	const int fd = image(O_RDONLY), file = vhk_loop_add_file(l, fd, VHK_FILE_F_ASYNC_WRITE);

	n_ended = 0;
	submit(l, file, 0, 0);
	T_EQ(vhk_loop_set_writer(l, NULL), -EBUSY);
	step_until(l, 1);
	T_EQ(ops[0].res, -EBADF);
	vhk_loop_del_file(l, file);
	close(fd);
}

/* Made or cancelled, each once. */
static void ends_with_its_loop(struct vhk_loop *l, int fd)
{
	const int file = vhk_loop_add_file(l, fd, VHK_FILE_F_ASYNC_WRITE);
	unsigned int i;

	n_ended = 0;
	for (i = 0; i < N / 2; i++)
		submit(l, file, i, i);
	T_OK(vhk_loop_step(l, 0) >= 0);
	for (; i < N; i++)
		submit(l, file, i, i);
	vhk_loop_free(l);
	T_EQ(n_ended, N);
	for (i = 0; i < N; i++) {
		T_EQ(ops[i].n_done, 1);
		T_OK(ops[i].res == (int)BLOCK || ops[i].res == -ECANCELED);
	}
}

static void serves_each_engine(void)
{
	const struct t_mode *m;
	struct vhk_writer *w;
	struct vhk_loop *l;
	pthread_t thread;
	int fd = image(O_RDWR);

	T_MUST(!vhk_writer_new(&w));
	T_MUST(!pthread_create(&thread, NULL, run, w));
	T_EACH_MODE(m) {
		l = t_loop(m);
		T_EQ(vhk_loop_set_writer(l, w), 0);
		makes_them_all(l, fd);
		tells_errors(l);
		ends_with_its_loop(l, fd);
	}
	vhk_writer_stop(w);
	T_MUST(!pthread_join(thread, NULL));
	vhk_writer_free(w);
	close(fd);
}

int main(void)
{
	T_RUN(serves_each_engine);
	return t_end();
}
