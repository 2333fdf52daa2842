/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Serving a device through VDUSE (Linux, Documentation/userspace-api/vduse.rst): it becomes a vDPA
 * device of this host, used by virtio_vdpa as a disk or network card of the host itself, or by
 * vhost_vdpa for a virtual machine. Needs the kernel module vduse, and rights on /dev/vduse.
 *
 * The kernel's device outlives the process that serves it. Who opens the same name later goes on
 * where the former process stopped, was it killed or not: which requests are under way is written
 * to a file. Attaching a device to the vDPA bus, and taking it off, is not done here (vdpa(8):
 * `vdpa dev add name NAME mgmtdev vduse`); both wait for answers of the process that serves it.
 */
#ifndef VHOSTKIT_VDUSE_H
#define VHOSTKIT_VDUSE_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A device served through VDUSE. Belongs to the thread that runs its control loop. */
struct vhk_vduse;

/**
 * enum vhk_vduse_state - what became of a device
 * @VHK_VDUSE_IDLE:   no driver uses it
 * @VHK_VDUSE_UP:     a driver has started it (DRIVER_OK)
 * @VHK_VDUSE_BROKEN: the kernel has given it up, because an answer took longer than its msg_timeout
 *                    (30 s): it can only be taken away
 */
enum vhk_vduse_state {
	VHK_VDUSE_IDLE,
	VHK_VDUSE_UP,
	VHK_VDUSE_BROKEN,
};

/**
 * struct vhk_vduse_opts - how a device is served
 * @sz:        sizeof(struct vhk_vduse_opts)
 * @log:       where lines go; copied. Each names the device. Queues' threads do not call it
 * @inflight:  path of the file that tells of requests under way; copied. It belongs on a file
 *             system that is empty after a reboot, as the kernel's devices are gone by then. NULL:
 *             /run/vhostkit/NAME.inflight, whose folder is made
 * @without:   features of the device that are not offered, a mask
 * @wait_ms:   how long to wait for a process that was killed to let go of the device, ms. 0:
 *             default (5,000)
 * @on_state:  called when the state changed; control thread. It must not close the device. Optional
 * @arg:       handed to @on_state
 */
struct vhk_vduse_opts {
	size_t sz;
	struct vhk_log log;
	const char *inflight;
	uint64_t without;
	uint32_t wait_ms;
	void (*on_state)(void *arg, enum vhk_vduse_state state);
	void *arg;
};

/**
 * vhk_vduse_open() - make a device of the kernel's, or take over one, and serve it
 * @out:  the caller's; NULL on failure
 * @ctl:  loop that answers the kernel; outlives it
 * @d:    the device; outlives it, and is served by no other. The kernel takes disks, and network
 *        cards from who has CAP_NET_ADMIN
 * @name: of the device, 1 to 255 bytes without slashes and control characters, and none of ".",
 *        ".." and "control"; its file is /dev/vduse/NAME
 * @o:    options, or NULL
 *
 * Offered are the device's features without those that VDUSE cannot carry (a disk's CONFIG_WCE)
 * and with VHK_F_ACCESS_PLATFORM, which it asks for. A device of that name that nobody serves and
 * that is not attached is made anew. One that is attached is taken over, if it was made by this
 * function for a device of the same shape: queues, their size, features and configuration size.
 *
 * Return: 0; -ENOENT: this kernel has no VDUSE, or its module is not loaded; -EACCES, -EPERM: no
 * rights; -EBUSY: another process serves @name, or @d is served already; -EEXIST: @name is attached
 * and of another shape, or not made by this function; -ENODATA: @name is in use, and the file with
 * its requests under way is gone or is not its own; -EINVAL: a name or an option is wrong, or the
 * kernel does not take such a device; -EOPNOTSUPP: an option is unknown; -ENOMEM; what the kernel
 * said.
 */
VHK_API int vhk_vduse_open(struct vhk_vduse **out, struct vhk_loop *ctl, struct vhk_device *d,
			   const char *name, const struct vhk_vduse_opts *o);

/**
 * vhk_vduse_close() - serve it no longer, and leave it in the kernel
 * @v: NULL is accepted
 *
 * Stops all queues and waits up to a second for requests under way, running the control loop
 * meanwhile; the device's other loops must still run. A driver that uses the device waits until
 * somebody opens it again. A device that does not come to rest in time keeps what it works with,
 * stays held, and the process should end: nothing is lost.
 */
VHK_API void vhk_vduse_close(struct vhk_vduse *v);

/**
 * vhk_vduse_destroy() - serve it no longer, and take it away
 * @v: closed in every case
 *
 * The file of requests under way goes with it.
 *
 * Return: 0; -EBUSY: it is attached to the vDPA bus still, or does not come to rest: it stays as
 * after vhk_vduse_close(); what the kernel said.
 */
VHK_API int vhk_vduse_destroy(struct vhk_vduse *v);

#ifdef __cplusplus
}
#endif

#endif
