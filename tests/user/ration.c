// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Log lines that a peer can cause without end: how many are said at once, how fast others become
 * due, and that none is left out without being counted.
 */
#include "ration.h"
#include "t.h"

#define SECOND 1000000000ull

static const struct {
	uint64_t at;	    /* seconds */
	unsigned int n;	    /* lines wanted then */
	unsigned int n_said;
	uint64_t n_untold;  /* that the last line tells of */
} steps[] = {
	{ 1000, 1, 1, 0 },
	{ 1000, 40, 31, 0 },
	{ 1009, 3, 0, 0 },
	{ 1010, 3, 1, 12 },
	{ 1029, 1, 1, 2 },
	{ 1030, 2, 1, 0 },
	/* however long it was calm, no more at once */
	{ 1000000, 100, 32, 1 },
	{ 1000009, 1, 0, 0 },
	{ 1000010, 1, 1, 69 },
	{ 1000165, 100, 15, 0 },
	{ 1000170, 1, 1, 85 },
};

static void as_many_as_are_due(void)
{
	struct vhk_ration r = { 0 };
	unsigned int i, k, n_said;
	uint64_t untold, told;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		n_said = 0;
		told = 0;
		for (k = 0; k < steps[i].n; k++) {
			if (!vhk_ration_take(&r, steps[i].at * SECOND, &untold))
				continue;
			n_said++;
			told += untold;
		}
		T_EQ(n_said, steps[i].n_said);
		T_EQ(told, steps[i].n_untold);
	}
}

static unsigned int n_lines;
static char last[200];

static void count(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	n_lines++;
	snprintf(last, sizeof(last), "%s", text);
}

static void only_warnings_and_errors(void)
{
	struct vhk_log log = { .fn = count, .level = VHK_LOG_DEBUG };
	struct vhk_ration r = { 0 };
	unsigned int i;

	for (i = 0; i < 100; i++)
		vhk_log_rationed(&log, &r, VHK_LOG_INFO, "line %u", i);
	T_EQ(n_lines, 100);
	for (i = 0; i < 100; i++)
		vhk_log_rationed(&log, &r, i % 2 ? VHK_LOG_WARN : VHK_LOG_ERROR, "line %u", i);
	T_OK(n_lines >= 100 + VHK_RATION_LINES && n_lines < 100 + 2 * VHK_RATION_LINES);
	r.since_ns -= VHK_RATION_NS;
	vhk_log_rationed(&log, &r, VHK_LOG_WARN, "the last");
	T_OK(!strncmp(last, "the last (", 10) && strstr(last, " before were not logged)"));
	/* what nobody wants to see uses nothing up */
	log.level = VHK_LOG_ERROR;
	r.n_untold = 0;
	vhk_log_rationed(&log, &r, VHK_LOG_WARN, "not wanted");
	T_EQ(r.n_untold, 0);
}

int main(void)
{
	T_RUN(as_many_as_are_due);
	T_RUN(only_warnings_and_errors);
	return t_end();
}
