// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The io_uring engine's ring: made in any thread with what the kernel offers, enabled in the one
 * that runs it, taken down in any.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop_uring.h"

#define ENTRIES 256
#define ENTRIES_MAX 4096

static int setup(struct vhk_uring *u, const struct vhk_loop_opts *o)
{
	static const unsigned int ways[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	unsigned int i, entries = o->entries ? vhk_min(o->entries, (uint32_t)ENTRIES_MAX) : ENTRIES;
	struct io_uring_params p;
	int ret = -EINVAL;

	for (i = o->flags & VHK_LOOP_F_EMBED ? 1 : 0; i < vhk_array_size(ways); i++) {
		memset(&p, 0, sizeof(p));
		p.flags = ways[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
		p.cq_entries = entries * 8;
		ret = io_uring_queue_init_params(entries, &u->ring, &p);
		if (ret != -EINVAL)
			break;
	}
	if (ret)
		return ret;
	u->single = p.flags & IORING_SETUP_SINGLE_ISSUER;
	u->max_in = p.cq_entries - p.cq_entries / 4;
	return 0;
}

static int probe(struct vhk_uring *u)
{
	static const int ops[] = {
		IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_READ,	IORING_OP_WRITE,
		IORING_OP_READV,    IORING_OP_WRITEV,	   IORING_OP_FSYNC,	IORING_OP_FALLOCATE,
		IORING_OP_ASYNC_CANCEL,
	};
	/* RSRC_TAGS came with multishot poll, which has no bit of its own. */
	const unsigned int features =
		IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS;
	struct io_uring_probe *p;
	unsigned int i;
	int ret = 0;

	if ((u->ring.features & features) != features)
		return -EOPNOTSUPP;
	/*
	 * Refused calls are told before anything depends on them. A ring not yet enabled says
	 * EBADFD.
	 */
	ret = (int)syscall(SYS_io_uring_enter, u->ring.ring_fd, 0, 0, 0, NULL, 0);
	if (ret < 0 && errno != EBADFD)
		return -errno;
	p = io_uring_get_probe_ring(&u->ring);
	if (!p)
		return -EOPNOTSUPP;
	ret = 0;
	for (i = 0; i < vhk_array_size(ops); i++)
		if (!io_uring_opcode_supported(p, ops[i]))
			ret = -EOPNOTSUPP;
	io_uring_free_probe(p);
	return ret;
}

/* A table may be no longer than the limit of open files. */
static void register_files(struct vhk_uring *u)
{
	const unsigned int most = VHK_URING_FILES + VHK_URING_CALL_FILES;

	u->call_files = !io_uring_register_files_sparse(&u->ring, most);
	u->files = u->call_files || !io_uring_register_files_sparse(&u->ring, VHK_URING_FILES);
}

int vhk_uring_open(struct vhk_loop *l, const struct vhk_loop_opts *o)
{
	struct vhk_uring *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return -ENOMEM;
	u->due = VHK_NO_POLL;
	u->free_call = VHK_NO_SLOT;
	u->fds = epoll_create1(EPOLL_CLOEXEC);
	ret = u->fds < 0 ? -errno : setup(u, o);
	if (ret)
		goto err_free;
	ret = probe(u);
	if (ret)
		goto err_exit;
	register_files(u);
	l->uring = u;
	return 0;

err_exit:
	io_uring_queue_exit(&u->ring);
err_free:
	if (u->fds >= 0)
		close(u->fds);
	free(u);
	return ret;
}

/* A registered number is one of its own thread's, and in another thread perhaps another ring's. */
void vhk_uring_close(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;

	if (u->bound && u->tid != gettid())
		u->ring.int_flags = 0;
	io_uring_queue_exit(&u->ring);
	close(u->fds);
	free(u->calls);
	free(u);
	l->uring = NULL;
}

int vhk_uring_bind(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;

	if (!u->single)
		return 0;
	if (u->bound && !pthread_equal(u->thread, pthread_self()))
		return -EBUSY;
	if (u->bound && u->numbered)
		return 0;
	/* liburing 2.3 declares io_uring_enable_rings() and does not export it. */
	if (!u->bound && syscall(SYS_io_uring_register, u->ring.ring_fd,
				 IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	u->tid = gettid();
	u->thread = pthread_self();
	u->bound = true;
	if (!u->numbered)
		io_uring_register_ring_fd(&u->ring);
	u->numbered = true;
	return 0;
}

void vhk_uring_unbind(struct vhk_loop *l)
{
	struct vhk_uring *u = l->uring;

	if (u->ring.int_flags)
		io_uring_unregister_ring_fd(&u->ring);
	u->numbered = false;
}
