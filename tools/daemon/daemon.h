/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the programs that serve devices share: the command line's form, what is done to the process
 * before it begins, where front ends come from, one-line complaints, data threads, and what is said
 * between systemd and a service.
 */
#ifndef VHK_DAEMON_H
#define VHK_DAEMON_H

#include <getopt.h>

#include <vhostkit/backend.h>

/* The program, at the beginning of each line; its own to define. */
extern const char say_name[];
/*
 * One line on stderr. Never waits: a thread of its own writes, and what it has no room for, since
 * nobody reads, is lost and counted.
 */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_log(void *arg, enum vhk_log_level level, const char *text);

/**
 * struct cli - a program's command line
 * @usage:        what --help prints
 * @capabilities: what --print-capabilities prints, JSON
 * @table:        of getopt_long(), CLI_OPTIONS in it; values from 256 on
 * @take:         an option with its value, NULL where it takes none; false: that does not fit
 * @takes:        what an option takes, for whoever gave something else
 */
struct cli {
	const char *usage, *capabilities;
	const struct option *table;
	bool (*take)(void *arg, int opt, const char *text);
	const char *(*takes)(int opt);
};

enum {
	CLI_CAPABILITIES = 0x1000,
	CLI_HELP,
	CLI_VERSION,
};

/* The end of the table. */
#define CLI_OPTIONS                                                                                \
	{ "print-capabilities", no_argument, NULL, CLI_CAPABILITIES },                             \
	{ "help", no_argument, NULL, CLI_HELP }, { "version", no_argument, NULL, CLI_VERSION },    \
	{ NULL, 0, NULL, 0 }

enum cli_result {
	CLI_GO,
	CLI_DONE,  /* help, version or capabilities were printed */
	CLI_WRONG, /* said so */
};

enum cli_result cli_read(const struct cli *c, int argc, char **argv, void *arg);
/* Decimal, from @min to @max. */
bool cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool cli_power_of_2(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Which of @words, which end with NULL; -1: none. */
int cli_word(const char *text, const char *const *words);
bool cli_log_level(struct vhk_log *log, const char *text);
/* 0 to 1000000; 0: never spins. */
bool cli_poll_us(struct vhk_loop_opts *o, const char *text);

/* No file that is opened must become file descriptor 2, which lines are written to. False: it
 * cannot be had. */
bool process_fill_stdio(void);
/* Whoever asked must not take a missing answer for an empty one. The exit status. */
int process_finish_stdout(void);
/* @signals, which end with 0, must not end the process before the loop takes them. */
void process_hold_signals(const int *signals);
/* Each queue has three eventfds, and a table of memory up to 509 files. */
void process_raise_fd_limit(void);

/* Where a front end comes from. */
struct door {
	const char *path; /* NULL: @fd */
	int fd;
	bool client; /* connects to @path */
};

/* -errno: said so. */
int door_open(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
	      const struct door *door, const struct vhk_backend_opts *o);
/* What is wrong with a socket, or with its path. */
const char *door_why_not(int err);

/*
 * How many sockets were passed by LISTEN_FDS, from *@first on: 0: none; a negative errno: said what
 * is wrong with them, or that there are more than @max.
 */
int systemd_sockets(unsigned int max, int *first);
void systemd_notify(const char *state);
/* The service goes on as another process. */
void systemd_main_pid(int pid);

/* @n data loops, each in a thread of its own; with 0 the control loop is the only one. */
struct crew;
int crew_new(struct crew **out, unsigned int n, const struct vhk_loop_opts *o,
	     struct vhk_loop *ctl);
struct vhk_loop *const *crew_loops(const struct crew *c);
/* A thread more, which makes the writes that loops must not wait for. */
int crew_add_writer(struct crew *c);
int crew_start(struct crew *c);
/* Stops and joins all; -errno when one had failed. */
int crew_stop(struct crew *c);
void crew_free(struct crew *c);

#endif
