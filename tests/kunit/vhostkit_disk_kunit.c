// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of disks: names, claims, sizes, and who is told of what. Backings are entries of a
 * table here, and an fd is an index of it.
 */
#include "t_kunit.h"

#include <linux/kthread.h>

#include "../../kmod/disk.c"

static struct {
	u64 bytes;
	int error;	  /* of opening */
	unsigned int kin; /* those of the same kin clash */
	atomic_t open;
} backing[8];

static struct inode t_inode;
static struct super_block t_sb;
static struct file t_file = { .f_inode = &t_inode };

int vhk_backing_open(struct vhk_disk *disk, int fd)
{
	disk->file = &t_file;
	/* Which of the table. */
	disk->claim.file = (void *)&backing[fd];
	atomic_inc(&backing[fd].open);
	if (!disk->block_size)
		disk->block_size = 512;
	return backing[fd].error;
}

static unsigned int nr_of(const struct vhk_disk *disk)
{
	return (typeof(&backing[0]))(void *)disk->claim.file - backing;
}

void vhk_backing_close(struct vhk_disk *disk)
{
	if (disk->file)
		atomic_dec(&backing[nr_of(disk)].open);
}

u64 vhk_backing_bytes(const struct vhk_disk *disk)
{
	return backing[nr_of(disk)].bytes;
}

bool vhk_backing_clash(const struct vhk_disk *a, const struct vhk_disk *b)
{
	return backing[nr_of(a)].kin && backing[nr_of(a)].kin == backing[nr_of(b)].kin;
}

static int add(const char *name, int fd)
{
	struct vhostkit_disk_add arg = { .fd = fd };

	strscpy_pad(arg.name, name, sizeof(arg.name));
	return vhk_disk_add(&arg);
}

static int del(const char *name)
{
	struct vhostkit_disk_del arg = { };

	strscpy_pad(arg.name, name, sizeof(arg.name));
	return vhk_disk_del(&arg);
}

static int query(const char *name, u32 flags, struct vhostkit_disk_query *out)
{
	*out = (struct vhostkit_disk_query){ .flags = flags };
	strscpy_pad(out->name, name, sizeof(out->name));
	return vhk_disk_query(out);
}

/* What the user of a disk was told. */
static struct {
	unsigned int resized, gone;
	u64 bytes;
} told;

static void user_resized(void *user, u64 bytes)
{
	told.resized++;
	told.bytes = bytes;
}

static int user_stats(void *user, struct vhostkit_disk_stats *out)
{
	out->reads = 7;
	return 0;
}

static void user_gone(void *user)
{
	told.gone++;
}

static const struct vhk_disk_user_ops user_ops = {
	.resized = user_resized,
	.stats = user_stats,
	.gone = user_gone,
};

static void begin(void)
{
	unsigned int i;

	t_inode.i_sb = &t_sb;
	memset(&told, 0, sizeof(told));
	memset(backing, 0, sizeof(backing));
	for (i = 0; i < ARRAY_SIZE(backing); i++)
		backing[i].bytes = 4096;
}

/* Nothing is left, in the registry or open. */
static void end(void)
{
	unsigned int i;

	T_EQ(vhk_disk_count(), 0);
	T_OK(list_empty(&disks));
	for (i = 0; i < ARRAY_SIZE(backing); i++)
		T_EQ(atomic_read(&backing[i].open), 0);
}

static void only_names_are_names(void)
{
	static const struct {
		const char *name;
		int want;
	} cases[] = {
		{ "d0", 0 },	     { "0", 0 },	  { "A.b_c-9", 0 },
		{ "", -EINVAL },     { ".a", -EINVAL },	  { "-a", -EINVAL },
		{ "a b", -EINVAL },  { "a/b", -EINVAL },  { "a\n", -EINVAL },
		{ "a\xc3", -EINVAL }, { "\xc3", -EINVAL }, { "a%d", -EINVAL },
		{ "1234567890123456789012345678901", 0 },
	};
	struct vhostkit_disk_add arg = { .name = "a\0b" };
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		T_EQ(add(cases[i].name, 0), cases[i].want);
		T_EQ(del(cases[i].name), cases[i].want ? -ENOENT : 0);
	}
	/* Something behind the end, and no end. */
	T_EQ(vhk_disk_add(&arg), -EINVAL);
	memset(arg.name, 'a', sizeof(arg.name));
	T_EQ(vhk_disk_add(&arg), -EINVAL);
	end();
}

static void arguments_have_their_ranges(void)
{
	static const struct {
		u32 n_queues, queue_size, block_size;
		int want;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 1, 16, 512, 0 },
		{ VHOSTKIT_MAX_QUEUES, VHOSTKIT_MAX_QUEUE_SIZE, 4096, 0 },
		{ VHOSTKIT_MAX_QUEUES + 1, 0, 0, -EINVAL },
		{ U32_MAX, 0, 0, -EINVAL },
		{ 0, 8, 0, -EINVAL },
		{ 0, 24, 0, -EINVAL },
		{ 0, VHOSTKIT_MAX_QUEUE_SIZE * 2, 0, -EINVAL },
		{ 0, 1u << 31, 0, -EINVAL },
		{ 0, 0, 256, -EINVAL },
		{ 0, 0, 513, -EINVAL },
		{ 0, 0, 8192, -EINVAL },
	};
	struct vhostkit_disk_add bad = { .name = "d", .serial = "a\0b" };
	struct vhostkit_disk_query q;
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vhostkit_disk_add arg = {
			.name = "d",
			.n_queues = cases[i].n_queues,
			.queue_size = cases[i].queue_size,
			.block_size = cases[i].block_size,
		};

		T_EQ(vhk_disk_add(&arg), cases[i].want);
		if (cases[i].want)
			continue;
		T_EQ(query("d", 0, &q), 0);
		T_EQ(q.n_queues, cases[i].n_queues ?: min_t(u32, num_online_cpus(), 16));
		T_EQ(q.queue_size, cases[i].queue_size ?: 256);
		T_EQ(q.block_size, cases[i].block_size ?: 512);
		T_EQ(del("d"), 0);
	}
	T_EQ(vhk_disk_add(&bad), -EINVAL);
	bad = (struct vhostkit_disk_add){ .name = "d", .reserved = 1 };
	T_EQ(vhk_disk_add(&bad), -EINVAL);
	end();
}

static void what_cannot_be_opened_is_not_there(void)
{
	struct vhostkit_disk_query q;

	begin();
	backing[1].error = -EACCES;
	T_EQ(add("d", 1), -EACCES);
	T_EQ(atomic_read(&backing[1].open), 0);
	t_alloc_fails = 1;
	T_EQ(add("d", 0), -ENOMEM);
	t_alloc_fails = 0;
	T_EQ(query("d", 0, &q), -ENOENT);
	/* Two that must not exist beside one another, under two names; and one name twice. */
	backing[2].kin = 1;
	backing[3].kin = 1;
	T_EQ(add("a", 2), 0);
	T_EQ(add("b", 3), -EBUSY);
	T_EQ(add("a", 4), -EEXIST);
	T_EQ(del("a"), 0);
	T_EQ(add("b", 3), 0);
	T_EQ(del("b"), 0);
	/* As full as it can be. */
	n_disks = VHK_MAX_DISKS;
	T_EQ(add("d", 0), -ENOSPC);
	n_disks = 0;
	end();
}

static void they_are_listed_by_name(void)
{
	static const char *const names[] = { "b", "a", "d.1", "c", "a0" };
	static const char *const sorted[] = { "a", "a0", "b", "c", "d.1" };
	struct vhostkit_disk_query q = { };
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(names); i++)
		T_EQ(add(names[i], i), 0);
	T_EQ(vhk_disk_count(), ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(sorted); i++) {
		q.flags = VHOSTKIT_DISK_QUERY_F_NEXT;
		T_EQ(vhk_disk_query(&q), 0);
		KUNIT_EXPECT_STREQ(t_test, q.name, sorted[i]);
		KUNIT_EXPECT_STREQ(t_test, q.serial, sorted[i]);
	}
	T_EQ(vhk_disk_query(&q), -ENOENT);
	T_EQ(query("b0", 0, &q), -ENOENT);
	vhk_disk_del_all();
	end();
}

static void one_has_it_at_a_time(void)
{
	struct vhostkit_disk_stats stats = { .name = "d" };
	struct vhostkit_disk_query q;
	struct vhk_disk *disk;

	begin();
	T_EQ(PTR_ERR(vhk_disk_claim("d")), -ENOENT);
	T_EQ(add("d", 0), 0);
	T_EQ(PTR_ERR(vhk_disk_claim("d12345678901234567890123456789012")), -ENOENT);
	T_EQ(vhk_disk_stats(&stats), -ENODEV);
	disk = vhk_disk_claim("d");
	T_MUST(!IS_ERR(disk));
	T_EQ(PTR_ERR(vhk_disk_claim("d")), -EBUSY);
	T_EQ(del("d"), -EBUSY);
	T_EQ(vhk_disk_stats(&stats), -ENODEV);
	T_EQ(query("d", 0, &q), 0);
	T_EQ(q.state, VHOSTKIT_DISK_S_CLAIMED);
	vhk_disk_attach(disk, &user_ops, NULL);
	T_EQ(vhk_disk_stats(&stats), 0);
	T_EQ(stats.reads, 7);
	vhk_disk_release(disk);
	T_EQ(vhk_disk_stats(&stats), -ENODEV);
	T_EQ(query("d", 0, &q), 0);
	T_EQ(q.state, 0);
	T_EQ(del("d"), 0);
	T_EQ(del("d"), -ENOENT);
	T_EQ(vhk_disk_stats(&stats), -ENOENT);
	end();
}

static void the_user_is_told(void)
{
	struct vhostkit_disk_resize r = { .name = "d" };
	struct block_device *bdev = (void *)&t_file;
	struct vhk_disk *disk;

	begin();
	T_EQ(vhk_disk_resize(&r), -ENOENT);
	T_EQ(add("d", 0), 0);
	disk = vhk_disk_claim("d");
	T_MUST(!IS_ERR(disk));
	vhk_disk_attach(disk, &user_ops, NULL);
	T_EQ(told.resized, 1);
	T_EQ(told.bytes, 4096);
	/* What has not changed is no news, and no disk is empty. */
	T_EQ(vhk_disk_resize(&r), 0);
	T_EQ(told.resized, 1);
	backing[0].bytes = 0;
	T_EQ(vhk_disk_resize(&r), -EINVAL);
	T_EQ(told.resized, 1);
	backing[0].bytes = 8192;
	T_EQ(vhk_disk_resize(&r), 0);
	T_EQ(r.bytes, 8192);
	T_EQ(told.resized, 2);
	T_EQ(told.bytes, 8192);
	/* Its block device goes; another one does not matter. */
	disk->bdev = bdev;
	vhk_disk_backing_gone(bdev + 1);
	T_EQ(told.gone, 0);
	vhk_disk_backing_gone(bdev);
	T_EQ(told.gone, 1);
	vhk_disk_release(disk);
	vhk_disk_backing_gone(bdev);
	T_EQ(told.gone, 1);
	/* Who comes later hears of it at once. */
	disk = vhk_disk_claim("d");
	T_MUST(!IS_ERR(disk));
	vhk_disk_attach(disk, &user_ops, NULL);
	T_EQ(told.gone, 2);
	vhk_disk_release(disk);
	disk->bdev = NULL;
	T_EQ(del("d"), 0);
	end();
}

#define ROUNDS 2000

/* One name, all the time, by somebody else too. */
static int come_and_go(void *arg)
{
	struct vhk_disk *disk;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		add("d", 1);
		disk = vhk_disk_claim("d");
		if (!IS_ERR(disk)) {
			vhk_disk_attach(disk, &user_ops, NULL);
			vhk_disk_release(disk);
		}
		del("d");
		cond_resched();
	}
	while (arg && !kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void two_at_once_leave_nothing(void)
{
	struct task_struct *thread;

	begin();
	thread = kthread_run(come_and_go, &told, "vhk-kunit");
	T_MUST(!IS_ERR(thread));
	come_and_go(NULL);
	kthread_stop(thread);
	/* Each one's last del may have found the other one's claim. */
	del("d");
	end();
}

T_CASE(only_names_are_names)
T_CASE(arguments_have_their_ranges)
T_CASE(what_cannot_be_opened_is_not_there)
T_CASE(they_are_listed_by_name)
T_CASE(one_has_it_at_a_time)
T_CASE(the_user_is_told)
T_CASE(two_at_once_leave_nothing)

T_SUITE("vhostkit_disk",
	T_ENTRY(only_names_are_names),
	T_ENTRY(arguments_have_their_ranges),
	T_ENTRY(what_cannot_be_opened_is_not_there),
	T_ENTRY(they_are_listed_by_name),
	T_ENTRY(one_has_it_at_a_time),
	T_ENTRY(the_user_is_told),
	T_ENTRY(two_at_once_leave_nothing));
