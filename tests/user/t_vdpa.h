/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A kernel's vDPA management that answers with bytes of the test's: what was sent is kept, what
 * comes back is written in hexadecimal, as it was recorded from Linux 6.12, with the number of the
 * request that it answers put in.
 */
#ifndef VHK_TESTS_T_VDPA_H
#define VHK_TESTS_T_VDPA_H

#include <vhostkit/vdpa.h>

#include "t.h"
#include "vdpa_nl.h"

#define T_SENT_MAX 512
#define T_ANSWERS_MAX 64
#define T_FAMILY "30000000100000000100000000000000010200000600010023000000"                        \
		 "0900020076647061000000000800030001000000"
#define T_ACK "2400000002000001020000000000000000000000280000002300050002000000"                   \
	      "00000000"
#define T_DONE "14000000030002000200000000000000" "00000000"

/* What Linux 6.12 said of two disks of vhostkit_vdpa. */
#define T_MGMTDEV_ATTRS                                                                            \
	"1100020076686f73746b69745f626c6b000000000c0003000400000000000000"                         \
	"08000f00400000000c001000647e00300f000000"
#define T_DEV_ATTRS                                                                                \
	"1100020076686f73746b69745f626c6b000000000700040064300000"                                 \
	"0800050002000000080006006b687600080007000200000006000800000100000600090001000000"
#define T_CONFIG_ATTRS                                                                             \
	"070004006430000008000500020000000c000e00447e0030070000000c001400447e00300f000000"         \
	"0c0015000040000000000000080017000002000008001800fe000000060019000200000005001a00"         \
	"0300000005001b000000000006001c000000000008001d000000000008001e000000400008001f00"         \
	"1000000008002000080000000800210000004000080022001000000005002300000000000500240001000000"
/* Composed as the kernel's code does, for a network device with a control queue. */
#define T_NET_ATTRS                                                                                \
	"070004006e30000008000500010000000c000e00230007010300000006000d00dc0500000a000a00"         \
	"525400123456000006000b000100000006000c0002000000"
#define T_VSTATS_ATTRS                                                                             \
	"070004006e30000008000500010000000c000e00230007010300000006000c000200000008001100"         \
	"010000001200120072656365697665645f646573630000000c00130007000000000000001300120063"    \
	"6f6d706c657465645f6465736300000c0013000500000000000000"

struct t_kernel {
	struct vhk_nl_link link;
	const char *answers[T_ANSWERS_MAX]; /* datagrams; NULL: silence */
	unsigned int next;
	unsigned char sent[T_SENT_MAX]; /* the last request */
	size_t n_sent;
	unsigned int requests;
	bool closed;
};

static inline size_t t_unhex(const char *hex, unsigned char *to, size_t max)
{
	size_t n = 0;
	unsigned int byte;

	for (; *hex && n < max; hex += 2, n++) {
		T_MUST(sscanf(hex, "%2x", &byte) == 1 && hex[1]);
		to[n] = (unsigned char)byte;
	}
	return n;
}

static inline int t_kernel_send(void *arg, const void *bytes, size_t len)
{
	struct t_kernel *k = arg;

	T_MUST(len <= sizeof(k->sent));
	memcpy(k->sent, bytes, len);
	k->n_sent = len;
	k->requests++;
	return 0;
}

/* Every message of the datagram answers the last request, unless its number is odd on purpose. */
static inline void t_renumber(unsigned char *bytes, size_t len, const unsigned char *sent)
{
	uint32_t size, seq;
	size_t at;

	for (at = 0; at + 16 <= len; at += (size + 3) & ~3u) {
		memcpy(&size, bytes + at, 4);
		memcpy(&seq, bytes + at + 8, 4);
		if (seq != 0xffffffff)
			memcpy(bytes + at + 8, sent + 8, 4);
		if (size < 16 || size > len - at)
			break;
	}
}

static inline int t_kernel_recv(void *arg, void **bytes, uint64_t deadline_ns)
{
	struct t_kernel *k = arg;
	const char *hex = k->next < T_ANSWERS_MAX ? k->answers[k->next] : NULL;
	unsigned char *buf;
	size_t n;

	(void)deadline_ns;
	if (!hex)
		return -ETIMEDOUT;
	k->next++;
	if (!strcmp(hex, "overrun"))
		return -ENOBUFS;
	/* No byte more than there is, so that a sanitizer sees what reads beyond. */
	n = strlen(hex) / 2;
	buf = malloc(n ? n : 1);
	T_MUST(buf && t_unhex(hex, buf, n) == n);
	t_renumber(buf, n, k->sent);
	*bytes = buf;
	return (int)n;
}

static inline void t_kernel_close(void *arg)
{
	struct t_kernel *k = arg;

	k->closed = true;
}

/* A record in hexadecimal: static, overwritten by the ninth after it. */
static inline const char *t_record(unsigned int cmd, unsigned int flags, const char *attrs)
{
	static char text[8][2048];
	static unsigned int turn;
	char *to = text[turn++ % 8];
	unsigned int len = 20 + (unsigned int)strlen(attrs) / 2;

	snprintf(to, sizeof(text[0]),
		 "%02x%02x00002300%02x%02x0200000000000000%02x010000%s", len & 255, len >> 8,
		 flags & 255, flags >> 8, cmd, attrs);
	return to;
}

/* An error with text, as a kernel caps it: static. */
static inline const char *t_refusal(int code, const char *words)
{
	static char text[1024];
	unsigned int i, n = (unsigned int)strlen(words) + 1, len = 36 + 4 + ((n + 3) & ~3u);
	uint32_t c = (uint32_t)code;
	int at;

	at = snprintf(text, sizeof(text), "%02x%02x0000" "0200" "0003" "02000000" "00000000",
		      len & 255, len >> 8);
	at += snprintf(text + at, sizeof(text) - (size_t)at,
		       "%02x%02x%02x%02x20000000230005000200000000000000%02x%02x0100", c & 255,
		       c >> 8 & 255, c >> 16 & 255, c >> 24, (n + 4) & 255, (n + 4) >> 8);
	for (i = 0; i < ((n + 3) & ~3u); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x",
			       i < n ? (unsigned char)words[i] : 0);
	return text;
}

/* A session whose family is found; the answers that follow are the test's. */
static inline struct vhk_vdpa *t_vdpa(struct t_kernel *k, const char *const *answers)
{
	struct vhk_vdpa *v;
	unsigned int i;

	memset(k, 0, sizeof(*k));
	k->link = (struct vhk_nl_link){ t_kernel_send, t_kernel_recv, t_kernel_close, k };
	k->answers[0] = T_FAMILY T_ACK;
	for (i = 0; answers && answers[i]; i++)
		k->answers[1 + i] = answers[i];
	T_MUST(!vhk_vdpa_new_take_link(&v, &k->link, NULL));
	return v;
}

#endif
