/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of vhk-blk share.
 */
#ifndef VHK_BLK_TOOL_H
#define VHK_BLK_TOOL_H

#include <vhostkit/backend.h>
#include <vhostkit/blk.h>
#include <vhostkit/vduse.h>

#include "../daemon/daemon.h"

/**
 * struct options - the command line
 * @door:        where the front end comes from; without path and fd (-1): not said
 * @hand_over:   where another server may take over; NULL: nowhere
 * @postcopy:    guests may come before their memory
 * @take_over:   where to take over from; NULL: from nobody
 * @vduse:       name of a VDUSE device to serve in place of a socket; NULL: none
 * @inflight:    its file of requests under way; NULL: where it belongs
 * @attach:      put it on the vDPA bus
 * @keep:        leave it in the kernel at the end
 * @packed:      offer packed rings
 * @threads:     data threads; 0: everything in one
 * @loop:        how loops that carry data run
 * @blk:         the disk
 */
struct options {
	struct door door;
	const char *hand_over;
	const char *take_over;
	bool postcopy;
	const char *vduse;
	const char *inflight;
	bool attach, keep, packed;
	unsigned int threads;
	struct vhk_loop_opts loop;
	uint32_t coalesce_us;
	struct vhk_blk_opts blk;
};

enum cli_result options_read(struct options *o, int argc, char **argv);

/* The disk behind VDUSE. */
struct vduse;
int vduse_open(struct vduse **out, const struct options *o, struct vhk_loop *ctl,
	       struct vhk_device *disk);
/* With the loops running; failing to attach is said, and no end. */
int vduse_attach(struct vduse *d);
/* -errno: the device was not what it should be at the end. NULL is accepted. */
int vduse_close(struct vduse *d);

/* Each queue's counters, on stderr. */
void stats_print(const struct vhk_device *d);

#endif
