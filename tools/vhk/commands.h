/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The subcommands. Each gets its own argv[0] and returns an exit code.
 */
#ifndef VHK_TOOL_COMMANDS_H
#define VHK_TOOL_COMMANDS_H

int ctl_show(int argc, char **argv);
int blk_read(int argc, char **argv);
int blk_write(int argc, char **argv);
int blk_copy(int argc, char **argv);
int blk_bench(int argc, char **argv);
int bench_notify(int argc, char **argv);
int trace(int argc, char **argv);
int vdpa(int argc, char **argv);
/* vhk disk */
int backing(int argc, char **argv);
int restore(int argc, char **argv);

#endif
