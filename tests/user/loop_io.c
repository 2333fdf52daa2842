// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * File operations on a memory file system and a disk file system, at once and by the engine: data,
 * lengths, errors, more of them than fit, and what happens to them when the loop ends.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "loop_t.h"

#define SIZE (1u << 20)

static const uint32_t ways[] = {
	0,
	VHK_FILE_F_INLINE_READ,
	VHK_FILE_F_INLINE_WRITE,
	VHK_FILE_F_ASYNC_WRITE,
	VHK_FILE_F_ALL,
};

struct op {
	struct vhk_io io;
	struct iovec iov[4];
	int res;
	unsigned int n_done;
};

static void done(struct vhk_io *io, int res)
{
	struct op *op = (struct op *)(uintptr_t)io;

	op->res = res;
	op->n_done++;
}

static int make_file(const char *folder, int flags)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/vhk-test-%d", folder, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
	unlink(path);
	if (fd >= 0)
		T_MUST(!ftruncate(fd, SIZE));
	return fd;
}

/* Both kinds, whatever /tmp is. */
static int make_kind(int kind)
{
	int fd = kind ? make_file(t_dir(), 0) : memfd_create("vhk-test", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, SIZE));
	return fd;
}

static int wait_one(struct vhk_loop *l, struct op *op)
{
	int i;

	op->io.done = done;
	op->n_done = 0;
	op->res = -12345;
	vhk_loop_submit(l, &op->io);
	for (i = 0; i < 100 && !op->n_done; i++)
		T_OK(vhk_loop_step(l, 1000 * T_MS) >= 0);
	T_EQ(op->n_done, 1);
	return op->res;
}

static struct op make_op(enum vhk_io_op what, int file, uint64_t off)
{
	return (struct op){ .io = { .op = what, .file = file, .off = off } };
}

static int rw(struct vhk_loop *l, enum vhk_io_op what, int file, uint64_t off, void *buf,
	      size_t len, unsigned int n_iov, uint32_t flags)
{
	struct op op = make_op(what, file, off);
	size_t part = len / n_iov;
	unsigned int i;

	for (i = 0; i < n_iov; i++)
		op.iov[i] = (struct iovec){ (char *)buf + i * part, part };
	op.io.iov = op.iov;
	op.io.n_iov = n_iov;
	op.io.flags = flags;
	return wait_one(l, &op);
}

static int range(struct vhk_loop *l, enum vhk_io_op what, int file, uint64_t off, uint64_t len)
{
	struct op op = make_op(what, file, off);

	op.io.len = len;
	return wait_one(l, &op);
}

static bool all_are(const unsigned char *p, size_t len, unsigned char want)
{
	while (len--)
		if (*p++ != want)
			return false;
	return true;
}

static void data_and_holes(struct vhk_loop *l, int fd, int file)
{
	static unsigned char out[16384], in[16384];
	struct stat st;
	int ret;

	memset(out, 0xa5, sizeof(out));
	T_EQ(rw(l, VHK_IO_WRITE, file, 4096, out, sizeof(out), 1, 0), sizeof(out));
	T_EQ(rw(l, VHK_IO_WRITE, file, 4096 + sizeof(out), out, sizeof(out), 4, VHK_IO_F_DSYNC),
	     sizeof(out));
	T_EQ(range(l, VHK_IO_FSYNC, file, 0, 0), 0);
	T_EQ(rw(l, VHK_IO_READ, file, 4096, in, sizeof(in), 1, 0), sizeof(in));
	T_OK(all_are(in, sizeof(in), 0xa5));
	memset(in, 0, sizeof(in));
	T_EQ(rw(l, VHK_IO_READ, file, 4096 + sizeof(out), in, sizeof(in), 4, 0), sizeof(in));
	T_OK(all_are(in, sizeof(in), 0xa5));
	/* Short at the end, nothing behind it: handed on as they are. */
	T_EQ(rw(l, VHK_IO_READ, file, SIZE - 100, in, 4096, 1, 0), 100);
	T_EQ(rw(l, VHK_IO_READ, file, SIZE, in, 4096, 1, 0), 0);
	T_EQ(range(l, VHK_IO_PUNCH, file, 4096, 8192), 0);
	T_EQ(rw(l, VHK_IO_READ, file, 4096, in, sizeof(in), 1, 0), sizeof(in));
	T_OK(all_are(in, 8192, 0) && all_are(in + 8192, 8192, 0xa5));
	ret = range(l, VHK_IO_ZERO, file, 4096 + 8192, 8192);
	T_OK(ret == 0 || ret == -EOPNOTSUPP);
	T_EQ(rw(l, VHK_IO_READ, file, 4096, in, sizeof(in), 1, 0), sizeof(in));
	T_OK(all_are(in, 8192, 0) && all_are(in + 8192, 8192, ret ? 0xa5 : 0));
	T_MUST(!fstat(fd, &st));
	T_EQ(st.st_size, SIZE);
	T_EQ(vhk_loop_io_in_flight(l), 0);
}

static void every_operation(void)
{
	const struct t_mode *m;
	unsigned int i;
	int kind, fd, file;

	T_EACH_MODE(m) {
		for (kind = 0; kind < 2; kind++) {
			for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
				struct vhk_loop *l = t_loop(m);

				fd = make_kind(kind);
				file = vhk_loop_add_file(l, fd, ways[i]);
				T_OK(file >= 0);
				data_and_holes(l, fd, file);
				vhk_loop_del_file(l, file);
				vhk_loop_free(l);
				close(fd);
			}
		}
	}
}

/* Threads that io_uring has made to wait in. */
static unsigned int workers(void)
{
	char path[300], name[32];
	unsigned int n = 0;
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	FILE *f;

	T_MUST(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		n += f && fgets(name, sizeof(name), f) && !strncmp(name, "iou-wrk-", 8);
		if (f)
			fclose(f);
	}
	closedir(d);
	return n;
}

/* Nothing waits for /dev/null: io_uring needs no thread for it, unless it is told to take one. */
static void writes_by_another_thread(void)
{
	static const uint32_t flags[] = { 0, VHK_FILE_F_ASYNC_WRITE };
	unsigned char bytes[64] = { 0 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vhk_loop *l = t_loop(&t_modes[0]);
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		int file = vhk_loop_add_file(l, fd, flags[i]);

		T_EQ(rw(l, VHK_IO_READ, file, 0, bytes, sizeof(bytes), 1, 0), 0);
		T_EQ(workers(), 0);
		T_EQ(rw(l, VHK_IO_WRITE, file, 0, bytes, sizeof(bytes), 1, 0), sizeof(bytes));
		T_EQ(workers(), i);
		vhk_loop_del_file(l, file);
		vhk_loop_free(l);
		close(fd);
	}
}

/* On a memory file system zeros are made at once, and stay allocated. */
static void zero_of_memory_file(void)
{
	const struct t_mode *m;
	struct stat st;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = make_kind(0), file = vhk_loop_add_file(l, fd, VHK_FILE_F_ALL);

		T_EQ(range(l, VHK_IO_ZERO, file, 0, 65536), 0);
		T_MUST(!fstat(fd, &st));
		T_EQ(st.st_blocks, 128);
		T_EQ(range(l, VHK_IO_PUNCH, file, 0, 65536), 0);
		T_MUST(!fstat(fd, &st));
		T_EQ(st.st_blocks, 0);
		vhk_loop_free(l);
		close(fd);
	}
}

static void errors(void)
{
	const struct t_mode *m;
	static char buf[4096];
	unsigned int i;

	T_EACH_MODE(m) {
		for (i = 0; i < 4; i += 3) {
			struct vhk_loop *l = t_loop(m);
			int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), file, gone;
			int other = dup(fd);
			struct op op;

			T_EQ(vhk_loop_add_file(l, 3999, 0), -EBADF);
			T_EQ(vhk_loop_add_file(l, fd, VHK_FILE_F_ALL + 1), -EOPNOTSUPP);
			file = vhk_loop_add_file(l, fd, ways[i]);
			gone = vhk_loop_add_file(l, other, ways[i]);
			T_OK(file >= 0 && gone >= 0 && gone != file);
			vhk_loop_del_file(l, gone);
			T_EQ(rw(l, VHK_IO_READ, file, 0, buf, 4, 1, 0), 4);
			T_OK(!memcmp(buf, "\177ELF", 4));
			T_EQ(rw(l, VHK_IO_WRITE, file, 0, buf, 4, 1, 0), -EBADF);
			T_EQ(rw(l, VHK_IO_WRITE, file, 0, buf, 4, 2, 0), -EBADF);
			T_EQ(range(l, VHK_IO_PUNCH, file, 0, 4096), -EBADF);
			T_EQ(rw(l, VHK_IO_READ, file, 0, (void *)8, 4096, 1, 0), -EFAULT);
			T_EQ(rw(l, VHK_IO_READ, gone, 0, buf, 4, 1, 0), -EBADF);
			T_EQ(rw(l, VHK_IO_READ, -1, 0, buf, 4, 1, 0), -EBADF);
			T_EQ(rw(l, VHK_IO_READ, 99, 0, buf, 4, 1, 0), -EBADF);
			T_EQ(rw(l, VHK_IO_READ, file, 0, buf, 4, 1, 0x10), -EOPNOTSUPP);
			T_EQ(rw(l, VHK_IO_READ, file, UINT64_MAX, buf, 4, 1, 0), -EINVAL);
			T_EQ(range(l, VHK_IO_PUNCH, file, 0, UINT64_MAX), -EINVAL);
			T_EQ(range(l, 17, file, 0, 0), -EINVAL);
			op = make_op(VHK_IO_READ, file, 0);
			op.io.n_iov = 1025;
			T_EQ(wait_one(l, &op), -EINVAL);
			T_EQ(vhk_loop_io_in_flight(l), 0);
			vhk_loop_free(l);
			close(other);
			close(fd);
		}
	}
}

/* Queues of one disk add one image: it is there until the last of them has gone. */
static void one_file_many_times(void)
{
	const struct t_mode *m;
	int fd = make_kind(0), i, file;
	unsigned char c;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		file = vhk_loop_add_file(l, fd, 0);
		for (i = 0; i < 99; i++)
			T_EQ(vhk_loop_add_file(l, fd, 0), file);
		T_OK(vhk_loop_add_file(l, fd, VHK_FILE_F_INLINE_READ) != file);
		for (i = 0; i < 99; i++)
			vhk_loop_del_file(l, file);
		T_EQ(rw(l, VHK_IO_READ, file, 0, &c, 1, 1, 0), 1);
		vhk_loop_del_file(l, file);
		T_EQ(rw(l, VHK_IO_READ, file, 0, &c, 1, 1, 0), -EBADF);
		vhk_loop_free(l);
	}
	close(fd);
}

/* Many times the size of the submission queue at once; each is done once, with its own data. */
#define N_MANY 4000

static void more_than_fit(void)
{
	struct op *ops = calloc(N_MANY, sizeof(*ops));
	uint64_t *words = calloc(SIZE, 1);
	const struct t_mode *m;
	unsigned int i, sum;
	int kind;

	T_MUST(ops && words);
	for (i = 0; i < SIZE / 8; i++)
		words[i] = i;
	T_EACH_MODE(m) {
		for (kind = 0; kind < 2; kind++) {
			struct vhk_loop *l = t_loop_opts(m, 8, 0);
			int fd = make_kind(kind), file = vhk_loop_add_file(l, fd, 0);
			static uint64_t in[N_MANY];

			T_MUST(pwrite(fd, words, SIZE, 0) == SIZE);
			for (i = 0; i < N_MANY; i++) {
				ops[i] = make_op(VHK_IO_READ, file, (uint64_t)i * 8 * 7 % SIZE);
				ops[i].io.done = done;
				ops[i].iov[0] = (struct iovec){ &in[i], 8 };
				ops[i].io.iov = ops[i].iov;
				ops[i].io.n_iov = 1;
				in[i] = 0;
				vhk_loop_submit(l, &ops[i].io);
			}
			while (vhk_loop_io_in_flight(l) && vhk_loop_step(l, 1000 * T_MS) >= 0)
				;
			for (i = 0, sum = 0; i < N_MANY; i++)
				sum += ops[i].n_done == 1 && ops[i].res == 8 &&
				       in[i] == ops[i].io.off / 8;
			T_EQ(sum, N_MANY);
			vhk_loop_free(l);
			close(fd);
		}
	}
	free(ops);
	free(words);
}

static void files_beyond_the_table(void)
{
	const struct t_mode *m;
	int first = make_kind(0), fd[100], file[100], i;

	for (i = 0; i < 100; i++)
		fd[i] = dup(first);
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		unsigned char c;

		for (i = 0; i < 100; i++) {
			file[i] = vhk_loop_add_file(l, fd[i], 0);
			T_OK(file[i] >= 0);
		}
		for (i = 0; i < 100; i++)
			T_EQ(rw(l, VHK_IO_READ, file[i], 0, &c, 1, 1, 0), 1);
		vhk_loop_del_file(l, file[3]);
		T_EQ(vhk_loop_add_file(l, first, 0), file[3]);
		vhk_loop_free(l);
	}
	for (i = 0; i < 100; i++)
		close(fd[i]);
	close(first);
}

/* Straight to the medium: what is under way when the loop is freed ends first. */
static void freed_while_under_way(void)
{
	const struct t_mode *m;
	static struct op ops[64];
	unsigned char *buf;
	unsigned int i, sum;
	int fd, file;

	fd = make_file(t_dir(), O_DIRECT);
	if (fd < 0)
		T_SKIP("no O_DIRECT on /tmp");
	T_MUST(!posix_fallocate(fd, 0, SIZE));
	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		T_MUST(!posix_memalign((void **)&buf, 4096, 64 * 4096));
		file = vhk_loop_add_file(l, fd, 0);
		for (i = 0; i < 64; i++) {
			ops[i] = make_op(i & 1 ? VHK_IO_READ : VHK_IO_WRITE, file, i * 4096);
			ops[i].io.done = done;
			ops[i].iov[0] = (struct iovec){ buf + i * 4096, 4096 };
			ops[i].io.iov = ops[i].iov;
			ops[i].io.n_iov = 1;
			vhk_loop_submit(l, &ops[i].io);
		}
		vhk_loop_step(l, 0);
		vhk_loop_free(l);
		for (i = 0, sum = 0; i < 64; i++)
			sum += ops[i].n_done == 1 &&
			       (ops[i].res == 4096 || ops[i].res == -ECANCELED);
		T_EQ(sum, 64);
		free(buf);
	}
	close(fd);
}

static void freed_before_it_ran(void)
{
	const struct t_mode *m;
	unsigned char c;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = make_kind(1), file = vhk_loop_add_file(l, fd, 0);
		struct op op = make_op(VHK_IO_READ, file, 0);

		op.io.done = done;
		op.iov[0] = (struct iovec){ &c, 1 };
		op.io.iov = op.iov;
		op.io.n_iov = 1;
		vhk_loop_submit(l, &op.io);
		vhk_loop_free(l);
		T_EQ(op.n_done, 1);
		T_OK(op.res == 1 || op.res == -ECANCELED);
		close(fd);
	}
}

static void wakes_foreign_loop(void)
{
	const struct t_mode *m;
	unsigned char c;

	T_EACH_MODE(m) {
		struct vhk_loop *l;
		struct op op;
		int kind, fd, file;

		if (!(m->flags & VHK_LOOP_F_EMBED))
			continue;
		for (kind = 0; kind < 2; kind++) {
			l = t_loop(m);
			fd = make_kind(kind);
			file = vhk_loop_add_file(l, fd, 0);
			while (t_foreign_turn(l, 2))
				;
			op = make_op(VHK_IO_READ, file, 0);
			op.io.done = done;
			op.iov[0] = (struct iovec){ &c, 1 };
			op.io.iov = op.iov;
			op.io.n_iov = 1;
			vhk_loop_submit(l, &op.io);
			while (!op.n_done && t_foreign_turn(l, 1000))
				;
			T_EQ(op.n_done, 1);
			T_EQ(op.res, 1);
			op.io.op = VHK_IO_FSYNC;
			vhk_loop_submit(l, &op.io);
			while (op.n_done < 2 && t_foreign_turn(l, 1000))
				;
			T_EQ(op.n_done, 2);
			T_EQ(op.res, 0);
			vhk_loop_free(l);
			close(fd);
		}
	}
}

int main(void)
{
	T_RUN(writes_by_another_thread);
	T_RUN(every_operation);
	T_RUN(zero_of_memory_file);
	T_RUN(errors);
	T_RUN(more_than_fit);
	T_RUN(one_file_many_times);
	T_RUN(files_beyond_the_table);
	T_RUN(freed_while_under_way);
	T_RUN(freed_before_it_ran);
	T_RUN(wakes_foreign_loop);
	return t_end();
}
