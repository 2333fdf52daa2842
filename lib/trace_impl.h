/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of a trace. trace.c finds the two ends and owns sessions; trace_session.c owns what
 * belongs to one pair of ends; trace_span.c passes bytes between two sockets, and trace_lane.c one
 * way of it.
 */
#ifndef VHK_LIB_TRACE_IMPL_H
#define VHK_LIB_TRACE_IMPL_H

#include <sys/types.h>

#include "base.h"
#include "sock.h"
#include "trace_rules.h"

#define VHK_LANE_HDR ((uint32_t)sizeof(struct vhk_msg_hdr))
#define VHK_LANE_CHUNK 16384u

struct vhk_span;

enum vhk_lane_state {
	VHK_LANE_OPEN,
	VHK_LANE_ENDING, /* its sender has ended; what is held is still to be sent */
	VHK_LANE_CLOSED,
};

/* One way: what is read from @from leaves for @to before anything else is read. */
struct vhk_lane {
	struct vhk_span *span;
	struct vhk_port *from, *to;
	enum vhk_trace_side side; /* who sends */
	enum vhk_lane_state state;
	bool nap;		  /* to be tried again by time, not by an event */
	bool moved;		  /* something was sent since the span's patience began */
	/* The message that is coming in, as far as it is shown. */
	struct vhk_msg msg;
	uint32_t got;  /* bytes of its header */
	uint32_t left; /* bytes of its payload that are still to come */
	unsigned int n_fds;
	uint64_t when; /* its last byte came */
	bool late_fds, fds_lost;
	bool fds_noted; /* what is held belongs to a message that was told already */
	struct vhk_trace_fd fd[VHK_TRACE_FDS_MAX];
	/* What was read and has not been sent: from @at to @len. */
	unsigned char held[VHK_LANE_HDR + VHK_LANE_CHUNK];
	uint32_t at, len;
	struct vhk_sock_fds fds;  /* leave with the first byte */
	struct vhk_sock_fds late; /* leave with the byte at @late_at */
	uint32_t late_at;
};

/* One of the two sockets of a span. */
struct vhk_port {
	struct vhk_span *span;
	int fd;
	bool watched;
	uint32_t events;
	bool gone; /* its peer can neither send nor receive */
	struct vhk_lane *out, *in; /* that reads from it, that writes to it */
};

/* Two sockets and what passes between them: the connection, or a back end's channel. */
struct vhk_span {
	struct vhk_trace_session *session;
	bool back_channel;
	bool raw; /* passes unseen */
	struct vhk_port port[2]; /* by enum vhk_trace_side */
	struct vhk_lane lane[2]; /* by who sends */
	int patience; /* timer, while one side is gone and the other has to read; 0: none */
};

/* Channels that a back end may be given one after another, before the old ones are closed. */
#define VHK_TRACE_SPANS 9

struct vhk_trace_session {
	struct vhk_trace *trace;
	uint64_t number;
	struct vhk_rules rules;
	struct vhk_span *span[VHK_TRACE_SPANS]; /* [0] is the connection */
	bool has_first;
	enum vhk_trace_side first;
	uint64_t undelivered;
	int error;
	int nap; /* timer; 0: none */
	/* How long to stay awake for the next message, ns, and when the last one came. */
	uint64_t linger, when;
	bool said_lost, said_untraced;
};

enum vhk_side_kind {
	VHK_SIDE_LISTEN,
	VHK_SIDE_CONNECT,
	VHK_SIDE_GIVEN,
};

struct vhk_side {
	struct vhk_trace *trace;
	enum vhk_side_kind kind;
	char *path; /* NULL: none */
	int listen_fd;
	bool watched;
	struct vhk_sock_file bound;
	int fd;	   /* connected, waiting for the other side */
	int error; /* of the last try, so that each is said once */
};

struct vhk_trace {
	struct vhk_loop *loop;
	struct vhk_trace_ops ops;
	void *arg;
	uint32_t flags;
	struct vhk_log log;
	struct vhk_side side[2]; /* by enum vhk_trace_side */
	struct vhk_trace_session *session; /* NULL: none */
	uint64_t n_sessions;
	uint64_t linger_max; /* ns; 0: never */
	int retry; /* timer; 0: none */
};

/* trace.c */
void vhk_trace_session_over(struct vhk_trace *t);

/* trace_session.c; both fds are the session's, even on failure */
int vhk_trace_session_new(struct vhk_trace *t, int front, int back);
void vhk_trace_session_free(struct vhk_trace_session *s);
void vhk_trace_session_span_closed(struct vhk_trace_session *s, struct vhk_span *sp);
void vhk_trace_session_nap(struct vhk_trace_session *s);
/* Messages have come: stays awake for those that follow at once. Before spans are settled. */
void vhk_trace_session_linger(struct vhk_trace_session *s);
/* Watches what has to be watched in each span; the session may be over then. */
void vhk_trace_session_settle(struct vhk_trace_session *s);
/* A whole message. */
void vhk_trace_session_message(struct vhk_lane *l);
void vhk_trace_session_raw(struct vhk_lane *l, const char *why);
/* Puts a channel of ours between the ends of the one that @fd is an end of, and an end of it in
 * @fd's place; leaves @fd alone where it cannot. */
void vhk_trace_session_adopt(struct vhk_trace_session *s, int *fd);

/* trace_span.c; both fds are the span's, even on failure */
int vhk_span_new(struct vhk_span **out, struct vhk_trace_session *s, bool back_channel, int front,
		 int back);
void vhk_span_free(struct vhk_span *sp);
/* Watches what has to be watched; gives it to the session where both ways are closed. */
void vhk_span_settle(struct vhk_span *sp);
/* True when something came, or ended. */
bool vhk_span_pump(struct vhk_span *sp);

/* trace_lane.c */
void vhk_lane_init(struct vhk_lane *l, struct vhk_span *sp, enum vhk_trace_side side);
void vhk_lane_fini(struct vhk_lane *l);
bool vhk_lane_holds(const struct vhk_lane *l); /* something that can be sent */
/* Sends and reads until one of both cannot be done, or for long enough. True when something was
 * read, or the sender has ended. */
bool vhk_lane_pump(struct vhk_lane *l);
/* Its receiver takes nothing more. */
void vhk_lane_abandon(struct vhk_lane *l);

#endif
