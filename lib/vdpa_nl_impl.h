/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of a session with the kernel's vDPA management.
 */
#ifndef VHK_LIB_VDPA_NL_IMPL_H
#define VHK_LIB_VDPA_NL_IMPL_H

#include "vdpa_nl.h"

struct nl_msg;

struct vhk_vdpa {
	struct vhk_nl_link link;
	struct vhk_log log;
	uint32_t timeout_ms;
	uint32_t seq; /* of the last request */
	uint16_t family;
	char text[VHK_NL_TEXT_MAX];
};

/* Keeps @text, or what @ret means where that is empty; returns @ret. */
int vhk_vdpa_fail(struct vhk_vdpa *v, int ret, const char *text);

struct nl_msg *vhk_vdpa_msg_new(uint16_t family, uint8_t cmd, int flags); /* NULL: -ENOMEM */
/* Sends and waits for the whole answer; no words are made of a failure. */
int vhk_vdpa_exchange(struct vhk_vdpa *v, struct nl_msg *msg, struct vhk_nl_answer *a);
/* The same to the family, with words, and once more where its number changed. */
int vhk_vdpa_request(struct vhk_vdpa *v, struct nl_msg *msg, struct vhk_nl_answer *a);
/* Every record of a list, once all have come. */
int vhk_vdpa_dump(struct vhk_vdpa *v, uint8_t cmd, enum vhk_nl_kind kind,
		  int (*fn)(void *arg, const void *record), void *arg);

#endif
