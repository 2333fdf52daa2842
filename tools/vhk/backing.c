// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk disk: the grammar.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backing.h"
#include "commands.h"
#include "node.h"

static int help(void)
{
	puts("usage: vhk disk COMMAND ...\n"
	     "\n"
	     "  vhk disk add NAME --file PATH [--attach virtio|vhost] [OPTIONS]\n"
	     "  vhk disk list\n"
	     "  vhk disk stat NAME [--queue N]\n"
	     "  vhk disk resize NAME\n"
	     "  vhk disk del NAME [--force] [--keep]\n"
	     "\n"
	     "  --file PATH          a regular file or a block device\n"
	     "  --attach virtio      make a vDPA device and a disk of this machine of it\n"
	     "  --attach vhost       make /dev/vhost-vdpa-N of it, for a virtual machine\n"
	     "  --owner USER:GROUP   of that node     --mode OCTAL         of that node\n"
	     "  --read-only          refuse writes    --buffered           by the page cache\n"
	     "  --queues N           1 to 64          --queue-size N       16 to 1024\n"
	     "  --block-size N       512 to 4096      --serial TEXT        the name by default\n"
	     "  --no-lock            do not look whether QEMU or vhk-blk has the image\n"
	     "  --keep               come back after a reboot (del: do so still)\n"
	     "  --force              even where it is in use\n"
	     "  -j, --json           JSON (add, list, stat, resize)\n"
	     "\n"
	     "Exit code: 0, 1 failed, 2 usage. See vhk-disk(1).");
	return 0;
}

enum { O_FILE = 256, O_ATTACH, O_OWNER, O_MODE, O_READ_ONLY, O_BUFFERED, O_QUEUES, O_QUEUE_SIZE,
       O_BLOCK_SIZE, O_SERIAL, O_NO_LOCK, O_KEEP, O_FORCE, O_QUEUE };

static const struct option options[] = {
	{ "file", required_argument, NULL, O_FILE },
	{ "attach", required_argument, NULL, O_ATTACH },
	{ "owner", required_argument, NULL, O_OWNER },
	{ "mode", required_argument, NULL, O_MODE },
	{ "read-only", no_argument, NULL, O_READ_ONLY },
	{ "buffered", no_argument, NULL, O_BUFFERED },
	{ "queues", required_argument, NULL, O_QUEUES },
	{ "queue-size", required_argument, NULL, O_QUEUE_SIZE },
	{ "block-size", required_argument, NULL, O_BLOCK_SIZE },
	{ "serial", required_argument, NULL, O_SERIAL },
	{ "no-lock", no_argument, NULL, O_NO_LOCK },
	{ "keep", no_argument, NULL, O_KEEP },
	{ "force", no_argument, NULL, O_FORCE },
	{ "queue", required_argument, NULL, O_QUEUE },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int take_number(uint32_t *to, const char *name)
{
	uint64_t v;

	if (!parse_size(optarg, 1, UINT32_MAX, &v))
		return say_usage("disk: --%s %s", name, optarg);
	*to = (uint32_t)v;
	return 0;
}

static int add_option(struct backing_opts *o, int opt)
{
	switch (opt) {
	case O_FILE:
		o->file = optarg;
		return 0;
	case O_ATTACH:
		o->attach = optarg;
		return vdpa_driver(optarg) ? 0 : say_usage("disk: --attach virtio or vhost, not %s",
							   optarg);
	case O_OWNER:
		o->owner = optarg;
		return 0;
	case O_MODE:
		o->mode = optarg;
		return 0;
	case O_READ_ONLY:
		o->read_only = true;
		return 0;
	case O_BUFFERED:
		o->buffered = true;
		return 0;
	case O_QUEUES:
		return take_number(&o->queues, "queues");
	case O_QUEUE_SIZE:
		return take_number(&o->queue_size, "queue-size");
	case O_BLOCK_SIZE:
		return take_number(&o->block_size, "block-size");
	case O_SERIAL:
		o->serial = optarg;
		return 0;
	case O_NO_LOCK:
		o->no_lock = true;
		return 0;
	case O_KEEP:
		o->keep = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	default:
		return EXIT_USAGE;
	}
}

static int check_words(const struct backing_opts *o)
{
	const bool vhost = o->attach && !strcmp(vdpa_driver(o->attach), "vhost_vdpa");

	if (!o->file)
		return say_usage("disk add: --file is missing");
	if ((o->owner || o->mode) && !vhost)
		return say_usage("disk add: --owner and --mode are for --attach vhost");
	return node_check(o->owner, o->mode);
}

int backing_parse(struct backing_opts *o, int argc, char **argv)
{
	int opt, ret = 0;

	optind = 0;
	while (!ret && (opt = say_getopt(argc, argv, "j", options, NULL)) >= 0)
		ret = opt == O_FORCE || opt == O_QUEUE || opt == 'h' ?
			      say_usage("disk add: %s has no effect", argv[optind - 1]) :
			      add_option(o, opt);
	if (ret)
		return ret;
	if (argc - optind != 1)
		return say_usage("disk add takes one name");
	o->name = argv[optind];
	ret = check_words(o);
	return ret ? ret : backing_check(o);
}

static int add(int argc, char **argv)
{
	struct backing_opts o = { 0 };
	const int ret = backing_parse(&o, argc, argv);

	return ret ? ret : backing_add(&o);
}

/* What the other commands take: options by letters of @allowed (j, f: force, k: keep, q: queue). */
static int parse(struct backing_opts *o, const char *allowed, int n_names, int argc, char **argv)
{
	static const struct {
		int opt;
		char letter;
	} known[] = { { 'j', 'j' }, { O_FORCE, 'f' }, { O_KEEP, 'k' }, { O_QUEUE, 'q' } };
	unsigned int i;
	int opt;

	optind = 0;
	while ((opt = say_getopt(argc, argv, "j", options, NULL)) >= 0) {
		for (i = 0; i < 4 && known[i].opt != opt;)
			i++;
		if (opt == '?')
			return EXIT_USAGE;
		if (i == 4 || !strchr(allowed, known[i].letter))
			return say_usage("disk %s: %s has no effect", argv[0], argv[optind - 1]);
		o->json |= opt == 'j';
		o->force |= opt == O_FORCE;
		o->keep |= opt == O_KEEP;
		if (opt == O_QUEUE)
			o->queue = optarg;
	}
	if (argc - optind != n_names)
		return say_usage("disk %s takes %s", argv[0], n_names ? "one name" : "no name");
	if (!n_names)
		return 0;
	o->name = argv[optind];
	return backing_check(o);
}

static int del(int argc, char **argv)
{
	struct backing_opts o = { 0 };
	const int ret = parse(&o, "fk", 1, argc, argv);

	return ret ? ret : backing_del(&o);
}

static int resize(int argc, char **argv)
{
	struct backing_opts o = { 0 };
	const int ret = parse(&o, "j", 1, argc, argv);

	return ret ? ret : backing_resize(&o);
}

static int list(int argc, char **argv)
{
	struct backing_opts o = { 0 };
	const int ret = parse(&o, "j", 0, argc, argv);

	return ret ? ret : backing_list(&o);
}

static int stat_of(int argc, char **argv)
{
	struct backing_opts o = { 0 };
	const int ret = parse(&o, "jq", 1, argc, argv);

	return ret ? ret : backing_stat(&o);
}

int backing(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(int argc, char **argv);
	} words[] = {
		{ "add", add },	      { "del", del },	{ "list", list },
		{ "resize", resize }, { "stat", stat_of },
	};
	size_t i;
	int k;

	say_usage_is("vhk disk help");
	for (k = 1; k < argc; k++)
		if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h"))
			return help();
	if (argc < 2 || !strcmp(argv[1], "help"))
		return help();
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(argv[1], words[i].word))
			return words[i].run(argc - 1, argv + 1);
	return say_usage("disk: no such command: %s", argv[1]);
}
