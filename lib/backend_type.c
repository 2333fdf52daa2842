// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages that mean something to some device types only: carried to the device as they are. A
 * device without the operation does not have their protocol feature, so they seldom come this far.
 */
#include <unistd.h>

#include "backend_impl.h"
#include "fd.h"

static const struct vhk_device_ops *ops_of(const struct vhk_session *s)
{
	return vhk_device_ops(s->backend->dev);
}

static void *priv_of(const struct vhk_session *s)
{
	return vhk_device_priv(s->backend->dev);
}

uint64_t vhk_session_type_features(const struct vhk_device *d)
{
	const struct vhk_device_ops *ops = vhk_device_ops(d);
	uint64_t f = 0;

	if (ops->send_rarp)
		f |= VHK_USER_PF(RARP);
	if (ops->set_mtu)
		f |= VHK_USER_PF(MTU);
	if (ops->set_endian)
		f |= VHK_USER_PF(CROSS_ENDIAN);
	if (ops->open_crypto)
		f |= VHK_USER_PF(CRYPTO_SESSION);
	if (ops->get_object)
		f |= VHK_USER_PF(SHARED_OBJECT);
	if (ops->get_shmem)
		f |= VHK_USER_PF(SHMEM) | VHK_USER_PF(BACKEND_SEND_FD);
	if (vhk_device_info(d)->flags & VHK_DEVICE_F_NOTIFIER)
		f |= VHK_USER_PF(HOST_NOTIFIER) | VHK_USER_PF(BACKEND_SEND_FD);
	return f;
}

static int absent(struct vhk_session *s)
{
	return vhk_session_refuse(s, -EOPNOTSUPP, "the device has no use for it");
}

static int said(struct vhk_session *s, int ret)
{
	return ret < 0 ? vhk_session_refuse(s, ret, "the device refuses") : 0;
}

int vhk_backend_send_rarp(struct vhk_session *s)
{
	uint8_t mac[6];

	if (!ops_of(s)->send_rarp)
		return absent(s);
	memcpy(mac, s->req.bytes, sizeof(mac));
	return said(s, ops_of(s)->send_rarp(priv_of(s), mac));
}

int vhk_backend_net_set_mtu(struct vhk_session *s)
{
	if (!ops_of(s)->set_mtu)
		return absent(s);
	return said(s, ops_of(s)->set_mtu(priv_of(s), (uint16_t)s->req.u64));
}

int vhk_backend_set_vring_endian(struct vhk_session *s)
{
	struct vhk_user_vring_state v;

	memcpy(&v, s->req.bytes, sizeof(v));
	if (!ops_of(s)->set_endian)
		return absent(s);
	/* whatever the device does with its buffers, rings are read as they are in virtio 1.x */
	if (v.num)
		return vhk_session_refuse(s, -EOPNOTSUPP, "rings are little endian");
	return said(s, ops_of(s)->set_endian(priv_of(s), v.index, v.num));
}

int vhk_backend_create_crypto_session(struct vhk_session *s)
{
	int ret;

	if (!ops_of(s)->open_crypto)
		return absent(s);
	vhk_session_reply(s, s->req.bytes, s->req.hdr.size);
	ret = ops_of(s)->open_crypto(priv_of(s), s->reply.bytes, s->reply.hdr.size);
	return said(s, ret);
}

int vhk_backend_close_crypto_session(struct vhk_session *s)
{
	if (!ops_of(s)->close_crypto)
		return absent(s);
	return said(s, ops_of(s)->close_crypto(priv_of(s), s->req.u64));
}

int vhk_backend_gpu_set_socket(struct vhk_session *s)
{
	int fd, ret;

	if (!ops_of(s)->set_gpu_take_fd)
		return absent(s);
	ret = vhk_session_take_fd(s, &fd);
	if (ret)
		return ret;
	ret = vhk_sock_check(fd);
	if (!ret && vhk_sock_is_listening(fd))
		ret = -EINVAL;
	if (ret) {
		close(fd);
		return vhk_session_refuse(s, -EINVAL, "not a connected stream socket");
	}
	return said(s, ops_of(s)->set_gpu_take_fd(priv_of(s), fd));
}

/* The answer has the file or has it not; both name the object. */
int vhk_backend_get_shared_object(struct vhk_session *s)
{
	struct vhk_uuid id;
	int fd = -1, ret;

	if (!ops_of(s)->get_object)
		return absent(s);
	memcpy(&id, s->req.bytes, sizeof(id));
	vhk_session_reply(s, &id, sizeof(id));
	ret = ops_of(s)->get_object(priv_of(s), &id, &fd);
	if (ret < 0)
		return said(s, ret);
	if (fd >= 0)
		s->reply.fd[s->reply.n_fds++] = fd;
	return 0;
}

int vhk_backend_get_shmem_config(struct vhk_session *s)
{
	struct vhk_user_shmem_config c = { 0 };

	if (!ops_of(s)->get_shmem)
		return absent(s);
	c.n = ops_of(s)->get_shmem(priv_of(s), c.size);
	vhk_session_reply(s, &c, sizeof(c));
	return 0;
}
