// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the loop's own thread does for a file, because the file wants it so or the engine has no
 * other way, is done bit by bit: messages get their turn meanwhile, and all of it is done.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "loop_t.h"

#define MIB (1u << 20)
#define SIZE (64u * MIB)
#define PER_TURN (12u * MIB) /* a round's, and the piece that went over it */

struct op {
	struct vhk_io io;
	struct iovec iov;
	int res;
	unsigned int n_done;
};

static void done(struct vhk_io *io, int res)
{
	struct op *op = (struct op *)(uintptr_t)io;

	op->res = res;
	op->n_done++;
}

/* Somebody else who wants a turn in each round. */
struct other {
	struct vhk_work work;
	struct vhk_loop *loop;
	const struct op *last;
	unsigned int turns;
};

static void other_turn(struct vhk_work *w)
{
	struct other *o = (struct other *)(uintptr_t)w;

	if (o->last->n_done)
		return;
	o->turns++;
	vhk_loop_post(o->loop, w);
}

/* Submits @n, and goes round until the last is done: turns that somebody else had meanwhile. */
static unsigned int turns_during(struct vhk_loop *l, struct op *op, unsigned int n)
{
	struct other o = { .work.fn = other_turn, .loop = l, .last = &op[n - 1] };
	unsigned int i;

	for (i = 0; i < n; i++) {
		op[i].io.done = done;
		vhk_loop_submit(l, &op[i].io);
	}
	vhk_loop_post(l, &o.work);
	for (i = 0; i < 1000 && vhk_loop_io_in_flight(l); i++)
		T_OK(vhk_loop_step(l, 0) >= 0);
	T_EQ(vhk_loop_io_in_flight(l), 0);
	while (vhk_loop_step(l, 0) > 0)
		;
	return o.turns;
}

static void check_turns(const struct t_mode *m, unsigned int turns)
{
	T_OK(turns >= SIZE / PER_TURN);
	if (turns < SIZE / PER_TURN)
		printf("# engine %d, flags %u: %u turns\n", m->engine, m->flags, turns);
}

static void ranges(void)
{
	static const enum vhk_io_op what[] = { VHK_IO_ZERO, VHK_IO_PUNCH };
	const struct t_mode *m;
	struct stat st;
	unsigned int i;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = memfd_create("vhk-test", MFD_CLOEXEC);
		int file = vhk_loop_add_file(l, fd, VHK_FILE_F_INLINE_WRITE);

		T_MUST(file >= 0 && !ftruncate(fd, SIZE));
		for (i = 0; i < 2; i++) {
			struct op op = { .io = { .op = what[i], .file = file, .off = 4096 } };

			op.io.len = SIZE - 4096;
			check_turns(m, turns_during(l, &op, 1));
			T_EQ(op.n_done, 1);
			T_EQ(op.res, 0);
			T_MUST(!fstat(fd, &st));
			T_EQ(st.st_blocks, i ? 0 : (SIZE - 4096) / 512);
		}
		vhk_loop_free(l);
		close(fd);
	}
}

static void writes(void)
{
	static struct op op[16];
	const struct t_mode *m;
	unsigned char *from = malloc(SIZE / 16), byte;
	unsigned int i;

	T_MUST(from);
	memset(from, 0x5a, SIZE / 16);
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = memfd_create("vhk-test", MFD_CLOEXEC);
		int file = vhk_loop_add_file(l, fd, VHK_FILE_F_INLINE_WRITE);

		for (i = 0; i < 16; i++) {
			op[i] = (struct op){ .io = { .op = VHK_IO_WRITE, .file = file } };
			op[i].io.n_iov = 1;
			op[i].io.iov = &op[i].iov;
			op[i].io.off = i * (SIZE / 16);
			op[i].iov = (struct iovec){ from, SIZE / 16 };
		}
		check_turns(m, turns_during(l, op, 16));
		for (i = 0; i < 16; i++) {
			T_EQ(op[i].n_done, 1);
			T_EQ(op[i].res, SIZE / 16);
			T_EQ(pread(fd, &byte, 1, (i + 1) * (SIZE / 16) - 1), 1);
			T_EQ(byte, 0x5a);
		}
		vhk_loop_free(l);
		close(fd);
	}
	free(from);
}

/* Holes and zeros of the epoll engine, whatever the file is. */
static void ranges_without_an_engine_for_them(void)
{
	static const struct t_mode epoll = { VHK_LOOP_EPOLL, 0 };
	struct vhk_loop *l = t_loop(&epoll);
	int fd = memfd_create("vhk-test", MFD_CLOEXEC);
	struct op op = { .io = { .op = VHK_IO_ZERO, .file = vhk_loop_add_file(l, fd, 0) } };

	T_MUST(!ftruncate(fd, SIZE));
	op.io.len = SIZE;
	check_turns(&epoll, turns_during(l, &op, 1));
	T_EQ(op.res, 0);
	vhk_loop_free(l);
	close(fd);
}

static void freed_half_way(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = memfd_create("vhk-test", MFD_CLOEXEC);
		int file = vhk_loop_add_file(l, fd, VHK_FILE_F_INLINE_WRITE);
		struct op op = { .io = { .op = VHK_IO_ZERO, .file = file, .done = done } };

		T_MUST(!ftruncate(fd, SIZE));
		op.io.len = SIZE;
		vhk_loop_submit(l, &op.io);
		T_EQ(op.n_done, 0);
		T_OK(vhk_loop_step(l, 0) > 0);
		T_EQ(op.n_done, 0);
		vhk_loop_free(l);
		T_EQ(op.n_done, 1);
		T_EQ(op.res, -ECANCELED);
		close(fd);
	}
}

int main(void)
{
	T_RUN(ranges);
	T_RUN(writes);
	T_RUN(ranges_without_an_engine_for_them);
	T_RUN(freed_half_way);
	return t_end();
}
