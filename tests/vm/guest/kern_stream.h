/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Two streams of a TCP connection between the card and a socket of the IP stack behind the tap,
 * held against what they must be, byte for byte.
 */
#ifndef VHK_VM_KERN_STREAM_H
#define VHK_VM_KERN_STREAM_H

#include "kern_nic.h"

#include <pthread.h>

#define PORT 7000
#define BYTES (1u << 20)
#define CHUNK 30000u /* bytes of one long segment; two fit the other end's first window */
#define UP 17u       /* seeds of the two streams */
#define DOWN 4711u

static struct nic nic;
static struct frame out, in;

static inline int listen_at(uint16_t port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(HOST_IP) };
	const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	T_MUST(s >= 0 && !setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	T_MUST(!bind(s, (const void *)&a, sizeof(a)) && !listen(s, 1));
	return s;
}

/* The host's end: BYTES in, held against what they must be, then BYTES out, then the end. */
static inline void *host_stream(void *arg)
{
	const int s = accept(*(int *)arg, NULL, NULL);
	static unsigned char buf[65536];
	uint32_t at = 0;
	ssize_t n;

	while (at < BYTES && (n = recv(s, buf, sizeof(buf), 0)) > 0) {
		if (!kern_same(buf, at, (uint32_t)n, UP))
			return NULL;
		at += (uint32_t)n;
	}
	for (at = 0; at < BYTES; at += (uint32_t)n) {
		kern_fill(buf, at, sizeof(buf), DOWN);
		n = send(s, buf, sizeof(buf), 0);
		if (n <= 0)
			return NULL;
	}
	shutdown(s, SHUT_WR);
	n = recv(s, buf, sizeof(buf), 0);
	close(s);
	return n ? NULL : arg;
}

/* Summed, or what of it is left to us is as it must be. */
static inline void check_sum(const struct frame *f)
{
	if (f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		T_EQ(f->hdr.csum_start, L4_AT);
		T_EQ(sum16(f->data + L4_AT + f->hdr.csum_offset, 2, 0), sum_pseudo(f));
	} else {
		T_EQ(sum_l4(f), 0xffff);
	}
}

/* What belongs to the connection, within the deadline. */
static inline void next_segment(struct tcp *t, struct tcp_in *got)
{
	do {
		T_MUST(nic_receive(&nic, &in, WAIT));
	} while (!tcp_take(t, &in, got));
	check_sum(&in);
}

static inline void send_segment(struct tcp *t, uint8_t flags, const void *data, uint32_t len)
{
	tcp_make(t, &out, flags, data, len);
	nic_send(&nic, &out);
}

static inline void stream_up(struct tcp *t)
{
	static unsigned char data[CHUNK];
	struct tcp_in got;
	uint32_t at, len;

	for (at = 0; at < BYTES; at += len) {
		len = BYTES - at < CHUNK ? BYTES - at : CHUNK;
		kern_fill(data, at, len, UP);
		while (t->seq - t->acked + len > t->window)
			next_segment(t, &got);
		send_segment(t, TCP_ACK | TCP_PSH, data, len);
	}
}

static inline void stream_down(struct tcp *t)
{
	struct tcp_in got = { .flags = 0 };
	uint32_t at = 0;

	while (!(got.flags & TCP_FIN)) {
		next_segment(t, &got);
		T_MUST(kern_same(got.data, at, got.len, DOWN));
		at += got.len;
		send_segment(t, TCP_ACK, NULL, 0);
	}
	T_EQ(at, BYTES);
}

/* The other end remembers connections for a while, so each has a port of its own. */
static inline void tcp_both_ways(void)
{
	static unsigned int n_conns;
	struct tcp t = { .peer_port = PORT, .seq = 1000, .acked = 1000 };
	int s = listen_at(PORT);
	struct tcp_in got;
	pthread_t host;
	void *end;

	t.port = (uint16_t)(20000 + (unsigned int)getpid() % 800 * 50 + n_conns++);
	T_MUST(!pthread_create(&host, NULL, host_stream, &s));
	tap_mac(TAP, t.mac);
	send_segment(&t, TCP_SYN, NULL, 0);
	next_segment(&t, &got);
	T_EQ(got.flags & (TCP_SYN | TCP_ACK), TCP_SYN | TCP_ACK);
	send_segment(&t, TCP_ACK, NULL, 0);
	stream_up(&t);
	stream_down(&t);
	send_segment(&t, TCP_ACK | TCP_FIN, NULL, 0);
	T_MUST(!pthread_join(host, &end));
	T_OK(end == &s);
	close(s);
}

#endif
