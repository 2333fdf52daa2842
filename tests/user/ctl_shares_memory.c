// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A VMM's own files as guest memory: they keep their fds as long as the region is there, a back end
 * serves rings and buffers in them, and what has no file is refused by name.
 */
#include <sys/mman.h>

#include "t_both.h"
#include "t_said_line.h"

#define SIZE (1u << 20)

/* Answers with what was sent, each byte one more. */
static void work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	unsigned int i, k;

	(void)priv;
	for (i = 0; i < n; i++) {
		const unsigned char *from = c[i]->seg[0].iov_base;
		unsigned char *to = c[i]->seg[1].iov_base;

		for (k = 0; k < c[i]->in_len && k < c[i]->out_len; k++)
			to[k] = (unsigned char)(from[k] + 1);
		vhk_queue_done(q, c[i], k);
	}
}

static struct vhk_device *new_device(void)
{
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = work };
	static const struct vhk_device_info info = {
		.sz = sizeof(info), .device_id = 2, .features = VHK_F_RING_ALL, .n_queues = 1,
		.queue_size = 64,
	};
	struct vhk_device *d;

	T_MUST(!vhk_device_new(&d, &info, &ops, NULL));
	return d;
}

static int new_file(unsigned char **own)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	if (fd < 0)
		return fd;
	T_MUST(!ftruncate(fd, SIZE));
	*own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*own == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	return fd;
}

/* What is at @gpa, where the table has it mapped. */
static void *at(const struct vhk_mem *m, uint64_t gpa, size_t len)
{
	struct iovec seg;

	T_MUST(vhk_mem_find(m, (struct vhk_gpa){ gpa }, len, &seg, 1) == 1);
	return seg.iov_base;
}

static void requests(struct vhk_ctl *ctl, struct vhk_mem *m, unsigned char *own)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = 64, .features = vhk_ctl_features(ctl) };
	struct vhk_done done;
	struct iovec seg[2];
	struct vhk_vq *q;
	unsigned int i;

	o.block = at(m, 0x40000, vhk_vq_bytes(&o));
	T_MUST(!vhk_vq_new(&q, m, &o));
	T_EQ(vhk_ctl_start(ctl, 0, q), 0);
	for (i = 0; i < 20; i++) {
		memset(own, (int)i, 16);
		seg[0] = (struct iovec){ at(m, 0, 16), 16 };
		seg[1] = (struct iovec){ at(m, 4096, 16), 16 };
		T_MUST(!vhk_vq_add(q, seg, 1, 1, q));
		if (vhk_vq_publish(q) > 0)
			T_EQ(vhk_ctl_kick(ctl, 0), 0);
		while (!vhk_vq_get(q, &done, 1))
			T_MUST(!vhk_ctl_wait(ctl, 0, 10 * T_SECOND));
		T_EQ(done.written, 16);
		T_EQ(own[4096], i + 1);
		T_EQ(own[4096 + 15], i + 1);
	}
	T_EQ(vhk_ctl_stop(ctl, 0, NULL), 0);
	vhk_vq_free(q);
}

/* Two regions of one file, each with an fd of its own. */
static void serves(int fd, unsigned char *own, uint64_t without)
{
	struct vhk_region r[2] = { { .uva = { (uintptr_t)own }, .size = SIZE / 2 },
				   { .gpa = { SIZE / 2 }, .uva = { (uintptr_t)own + SIZE / 2 },
				     .size = SIZE / 2, .offset = SIZE / 2 } };
	const int before = t_count_fds();
	struct vhk_device *d = new_device();
	struct vhk_mem *m;
	struct t_both b;
	int i, kept;

	t_both_open(&b, d, NULL, (struct vhk_ctl_opts){ .without = without });
	T_MUST(!vhk_mem_new(&m));
	for (i = 0; i < 2; i++) {
		T_EQ(vhk_mem_add_keep_take_fd(m, &r[i], fcntl(fd, F_DUPFD_CLOEXEC, 0)), 0);
		T_EQ(vhk_mem_get(m, (unsigned int)i, NULL, &kept), 0);
		T_OK(kept >= 0 && fcntl(kept, F_GETFD) == FD_CLOEXEC);
	}
	T_EQ(vhk_ctl_setup(b.ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, m), 0);
	requests(b.ctl, m, own);
	t_both_close(&b);
	vhk_device_free(d);
	T_EQ(vhk_mem_del(m, &r[1]), 0);
	T_EQ(fcntl(kept, F_GETFD), -1);
	vhk_mem_free(m);
	T_EQ(t_count_fds(), before);
}

static void by_slots_and_by_table(void)
{
	unsigned char *own;
	int fd = new_file(&own);

	T_MUST(fd >= 0);
	serves(fd, own, 0);
	serves(fd, own, VHK_PF_CONFIGURE_MEM_SLOTS);
	munmap(own, SIZE);
	close(fd);
}

/* Not everything that is refused keeps its fd: none does. */
static void refused(void)
{
	struct vhk_region r = { .size = SIZE + 1 };
	const int before = t_count_fds();
	unsigned char *own;
	struct vhk_mem *m;
	int fd = new_file(&own);

	T_MUST(fd >= 0 && !vhk_mem_new(&m));
	T_EQ(vhk_mem_add_keep_take_fd(m, &r, -1), -EINVAL);
	T_EQ(vhk_mem_add_keep_take_fd(m, &r, dup(fd)), -EINVAL);
	r.size = SIZE;
	T_EQ(vhk_mem_add_keep_take_fd(m, &r, dup(fd)), 0);
	T_EQ(vhk_mem_add_keep_take_fd(m, &r, dup(fd)), -EEXIST);
	vhk_mem_free(m);
	munmap(own, SIZE);
	close(fd);
	T_EQ(t_count_fds(), before);
}

/* By the table or by slots, and message by message: -EINVAL, with the region's address. */
static void without_a_file(bool va, uint64_t without)
{
	struct vhk_region r = { .gpa = { 0x7000000 }, .size = SIZE };
	struct vhk_device *d = new_device();
	unsigned char *own;
	struct vhk_mem *m;
	struct t_both b;
	int fd = new_file(&own);

	T_MUST(fd >= 0 && !vhk_mem_new(&m));
	t_both_open(&b, d, NULL,
		    (struct vhk_ctl_opts){ .without = without, .log = t_said_log() });
	T_EQ(va ? vhk_mem_add_va(m, &r, own) : vhk_mem_add_take_fd(m, &r, dup(fd)), 0);
	T_EQ(vhk_ctl_setup(b.ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, m), -EINVAL);
	T_SAID("region 0x7000000: it has no file to share");
	T_EQ(without ? vhk_ctl_set_mem_table(b.ctl, m) : vhk_ctl_add_mem_reg(b.ctl, &r, -1),
	     -EINVAL);
	T_SAID("region 0x7000000: it has no file to share");
	t_both_close(&b);
	vhk_device_free(d);
	vhk_mem_free(m);
	munmap(own, SIZE);
	close(fd);
}

static void what_has_no_file(void)
{
	int i;

	for (i = 0; i < 4; i++)
		without_a_file(i & 1, i & 2 ? VHK_PF_CONFIGURE_MEM_SLOTS : 0);
}

int main(void)
{
	T_RUN(by_slots_and_by_table);
	T_RUN(refused);
	T_RUN(what_has_no_file);
	return t_end();
}
