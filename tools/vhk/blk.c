// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Options of vhk blk, one list for all of its subcommands.
 */
#include <getopt.h>
#include <sched.h>
#include <string.h>

#include "blk.h"
#include "say.h"

#define DEPTH_MAX 1024
#define BLOCK_MAX (64u << 20)

enum option_id {
	OPT_OFFSET = 256,
	OPT_LENGTH,
	OPT_BLOCK,
	OPT_RW,
	OPT_SIZE,
	OPT_DEPTH,
	OPT_QUEUES,
	OPT_TIME,
	OPT_COUNT,
	OPT_SEED,
	OPT_CPU,
	OPT_PACKED,
	OPT_NO_EVENT_IDX,
	OPT_INDIRECT,
	OPT_IN_ORDER,
	OPT_POLL,
	OPT_RECONNECT,
};

static const struct option options[] = {
	{ "offset", required_argument, NULL, OPT_OFFSET },
	{ "length", required_argument, NULL, OPT_LENGTH },
	{ "block-size", required_argument, NULL, OPT_BLOCK },
	{ "bs", required_argument, NULL, OPT_BLOCK },
	{ "rw", required_argument, NULL, OPT_RW },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "packed", no_argument, NULL, OPT_PACKED },
	{ "no-event-idx", no_argument, NULL, OPT_NO_EVENT_IDX },
	{ "indirect", no_argument, NULL, OPT_INDIRECT },
	{ "in-order", no_argument, NULL, OPT_IN_ORDER },
	{ "poll", no_argument, NULL, OPT_POLL },
	{ "reconnect", no_argument, NULL, OPT_RECONNECT },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "timeout", required_argument, NULL, 't' },
	{ 0 },
};

static bool parse_load(const char *text, enum blk_load *out)
{
	static const char *const names[] = { "randread", "randwrite", "read", "write", "verify" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i])) {
			*out = (enum blk_load)i;
			return true;
		}
	}
	return false;
}

static bool parse_flag(struct blk_args *a, int opt)
{
	switch (opt) {
	case OPT_PACKED:
		return a->disk.packed = true;
	case OPT_NO_EVENT_IDX:
		return a->disk.no_event_idx = true;
	case OPT_INDIRECT:
		return a->disk.indirect = true;
	case OPT_IN_ORDER:
		return a->disk.in_order = true;
	case OPT_POLL:
		return a->poll = true;
	case OPT_RECONNECT:
		return a->reconnect = true;
	case 'j':
		return a->json = true;
	case 'q':
		return a->quiet = true;
	default:
		return false;
	}
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!parse_size(text, min, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool parse_timeout(const char *text, uint32_t *ms)
{
	uint64_t ns;

	if (!parse_seconds(text, &ns) || ns > 1000000ull * INT32_MAX)
		return false;
	*ms = (uint32_t)(ns / 1000000u) + 1;
	return true;
}

static bool parse_cpu(const char *text, int *cpu)
{
	uint32_t v;

	if (!parse_u32(text, 0, CPU_SETSIZE - 1, &v))
		return false;
	*cpu = (int)v;
	return true;
}

static bool parse_value(struct blk_args *a, int opt, const char *text)
{
	switch (opt) {
	case OPT_OFFSET:
		return parse_size(text, 0, UINT64_MAX, &a->offset) &&
		       !(a->offset % DISK_SECTOR);
	case OPT_LENGTH:
		return parse_size(text, 1, UINT64_MAX, &a->length) &&
		       !(a->length % DISK_SECTOR);
	case OPT_BLOCK:
		return parse_u32(text, DISK_SECTOR, BLOCK_MAX, &a->disk.block) &&
		       !(a->disk.block % DISK_SECTOR);
	case OPT_RW:
		return parse_load(text, &a->load);
	case OPT_SIZE:
		return parse_size(text, DISK_SECTOR, UINT64_MAX, &a->size);
	case OPT_DEPTH:
		return parse_u32(text, 1, DEPTH_MAX, &a->disk.depth);
	case OPT_QUEUES:
		return parse_u32(text, 1, 256, &a->disk.queues);
	case OPT_TIME:
		return parse_seconds(text, &a->time_ns);
	case OPT_COUNT:
		return parse_size(text, 1, UINT64_MAX, &a->count);
	case OPT_SEED:
		return parse_size(text, 0, UINT64_MAX, &a->seed);
	case OPT_CPU:
		return parse_cpu(text, &a->cpu);
	case 't':
		return parse_timeout(text, &a->disk.timeout_ms);
	default:
		return false;
	}
}

/* Options that would do nothing are refused: somebody expects them to do something. */
static bool applies(const char *command, int opt)
{
	bool bench = !strcmp(command, "bench");

	switch (opt) {
	case OPT_LENGTH:
		return !bench;
	case OPT_RW:
	case OPT_SIZE:
	case OPT_QUEUES:
	case OPT_TIME:
	case OPT_COUNT:
	case OPT_SEED:
	case OPT_CPU:
	case OPT_POLL:
	case OPT_RECONNECT:
	case 'j':
		return bench;
	default:
		return true;
	}
}

static bool is_for_disks(int opt)
{
	switch (opt) {
	case OPT_OFFSET:
	case OPT_DEPTH:
	case OPT_PACKED:
	case OPT_NO_EVENT_IDX:
	case OPT_INDIRECT:
	case OPT_IN_ORDER:
	case 't':
		return true;
	default:
		return false;
	}
}

/* The option that was parsed last, as it was given. */
static const char *last_option(char **argv)
{
	return optarg && argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1];
}

int blk_parse(struct blk_args *a, int argc, char **argv, int n_min, int n_max)
{
	int opt, at = -1;

	while ((opt = say_getopt(argc, argv, "jqt:", options, &at)) >= 0) {
		if (opt == '?')
			return EXIT_USAGE;
		if (!applies(argv[0], opt))
			return say_usage("blk %s: does not take %s", argv[0], last_option(argv));
		if (optarg && !parse_value(a, opt, optarg))
			return say_usage("bad value of %s: %s", last_option(argv), optarg);
		if (!optarg && !parse_flag(a, opt))
			return EXIT_USAGE;
		if (is_for_disks(opt))
			a->for_disks = last_option(argv);
	}
	if (argc - optind < n_min || argc - optind > n_max)
		return say_usage("blk %s: %s arguments", argv[0],
				 argc - optind < n_min ? "too few" : "too many");
	return 0;
}
