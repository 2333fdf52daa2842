/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The door to netlink, in pieces: a link that carries bytes, what is in an answer, what is in a
 * message of the family "vdpa", and the session over them. Answers come from the kernel; they are
 * checked all the same.
 */
#ifndef VHK_LIB_VDPA_NL_H
#define VHK_LIB_VDPA_NL_H

#include <linux/netlink.h>

#include <vhostkit/vdpa.h>

#include "base.h"

/* Commands of the family (enum vdpa_command); older headers lack the last. */
enum vhk_nl_cmd {
	VHK_NL_MGMTDEV_NEW = 1,
	VHK_NL_MGMTDEV_GET,
	VHK_NL_DEV_NEW,
	VHK_NL_DEV_DEL,
	VHK_NL_DEV_GET,
	VHK_NL_CONFIG_GET,
	VHK_NL_VSTATS_GET,
	VHK_NL_ATTR_SET,
};

/* Attributes of the family (enum vdpa_attr) that requests carry. */
enum vhk_nl_attr {
	VHK_NL_MGMTDEV_BUS = 1,
	VHK_NL_MGMTDEV_NAME = 2,
	VHK_NL_NAME = 4,
	VHK_NL_NET_MAC = 10,
	VHK_NL_NET_MAX_VQP = 12,
	VHK_NL_NET_MTU = 13,
	VHK_NL_QUEUE_INDEX = 17,
	VHK_NL_STAT_NAME = 18,
	VHK_NL_STAT_VALUE = 19,
	VHK_NL_FEATURES = 20,
};

#define VHK_NL_TEXT_MAX 256

/*
 * Where requests go and answers come from: the kernel, or bytes that a test has. send() is 0 or
 * -errno. recv() hands over one datagram, to be freed by the caller, and returns its length; it
 * waits until @deadline_ns at most: -ETIMEDOUT; -ENOBUFS: something was lost.
 */
struct vhk_nl_link {
	int (*send)(void *arg, const void *bytes, size_t len);
	int (*recv)(void *arg, void **bytes, uint64_t deadline_ns);
	void (*close)(void *arg);
	void *arg;
};

/* The kernel's end: generic netlink, answers with extended acknowledgements. */
int vhk_nl_link_open(struct vhk_nl_link *out);

/* What comes back for one request. */
struct vhk_nl_answer {
	uint32_t seq;
	uint16_t type;		 /* family of the records */
	int (*record)(void *arg, const struct nlattr *first, int len); /* 0 or -errno */
	void *arg;
	bool done;
	bool interrupted;	 /* the list changed while it was told */
	int error;		 /* of the kernel, once done: 0 or -errno */
	unsigned int n_records;
	char text[VHK_NL_TEXT_MAX]; /* extended acknowledgement */
};

/* Takes one datagram in; 0, -EPROTO: malformed, or what the record function failed with. */
int vhk_nl_answer_take(struct vhk_nl_answer *a, const void *bytes, size_t len);

/* Kinds of records and their sizes are in the table of vdpa_nl_attr.c. */
enum vhk_nl_kind { VHK_NL_MGMTDEV, VHK_NL_DEV, VHK_NL_CONFIG, VHK_NL_VSTATS };

size_t vhk_nl_record_size(enum vhk_nl_kind kind);
/* Fills the structure of that kind, sz included; -EPROTO: malformed, or without a name. */
int vhk_nl_record_read(enum vhk_nl_kind kind, void *out, const struct nlattr *first, int len);

/* A session over any link; the link is closed with it, also when this fails. */
int vhk_vdpa_new_take_link(struct vhk_vdpa **out, const struct vhk_nl_link *link,
			   const struct vhk_vdpa_opts *opts);

/* A uevent's own words, which lie in the message; NULL: not said. */
struct vhk_uevent {
	const char *action, *devpath, *subsystem, *devtype, *driver, *old_path;
	uint64_t seq;
};

/* @text: the message, which ends with a zero; -EPROTO: it does not, or is none of the kernel's. */
int vhk_uevent_parse(struct vhk_uevent *u, const char *text, size_t len);

/* Device and interface in a path of sysfs ("/devices/PARENT/NAME/virtioN/..."); false: no. */
bool vhk_uevent_parent(const char *devpath, char *name, size_t size);

#endif
