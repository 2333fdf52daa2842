// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * System calls on VDUSE's files, and nothing else: what a call means is the caller's to know.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base.h"
#include "vduse_kernel.h"

#define FOLDER "/dev/vduse/"
#define GET_FEATURES _IOR(VDUSE_BASE, 0x04, __u64)
#define SET_FEATURES _IOW(VDUSE_BASE, 0x05, __u64)

_Static_assert(sizeof(struct vduse_dev_request) == 152, "request");
_Static_assert(sizeof(struct vduse_dev_response) == 152, "response");

static int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* A signal may come before anything was done. */
static int open_file(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_RDWR | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int vhk_vduse_open_control(void)
{
	return open_file(FOLDER "control", 0);
}

int vhk_vduse_open_device(const char *name)
{
	char path[sizeof(FOLDER) + VDUSE_NAME_MAX];

	snprintf(path, sizeof(path), FOLDER "%s", name);
	return open_file(path, O_NONBLOCK);
}

/* Kernels before the call say -EINVAL or -ENOTTY; they have none of the features. */
static int agree_on_features(int control, uint64_t *features)
{
	uint64_t has = 0, want;

	if (call(control, GET_FEATURES, &has))
		has = 0;
	want = *features & has;
	*features = want;
	return want ? call(control, SET_FEATURES, &want) : 0;
}

int vhk_vduse_negotiate(int control, uint64_t *api, uint64_t *features)
{
	uint64_t v;
	int ret = call(control, VDUSE_GET_API_VERSION, &v);

	if (ret)
		return ret;
	v = vhk_min(v, (uint64_t)VHK_VDUSE_API);
	v = vhk_min(v, *api);
	*api = v;
	ret = call(control, VDUSE_SET_API_VERSION, &v);
	if (ret || !*api) {
		*features = 0;
		return ret;
	}
	return agree_on_features(control, features);
}

int vhk_vduse_create(int control, const struct vduse_dev_config *c)
{
	return call(control, VDUSE_CREATE_DEV, (void *)c);
}

int vhk_vduse_destroy_device(int control, const char *name)
{
	char padded[VDUSE_NAME_MAX] = { 0 };

	snprintf(padded, sizeof(padded), "%s", name);
	return call(control, VDUSE_DESTROY_DEV, padded);
}

int vhk_vduse_setup_queue(int fd, uint32_t idx, uint16_t max_size)
{
	struct vduse_vq_config c = { .index = idx, .max_size = max_size };

	return call(fd, VDUSE_VQ_SETUP, &c);
}

int vhk_vduse_queue_info(int fd, struct vduse_vq_info *info)
{
	return call(fd, VDUSE_VQ_GET_INFO, info);
}

int vhk_vduse_set_kick(int fd, uint32_t idx, int kick)
{
	struct vduse_vq_eventfd e = { idx, kick < 0 ? VDUSE_EVENTFD_DEASSIGN : kick };

	return call(fd, VDUSE_VQ_SETUP_KICKFD, &e);
}

int vhk_vduse_features(int fd, uint64_t *features)
{
	return call(fd, VDUSE_DEV_GET_FEATURES, features);
}

int vhk_vduse_set_config(int fd, uint32_t off, const void *buf, uint32_t len)
{
	struct vduse_config_data *c = calloc(1, sizeof(*c) + len);
	int ret;

	if (!c)
		return -ENOMEM;
	c->offset = off;
	c->length = len;
	memcpy(c->buffer, buf, len);
	ret = call(fd, VDUSE_DEV_SET_CONFIG, c);
	free(c);
	return ret;
}

int vhk_vduse_inject_config(int fd)
{
	return call(fd, VDUSE_DEV_INJECT_CONFIG_IRQ, NULL);
}

int vhk_vduse_inject(int fd, uint32_t idx)
{
	return call(fd, VDUSE_VQ_INJECT_IRQ, &idx);
}

/* The kernel hands the file out without O_CLOEXEC; it is closed again as soon as it is mapped. */
int vhk_vduse_find_region(int fd, struct vduse_iotlb_entry *e)
{
	int file = call(fd, VDUSE_IOTLB_GET_FD, e);

	if (file == -EINVAL)
		return -ENOENT;
	if (file >= 0)
		fcntl(file, F_SETFD, FD_CLOEXEC);
	return file;
}

int vhk_vduse_read(int fd, struct vduse_dev_request *req)
{
	ssize_t n = read(fd, req, sizeof(*req));

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n == sizeof(*req) ? 0 : -EPROTO;
}

int vhk_vduse_write(int fd, const struct vduse_dev_response *resp)
{
	ssize_t n;

	do
		n = write(fd, resp, sizeof(*resp));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(*resp) ? 0 : -EPROTO;
}

int vhk_vduse_new_kick(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int vhk_vduse_take_kick(int kick)
{
	uint64_t v;

	return read(kick, &v, sizeof(v)) == sizeof(v);
}
