// SPDX-License-Identifier: GPL-2.0-only
/* Commands of io_uring have a header of their own. */
#include <linux/io_uring/cmd.h>

u32 probe(const struct io_uring_cmd *cmd);
u32 probe(const struct io_uring_cmd *cmd)
{
	return cmd->cmd_op;
}
