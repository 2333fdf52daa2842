/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The kernel's family of netlink messages for vDPA, as far as the guest's programs need it: small,
 * and without memory of its own. Functions return 0 or a negative errno.
 */
#ifndef VHK_GUEST_VDPA_NL_H
#define VHK_GUEST_VDPA_NL_H

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	unsigned char attrs[8192];
} nl_msg;
static int nl_sock = -1;
static uint16_t nl_family;

static inline void nl_begin(uint16_t type, uint8_t cmd)
{
	memset(&nl_msg, 0, sizeof(nl_msg));
	nl_msg.head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	nl_msg.head.nlmsg_type = type;
	nl_msg.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nl_msg.genl.cmd = cmd;
	nl_msg.genl.version = 1;
}

static inline void nl_put(uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (void *)((char *)&nl_msg + NLMSG_ALIGN(nl_msg.head.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy(a + 1, data, len);
	nl_msg.head.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(nl_msg.head.nlmsg_len) + NLA_ALIGN(a->nla_len));
}

static inline void nl_put_text(uint16_t type, const char *text)
{
	nl_put(type, text, strlen(text) + 1);
}

static inline const void *nl_find(uint16_t type)
{
	const char *at = (const char *)nl_msg.attrs;
	const char *end = (const char *)&nl_msg + nl_msg.head.nlmsg_len;
	const struct nlattr *a;

	for (; at + NLA_HDRLEN <= end; at += NLA_ALIGN(a->nla_len)) {
		a = (const void *)at;
		if (a->nla_type == type)
			return a + 1;
		if (a->nla_len < NLA_HDRLEN)
			break;
	}
	return NULL;
}

/* Sends the message; what comes back before the acknowledgement replaces it. */
static inline int nl_talk(void)
{
	static union {
		struct nlmsghdr head;
		unsigned char bytes[sizeof(nl_msg)];
	} in;

	if (send(nl_sock, &nl_msg, nl_msg.head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		if (recv(nl_sock, &in, sizeof(in), 0) < 0)
			return -errno;
		if (in.head.nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(&in.head))->error;
		memcpy(&nl_msg, &in, sizeof(nl_msg));
	}
}

/* A socket, and the number of the family. */
static inline int nl_open(void)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int ret;

	nl_sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl_sock < 0 || connect(nl_sock, (const void *)&kernel, sizeof(kernel)))
		return -errno;
	nl_begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	nl_put_text(CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	ret = nl_talk();
	if (ret)
		return ret;
	if (!nl_find(CTRL_ATTR_FAMILY_ID))
		return -ENOENT;
	memcpy(&nl_family, nl_find(CTRL_ATTR_FAMILY_ID), sizeof(nl_family));
	return 0;
}

/* Without features, what the management device gives. */
static inline int nl_dev_add(const char *name, const char *mgmtdev)
{
	nl_begin(nl_family, VDPA_CMD_DEV_NEW);
	nl_put_text(VDPA_ATTR_DEV_NAME, name);
	nl_put_text(VDPA_ATTR_MGMTDEV_DEV_NAME, mgmtdev);
	return nl_talk();
}

static inline int nl_dev_del(const char *name)
{
	nl_begin(nl_family, VDPA_CMD_DEV_DEL);
	nl_put_text(VDPA_ATTR_DEV_NAME, name);
	return nl_talk();
}

#endif
