/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device with an operation for each message that belongs to some device type, and with questions
 * of its own: it keeps what it is told, and refuses while it is told to.
 */
#ifndef VHK_TESTS_T_TYPES_H
#define VHK_TESTS_T_TYPES_H

#include <sys/mman.h>

#include <vhostkit/device_ask.h>

#include "base.h"
#include "t.h"

#define T_TYPES_QUEUES 2
#define T_TYPES_CONFIG 16
#define T_SHMEM_SIZE 0x10000

struct t_types {
	struct vhk_device *dev;
	bool refuse;
	unsigned int n_calls;
	/* What was told last. */
	uint8_t mac[6];
	uint16_t mtu;
	unsigned int endian_queue;
	bool endian_big;
	uint64_t crypto_closed;
	int gpu_fd;
	bool migrated;
	unsigned char config[T_TYPES_CONFIG];
	struct vhk_uuid object; /* the one it has */
};

static inline int t_types_said(struct t_types *t)
{
	t->n_calls++;
	return t->refuse ? -EINVAL : 0;
}

static inline int t_types_rarp(void *priv, const uint8_t mac[6])
{
	memcpy(((struct t_types *)priv)->mac, mac, 6);
	return t_types_said(priv);
}

static inline int t_types_mtu(void *priv, uint16_t mtu)
{
	((struct t_types *)priv)->mtu = mtu;
	return t_types_said(priv);
}

static inline int t_types_endian(void *priv, unsigned int queue, bool big)
{
	struct t_types *t = priv;

	t->endian_queue = queue;
	t->endian_big = big;
	return t_types_said(t);
}

/* Answers with the bytes turned around. */
static inline int t_types_open_crypto(void *priv, void *data, uint32_t len)
{
	unsigned char *b = data;
	uint32_t i;

	for (i = 0; i < len; i++)
		b[i] ^= 0xff;
	return t_types_said(priv);
}

static inline int t_types_close_crypto(void *priv, uint64_t id)
{
	((struct t_types *)priv)->crypto_closed = id;
	return t_types_said(priv);
}

static inline int t_types_gpu(void *priv, int fd)
{
	struct t_types *t = priv;

	if (t->refuse) {
		close(fd);
		return t_types_said(t);
	}
	if (t->gpu_fd >= 0)
		close(t->gpu_fd);
	t->gpu_fd = fd;
	return t_types_said(t);
}

static inline int t_types_object(void *priv, const struct vhk_uuid *id, int *fd)
{
	struct t_types *t = priv;

	if (!t->refuse && !memcmp(id, &t->object, sizeof(*id)))
		*fd = memfd_create("object", MFD_CLOEXEC);
	return t_types_said(t);
}

/* Regions 1 and 200. */
static inline unsigned int t_types_shmem(void *priv, uint64_t *size)
{
	(void)priv;
	size[1] = T_SHMEM_SIZE;
	size[200] = 4096;
	return 2;
}

static inline int t_types_get_config(void *priv, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, ((struct t_types *)priv)->config + off, len);
	return 0;
}

/* Byte 0 is the driver's to write, a migration writes all. */
static inline int t_types_set_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	struct t_types *t = priv;

	if (off || len != 1)
		return -EINVAL;
	t->migrated = false;
	memcpy(t->config, buf, len);
	return t_types_said(t);
}

static inline int t_types_restore_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	struct t_types *t = priv;

	t->migrated = true;
	memcpy(t->config + off, buf, len);
	return t_types_said(t);
}

static inline void t_types_work(void *priv, struct vhk_queue *q, struct vhk_chain **c,
				unsigned int n)
{
	unsigned int i;

	(void)priv;
	for (i = 0; i < n; i++)
		vhk_queue_done(q, c[i], c[i]->in_len);
}

static inline void t_types_init(struct t_types *t)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.get_config = t_types_get_config,
		.set_config = t_types_set_config,
		.work = t_types_work,
		.restore_config = t_types_restore_config,
		.send_rarp = t_types_rarp,
		.set_mtu = t_types_mtu,
		.set_endian = t_types_endian,
		.open_crypto = t_types_open_crypto,
		.close_crypto = t_types_close_crypto,
		.set_gpu_take_fd = t_types_gpu,
		.get_object = t_types_object,
		.get_shmem = t_types_shmem,
	};
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 16,
		.features = VHK_F_RING_ALL,
		.n_queues = T_TYPES_QUEUES,
		.queue_size = 256,
		.config_size = T_TYPES_CONFIG,
		.flags = VHK_DEVICE_F_NOTIFIER,
	};

	memset(t, 0, sizeof(*t));
	t->gpu_fd = -1;
	memset(&t->object, 0x5a, sizeof(t->object));
	T_MUST(!vhk_device_new(&t->dev, &info, &ops, t));
}

static inline void t_types_fini(struct t_types *t)
{
	vhk_device_free(t->dev);
	if (t->gpu_fd >= 0)
		close(t->gpu_fd);
}

#endif
