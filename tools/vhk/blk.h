/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the subcommands of vhk blk share: their options.
 */
#ifndef VHK_TOOL_BLK_H
#define VHK_TOOL_BLK_H

#include "disk.h"

enum blk_load {
	BLK_RANDREAD,
	BLK_RANDWRITE,
	BLK_READ,
	BLK_WRITE,
	BLK_VERIFY,
};

struct blk_args {
	struct disk_opts disk;
	uint64_t offset, length; /* length 0: to the end */
	enum blk_load load;
	uint64_t size, time_ns, count, seed;
	int cpu; /* -1: any */
	bool poll, reconnect, json, quiet;
	const char *for_disks; /* an option as it was given that says nothing of files, or NULL */
};

/* 0 with the options taken and optind at the first argument, or an exit code after saying why. */
int blk_parse(struct blk_args *a, int argc, char **argv, int n_min, int n_max);

/* bench.c */
struct disk_verify;
/* Of @a offset, block size and seed count; @size bytes from there are used. */
int verify_new(struct disk_verify **out, const struct disk *d, const struct blk_args *a,
	       uint64_t size);
void verify_free(struct disk_verify *v);
/* Makes @r a write, or a read of something written before. False: every block is busy. */
bool verify_prepare(struct disk_verify *v, struct disk_req *r);
/* Makes @r a read of the next written block. False: there is none left. */
bool verify_prepare_final(struct disk_verify *v, struct disk_req *r);
/* What an answered request says: 0, or an exit code after saying what is wrong. */
int verify_check(struct disk_verify *v, struct disk_req *r);

#endif
