/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Log lines that a peer can cause without end, by reconnecting if need be: 32 at once, then one in
 * ten seconds. They must not fill a disk, nor use up their reader's patience.
 */
#ifndef VHK_LIB_RATION_H
#define VHK_LIB_RATION_H

#include "base.h"

#define VHK_RATION_LINES 32
/* Until there is another one. */
#define VHK_RATION_NS 10000000000u

/* All zeros: nothing was said yet. One thread's. */
struct vhk_ration {
	unsigned int n_used; /* of VHK_RATION_LINES; one less for each VHK_RATION_NS that pass */
	uint64_t since_ns;   /* from when on these are counted */
	uint64_t n_untold;   /* since the last line */
};

/* At @now, of vhk_now_ns(): a line may be said, and @n_untold is how many could not since the last
 * one. False: it may not, and is counted; @n_untold is not set. */
bool vhk_ration_take(struct vhk_ration *r, uint64_t now, uint64_t *n_untold);

/* As vhk_log(); the line says how many before it were left out. Only errors and warnings are
 * rationed: whoever wants more wants all of it. */
void vhk_log_rationed(const struct vhk_log *log, struct vhk_ration *r, enum vhk_log_level level,
		      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
