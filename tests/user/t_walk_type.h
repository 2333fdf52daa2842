/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps of a walk: messages that mean something to some device types, and the device that they are
 * for. It refuses them all while it is in that mood.
 */
#ifndef VHK_TESTS_T_WALK_TYPE_H
#define VHK_TESTS_T_WALK_TYPE_H

#include "t_walk.h"

#define STATE_SIZE 200000u /* more than a pipe takes */

static inline int dev_says(void)
{
	return dev.refuse ? -EINVAL : 0;
}

static inline int dev_rarp(void *priv, const uint8_t mac[6])
{
	(void)priv;
	(void)mac;
	return dev_says();
}

static inline int dev_mtu(void *priv, uint16_t mtu)
{
	(void)priv;
	(void)mtu;
	return dev_says();
}

static inline int dev_endian(void *priv, unsigned int queue, bool big)
{
	(void)priv;
	(void)queue;
	(void)big;
	return dev_says();
}

static inline int dev_open_crypto(void *priv, void *data, uint32_t len)
{
	(void)priv;
	memset(data, 0x77, len);
	return dev_says();
}

static inline int dev_close_crypto(void *priv, uint64_t id)
{
	(void)priv;
	(void)id;
	return dev_says();
}

static inline int dev_set_gpu(void *priv, int fd)
{
	(void)priv;
	if (dev.refuse) {
		close(fd);
		return dev_says();
	}
	if (dev.gpu >= 0)
		close(dev.gpu);
	dev.gpu = fd;
	return 0;
}

static inline int dev_get_object(void *priv, const struct vhk_uuid *id, int *fd)
{
	(void)priv;
	if (!dev.refuse && id->bytes[0] & 1)
		*fd = dup(extra);
	return dev_says();
}

static inline unsigned int dev_get_shmem(void *priv, uint64_t *size)
{
	(void)priv;
	size[1] = 0x10000;
	return 1;
}

static inline int dev_restore_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	memcpy(((struct t_echo *)priv)->config + off, buf, len);
	return 0;
}

static inline ssize_t dev_save(void *priv, uint64_t off, void *buf, size_t len)
{
	const size_t n = vhk_min(len, STATE_SIZE - (size_t)off);

	(void)priv;
	memset(buf, 0x3c, n);
	return (ssize_t)n;
}

static inline int dev_load(void *priv, uint64_t off, const void *buf, size_t len)
{
	(void)priv;
	(void)off;
	(void)buf;
	return len ? 0 : dev_says();
}

static inline struct vhk_device *dev_new(struct t_echo *e)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.set_features = t_echo_set_features,
		.get_config = t_echo_get_config,
		.set_config = t_echo_set_config,
		.work = t_echo_work,
		.reset = t_echo_reset,
		.free = t_echo_free,
		.restore_config = dev_restore_config,
		.send_rarp = dev_rarp,
		.set_mtu = dev_mtu,
		.set_endian = dev_endian,
		.open_crypto = dev_open_crypto,
		.close_crypto = dev_close_crypto,
		.set_gpu_take_fd = dev_set_gpu,
		.get_object = dev_get_object,
		.get_shmem = dev_get_shmem,
		.save = dev_save,
		.load = dev_load,
	};
	const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 16,
		.features = VHK_F_RING_ALL,
		.n_queues = T_QUEUES,
		.queue_size = T_QUEUE_SIZE,
		.config_size = T_CONFIG_SIZE,
		.flags = VHK_DEVICE_F_NOTIFIER,
	};
	struct vhk_device *d;

	T_MUST(!vhk_device_new(&d, &info, &ops, e));
	return d;
}

static inline void mood(void)
{
	dev.refuse = one_in(3);
}

static inline void rarp(void)
{
	ask_u64(has(VHK_USER_PF(RARP)) && !dev.refuse, VHK_USER_SEND_RARP, 0x525400123456);
}

static inline void mtu(void)
{
	static const uint64_t some[] = { 68, 1500, 65535, 67, 65536, UINT64_MAX };
	const unsigned int i = below(vhk_array_size(some));

	ask_u64(has(VHK_USER_PF(MTU)) && !dev.refuse && i < 3, VHK_USER_NET_SET_MTU, some[i]);
}

/* Rings are little endian whatever is said. */
static inline void endian(void)
{
	const struct vhk_user_vring_state v = { below(T_QUEUES + 1), below(3) };
	const bool known = has(VHK_USER_PF(CROSS_ENDIAN)) && v.index < T_QUEUES && !v.num;

	ask(known && !dev.refuse && !m.ring[v.index].runs && !m.ring[v.index].waits,
	    VHK_USER_SET_VRING_ENDIAN, &v, sizeof(v), NULL, 0);
}

static inline void crypto(void)
{
	const bool known = has(VHK_USER_PF(CRYPTO_SESSION)) && !dev.refuse;
	unsigned char data[VHK_MSG_PAYLOAD_MAX] = { 1 };
	const uint32_t len = 1 + below(one_in(8) ? VHK_MSG_PAYLOAD_MAX : 64);
	struct vhk_msg a;

	if (one_in(2))
		ask_u64(known, VHK_USER_CLOSE_CRYPTO_SESSION, below(9));
	else if (get(known, VHK_USER_CREATE_CRYPTO_SESSION, data, len, &a))
		T_EQ(a.hdr.size, len);
}

static inline void gpu(void)
{
	int fd[2], how = (int)below(4);

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	ask(how > 1 && !dev.refuse, VHK_USER_GPU_SET_SOCKET, NULL, 0,
	    how == 0   ? &extra
	    : how == 1 ? &u.fd
		       : &fd[1],
	    1);
	close(fd[0]);
	close(fd[1]);
}

static inline void shared_object(void)
{
	struct vhk_user_uuid id = { { (unsigned char)below(4), 9 } };
	struct vhk_msg a;
	bool known = has(VHK_USER_PF(SHARED_OBJECT)) && !dev.refuse;

	if (one_in(4)) {
		memset(&id, one_in(2) ? 0 : 0xff, sizeof(id));
		known = false;
	}
	if (!get_fds(known, VHK_USER_GET_SHARED_OBJECT, &id, sizeof(id), &a))
		return;
	T_EQ(a.n_fds, id.bytes[0] & 1);
	while (a.n_fds)
		close(a.fd[--a.n_fds]);
}

static inline void shmem_config(void)
{
	struct vhk_msg a;

	get(has(VHK_USER_PF(SHMEM)), VHK_USER_GET_SHMEM_CONFIG, NULL, 0, &a);
}

#endif
