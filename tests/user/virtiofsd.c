// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Our front end and driver against a back end that nobody here wrote, the C virtiofsd of QEMU 7.2:
 * files are looked up, read, made and written by FUSE over its queues, and compared with what is on
 * the disk; memory comes and goes slot by slot; it is killed, and another one goes on.
 */
#include <linux/fuse.h>
#include <sys/stat.h>

#include <vhostkit/ctl.h>

#include "t_alien.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"
#define SECOND 1000000000LL
#define FILE_SIZE 300000u
#define PIECE 32768u
#define BASIC VHK_F_VERSION_1
#define DATA_AT 0x1000000
#define MORE_AT 0x2000000

/* What is shared with the back end of one request: FUSE knows no more than one at a time here. */
struct shared {
	struct fuse_in_header in;
	struct fuse_out_header out;
	unsigned char arg[512];
	unsigned char data[PIECE];
};

enum { HIGH, REQUESTS, N_QUEUES };

struct share {
	struct t_alien fsd;
	struct vhk_mem *mem;
	struct vhk_ctl *ctl;
	struct vhk_vq *vq[N_QUEUES];
	struct shared *s;
	uint64_t unique;
};

static char folder[80], sock[80];
static unsigned char contents[FILE_SIZE];

static void start_fsd(struct share *f)
{
	char path[100], source[100];
	const char *args[] = { VIRTIOFSD, path, "-o", source, "-o", "cache=none", "-o",
			       "sandbox=chroot", NULL };

	snprintf(path, sizeof(path), "--socket-path=%s", sock);
	snprintf(source, sizeof(source), "source=%s", folder);
	unlink(sock);
	t_alien_start(&f->fsd, args);
}

static void on_disk(const char *name, const unsigned char *want, uint32_t len)
{
	static unsigned char got[FILE_SIZE + 1];
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	T_MUST(fd >= 0);
	T_EQ(read(fd, got, sizeof(got)), len);
	T_EQ(memcmp(got, want, len), 0);
	close(fd);
}

static void make_folder(void)
{
	char path[160];
	unsigned int i;
	int fd;

	snprintf(folder, sizeof(folder), "%s/share", t_dir());
	snprintf(sock, sizeof(sock), "%s/fs", t_dir());
	snprintf(path, sizeof(path), "%s/file", folder);
	mkdir(folder, 0755);
	for (i = 0; i < FILE_SIZE; i++)
		contents[i] = (unsigned char)(i * 2654435761u >> 13);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	T_MUST(fd >= 0 && write(fd, contents, FILE_SIZE) == FILE_SIZE);
	close(fd);
}

/* One request of @n_out readable and @n_in writable segments, to its end. 0 or -errno. */
static int exchange(struct share *f, unsigned int q, const struct iovec *v, unsigned int n_out,
		    unsigned int n_in, uint32_t *written)
{
	struct vhk_done done;
	int ret = vhk_vq_add(f->vq[q], v, n_out, n_in, f);

	if (!ret && vhk_vq_publish(f->vq[q]) > 0)
		ret = vhk_ctl_kick(f->ctl, q);
	while (!ret) {
		ret = vhk_vq_get(f->vq[q], &done, 1);
		if (ret)
			break;
		ret = vhk_ctl_wait(f->ctl, q, 20 * SECOND);
	}
	if (ret < 0)
		return ret;
	T_OK(done.token == f);
	*written = done.written;
	return 0;
}

/*
 * A FUSE request: @arg of @arg_len bytes, then @in of @in_len; the answer of at most @out_len bytes
 * goes to @out, which is in the memory. Bytes of the answer, or what either side said.
 */
static int fuse(struct share *f, uint32_t opcode, uint64_t node, const void *arg, uint32_t arg_len,
		const void *in, uint32_t in_len, void *out, uint32_t out_len)
{
	struct iovec v[5] = { { &f->s->in, sizeof(f->s->in) } };
	unsigned int n = 1, n_out;
	uint32_t written;
	int ret;

	T_MUST(arg_len <= sizeof(f->s->arg));
	f->s->in = (struct fuse_in_header){ .len = (uint32_t)sizeof(f->s->in) + arg_len + in_len,
					    .opcode = opcode,
					    .unique = ++f->unique,
					    .nodeid = node };
	memcpy(f->s->arg, arg, arg_len);
	if (arg_len)
		v[n++] = (struct iovec){ f->s->arg, arg_len };
	if (in_len)
		v[n++] = (struct iovec){ (void *)in, in_len };
	n_out = n;
	v[n++] = (struct iovec){ &f->s->out, sizeof(f->s->out) };
	if (out_len)
		v[n++] = (struct iovec){ out, out_len };
	ret = exchange(f, REQUESTS, v, n_out, n - n_out, &written);
	if (ret)
		return ret;
	T_EQ(f->s->out.unique, f->unique);
	T_EQ(f->s->out.len, written);
	return f->s->out.error ? f->s->out.error : (int)(written - sizeof(f->s->out));
}

static void greet(struct share *f)
{
	const struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
					 .minor = FUSE_KERNEL_MINOR_VERSION,
					 .max_readahead = PIECE };
	struct fuse_init_out out;

	memset(f->s->data, 0, sizeof(out));
	T_OK(fuse(f, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, f->s->data, sizeof(out)) > 0);
	memcpy(&out, f->s->data, sizeof(out));
	T_EQ(out.major, FUSE_KERNEL_VERSION);
	T_OK(out.max_write >= 4096);
}

static int share_open(struct share *f, uint64_t want)
{
	const struct vhk_ctl_opts co = { .sz = sizeof(co), .flags = VHK_CTL_F_WAIT,
					 .timeout_ms = 20000 };
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = 64, .max_indirect = 8,
				  .indirect_min = 2 };
	char uri[100];
	unsigned int q;
	int ret;

	memset(f, 0, sizeof(*f));
	start_fsd(f);
	snprintf(uri, sizeof(uri), "unix:%s", sock);
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_mem_alloc(f->mem, (struct vhk_gpa){ DATA_AT }, sizeof(*f->s), (void **)&f->s));
	T_MUST(!vhk_ctl_open(&f->ctl, uri, &co));
	ret = vhk_ctl_setup(f->ctl, want, want, f->mem);
	if (ret)
		return ret;
	vo.features = vhk_ctl_features(f->ctl);
	for (q = 0; q < N_QUEUES; q++) {
		vo.gpa.v = 0x10000000 + q * 0x1000000;
		T_MUST(!vhk_vq_new(&f->vq[q], f->mem, &vo));
	}
	ret = vhk_ctl_start_all(f->ctl, f->vq, N_QUEUES);
	if (!ret)
		greet(f);
	return ret;
}

/* It ends with its front end. */
static void share_close(struct share *f)
{
	unsigned int q;
	int ret;

	vhk_ctl_close(f->ctl);
	ret = t_alien_end(&f->fsd, 20000);
	T_EQ(ret, 0);
	if (ret || t_bad)
		t_alien_show(&f->fsd);
	for (q = 0; q < N_QUEUES; q++)
		vhk_vq_free(f->vq[q]);
	vhk_mem_free(f->mem);
}

static int lookup(struct share *f, const char *name, struct fuse_entry_out *e)
{
	int ret = fuse(f, FUSE_LOOKUP, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1, NULL, 0,
		       f->s->data, sizeof(*e));

	memcpy(e, f->s->data, sizeof(*e));
	return ret < 0 ? ret : 0;
}

static uint64_t open_file(struct share *f, uint64_t node)
{
	const struct fuse_open_in in = { .flags = O_RDWR };
	struct fuse_open_out out;

	T_EQ(fuse(f, FUSE_OPEN, node, &in, sizeof(in), NULL, 0, f->s->data, sizeof(out)),
	     sizeof(out));
	memcpy(&out, f->s->data, sizeof(out));
	return out.fh;
}

static void close_file(struct share *f, uint64_t node, uint64_t fh)
{
	const struct fuse_release_in in = { .fh = fh };

	T_EQ(fuse(f, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0, NULL, 0), 0);
}

/* All of the file, into @buf (of the memory) piece by piece. */
static void read_file(struct share *f, uint64_t node, uint64_t fh, unsigned char *buf)
{
	uint32_t off;

	for (off = 0; off < FILE_SIZE; off += PIECE) {
		const struct fuse_read_in in = { .fh = fh, .offset = off, .size = PIECE };
		uint32_t left = FILE_SIZE - off, len = left < PIECE ? left : PIECE;

		T_EQ(fuse(f, FUSE_READ, node, &in, sizeof(in), NULL, 0, buf, PIECE), len);
		T_EQ(memcmp(buf, contents + off, len), 0);
	}
}

static void read_all(struct share *f)
{
	struct fuse_entry_out e;
	struct stat st;
	char path[160];
	uint64_t fh;

	snprintf(path, sizeof(path), "%s/file", folder);
	T_MUST(!stat(path, &st));
	T_EQ(lookup(f, "file", &e), 0);
	T_EQ(e.attr.size, FILE_SIZE);
	T_EQ(e.attr.ino, st.st_ino);
	T_EQ(lookup(f, "nothing", &e), -ENOENT);
	T_EQ(lookup(f, "file", &e), 0);
	fh = open_file(f, e.nodeid);
	read_file(f, e.nodeid, fh, f->s->data);
	close_file(f, e.nodeid, fh);
}

/* A file made, written backwards, and there. */
static void write_all(struct share *f, const char *name)
{
	struct {
		struct fuse_create_in in;
		char name[32];
	} arg = { .in = { .flags = O_RDWR, .mode = S_IFREG | 0644 } };
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;
	uint32_t off, len, got;

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	T_EQ(fuse(f, FUSE_CREATE, FUSE_ROOT_ID, &arg, sizeof(arg.in) + (uint32_t)strlen(name) + 1,
		  NULL, 0, f->s->data, sizeof(out)),
	     sizeof(out));
	memcpy(&out, f->s->data, sizeof(out));
	for (off = FILE_SIZE / PIECE * PIECE;; off -= PIECE) {
		const struct fuse_write_in in = {
			.fh = out.o.fh,
			.offset = off,
			.size = FILE_SIZE - off < PIECE ? FILE_SIZE - off : PIECE
		};

		len = in.size;
		memcpy(f->s->data, contents + off, len);
		T_EQ(fuse(f, FUSE_WRITE, out.e.nodeid, &in, sizeof(in), f->s->data, len,
			  f->s->arg + 256, sizeof(struct fuse_write_out)),
		     sizeof(struct fuse_write_out));
		memcpy(&got, f->s->arg + 256, sizeof(got));
		T_EQ(got, len);
		if (!off)
			break;
	}
	close_file(f, out.e.nodeid, out.o.fh);
	on_disk(name, contents, FILE_SIZE);
}

/* FORGET goes by the queue of high priority, and has no answer but that it was used. */
static void forget(struct share *f)
{
	struct fuse_forget_in arg = { .nlookup = 1 };
	struct fuse_entry_out e;
	struct iovec v[2] = { { &f->s->in, sizeof(f->s->in) }, { f->s->arg, sizeof(arg) } };
	uint32_t written;

	T_EQ(lookup(f, "file", &e), 0);
	f->s->in = (struct fuse_in_header){ .len = sizeof(f->s->in) + sizeof(arg),
					    .opcode = FUSE_FORGET,
					    .unique = ++f->unique,
					    .nodeid = e.nodeid };
	memcpy(f->s->arg, &arg, sizeof(arg));
	T_EQ(exchange(f, HIGH, v, 2, 0, &written), 0);
	T_EQ(written, 0);
}

#define CHECK_IT()                                                                                 \
	do {                                                                                       \
		if (!t_alien_find(VIRTIOFSD))                                                      \
			T_SKIP("no " VIRTIOFSD);                                                   \
		if (geteuid())                                                                     \
			T_SKIP("virtiofsd wants to be root");                                      \
		make_folder();                                                                     \
	} while (0)

static void files(void)
{
	static const uint64_t features[] = { BASIC, BASIC | VHK_F_EVENT_IDX,
					     BASIC | VHK_F_INDIRECT_DESC,
					     BASIC | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC };
	const uint64_t knows = VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIGURE_MEM_SLOTS;
	struct share f;
	char name[16];
	size_t i;

	CHECK_IT();
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		T_MUST(!share_open(&f, features[i]));
		T_EQ(vhk_ctl_protocol_features(f.ctl) & knows, knows);
		T_EQ(vhk_ctl_n_queues(f.ctl), N_QUEUES);
		read_all(&f);
		snprintf(name, sizeof(name), "new%zu", i);
		write_all(&f, name);
		forget(&f);
		read_all(&f);
		share_close(&f);
	}
}

static void has_no_packed_ring(void)
{
	struct share f;

	CHECK_IT();
	T_EQ(share_open(&f, BASIC | VHK_F_RING_PACKED), -EOPNOTSUPP);
	share_close(&f);
}

/* Memory is added and removed slot by slot while its queues run. */
static void memory_slots(void)
{
	struct fuse_entry_out e;
	struct vhk_region r;
	unsigned char *more;
	struct share f;
	unsigned int i;
	uint64_t fh;
	int fd;

	CHECK_IT();
	T_MUST(!share_open(&f, BASIC));
	T_EQ(lookup(&f, "file", &e), 0);
	fh = open_file(&f, e.nodeid);
	for (i = 0; i < 20; i++) {
		T_MUST(!vhk_mem_alloc(f.mem, (struct vhk_gpa){ MORE_AT }, PIECE, (void **)&more));
		T_MUST(!vhk_mem_get(f.mem, 1, &r, &fd) && r.gpa.v == MORE_AT);
		T_EQ(vhk_ctl_add_mem_reg(f.ctl, &r, fd), 0);
		read_file(&f, e.nodeid, fh, more);
		T_EQ(vhk_ctl_rem_mem_reg(f.ctl, &r), 0);
		T_MUST(!vhk_mem_del(f.mem, &r));
		read_file(&f, e.nodeid, fh, f.s->data);
	}
	close_file(&f, e.nodeid, fh);
	share_close(&f);
}

static void stops_and_goes_on(void)
{
	struct share f;
	unsigned int i;
	uint32_t base;

	CHECK_IT();
	T_MUST(!share_open(&f, BASIC));
	for (i = 0; i < 5; i++) {
		read_all(&f);
		T_EQ(vhk_ctl_stop(f.ctl, REQUESTS, &base), 0);
		T_EQ(vhk_ctl_start(f.ctl, REQUESTS, f.vq[REQUESTS]), 0);
	}
	read_all(&f);
	share_close(&f);
}

static void killed(void)
{
	struct iovec v;
	struct share f;
	uint32_t written;
	unsigned int i, q;

	CHECK_IT();
	T_MUST(!share_open(&f, BASIC | VHK_F_EVENT_IDX));
	for (i = 0; i < 3; i++) {
		read_all(&f);
		v = (struct iovec){ &f.s->in, sizeof(f.s->in) };
		t_alien_kill(&f.fsd);
		T_EQ(exchange(&f, REQUESTS, &v, 1, 0, &written), -ENOTCONN);
		start_fsd(&f);
		for (q = 0; q < N_QUEUES; q++)
			vhk_vq_reset(f.vq[q], NULL, NULL);
		T_EQ(vhk_ctl_reconnect(f.ctl), 0);
		greet(&f);
	}
	read_all(&f);
	share_close(&f);
}

int main(void)
{
	T_RUN(files);
	T_RUN(has_no_packed_ring);
	T_RUN(memory_slots);
	T_RUN(stops_and_goes_on);
	T_RUN(killed);
	return t_end();
}
