/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What stands where in a payload, and what it is called: for showing messages, not for serving
 * them. Sizes, fds and rules are the message table's (proto_table.c), which a test holds against
 * these.
 */
#ifndef VHK_LIB_PROTO_FIELDS_H
#define VHK_LIB_PROTO_FIELDS_H

#include <vhostkit/trace.h>

struct vhk_field {
	const char *name; /* NULL: ends a list of fields */
	uint16_t at, size;
	enum vhk_trace_field_kind kind;
	uint64_t mask;	  /* 0: all of it; otherwise these bits, moved down */
	bool if_set;	  /* not told where it is 0 */
	const char *const *choice;
	unsigned int n_choices;
};

struct vhk_layout {
	const struct vhk_field *fields;
	const char *list; /* NULL: none */
	uint16_t list_at, item_size; /* how many: a u32 at 0 */
	const struct vhk_field *item;
	const char *rest; /* name of what lies behind; NULL: "rest" */
};

/* Of a payload of @len bytes. NULL: nothing is known of it, or it has none. */
const struct vhk_layout *vhk_proto_layout(uint32_t request, bool back_channel, bool reply,
					  uint32_t len);
/* Bytes that the layout speaks of, lists left out. */
uint32_t vhk_layout_size(const struct vhk_layout *l);

#endif
