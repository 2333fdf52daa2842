// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every message of both channels, taken apart: fields by name and value, in the order of the wire;
 * the layouts against the message table; payloads that are too short, too long or unknown.
 */
#include <vhostkit/trace.h>

#include "base.h"
#include "proto.h"
#include "proto_fields.h"
#include "t.h"

#define LONG 1024

struct line {
	char text[LONG];
	size_t len;
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	l->len += (size_t)vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, ap);
	va_end(ap);
	T_MUST(l->len < sizeof(l->text));
}

/* n: number, a: address, s: size, f: features, p: protocol features, t: status */
static const char letters[] = "nasfpt";

static void add_field(void *arg, const struct vhk_trace_field *f)
{
	struct line *l = arg;
	uint32_t i;

	add(l, "%s", l->len ? " " : "");
	if (f->list)
		add(l, "%s%u.", f->list, f->item);
	add(l, "%s=", f->name);
	if (f->kind == VHK_TRACE_CHOICE && f->text) {
		add(l, "%s", f->text);
	} else if (f->kind == VHK_TRACE_BYTES || f->kind == VHK_TRACE_UUID) {
		add(l, "%s", f->kind == VHK_TRACE_UUID ? "u" : "b");
		for (i = 0; i < f->len; i++)
			add(l, "%02x", f->bytes[i]);
	} else {
		add(l, "%c%llx", f->kind == VHK_TRACE_CHOICE ? 'c' : letters[f->kind],
		    (unsigned long long)f->value);
	}
}

static void take_apart(struct line *l, uint32_t request, bool back, bool reply, const void *payload,
		       uint32_t len)
{
	const struct vhk_trace_msg m = {
		.request = request,
		.name = vhk_trace_name(request, back),
		.back_channel = back,
		.reply = reply,
		.payload = payload,
		.payload_len = len,
	};

	l->len = 0;
	l->text[0] = 0;
	vhk_trace_fields(&m, add_field, l);
}

#define LO(a, b) ((uint64_t)(uint32_t)(b) << 32 | (uint32_t)(a))

static const struct row {
	uint32_t request, len;
	uint64_t w[9];
	const char *want;
} requests[] = {
	{ 1, 0, { 0 }, "" },
	{ 2, 8, { 0x140000000 }, "features=f140000000" },
	{ 3, 0, { 0 }, "" },
	{ 4, 0, { 0 }, "" },
	{ 5, 72, { 2, 0x1000, 0x2000, 0x7000, 0, 0x10000, 0x3000, 0x17000, 0x2000 },
	  "regions=n2 region0.gpa=a1000 region0.size=s2000 region0.uva=a7000 region0.offset=a0 "
	  "region1.gpa=a10000 region1.size=s3000 region1.uva=a17000 region1.offset=a2000" },
	{ 6, 16, { 0x8000, 0x40 }, "size=s8000 offset=a40" },
	{ 7, 0, { 0 }, "" },
	{ 8, 8, { LO(1, 256) }, "index=n1 num=n100" },
	{ 9, 40, { LO(1, 1), 0x10, 0x20, 0x30, 0x40 },
	  "index=n1 flags=a1 desc=a10 used=a20 avail=a30 log=a40" },
	{ 10, 8, { LO(1, 5) }, "index=n1 base=n5" },
	{ 11, 8, { LO(1, 0) }, "index=n1" },
	{ 12, 8, { 3 }, "index=n3" },
	{ 13, 8, { 0x103 }, "index=n3 fd=none" },
	{ 14, 8, { 0 }, "index=n0" },
	{ 15, 0, { 0 }, "" },
	{ 16, 8, { 0x29 }, "features=p29" },
	{ 17, 0, { 0 }, "" },
	{ 18, 8, { LO(2, 1) }, "index=n2 enable=on" },
	{ 19, 8, { 0x563412005452 }, "mac=b525400123456" },
	{ 20, 8, { 1500 }, "mtu=n5dc" },
	{ 21, 0, { 0 }, "" },
	{ 22, 32, { 0x1000, 0x2000, 0x7000, 0x0203 },
	  "iova=a1000 size=s2000 uaddr=a7000 access=read-write type=update" },
	{ 23, 8, { LO(2, 1) }, "index=n2 order=big" },
	{ 24, 16, { LO(8, 4), LO(0, 0) }, "offset=n8 size=n4 flags=writable data=b00000000" },
	{ 25, 16, { LO(8, 4), LO(1, 0x04030201) },
	  "offset=n8 size=n4 flags=migration data=b01020304" },
	{ 26, 4, { 0x04030201 }, "parameters=b01020304" },
	{ 27, 8, { 7 }, "session=n7" },
	{ 28, 0, { 0 }, "" },
	{ 29, 0, { 0 }, "" },
	{ 30, 0, { 0 }, "" },
	{ 31, 24, { 0, 0, LO(2 | 128 << 16, 0) },
	  "mmap_size=s0 mmap_offset=a0 queues=n2 queue_size=n80" },
	{ 32, 20, { 0x1000, 0x40, LO(2 | 128 << 16, 0) },
	  "mmap_size=s1000 mmap_offset=a40 queues=n2 queue_size=n80" },
	{ 33, 0, { 0 }, "" },
	{ 34, 0, { 0 }, "" },
	{ 35, 8, { LO(4, 0) }, "index=n4" },
	{ 36, 0, { 0 }, "" },
	{ 37, 40, { 0, 0x1000, 0x2000, 0x7000, 0x40 },
	  "gpa=a1000 size=s2000 uva=a7000 offset=a40" },
	{ 38, 40, { 1, 0x1000, 0x2000, 0x7000, 0 },
	  "padding=n1 gpa=a1000 size=s2000 uva=a7000 offset=a0" },
	{ 39, 8, { 0xf }, "status=tf" },
	{ 40, 0, { 0 }, "" },
	{ 41, 16, { 0x0706050403020100, 0x0f0e0d0c0b0a0908 },
	  "uuid=u000102030405060708090a0b0c0d0e0f" },
	{ 42, 8, { LO(1, 0) }, "direction=load phase=stopped" },
	{ 43, 0, { 0 }, "" },
	{ 44, 0, { 0 }, "" },
	{ 45, 8, { LO(1, 0) }, "index=n1" },
}, back_requests[] = {
	{ 1, 32, { 0x1000, 0x2000, 0x7000, 0x0101 },
	  "iova=a1000 size=s2000 uaddr=a7000 access=read type=miss" },
	{ 2, 0, { 0 }, "" },
	{ 3, 24, { 0x102, 0x1000, 0x2000 }, "index=n2 fd=none size=s1000 offset=a2000" },
	{ 4, 8, { LO(3, 0) }, "index=n3" },
	{ 5, 8, { LO(3, 1) }, "index=n3 num=n1" },
	{ 6, 16, { 1, 2 }, "uuid=u01000000000000000200000000000000" },
	{ 7, 16, { 1, 2 }, "uuid=u01000000000000000200000000000000" },
	{ 8, 16, { 1, 2 }, "uuid=u01000000000000000200000000000000" },
	{ 9, 40, { 2, 0x1000, 0x2000, 0x3000, 1 },
	  "shmid=n2 fd_offset=a1000 shm_offset=a2000 len=s3000 access=read-write" },
	{ 10, 40, { 2, 0x1000, 0x2000, 0x3000, 0 },
	  "shmid=n2 fd_offset=a1000 shm_offset=a2000 len=s3000 access=read" },
}, replies[] = {
	{ 1, 8, { 0x140000000 }, "features=f140000000" },
	{ 5, 8, { 0 }, "result=n0" },
	{ 5, 40, { 1, 0x1000, 0x2000, 0x7000, 0 },
	  "regions=n1 region0.gpa=a1000 region0.size=s2000 region0.uva=a7000 region0.offset=a0" },
	{ 6, 16, { 0x8000, 0 }, "size=s8000 offset=a0" },
	{ 6, 8, { 22 }, "result=n16" },
	{ 8, 8, { 22 }, "result=n16" },
	{ 11, 8, { LO(1, 77) }, "index=n1 base=n4d" },
	{ 15, 8, { 3 }, "features=p3" },
	{ 17, 8, { 4 }, "queues=n4" },
	{ 24, 16, { LO(8, 4), LO(0, 0x04030201) },
	  "offset=n8 size=n4 flags=writable data=b01020304" },
	{ 24, 0, { 0 }, "" },
	{ 28, 0, { 0 }, "" },
	{ 31, 24, { 0x1000, 0, LO(2 | 128 << 16, 0) },
	  "mmap_size=s1000 mmap_offset=a0 queues=n2 queue_size=n80" },
	{ 36, 8, { 32 }, "slots=n20" },
	{ 40, 8, { 7 }, "status=t7" },
	{ 42, 8, { 0x100 }, "result=n0 fd=none" },
	{ 42, 8, { 5 }, "result=n5" },
	{ 43, 8, { 1 }, "result=n1" },
	{ 44, 24, { 2, 0x1000, 0x2000 }, "regions=n2 region0.size=s1000 region1.size=s2000" },
	{ 45, 8, { LO(1, 77) }, "index=n1 base=n4d" },
};

static void check(const struct row *r, size_t n, bool back, bool reply)
{
	struct line l;
	size_t i;

	for (i = 0; i < n; i++) {
		take_apart(&l, r[i].request, back, reply, r[i].w, r[i].len);
		if (strcmp(l.text, r[i].want))
			printf("# %s\n", vhk_trace_name(r[i].request, back));
		T_STR(l.text, r[i].want);
	}
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void every_request_is_taken_apart(void)
{
	size_t i;

	T_EQ(N(requests), VHK_USER_REQ_MAX);
	T_EQ(N(back_requests), VHK_USER_BACK_REQ_MAX);
	for (i = 0; i < N(requests); i++)
		T_EQ(requests[i].request, i + 1);
	for (i = 0; i < N(back_requests); i++)
		T_EQ(back_requests[i].request, i + 1);
	check(requests, N(requests), false, false);
	check(back_requests, N(back_requests), true, false);
}

static void replies_are_taken_apart(void)
{
	static const uint64_t refused = 3;
	uint32_t request;
	struct line l;

	check(replies, N(replies), false, true);
	for (request = 1; request <= VHK_USER_BACK_REQ_MAX; request++) {
		take_apart(&l, request, true, true, &refused, sizeof(refused));
		T_STR(l.text, "result=n3");
	}
}

/* The table is the one that both ends serve by. */
static void layouts_fit_the_message_table(void)
{
	const struct vhk_layout *l;
	const struct vhk_proto *row;
	uint32_t request, max, size;
	int back;

	for (back = 0; back < 2; back++) {
		max = back ? VHK_USER_BACK_REQ_MAX : VHK_USER_REQ_MAX;
		for (request = 1; request <= max; request++) {
			row = back ? vhk_proto_back_request(request) : vhk_proto_request(request);
			l = vhk_proto_layout(request, back, false, row->size_max);
			T_EQ(!l, !row->size_max);
			size = l ? vhk_layout_size(l) : 0;
			T_OK(size <= row->size_max);
			if (l && row->size_min == row->size_max && size + 6 < row->size_max)
				T_STR(row->name, "is not told to its end");
			l = vhk_proto_layout(request, back, true, row->reply_max);
			T_OK(l != NULL);
			if (l && row->reply_max)
				T_OK(vhk_layout_size(l) <= row->reply_max);
		}
	}
}

static void what_is_not_there_is_not_told(void)
{
	static const uint64_t addr[] = { LO(1, 0), 0x10, 0x20 };
	static const uint64_t table[] = { 3, 0x1000, 0x2000, 0x7000, 0, 0x9999 };
	static const uint64_t many[] = { UINT32_MAX, 1, 2, 3, 4 };
	static const uint64_t xen[] = { 1, 0x1000, 0x2000, 0x7000, 0, LO(2, 7) };
	struct line l;

	take_apart(&l, 9, false, false, addr, 20);
	T_STR(l.text, "index=n1 flags=a0 desc=a10 rest=b20000000");
	take_apart(&l, 8, false, false, addr, 0);
	T_STR(l.text, "");
	take_apart(&l, 5, false, false, table, 44);
	T_STR(l.text, "regions=n3 region0.gpa=a1000 region0.size=s2000 region0.uva=a7000 "
		      "region0.offset=a0 rest=b99990000");
	take_apart(&l, 5, false, false, table, 6);
	T_STR(l.text, "regions=n3 rest=b0000");
	take_apart(&l, 44, false, true, many, 24);
	T_STR(l.text, "regions=nffffffff region0.size=s1 region1.size=s2");
	take_apart(&l, 5, false, false, xen, 48);
	T_STR(l.text, "regions=n1 region0.gpa=a1000 region0.size=s2000 region0.uva=a7000 "
		      "region0.offset=a0 region0.xen_flags=a2 region0.domain=n7");
}

static void more_than_there_should_be_is_told_as_bytes(void)
{
	static const uint64_t w[] = { 0x1122, 0x3344 };
	struct line l;

	take_apart(&l, 8, false, false, w, 10);
	T_STR(l.text, "index=n1122 num=n0 rest=b4433");
	take_apart(&l, 3, false, false, w, 2);
	T_STR(l.text, "rest=b2211");
	take_apart(&l, 5, false, false, w + 1, 8);
	T_STR(l.text, "result=n3344");
	take_apart(&l, 46, false, false, w, 4);
	T_STR(l.text, "payload=b22110000");
	take_apart(&l, UINT32_MAX, true, true, w, 2);
	T_STR(l.text, "payload=b2211");
	take_apart(&l, 0, true, false, w, 0);
	T_STR(l.text, "");
}

static void choices_out_of_range_stay_numbers(void)
{
	static const uint64_t enable = LO(1, 9), iotlb[4] = { 0, 0, 0, 0x0907 };
	struct line l;

	take_apart(&l, 18, false, false, &enable, 8);
	T_STR(l.text, "index=n1 enable=c9");
	take_apart(&l, 22, false, false, iotlb, 32);
	T_STR(l.text, "iova=a0 size=s0 uaddr=a0 access=c7 type=c9");
}

int main(void)
{
	T_RUN(every_request_is_taken_apart);
	T_RUN(replies_are_taken_apart);
	T_RUN(layouts_fit_the_message_table);
	T_RUN(what_is_not_there_is_not_told);
	T_RUN(more_than_there_should_be_is_told_as_bytes);
	T_RUN(choices_out_of_range_stay_numbers);
	return t_end();
}
