// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What both ways of printing share: counting, and the names of things.
 */
#include <vhostkit/ctl.h>

#include "trace_show.h"

void show_count(struct show *s, const struct vhk_trace_msg *m)
{
	unsigned int row = m->name && m->request < SHOW_REQUESTS ? m->request : SHOW_UNKNOWN;
	struct show_sum *sum = &s->sum[m->back_channel][row];

	s->n_messages++;
	s->n_wrong += m->n_wrong;
	sum->n += !m->reply;
	sum->n_wrong += m->n_wrong;
	sum->n_refused += m->refused;
	if (m->answers)
		hist_add(&sum->latency, m->latency_ns);
}

const char *show_name(unsigned int request, bool back_channel)
{
	const char *name = vhk_trace_name(request, back_channel);

	return name ? name : "unknown";
}

const char *show_fd_kind(enum vhk_trace_fd_kind kind)
{
	static const char *const names[] = {
		[VHK_TRACE_FD_OTHER] = "other",	  [VHK_TRACE_FD_EVENTFD] = "eventfd",
		[VHK_TRACE_FD_MEMFD] = "memfd",	  [VHK_TRACE_FD_FILE] = "file",
		[VHK_TRACE_FD_SOCKET] = "socket", [VHK_TRACE_FD_PIPE] = "pipe",
		[VHK_TRACE_FD_UFFD] = "userfaultfd", [VHK_TRACE_FD_DEVICE] = "device",
	};

	return names[kind];
}

/* Device status (virtio 1.3, 2.1). */
static const char *const status_names[] = {
	[0] = "ACKNOWLEDGE", [1] = "DRIVER", [2] = "DRIVER_OK", [3] = "FEATURES_OK",
	[6] = "NEEDS_RESET", [7] = "FAILED",
};

const char *show_bit(const struct show *s, enum vhk_trace_field_kind kind, unsigned int bit)
{
	switch (kind) {
	case VHK_TRACE_FEATURES:
		return feature_name(s->device, bit);
	case VHK_TRACE_PROTOCOL:
		return vhk_ctl_protocol_name(bit);
	case VHK_TRACE_STATUS:
		return bit < sizeof(status_names) / sizeof(status_names[0]) ? status_names[bit] :
									       NULL;
	default:
		return NULL;
	}
}
