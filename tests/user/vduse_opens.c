// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * How a VDUSE device is made, found, taken over and refused, and what the kernel is told of it.
 */
#include <vhostkit/blk.h>

#include "t_vduse.h"

static void bare_case(struct served *s)
{
	k_init();
	served_init(s, VHK_F_VERSION_1);
}

static void end_case(struct served *s)
{
	served_fini(s);
	k_fini();
	unlink(s->log);
}

static void a_device_is_made_and_destroyed(void)
{
	const int fds = t_count_fds();
	struct served s;
	unsigned int i;

	bare_case(&s);
	T_EQ(served_open(&s), 0);
	T_STR(k.made.name, "t0");
	T_EQ(k.made.device_id, 0xffff);
	T_EQ(k.made.features, VHK_F_RING_ALL | VHK_F_ACCESS_PLATFORM);
	T_EQ(k.made.vq_num, ECHO_QUEUES);
	T_EQ(k.made.vq_align, 4096);
	T_EQ(k.made.reserved[0], 0);
	for (i = 0; i < K_QUEUES; i++)
		T_EQ(k.vq_max[i], ECHO_SIZE);
	T_EQ(access(s.log, R_OK), 0);
	T_EQ(vhk_vduse_destroy(s.v), 0);
	T_EQ(k.exists, false);
	T_EQ(access(s.log, R_OK), -1);
	end_case(&s);
	T_EQ(t_count_fds(), fds);
}

static void one_that_is_attached_stays(void)
{
	struct served s;

	bare_case(&s);
	T_EQ(served_open(&s), 0);
	k.attached = true;
	T_EQ(vhk_vduse_destroy(s.v), -EBUSY);
	T_EQ(k.exists, true);
	T_EQ(access(s.log, R_OK), 0);
	end_case(&s);
}

static void the_api_is_negotiated_downwards(void)
{
	static const struct {
		uint64_t kernel, extras;
		bool refuse_v1;
		uint64_t api, want;
		uint32_t groups;
	} cases[] = {
		{ 0, 0, false, 0, 0, 0 },
		{ 1, 0, false, 1, 0, 1 },
		{ 1, 3, false, 1, 3, 1 },
		{ 1, 2, false, 1, 2, 1 },
		{ 9, 0xff, false, 1, 3, 1 },
		{ 1, 3, true, 0, 3, 0 },
	};
	struct served s;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		bare_case(&s);
		k.api = cases[i].kernel;
		k.extras = cases[i].extras;
		k.refuse_v1 = cases[i].refuse_v1;
		T_EQ(served_open(&s), 0);
		T_EQ(k.set_api, cases[i].api);
		T_EQ(k.set_extras, cases[i].want);
		T_EQ(k.made.reserved[0], cases[i].groups);
		T_EQ(k.made.reserved[1], cases[i].groups);
		T_EQ(vhk_vduse_destroy(s.v), 0);
		end_case(&s);
	}
}

static void what_the_kernel_refuses_is_told(void)
{
	static const struct {
		int open_error, device_error, create_error;
		unsigned int busy;
		int want;
	} cases[] = {
		{ .open_error = ENOENT, .want = -ENOENT },
		{ .open_error = EACCES, .want = -EACCES },
		{ .create_error = EINVAL, .want = -EINVAL },
		{ .create_error = EPERM, .want = -EPERM },
		{ .create_error = ENOMEM, .want = -ENOMEM },
		{ .device_error = EACCES, .want = -EACCES },
		{ .device_error = ENOENT, .want = -ENOENT },
		{ .busy = 3, .want = 0 },
		{ .busy = UINT32_MAX, .want = -EBUSY },
	};
	struct served s;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		const int fds = t_count_fds();

		bare_case(&s);
		k.open_error = cases[i].open_error;
		k.device_error = cases[i].device_error;
		k.create_error = cases[i].create_error;
		k.device_busy = cases[i].busy;
		T_EQ(served_open(&s), cases[i].want);
		if (cases[i].want)
			T_EQ(k.exists, false);
		vhk_vduse_close(s.v);
		end_case(&s);
		T_EQ(t_count_fds(), fds);
	}
}

static void callers_mistakes_are_refused(void)
{
	static const char *const names[] = { "", ".", "..", "a/b",
					     "control", "a\nb", "\n", "\177", NULL };
	struct vhk_vduse_opts o = { .sz = sizeof(o) };
	struct vhk_vduse *second;
	char longest[600];
	struct served s;
	unsigned int i;

	bare_case(&s);
	for (i = 0; i < vhk_array_size(names); i++)
		T_EQ(vhk_vduse_open(&s.v, s.ctl, s.echo.dev, names[i], NULL), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[256] = 0;
	T_EQ(vhk_vduse_open(&s.v, s.ctl, s.echo.dev, longest, NULL), -EINVAL);
	longest[256] = 'a';
	longest[599] = 0;
	o.inflight = longest;
	T_EQ(vhk_vduse_open(&s.v, s.ctl, s.echo.dev, "t0", &o), -EINVAL);
	o.sz = 3;
	T_EQ(vhk_vduse_open(&s.v, s.ctl, s.echo.dev, "t0", &o), -EINVAL);
	T_OK(!s.v);
	T_EQ(k.creates, 0);
	T_EQ(served_open(&s), 0);
	T_EQ(vhk_vduse_open(&second, s.ctl, s.echo.dev, "t1", NULL), -EBUSY);
	T_EQ(vhk_vduse_destroy(s.v), 0);
	vhk_vduse_close(NULL);
	T_EQ(vhk_vduse_destroy(NULL), 0);
	end_case(&s);
}

/* What a former process left: @attached, its driver @running, and its file as it was, gone,
 * nonsense, or of another shape. */
static void what_a_former_process_left_is_taken_over(void)
{
	enum { WHOLE, GONE, NONSENSE, SHORT, OTHER };
	static const struct {
		bool attached, running;
		int file, want;
		unsigned int creates;
	} cases[] = {
		{ false, false, WHOLE, 0, 2 },	     { false, false, GONE, 0, 2 },
		{ true, false, WHOLE, 0, 1 },	     { true, false, GONE, 0, 1 },
		{ true, false, NONSENSE, 0, 1 },     { true, false, OTHER, -EEXIST, 1 },
		{ true, true, WHOLE, 0, 1 },	     { true, true, GONE, -ENODATA, 1 },
		{ true, true, NONSENSE, -ENODATA, 1 }, { true, true, SHORT, -ENODATA, 1 },
		{ true, true, OTHER, -EEXIST, 1 },
	};
	struct served s;
	unsigned int n;

	for (n = 0; n < 2 * vhk_array_size(cases); n++) {
		const unsigned int i = n / 2;
		const uint32_t size = 9999;
		int fd;

		bare_case(&s);
		k.api = n % 2;
		T_EQ(served_open(&s), 0);
		vhk_vduse_close(s.v);
		T_EQ(k.exists, true);
		k.attached = cases[i].attached;
		k.driver_ok = cases[i].running;
		k.creates = 0;
		fd = open(s.log, O_RDWR);
		T_MUST(fd >= 0);
		if (cases[i].file == GONE)
			unlink(s.log);
		else if (cases[i].file == NONSENSE)
			T_EQ(pwrite(fd, "nonsense", 8, 0), 8);
		else if (cases[i].file == SHORT)
			T_EQ(ftruncate(fd, 5000), 0);
		else if (cases[i].file == OTHER)
			T_EQ(pwrite(fd, &size, sizeof(size), 36), sizeof(size));
		close(fd);
		T_EQ(served_open(&s), cases[i].want);
		T_EQ(k.creates, cases[i].creates);
		T_EQ(k.exists, true);
		vhk_vduse_close(s.v);
		end_case(&s);
	}
}

/* Queues are set up then as those of a device whose driver never ran. */
static void a_reset_behind_a_refused_set_up_is_noticed(void)
{
	struct served s;
	unsigned int i;

	bare_case(&s);
	k.api = 1;
	T_EQ(served_open(&s), 0);
	vhk_vduse_close(s.v);
	memset(k.vq_max, 0, sizeof(k.vq_max));
	k.attached = k.driver_ok = k.reset_behind_refusal = true;
	T_EQ(served_open(&s), 0);
	T_EQ(k.driver_ok, false);
	for (i = 0; i < K_QUEUES; i++)
		T_OK(k.vq_max[i]);
	vhk_vduse_close(s.v);
	end_case(&s);
}

static void a_disk_leaves_out_what_cannot_be_carried(void)
{
	struct vhk_vduse_opts o = { .sz = sizeof(o), .without = VHK_F_RING_PACKED };
	struct vhk_blk_opts b = { .sz = sizeof(b), .num_queues = K_QUEUES };
	struct vhk_device *disk;
	struct vhk_vduse *v;
	char path[128];
	struct served s;
	int fd;

	bare_case(&s);
	snprintf(path, sizeof(path), "%s/disk", t_dir());
	fd = open(path, O_CREAT | O_RDWR, 0600);
	T_EQ(ftruncate(fd, 1 << 20), 0);
	b.path = path;
	o.inflight = s.log;
	T_MUST(!vhk_blk_new(&disk, &b));
	T_OK(vhk_device_info(disk)->features & 1 << 11);
	T_EQ(vhk_vduse_open(&v, s.ctl, disk, "d0", &o), 0);
	T_EQ(k.made.features & (1 << 11), 0);
	T_EQ(k.made.features & VHK_F_RING_PACKED, 0);
	T_OK(k.made.features & VHK_F_ACCESS_PLATFORM);
	T_EQ(k.config[1], (1 << 20) / 512 >> 8);
	T_EQ(ftruncate(fd, 2 << 20), 0);
	T_EQ(vhk_blk_resize(disk), 1);
	T_EQ(k.configs, 1);
	T_EQ(k.config[1], (2 << 20) / 512 >> 8);
	T_EQ(k.config_irqs, 0);
	k.driver_ok = true;
	T_EQ(ftruncate(fd, 3 << 20), 0);
	T_EQ(vhk_blk_resize(disk), 1);
	T_EQ(k.config_irqs, 1);
	T_EQ(vhk_vduse_destroy(v), 0);
	vhk_device_free(disk);
	close(fd);
	end_case(&s);
}

int main(void)
{
	T_RUN(a_device_is_made_and_destroyed);
	T_RUN(one_that_is_attached_stays);
	T_RUN(the_api_is_negotiated_downwards);
	T_RUN(what_the_kernel_refuses_is_told);
	T_RUN(callers_mistakes_are_refused);
	T_RUN(what_a_former_process_left_is_taken_over);
	T_RUN(a_reset_behind_a_refused_set_up_is_noticed);
	T_RUN(a_disk_leaves_out_what_cannot_be_carried);
	return t_end();
}
