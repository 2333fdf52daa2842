/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user front end: a connection, what was asked over it, and the back-end channel.
 */
#ifndef VHK_LIB_CTL_USER_H
#define VHK_LIB_CTL_USER_H

#include "ctl_impl.h"
#include "ctl_user_lent.h"
#include "proto.h"
#include "sock.h"

enum vhk_ctl_user_kind {
	VHK_CTL_USER_UNIX,
	VHK_CTL_USER_LISTEN,
	VHK_CTL_USER_FD,
};

enum vhk_ctl_user_link {
	VHK_CTL_USER_DOWN,
	VHK_CTL_USER_ON_ITS_WAY, /* a client tries again, a server waits for its back end */
	VHK_CTL_USER_UP,
};

/* A request between submit and done. Its memory is the caller's, ours is this. */
struct vhk_ctl_user_slot {
	struct vhk_ctl_user_slot *next;
	struct vhk_ctl_req *req; /* NULL: nobody waits any more, the answer is thrown away */
	enum vhk_ctl_op op;
	uint64_t deadline;
	uint64_t n;	/* counts requests */
	bool settled;	/* what it sets is in force here, until a refusal */
	uint64_t former; /* what a SET_*FEATURES replaced, for the case that it is refused */
};

struct vhk_ctl_user_list {
	struct vhk_ctl_user_slot *first, **end;
};

struct vhk_ctl_user {
	struct vhk_ctl c;
	enum vhk_ctl_user_kind kind;
	enum vhk_ctl_user_link link;
	char *path;
	int fd;	       /* of "fd:N", until it is used */
	int listen_fd;
	struct vhk_sock_file bound;
	uint64_t retry_at, retry_pause;
	struct vhk_sock sock;
	uint32_t events; /* watched on the socket */
	struct vhk_proto_state st;
	struct vhk_ctl_offer offer;
	uint32_t n_named; /* one more than the highest ring that a request was about */
	struct vhk_ctl_user_list unsent, sent;
	unsigned int n_sent;
	uint64_t n_asked;
	bool pumping;
	bool acks; /* the back end acknowledges what is sent from here on */
	bool deaf; /* nothing can be sent any more; what it said is still to be read */
	struct vhk_sock back;
	bool back_up;
	uint32_t back_events;
	int back_peer; /* the end that is to be sent */
	int back_next; /* our end of it, while another channel still works */
	struct vhk_ctl_user_lent lent;
};

static inline struct vhk_ctl_user *vhk_ctl_user_of(const struct vhk_ctl *c)
{
	return (struct vhk_ctl_user *)vhk_container_of(c, struct vhk_ctl_user, c);
}

/* ctl_user_code.c: requests to messages and back. */
/* The message that carries a request. */
enum vhk_ctl_op vhk_ctl_user_message(enum vhk_ctl_op op);
const struct vhk_proto *vhk_ctl_user_row(enum vhk_ctl_op op); /* NULL: no such message */
bool vhk_ctl_user_code_can(const struct vhk_ctl_user *u, enum vhk_ctl_op op);
/* Judges a request by the message it becomes: -EINVAL, -EMSGSIZE, -EOPNOTSUPP. Notes its ring. */
int vhk_ctl_user_check(struct vhk_ctl_user *u, const struct vhk_ctl_req *r);
/* @m borrows its fds: it is not to be given to vhk_msg_fini(). */
int vhk_ctl_user_encode(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			struct vhk_msg *m);
/*
 * The answer to @op into @r (NULL: only judged). -EPROTO, of which @why tells, ends the connection,
 * -EREMOTEIO does not.
 */
int vhk_ctl_user_decode(enum vhk_ctl_op op, struct vhk_ctl_req *r, struct vhk_msg *m,
			const char **why);

/* ctl_user_send.c: the engine. */
void vhk_ctl_user_lists_init(struct vhk_ctl_user *u);
int vhk_ctl_user_submit(struct vhk_ctl *c, struct vhk_ctl_req *r, uint64_t deadline);
void vhk_ctl_user_pump(struct vhk_ctl_user *u);
int vhk_ctl_user_receive(struct vhk_ctl_user *u);
uint64_t vhk_ctl_user_expire_slots(struct vhk_ctl_user *u, uint64_t now);
void vhk_ctl_user_fail_all(struct vhk_ctl_user *u, int why);

/* ctl_user_back.c: the channel on which the back end asks. */
int vhk_ctl_user_back_open(struct vhk_ctl_user *u);
/* The back end has accepted the channel that was opened last (0), or has not. */
void vhk_ctl_user_back_settle(struct vhk_ctl_user *u, int ret);
void vhk_ctl_user_back_close(struct vhk_ctl_user *u);
/* After whatever may have changed what it can be asked. */
void vhk_ctl_user_back_watch(struct vhk_ctl_user *u);
void vhk_ctl_user_back_event(struct vhk_ctl_user *u, uint32_t events);

/* ctl_user_ask.c: what it asks. 0 or why not; *fd goes with the answer. */
int vhk_ctl_user_back_do(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd);

/* ctl_user.c: the connection is lost. Returns @why. */
int vhk_ctl_user_lost(struct vhk_ctl_user *u, int why, const char *text);

#endif
