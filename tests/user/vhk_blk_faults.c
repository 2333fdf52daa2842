// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What may break around a running vhk-blk: the file system fills up, the image shrinks or may not
 * grow, the front end takes its memory away. Requests fail; the program serves on.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define WANT (VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_FLUSH)
#define BAD_GPA 0x40000000
#define BAD_UVA 0x10000000
#define BAD_SIZE 65536

static char image[128], sock[128], file_opt[160], sock_opt[160];

static void start(struct t_prog *p, const char *path, const char *more)
{
	const char *args[] = { file_opt, sock_opt, more, NULL };

	snprintf(image, sizeof(image), "%s", path);
	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", image);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(p, "vhk-blk", args);
	T_MUST(t_prog_ready(p, MS));
}

static void make_image(const char *path, off_t size)
{
	T_MUST(!close(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
	T_MUST(!truncate(path, size));
}

static void stop(struct t_prog *p)
{
	kill(p->pid, SIGTERM);
	T_EQ(t_prog_end(p, 2000), 0);
}

static void serves_on(void)
{
	unsigned char data[512];
	struct t_front f;

	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, data, 512), 0);
	t_front_close(&f);
}

/* A file system of 256 KiB that only this process and its children see. */
static bool mount_small(const char *at)
{
	int ns = CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0);

	return !unshare(ns) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mkdir(at, 0700) && !mount("vhk-test", at, "tmpfs", 0, "size=256k");
}

static void a_full_file_system_fails_writes_only(void)
{
	unsigned char data[T_ROOM], back[T_ROOM];
	char small[100], path[128];
	unsigned int i, ok = 0;
	struct t_front f;
	struct t_prog p;

	snprintf(small, sizeof(small), "%s/small", t_dir());
	if (!mount_small(small))
		T_SKIP("no mount namespace to be had");
	snprintf(path, sizeof(path), "%s/image", small);
	make_image(path, 1 << 20);
	start(&p, path, NULL);
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	memset(data, 7, sizeof(data));
	for (i = 0; i < 64; i++)
		ok += !t_front_do(&f, 0, VIRTIO_BLK_T_OUT, i * (T_ROOM / 512), data, T_ROOM);
	T_OK(ok > 0 && ok <= 16);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 0, data, T_ROOM), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, back, T_ROOM), 0);
	T_EQ(memcmp(data, back, T_ROOM), 0);
	t_front_close(&f);
	serves_on();
	stop(&p);
	T_OK(strstr(p.text[2], "No space left"));
	/* some fifty errors, told of at the first, second, fourth, ... */
	T_OK(t_lines(p.text[2]) <= 7);
	T_EQ(umount(small), 0);
}

static void a_limit_on_the_file_is_an_error_not_a_signal(void)
{
	struct rlimit old, l = { 65536, 65536 };
	unsigned char data[4096] = { 1 };
	char path[128];
	struct t_front f;
	struct t_prog p;

	snprintf(path, sizeof(path), "%s/limited", t_dir());
	make_image(path, 1 << 20);
	T_MUST(!getrlimit(RLIMIT_FSIZE, &old));
	l.rlim_max = old.rlim_max;
	T_MUST(!setrlimit(RLIMIT_FSIZE, &l));
	start(&p, path, NULL);
	T_MUST(!setrlimit(RLIMIT_FSIZE, &old));
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 0, data, 4096), 0);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 1024, data, 4096), VIRTIO_BLK_S_IOERR);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 1024, data, 4096), 0);
	t_front_close(&f);
	stop(&p);
}

static void an_image_cut_off_reads_as_zeros(void)
{
	unsigned char data[4096];
	char path[128];
	struct t_front f;
	struct t_prog p;

	snprintf(path, sizeof(path), "%s/cut", t_dir());
	make_image(path, 1 << 20);
	start(&p, path, NULL);
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	memset(data, 7, sizeof(data));
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 0, data, 4096), 0);
	T_MUST(!truncate(path, 1000));
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_IN, 0, data, 4096), 0);
	T_EQ(data[999], 7);
	T_EQ(data[1000], 0);
	T_EQ(data[4095], 0);
	t_front_close(&f);
	stop(&p);
}

static void an_image_that_shrank_takes_no_write_behind_its_end(void)
{
	unsigned char data[4096] = { 1 };
	char path[128];
	struct t_front f;
	struct t_prog p;
	struct stat st;
	uint64_t until;

	snprintf(path, sizeof(path), "%s/shrank", t_dir());
	make_image(path, 1 << 20);
	start(&p, path, NULL);
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	T_MUST(!truncate(path, 5000));
	kill(p.pid, SIGHUP);
	until = t_now_ns() + MS * 1000000ull;
	while (!f.n_config && t_now_ns() < until) {
		t_readable(vhk_ctl_fd(f.ctl), 100);
		T_EQ(vhk_ctl_process(f.ctl) < 0, 0);
	}
	T_EQ(f.n_config, 1);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 9, data, 512), VIRTIO_BLK_S_IOERR);
	T_EQ(t_front_do(&f, 0, VIRTIO_BLK_T_OUT, 8, data, 512), 0);
	T_OK(!stat(path, &st) && st.st_size == 5000);
	t_front_close(&f);
	stop(&p);
	T_MUST(!truncate(path, 0));
	T_EQ(t_lines(p.text[2]), 1);
	T_OK(strstr(p.text[2], "/shrank: shrunk to 9 sectors"));
	start(&p, path, NULL);
	stop(&p);
	T_EQ(t_lines(p.text[2]), 1);
	T_OK(strstr(p.text[2], "/shrank: is empty"));
}

/* A request whose parts lie in memory that is gone by the time it is looked at. */
static void take_memory_away(unsigned int gone)
{
	const struct vhk_region r = { { BAD_GPA }, { BAD_UVA }, BAD_SIZE, 0 };
	int fd = memfd_create("vhk-test", MFD_CLOEXEC), mine = dup(fd);
	struct iovec bad, seg[3];
	struct t_req *q;
	struct t_front f;
	int ret;

	T_MUST(fd >= 0 && mine >= 0 && !ftruncate(fd, BAD_SIZE));
	T_EQ(t_front_open(&f, sock, WANT, 1, 16), 0);
	q = &f.req[0];
	T_EQ(vhk_ctl_add_mem_reg(f.ctl, &r, fd), 0);
	T_MUST(!vhk_mem_add_take_fd(f.mem, &r, fd));
	T_MUST(vhk_mem_find(f.mem, r.gpa, 4096, &bad, 1) == 1);
	q->s->hdr = (struct virtio_blk_outhdr){ .type = htole32(VIRTIO_BLK_T_IN) };
	q->s->status = 0xee;
	seg[0] = (struct iovec){ &q->s->hdr, 16 };
	seg[1] = (struct iovec){ q->s->data, 512 };
	seg[2] = (struct iovec){ &q->s->status, 1 };
	seg[gone].iov_base = bad.iov_base;
	T_MUST(!ftruncate(mine, 0));
	T_EQ(vhk_vq_add(f.vq[0], seg, 1, 2, q), 0);
	T_EQ(vhk_vq_publish(f.vq[0]), 1);
	T_EQ(vhk_ctl_kick(f.ctl, 0), 0);
	ret = vhk_ctl_wait(f.ctl, 0, 5 * T_SECOND);
	/* an error of the ring, or the end of the session, but no answer */
	T_OK(ret == -EBADMSG || ret == -ENOTCONN);
	T_OK(!vhk_vq_ready(f.vq[0]));
	t_front_close(&f);
	close(mine);
}

static void memory_taken_away_ends_the_session_only(void)
{
	static const char *const ways[] = { NULL, "--threads=2", "--no-io-uring" };
	static const char line[] = "session ends: a file of its memory was cut short\n";
	unsigned int gone, w;
	const char *at;
	char path[128];
	struct t_prog p;

	snprintf(path, sizeof(path), "%s/memory", t_dir());
	for (w = 0; w < 3; w++) {
		make_image(path, 1 << 20);
		start(&p, path, ways[w]);
		for (gone = 0; gone < 3; gone++) {
			take_memory_away(gone);
			serves_on();
		}
		stop(&p);
		/* each is said once, and nothing else is */
		T_EQ(t_lines(p.text[2]), 3);
		for (at = p.text[2], gone = 0; (at = strstr(at, line)); at++)
			gone++;
		T_EQ(gone, 3);
	}
}

/* Memory that is there in both processes, and its second half soon not any more. */
struct lost {
	struct t_front f;
	unsigned char *kept, *gone;
	int fd;
};

static void lost_open(struct lost *m)
{
	const struct vhk_region r = { { BAD_GPA }, { BAD_UVA }, BAD_SIZE, 0 };
	int fd = memfd_create("vhk-test", MFD_CLOEXEC);
	struct iovec all;

	m->fd = dup(fd);
	T_MUST(fd >= 0 && m->fd >= 0 && !ftruncate(fd, BAD_SIZE));
	T_EQ(t_front_open(&m->f, sock, WANT, 1, 16), 0);
	T_EQ(vhk_ctl_add_mem_reg(m->f.ctl, &r, fd), 0);
	T_MUST(!vhk_mem_add_take_fd(m->f.mem, &r, fd));
	T_MUST(vhk_mem_find(m->f.mem, r.gpa, BAD_SIZE, &all, 1) == 1);
	m->kept = all.iov_base;
	m->gone = m->kept + BAD_SIZE / 2;
}

static void lost_add(struct lost *m, uint32_t type, uint64_t sector, void *hdr, void *data)
{
	const struct virtio_blk_outhdr h = { .type = htole32(type), .sector = htole64(sector) };
	struct t_req *q = t_front_idle(&m->f);
	struct iovec seg[3] = { { hdr, 16 }, { data, 4096 }, { &q->s->status, 1 } };
	const unsigned int out = type == VIRTIO_BLK_T_OUT ? 2 : 1;

	q->busy = true;
	memcpy(hdr, &h, sizeof(h));
	T_EQ(vhk_vq_add(m->f.vq[0], seg, out, 3 - out, q), 0);
}

/* The memory goes, then the requests are seen: the session ends. */
static void lost_go(struct lost *m)
{
	T_MUST(!ftruncate(m->fd, BAD_SIZE / 2));
	T_EQ(vhk_vq_publish(m->f.vq[0]), 1);
	T_EQ(vhk_ctl_kick(m->f.ctl, 0), 0);
	T_OK(vhk_ctl_wait(m->f.ctl, 0, 5 * T_SECOND) < 0);
	t_front_close(&m->f);
	close(m->fd);
	serves_on();
}

/* With zeros in place of its header's second half the first would be one of sector 0. */
static void half_a_header(void)
{
	struct lost m;
	unsigned int i;

	lost_open(&m);
	memset(m.kept, 0xaa, 4096);
	lost_add(&m, VIRTIO_BLK_T_OUT, 8, m.gone - 8, m.kept);
	for (i = 1; i < 4; i++)
		lost_add(&m, VIRTIO_BLK_T_OUT, 8 * i, &m.f.req[i].s->hdr, m.gone);
	lost_go(&m);
}

/* The second makes zeros of the page that the first is to write. */
static void met_by_another(void)
{
	struct lost m;

	lost_open(&m);
	lost_add(&m, VIRTIO_BLK_T_OUT, 8, &m.f.req[0].s->hdr, m.gone);
	lost_add(&m, VIRTIO_BLK_T_IN, 0, m.gone + 2048, m.kept);
	lost_go(&m);
}

static void what_is_gone_is_not_written(void)
{
	static const char *const ways[] = { NULL, "--threads=2", "--no-io-uring", "--direct" };
	const char *const folders[] = { t_dir(), "/dev/shm" };
	unsigned char old[16384], now[16384];
	unsigned int w, k;
	char path[128];
	struct t_prog p;
	int fd;

	memset(old, 0x55, sizeof(old));
	for (k = 0; k < 2; k++) {
		snprintf(path, sizeof(path), "%s/vhk-gone-%d", folders[k], (int)getpid());
		make_image(path, 1 << 20);
		fd = open(path, O_RDWR | O_CLOEXEC);
		T_MUST(fd >= 0 && pwrite(fd, old, sizeof(old), 0) == sizeof(old));
		for (w = 0; w < 4; w++) {
			start(&p, path, ways[w]);
			half_a_header();
			met_by_another();
			stop(&p);
			T_EQ(pread(fd, now, sizeof(now), 0), sizeof(now));
			T_EQ(memcmp(old, now, sizeof(now)), 0);
		}
		close(fd);
		unlink(path);
	}
}

int main(void)
{
	T_RUN(what_is_gone_is_not_written);
	T_RUN(a_limit_on_the_file_is_an_error_not_a_signal);
	T_RUN(an_image_cut_off_reads_as_zeros);
	T_RUN(an_image_that_shrank_takes_no_write_behind_its_end);
	T_RUN(memory_taken_away_ends_the_session_only);
	T_RUN(a_full_file_system_fails_writes_only);
	return t_end();
}
