/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As compat.h, of eventfds and io_uring.
 */
#ifndef VHK_COMPAT_NOTIFY_H
#define VHK_COMPAT_NOTIFY_H

#include <linux/eventfd.h>

#include "probes.h"

#ifdef HAVE_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

static inline void vhk_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef HAVE_EVENTFD_SIGNAL_ONE
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/* What an io_uring command carries: 16 bytes that its owner may be changing. */
static inline const u64 *vhk_uring_payload(const struct io_uring_cmd *cmd)
{
#ifdef HAVE_IO_URING_CMD_POINTER
	return (const u64 *)cmd->cmd;
#else
	return (const u64 *)cmd->sqe->cmd;
#endif
}

#endif
