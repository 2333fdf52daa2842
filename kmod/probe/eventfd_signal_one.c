// SPDX-License-Identifier: GPL-2.0-only
/* An eventfd is signalled by one at a time. */
#include <linux/eventfd.h>

void probe(struct eventfd_ctx *ctx);
void probe(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
