// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A command line by QEMU's conventions for back-end programs (its "Vhost-user Protocol", "Backend
 * program conventions"), and values that several programs' options take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"

bool cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return !*end && *out >= min && *out <= max;
}

bool cli_power_of_2(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	return cli_number(text, min, max, out) && !(*out & (*out - 1));
}

int cli_word(const char *text, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	return -1;
}

bool cli_log_level(struct vhk_log *log, const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug", NULL };
	const int i = cli_word(text, names);

	if (i >= 0)
		log->level = (enum vhk_log_level)i;
	return i >= 0;
}

bool cli_poll_us(struct vhk_loop_opts *o, const char *text)
{
	uint64_t v = 0;

	if (!cli_number(text, 0, 1000000, &v))
		return false;
	o->poll_ns = v ? v * 1000 : UINT64_MAX;
	return true;
}

/* Whatever else is on the command line, right or wrong, does not count beside it. */
static bool wants_capabilities(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--print-capabilities"))
			return true;
	return false;
}

static enum cli_result take(const struct cli *c, int opt, const char *name, void *arg)
{
	switch (opt) {
	case '?':
		return CLI_WRONG;
	case CLI_HELP:
		printf("%s", c->usage);
		return CLI_DONE;
	case CLI_VERSION:
		printf("%s " VHK_VERSION_STRING "\n", say_name);
		return CLI_DONE;
	}
	if (c->take(arg, opt, optarg))
		return CLI_GO;
	say("--%s takes %s, not \"%s\"", name, c->takes(opt), optarg);
	return CLI_WRONG;
}

enum cli_result cli_read(const struct cli *c, int argc, char **argv, void *arg)
{
	char *slash = strrchr(argv[0], '/');
	enum cli_result result;
	int opt, idx = 0;

	/* getopt_long() begins its lines with it, as say() does with the name */
	if (slash)
		argv[0] = slash + 1;
	if (wants_capabilities(argc, argv)) {
		puts(c->capabilities);
		return CLI_DONE;
	}
	while ((opt = getopt_long(argc, argv, "", c->table, &idx)) != -1) {
		result = take(c, opt, c->table[idx].name, arg);
		if (result != CLI_GO)
			return result;
	}
	if (optind == argc)
		return CLI_GO;
	say("\"%s\" is no option", argv[optind]);
	return CLI_WRONG;
}
