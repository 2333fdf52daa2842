/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user-gpu protocol: what a graphics device draws, on its way to whoever shows it. The
 * front end makes the pair of sockets and hands one over (vhk_ctl_gpu_set_socket()); the device
 * takes it (vhk_device_ops.set_gpu_take_fd). The device's end asks, the display's end answers, and
 * both are objects of the same kind: no loop, no thread, one fd to be watched.
 */
#ifndef VHOSTKIT_GPU_H
#define VHOSTKIT_GPU_H

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One end of a connection. One thread at a time */
struct vhk_gpu;

/**
 * enum vhk_gpu_op - the messages (vhost-user-gpu, "Message types")
 *
 * Asked by the device's end; answered are 1, 3, 10 and 11.
 */
enum vhk_gpu_op {
	VHK_GPU_GET_PROTOCOL_FEATURES = 1,
	VHK_GPU_SET_PROTOCOL_FEATURES = 2,
	VHK_GPU_GET_DISPLAY_INFO = 3,
	VHK_GPU_CURSOR_POS = 4,
	VHK_GPU_CURSOR_POS_HIDE = 5,
	VHK_GPU_CURSOR_UPDATE = 6,
	VHK_GPU_SCANOUT = 7,
	VHK_GPU_UPDATE = 8,
	VHK_GPU_DMABUF_SCANOUT = 9,
	VHK_GPU_DMABUF_UPDATE = 10,
	VHK_GPU_GET_EDID = 11,
	VHK_GPU_DMABUF_SCANOUT2 = 12,
	VHK_GPU_OP_MAX = 12,
};

/** VHK_GPU_GET_EDID may be asked. */
#define VHK_GPU_F_EDID (1ULL << 0)
/** VHK_GPU_DMABUF_SCANOUT2 may be sent. */
#define VHK_GPU_F_DMABUF2 (1ULL << 1)
#define VHK_GPU_F_ALL (VHK_GPU_F_EDID | VHK_GPU_F_DMABUF2)

#define VHK_GPU_SCANOUTS_MAX 16
#define VHK_GPU_CURSOR_SIDE 64
#define VHK_GPU_EDID_MAX 1024
/** Width and height of an update, at most. */
#define VHK_GPU_SIDE_MAX 8192

/**
 * struct vhk_gpu_cursor - where the cursor is, and what it looks like
 * @scanout: 0 to VHK_GPU_SCANOUTS_MAX - 1
 * @x:       pixels
 * @y:       pixels
 * @hot_x:   CURSOR_UPDATE: the point of it that points
 * @hot_y:   likewise
 */
struct vhk_gpu_cursor {
	uint32_t scanout;
	uint32_t x, y;
	uint32_t hot_x, hot_y;
};

/**
 * struct vhk_gpu_rect - a scanout, or a part of it
 * @scanout: 0 to VHK_GPU_SCANOUTS_MAX - 1
 * @x:       pixels; SCANOUT: 0
 * @y:       likewise
 * @w:       pixels; SCANOUT: 0 and 0 turn it off
 * @h:       likewise
 */
struct vhk_gpu_rect {
	uint32_t scanout;
	uint32_t x, y;
	uint32_t w, h;
};

/**
 * struct vhk_gpu_dmabuf - a scanout that lies in a DMA buffer
 * @rect:     where in the buffer; a width and height of 0 turn it off
 * @fd_w:     width of the buffer, pixels
 * @fd_h:     its height
 * @stride:   bytes from line to line
 * @flags:    of the resource
 * @fourcc:   format of a pixel
 * @modifier: DMABUF_SCANOUT2: layout of the buffer
 */
struct vhk_gpu_dmabuf {
	struct vhk_gpu_rect rect;
	uint32_t fd_w, fd_h;
	uint32_t stride;
	uint32_t flags;
	int32_t fourcc;
	uint64_t modifier;
};

/**
 * struct vhk_gpu_display - one of the displays that are preferred (virtio 1.3, 5.7.6.7,
 * VIRTIO_GPU_CMD_GET_DISPLAY_INFO)
 * @x:       where it is
 * @y:       likewise
 * @w:       its size, pixels
 * @h:       likewise
 * @enabled: not 0: it is there
 * @flags:   reserved
 */
struct vhk_gpu_display {
	uint32_t x, y;
	uint32_t w, h;
	uint32_t enabled;
	uint32_t flags;
};

/**
 * struct vhk_gpu_msg - a message, or the answer to one
 * @op:       which
 * @fd:       DMABUF_SCANOUT, DMABUF_SCANOUT2: the buffer, or -1 to turn the scanout off; borrowed
 *            where it is sent, the callee's where it is received. -1 in all others
 * @features: GET_PROTOCOL_FEATURES (answer), SET_PROTOCOL_FEATURES: VHK_GPU_F_*
 * @cursor:   CURSOR_POS, CURSOR_POS_HIDE, CURSOR_UPDATE
 * @rect:     SCANOUT, UPDATE, DMABUF_UPDATE
 * @dmabuf:   DMABUF_SCANOUT, DMABUF_SCANOUT2
 * @display:  GET_DISPLAY_INFO (answer): VHK_GPU_SCANOUTS_MAX of them
 * @scanout:  GET_EDID: which
 * @data:     UPDATE: rect.w * rect.h pixels of 4 bytes (x8r8g8b8); CURSOR_UPDATE: 64 * 64 of them
 *            (a8r8g8b8); GET_EDID (answer): the EDID. Borrowed
 * @len:      bytes of @data
 */
struct vhk_gpu_msg {
	enum vhk_gpu_op op;
	int fd;
	union {
		uint64_t features;
		struct vhk_gpu_cursor cursor;
		struct vhk_gpu_rect rect;
		struct vhk_gpu_dmabuf dmabuf;
		const struct vhk_gpu_display *display;
		uint32_t scanout;
	};
	const void *data;
	size_t len;
};

/**
 * typedef vhk_gpu_fn - a message is here
 * @arg: the caller's own
 * @m:   the message; of no use after the function has returned, but for @m->fd. NULL: the answer
 *       will not come, the connection is gone
 *
 * From within vhk_gpu_process(), and, for answers that will not come, whatever finds the connection
 * gone. May send and answer, may not free.
 */
typedef void vhk_gpu_fn(void *arg, const struct vhk_gpu_msg *m);

/**
 * vhk_gpu_new() - the device's end
 * @out: the end, the caller's; NULL on failure
 * @fd:  a connected stream socket; the end's, closed even on failure
 * @log: where lines go; copied. NULL: nowhere
 *
 * Return: 0; -EINVAL no connected stream socket; -ENOMEM.
 */
VHK_API int vhk_gpu_new(struct vhk_gpu **out, int fd, const struct vhk_log *log);

/**
 * vhk_gpu_new_display() - the display's end
 * @out:      the end, the caller's; NULL on failure
 * @fd:       a connected stream socket; the end's, closed even on failure
 * @features: VHK_GPU_F_*, a mask: what is offered
 * @serve:    gets the device's messages. Those that are answered are answered with
 *            vhk_gpu_answer(), now or later
 * @arg:      handed to @serve
 * @log:      where lines go; copied. NULL: nowhere
 *
 * Return: 0; -EINVAL no connected stream socket; -EOPNOTSUPP unknown feature; -ENOMEM.
 */
VHK_API int vhk_gpu_new_display(struct vhk_gpu **out, int fd, uint64_t features, vhk_gpu_fn *serve,
				void *arg, const struct vhk_log *log);

/**
 * vhk_gpu_free() - hang up
 * @g: NULL is accepted
 */
VHK_API void vhk_gpu_free(struct vhk_gpu *g);

/**
 * vhk_gpu_fd() - what to watch
 * @g: the end
 *
 * Return: the socket, borrowed.
 */
VHK_API int vhk_gpu_fd(const struct vhk_gpu *g);

/**
 * vhk_gpu_events() - what to watch it for
 * @g: the end
 *
 * To be asked again after each call that sends or processes.
 * Return: EPOLLIN, EPOLLOUT, a mask; 0 after the connection is gone.
 */
VHK_API uint32_t vhk_gpu_events(const struct vhk_gpu *g);

/**
 * vhk_gpu_process() - send and receive what can be; never waits
 * @g: the end
 *
 * Return: 0; -ENOTCONN the other end hung up; -EPROTO it broke the protocol, and was hung up on.
 */
VHK_API int vhk_gpu_process(struct vhk_gpu *g);

/**
 * vhk_gpu_features() - what was settled
 * @g: the end
 *
 * Return: VHK_GPU_F_*, a mask.
 */
VHK_API uint64_t vhk_gpu_features(const struct vhk_gpu *g);

/**
 * vhk_gpu_send() - ask, or tell; never waits
 * @g:    the device's end
 * @m:    what; borrowed for the call, its fd and data as well
 * @done: gets the answer, in the order of the questions. Needed for messages that are answered,
 *        NULL for others
 * @arg:  handed to @done
 *
 * Return: 0; -EINVAL a value is out of range, or @done is missing; -EOPNOTSUPP not negotiated, or
 * not the device's end; -ENOBUFS the display does not keep up; -ENOTCONN; -ENOMEM; -EMFILE.
 */
VHK_API int vhk_gpu_send(struct vhk_gpu *g, const struct vhk_gpu_msg *m, vhk_gpu_fn *done,
			 void *arg);

/**
 * vhk_gpu_answer() - answer the oldest message that has to be
 * @g: the display's end
 * @m: the answer; its op is that of the message. Borrowed for the call
 *
 * GET_PROTOCOL_FEATURES is answered by the library.
 * Return: 0; -EINVAL it answers another message, or a value is out of range; -EOPNOTSUPP not the
 * display's end; -ENOBUFS; -ENOTCONN; -ENOMEM.
 */
VHK_API int vhk_gpu_answer(struct vhk_gpu *g, const struct vhk_gpu_msg *m);

/**
 * vhk_gpu_op_name() - name of a message
 * @op: which
 *
 * Return: the name in the specification without its prefix, static; NULL: unknown.
 */
VHK_API const char *vhk_gpu_op_name(enum vhk_gpu_op op);

#ifdef __cplusplus
}
#endif

#endif
