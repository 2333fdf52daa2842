// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One end of a vhost-user-gpu connection: messages out, in order, as far as the socket takes them;
 * messages in, one at a time; and the answers that are due.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "gpu.h"
#include "sock.h"

#define HDR_SIZE ((uint32_t)sizeof(struct vhk_gpu_hdr))
/* Bytes that wait to be sent, and messages that wait for an answer, at most. */
#define TX_MAX (320u << 20)
#define DUE_MAX 64
/* Messages taken in one go. */
#define BUDGET 32

struct gpu_tx {
	struct gpu_tx *next;
	int fd;
	size_t len, sent;
	unsigned char bytes[];
};

struct gpu_due {
	enum vhk_gpu_op op;
	vhk_gpu_fn *done; /* the device's end */
	void *arg;
};

struct vhk_gpu {
	int sock;
	bool display;
	bool up;
	struct vhk_log log;
	uint64_t offered, features;
	vhk_gpu_fn *serve;
	void *arg;

	struct gpu_tx *tx, **tx_tail;
	size_t n_tx;

	/* In the order of the questions, a ring. */
	struct gpu_due due[DUE_MAX];
	unsigned int first_due, n_due;

	/* The message that comes. */
	struct vhk_gpu_hdr hdr;
	unsigned char *payload;
	uint32_t got; /* bytes of it, header included */
	int rx_fd;    /* that came with it; -1: none */
	bool rx_bad;  /* more came, or one that could not be had */
};

static int gpu_new(struct vhk_gpu **out, int fd, const struct vhk_log *log)
{
	struct vhk_gpu *g = NULL;
	int ret = vhk_sock_check(fd) || vhk_sock_is_listening(fd) ? -EINVAL : 0;

	*out = NULL;
	if (!ret) {
		g = calloc(1, sizeof(*g));
		ret = g ? 0 : -ENOMEM;
	}
	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	g->sock = fd;
	g->rx_fd = -1;
	g->up = true;
	g->tx_tail = &g->tx;
	if (log)
		g->log = *log;
	*out = g;
	return 0;
}

int vhk_gpu_new(struct vhk_gpu **out, int fd, const struct vhk_log *log)
{
	return gpu_new(out, fd, log);
}

int vhk_gpu_new_display(struct vhk_gpu **out, int fd, uint64_t features, vhk_gpu_fn *serve,
			void *arg, const struct vhk_log *log)
{
	int ret;

	*out = NULL;
	if (features & ~VHK_GPU_F_ALL) {
		vhk_fd_close(fd);
		return -EOPNOTSUPP;
	}
	ret = gpu_new(out, fd, log);
	if (ret)
		return ret;
	(*out)->display = true;
	(*out)->offered = features;
	(*out)->serve = serve;
	(*out)->arg = arg;
	return 0;
}

static void tx_drop_first(struct vhk_gpu *g)
{
	struct gpu_tx *tx = g->tx;

	g->tx = tx->next;
	if (!g->tx)
		g->tx_tail = &g->tx;
	g->n_tx -= tx->len;
	vhk_fd_close(tx->fd);
	free(tx);
}

static void rx_reset(struct vhk_gpu *g)
{
	free(g->payload);
	g->payload = NULL;
	g->got = 0;
	vhk_fd_close(g->rx_fd);
	g->rx_fd = -1;
}

static int hang_up(struct vhk_gpu *g, int ret, const char *why)
{
	if (!g->up)
		return ret;
	vhk_log(&g->log, ret == -EPROTO ? VHK_LOG_WARN : VHK_LOG_INFO, "gpu: hung up: %s", why);
	g->up = false;
	while (g->tx)
		tx_drop_first(g);
	rx_reset(g);
	vhk_fd_close(g->sock);
	g->sock = -1;
	while (g->n_due) {
		struct gpu_due due = g->due[g->first_due];

		g->first_due = (g->first_due + 1) % DUE_MAX;
		g->n_due--;
		if (due.done)
			due.done(due.arg, NULL);
	}
	return ret;
}

void vhk_gpu_free(struct vhk_gpu *g)
{
	if (!g)
		return;
	hang_up(g, -ENOTCONN, "done with it");
	free(g);
}

int vhk_gpu_fd(const struct vhk_gpu *g)
{
	return g->sock;
}

/* A display reads no further questions than it has room to answer, nor while the device does not
 * take the answers that it has. */
static bool may_read(const struct vhk_gpu *g)
{
	return !g->display || (g->n_due < DUE_MAX && !g->tx);
}

uint32_t vhk_gpu_events(const struct vhk_gpu *g)
{
	if (!g->up)
		return 0;
	return (may_read(g) ? EPOLLIN : 0u) | (g->tx ? EPOLLOUT : 0u);
}

uint64_t vhk_gpu_features(const struct vhk_gpu *g)
{
	return g->features;
}

static int tx_flush(struct vhk_gpu *g)
{
	while (g->tx) {
		struct gpu_tx *tx = g->tx;
		const struct vhk_sock_fds fds = { .n = tx->fd >= 0 && !tx->sent,
						  .fd = { tx->fd } };
		ssize_t n = vhk_sock_write(g->sock, tx->bytes + tx->sent, tx->len - tx->sent, &fds);

		if (n == -EAGAIN || n == -ENOBUFS)
			return 0;
		if (n < 0)
			return hang_up(g, -ENOTCONN, "the other end is gone");
		tx->sent += (size_t)n;
		if (tx->sent == tx->len)
			tx_drop_first(g);
	}
	return 0;
}

/* What the header promises beyond what is encoded are zeros. */
static int tx_add(struct vhk_gpu *g, const struct vhk_gpu_hdr *hdr, const struct vhk_gpu_out *out,
		  int fd)
{
	const size_t len = HDR_SIZE + (size_t)hdr->size;
	struct gpu_tx *tx;

	if (len > TX_MAX - g->n_tx)
		return -ENOBUFS;
	tx = calloc(1, sizeof(*tx) + len);
	if (!tx)
		return -ENOMEM;
	tx->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && tx->fd < 0) {
		free(tx);
		return errno == EBADF ? -EINVAL : -EMFILE;
	}
	tx->len = len;
	memcpy(tx->bytes, hdr, HDR_SIZE);
	memcpy(tx->bytes + HDR_SIZE, out->head, out->n_head);
	if (out->n_data)
		memcpy(tx->bytes + HDR_SIZE + out->n_head, out->data, out->n_data);
	*g->tx_tail = tx;
	g->tx_tail = &tx->next;
	g->n_tx += len;
	return 0;
}

static int transmit(struct vhk_gpu *g, const struct vhk_gpu_msg *m, bool answer)
{
	const struct vhk_gpu_row *row = vhk_gpu_row(m->op);
	struct vhk_gpu_hdr hdr = { m->op, answer ? VHK_GPU_REPLY : 0, 0 };
	struct vhk_gpu_out out;
	int ret = vhk_gpu_encode(m, answer, &out);

	if (ret || (m->fd >= 0 && (answer || !row->takes_fd)))
		return -EINVAL;
	if (!answer && row->takes_fd && (m->fd < 0) != !m->dmabuf.rect.w)
		return -EINVAL;
	hdr.size = answer ? row->answer_max : out.n_head + out.n_data;
	return tx_add(g, &hdr, &out, m->fd);
}

/* What both sides of a question have to know of it. */
static void due_add(struct vhk_gpu *g, enum vhk_gpu_op op, vhk_gpu_fn *done, void *arg)
{
	g->due[(g->first_due + g->n_due++) % DUE_MAX] = (struct gpu_due){ op, done, arg };
}

static struct gpu_due due_take(struct vhk_gpu *g)
{
	struct gpu_due due = g->due[g->first_due];

	g->first_due = (g->first_due + 1) % DUE_MAX;
	g->n_due--;
	return due;
}

int vhk_gpu_send(struct vhk_gpu *g, const struct vhk_gpu_msg *m, vhk_gpu_fn *done, void *arg)
{
	const struct vhk_gpu_row *row = vhk_gpu_row(m->op);
	int ret;

	if (!row || row->answered != (done != NULL))
		return -EINVAL;
	if (g->display || (row->need & ~g->features))
		return -EOPNOTSUPP;
	if (!g->up)
		return -ENOTCONN;
	if (m->op == VHK_GPU_SET_PROTOCOL_FEATURES && (m->features & ~g->offered))
		return -EINVAL;
	if (row->answered && g->n_due == DUE_MAX)
		return -ENOBUFS;
	ret = transmit(g, m, false);
	if (ret)
		return ret;
	if (m->op == VHK_GPU_SET_PROTOCOL_FEATURES)
		g->features = m->features;
	if (row->answered)
		due_add(g, m->op, done, arg);
	/* a connection that is gone is told of by process, and by @done */
	tx_flush(g);
	return 0;
}

/* Answered here, when their turn comes. */
static int answer_features(struct vhk_gpu *g)
{
	const struct vhk_gpu_msg m = {
		.op = VHK_GPU_GET_PROTOCOL_FEATURES, .fd = -1, .features = g->offered
	};
	int ret = 0;

	while (!ret && g->n_due && g->due[g->first_due].op == m.op) {
		ret = transmit(g, &m, true);
		if (!ret)
			due_take(g);
	}
	return ret;
}

int vhk_gpu_answer(struct vhk_gpu *g, const struct vhk_gpu_msg *m)
{
	int ret;

	if (!g->display)
		return -EOPNOTSUPP;
	if (!g->up)
		return -ENOTCONN;
	if (!g->n_due || g->due[g->first_due].op != m->op)
		return -EINVAL;
	ret = transmit(g, m, true);
	if (ret)
		return ret;
	due_take(g);
	ret = answer_features(g);
	tx_flush(g);
	return ret;
}

/* Its size is bounded by its row before anything is allocated for it. */
static int check_header(const struct vhk_gpu *g)
{
	const struct vhk_gpu_row *row = vhk_gpu_row(g->hdr.request);
	const bool answer = g->hdr.flags & VHK_GPU_REPLY;

	if (!row || (g->hdr.flags & ~(uint32_t)VHK_GPU_REPLY) || answer == g->display)
		return -EPROTO;
	if (answer && (!g->n_due || g->due[g->first_due].op != g->hdr.request))
		return -EPROTO;
	if (!answer && (row->need & ~g->features))
		return -EPROTO;
	if (answer)
		return g->hdr.size == row->answer_max ? 0 : -EPROTO;
	return g->hdr.size >= row->size_min && g->hdr.size <= row->size_max ? 0 : -EPROTO;
}

/* No message has more than one, and that with its first byte. */
static void rx_take_fds(struct vhk_gpu *g, struct vhk_sock_fds *fds)
{
	if (fds->lost || fds->n > 1 || (fds->n && g->got)) {
		g->rx_bad = true;
	} else if (fds->n) {
		g->rx_fd = fds->fd[0];
		fds->n = 0;
	}
	vhk_sock_fds_close(fds);
}

/* Bytes of the message up to @end, into @to, which holds those from @at on. */
static int rx_some(struct vhk_gpu *g, void *to, uint32_t at, uint32_t end)
{
	struct vhk_sock_fds fds;
	ssize_t n;

	while (g->got < end) {
		n = vhk_sock_read(g->sock, (unsigned char *)to + (g->got - at), end - g->got, &fds);
		if (n < 0)
			return (int)n;
		rx_take_fds(g, &fds);
		g->got += (uint32_t)n;
	}
	return 0;
}

static int rx_message(struct vhk_gpu *g)
{
	int ret = rx_some(g, &g->hdr, 0, HDR_SIZE);

	if (ret)
		return ret;
	if (!g->payload) {
		if (check_header(g))
			return -EPROTO;
		g->payload = malloc(g->hdr.size + 1u);
		if (!g->payload)
			return -ENOMEM;
	}
	return rx_some(g, g->payload, HDR_SIZE, HDR_SIZE + g->hdr.size);
}

/* The display's end: what the library itself has to know of a message. */
static int note(struct vhk_gpu *g, const struct vhk_gpu_msg *m)
{
	if (m->op == VHK_GPU_SET_PROTOCOL_FEATURES) {
		if (m->features & ~g->offered)
			return -EPROTO;
		g->features = m->features;
	}
	if (!vhk_gpu_row(m->op)->answered)
		return 0;
	due_add(g, m->op, NULL, NULL);
	return answer_features(g);
}

static int take_request(struct vhk_gpu *g, struct vhk_gpu_msg *m)
{
	const bool has_fd = g->rx_fd >= 0, takes_fd = vhk_gpu_row(m->op)->takes_fd;
	int ret;

	if (g->rx_bad || has_fd != (takes_fd && m->dmabuf.rect.w))
		return -EPROTO;
	m->fd = g->rx_fd;
	g->rx_fd = -1;
	ret = note(g, m);
	if (ret) {
		vhk_fd_close(m->fd);
		return ret;
	}
	if (m->op != VHK_GPU_GET_PROTOCOL_FEATURES)
		g->serve(g->arg, m);
	return 0;
}

static int take_answer(struct vhk_gpu *g, const struct vhk_gpu_msg *m)
{
	struct gpu_due due;

	if (g->rx_bad || g->rx_fd >= 0)
		return -EPROTO;
	if (m->op == VHK_GPU_GET_PROTOCOL_FEATURES)
		g->offered = m->features & VHK_GPU_F_ALL;
	due = due_take(g);
	due.done(due.arg, m);
	return 0;
}

/* The payload leaves the object before anybody looks at it: whoever does may send. */
static int take_message(struct vhk_gpu *g)
{
	const bool answer = g->hdr.flags & VHK_GPU_REPLY;
	unsigned char *payload = g->payload;
	struct vhk_gpu_room room;
	struct vhk_gpu_msg m;
	int ret;

	g->payload = NULL;
	g->got = 0;
	ret = vhk_gpu_decode((enum vhk_gpu_op)g->hdr.request, answer, payload, g->hdr.size, &room,
			     &m);
	if (!ret)
		ret = answer ? take_answer(g, &m) : take_request(g, &m);
	free(payload);
	g->rx_bad = false;
	vhk_fd_close(g->rx_fd);
	g->rx_fd = -1;
	return ret;
}

static int rx(struct vhk_gpu *g)
{
	unsigned int i;
	int ret;

	for (i = 0; i < BUDGET && g->up && may_read(g); i++) {
		ret = rx_message(g);
		if (ret == -EAGAIN)
			return 0;
		if (!ret)
			ret = take_message(g);
		if (!ret)
			ret = tx_flush(g);
		if (ret == -EPROTO)
			return hang_up(g, ret, "it broke the protocol");
		if (ret)
			return hang_up(g, ret, "the other end is gone");
	}
	return 0;
}

int vhk_gpu_process(struct vhk_gpu *g)
{
	int ret;

	if (!g->up)
		return -ENOTCONN;
	ret = tx_flush(g);
	if (!ret)
		ret = rx(g);
	if (!ret && g->up)
		ret = tx_flush(g);
	/* one that is not read from has no other way to tell */
	if (!ret && g->up && !may_read(g) && vhk_sock_hung_up(g->sock))
		ret = hang_up(g, -ENOTCONN, "the other end is gone");
	return ret || g->up ? ret : -ENOTCONN;
}
