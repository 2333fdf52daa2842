// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the registry of backing disks behind /dev/vhostkit.
 *
 *   disks add NAME PATH [ro] [buffered] [queues=N] [entries=N] [block=N]
 *   disks del NAME | resize NAME | list | stats NAME
 *   disks refuse FOLDER      every call with everything wrong, also the way that 32-bit programs
 *           take; prints what is not as it must be
 *   disks stranger           nobody else gets anything: other users, and roots of user namespaces
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhostkit.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int ctl = -1;
static unsigned int n_bad, n_tried;

static void set_name(char *to, const char *name)
{
	memcpy(to, name, strnlen(name, VHOSTKIT_NAME_SIZE));
}

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int parse_add(struct vhostkit_disk_add *a, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "ro"))
			a->flags |= VHOSTKIT_DISK_F_READ_ONLY;
		else if (!strcmp(argv[i], "buffered"))
			a->flags |= VHOSTKIT_DISK_F_BUFFERED;
		else if (sscanf(argv[i], "queues=%u", &a->n_queues) != 1 &&
			 sscanf(argv[i], "entries=%u", &a->queue_size) != 1 &&
			 sscanf(argv[i], "block=%u", &a->block_size) != 1)
			return -1;
	}
	return 0;
}

static int add(int argc, char **argv)
{
	struct vhostkit_disk_add a = { .size = sizeof(a) };

	if (argc < 2 || parse_add(&a, argc - 2, argv + 2))
		return 2;
	set_name(a.name, argv[0]);
	a.fd = open(argv[1], a.flags & VHOSTKIT_DISK_F_READ_ONLY ? O_RDONLY : O_RDWR);
	if (a.fd < 0)
		return fail(argv[1]);
	return ioctl(ctl, VHOSTKIT_DISK_ADD, &a) ? fail("add") : 0;
}

static int del(const char *name)
{
	struct vhostkit_disk_del d = { .size = sizeof(d) };

	set_name(d.name, name);
	return ioctl(ctl, VHOSTKIT_DISK_DEL, &d) ? fail("del") : 0;
}

static int resize(const char *name)
{
	struct vhostkit_disk_resize r = { .size = sizeof(r) };

	set_name(r.name, name);
	if (ioctl(ctl, VHOSTKIT_DISK_RESIZE, &r))
		return fail("resize");
	printf("%llu\n", (unsigned long long)r.bytes);
	return 0;
}

static int list(void)
{
	struct vhostkit_disk_query q = { .size = sizeof(q), .flags = VHOSTKIT_DISK_QUERY_F_NEXT };

	while (!ioctl(ctl, VHOSTKIT_DISK_QUERY, &q))
		printf("%s %llu %u %u %u %x %x\n", q.name, (unsigned long long)q.bytes,
		       q.block_size, q.n_queues, q.queue_size, q.disk_flags, q.state);
	return errno == ENOENT ? 0 : fail("list");
}

static int stats(const char *name)
{
	struct vhostkit_disk_stats s = { .size = sizeof(s), .queue = VHOSTKIT_ALL_QUEUES };

	set_name(s.name, name);
	if (ioctl(ctl, VHOSTKIT_DISK_STATS, &s))
		return fail("stats");
	printf("in flight %u reads %llu %llu writes %llu %llu flushes %llu discards %llu "
	       "zeroes %llu errors %llu unsupported %llu kicks %llu calls %llu\n",
	       s.in_flight, (unsigned long long)s.reads, (unsigned long long)s.read_bytes,
	       (unsigned long long)s.writes, (unsigned long long)s.write_bytes,
	       (unsigned long long)s.flushes, (unsigned long long)s.discards,
	       (unsigned long long)s.zeroes, (unsigned long long)s.errors,
	       (unsigned long long)s.unsupported, (unsigned long long)s.kicks,
	       (unsigned long long)s.calls);
	return 0;
}

/* A page that pointers of 32 bits reach; NULL: calls go the way of this program. */
static unsigned char *low;

/* The door for 32-bit programs is open to others, too: ioctl is number 54 there. */
static int ioctl_32(unsigned long cmd, unsigned long arg)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(54l), "b"((long)ctl), "c"(cmd), "d"(arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)ret < 0 ? -(int)ret : 0;
}

static int call_low(unsigned long cmd, void *arg)
{
	const unsigned long at = (unsigned long)arg;
	__u32 size;
	int ret;

	if (!(at >> 32))
		return ioctl_32(cmd, at);
	/* Of the kernel's addresses there is only the end of these. */
	if (at >> 63)
		return ioctl_32(cmd, 0xffffff00ul);
	memcpy(&size, arg, sizeof(size));
	size = size < 1024 ? size : 1024;
	memcpy(low, arg, size);
	ret = ioctl_32(cmd, (unsigned long)low);
	memcpy(arg, low, size);
	return ret;
}

/* Whether a call ends as it must; @want is an errno, 0 for success. */
static void expect(const char *what, unsigned long cmd, void *arg, int want)
{
	const int got = low ? call_low(cmd, arg) : ioctl(ctl, cmd, arg) ? errno : 0;

	n_tried++;
	if (got == want)
		return;
	n_bad++;
	printf("%s%s: %s, want %s\n", what, low ? " (32 bits)" : "", strerror(got),
	       strerror(want));
}

static void refuse_sizes(void)
{
	static const struct {
		unsigned long cmd;
		unsigned int size;
	} calls[] = {
		{ VHOSTKIT_INFO, sizeof(struct vhostkit_info) },
		{ VHOSTKIT_DISK_ADD, sizeof(struct vhostkit_disk_add) },
		{ VHOSTKIT_DISK_DEL, sizeof(struct vhostkit_disk_del) },
		{ VHOSTKIT_DISK_RESIZE, sizeof(struct vhostkit_disk_resize) },
		{ VHOSTKIT_DISK_QUERY, sizeof(struct vhostkit_disk_query) },
		{ VHOSTKIT_DISK_STATS, sizeof(struct vhostkit_disk_stats) },
	};
	const size_t page = 4096;
	unsigned char *two, *at;
	unsigned int i;
	__u32 *word;

	two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | (low ? MAP_32BIT : 0), -1, 0);
	munmap(two + page, page);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const unsigned long cmd = calls[i].cmd;

		expect("NULL", cmd, NULL, EFAULT);
		expect("kernel address", cmd, (void *)0xffffffff81000000ul, EFAULT);
		at = two + page - calls[i].size;
		memset(two, 0, page);
		word = (__u32 *)(void *)at;
		word[0] = 0;
		expect("size 0", cmd, at, EINVAL);
		word[0] = calls[i].size - 1;
		expect("a byte too few", cmd, at, EINVAL);
		word[0] = calls[i].size + 1;
		expect("over the end of memory", cmd, at, EFAULT);
		word[0] = 0xffffffff;
		expect("size without end", cmd, at, E2BIG);
		word[0] = calls[i].size;
		word[1] = 1u << 31;
		expect("unknown flag", cmd, at, EOPNOTSUPP);
		memset(two, 0, page);
		word = (__u32 *)(void *)two;
		word[0] = calls[i].size + 8;
		two[calls[i].size + 7] = 1;
		expect("unknown tail", cmd, two, E2BIG);
	}
	munmap(two, page);
	expect("unknown call", _IO(VHOSTKIT_TYPE, 0x3f), NULL, ENOTTY);
	expect("call with a size", _IOW(VHOSTKIT_TYPE, 0, int), NULL, ENOTTY);
	expect("another type", _IO(0xba, 0), NULL, ENOTTY);
}

static struct vhostkit_disk_add good_add(const char *name, int fd)
{
	struct vhostkit_disk_add a = { .size = sizeof(a), .fd = fd };

	set_name(a.name, name);
	return a;
}

static void refuse_names(int fd)
{
	static const char *const names[] = {
		"", ".a", "-a", "_a", "a/b", "a b", "a%d", "\xc3\xa4", "a\n",
		"0123456789012345678901234567890x",
	};
	struct vhostkit_disk_add a;
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		a = good_add(names[i], fd);
		expect(names[i], VHOSTKIT_DISK_ADD, &a, EINVAL);
	}
	a = good_add("a", fd);
	a.name[5] = 'x';
	expect("name goes on after its end", VHOSTKIT_DISK_ADD, &a, EINVAL);
	a = good_add("a", fd);
	a.serial[1] = 'x';
	expect("serial goes on after its end", VHOSTKIT_DISK_ADD, &a, EINVAL);
}

static void refuse_numbers(int fd)
{
	static const __u32 queue_sizes[] = { 1, 8, 17, 255, 2048, 0x10100, 0xffffffff };
	static const __u32 block_sizes[] = { 1, 256, 513, 8192, 0x80000000 };
	struct vhostkit_disk_add a;
	unsigned int i;

	for (i = 0; i < sizeof(queue_sizes) / sizeof(queue_sizes[0]); i++) {
		a = good_add("a", fd);
		a.queue_size = queue_sizes[i];
		expect("queue_size", VHOSTKIT_DISK_ADD, &a, EINVAL);
	}
	for (i = 0; i < sizeof(block_sizes) / sizeof(block_sizes[0]); i++) {
		a = good_add("a", fd);
		a.block_size = block_sizes[i];
		expect("block_size", VHOSTKIT_DISK_ADD, &a, EINVAL);
	}
	a = good_add("a", fd);
	a.n_queues = VHOSTKIT_MAX_QUEUES + 1;
	expect("n_queues", VHOSTKIT_DISK_ADD, &a, EINVAL);
	a = good_add("a", fd);
	a.n_queues = 0xffffffff;
	expect("n_queues without end", VHOSTKIT_DISK_ADD, &a, EINVAL);
	a = good_add("a", fd);
	a.reserved = 1;
	expect("reserved", VHOSTKIT_DISK_ADD, &a, EINVAL);
}

static void refuse_fd(const char *what, int fd, __u32 flags, int want)
{
	struct vhostkit_disk_add a = good_add("a", fd);

	a.flags = flags;
	expect(what, VHOSTKIT_DISK_ADD, &a, want);
	if (fd >= 0)
		close(fd);
}

static void refuse_fds(const char *file)
{
	const __u32 ro = VHOSTKIT_DISK_F_READ_ONLY;
	int two[2];

	refuse_fd("fd -1", -1, 0, EBADF);
	refuse_fd("fd 4000", 4000, 0, EBADF);
	refuse_fd("folder", open("/", O_RDONLY), ro, ENOTBLK);
	refuse_fd("character device", open("/dev/zero", O_RDWR), 0, ENOTBLK);
	refuse_fd("ourselves", dup(ctl), 0, ENOTBLK);
	refuse_fd("memory of another file system", open("/proc/cpuinfo", O_RDONLY), ro, EINVAL);
	refuse_fd("O_PATH", open(file, O_PATH), ro, EBADF);
	refuse_fd("O_WRONLY", open(file, O_WRONLY), 0, EBADF);
	refuse_fd("O_RDONLY", open(file, O_RDONLY), 0, EACCES);
	refuse_fd("O_APPEND", open(file, O_RDWR | O_APPEND), 0, EPERM);
	refuse_fd("empty file", memfd_create("a", MFD_CLOEXEC), 0, EINVAL);
	if (!pipe(two)) {
		refuse_fd("pipe", two[0], ro, ENOTBLK);
		close(two[1]);
	}
	if (!socketpair(AF_UNIX, SOCK_STREAM, 0, two)) {
		refuse_fd("socket", two[0], 0, ENOTBLK);
		close(two[1]);
	}
}

static void refuse_second(const char *file)
{
	struct vhostkit_disk_add w = good_add("w", open(file, O_RDWR));
	struct vhostkit_disk_add r = good_add("r", open(file, O_RDONLY));
	struct vhostkit_disk_add r2 = good_add("r2", r.fd);
	struct vhostkit_disk_del d = { .size = sizeof(d), .name = "w" };
	struct vhostkit_disk_stats s = { .size = sizeof(s), .name = "w" };
	struct vhostkit_disk_query q = { .size = sizeof(q), .name = "x" };

	r.flags = r2.flags = VHOSTKIT_DISK_F_READ_ONLY;
	expect("del of nobody", VHOSTKIT_DISK_DEL, &d, ENOENT);
	expect("query of nobody", VHOSTKIT_DISK_QUERY, &q, ENOENT);
	expect("add", VHOSTKIT_DISK_ADD, &w, 0);
	expect("same name", VHOSTKIT_DISK_ADD, &w, EEXIST);
	expect("reader beside a writer", VHOSTKIT_DISK_ADD, &r, EBUSY);
	expect("stats without a device", VHOSTKIT_DISK_STATS, &s, ENODEV);
	expect("del", VHOSTKIT_DISK_DEL, &d, 0);
	expect("reader", VHOSTKIT_DISK_ADD, &r, 0);
	expect("second reader", VHOSTKIT_DISK_ADD, &r2, 0);
	expect("writer beside readers", VHOSTKIT_DISK_ADD, &w, EBUSY);
	set_name(d.name, "r");
	expect("del r", VHOSTKIT_DISK_DEL, &d, 0);
	set_name(d.name, "r2");
	expect("del r2", VHOSTKIT_DISK_DEL, &d, 0);
	close(w.fd);
	close(r.fd);
}

static void refuse_all(const char *file, int fd)
{
	refuse_sizes();
	refuse_names(fd);
	refuse_numbers(fd);
	refuse_fds(file);
	refuse_second(file);
}

/* As another user, and as the root of a namespace of its own. */
static int stranger(void)
{
	static const char *const who[] = { "another user", "root of a user namespace" };
	struct vhostkit_info info = { .size = sizeof(info) };
	int i, fd, status;

	for (i = 0; i < 2; i++) {
		if (fork()) {
			wait(&status);
			n_bad += status != 0;
			continue;
		}
		if (setgid(1000) || setuid(1000) || (i && unshare(CLONE_NEWUSER)))
			_exit(fail(who[i]));
		fd = open("/dev/vhostkit", O_RDWR);
		if (fd < 0 && errno == EACCES)
			_exit(0);
		printf("%s: open is not refused, and INFO gives %d\n", who[i],
		       ioctl(fd, VHOSTKIT_INFO, &info));
		_exit(1);
	}
	return n_bad > 0;
}

static int refuse(const char *folder)
{
	char file[256];
	int fd;

	snprintf(file, sizeof(file), "%s/refuse.img", folder);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20))
		return fail(file);
	refuse_all(file, fd);
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
		   0);
	if (low == MAP_FAILED)
		return fail("mmap");
	refuse_all(file, fd);
	unlink(file);
	if (list())
		return 1;
	printf("%u calls, %u wrong\n", n_tried, n_bad);
	return n_bad > 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	ctl = open("/dev/vhostkit", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return fail("/dev/vhostkit");
	if (!strcmp(verb, "add"))
		return add(argc - 2, argv + 2);
	if (!strcmp(verb, "list"))
		return list();
	if (!strcmp(verb, "stranger"))
		return stranger();
	if (argc != 3)
		return 2;
	if (!strcmp(verb, "del"))
		return del(argv[2]);
	if (!strcmp(verb, "resize"))
		return resize(argv[2]);
	if (!strcmp(verb, "stats"))
		return stats(argv[2]);
	if (!strcmp(verb, "refuse"))
		return refuse(argv[2]);
	return 2;
}
