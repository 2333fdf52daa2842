/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Files and block devices that may be the images of disks that somebody serves.
 */
#ifndef VHK_TOOL_IMAGE_H
#define VHK_TOOL_IMAGE_H

#include <stdbool.h>

/*
 * A lock on the open file @fd that keeps QEMU's and vhk-blk's writers away, and is kept away by
 * them; where it is not @read_only, their readers as well. It lasts as long as the open file, which
 * may be open for writing only. Where the file system has no locks that is no error. 0, or an exit
 * code after saying who has it, and then @hint.
 */
int image_lock(int fd, bool read_only, const char *path, const char *hint);
/* For open files that others have as well, and keep. */
void image_unlock(int fd);

#endif
