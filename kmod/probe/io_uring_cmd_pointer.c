// SPDX-License-Identifier: GPL-2.0-only
/* A command of io_uring has a pointer to what it carries, and not the submission entry. */
#include <linux/io_uring.h>

const void *probe(const struct io_uring_cmd *cmd);
const void *probe(const struct io_uring_cmd *cmd)
{
	return cmd->cmd;
}
