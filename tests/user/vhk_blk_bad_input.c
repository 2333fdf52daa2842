// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk-blk started wrong: one line on stderr that names the thing, exit status 2 for wrong options
 * and 1 for what failed.
 */
#include <sys/stat.h>

#include "t_prog.h"

#define MS 10000

static char dir[100];

static void make_files(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char cmd[512];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(dir, sizeof(dir), "%s", t_dir());
	snprintf(cmd, sizeof(cmd),
		 "cd %s && truncate -s 1M img busy && truncate -s 1000 odd && truncate -s 512 "
		 "small && "
		 "mkfifo fifo && echo text >file",
		 dir);
	T_MUST(!system(cmd));
	/* a socket that somebody listens on: us */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/live", dir);
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 1));
}

/* "@" at the start of a word, or after "=", is the test's folder. */
static void words(const char *line, char *room, size_t size, const char **args)
{
	unsigned int n = 0;
	size_t at = 0;

	while (*line) {
		args[n++] = room + at;
		T_MUST(n < T_ARGS);
		while (*line && *line != ' ') {
			if (*line == '@')
				at += (size_t)snprintf(room + at, size - at, "%s/", dir);
			else
				room[at++] = *line;
			line++;
			T_MUST(at + 200 < size);
		}
		room[at++] = 0;
		while (*line == ' ')
			line++;
	}
	args[n] = NULL;
}

static int run(struct t_prog *p, const char *line)
{
	const char *args[T_ARGS + 1];
	char room[2048];

	words(line, room, sizeof(room), args);
	t_prog_start(p, "vhk-blk", args);
	return t_prog_end(p, MS);
}

static const struct {
	const char *line;
	int want;
	const char *names;
} cases[] = {
	{ "", 2, "--blk-file" },
	{ "--socket-path=@s", 2, "--blk-file" },
	{ "--blk-file=@img", 2, "--socket-path" },
	{ "--blk-file=@img --socket-path=", 2, "--socket-path" },
	{ "--blk-file= --socket-path=@s", 2, "--blk-file" },
	{ "--blk-file=@img --socket-path=@s --fd=3", 2, "exclude" },
	{ "--blk-file=@img --socket-path=@s --nonsense", 2, "nonsense" },
	{ "--blk-file=@img --socket-path=@s --read-only=1", 2, "read-only" },
	{ "--blk-file=@img --socket-path", 2, "socket-path" },
	{ "--blk-file=@img --socket-path=@s more", 2, "\"more\"" },
	{ "--blk-file=@img --client --fd=3", 2, "--client" },
	{ "--blk-file=@img --vduse=", 2, "--vduse" },
	{ "--blk-file=@img --vduse=a/b", 2, "--vduse" },
	{ "--blk-file=@img --vduse=.", 2, "--vduse takes" },
	{ "--blk-file=@img --vduse=..", 2, "--vduse takes" },
	{ "--blk-file=@img --vduse=control", 2, "--vduse takes" },
	{ "--blk-file=@img --vduse=a\nb", 2, "not \"a?b\"" },
	{ "--blk-file=@img --vduse=\n", 2, "--vduse takes" },
	{ "--blk-file=@img --vduse=a\033[0m", 2, "not \"a?[0m\"" },
	{ "--blk-file=@img --vduse=a\177", 2, "not \"a?\"" },
	{ "--blk-file=@missing\nfile --socket-path=@s", 1, "/missing?file" },
	{ "--blk-file=@img --socket-path=@s two\nlines", 2, "\"two?lines\"" },
	{ "--blk-file=@img --vduse=a --incoming", 2, "excludes --incoming" },
	{ "--blk-file=@img --vduse=a --postcopy", 2, "excludes --postcopy" },
	{ "--blk-file=@img --vduse=a --socket-path=@s", 2, "excludes" },
	{ "--blk-file=@img --vduse=a --fd=3", 2, "excludes" },
	{ "--blk-file=@img --vduse=a --inflight-file=", 2, "--inflight-file" },
	{ "--blk-file=@img --socket-path=@s --keep", 2, "--vduse" },
	{ "--blk-file=@img --socket-path=@s --no-attach", 2, "--vduse" },
	{ "--blk-file=@img --socket-path=@s --no-packed", 2, "--vduse" },
	{ "--blk-file=@img --socket-path=@s --inflight-file=@i", 2, "--vduse" },
	{ "--blk-file=@img --socket-path=@s --num-queues=0", 2, "--num-queues" },
	{ "--blk-file=@img --socket-path=@s --num-queues=257", 2, "--num-queues takes 1 to 256" },
	{ "--blk-file=@img --socket-path=@s --num-queues=1x", 2, "--num-queues" },
	{ "--blk-file=@img --socket-path=@s --num-queues=-1", 2, "--num-queues" },
	{ "--blk-file=@img --socket-path=@s --num-queues=", 2, "--num-queues" },
	{ "--blk-file=@img --socket-path=@s --num-queues=99999999999999999999999", 2,
	  "--num-queues" },
	{ "--blk-file=@img --socket-path=@s --queue-size=100", 2, "--queue-size" },
	{ "--blk-file=@img --socket-path=@s --queue-size=65536", 2, "--queue-size" },
	{ "--blk-file=@img --socket-path=@s --block-size=513", 2, "takes 512, 1024, 2048 or 4096" },
	{ "--blk-file=@img --socket-path=@s --block-size=8192", 2, "--block-size" },
	{ "--blk-file=@img --socket-path=@s --serial=123456789012345678901", 2, "--serial" },
	{ "--blk-file=@img --socket-path=@s --threads=17", 2, "--threads" },
	{ "--blk-file=@img --socket-path=@s --poll-us=x", 2, "--poll-us" },
	{ "--blk-file=@img --socket-path=@s --notify=x", 2, "--notify" },
	{ "--blk-file=@img --socket-path=@s --coalesce-us=1000001", 2, "--coalesce-us" },
	{ "--blk-file=@img --socket-path=@s --notify=", 2, "--notify" },
	{ "--blk-file=@img --socket-path=@s --log-level=loud", 2, "error, warn, info or debug" },
	{ "--blk-file=@img --fd=x", 2, "--fd" },
	{ "--blk-file=@img --fd=-1", 2, "--fd" },
	/* options are right, and something is not there */
	{ "--blk-file=@missing --socket-path=@s", 1, "/missing" },
	{ "--blk-file=@ --socket-path=@s", 1, "directory" },
	{ "--blk-file=@ --socket-path=@s --read-only", 1, "directory" },
	{ "--blk-file=@fifo --socket-path=@s", 1, "/fifo" },
	{ "--blk-file=/dev/null --socket-path=@s", 1, "/dev/null" },
	{ "--blk-file=@odd --socket-path=@s", 1, "multiple" },
	{ "--blk-file=@small --socket-path=@s --block-size=4096", 1, "multiple" },
	{ "--blk-file=@img --socket-path=@no/where", 1, "/no/where" },
	{ "--blk-file=@img --socket-path=@live", 1, "/live" },
	{ "--blk-file=@img --socket-path=@file", 1, "/file: exists, and is not a socket" },
	{ "--blk-file=@img --socket-path=@img", 1, "/img" },
	{ "--blk-file=@img --fd=999", 1, "descriptor 999: not a socket" },
	{ "--blk-file=@img --fd=0", 1, "descriptor 0: not a socket" },
};

static void one_line_names_what_is_wrong(void)
{
	struct t_prog holder, p;
	unsigned int i;
	char room[512];
	const char *args[T_ARGS + 1];
	struct stat st;
	char path[128];
	int bad;

	make_files();
	words("--blk-file=@busy --socket-path=@holder", room, sizeof(room), args);
	t_prog_start(&holder, "vhk-blk", args);
	T_MUST(t_prog_ready(&holder, MS));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bad = t_bad;
		T_EQ(run(&p, cases[i].line), cases[i].want);
		T_EQ(t_lines(p.text[2]), 1);
		T_OK(!strncmp(p.text[2], "vhk-blk: ", 9));
		T_OK(strstr(p.text[2], cases[i].names));
		T_STR(p.text[1], "");
		if (t_bad != bad)
			printf("# %s\n# %s\n", cases[i].line, p.text[2]);
	}
	/* this one is waited for, which is told, too */
	T_EQ(run(&p, "--blk-file=@busy --socket-path=@s"), 1);
	T_EQ(t_lines(p.text[2]), 2);
	T_OK(strstr(p.text[2], "waiting up to 5000 ms\n"));
	T_OK(strstr(p.text[2], "in use by another server\n"));
	kill(holder.pid, SIGTERM);
	T_EQ(t_prog_end(&holder, MS), 0);
	T_STR(holder.text[2], "");
	/* what was in the way is still there */
	snprintf(path, sizeof(path), "%s/file", dir);
	T_OK(!stat(path, &st) && S_ISREG(st.st_mode));
	snprintf(path, sizeof(path), "%s/img", dir);
	T_OK(!stat(path, &st) && st.st_size == 1 << 20);
	snprintf(path, sizeof(path), "%s/live", dir);
	T_OK(!stat(path, &st) && S_ISSOCK(st.st_mode));
}

static void a_missing_module_is_named(void)
{
	struct t_prog p;

	if (!access("/dev/vhostkit", F_OK))
		T_SKIP("the module vhostkit is loaded");
	T_EQ(run(&p, "--blk-file=@img --socket-path=@s --notify=mux"), 1);
	T_EQ(t_lines(p.text[2]), 1);
	T_OK(strstr(p.text[2], "/dev/vhostkit") && strstr(p.text[2], "is the module vhostkit"));
}

static void what_asks_only_is_answered(void)
{
	static const char caps[] =
		"{\"type\":\"block\",\"features\":[\"read-only\",\"blk-file\"]}\n";
	struct t_prog p;

	T_EQ(run(&p, "--print-capabilities"), 0);
	T_STR(p.text[1], caps);
	T_EQ(run(&p, "--nonsense --fd=x --print-capabilities --blk-file=@missing"), 0);
	T_STR(p.text[1], caps);
	T_STR(p.text[2], "");
	T_EQ(run(&p, "--version"), 0);
	T_OK(!strncmp(p.text[1], "vhk-blk ", 8));
	T_EQ(run(&p, "--help"), 0);
	T_OK(strstr(p.text[1], "--print-capabilities"));
}

static void one_socket_is_taken_from_systemd(void)
{
	const char *args[] = { NULL, NULL };
	char file[128];
	struct t_prog p;

	snprintf(file, sizeof(file), "--blk-file=%s/img", dir);
	args[0] = file;
	t_prog_start_fd(&p, "vhk-blk", args, -1, "2");
	T_EQ(t_prog_end(&p, MS), 1);
	T_EQ(t_lines(p.text[2]), 1);
	T_OK(strstr(p.text[2], "LISTEN_FDS=2"));
}

static void a_socket_that_cannot_be_served(void)
{
	static const struct {
		int domain, type;
		const char *names;
	} sockets[] = {
		{ AF_INET, SOCK_STREAM, "not a UNIX socket" },
		{ AF_UNIX, SOCK_DGRAM, "not a stream socket" },
		{ AF_UNIX, SOCK_SEQPACKET, "not a stream socket" },
		{ AF_UNIX, SOCK_STREAM, "neither listening nor connected" },
	};
	const char *args[] = { NULL, "--fd=3", NULL };
	struct t_prog p;
	unsigned int i;
	char file[128];
	int fd;

	snprintf(file, sizeof(file), "--blk-file=%s/img", dir);
	args[0] = file;
	for (i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		fd = socket(sockets[i].domain, sockets[i].type | SOCK_CLOEXEC, 0);
		T_MUST(fd >= 0);
		t_prog_start_fd(&p, "vhk-blk", args, fd, NULL);
		T_EQ(t_prog_end(&p, MS), 1);
		T_EQ(t_lines(p.text[2]), 1);
		T_OK(strstr(p.text[2], "descriptor 3: ") && strstr(p.text[2], sockets[i].names));
		close(fd);
	}
}

int main(void)
{
	T_RUN(one_line_names_what_is_wrong);
	T_RUN(a_missing_module_is_named);
	T_RUN(what_asks_only_is_answered);
	T_RUN(one_socket_is_taken_from_systemd);
	T_RUN(a_socket_that_cannot_be_served);
	return t_end();
}
