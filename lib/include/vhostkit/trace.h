/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Standing between a front end and a back end of vhost-user: every byte and every file descriptor
 * passes on as it came, and the caller is told what was said, decoded, with what broke the rules of
 * the protocol. `vhk trace` is made of it.
 *
 * Passing on. Bytes leave in the order and with the file descriptors they came with; messages that
 * nobody knows pass untouched; what is no message at all passes as it is. One side that does not
 * read stops the other from being read, so memory is bounded. A side that ends its half of the
 * connection ends it for the other side, and what was on its way still arrives. Only the file
 * descriptor in SET_BACKEND_REQ_FD is another one: one end of a pair of our own, so that the
 * back end's requests pass here, too. Kick, call and memory file descriptors are handed on as they
 * are: the data path does not pass here.
 *
 * Threads. A trace belongs to the thread of its loop.
 */
#ifndef VHOSTKIT_TRACE_H
#define VHOSTKIT_TRACE_H

#include <vhostkit/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_trace;

/** Payload bytes of a message that are shown; the rest passes unseen. */
#define VHK_TRACE_PAYLOAD_MAX 4096
/** File descriptors of a message that are looked at; more pass all the same. */
#define VHK_TRACE_FDS_MAX 32
/** Broken rules that one message can have; the first ones are told. */
#define VHK_TRACE_WRONG_MAX 4

/**
 * enum vhk_trace_side - one of the two ends
 * @VHK_TRACE_FRONT: the front end
 * @VHK_TRACE_BACK:  the back end
 */
enum vhk_trace_side {
	VHK_TRACE_FRONT,
	VHK_TRACE_BACK,
};

/**
 * enum vhk_trace_fd_kind - what a file descriptor is
 * @VHK_TRACE_FD_OTHER:   something else, or unknown
 * @VHK_TRACE_FD_EVENTFD: an eventfd
 * @VHK_TRACE_FD_MEMFD:   a memfd; has a size
 * @VHK_TRACE_FD_FILE:    a file, on whatever file system; has a size
 * @VHK_TRACE_FD_SOCKET:  a socket
 * @VHK_TRACE_FD_PIPE:    a pipe or FIFO
 * @VHK_TRACE_FD_UFFD:    a userfaultfd
 * @VHK_TRACE_FD_DEVICE:  a character or block device
 */
enum vhk_trace_fd_kind {
	VHK_TRACE_FD_OTHER,
	VHK_TRACE_FD_EVENTFD,
	VHK_TRACE_FD_MEMFD,
	VHK_TRACE_FD_FILE,
	VHK_TRACE_FD_SOCKET,
	VHK_TRACE_FD_PIPE,
	VHK_TRACE_FD_UFFD,
	VHK_TRACE_FD_DEVICE,
};

/**
 * struct vhk_trace_fd - a file descriptor that went with a message
 * @kind: what it is
 * @size: bytes, of a memfd or file; 0 otherwise
 */
struct vhk_trace_fd {
	enum vhk_trace_fd_kind kind;
	uint64_t size;
};

/**
 * struct vhk_trace_msg - one message; everything in it lasts for the call only
 * @session:      counts connections, from 1
 * @when_ns:      when its last byte came, CLOCK_MONOTONIC, ns
 * @from:         who sent it
 * @back_channel: on the back end's channel (SET_BACKEND_REQ_FD)
 * @reply:        a reply
 * @request:      its number
 * @flags:        as on the wire
 * @size:         of the payload, as its header says, bytes
 * @name:         as in the specification without its prefix; NULL: unknown
 * @payload:      its first @payload_len bytes
 * @payload_len:  @size, but at most VHK_TRACE_PAYLOAD_MAX
 * @n_fds:        file descriptors that came with it
 * @fd:           what the first VHK_TRACE_FDS_MAX of them are
 * @answers:      a reply to a request that was seen: @latency_ns holds
 * @latency_ns:   from that request's arrival here to the reply's, ns
 * @refused:      a reply that says no
 * @n_wrong:      rules that it breaks, at most VHK_TRACE_WRONG_MAX
 * @wrong:        each in a few words
 */
struct vhk_trace_msg {
	uint64_t session;
	uint64_t when_ns;
	enum vhk_trace_side from;
	bool back_channel;
	bool reply;
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	const char *name;
	const unsigned char *payload;
	uint32_t payload_len;
	unsigned int n_fds;
	const struct vhk_trace_fd *fd;
	bool answers;
	uint64_t latency_ns;
	bool refused;
	unsigned int n_wrong;
	const char *const *wrong;
};

/**
 * enum vhk_trace_field_kind - how a field reads
 * @VHK_TRACE_NUMBER:   a number
 * @VHK_TRACE_ADDRESS:  an address or offset: hexadecimal
 * @VHK_TRACE_SIZE:     bytes
 * @VHK_TRACE_FEATURES: virtio feature bits
 * @VHK_TRACE_PROTOCOL: protocol feature bits; vhk_ctl_protocol_name() names them
 * @VHK_TRACE_STATUS:   device status bits (virtio 1.3, 2.1)
 * @VHK_TRACE_CHOICE:   one of several; the field's @text names it, NULL where it is none of them
 * @VHK_TRACE_BYTES:    @len bytes
 * @VHK_TRACE_UUID:     16 bytes
 */
enum vhk_trace_field_kind {
	VHK_TRACE_NUMBER,
	VHK_TRACE_ADDRESS,
	VHK_TRACE_SIZE,
	VHK_TRACE_FEATURES,
	VHK_TRACE_PROTOCOL,
	VHK_TRACE_STATUS,
	VHK_TRACE_CHOICE,
	VHK_TRACE_BYTES,
	VHK_TRACE_UUID,
};

/**
 * struct vhk_trace_field - a part of a payload
 * @name:  what it is called
 * @list:  name of the list whose element @item it is part of; NULL: of none
 * @item:  from 0
 * @kind:  how it reads
 * @value: unless bytes or a UUID
 * @text:  of a choice
 * @bytes: of bytes and UUIDs, inside the payload
 * @len:   of @bytes
 */
struct vhk_trace_field {
	const char *name;
	const char *list;
	unsigned int item;
	enum vhk_trace_field_kind kind;
	uint64_t value;
	const char *text;
	const unsigned char *bytes;
	uint32_t len;
};

/**
 * typedef vhk_trace_field_fn - takes one field
 * @arg: from vhk_trace_fields()
 * @f:   lasts for the call
 */
typedef void vhk_trace_field_fn(void *arg, const struct vhk_trace_field *f);

/**
 * vhk_trace_fields() - take a payload apart
 * @m:   @request, @back_channel, @reply, @payload and @payload_len count, so that a message from
 *       elsewhere can be taken apart, too
 * @fn:  called for each field, in the order of the wire
 * @arg: for @fn
 *
 * Nothing is asked of the payload: of one that is too short the fields that are there are told, of
 * one that is too long, or of an unknown message, the rest as bytes.
 */
VHK_API void vhk_trace_fields(const struct vhk_trace_msg *m, vhk_trace_field_fn *fn, void *arg);

/**
 * vhk_trace_name() - the name of a message
 * @request:      its number
 * @back_channel: of those of the back end's channel
 *
 * Return: as in the specification without its prefix, static; NULL: unknown.
 */
VHK_API const char *vhk_trace_name(uint32_t request, bool back_channel);

/**
 * struct vhk_trace_end - how a session ended
 * @session:      its number
 * @first:        who hung up first
 * @features:     virtio features that were set in the end, out of those offered
 * @protocol:     protocol features likewise
 * @unanswered:   requests whose answer never came
 * @left_alone:   name of the first of them, or NULL
 * @undelivered:  messages or parts of them that came for a side that was gone
 * @error:        0, or the -errno with which the passing on itself failed
 */
struct vhk_trace_end {
	uint64_t session;
	enum vhk_trace_side first;
	uint64_t features;
	uint64_t protocol;
	unsigned int unanswered;
	const char *left_alone;
	uint64_t undelivered;
	int error;
};

/**
 * struct vhk_trace_ops - what the caller is told, in the loop's thread; any may be NULL
 * @sz:      sizeof(struct vhk_trace_ops)
 * @begin:   both sides are connected
 * @message: a whole message has come, and has been passed on as far as its receiver takes it
 * @raw:     what @from sends is no message: from here on this channel passes unseen, in both
 *           directions. Once per channel
 * @end:     the session is over
 *
 * None of them may close the trace.
 */
struct vhk_trace_ops {
	size_t sz;
	void (*begin)(void *arg, uint64_t session);
	void (*message)(void *arg, const struct vhk_trace_msg *m);
	void (*raw)(void *arg, uint64_t session, enum vhk_trace_side from, bool back_channel,
		    const char *why);
	void (*end)(void *arg, const struct vhk_trace_end *e);
};

/**
 * One session only; the loop is stopped after it, and after one that came to nothing because the
 * other end could not be reached.
 */
#define VHK_TRACE_F_ONCE 0x1
#define VHK_TRACE_F_ALL 0x1

/**
 * struct vhk_trace_opts - how to trace
 * @sz:    sizeof(struct vhk_trace_opts)
 * @flags: VHK_TRACE_F_*
 * @log:   where lines go; copied
 * @poll_ns: longest time to stay awake for the next message, ns, since they come in bursts; lone
 *         ones are soon not waited for. Up to 10,000,000; 0: default (200,000; with one processor:
 *         never); UINT64_MAX: never
 */
struct vhk_trace_opts {
	size_t sz;
	uint32_t flags;
	struct vhk_log log;
	uint64_t poll_ns;
};

/**
 * vhk_trace_open() - stand between two ends
 * @out:   the trace, the caller's; untouched on failure
 * @l:     borrowed; runs it
 * @front: where the front end is: "listen:PATH" (it connects to us), "unix:PATH" (we connect to it)
 *         or "fd:N" (a socket, ours from then on, even on failure); a dead socket at PATH is
 *         replaced
 * @back:  where the back end is, likewise
 * @ops:   copied; NULL: nothing is told
 * @arg:   for @ops
 * @o:     borrowed for the call; NULL: defaults
 *
 * Sessions follow one another, for as long as the loop runs. A side that connects to us is waited
 * for first, and then the other is connected to; where nobody is there the first one is let go,
 * with a line at VHK_LOG_WARN. Two sides that both have to be connected to are tried again and
 * again. What a side said before it hung up reaches the other, unless that takes nothing of it for
 * one to two seconds: then the session ends, with the rest undelivered.
 *
 * Return: 0; -EINVAL: no such URI, a socket that is none, or an option is out of range;
 * -EADDRINUSE: somebody else listens there; -EEXIST: a file that is no socket is there;
 * -ENAMETOOLONG; -EOPNOTSUPP: unknown flag, or an option that this version does not know; -ENOMEM,
 * or what the kernel said.
 */
VHK_API int vhk_trace_open(struct vhk_trace **out, struct vhk_loop *l, const char *front,
			   const char *back, const struct vhk_trace_ops *ops, void *arg,
			   const struct vhk_trace_opts *o);

/**
 * vhk_trace_close() - stand aside
 * @t: or NULL
 *
 * A session under way is ended, and told so. Sockets that were listened at are removed.
 */
VHK_API void vhk_trace_close(struct vhk_trace *t);

#ifdef __cplusplus
}
#endif

#endif
