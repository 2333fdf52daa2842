/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Serving a device over vhost-user: the back end of the protocol, as socket server or client. One session at a
 * time per back end; when a front end is gone the next one is taken.
 */
#ifndef VHOSTKIT_BACKEND_H
#define VHOSTKIT_BACKEND_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_backend;

/**
 * struct vhk_backend_opts - how a device is served
 * @sz:         sizeof(struct vhk_backend_opts)
 * @log:        where lines go; copied
 * @on_session: called when a front end came (@up) or went; control thread. Optional
 * @arg:        handed to @on_session
 */
struct vhk_backend_opts {
	size_t sz;
	struct vhk_log log;
	void (*on_session)(void *arg, bool up);
	void *arg;
};

/* Binds and listens at @path (replaces a dead socket, never a live one: -EADDRINUSE). @ctl runs the protocol. */
VHK_API int vhk_backend_listen(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
			       const char *path, const struct vhk_backend_opts *o);
/* Connects to a front end that listens at @path, and again, with growing pauses, whenever it is gone. */
VHK_API int vhk_backend_connect(struct vhk_backend **out, struct vhk_loop *ctl,
				struct vhk_device *d, const char *path,
				const struct vhk_backend_opts *o);
/* A listening or a connected socket, told apart by SO_ACCEPTCONN. Closed even on failure. */
VHK_API int vhk_backend_take_fd(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
				int fd, const struct vhk_backend_opts *o);
/* Ends the session, drains its queues for up to a second (runs @ctl for that), removes the socket it made. */
VHK_API void vhk_backend_close(struct vhk_backend *b);

#ifdef __cplusplus
}
#endif

#endif
