// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Which images and options make a disk and which are refused, with one line that names the image;
 * and the lock that keeps a second server out until the first one's requests are gone.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "t_blk.h"

static char line[600];
static unsigned int n_lines;

static void keep_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	if (level > VHK_LOG_WARN)
		return;
	snprintf(line, sizeof(line), "%s", text);
	n_lines++;
}

static int try_open(struct vhk_blk_opts o)
{
	struct vhk_device *d = NULL;
	int ret, fds = t_count_fds();

	o.sz = sizeof(o);
	o.log = (struct vhk_log){ .fn = keep_line, .level = VHK_LOG_DEBUG };
	line[0] = 0;
	n_lines = 0;
	ret = vhk_blk_new(&d, &o);
	T_EQ(!ret, d != NULL);
	if (d)
		vhk_device_free(d);
	T_EQ(t_count_fds(), fds);
	return ret;
}

/* A first queue starts. */
static int first_queue(struct vhk_device *d)
{
	uint64_t end = t_now_ns() + 10000000000ull;
	int ret;

	while ((ret = vhk_blk_begin(vhk_device_priv(d))) == -EAGAIN && t_now_ns() < end)
		poll(NULL, 0, 1);
	return ret;
}

static int try_serve(struct vhk_blk_opts o)
{
	struct vhk_device *d = NULL;
	int ret;

	o.sz = sizeof(o);
	o.log = (struct vhk_log){ .fn = keep_line, .level = VHK_LOG_DEBUG };
	line[0] = 0;
	ret = vhk_blk_new(&d, &o);
	if (!ret)
		ret = first_queue(d);
	vhk_device_free(d);
	return ret;
}

static const char *in_dir(const char *name)
{
	static char path[2][160];
	static unsigned int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", t_disk_dir(), name);
	return path[i];
}

static void make_files(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	t_image(in_dir("good"), 8);
	t_image(in_dir("odd"), 8);
	T_MUST(!truncate(in_dir("odd"), 4000));
	t_image(in_dir("three"), 3);
	t_image(in_dir("empty"), 0);
	mkfifo(in_dir("fifo"), 0600);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in_dir("socket"));
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || errno == EADDRINUSE);
	close(fd);
	symlink(in_dir("good"), in_dir("link"));
}

static void images(void)
{
	static const struct {
		const char *name;
		uint32_t flags, block_size;
		int want;
	} cases[] = {
		{ "good", 0, 0, 0 },
		{ "good", VHK_BLK_F_READ_ONLY, 0, 0 },
		{ "good", 0, 4096, 0 },
		{ "link", 0, 0, 0 },
		{ "empty", 0, 0, 0 },
		{ "odd", 0, 0, -EINVAL },
		{ "odd", VHK_BLK_F_READ_ONLY, 0, -EINVAL },
		{ "three", 0, 512, 0 },
		{ "three", 0, 1024, -EINVAL },
		{ "missing", 0, 0, -ENOENT },
		{ "good/below", 0, 0, -ENOTDIR },
		{ "", 0, 0, -EISDIR },
		{ "", VHK_BLK_F_READ_ONLY, 0, -EISDIR },
		{ "fifo", 0, 0, -EINVAL },
		{ "fifo", VHK_BLK_F_READ_ONLY, 0, -EINVAL },
		{ "socket", 0, 0, -ENXIO },
	};
	const char *path;
	unsigned int i;
	bool empty;

	make_files();
	for (i = 0; i < vhk_array_size(cases); i++) {
		path = in_dir(cases[i].name);
		T_EQ(try_open((struct vhk_blk_opts){ .path = path,
						     .flags = cases[i].flags,
						     .block_size = cases[i].block_size }),
		     cases[i].want);
		/* an image without a block is served, with a warning */
		empty = !strcmp(cases[i].name, "empty");
		T_EQ(n_lines, cases[i].want || empty);
		if (n_lines)
			T_OK(strstr(line, path));
		if (t_bad)
			printf("# case %u: %s\n", i, line);
	}
	T_EQ(try_open((struct vhk_blk_opts){ .path = "/dev/null" }), -EINVAL);
}

static void options(void)
{
	static const struct {
		struct vhk_blk_opts o;
		int want;
	} cases[] = {
		{ { .num_queues = 256 }, 0 },
		{ { .num_queues = 257 }, -EINVAL },
		{ { .queue_size = 4 }, 0 },
		{ { .queue_size = 2 }, -EINVAL },
		{ { .queue_size = 100 }, -EINVAL },
		{ { .queue_size = 32768 }, 0 },
		{ { .queue_size = 32769 }, -EINVAL },
		{ { .block_size = 256 }, -EINVAL },
		{ { .block_size = 1000 }, -EINVAL },
		{ { .block_size = 8192 }, -EINVAL },
		{ { .flags = VHK_BLK_F_ALL + 1 }, -EOPNOTSUPP },
		{ { .serial = "12345678901234567890" }, 0 },
		{ { .serial = "123456789012345678901" }, -EINVAL },
		{ { .serial = "" }, 0 },
	};
	struct vhk_blk_opts o;
	unsigned int i;

	make_files();
	T_EQ(try_open((struct vhk_blk_opts){ .path = NULL }), -EINVAL);
	for (i = 0; i < vhk_array_size(cases); i++) {
		o = cases[i].o;
		o.path = in_dir("good");
		T_EQ(try_open(o), cases[i].want);
	}
}

static void an_unreadable_image_is_named(void)
{
	bool root = !geteuid();
	const char *path;

	make_files();
	path = in_dir("good");
	T_MUST(!chmod(path, 0));
	/* root may read everything */
	T_MUST(!root || !seteuid(65534));
	T_EQ(try_open((struct vhk_blk_opts){ .path = path }), -EACCES);
	T_OK(strstr(line, path));
	T_MUST(!root || !seteuid(0));
}

static struct vhk_device *hold(uint32_t flags)
{
	struct vhk_blk_opts o = { .sz = sizeof(o), .path = in_dir("good"), .flags = flags };
	struct vhk_device *d;

	T_MUST(!vhk_blk_new(&d, &o));
	T_EQ(first_queue(d), 0);
	return d;
}

static void one_writer_or_many_readers(void)
{
	static const struct {
		uint32_t first, second;
		int want;
	} cases[] = {
		{ 0, 0, -EBUSY },
		{ 0, VHK_BLK_F_READ_ONLY, -EBUSY },
		{ VHK_BLK_F_READ_ONLY, 0, -EBUSY },
		{ VHK_BLK_F_READ_ONLY, VHK_BLK_F_READ_ONLY, 0 },
	};
	struct vhk_blk_opts o = { .lock_ms = 20 };
	struct vhk_device *d;
	unsigned int i;
	uint64_t t;

	make_files();
	o.path = in_dir("good");
	for (i = 0; i < vhk_array_size(cases); i++) {
		d = hold(cases[i].first);
		t = t_now_ns();
		o.flags = cases[i].second;
		T_EQ(try_serve(o), cases[i].want);
		if (cases[i].want) {
			T_OK(t_now_ns() - t >= 20000000);
			T_OK(strstr(line, "in use by another server"));
		}
		/* one that is to take over may open it, and has to wait as well */
		o.flags |= VHK_BLK_F_INCOMING;
		T_EQ(try_open(o), 0);
		T_EQ(try_serve(o), cases[i].want);
		/* stopped is not gone, but gone elsewhere */
		vhk_blk_end(vhk_device_priv(d), false);
		T_EQ(try_serve(o), cases[i].want);
		vhk_blk_end(vhk_device_priv(d), true);
		T_EQ(try_serve(o), 0);
		vhk_device_free(d);
		T_EQ(try_open(o), 0);
	}
}

/* A wait that is no blink is told before it is over. */
static void a_long_wait_is_told(void)
{
	struct vhk_blk_opts o = { .sz = sizeof(o), .lock_ms = 60000, .flags = VHK_BLK_F_INCOMING };
	struct vhk_device *d, *holder;

	make_files();
	o.path = in_dir("good");
	o.log = (struct vhk_log){ .fn = keep_line, .level = VHK_LOG_WARN };
	holder = hold(0);
	T_MUST(!vhk_blk_new(&d, &o));
	line[0] = 0;
	while (!line[0]) {
		T_EQ(vhk_blk_begin(vhk_device_priv(d)), -EAGAIN);
		poll(NULL, 0, 1);
	}
	T_OK(strstr(line, "waiting up to 60000 ms"));
	line[0] = 0;
	poll(NULL, 0, 250);
	T_EQ(vhk_blk_begin(vhk_device_priv(d)), -EAGAIN);
	T_EQ(line[0], 0);
	vhk_device_free(holder);
	T_EQ(vhk_blk_begin(vhk_device_priv(d)), 0);
	vhk_device_free(d);
}

/* Whoever gave up waiting for the lock leaves the next one its whole time. */
static void a_wait_given_up_is_forgotten(void)
{
	struct vhk_blk_opts o = { .sz = sizeof(o), .lock_ms = 20, .flags = VHK_BLK_F_INCOMING };
	struct vhk_device *d, *holder;
	uint64_t end;

	make_files();
	o.path = in_dir("good");
	holder = hold(0);
	T_MUST(!vhk_blk_new(&d, &o));
	T_EQ(vhk_blk_begin(vhk_device_priv(d)), -EAGAIN);
	end = t_now_ns() + 21000000;
	while (t_now_ns() < end)
		poll(NULL, 0, 1);
	vhk_blk_end(vhk_device_priv(d), false);
	T_EQ(vhk_blk_begin(vhk_device_priv(d)), -EAGAIN);
	T_EQ(first_queue(d), -EBUSY);
	vhk_device_free(d);
	vhk_device_free(holder);
}

/* A server that a signal killed while it held the image. */
static void a_dead_server_is_waited_for(void)
{
	struct vhk_blk_opts o = { .sz = sizeof(o), .lock_ms = 5000 };
	int up[2], down[2];
	struct vhk_device *d;
	pid_t pid;
	char byte;

	make_files();
	o.path = in_dir("good");
	T_MUST(!pipe2(up, O_CLOEXEC) && !pipe2(down, O_CLOEXEC));
	pid = fork();
	T_MUST(pid >= 0);
	if (!pid) {
		if (vhk_blk_new(&d, &o) || vhk_blk_begin(vhk_device_priv(d)))
			_exit(1);
		/*
		 * the process that asks lives on without the image until told; the lock goes with
		 * the file
		 */
		if (write(up[1], "x", 1) != 1 || read(down[0], &byte, 1) != 1)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	T_MUST(read(up[0], &byte, 1) == 1);
	T_EQ(try_serve((struct vhk_blk_opts){ .path = o.path, .lock_ms = 1 }), -EBUSY);
	T_MUST(write(down[1], "x", 1) == 1);
	T_EQ(try_serve(o), 0);
	T_EQ(waitpid(pid, NULL, 0), pid);
	close(up[0]);
	close(up[1]);
	close(down[0]);
	close(down[1]);
}

static void the_lock_leaves_other_users_alone(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 204 };
	struct vhk_device *d;
	int fd;

	make_files();
	d = hold(0);
	fd = open(in_dir("good"), O_RDWR | O_CLOEXEC);
	T_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
	close(fd);
	vhk_device_free(d);
}

static void a_memory_file_is_told_apart(void)
{
	struct vhk_blk_opts o = { .sz = sizeof(o),
				  .path = "/dev/shm/vhk-test-image",
				  .flags = VHK_BLK_F_DIRECT };
	struct vhk_device *d;
	struct vhk_blk *blk;
	struct statfs fs;

	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		T_SKIP("/dev/shm is no memory file system");
	t_image(o.path, 8);
	T_EQ(vhk_blk_new(&d, &o), 0);
	blk = d->priv;
	T_EQ(blk->file.memory, true);
	T_EQ(blk->file.direct, false);
	T_OK(fcntl(blk->file.fd, F_GETFL) & O_NONBLOCK);
	T_OK(d->info.features & VHK_BLK_F(DISCARD));
	T_EQ(d->ops.queue_start(d->priv, &t_queue), 0);
	T_EQ(t_loop.file_flags, VHK_FILE_F_INLINE_WRITE);
	d->ops.queue_stop(d->priv, &t_queue);
	vhk_device_free(d);
	unlink(o.path);

	make_files();
	d = hold(0);
	blk = d->priv;
	T_EQ(blk->file.memory, false);
	T_OK(!(fcntl(blk->file.fd, F_GETFL) & O_NONBLOCK));
	vhk_device_free(d);
}

/* Opening an image for writing probes what it can do; none of its bytes may change by that. */
static void probing_changes_nothing(void)
{
	unsigned char before[4096], after[4096];
	struct stat st;
	int fd;

	make_files();
	fd = open(in_dir("good"), O_RDONLY | O_CLOEXEC);
	T_EQ(pread(fd, before, sizeof(before), 0), sizeof(before));
	T_EQ(try_open((struct vhk_blk_opts){ .path = in_dir("good") }), 0);
	T_EQ(pread(fd, after, sizeof(after), 0), sizeof(after));
	T_EQ(memcmp(before, after, sizeof(before)), 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 4096);
	close(fd);
}

int main(void)
{
	T_RUN(images);
	T_RUN(options);
	T_RUN(an_unreadable_image_is_named);
	T_RUN(one_writer_or_many_readers);
	T_RUN(a_long_wait_is_told);
	T_RUN(a_wait_given_up_is_forgotten);
	T_RUN(a_dead_server_is_waited_for);
	T_RUN(the_lock_leaves_other_users_alone);
	T_RUN(a_memory_file_is_told_apart);
	T_RUN(probing_changes_nothing);
	return t_end();
}
