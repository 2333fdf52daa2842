/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The old process's side of a hand-over: what backend_give*.c and backend_tell.c share.
 */
#ifndef VHK_LIB_BACKEND_GIVE_H
#define VHK_LIB_BACKEND_GIVE_H

#include "backend_over.h"

enum vhk_give_state {
	GIVE_IDLE,	/* nobody came */
	GIVE_QUIET,	/* the session is in the middle of something */
	GIVE_DESCRIBE,	/* is told how the session is set up, and is to answer READY */
	GIVE_REST,	/* the rings come to rest */
	GIVE_POSITIONS, /* is told where they rest, and is to answer READY */
	GIVE_CALM,	/* the channel is in the middle of a message */
	GIVE_COMMITTED, /* has the sockets, or will find them */
	GIVE_RESUME,	/* it came to nothing: rings start again here */
	GIVE_OVER,
};

struct vhk_give;

/* Part of what is said. 1: @m is to be sent, and the step asked again; 0: it has no more. @m
 * borrows its fds. *why with an error. */
typedef int vhk_tell_fn(struct vhk_give *g, struct vhk_msg *m, const char **why);

struct vhk_give {
	struct vhk_backend *backend;
	vhk_backend_over_fn *fn;
	void *arg;
	char *path;
	int listen_fd; /* -1: nobody is let in */
	bool watched;  /* the loop watches it */
	struct vhk_sock_file bound;
	enum vhk_give_state state;
	bool session; /* there is one to be handed over */
	bool failed;
	bool changing;	      /* the device is asked to stop or start a ring */
	struct vhk_sock sock; /* to the successor; fd -1: none */
	int pid;
	int deadline, look, pause; /* timers, 0: none */
	uint64_t committed_ns;	   /* when COMMIT was said */
	uint64_t silent_ns;	   /* until the next line about who does not answer it */
	struct vhk_ration failures; /* of what comes to nothing */
	unsigned int cursor; /* behind the ring that changes */
	/* What is being said. */
	vhk_tell_fn *const *step; /* ends with NULL */
	unsigned int at;	  /* messages of the step so far, or the next ring */
	uint64_t iova;		  /* the next translation */
	uint64_t n_state;	  /* bytes of the device's state so far */
	bool told_state;
};

/* backend_give.c */
/* A successor came. -EBUSY: another one is served; -EPERM; else it will be told what there is. */
int vhk_give_begin_take_fd(struct vhk_give *g, int fd);
void vhk_give_del_timer(struct vhk_give *g, int *timer);

/* backend_give_back.c */
/* Nothing is under way at the device: the session goes on here. */
void vhk_give_back(struct vhk_give *g);

/* backend_give_sock.c */
int vhk_give_start_listening(struct vhk_give *g);
/* The same, unless it does already; a failure is logged. */
void vhk_give_listen(struct vhk_give *g);
void vhk_give_unlisten(struct vhk_give *g);
/* A hand-over came to nothing. @why NULL: @err says it. */
void vhk_give_log_failure(struct vhk_give *g, int err, const char *why);

/* backend_tell.c */
extern vhk_tell_fn *const vhk_tell_session[];
extern vhk_tell_fn *const vhk_tell_positions[];
extern vhk_tell_fn *const vhk_tell_commit[];

#endif
