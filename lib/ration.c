// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Log lines that a peer can cause without end.
 */
#include <stdio.h>

#include "clock.h"
#include "ration.h"

bool vhk_ration_take(struct vhk_ration *r, uint64_t now, uint64_t *n_untold)
{
	const uint64_t n_back = (now - r->since_ns) / VHK_RATION_NS;

	r->since_ns += n_back * VHK_RATION_NS;
	if (n_back >= r->n_used) {
		r->n_used = 0;
		r->since_ns = now;
	} else {
		r->n_used -= (unsigned int)n_back;
	}
	if (r->n_used == VHK_RATION_LINES) {
		r->n_untold++;
		return false;
	}
	r->n_used++;
	*n_untold = r->n_untold;
	r->n_untold = 0;
	return true;
}

void vhk_log_rationed(const struct vhk_log *log, struct vhk_ration *r, enum vhk_log_level level,
		      const char *fmt, ...)
{
	uint64_t n_untold = 0;
	char text[480];
	va_list ap;

	if (!log->fn || level > log->level)
		return;
	if (level <= VHK_LOG_WARN && !vhk_ration_take(r, vhk_now_ns(), &n_untold))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n_untold)
		vhk_log(log, level, "%s (%llu before were not logged)", text,
			(unsigned long long)n_untold);
	else
		vhk_log(log, level, "%s", text);
}
