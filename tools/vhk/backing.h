/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhk disk: disks of the kernel's registry, and the vDPA devices made of them. Apart from disk.h,
 * which is a disk's driver.
 */
#ifndef VHK_TOOL_BACKING_H
#define VHK_TOOL_BACKING_H

#include <sys/stat.h>

#include <linux/vhostkit.h>

#include "vdpa.h"

/* What vhk disk add is told. Texts are of the command line or of a record. */
struct backing_opts {
	const char *name, *file, *serial;
	const char *attach; /* "virtio" or "vhost"; NULL: the disk alone */
	const char *owner, *mode; /* of the node; NULL: as they come */
	const char *queue; /* that statistics are of; NULL: all */
	uint32_t queues, queue_size, block_size;
	bool read_only, buffered, no_lock, keep;
	bool kept; /* there is a record, which stays */
	bool json, force;
};

/* 0, or an exit code after saying what is wrong. argv is behind the command's word. */
int backing_parse(struct backing_opts *o, int argc, char **argv);

int backing_add(const struct backing_opts *o);
int backing_del(const struct backing_opts *o);
int backing_resize(const struct backing_opts *o);
int backing_list(const struct backing_opts *o);
int backing_stat(const struct backing_opts *o);

/* backing_ctl.c: the door to /dev/vhostkit, which is opened with the first call. 0 or -errno. */
int backing_open(void);
int backing_call_add(struct vhostkit_disk_add *arg);
int backing_call_del(const char *name);
int backing_call_resize(const char *name, uint64_t *bytes);
int backing_call_query(const char *name, bool next, struct vhostkit_disk_query *out);
int backing_call_stats(const char *name, uint32_t queue, struct vhostkit_disk_stats *out);
/* backing_open(), and in words what went wrong: 0 or an exit code. */
int backing_need(void);
void backing_set_text(char *to, size_t size, const char *from);

/* backing_why.c: in words, what the kernel says as a number. EXIT_FAILED. */
int backing_say_add(int ret, const struct backing_opts *o, const struct stat *st);
/* What can be said before anything is done: 0 or an exit code. */
int backing_check(const struct backing_opts *o);
int backing_check_file(const struct backing_opts *o, const struct stat *st);
/* Whether the block device is in use: 0, or an exit code after saying by whom. */
int backing_check_idle(const char *name, const char *block);

#endif
