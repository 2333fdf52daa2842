/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to vhost-user sockets: whole messages with their fds, in and out, never blocking.
 * Framing only; what a message means is proto's.
 */
#ifndef VHK_LIB_SOCK_H
#define VHK_LIB_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VHK_MSG_PAYLOAD_MAX 4096
/* All fds of a memory table. More of them are received, too, and closed. */
#define VHK_MSG_FDS_MAX 32

#define VHK_MSG_VERSION 0x1
#define VHK_MSG_VERSION_MASK 0x3
#define VHK_MSG_REPLY 0x4
#define VHK_MSG_NEED_REPLY 0x8

struct vhk_msg_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload, bytes */
};

/* One message. Owns its fds: vhk_msg_take_fd() moves one out, vhk_msg_fini() closes the rest. */
struct vhk_msg {
	struct vhk_msg_hdr hdr;
	unsigned int n_fds;
	int fd[VHK_MSG_FDS_MAX];
	union {
		uint64_t u64;
		unsigned char bytes[VHK_MSG_PAYLOAD_MAX];
	};
};

/* All zero but the number and the flags; VHK_MSG_VERSION is added. */
void vhk_msg_init(struct vhk_msg *m, uint32_t request, uint32_t flags);
int vhk_msg_take_fd(struct vhk_msg *m, unsigned int i); /* -1 when there is none */
void vhk_msg_fini(struct vhk_msg *m);

#define VHK_SOCK_TX_MAX 64

/* A connected socket with a message coming in pieces and answers that did not fit yet. */
struct vhk_sock {
	int fd;
	struct vhk_msg rx; /* as far as it has come */
	uint32_t got; /* bytes of header and payload in rx */
	bool rx_bad; /* too many or late fds, or MSG_CTRUNC: said with the whole message */
	bool lost;   /* the stream cannot be followed any more: -EPROTO for ever */
	bool cut;    /* because the peer hung up inside a message */
	bool reset;  /* the peer closed it and had not read all that was sent */
	struct vhk_tx *tx, **tx_tail; /* not sent yet, in order */
	unsigned int n_tx;
};

void vhk_sock_init_take_fd(struct vhk_sock *s, int fd); /* sets O_NONBLOCK and CLOEXEC */
void vhk_sock_fini(struct vhk_sock *s);

/*
 * The next whole message into @m, which is filled (zeros behind the payload) with 0 and with -EBADF
 * only. -EAGAIN: not all here yet; -ENOTCONN: the peer hung up; -EPROTO: hung up inside a message,
 * or the header cannot be (version, size): the stream is lost. -EBADF: too many, late or truncated
 * fds: the message is whole, its fds are closed, and it is to be refused.
 */
int vhk_sock_recv(struct vhk_sock *s, struct vhk_msg *m);
/*
 * Sends header, payload and fds (borrowed: duplicated where they must wait). 0: sent or queued;
 * -ENOTCONN; -ENOBUFS: the peer does not read its answers; -EINVAL: too long, too many fds or a
 * closed one; -ENOMEM, -EMFILE: it could not be queued.
 */
int vhk_sock_send(struct vhk_sock *s, const struct vhk_msg *m);
/* Sends what is queued: 0 all gone, -EAGAIN: wait for EPOLLOUT, -ENOTCONN. */
int vhk_sock_flush(struct vhk_sock *s);

/* What the kernel passes at most with one byte (SCM_MAX_FD). */
#define VHK_SOCK_FDS_MAX 253
struct vhk_sock_fds {
	unsigned int n;
	bool lost; /* more came than this process may have open */
	int fd[VHK_SOCK_FDS_MAX];
};

/*
 * For passing bytes on. Up to @len of them, and the fds that came with one of them, the caller's.
 * Bytes; -EAGAIN; -ENOTCONN: the end.
 */
ssize_t vhk_sock_read(int sock, void *to, size_t len, struct vhk_sock_fds *fds);
/* Bytes sent, the fds (borrowed) with the first; -EAGAIN; -ENOBUFS: too many fds are on their way
 * already; -EINVAL: a closed one; -ENOTCONN. */
ssize_t vhk_sock_write(int sock, const void *bytes, size_t len, const struct vhk_sock_fds *fds);
void vhk_sock_fds_close(struct vhk_sock_fds *fds);
/* Ends one half: the peer reads to its end, or (@reading) can write no more. */
void vhk_sock_shut(int sock, bool reading);

/*
 * A listening fd, or -errno. A dead socket at @path is replaced; -EADDRINUSE: a live server answers
 * there; -EEXIST: a file that is no socket, left alone; -ENAMETOOLONG; -EINVAL: empty.
 */
int vhk_sock_listen(const char *path);
/* Which file a listening socket's path is. */
struct vhk_sock_file {
	dev_t dev;
	ino_t ino; /* 0: none */
};

void vhk_sock_note_file(struct vhk_sock_file *f, const char *path);
/* The same of the path that a socket was bound to, as long as that is its name. */
void vhk_sock_note_name(struct vhk_sock_file *f, int fd);
/* @path, through symbolic links, is that file. */
bool vhk_sock_is_file(const struct vhk_sock_file *f, const char *path);
/* Unless somebody else's socket is there by now. */
void vhk_sock_remove_file(const struct vhk_sock_file *f, const char *path);
int vhk_sock_accept(int listen_fd); /* fd, -EAGAIN, or -errno */
/* Connected fd, or -errno: -ECONNREFUSED, -ENOENT: nobody there; -EAGAIN: too many wait there
 * already. Never blocks. */
int vhk_sock_connect(const char *path);
/* Connected to each other; 0 or -errno. Both block, for the sake of whom one is sent to, until
 * vhk_sock_init_take_fd(). */
int vhk_sock_pair(int fd[2]);
bool vhk_sock_is_listening(int fd);
/*
 * 0: @fd is a UNIX stream socket that listens or is connected. -EINVAL: no socket; -EAFNOSUPPORT:
 * not a UNIX one; -EPROTOTYPE: not a stream; -ENOTCONN: neither listening nor connected.
 */
int vhk_sock_check(int fd);
/* @fd, of whatever kind, is the other end of @sock's connection; one without a name may get one. */
bool vhk_sock_is_peer(int sock, int fd);
/* The process at the other end, which has to run as the same user or as root (SO_PEERCRED): its
 * id, or -EPERM. */
int vhk_sock_peer_is_ours(int sock);
/* The peer is gone (poll, not read); messages of it may still wait. */
bool vhk_sock_hung_up(int fd);

#endif
