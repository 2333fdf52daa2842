// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk: look at virtio data planes and use them. Finds the subcommand; each lives in a file of its
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <vhostkit/vhk.h>

#include "commands.h"
#include "say.h"

static const struct command {
	const char *group, *name, *args, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ctl", "show", "URI [-j]", "everything a data plane offers", ctl_show },
	{ "blk", "read", "URI [FILE]", "read a disk, to a file or stdout", blk_read },
	{ "blk", "write", "URI [FILE]", "write a disk, from a file or stdin", blk_write },
	{ "blk", "copy", "FROM TO", "copy between disks and files", blk_copy },
	{ "blk", "bench", "URI", "load a disk and measure it, or verify it", blk_bench },
	{ "bench", "notify", "", "what kicks and calls cost a back end", bench_notify },
	{ "trace", NULL, "FRONT BACK", "stand between two ends and print what they say", trace },
	{ "vdpa", NULL, "OBJECT ...", "manage vDPA devices, as vdpa(8) and more", vdpa },
	{ "disk", NULL, "COMMAND ...", "disks that the kernel serves by itself", backing },
	{ "restore", NULL, "", "make the devices of /etc/vhostkit/devices", restore },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	const int word = 9, args = 14;
	size_t i;

	puts("usage: vhk COMMAND ...\n");
	for (i = 0; i < N_COMMANDS; i++) {
		/* A longer word takes its room from what follows. */
		int n = printf("  vhk %s %s", commands[i].group,
			       commands[i].name ? commands[i].name : "");

		printf("%*s %s%*s %s\n", n < word + 6 ? word + 6 - n : 0, "", commands[i].args,
		       args - (int)strlen(commands[i].args) - (n > word + 6 ? n - word - 6 : 0),
		       "", commands[i].help);
	}
	puts("\n"
	     "URI is unix:PATH (connect), listen:PATH (the back end connects to us), fd:N,\n"
	     "vdpa:NAME or the path of a vhost device; not the latter two for trace.\n"
	     "  -j, --json           JSON (ctl show, blk bench, trace)\n"
	     "  -t, --timeout SEC    longest wait for the back end (5)\n"
	     "  -q, --quiet          no progress bar\n"
	     "  --device KIND        what a back end serves, which it does not tell (ctl show)\n"
	     "blk read, write, copy:\n"
	     "  --length N           bytes (to the end)\n"
	     "  --block-size N       bytes per request (256k)\n"
	     "blk read, write, copy, bench:\n"
	     "  --offset N           first byte on the disk (on both, if two)\n"
	     "  --packed             packed rings          --no-event-idx   without EVENT_IDX\n"
	     "  --indirect           indirect descriptors  --in-order       answers in order\n"
	     "  --depth N            requests per queue\n"
	     "blk bench:\n"
	     "  --rw KIND            randread (default), randwrite, read, write or verify\n"
	     "  --bs N               bytes per request (4k)   --size N      part of the disk used\n"
	     "  --queues N           queues (1)               --time SEC    how long (5)\n"
	     "  --poll               spin instead of sleeping --cpu N       run on that processor\n"
	     "  --seed N             of all that is random    --count N     end after so many\n"
	     "  --reconnect          survive restarts of the back end\n"
	     "bench notify:\n"
	     "  --queues LIST        numbers of queues (1,8,64,256)\n"
	     "  --time SEC           of each load (0.3)       --runs N    medians of so many (3)\n"
	     "trace (FRONT: a path to listen at, BACK: one to connect to, or URIs):\n"
	     "  -d, --device KIND    whose feature bits to name: blk, net, scsi, fs, ...\n"
	     "  -q, --quiet          only messages that break a rule, and the sums\n"
	     "  -c, --check          exit code 1 if a rule was broken\n"
	     "  -1, --once           end with the first session\n"
	     "  --color WHEN         auto (default), always or never\n"
	     "  --poll-us N          stay awake so long for the next message (200)\n"
	     "vdpa, disk: see vhk vdpa help, vhk disk help\n"
	     "\n"
	     "Numbers take k, M, G, T. Exit code: 0, 1 failed, 2 usage. See vhk(1).");
	return 0;
}

static const struct command *find(const char *group, const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].group, group))
			continue;
		if (!commands[i].name || (name && !strcmp(commands[i].name, name)))
			return &commands[i];
	}
	return NULL;
}

/* 0 where there is no such group. */
static int which_of(const char *group)
{
	char names[128] = "";
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].group, group) && commands[i].name)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				 *names ? ", " : "", commands[i].name);
	return *names ? say_usage("%s: which subcommand? %s", group, names) : 0;
}

/*
 * Where standard input, output or error came closed, the next file opened would take its number,
 * and then what was meant to be said. What takes its place fails what it is used for, but errors.
 */
static int hold_stdio(void)
{
	static const int mode[] = { O_WRONLY, O_RDONLY, O_WRONLY };
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode[fd]) != fd)
			return say_error(-errno, "/dev/null");
	return 0;
}

static int run(int argc, char **argv)
{
	const struct command *c;
	int i;

	if (argc < 2)
		return say_usage("which command?");
	/* These have grammars and helps of their own. */
	if (!strcmp(argv[1], "vdpa"))
		return vdpa(argc - 1, argv + 1);
	if (!strcmp(argv[1], "disk"))
		return backing(argc - 1, argv + 1);
	for (i = 1; i < argc && i < 4; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return help();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("vhk %s\n", vhk_version());
		return 0;
	}
	if (argc < 3 && which_of(argv[1]))
		return EXIT_USAGE;
	c = find(argv[1], argc > 2 ? argv[2] : NULL);
	if (!c)
		return say_usage("no such command: %s%s%s", argv[1], argc > 2 ? " " : "",
				 argc > 2 ? argv[2] : "");
	return c->name ? c->run(argc - 2, argv + 2) : c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int ret = hold_stdio();

	if (!ret)
		ret = run(argc, argv);
	errno = EIO;
	if (fflush(stdout) || ferror(stdout))
		return ret ? ret : say_error(-errno, "stdout");
	return ret;
}
