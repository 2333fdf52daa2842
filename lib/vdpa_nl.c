// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The session with the kernel's vDPA management: finds the family, sends one request at a time,
 * waits for its end, and says in a sentence what went wrong.
 */
#include <stdio.h>

#include <linux/genetlink.h>
#include <linux/vdpa.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "clock.h"
#include "vdpa_nl_impl.h"

#define DEFAULT_TIMEOUT_MS 5000
#define DUMP_TRIES 8
#define DUMP_MAX 65536 /* records: more is no list of devices */

const char *vhk_vdpa_error(const struct vhk_vdpa *v)
{
	return v->text;
}

static const char *meaning(int ret)
{
	switch (-ret) {
	case EPERM:
		return "CAP_NET_ADMIN in the initial network namespace is needed";
	case EOPNOTSUPP:
		return "this kernel or this device does not do that";
	case ENODEV:
		return "no such device";
	case ENOENT:
		return "no vDPA in this kernel: its module vdpa is not loaded, or this is not the "
		       "initial network namespace";
	case ENOTCONN:
		return "the kernel's module vdpa was unloaded";
	case ETIMEDOUT:
		return "the kernel does not answer in time";
	case EPROTO:
		return "the kernel's answer is malformed";
	case EAGAIN:
		return "not at the moment";
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return "no generic netlink in this kernel";
	default:
		return NULL;
	}
}

/* The kernel's text, or else what the code means. */
int vhk_vdpa_fail(struct vhk_vdpa *v, int ret, const char *text)
{
	const char *words = text && *text ? text : meaning(ret);

	if (words)
		snprintf(v->text, sizeof(v->text), "%s", words);
	else
		snprintf(v->text, sizeof(v->text), "%s", strerror(-ret));
	vhk_log(&v->log, VHK_LOG_WARN, "%s", v->text);
	return ret;
}

/* Takes datagrams in until the answer is whole. */
static int gather(struct vhk_vdpa *v, struct vhk_nl_answer *a)
{
	uint64_t deadline = vhk_now_ns() + v->timeout_ms * 1000000ull;
	void *bytes;
	int ret;

	while (!a->done) {
		ret = v->link.recv(v->link.arg, &bytes, deadline);
		if (ret < 0)
			return ret;
		ret = vhk_nl_answer_take(a, bytes, (size_t)ret);
		free(bytes);
		if (ret)
			return ret;
	}
	return a->error;
}

struct nl_msg *vhk_vdpa_msg_new(uint16_t family, uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, 0, 0, family, 0, NLM_F_REQUEST | NLM_F_ACK | flags, cmd,
			 VDPA_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int vhk_vdpa_exchange(struct vhk_vdpa *v, struct nl_msg *msg, struct vhk_nl_answer *a)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	int ret;

	h->nlmsg_seq = a->seq = ++v->seq;
	ret = v->link.send(v->link.arg, h, h->nlmsg_len);
	return ret ? ret : gather(v, a);
}

static int take_family(void *arg, const struct nlattr *first, int len)
{
	const struct nlattr *id = nla_find(first, len, CTRL_ATTR_FAMILY_ID);
	uint16_t *family = arg;

	if (!id || nla_len(id) != sizeof(*family))
		return -EPROTO;
	memcpy(family, nla_data(id), sizeof(*family));
	return *family > GENL_ID_CTRL ? 0 : -EPROTO;
}

static int find_family(struct vhk_vdpa *v, uint16_t *family)
{
	struct vhk_nl_answer a = { .type = GENL_ID_CTRL, .record = take_family, .arg = family };
	struct nl_msg *msg = vhk_vdpa_msg_new(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	int ret = -ENOMEM;

	*family = 0;
	if (msg && !nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME))
		ret = vhk_vdpa_exchange(v, msg, &a);
	nlmsg_free(msg);
	return !ret && !*family ? -EPROTO : ret;
}

/*
 * -ENOENT comes from a management device, or from a kernel that has lost the family or found it
 * anew under another number. Only the family's owner can tell. True: try again.
 */
static bool lost_family(struct vhk_vdpa *v, int *ret)
{
	uint16_t family;
	int found;

	if (*ret != -ENOENT)
		return false;
	found = find_family(v, &family);
	if (found) {
		*ret = found == -ENOENT ? -ENOTCONN : found;
		return false;
	}
	if (family == v->family)
		return false;
	v->family = family;
	return true;
}

int vhk_vdpa_request(struct vhk_vdpa *v, struct nl_msg *msg, struct vhk_nl_answer *a)
{
	const struct vhk_nl_answer fresh = *a;
	char text[VHK_NL_TEXT_MAX];
	int ret;

	v->text[0] = 0;
	nlmsg_hdr(msg)->nlmsg_type = a->type = v->family;
	ret = vhk_vdpa_exchange(v, msg, a);
	memcpy(text, a->text, sizeof(text));
	if (lost_family(v, &ret)) {
		*a = fresh;
		nlmsg_hdr(msg)->nlmsg_type = a->type = v->family;
		ret = vhk_vdpa_exchange(v, msg, a);
		memcpy(text, a->text, sizeof(text));
	}
	if (ret != -ENOENT)
		return ret ? vhk_vdpa_fail(v, ret, text) : 0;
	return vhk_vdpa_fail(v, ret, *text ? text : strerror(ENOENT));
}

/* A list that grows; records of one kind. */
struct list {
	enum vhk_nl_kind kind;
	size_t n, room;
	char *records;
};

static int list_add(void *arg, const struct nlattr *first, int len)
{
	struct list *l = arg;
	size_t size = vhk_nl_record_size(l->kind), room;
	char *more;

	if (l->n == DUMP_MAX)
		return -EPROTO;
	if (l->n == l->room) {
		room = l->room ? l->room * 2 : 8;
		more = realloc(l->records, room * size);
		if (!more)
			return -ENOMEM;
		l->records = more;
		l->room = room;
	}
	return vhk_nl_record_read(l->kind, l->records + l->n++ * size, first, len);
}

static int dump_once(struct vhk_vdpa *v, uint8_t cmd, struct list *l, bool *again)
{
	struct vhk_nl_answer a = { .record = list_add, .arg = l };
	struct nl_msg *msg = vhk_vdpa_msg_new(v->family, cmd, NLM_F_DUMP);
	int ret;

	l->n = 0;
	*again = false;
	if (!msg)
		return -ENOMEM;
	ret = vhk_vdpa_request(v, msg, &a);
	nlmsg_free(msg);
	*again = ret == -ENOBUFS || (!ret && a.interrupted);
	return ret;
}

int vhk_vdpa_dump(struct vhk_vdpa *v, uint8_t cmd, enum vhk_nl_kind kind,
		  int (*fn)(void *arg, const void *record), void *arg)
{
	struct list l = { .kind = kind };
	bool again = true;
	int tries, ret = 0;
	size_t i;

	for (tries = 0; tries < DUMP_TRIES && again; tries++)
		ret = dump_once(v, cmd, &l, &again);
	if (again)
		ret = vhk_vdpa_fail(v, -EAGAIN, "the list changes faster than it can be read");
	for (i = 0; i < l.n && !ret; i++)
		ret = fn(arg, l.records + i * vhk_nl_record_size(kind));
	free(l.records);
	return ret;
}

int vhk_vdpa_new_take_link(struct vhk_vdpa **out, const struct vhk_nl_link *link,
			   const struct vhk_vdpa_opts *opts)
{
	struct vhk_vdpa *v = calloc(1, sizeof(*v));
	struct vhk_vdpa_opts o;
	int ret = vhk_opts_read(&o, sizeof(o), opts);

	*out = NULL;
	if (!v || ret) {
		free(v);
		link->close(link->arg);
		return ret ? ret : -ENOMEM;
	}
	v->link = *link;
	v->log = o.log;
	v->timeout_ms = o.timeout_ms ? o.timeout_ms : DEFAULT_TIMEOUT_MS;
	ret = find_family(v, &v->family);
	if (ret) {
		vhk_vdpa_fail(v, ret, NULL);
		vhk_vdpa_close(v);
		return ret;
	}
	*out = v;
	return 0;
}

int vhk_vdpa_open(struct vhk_vdpa **out, const struct vhk_vdpa_opts *opts)
{
	struct vhk_vdpa_opts o;
	struct vhk_nl_link link;
	int ret = vhk_opts_read(&o, sizeof(o), opts);

	*out = NULL;
	if (ret)
		return ret;
	ret = vhk_nl_link_open(&link);
	if (ret) {
		vhk_log(&o.log, VHK_LOG_WARN, "generic netlink: %s", strerror(-ret));
		return ret;
	}
	return vhk_vdpa_new_take_link(out, &link, opts);
}

void vhk_vdpa_close(struct vhk_vdpa *v)
{
	if (!v)
		return;
	v->link.close(v->link.arg);
	free(v);
}
