// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What comes back for a request: records, an acknowledgement or an error, with the kernel's text
 * (netlink(7); linux/netlink.h, enum nlmsgerr_attrs). Answers to earlier requests, which nobody
 * waits for any more, are passed over.
 */
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "vdpa_nl.h"

#define ERRNO_MAX 4095

static void keep_text(struct vhk_nl_answer *a, const struct nlattr *attr)
{
	const char *text = nla_data(attr);
	size_t i, n = strnlen(text, (size_t)nla_len(attr));

	n = vhk_min(n, sizeof(a->text) - 1);
	for (i = 0; i < n; i++)
		a->text[i] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
	a->text[n] = 0;
}

/* Attributes of an acknowledgement start @at bytes into its payload. */
static void take_text(struct vhk_nl_answer *a, const struct nlmsghdr *h, size_t at)
{
	const struct nlattr *attr;
	int rest;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || at > (size_t)nlmsg_datalen(h))
		return;
	rest = nlmsg_datalen(h) - (int)at;
	for (attr = (const void *)((const char *)nlmsg_data(h) + at); nla_ok(attr, rest);
	     attr = nla_next(attr, &rest))
		if (nla_type(attr) == NLMSGERR_ATTR_MSG)
			keep_text(a, attr);
}

static int take_code(struct vhk_nl_answer *a, int code)
{
	if (code > 0 || code < -ERRNO_MAX)
		return -EPROTO;
	a->error = code;
	a->done = true;
	return 0;
}

static int take_error(struct vhk_nl_answer *a, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t at = sizeof(*e);

	if ((size_t)nlmsg_datalen(h) < sizeof(*e))
		return -EPROTO;
	/* A kernel that does not cap sends the whole request back before the attributes. */
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		at = sizeof(*e) - sizeof(e->msg) + NLMSG_ALIGN((size_t)e->msg.nlmsg_len);
	take_text(a, h, at);
	return take_code(a, e->error);
}

/* The end of a list; kernels since 4.20 say with what it ended. */
static int take_done(struct vhk_nl_answer *a, const struct nlmsghdr *h)
{
	int code = 0;

	if ((size_t)nlmsg_datalen(h) >= sizeof(code))
		memcpy(&code, nlmsg_data(h), sizeof(code));
	take_text(a, h, sizeof(code));
	return take_code(a, code);
}

static int take_record(struct vhk_nl_answer *a, const struct nlmsghdr *h)
{
	const char *payload = nlmsg_data(h);

	if ((size_t)nlmsg_datalen(h) < GENL_HDRLEN)
		return -EPROTO;
	a->n_records++;
	return a->record ? a->record(a->arg, (const void *)(payload + GENL_HDRLEN),
				     nlmsg_datalen(h) - (int)GENL_HDRLEN) :
			   0;
}

static int take_one(struct vhk_nl_answer *a, const struct nlmsghdr *h)
{
	if (h->nlmsg_seq != a->seq || a->done)
		return 0;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	switch (h->nlmsg_type) {
	case NLMSG_ERROR:
		return take_error(a, h);
	case NLMSG_DONE:
		return take_done(a, h);
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	default:
		return h->nlmsg_type == a->type ? take_record(a, h) : 0;
	}
}

int vhk_nl_answer_take(struct vhk_nl_answer *a, const void *bytes, size_t len)
{
	const struct nlmsghdr *h = bytes;
	int ret, rest = (int)len;

	if (len > INT32_MAX)
		return -EPROTO;
	for (; nlmsg_ok(h, rest); h = nlmsg_next((struct nlmsghdr *)h, &rest)) {
		ret = take_one(a, h);
		if (ret)
			return ret;
	}
	return rest > 0 ? -EPROTO : 0;
}
