// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the driver of /dev/vhost-vsock's device, through the
 * library, and at the other end sockets of AF_VSOCK (virtio 1.3, 5.10).
 */
#include "kern.h"

#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <sys/socket.h>

#define URI "/dev/vhost-vsock"
#define CID 42u
#define PORT 1234u
#define RX 0
#define TX 1
#define N_RX 64u
#define PAGE 4096u
#define HDR ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define BYTES (1u << 20)
#define CHUNK 40000u
#define BUF_ALLOC (128u << 10) /* what we say we have room for */
#define UP 5u		       /* seeds of the two streams */
#define DOWN 1009u
#define SEQPACKET (1ull << VIRTIO_VSOCK_F_SEQPACKET)
#define RING_BITS (VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX)

struct packet {
	struct virtio_vsock_hdr h;
	uint32_t len;
	unsigned char data[65536];
};

static struct kern k;
static struct packet got;
static struct virtio_vsock_hdr mine; /* of the connection, with our credit */
static uint32_t sent, peer_room, peer_took;
static uint32_t our_port = 777; /* another one for each connection that we open */

static unsigned char *tx_place(void)
{
	return k.data + N_RX * PAGE;
}

static void offer(void *buf)
{
	const struct iovec seg = { buf, PAGE };

	kern_add(&k, RX, &seg, 0, 1, buf);
}

static void start(uint64_t features)
{
	unsigned int i;

	kern_open(&k, URI);
	kern_setup(&k, features, 2, N_RX);
	T_MUST(!vhk_ctl_vsock_set_guest_cid(k.ctl, CID));
	kern_start(&k, 2);
	for (i = 0; i < N_RX; i++)
		offer(k.data + i * PAGE);
	kern_publish(&k, RX);
	T_MUST(!vhk_ctl_vsock_set_running(k.ctl, true));
}

static void connection(uint16_t type, uint32_t port, uint32_t peer_port)
{
	mine = (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = VMADDR_CID_HOST,
		.src_port = port,
		.dst_port = peer_port,
		.type = type,
		.buf_alloc = BUF_ALLOC,
	};
	sent = 0;
}

static void send_flags(uint16_t op, uint32_t flags, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr *h = (void *)tx_place();
	const struct iovec seg[2] = { { h, HDR }, { h + 1, len } };

	*h = mine;
	h->op = op;
	h->flags = flags;
	h->len = len;
	if (len)
		memcpy(h + 1, data, len);
	kern_do(&k, TX, seg, len ? 2 : 1, 0);
	sent += len;
}

static void send_op(uint16_t op)
{
	send_flags(op, 0, NULL, 0);
}

/* The next packet: false after @ns. Its credit is taken in. */
static bool receive(int64_t ns)
{
	struct vhk_done done;

	if (!kern_get(&k, RX, &done, ns))
		return false;
	T_MUST(done.written >= HDR);
	memcpy(&got.h, done.token, HDR);
	got.len = done.written - HDR;
	T_EQ(got.h.len, got.len);
	memcpy(got.data, (unsigned char *)done.token + HDR, got.len);
	T_EQ(got.h.src_cid, VMADDR_CID_HOST);
	T_EQ(got.h.dst_cid, CID);
	offer(done.token);
	kern_publish(&k, RX);
	peer_room = got.h.buf_alloc;
	peer_took = got.h.fwd_cnt;
	mine.fwd_cnt += got.len;
	return true;
}

/* Whether a packet has nothing to do with what is waited for: a late word of an old connection, or
 * credit. */
static bool is_aside(void)
{
	if (got.h.op == VIRTIO_VSOCK_OP_REQUEST)
		return false;
	if (got.h.dst_port != mine.src_port || got.h.src_port != mine.dst_port)
		return true;
	if (got.h.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		send_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	return got.h.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST ||
	       got.h.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE;
}

static void expect_op(uint16_t op)
{
	do {
		T_MUST(receive(WAIT));
	} while (is_aside() && got.h.op != op);
	T_EQ(got.h.op, op);
	T_MUST(!t_bad);
}

static struct sockaddr_vm address(unsigned int cid, unsigned int port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

static int host_socket(int type)
{
	const struct timeval limit = { .tv_sec = 20 };
	const int s = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	T_MUST(s >= 0);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return s;
}

static int host_listen(int type)
{
	const struct sockaddr_vm a = address(VMADDR_CID_ANY, PORT);
	const int s = host_socket(type);

	T_MUST(!bind(s, (const void *)&a, sizeof(a)) && !listen(s, 1));
	return s;
}

/* The host's end: BYTES in, held against what they must be, then BYTES out. */
static bool host_streams(int s)
{
	static unsigned char buf[65536];
	uint32_t at = 0;
	ssize_t n;

	while (at < BYTES) {
		n = recv(s, buf, sizeof(buf), 0);
		if (n <= 0 || !kern_same(buf, at, (uint32_t)n, UP))
			return false;
		at += (uint32_t)n;
	}
	for (at = 0; at < BYTES; at += (uint32_t)n) {
		kern_fill(buf, at, sizeof(buf), DOWN);
		n = send(s, buf, sizeof(buf), 0);
		if (n <= 0)
			return false;
	}
	return true;
}

static void *host_accepts(void *arg)
{
	struct sockaddr_vm a;
	socklen_t len = sizeof(a);
	const int s = accept(*(int *)arg, (void *)&a, &len);
	bool good = s >= 0 && a.svm_cid == CID && a.svm_port == our_port && host_streams(s);

	close(s);
	return good ? arg : NULL;
}

static void *host_connects(void *arg)
{
	const struct sockaddr_vm a = address(CID, PORT);
	const int s = *(int *)arg;

	if (connect(s, (const void *)&a, sizeof(a)) || !host_streams(s))
		return NULL;
	return arg;
}

static void streams(void)
{
	static unsigned char data[CHUNK];
	uint32_t at, len;

	for (at = 0; at < BYTES; at += len) {
		len = BYTES - at < CHUNK ? BYTES - at : CHUNK;
		kern_fill(data, at, len, UP);
		while (sent - peer_took + len > peer_room)
			expect_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		send_flags(VIRTIO_VSOCK_OP_RW, 0, data, len);
	}
	for (at = 0; at < BYTES; at += got.len) {
		expect_op(VIRTIO_VSOCK_OP_RW);
		T_MUST(kern_same(got.data, at, got.len, DOWN));
		if (at / CHUNK != (at + got.len) / CHUNK)
			send_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	}
}

static void join(pthread_t host, void *want)
{
	void *end;

	T_MUST(!pthread_join(host, &end));
	T_OK(end == want);
}

static void connect_out(void)
{
	int s = host_listen(SOCK_STREAM);
	pthread_t host;

	connection(VIRTIO_VSOCK_TYPE_STREAM, ++our_port, PORT);
	T_MUST(!pthread_create(&host, NULL, host_accepts, &s));
	send_op(VIRTIO_VSOCK_OP_REQUEST);
	expect_op(VIRTIO_VSOCK_OP_RESPONSE);
	streams();
	expect_op(VIRTIO_VSOCK_OP_SHUTDOWN);
	send_op(VIRTIO_VSOCK_OP_RST);
	join(host, &s);
	close(s);
}

static void connects_to_a_listener(void)
{
	start(RING_BITS);
	connect_out();
	kern_close(&k);
}

/* Takes the connection that the host asks for. */
static void take(uint16_t type)
{
	expect_op(VIRTIO_VSOCK_OP_REQUEST);
	T_EQ(got.h.dst_port, PORT);
	connection(type, PORT, got.h.src_port);
	send_op(VIRTIO_VSOCK_OP_RESPONSE);
}

static void is_connected_to(void)
{
	int s = host_socket(SOCK_STREAM);
	pthread_t host;

	start(RING_BITS);
	T_MUST(!pthread_create(&host, NULL, host_connects, &s));
	take(VIRTIO_VSOCK_TYPE_STREAM);
	streams();
	join(host, &s);
	close(s);
	expect_op(VIRTIO_VSOCK_OP_SHUTDOWN);
	send_op(VIRTIO_VSOCK_OP_RST);
	kern_close(&k);
}

static void refuses_a_port(void)
{
	const struct sockaddr_vm a = address(CID, 9);
	const int s = host_socket(SOCK_STREAM | SOCK_NONBLOCK);
	socklen_t len = sizeof(int);
	struct pollfd p = { .fd = s, .events = POLLOUT };
	int err = 0;

	start(RING_BITS);
	T_OK(connect(s, (const void *)&a, sizeof(a)) && errno == EINPROGRESS);
	expect_op(VIRTIO_VSOCK_OP_REQUEST);
	connection(VIRTIO_VSOCK_TYPE_STREAM, 9, got.h.src_port);
	send_op(VIRTIO_VSOCK_OP_RST);
	T_EQ(poll(&p, 1, 20000), 1);
	T_OK(!getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len));
	T_EQ(err, ECONNRESET);
	close(s);
	/* The other way round: nobody listens on the host. */
	connection(VIRTIO_VSOCK_TYPE_STREAM, ++our_port, 9);
	send_op(VIRTIO_VSOCK_OP_REQUEST);
	expect_op(VIRTIO_VSOCK_OP_RST);
	kern_close(&k);
}

static void keeps_the_bounds_of_messages(void)
{
	const uint32_t end = VIRTIO_VSOCK_SEQ_EOM;
	const int s = host_listen(SOCK_SEQPACKET);
	char buf[64];
	int a;

	start(RING_BITS | SEQPACKET);
	connection(VIRTIO_VSOCK_TYPE_SEQPACKET, ++our_port, PORT);
	send_op(VIRTIO_VSOCK_OP_REQUEST);
	expect_op(VIRTIO_VSOCK_OP_RESPONSE);
	a = accept(s, NULL, NULL);
	T_MUST(a >= 0);
	send_flags(VIRTIO_VSOCK_OP_RW, 0, "one ", 4);
	send_flags(VIRTIO_VSOCK_OP_RW, end, "message", 7);
	send_flags(VIRTIO_VSOCK_OP_RW, end, "another", 7);
	T_MUST(t_readable(a, 20000));
	T_EQ(recv(a, buf, sizeof(buf), 0), 11);
	T_OK(!memcmp(buf, "one message", 11));
	T_MUST(t_readable(a, 20000));
	T_EQ(recv(a, buf, sizeof(buf), 0), 7);
	T_EQ(send(a, "back", 4, 0), 4);
	expect_op(VIRTIO_VSOCK_OP_RW);
	T_EQ(got.len, 4);
	T_EQ(got.h.flags & end, end);
	close(a);
	close(s);
	kern_close(&k);
}

/* A device that is paused moves nothing; what was sent meanwhile goes out with the next kick. */
static void pauses(void)
{
	const struct iovec seg = { tx_place() + PAGE, HDR };
	struct vhk_done done;
	int s, a;

	start(RING_BITS);
	connect_out();
	s = host_listen(SOCK_STREAM);
	T_EQ(vhk_ctl_vsock_set_running(k.ctl, false), 0);
	connection(VIRTIO_VSOCK_TYPE_STREAM, ++our_port, PORT);
	mine.op = VIRTIO_VSOCK_OP_REQUEST;
	memcpy(seg.iov_base, &mine, HDR);
	kern_add(&k, TX, &seg, 1, 0, &k);
	kern_publish(&k, TX);
	T_OK(!kern_get(&k, TX, &done, SECOND / 5));
	T_EQ(vhk_ctl_vsock_set_running(k.ctl, true), 0);
	T_EQ(vhk_ctl_kick(k.ctl, TX), 0);
	T_OK(kern_get(&k, TX, &done, WAIT) && done.token == &k);
	expect_op(VIRTIO_VSOCK_OP_RESPONSE);
	a = accept(s, NULL, NULL);
	T_OK(a >= 0);
	close(a);
	close(s);
	kern_close(&k);
}

/* Rings are stopped, started again, and go on where they were. */
static void stops_and_goes_on(void)
{
	unsigned int round, i;
	uint32_t base;

	start(RING_BITS);
	for (round = 0; round < 3; round++) {
		connect_out();
		for (i = 0; i < 2; i++) {
			T_EQ(vhk_ctl_stop(k.ctl, i, &base), 0);
			T_OK(base > 0 && base < 65536);
		}
		T_EQ(vhk_ctl_kick(k.ctl, TX), -EBUSY);
		kern_start(&k, 2);
		kern_publish(&k, RX);
		T_EQ(vhk_ctl_vsock_set_running(k.ctl, true), 0);
	}
	connect_out();
	kern_close(&k);
}

/*
 * The device is opened and set up anew: its queues begin anew, and it gets its address once more,
 * which nobody else has taken.
 */
static void opened_anew(void)
{
	unsigned int round, i;

	start(RING_BITS);
	for (round = 0; round < 3; round++) {
		connect_out();
		for (i = 0; i < 2; i++)
			vhk_vq_reset(k.vq[i], NULL, NULL);
		T_EQ(vhk_ctl_reconnect(k.ctl), 0);
		T_EQ(vhk_ctl_vsock_set_guest_cid(k.ctl, CID), 0);
		for (i = 0; i < N_RX; i++)
			offer(k.data + i * PAGE);
		kern_publish(&k, RX);
		T_EQ(vhk_ctl_vsock_set_running(k.ctl, true), 0);
		T_MUST(!t_bad);
	}
	connect_out();
	kern_close(&k);
}

/* The device is closed under an open connection. */
static void vanishes(void)
{
	const int s = host_listen(SOCK_STREAM);
	char byte;
	int a;

	start(RING_BITS);
	connection(VIRTIO_VSOCK_TYPE_STREAM, ++our_port, PORT);
	send_op(VIRTIO_VSOCK_OP_REQUEST);
	expect_op(VIRTIO_VSOCK_OP_RESPONSE);
	a = accept(s, NULL, NULL);
	T_MUST(a >= 0);
	kern_close(&k);
	T_OK(t_readable(a, 20000));
	T_OK(recv(a, &byte, 1, 0) <= 0);
	close(a);
	close(s);
}

int main(void)
{
	T_RUN(connects_to_a_listener);
	T_RUN(is_connected_to);
	T_RUN(refuses_a_port);
	T_RUN(keeps_the_bounds_of_messages);
	T_RUN(pauses);
	T_RUN(stops_and_goes_on);
	T_RUN(opened_anew);
	T_RUN(vanishes);
	return t_end();
}
