// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Postcopy: a device works on memory whose pages arrive when they are first touched, by a program
 * or by the kernel on its behalf; who waits is woken, at the latest when the front end is gone, and
 * then finds nothing, rather than zeros.
 */
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <vhostkit/vq.h>

#include "t_both.h"
#include "uffd.h"

#define PAGE 4096u
#define PAGES 64u
#define ALSO VHK_PF_PAGEFAULT

/* Copies what it is sent into what it is to fill; every other time the kernel does. */
struct copier {
	struct vhk_device *dev;
	struct vhk_loop *loop;
	pthread_t thread;
	int file;
	unsigned int n, n_failed;
};

static void copier_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	struct copier *d = priv;
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct iovec *out = &c[i]->seg[0], *in = &c[i]->seg[1];

		if (d->n++ & 1) {
			if (pwrite(d->file, out->iov_base, out->iov_len, 0) < 0) {
				T_EQ(errno, EFAULT);
				d->n_failed++;
			} else {
				T_EQ(pread(d->file, in->iov_base, in->iov_len, 0), in->iov_len);
			}
		} else {
			memcpy(in->iov_base, out->iov_base, in->iov_len);
			d->n_failed += vhk_queue_torn(q);
		}
		vhk_queue_done(q, c[i], c[i]->in_len);
	}
}

static void *copier_run(void *arg)
{
	vhk_loop_run(((struct copier *)arg)->loop);
	return NULL;
}

static void copier_init(struct copier *d)
{
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = copier_work };
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 2,
		.features = VHK_F_RING_ALL,
		.n_queues = 1,
		.queue_size = 256,
	};

	memset(d, 0, sizeof(*d));
	d->file = memfd_create("file", MFD_CLOEXEC);
	T_MUST(!vhk_loop_new(&d->loop, NULL));
	T_MUST(!vhk_device_new(&d->dev, &info, &ops, d));
	T_MUST(!vhk_device_set_loops(d->dev, &d->loop, 1));
	T_MUST(!pthread_create(&d->thread, NULL, copier_run, d));
}

static void copier_fini(struct copier *d)
{
	vhk_loop_stop(d->loop);
	pthread_join(d->thread, NULL);
	vhk_device_free(d->dev);
	vhk_loop_free(d->loop);
	close(d->file);
}

/* Whoever brings pages: reads faults, fills the page in through the front end's mapping, wakes. */
struct bringer {
	int uffd, stop;
	uint64_t base;
	unsigned char *buf;
	unsigned int n_faults;
	bool idle; /* only counts */
	pthread_t thread;
};

static void bring(struct bringer *b, uint64_t at)
{
	struct uffdio_range range = { at & ~(uint64_t)(PAGE - 1), PAGE };
	uint64_t page = (range.start - __atomic_load_n(&b->base, __ATOMIC_ACQUIRE)) / PAGE;

	__atomic_add_fetch(&b->n_faults, 1, __ATOMIC_RELEASE);
	if (b->idle)
		return;
	T_MUST(page < PAGES);
	memset(b->buf + page * PAGE, (int)(page + 1), PAGE);
	T_MUST(!ioctl(b->uffd, UFFDIO_WAKE, &range));
}

static void *bringer_run(void *arg)
{
	struct bringer *b = arg;
	struct pollfd p[] = { { b->uffd, POLLIN, 0 }, { b->stop, POLLIN, 0 } };
	struct uffd_msg m;

	while (poll(p, 2, -1) >= 0 && !p[1].revents)
		if (read(b->uffd, &m, sizeof(m)) == sizeof(m) && m.event == UFFD_EVENT_PAGEFAULT)
			bring(b, m.arg.pagefault.address);
	return NULL;
}

static void bringer_start(struct bringer *b)
{
	b->stop = eventfd(0, EFD_CLOEXEC);
	T_MUST(!pthread_create(&b->thread, NULL, bringer_run, b));
}

static void bringer_stop(struct bringer *b)
{
	const uint64_t one = 1;

	T_MUST(write(b->stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(b->thread, NULL);
	close(b->stop);
	close(b->uffd);
}

static int sessions; /* that there are */

static void on_session(void *arg, bool up)
{
	(void)arg;
	__atomic_add_fetch(&sessions, up ? 1 : -1, __ATOMIC_RELEASE);
}

struct fixture {
	struct t_both both;
	struct copier dev;
	struct vhk_ctl *c;
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	struct bringer bringer;
	unsigned char *buf;
	uint64_t base[32];
	int kick, call;
};

static void fixture_init(struct fixture *f, uint32_t flags)
{
	const struct vhk_backend_opts bo = { .sz = sizeof(bo),
					     .on_session = on_session,
					     .flags = flags };
	struct vhk_vq_opts vo = {
		.sz = sizeof(vo), .size = 64, .features = VHK_F_VERSION_1, .gpa = { 0x1000000 }
	};

	memset(f, 0, sizeof(*f));
	copier_init(&f->dev);
	t_both_open(&f->both, f->dev.dev, &bo, (struct vhk_ctl_opts){ .timeout_ms = 20000 });
	f->c = f->both.ctl;
	f->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_mem_alloc(f->mem, (struct vhk_gpa){ 0 }, PAGES * PAGE, (void **)&f->buf));
	f->bringer.buf = f->buf;
	T_MUST(!vhk_vq_new(&f->vq, f->mem, &vo));
}

static void fixture_fini(struct fixture *f)
{
	t_both_stop(&f->both);
	copier_fini(&f->dev);
	vhk_loop_free(f->both.loop);
	vhk_vq_free(f->vq);
	vhk_mem_free(f->mem);
	close(f->kick);
	close(f->call);
}

static void negotiate(struct fixture *f, uint64_t protocol)
{
	uint64_t v;

	T_MUST(!vhk_ctl_get_features(f->c, &v));
	T_MUST(!vhk_ctl_get_protocol_features(f->c, &v));
	T_MUST(!vhk_ctl_set_protocol_features(f->c, protocol & v));
	T_MUST(!vhk_ctl_set_owner(f->c));
	T_MUST(!vhk_ctl_set_features(f->c, VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES));
}

/* Says where the ring is, which is that. */
static struct vhk_vq_addr place_ring(struct fixture *f)
{
	struct vhk_ctl_vring_addr addr = { .index = 0 };
	struct vhk_vq_addr a;

	T_MUST(!vhk_vq_addr(f->vq, &a));
	addr.desc.v = (uintptr_t)a.desc;
	addr.driver.v = (uintptr_t)a.driver;
	addr.device.v = (uintptr_t)a.device;
	T_MUST(!vhk_ctl_set_vring_num(f->c, 0, a.size));
	T_MUST(!vhk_ctl_set_vring_base(f->c, 0, a.base));
	T_MUST(!vhk_ctl_set_vring_addr(f->c, &addr));
	T_MUST(!vhk_ctl_set_vring_call(f->c, 0, f->call));
	return a;
}

static void start_ring(struct fixture *f)
{
	place_ring(f);
	T_MUST(!vhk_ctl_set_vring_kick(f->c, 0, f->kick));
	T_MUST(!vhk_ctl_set_vring_enable(f->c, 0, true));
}

static void offer(struct fixture *f, unsigned int out, unsigned int in)
{
	struct iovec seg[2] = { { f->buf + out * PAGE, 64 }, { f->buf + in * PAGE, 64 } };
	const uint64_t one = 1;

	vhk_vq_arm(f->vq);
	T_MUST(!vhk_vq_add(f->vq, seg, 1, 1, f));
	if (vhk_vq_publish(f->vq) > 0)
		T_MUST(write(f->kick, &one, sizeof(one)) == sizeof(one));
}

static bool take(struct fixture *f)
{
	uint64_t n, end = t_now_ns() + 20 * T_SECOND;
	struct vhk_done done;
	ssize_t ignored;
	int got;

	while (!(got = vhk_vq_get(f->vq, &done, 1)) && t_now_ns() < end) {
		t_readable(f->call, 100);
		ignored = read(f->call, &n, sizeof(n));
		(void)ignored;
	}
	return got == 1;
}

static void advise(struct fixture *f)
{
	T_MUST(!vhk_ctl_postcopy_advise(f->c, &f->bringer.uffd));
	T_MUST(f->bringer.uffd >= 0);
}

static void share(struct fixture *f)
{
	T_EQ(vhk_ctl_set_mem_table_bases(f->c, f->mem, f->base), 0);
	T_OK(f->base[0] && f->base[0] != (uintptr_t)f->buf);
	__atomic_store_n(&f->bringer.base, f->base[0], __ATOMIC_RELEASE);
}

static void pages_arrive_when_touched(void)
{
	struct fixture f;
	unsigned int i;

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	negotiate(&f, VHK_PF_REPLY_ACK | ALSO);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	share(&f);
	bringer_start(&f.bringer);
	T_EQ(vhk_ctl_accept_bases(f.c, true), 0);
	start_ring(&f);
	for (i = 0; i < PAGES / 2; i++) {
		offer(&f, i, PAGES / 2 + i);
		T_MUST(take(&f));
		T_EQ(f.buf[(PAGES / 2 + i) * PAGE], i + 1);
		T_EQ(f.buf[(PAGES / 2 + i) * PAGE + 63], i + 1);
	}
	T_EQ(__atomic_load_n(&f.bringer.n_faults, __ATOMIC_ACQUIRE), PAGES);
	/* a table in place of the first: the same pages, elsewhere */
	share(&f);
	T_EQ(vhk_ctl_accept_bases(f.c, true), 0);
	offer(&f, 1, PAGES / 2);
	T_MUST(take(&f));
	T_EQ(f.buf[PAGES / 2 * PAGE], 2);
	T_EQ(vhk_ctl_postcopy_end(f.c), 0);
	offer(&f, 2, PAGES / 2);
	T_MUST(take(&f));
	T_EQ(f.buf[PAGES / 2 * PAGE], 3);
	bringer_stop(&f.bringer);
	/* once more from the beginning */
	T_EQ(vhk_ctl_postcopy_advise(f.c, &f.bringer.uffd), 0);
	close(f.bringer.uffd);
	fixture_fini(&f);
}

/* Memory that was shared before is watched as well. */
static void memory_that_was_there_before(void)
{
	struct fixture f;

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	negotiate(&f, VHK_PF_REPLY_ACK | ALSO);
	T_EQ(vhk_ctl_set_mem_table(f.c, f.mem), 0);
	start_ring(&f);
	f.buf[0] = 77;
	offer(&f, 0, 1);
	T_MUST(take(&f));
	T_EQ(f.buf[PAGE], 77);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	offer(&f, 0, 1);
	T_MUST(take(&f));
	T_EQ(vhk_ctl_postcopy_end(f.c), 0);
	close(f.bringer.uffd);
	fixture_fini(&f);
}

static void refused(void)
{
	struct fixture f;
	int fd;

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	negotiate(&f, VHK_PF_REPLY_ACK | ALSO);
	T_EQ(vhk_ctl_postcopy_listen(f.c), -EREMOTEIO);
	T_EQ(vhk_ctl_postcopy_end(f.c), -EREMOTEIO);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_advise(f.c, &fd), -EREMOTEIO);
	T_EQ(fd, -1);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	T_EQ(vhk_ctl_postcopy_listen(f.c), -EREMOTEIO);
	share(&f);
	/* bases that are of no use: no memory, and no ring in it */
	T_EQ(vhk_ctl_accept_bases(f.c, false), 0);
	T_EQ(vhk_ctl_set_vring_num(f.c, 0, 64), 0);
	T_EQ(vhk_ctl_set_vring_kick(f.c, 0, f.kick), -EREMOTEIO);
	T_EQ(vhk_ctl_postcopy_end(f.c), 0);
	close(f.bringer.uffd);
	fixture_fini(&f);
}

/* Pages that were touched are there when the device looks for them. */
static void touch_memory(struct fixture *f)
{
	struct vhk_region r;
	unsigned int i;

	for (i = 0; i < vhk_mem_count(f->mem); i++) {
		T_MUST(!vhk_mem_get(f->mem, i, &r, NULL));
		T_MUST(!madvise((void *)(uintptr_t)r.uva.v, r.size, MADV_POPULATE_WRITE));
	}
}

/* vhk_ctl_accept_bases(), and the back end is to say whether it agrees. */
static int accept_and_ask(struct fixture *f)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_ACCEPT_BASES, .fd = -1 };

	return vhk_ctl_call(f->c, &r);
}

#define LOG_SIZE 0x10000u
#define FAR_GPA 0x40000000u

/* A table is in force when its bases are accepted: with rings that run by then, the log has to have
 * a bit for all of it, as with any other table. */
static void larger_than_the_log(void)
{
	const struct vhk_ctl_log small = { .size = 0x1000000 / PAGE / 8 + 16 };
	const struct vhk_ctl_log large = { .size = LOG_SIZE };
	struct fixture f;
	void *more;
	int log;

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	log = memfd_create("log", MFD_CLOEXEC);
	T_MUST(log >= 0 && !ftruncate(log, LOG_SIZE));
	negotiate(&f, VHK_PF_REPLY_ACK | VHK_PF_LOG_SHMFD | ALSO);
	T_EQ(vhk_ctl_set_features(f.c, VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL),
	     0);
	touch_memory(&f);
	T_EQ(vhk_ctl_set_mem_table(f.c, f.mem), 0);
	T_EQ(vhk_ctl_set_log_base(f.c, &small, log), 0);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	T_MUST(!vhk_mem_alloc(f.mem, (struct vhk_gpa){ FAR_GPA }, PAGES * PAGE, &more));
	touch_memory(&f);
	/* no ring runs: it may be offered */
	share(&f);
	start_ring(&f);
	T_EQ(accept_and_ask(&f), -EREMOTEIO);
	f.buf[0] = 77;
	offer(&f, 0, 1);
	T_MUST(take(&f));
	T_EQ(f.buf[PAGE], 77);
	/* with rings that run it may not be offered either */
	T_EQ(vhk_ctl_set_mem_table_bases(f.c, f.mem, f.base), -EREMOTEIO);
	T_EQ(vhk_ctl_set_log_base(f.c, &large, log), 0);
	share(&f);
	T_EQ(accept_and_ask(&f), 0);
	offer(&f, 0, 2);
	T_MUST(take(&f));
	T_EQ(f.buf[2 * PAGE], 77);
	T_EQ(vhk_ctl_postcopy_end(f.c), 0);
	close(f.bringer.uffd);
	fixture_fini(&f);
	close(log);
}

static void not_negotiated(void)
{
	uint64_t v;
	struct fixture f;
	int fd;

	/* not asked for: not offered */
	fixture_init(&f, 0);
	T_EQ(vhk_ctl_get_features(f.c, &v), 0);
	T_EQ(vhk_ctl_get_protocol_features(f.c, &v), 0);
	T_OK(!(v & VHK_PF_PAGEFAULT) && (v & VHK_PF_CONFIGURE_MEM_SLOTS));
	T_EQ(vhk_ctl_postcopy_advise(f.c, &fd), -EOPNOTSUPP);
	T_EQ(vhk_ctl_postcopy_listen(f.c), -EOPNOTSUPP);
	T_EQ(vhk_ctl_postcopy_end(f.c), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_mem_table_bases(f.c, f.mem, f.base), -EOPNOTSUPP);
	T_EQ(vhk_ctl_accept_bases(f.c, true), -EOPNOTSUPP);
	fixture_fini(&f);
	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	T_EQ(vhk_ctl_get_features(f.c, &v), 0);
	T_EQ(vhk_ctl_get_protocol_features(f.c, &v), 0);
	T_OK((v & VHK_PF_PAGEFAULT) && !(v & VHK_PF_CONFIGURE_MEM_SLOTS));
	fixture_fini(&f);
}

static bool waited_for(struct fixture *f)
{
	uint64_t end = t_now_ns() + 20 * T_SECOND;

	while (!__atomic_load_n(&f->bringer.n_faults, __ATOMIC_ACQUIRE) && t_now_ns() < end)
		poll(NULL, 0, 1);
	return __atomic_load_n(&f->bringer.n_faults, __ATOMIC_ACQUIRE);
}

static bool session_ends(void)
{
	uint64_t end = t_now_ns() + 20 * T_SECOND;

	while (__atomic_load_n(&sessions, __ATOMIC_ACQUIRE) && t_now_ns() < end)
		poll(NULL, 0, 1);
	return !__atomic_load_n(&sessions, __ATOMIC_ACQUIRE);
}

/* Where the ring itself has not arrived, whoever waits for it is not who hears that the front end
 * is gone. */
static void front_end_dies_as_a_ring_starts(void)
{
	struct vhk_vq_addr a;
	struct fixture f;

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	negotiate(&f, ALSO);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	share(&f);
	f.bringer.idle = true;
	bringer_start(&f.bringer);
	T_EQ(vhk_ctl_accept_bases(f.c, true), 0);
	a = place_ring(&f);
	T_MUST(!madvise((void *)((uintptr_t)a.device & ~(uintptr_t)(PAGE - 1)), PAGE,
			MADV_REMOVE));
	T_MUST(!vhk_ctl_set_vring_kick(f.c, 0, f.kick));
	T_MUST(waited_for(&f));
	vhk_ctl_close(f.c);
	f.both.ctl = NULL;
	T_MUST(session_ends());
	bringer_stop(&f.bringer);
	fixture_fini(&f);
}

/*
 * The front end goes with a loop in the middle of a fault, or with the kernel there on its behalf:
 * the loop comes back, what did not arrive is not taken for zeros, and nothing is answered.
 */
static void front_end_dies(bool in_kernel)
{
	const char before[64] = "as it was";
	struct vhk_done done;
	struct fixture f;
	char after[64];

	fixture_init(&f, VHK_BACKEND_F_POSTCOPY);
	T_MUST(pwrite(f.dev.file, before, sizeof(before), 0) == sizeof(before));
	f.dev.n = in_kernel;
	negotiate(&f, VHK_PF_REPLY_ACK | ALSO);
	advise(&f);
	T_EQ(vhk_ctl_postcopy_listen(f.c), 0);
	share(&f);
	f.bringer.idle = true;
	bringer_start(&f.bringer);
	T_EQ(vhk_ctl_accept_bases(f.c, true), 0);
	start_ring(&f);
	offer(&f, 0, 1);
	T_MUST(waited_for(&f));
	vhk_ctl_close(f.c);
	f.both.ctl = NULL;
	T_MUST(session_ends());
	T_EQ(f.dev.n_failed, 1);
	T_EQ(vhk_vq_get(f.vq, &done, 1), 0);
	T_MUST(pread(f.dev.file, after, sizeof(after), 0) == sizeof(after));
	T_OK(!memcmp(before, after, sizeof(before)));
	bringer_stop(&f.bringer);
	fixture_fini(&f);
}

static void front_end_dies_under_a_loop(void)
{
	front_end_dies(false);
}

static void front_end_dies_under_the_kernel(void)
{
	front_end_dies(true);
}

/* Whose queues run where messages are answered could wait for a page with nobody to end it. */
static void needs_loops_apart(void)
{
	const struct vhk_backend_opts bo = { .sz = sizeof(bo), .flags = VHK_BACKEND_F_POSTCOPY };
	struct vhk_backend *be;
	struct copier d;
	int fd[2];

	copier_init(&d);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_EQ(vhk_backend_take_fd(&be, d.loop, d.dev, fd[1], &bo), -EINVAL);
	close(fd[0]);
	copier_fini(&d);
}

/* Said at once, not in the middle of a migration. */
static void not_to_be_had(void)
{
	const struct vhk_backend_opts bo = { .sz = sizeof(bo), .flags = VHK_BACKEND_F_POSTCOPY };
	struct vhk_backend *be;
	struct copier d;
	int fd[2];

	copier_init(&d);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_EQ(vhk_backend_take_fd(&be, d.loop, d.dev, fd[1], &bo), vhk_uffd_open());
	close(fd[0]);
	copier_fini(&d);
}

static void all_that_needs_it(void)
{
	T_SKIP("userfaultfd(2) is refused here");
}

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhk_mem_fault(info->si_addr))
		signal(signo, SIG_DFL);
}

int main(void)
{
	const struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	int fd = vhk_uffd_open();

	if (fd < 0) {
		printf("# userfaultfd: %s\n", strerror(-fd));
		T_RUN(not_to_be_had);
		T_RUN(all_that_needs_it);
		return t_end();
	}
	close(fd);
	sigaction(SIGBUS, &sa, NULL);
	T_RUN(pages_arrive_when_touched);
	T_RUN(memory_that_was_there_before);
	T_RUN(refused);
	T_RUN(larger_than_the_log);
	T_RUN(not_negotiated);
	T_RUN(front_end_dies_as_a_ring_starts);
	T_RUN(front_end_dies_under_a_loop);
	T_RUN(front_end_dies_under_the_kernel);
	T_RUN(needs_loops_apart);
	return t_end();
}
