// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: `vdpa dev add` with features, which Debian 12's vdpa does
 * not know yet.
 *
 *   vdpa_add NAME MGMTDEV FEATURE... | all
 *
 * FEATURE: numbers of bits; where one starts with "-", all of the management device's but these.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTR_SUPPORTED_FEATURES 16
#define ATTR_DEV_FEATURES 20

struct message {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	unsigned char attrs[8192];
};

static struct message msg;
static int sock;

static void begin(uint16_t type, uint8_t cmd)
{
	memset(&msg, 0, sizeof(msg));
	msg.head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	msg.head.nlmsg_type = type;
	msg.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	msg.genl.cmd = cmd;
	msg.genl.version = 1;
}

static void put(uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (void *)((char *)&msg + NLMSG_ALIGN(msg.head.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy(a + 1, data, len);
	msg.head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(msg.head.nlmsg_len) + NLA_ALIGN(a->nla_len));
}

static const void *find(uint16_t type)
{
	const char *at = (const char *)msg.attrs, *end = (const char *)&msg + msg.head.nlmsg_len;
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
static int talk(void)
{
	static struct message in;

	if (send(sock, &msg, msg.head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		if (recv(sock, &in, sizeof(in), 0) < 0)
			return -errno;
		if (in.head.nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(&in.head))->error;
		msg = in;
	}
}

static uint64_t parse(int argc, char **argv, uint64_t all)
{
	uint64_t features = !strcmp(argv[0], "all") || argv[0][0] == '-' ? all : 0;
	int i;

	for (i = 0; i < argc; i++) {
		const int bit = abs(atoi(argv[i]));

		if (argv[i][0] == '-')
			features &= ~(1ull << bit);
		else if (strcmp(argv[i], "all"))
			features |= 1ull << bit;
	}
	return features;
}

int main(int argc, char **argv)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	uint64_t features;
	uint16_t family;
	int ret;

	if (argc < 4)
		return 2;
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (sock < 0 || connect(sock, (const void *)&kernel, sizeof(kernel)))
		return 1;
	begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put(CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME, sizeof(VDPA_GENL_NAME));
	ret = talk();
	if (ret || !find(CTRL_ATTR_FAMILY_ID))
		goto out;
	memcpy(&family, find(CTRL_ATTR_FAMILY_ID), sizeof(family));
	begin(family, VDPA_CMD_MGMTDEV_GET);
	put(VDPA_ATTR_MGMTDEV_DEV_NAME, argv[2], strlen(argv[2]) + 1);
	ret = talk();
	if (ret || !find(ATTR_SUPPORTED_FEATURES))
		goto out;
	memcpy(&features, find(ATTR_SUPPORTED_FEATURES), sizeof(features));
	features = parse(argc - 3, argv + 3, features);
	begin(family, VDPA_CMD_DEV_NEW);
	put(VDPA_ATTR_DEV_NAME, argv[1], strlen(argv[1]) + 1);
	put(VDPA_ATTR_MGMTDEV_DEV_NAME, argv[2], strlen(argv[2]) + 1);
	put(ATTR_DEV_FEATURES, &features, sizeof(features));
	ret = talk();
out:
	if (ret)
		printf("%s: %s\n", argv[1], strerror(-ret));
	return ret != 0;
}
