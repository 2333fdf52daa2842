// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The file that tells what is in flight: a page that says whose it is, then an inflight region for
 * each queue (vhost-user, "Inflight I/O tracking"), large enough for either layout of the ring.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "ring.h"
#include "vduse_impl.h"

#define FOLDER "/run/vhostkit"
#define HEAD 4096u
#define MAGIC 0x676f6c6573756476u /* "vduselog" */
#define VERSION 1

struct log_head {
	uint64_t magic;
	uint32_t version;
	uint32_t device_id;
	uint64_t offered;
	uint64_t extras;
	uint32_t n_queues;
	uint32_t queue_size;
	uint32_t config_size;
	uint32_t zero;
};

static struct log_head head_of(const struct vhk_vduse *v)
{
	const struct vhk_device_info *info = vhk_device_info(v->dev);

	return (struct log_head){
		.magic = MAGIC,
		.version = VERSION,
		.device_id = info->device_id,
		.offered = v->offered,
		.extras = v->extras,
		.n_queues = v->n_queues,
		.queue_size = info->queue_size,
		.config_size = info->config_size,
	};
}

static size_t region_size(const struct vhk_vduse *v)
{
	const uint16_t size = vhk_device_info(v->dev)->queue_size;

	return vhk_max(vhk_inflight_size(size, false), vhk_inflight_size(size, true));
}

static uint64_t file_size(const struct vhk_vduse *v)
{
	return HEAD + (uint64_t)v->n_queues * region_size(v);
}

void vhk_vduse_log_path(struct vhk_vduse *v, const char *path)
{
	if (path)
		snprintf(v->log.path, sizeof(v->log.path), "%s", path);
	else
		snprintf(v->log.path, sizeof(v->log.path), FOLDER "/%s.inflight", v->name);
}

/* As a memory table of one region, as the rings want it. */
static int map_take_fd(struct vhk_vduse *v, int fd)
{
	const struct vhk_region r = { .size = file_size(v) };
	struct vduse_log *log = &v->log;
	struct iovec seg;
	int ret = vhk_mem_new(&log->mem);

	if (ret) {
		close(fd);
		return ret;
	}
	ret = vhk_mem_add_take_fd(log->mem, &r, fd);
	if (!ret)
		ret = vhk_mem_find(log->mem, (struct vhk_gpa){ 0 }, r.size, &seg, 1) == 1 ? 0 :
											   -EFAULT;
	if (ret) {
		vhk_vduse_log_close(v);
		return ret;
	}
	log->va = seg.iov_base;
	return 0;
}

/* The head is last: a file that has one is whole. */
static int fill(const struct vhk_vduse *v, int fd)
{
	const struct log_head head = head_of(v);

	if (ftruncate(fd, (off_t)file_size(v)))
		return -errno;
	return pwrite(fd, &head, sizeof(head), 0) == sizeof(head) ? 0 : -EIO;
}

int vhk_vduse_log_make(struct vhk_vduse *v)
{
	int fd, ret;

	if (!strncmp(v->log.path, FOLDER "/", sizeof(FOLDER)))
		mkdir(FOLDER, 0700);
	/* A process that was killed may have left one that is another's to keep mapped. */
	unlink(v->log.path);
	fd = open(v->log.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ret = fill(v, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	return map_take_fd(v, fd);
}

int vhk_vduse_log_open(struct vhk_vduse *v)
{
	const struct log_head want = head_of(v);
	struct log_head head;
	int fd = open(v->log.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int ret;

	if (fd < 0)
		return errno == ENOENT ? -ENODATA : -errno;
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || head.magic != MAGIC ||
	    head.version != VERSION)
		ret = -ENODATA;
	else
		ret = memcmp(&head, &want, sizeof(head)) ? -EEXIST : 0;
	if (ret) {
		close(fd);
		return ret;
	}
	ret = map_take_fd(v, fd);
	return ret == -EINVAL ? -ENODATA : ret;
}

void vhk_vduse_log_close(struct vhk_vduse *v)
{
	vhk_mem_free(v->log.mem);
	v->log.mem = NULL;
	v->log.va = NULL;
}

void vhk_vduse_log_remove(struct vhk_vduse *v)
{
	unlink(v->log.path);
}

void vhk_vduse_log_find(const struct vhk_vduse *v, unsigned int idx, void **va, size_t *size)
{
	*size = vhk_inflight_size(vhk_device_info(v->dev)->queue_size, vduse_packed(v));
	*va = v->log.va + HEAD + idx * region_size(v);
}

void vhk_vduse_log_reset(struct vhk_vduse *v, unsigned int idx)
{
	struct vhk_table *t = vhk_mem_table(v->log.mem);
	struct vhk_fault_scope scope;
	size_t size;
	void *va;

	vhk_vduse_log_find(v, idx, &va, &size);
	vhk_fault_enter(&scope, t);
	vhk_inflight_init(va, vhk_device_info(v->dev)->queue_size, vduse_packed(v));
	vhk_fault_leave(&scope);
	vhk_table_put(t);
}
