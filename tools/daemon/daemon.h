/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the programs that serve devices share: one-line complaints, data threads, and what is said
 * between systemd and a service.
 */
#ifndef VHK_DAEMON_H
#define VHK_DAEMON_H

#include <vhostkit/loop.h>

/* The program, at the beginning of each line; its own to define. */
extern const char say_name[];
/*
 * One line on stderr. Never waits: a thread of its own writes, and what it has no room for, since
 * nobody reads, is lost and counted.
 */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_log(void *arg, enum vhk_log_level level, const char *text);

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
int crew_start(struct crew *c);
/* Stops and joins all; -errno when one had failed. */
int crew_stop(struct crew *c);
void crew_free(struct crew *c);

#endif
