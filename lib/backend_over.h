/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What one process says to the next when it hands its session over (vhk_backend_hand_over()): over
 * a socket of their own, in the frames of vhost-user, the messages of a front end that sets up a
 * session from nothing, and those below for what vhost-user has no message for. So what is handed
 * over is judged by the tables and handlers that judge a front end.
 *
 *   HELLO, DEVICE, OFFER, settings, READY         while the rings still run in the old process
 *   DEVICE, CONFIG, positions, RING..., READY     when they rest; they start, and take nothing yet
 *   COMMIT                                        the sockets: from here on the new process serves
 *
 * READY and COMMIT are answered by a u64, 0 for success; before COMMIT either end may hang up, and
 * the old process goes on.
 */
#ifndef VHK_LIB_BACKEND_OVER_H
#define VHK_LIB_BACKEND_OVER_H

#include "backend_impl.h"

#define VHK_OVER_VERSION 1

enum vhk_over_req {
	VHK_OVER_HELLO = 0x76686b00,
	VHK_OVER_OFFER,
	VHK_OVER_SESSION,
	VHK_OVER_READY,
	VHK_OVER_DEVICE,
	VHK_OVER_STATE,
	VHK_OVER_CONFIG,
	VHK_OVER_RING,
	VHK_OVER_COMMIT,
	VHK_OVER_END, /* not a message */
};

struct vhk_over_hello {
	uint32_t version;
	uint32_t kind; /* enum vhk_backend_kind */
	uint32_t device_id;
	uint32_t n_queues;
	uint32_t queue_size;
	uint32_t config_size;
	uint32_t session;  /* 1: a front end is there */
	uint32_t padding;
	uint64_t dev, ino; /* the socket's file that front ends come to, or are met at; 0: none */
};

/* What any front end has been offered, or would be. */
struct vhk_over_offer {
	uint64_t features;
	uint64_t protocol;
};

#define VHK_OVER_OWNED 0x1u
struct vhk_over_session {
	uint32_t flags; /* VHK_OVER_OWNED */
	uint32_t status;
};

#define VHK_OVER_RUNS 0x1u
#define VHK_OVER_ENABLED 0x2u
#define VHK_OVER_LEFT 0x4u    /* vhk_backend_ring.left */
#define VHK_OVER_INBAND 0x8u  /* the fd is kicked by messages */
#define VHK_OVER_DRAINED 0x10u /* vhk_backend_ring.drained */
#define VHK_OVER_RING_ALL 0x1fu
/* With its kick fd, unless it is polled or does not run. */
struct vhk_over_ring {
	uint32_t index;
	uint32_t flags; /* VHK_OVER_* */
};

#define VHK_OVER_ASKED_MAX 256
#define VHK_OVER_SOCKET 0x1u  /* the front end's connection */
#define VHK_OVER_CHANNEL 0x2u /* the back-end channel */
#define VHK_OVER_LISTEN 0x4u  /* where the next front end comes to */
#define VHK_OVER_COMMIT_ALL 0x7u
/* With those fds, in that order. */
struct vhk_over_commit {
	uint32_t flags;
	uint32_t n_asked; /* questions on the channel whose answers are still to come */
	uint32_t asked[VHK_OVER_ASKED_MAX];
};
#define VHK_OVER_COMMIT_MIN offsetof(struct vhk_over_commit, asked)

/* The message table's rows for these; NULL: no such message. */
const struct vhk_proto *vhk_over_row(uint32_t request);

/* backend_give.c. The old process; NULL in vhk_backend: nobody is listened for. */
struct vhk_give;
/* No more, and what is under way is undone, unless the other end has it already. */
void vhk_give_close(struct vhk_give *g);
void vhk_give_free(struct vhk_give *g);
/* The session, which is being handed over, ends. */
void vhk_give_session_ends(struct vhk_give *g);

/* backend_take.c. The new process; NULL in vhk_backend: nothing is being taken over. */
struct vhk_take;
void vhk_take_free(struct vhk_take *t);
/* Serves one of the messages above. As a handler's return value. */
int vhk_take_handle(struct vhk_session *s);
/* The session is refused with @err, or ends; the first reason decides, and is logged. @row: of the
 * message that it is about, or NULL. */
void vhk_take_note(struct vhk_session *s, int err, const struct vhk_proto *row, const char *why);
/* The answer is sent. True when it was that to COMMIT: the session goes on with the front end. */
bool vhk_take_answered(struct vhk_session *s);
/* The session is gone before that. */
void vhk_take_failed(struct vhk_backend *b);

#endif
