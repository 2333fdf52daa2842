// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vhost-user-gpu protocol from a device's end to a display's end: all twelve messages, their
 * answers, what is refused before it is sent, and what ends the connection when a peer sends it.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base.h"
#include "gpu.h"
#include "t.h"

#define PIXELS (VHK_GPU_CURSOR_SIDE * VHK_GPU_CURSOR_SIDE * 4)

/* Both ends in one thread; what the display was told last. */
static struct both {
	struct vhk_gpu *dev, *dis;
	struct vhk_gpu_msg seen;
	unsigned char *seen_data;
	unsigned int n_seen, n_fds;
	bool hold; /* the display does not answer */
	struct vhk_gpu_msg answer;
	struct vhk_gpu_display display[VHK_GPU_SCANOUTS_MAX];
	unsigned char edid[VHK_GPU_EDID_MAX];
	unsigned int n_answers, n_gone;
} b;

static void reply(enum vhk_gpu_op op)
{
	static struct vhk_gpu_display displays[VHK_GPU_SCANOUTS_MAX] = {
		[0] = { 0, 0, 1024, 768, 1, 0 }, [15] = { 5, 6, 7, 8, 9, 10 }
	};
	static unsigned char edid[256] = { 0, 0xff, 0xff };
	struct vhk_gpu_msg m = { .op = op, .fd = -1 };

	if (op == VHK_GPU_GET_DISPLAY_INFO)
		m.display = displays;
	if (op == VHK_GPU_GET_EDID) {
		m.data = edid;
		m.len = sizeof(edid);
	}
	T_EQ(vhk_gpu_answer(b.dis, &m), 0);
}

static bool is_answered(enum vhk_gpu_op op)
{
	return op == VHK_GPU_GET_DISPLAY_INFO || op == VHK_GPU_DMABUF_UPDATE ||
	       op == VHK_GPU_GET_EDID;
}

static void serve(void *arg, const struct vhk_gpu_msg *m)
{
	(void)arg;
	b.n_seen++;
	b.seen = *m;
	free(b.seen_data);
	b.seen_data = NULL;
	if (m->len) {
		b.seen_data = malloc(m->len);
		memcpy(b.seen_data, m->data, m->len);
	}
	if (m->fd >= 0) {
		T_EQ(fcntl(m->fd, F_GETFD), FD_CLOEXEC);
		b.n_fds++;
		close(m->fd);
	}
	if (is_answered(m->op) && !b.hold)
		reply(m->op);
}

static void answered(void *arg, const struct vhk_gpu_msg *m)
{
	(void)arg;
	if (!m) {
		b.n_gone++;
		return;
	}
	b.n_answers++;
	b.answer = *m;
	if (m->op == VHK_GPU_GET_DISPLAY_INFO)
		memcpy(b.display, m->display, sizeof(b.display));
	if (m->op == VHK_GPU_GET_EDID)
		memcpy(b.edid, m->data, m->len);
}

static void open_both(uint64_t features)
{
	int fd[2];

	memset(&b, 0, sizeof(b));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_gpu_new(&b.dev, fd[0], NULL));
	T_MUST(!vhk_gpu_new_display(&b.dis, fd[1], features, serve, NULL, NULL));
}

static void close_both(void)
{
	vhk_gpu_free(b.dev);
	vhk_gpu_free(b.dis);
	free(b.seen_data);
}

/* Until both have nothing to do. */
static void settle(void)
{
	struct pollfd p[2];

	do {
		vhk_gpu_process(b.dev);
		vhk_gpu_process(b.dis);
		p[0] = (struct pollfd){ vhk_gpu_fd(b.dev), (short)vhk_gpu_events(b.dev), 0 };
		p[1] = (struct pollfd){ vhk_gpu_fd(b.dis), (short)vhk_gpu_events(b.dis), 0 };
	} while (poll(p, 2, 0) > 0);
}

static void negotiate(void)
{
	struct vhk_gpu_msg m = { .op = VHK_GPU_GET_PROTOCOL_FEATURES, .fd = -1 };

	T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), 0);
	settle();
	T_EQ(b.answer.op, VHK_GPU_GET_PROTOCOL_FEATURES);
	m.op = VHK_GPU_SET_PROTOCOL_FEATURES;
	m.features = b.answer.features;
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), 0);
	settle();
}

static const struct vhk_gpu_rect rect = { 3, 10, 20, 30, 40 };

/* A well-formed message of each kind; @fd lends one to those that take it. */
static struct vhk_gpu_msg sample(enum vhk_gpu_op op, int fd)
{
	static unsigned char pixels[40 * 30 * 4 > PIXELS ? 40 * 30 * 4 : PIXELS];
	struct vhk_gpu_msg m = { .op = op, .fd = -1 };

	memset(pixels, op, sizeof(pixels));
	switch (op) {
	case VHK_GPU_CURSOR_POS:
	case VHK_GPU_CURSOR_POS_HIDE:
		m.cursor = (struct vhk_gpu_cursor){ 2, 100, 200, 0, 0 };
		break;
	case VHK_GPU_CURSOR_UPDATE:
		m.cursor = (struct vhk_gpu_cursor){ 2, 100, 200, 5, 6 };
		m.data = pixels;
		m.len = PIXELS;
		break;
	case VHK_GPU_SCANOUT:
		m.rect = (struct vhk_gpu_rect){ 1, 0, 0, 640, 480 };
		break;
	case VHK_GPU_UPDATE:
		m.rect = rect;
		m.data = pixels;
		m.len = 40 * 30 * 4;
		break;
	case VHK_GPU_DMABUF_UPDATE:
		m.rect = rect;
		break;
	case VHK_GPU_DMABUF_SCANOUT:
	case VHK_GPU_DMABUF_SCANOUT2:
		m.fd = fd;
		m.dmabuf = (struct vhk_gpu_dmabuf){ rect, 640, 480, 2560, 1, 0x34325258, 0 };
		if (op == VHK_GPU_DMABUF_SCANOUT2)
			m.dmabuf.modifier = 1ull << 56;
		break;
	case VHK_GPU_GET_EDID:
		m.scanout = 15;
		break;
	default:
		break;
	}
	return m;
}

static bool same_rect(const struct vhk_gpu_rect *x, const struct vhk_gpu_rect *y)
{
	return !memcmp(x, y, sizeof(*x));
}

static void check_seen(const struct vhk_gpu_msg *m)
{
	T_EQ(b.seen.op, m->op);
	T_EQ(b.seen.len, m->len);
	T_OK(!m->len || !memcmp(b.seen_data, m->data, m->len));
	switch (m->op) {
	case VHK_GPU_CURSOR_POS:
	case VHK_GPU_CURSOR_POS_HIDE:
	case VHK_GPU_CURSOR_UPDATE:
		T_OK(!memcmp(&b.seen.cursor, &m->cursor, sizeof(m->cursor)));
		break;
	case VHK_GPU_SCANOUT:
	case VHK_GPU_UPDATE:
	case VHK_GPU_DMABUF_UPDATE:
		T_OK(same_rect(&b.seen.rect, &m->rect));
		break;
	case VHK_GPU_DMABUF_SCANOUT:
	case VHK_GPU_DMABUF_SCANOUT2:
		T_OK(same_rect(&b.seen.dmabuf.rect, &m->dmabuf.rect));
		T_EQ(b.seen.dmabuf.fd_w, 640);
		T_EQ(b.seen.dmabuf.fd_h, 480);
		T_EQ(b.seen.dmabuf.stride, 2560);
		T_EQ(b.seen.dmabuf.flags, 1);
		T_EQ(b.seen.dmabuf.fourcc, 0x34325258);
		T_EQ(b.seen.dmabuf.modifier, m->dmabuf.modifier);
		break;
	case VHK_GPU_GET_EDID:
		T_EQ(b.seen.scanout, m->scanout);
		break;
	default:
		break;
	}
}

static void all_messages(void)
{
	struct vhk_gpu_msg m;
	int op, fd = memfd_create("buffer", MFD_CLOEXEC);

	open_both(VHK_GPU_F_ALL);
	negotiate();
	T_EQ(vhk_gpu_features(b.dev), VHK_GPU_F_ALL);
	T_EQ(vhk_gpu_features(b.dis), VHK_GPU_F_ALL);
	for (op = VHK_GPU_GET_DISPLAY_INFO; op <= VHK_GPU_OP_MAX; op++) {
		m = sample((enum vhk_gpu_op)op, fd);
		b.n_answers = 0;
		T_EQ(vhk_gpu_send(b.dev, &m, is_answered(m.op) ? answered : NULL, NULL), 0);
		settle();
		check_seen(&m);
		T_EQ(b.n_answers, is_answered(m.op));
		T_EQ(b.n_answers && b.answer.op != m.op, 0);
	}
	T_EQ(b.n_fds, 2);
	T_EQ(b.display[0].w, 1024);
	T_EQ(b.display[15].flags, 10);
	T_EQ(b.edid[1], 0xff);
	T_EQ(b.answer.len, 256);
	/* off: without a buffer */
	m = (struct vhk_gpu_msg){ .op = VHK_GPU_DMABUF_SCANOUT, .fd = -1 };
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), 0);
	settle();
	T_EQ(b.seen.fd, -1);
	T_EQ(b.seen.dmabuf.rect.w, 0);
	close_both();
	close(fd);
}

/* Numbers of bits in the specification: 0 and 1. */
static void each_feature_has_its_bit(void)
{
	static const struct {
		uint64_t bits;
		int edid, scanout2;
	} cases[] = {
		{ 1ull << 0, 0, -EOPNOTSUPP },
		{ 1ull << 1, -EOPNOTSUPP, 0 },
	};
	int fd = memfd_create("buffer", MFD_CLOEXEC);
	struct vhk_gpu_msg m;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_both(cases[i].bits);
		negotiate();
		T_EQ(vhk_gpu_features(b.dis), cases[i].bits);
		m = sample(VHK_GPU_GET_EDID, -1);
		T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), cases[i].edid);
		m = sample(VHK_GPU_DMABUF_SCANOUT2, fd);
		T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), cases[i].scanout2);
		settle();
		T_EQ(b.n_gone, 0);
		T_EQ(b.seen.op, i ? VHK_GPU_DMABUF_SCANOUT2 : VHK_GPU_GET_EDID);
		close_both();
	}
	close(fd);
}

static void refused_before_it_is_sent(void)
{
	int fd = memfd_create("buffer", MFD_CLOEXEC);
	struct vhk_gpu_msg m;
	unsigned int i;

	open_both(0);
	negotiate();
	T_EQ(vhk_gpu_features(b.dev), 0);
	m = sample(VHK_GPU_GET_EDID, -1);
	T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), -EOPNOTSUPP);
	m = sample(VHK_GPU_DMABUF_SCANOUT2, fd);
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), -EOPNOTSUPP);
	m = (struct vhk_gpu_msg){ .op = VHK_GPU_SET_PROTOCOL_FEATURES, .fd = -1, .features = 1 };
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), -EINVAL);
	m = sample(VHK_GPU_GET_DISPLAY_INFO, -1);
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), -EINVAL);
	m = sample(VHK_GPU_SCANOUT, -1);
	T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), -EINVAL);
	T_EQ(vhk_gpu_send(b.dis, &m, NULL, NULL), -EOPNOTSUPP);
	T_EQ(vhk_gpu_answer(b.dev, &m), -EOPNOTSUPP);
	T_EQ(vhk_gpu_answer(b.dis, &m), -EINVAL);
	for (i = 0; i < 10; i++) {
		m = sample(i < 3 ? VHK_GPU_UPDATE : i < 6 ? VHK_GPU_DMABUF_SCANOUT
							  : VHK_GPU_CURSOR_UPDATE,
			   fd);
		switch (i) {
		case 0: m.len--; break;
		case 1: m.rect.w = VHK_GPU_SIDE_MAX + 1; break;
		case 2: m.rect.scanout = VHK_GPU_SCANOUTS_MAX; break;
		case 3: m.fd = -1; break;
		case 4: m.dmabuf.rect.w = m.dmabuf.rect.h = 0; break;
		case 5: m.dmabuf.rect.w = 0; break;
		case 6: m.len = PIXELS - 4; break;
		case 7: m.cursor.scanout = 16; break;
		case 8: m.fd = fd; break;
		case 9: m.op = (enum vhk_gpu_op)13; break;
		}
		T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), -EINVAL);
	}
	b.n_seen = 0;
	settle();
	T_EQ(b.n_seen, 0);
	close_both();
	close(fd);
}

/* Answers stay in the order of the questions, however late they come. */
static void late_answers(void)
{
	struct vhk_gpu_msg update = sample(VHK_GPU_DMABUF_UPDATE, -1), m;
	unsigned int i;

	open_both(VHK_GPU_F_ALL);
	negotiate();
	b.hold = true;
	b.n_answers = 0;
	T_EQ(vhk_gpu_send(b.dev, &update, answered, NULL), 0);
	m = sample(VHK_GPU_GET_PROTOCOL_FEATURES, -1);
	T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), 0);
	m = sample(VHK_GPU_GET_DISPLAY_INFO, -1);
	T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), 0);
	settle();
	T_EQ(b.n_answers, 0);
	T_EQ(vhk_gpu_answer(b.dis, &(struct vhk_gpu_msg){ .op = VHK_GPU_GET_DISPLAY_INFO,
							   .fd = -1,
							   .display = b.display }),
	     -EINVAL);
	reply(VHK_GPU_DMABUF_UPDATE);
	settle();
	T_EQ(b.n_answers, 2);
	reply(VHK_GPU_GET_DISPLAY_INFO);
	settle();
	T_EQ(b.n_answers, 3);
	/* a device that asks without end waits for its answers */
	for (i = 0; !vhk_gpu_send(b.dev, &update, answered, NULL); i++)
		settle();
	T_EQ(i, 64);
	T_EQ(vhk_gpu_events(b.dis) & EPOLLIN, 0);
	for (i = 0; i < 64; i++)
		reply(VHK_GPU_DMABUF_UPDATE);
	settle();
	T_EQ(b.n_answers, 3 + 64);
	/* the display goes while one is due */
	T_EQ(vhk_gpu_send(b.dev, &update, answered, NULL), 0);
	settle();
	vhk_gpu_free(b.dis);
	b.dis = NULL;
	T_MUST(t_readable(vhk_gpu_fd(b.dev), 10000));
	T_EQ(vhk_gpu_process(b.dev), -ENOTCONN);
	T_EQ(b.n_gone, 1);
	T_EQ(vhk_gpu_send(b.dev, &update, answered, NULL), -ENOTCONN);
	T_EQ(vhk_gpu_events(b.dev), 0);
	close_both();
}

/* More than any socket holds, in pieces. */
static void large_updates(void)
{
	const uint32_t w = 2000, h = 1500;
	struct vhk_gpu_msg m = { .op = VHK_GPU_UPDATE, .fd = -1, .rect = { 0, 0, 0, w, h } };
	unsigned char *data = malloc(w * h * 4);
	unsigned int i;

	open_both(0);
	for (i = 0; i < w * h * 4; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	m.data = data;
	m.len = w * h * 4;
	for (i = 0; i < 3; i++)
		T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), 0);
	T_OK(vhk_gpu_events(b.dev) & EPOLLOUT);
	settle();
	T_EQ(b.n_seen, 3);
	check_seen(&m);
	for (i = 0; !vhk_gpu_send(b.dev, &m, NULL, NULL); i++)
		T_MUST(i < 1000);
	T_EQ(vhk_gpu_send(b.dev, &m, NULL, NULL), -ENOBUFS);
	close_both();
	free(data);
}

/* What a hostile device sends: each ends the connection. */
static const struct {
	const char *name;
	uint32_t request, flags, size;
	uint32_t word[12];
	unsigned int n_fds;
} hostile[] = {
	{ "number 0", 0, 0, 0, { 0 }, 0 },
	{ "number 13", 13, 0, 0, { 0 }, 0 },
	{ "a reply", 3, 4, 0, { 0 }, 0 },
	{ "flags", 3, 1, 0, { 0 }, 0 },
	{ "too long", 3, 0, 4, { 0 }, 0 },
	{ "too short", 4, 0, 8, { 0 }, 0 },
	{ "beyond any size", 8, 0, 0xffffffff, { 0 }, 0 },
	{ "not negotiated", 11, 0, 4, { 0 }, 0 },
	{ "not negotiated", 12, 0, 48, { 0, 0, 0, 1, 1 }, 1 },
	{ "unknown features", 2, 0, 8, { 4, 0 }, 0 },
	{ "no such scanout", 7, 0, 12, { 16, 1, 1 }, 0 },
	{ "pixels that are missing", 8, 0, 24, { 0, 0, 0, 2, 1, 0 }, 0 },
	{ "an update of nothing", 8, 0, 24, { 0, 0, 0, 0, 0, 0 }, 0 },
	{ "sides that wrap", 8, 0, 24, { 0, 0, 0, 0x10000, 0x10000, 0 }, 0 },
	{ "a buffer that is missing", 9, 0, 40, { 0, 0, 0, 1, 1 }, 0 },
	{ "off with a buffer", 9, 0, 40, { 0 }, 1 },
	{ "half off", 9, 0, 40, { 0, 0, 0, 1, 0 }, 1 },
	{ "two buffers", 9, 0, 40, { 0, 0, 0, 1, 1 }, 2 },
	{ "an fd for nothing", 7, 0, 12, { 0 }, 1 },
};

static void send_raw(int sock, const void *bytes, size_t len, unsigned int n_fds)
{
	int fd[2] = { 1, 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(fd))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&control, 0, sizeof(control));
	if (n_fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, n_fds * sizeof(int));
	}
	T_MUST(sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)len);
}

static void hostile_devices(void)
{
	unsigned char bytes[64];
	int fd[2], fds = t_count_fds();
	size_t i, len;

	memset(&b, 0, sizeof(b));
	for (i = 0; i < vhk_array_size(hostile); i++) {
		T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
		T_MUST(!vhk_gpu_new_display(&b.dis, fd[1], 0, serve, NULL, NULL));
		memcpy(bytes, &hostile[i].request, 12);
		memcpy(bytes + 12, hostile[i].word, 48);
		len = 12 + vhk_min(hostile[i].size, 48u);
		send_raw(fd[0], bytes, len, hostile[i].n_fds);
		if (vhk_gpu_process(b.dis) != -EPROTO) {
			printf("# %s:\n", hostile[i].name);
			t_bad++;
		}
		T_EQ(vhk_gpu_process(b.dis), -ENOTCONN);
		vhk_gpu_free(b.dis);
		close(fd[0]);
	}
	T_EQ(b.n_seen, 0);
	T_EQ(t_count_fds(), fds);
}

/* What a hostile display answers to GET_DISPLAY_INFO. */
static void hostile_displays(void)
{
	static const struct {
		uint32_t request, flags, size, type;
		unsigned int n_fds;
	} cases[] = {
		{ 4, 4, 0, 0, 0 },	{ 3, 0, 408, 0x1101, 0 }, { 3, 4, 407, 0x1101, 0 },
		{ 3, 4, 409, 0x1101, 0 }, { 3, 4, 408, 0x1102, 0 }, { 3, 4, 408, 0x1101, 1 },
		{ 3, 5, 408, 0x1101, 0 },
	};
	struct vhk_gpu_msg m = sample(VHK_GPU_GET_DISPLAY_INFO, -1);
	unsigned char bytes[512] = { 0 };
	int fd[2], fds = t_count_fds();
	size_t i;

	memset(&b, 0, sizeof(b));
	for (i = 0; i < vhk_array_size(cases); i++) {
		T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
		T_MUST(!vhk_gpu_new(&b.dev, fd[1], NULL));
		T_EQ(vhk_gpu_send(b.dev, &m, answered, NULL), 0);
		memcpy(bytes, &cases[i].request, 16);
		send_raw(fd[0], bytes, 12 + cases[i].size, cases[i].n_fds);
		T_EQ(vhk_gpu_process(b.dev), -EPROTO);
		T_EQ(b.n_gone, i + 1);
		vhk_gpu_free(b.dev);
		close(fd[0]);
	}
	T_EQ(b.n_answers, 0);
	T_EQ(t_count_fds(), fds);
}

/* Asks as long as the socket takes it: how many whole questions it took. */
static unsigned int ask_on(int sock, const void *question, size_t len)
{
	unsigned int n = 0;

	while (send(sock, question, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		n++;
	return n;
}

/* A device that asks and does not read is not read from, either; when it reads it has all. */
static void asks_and_does_not_read(void)
{
	static const uint32_t question[3] = { VHK_GPU_GET_PROTOCOL_FEATURES, 0, 0 };
	unsigned char bytes[4096];
	unsigned int i, asked = 0;
	size_t answers = 0;
	int fd[2];
	ssize_t n;

	memset(&b, 0, sizeof(b));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_gpu_new_display(&b.dis, fd[1], 0, serve, NULL, NULL));
	for (i = 0; i < 100000 && (vhk_gpu_events(b.dis) & EPOLLIN); i++) {
		asked += ask_on(fd[0], question, sizeof(question));
		T_MUST(!vhk_gpu_process(b.dis));
	}
	T_EQ(vhk_gpu_events(b.dis), EPOLLOUT);
	/* the socket is full, and stays so */
	asked += ask_on(fd[0], question, sizeof(question));
	T_EQ(vhk_gpu_process(b.dis), 0);
	T_EQ(ask_on(fd[0], question, sizeof(question)), 0);
	while (answers < asked * 20ul) {
		T_MUST(!vhk_gpu_process(b.dis));
		n = recv(fd[0], bytes, sizeof(bytes), MSG_DONTWAIT);
		T_MUST(n > 0);
		answers += (size_t)n;
	}
	T_EQ(answers, asked * 20ul);
	T_EQ(vhk_gpu_process(b.dis), 0);
	T_EQ(vhk_gpu_events(b.dis), EPOLLIN);
	vhk_gpu_free(b.dis);
	close(fd[0]);
}

/* No events are asked for then, and the end is told of all the same. */
static void gone_while_answers_are_due(void)
{
	struct vhk_gpu_msg update = sample(VHK_GPU_DMABUF_UPDATE, -1);
	unsigned int i;

	open_both(VHK_GPU_F_ALL);
	negotiate();
	b.hold = true;
	for (i = 0; i < 64; i++)
		T_EQ(vhk_gpu_send(b.dev, &update, answered, NULL), 0);
	settle();
	T_EQ(vhk_gpu_events(b.dis), 0);
	T_EQ(vhk_gpu_process(b.dis), 0);
	vhk_gpu_free(b.dev);
	b.dev = NULL;
	T_EQ(vhk_gpu_process(b.dis), -ENOTCONN);
	T_EQ(vhk_gpu_fd(b.dis), -1);
	close_both();
}

/* Answers that came before the end are taken before it is. */
static void answers_before_the_end(void)
{
	struct vhk_gpu_msg update = sample(VHK_GPU_DMABUF_UPDATE, -1);
	unsigned int i;

	open_both(VHK_GPU_F_ALL);
	negotiate();
	b.hold = true;
	b.n_answers = 0;
	for (i = 0; i < 64; i++)
		T_EQ(vhk_gpu_send(b.dev, &update, answered, NULL), 0);
	settle();
	for (i = 0; i < 64; i++)
		reply(VHK_GPU_DMABUF_UPDATE);
	vhk_gpu_free(b.dis);
	b.dis = NULL;
	for (i = 0; i < 100 && vhk_gpu_fd(b.dev) >= 0; i++)
		vhk_gpu_process(b.dev);
	T_EQ(b.n_answers, 64);
	T_EQ(b.n_gone, 0);
	close_both();
}

static void bad_sockets(void)
{
	int file = memfd_create("file", MFD_CLOEXEC), fds;
	int loner = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vhk_gpu *g;
	unsigned int i;

	fds = t_count_fds();
	T_EQ(vhk_gpu_new(&g, dup(file), NULL), -EINVAL);
	T_EQ(vhk_gpu_new(&g, dup(loner), NULL), -EINVAL);
	T_EQ(vhk_gpu_new_display(&g, dup(file), 0, serve, NULL, NULL), -EINVAL);
	T_EQ(vhk_gpu_new_display(&g, dup(loner), 4, serve, NULL, NULL), -EOPNOTSUPP);
	T_EQ(t_count_fds(), fds);
	for (i = 1; i <= VHK_GPU_OP_MAX; i++)
		T_OK(vhk_gpu_op_name((enum vhk_gpu_op)i));
	T_OK(!vhk_gpu_op_name((enum vhk_gpu_op)0) && !vhk_gpu_op_name((enum vhk_gpu_op)13));
	vhk_gpu_free(NULL);
	close(file);
	close(loner);
}

int main(void)
{
	T_RUN(all_messages);
	T_RUN(each_feature_has_its_bit);
	T_RUN(refused_before_it_is_sent);
	T_RUN(late_answers);
	T_RUN(large_updates);
	T_RUN(hostile_devices);
	T_RUN(hostile_displays);
	T_RUN(asks_and_does_not_read);
	T_RUN(gone_while_answers_are_due);
	T_RUN(answers_before_the_end);
	T_RUN(bad_sockets);
	return t_end();
}
