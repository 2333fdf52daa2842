// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa: the grammar of vdpa(8), and what vhk adds to it.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "commands.h"
#include "node.h"
#include "vdpa.h"

static int help(void)
{
	puts("usage: vhk vdpa [OPTIONS] OBJECT ...\n"
	     "\n"
	     "  vhk vdpa mgmtdev show [MGMTDEV]\n"
	     "  vhk vdpa dev show [DEV]\n"
	     "  vhk vdpa dev add name NAME mgmtdev MGMTDEV [device_features HEX]\n"
	     "                   [mac MAC] [mtu MTU] [max_vqp PAIRS]\n"
	     "  vhk vdpa dev set name NAME mac MAC\n"
	     "  vhk vdpa dev del DEV [--force]\n"
	     "  vhk vdpa dev config show [DEV]\n"
	     "  vhk vdpa dev vstats show DEV [qidx QUEUE]\n"
	     "  vhk vdpa bind DEV virtio|vhost [--force]\n"
	     "  vhk vdpa unbind DEV [--force]\n"
	     "  vhk vdpa permit DEV\n"
	     "  vhk vdpa monitor\n"
	     "\n"
	     "MGMTDEV is NAME or BUS/NAME. Words may be cut short as vdpa(8) has it.\n"
	     "  -j, --json           JSON                  -p, --pretty    on many lines\n"
	     "  -n, --no-nice-names  numbers for names     -V, --Version   the version\n"
	     "  -t, --timeout SEC    longest wait for the kernel's answer (5)\n"
	     "  --force              even where a process has the device open\n"
	     "\n"
	     "Exit code: 0, 1 failed, 2 usage. See vhk(1).");
	return 0;
}

/* A connection that fails leaves no object to ask. */
static void keep_line(void *arg, enum vhk_log_level level, const char *text)
{
	struct vdpa_cli *c = arg;

	(void)level;
	snprintf(c->line, sizeof(c->line), "%s", text);
}

int vdpa_connect(struct vdpa_cli *c)
{
	const struct vhk_vdpa_opts opts = { .sz = sizeof(opts),
					    .timeout_ms = c->timeout_ms,
					    .log = { keep_line, c, VHK_LOG_WARN } };
	int ret;

	if (c->v)
		return 0;
	ret = vhk_vdpa_open(&c->v, &opts);
	if (!ret)
		return 0;
	say("vdpa: %s", *c->line ? c->line : strerror(-ret));
	return EXIT_FAILED;
}

int vdpa_failed(const struct vdpa_cli *c, const char *what)
{
	const char *text = vhk_vdpa_error(c->v);

	say("%s: %s", what, *text ? text : "out of memory");
	return EXIT_FAILED;
}

static int dev_add(struct vdpa_cli *c, int argc, char **argv)
{
	struct vdpa_words w;
	int ret = vdpa_parse_add(&w, argc, argv);

	return ret ? ret : vdpa_make(c, &w, NULL);
}

/* The kernel hands on a number only of what the device itself refuses. */
static int say_not_set(const struct vdpa_cli *c, const char *name, int ret)
{
	if (ret != -EBUSY)
		return vdpa_failed(c, name);
	say("%s: %s: a driver uses the device; its address changes while none does", name,
	    vhk_vdpa_error(c->v));
	return EXIT_FAILED;
}

static int dev_set(struct vdpa_cli *c, int argc, char **argv)
{
	struct vdpa_words w;
	int ret = vdpa_parse_set(&w, argc, argv);

	if (!ret)
		ret = vdpa_connect(c);
	if (ret)
		return ret;
	ret = vhk_vdpa_dev_set(c->v, w.name, &w.params);
	return ret ? say_not_set(c, w.name, ret) : 0;
}

static int no_command(const char *word)
{
	return say_usage("vdpa: command \"%s\" not found", word);
}

static int config(struct vdpa_cli *c, int argc, char **argv)
{
	if (!argc)
		return vdpa_config_show(c, 0, argv);
	if (vdpa_is(argv[0], "help"))
		return help();
	if (vdpa_is(argv[0], "show"))
		return vdpa_config_show(c, argc - 1, argv + 1);
	return no_command(argv[0]);
}

static int vstats(struct vdpa_cli *c, int argc, char **argv)
{
	if (!argc || !strcmp(argv[0], "help"))
		return help();
	if (!strcmp(argv[0], "show"))
		return vdpa_vstats_show(c, argc - 1, argv + 1);
	return no_command(argv[0]);
}

static int dev(struct vdpa_cli *c, int argc, char **argv)
{
	if (!argc)
		return vdpa_dev_show(c, 0, argv);
	if (vdpa_is(argv[0], "help"))
		return help();
	if (vdpa_is(argv[0], "show") || vdpa_is(argv[0], "list"))
		return vdpa_dev_show(c, argc - 1, argv + 1);
	if (vdpa_is(argv[0], "add"))
		return dev_add(c, argc - 1, argv + 1);
	if (vdpa_is(argv[0], "del"))
		return vdpa_dev_del(c, argc - 1, argv + 1);
	if (vdpa_is(argv[0], "config"))
		return config(c, argc - 1, argv + 1);
	if (!strcmp(argv[0], "vstats"))
		return vstats(c, argc - 1, argv + 1);
	if (!strcmp(argv[0], "set"))
		return dev_set(c, argc - 1, argv + 1);
	return no_command(argv[0]);
}

static int mgmtdev(struct vdpa_cli *c, int argc, char **argv)
{
	if (!argc || vdpa_is(argv[0], "help"))
		return help();
	if (vdpa_is(argv[0], "show") || vdpa_is(argv[0], "list"))
		return vdpa_mgmtdev_show(c, argc - 1, argv + 1);
	return no_command(argv[0]);
}

/* Whether what is asked for would wait for an open device: bind, unbind and dev del. */
static bool takes_force(int argc, char **argv)
{
	if (!argc || vdpa_is(argv[0], "help"))
		return true;
	if (vdpa_is(argv[0], "mgmtdev"))
		return false;
	if (vdpa_is(argv[0], "dev"))
		return argc > 1 && !vdpa_is(argv[1], "show") && !vdpa_is(argv[1], "list") &&
		       !vdpa_is(argv[1], "add") && vdpa_is(argv[1], "del");
	return vdpa_is(argv[0], "bind") || vdpa_is(argv[0], "unbind");
}

static int object(struct vdpa_cli *c, int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(struct vdpa_cli *c, int argc, char **argv);
	} objects[] = {
		{ "mgmtdev", mgmtdev },	    { "dev", dev },	    { "bind", vdpa_bind },
		{ "unbind", vdpa_unbind }, { "monitor", vdpa_monitor },
		{ "permit", vdpa_permit },
	};
	size_t i;

	if (!argc || vdpa_is(argv[0], "help"))
		return help();
	for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (vdpa_is(argv[0], objects[i].word))
			return objects[i].run(c, argc - 1, argv + 1);
	return say_usage("vdpa: object \"%s\" not found", argv[0]);
}

/* 0: go on; 1: done; otherwise an exit code. */
static int option(struct vdpa_cli *c, int opt)
{
	uint64_t ns;

	switch (opt) {
	case 'j':
		c->json = true;
		return 0;
	case 'p':
		c->pretty = true;
		return 0;
	case 'n':
		c->numeric = true;
		return 0;
	case 'f':
		c->force = true;
		return 0;
	case 't':
		if (!parse_seconds(optarg, &ns) || ns > 1000000ull * INT32_MAX)
			return say_usage("vdpa: --timeout: %s", optarg);
		c->timeout_ms = (uint32_t)(ns / 1000000u) + 1;
		return 0;
	default:
		return EXIT_USAGE;
	}
}

int vdpa(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ "no-nice-names", no_argument, NULL, 'n' },
		{ "Version", no_argument, NULL, 'V' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "force", no_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 't' },
		{ 0 },
	};
	struct vdpa_cli c = { 0 };
	int opt, ret;

	say_usage_is("vhk vdpa --help");
	while ((opt = say_getopt(argc, argv, "jpnVht:", options, NULL)) >= 0) {
		if (opt == 'h')
			return help();
		if (opt == 'V') {
			printf("vhk %s\n", vhk_version());
			return 0;
		}
		ret = option(&c, opt);
		if (ret)
			return ret;
	}
	if (c.force && !takes_force(argc - optind, argv + optind))
		return say_usage("vdpa: --force is for bind, unbind and dev del");
	ret = object(&c, argc - optind, argv + optind);
	vhk_vdpa_close(c.v);
	return ret;
}
