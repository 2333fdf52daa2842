// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Level 1 of the front end: one function per message, each a request that is waited for.
 */
#include "ctl_impl.h"

static int ask(struct vhk_ctl *c, enum vhk_ctl_op op)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1 };

	return vhk_ctl_call(c, &r);
}

static int get_u64(struct vhk_ctl *c, enum vhk_ctl_op op, uint64_t *out)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1 };
	int ret = vhk_ctl_call(c, &r);

	*out = ret ? 0 : r.u64;
	return ret;
}

static int set_u64(struct vhk_ctl *c, enum vhk_ctl_op op, uint64_t v)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .u64 = v };

	return vhk_ctl_call(c, &r);
}

static int set_vring(struct vhk_ctl *c, enum vhk_ctl_op op, unsigned int idx, uint32_t num, int fd)
{
	struct vhk_ctl_req r = { .op = op, .fd = fd, .vring = { .index = idx, .num = num } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_features(struct vhk_ctl *c, uint64_t *out)
{
	return get_u64(c, VHK_CTL_GET_FEATURES, out);
}

int vhk_ctl_set_features(struct vhk_ctl *c, uint64_t features)
{
	return set_u64(c, VHK_CTL_SET_FEATURES, features);
}

int vhk_ctl_get_protocol_features(struct vhk_ctl *c, uint64_t *out)
{
	return get_u64(c, VHK_CTL_GET_PROTOCOL_FEATURES, out);
}

int vhk_ctl_set_protocol_features(struct vhk_ctl *c, uint64_t features)
{
	return set_u64(c, VHK_CTL_SET_PROTOCOL_FEATURES, features);
}

int vhk_ctl_set_owner(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_SET_OWNER);
}

int vhk_ctl_reset_owner(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_RESET_OWNER);
}

int vhk_ctl_reset_device(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_RESET_DEVICE);
}

int vhk_ctl_get_status(struct vhk_ctl *c, uint8_t *out)
{
	uint64_t v;
	int ret = get_u64(c, VHK_CTL_GET_STATUS, &v);

	*out = (uint8_t)v;
	return !ret && v > UINT8_MAX ? -EREMOTEIO : ret;
}

int vhk_ctl_set_status(struct vhk_ctl *c, uint8_t status)
{
	return set_u64(c, VHK_CTL_SET_STATUS, status);
}

int vhk_ctl_get_queue_num(struct vhk_ctl *c, uint64_t *out)
{
	return get_u64(c, VHK_CTL_GET_QUEUE_NUM, out);
}

int vhk_ctl_set_mem_table(struct vhk_ctl *c, const struct vhk_mem *m)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_MEM_TABLE, .fd = -1, .mem = m };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_max_mem_slots(struct vhk_ctl *c, uint64_t *out)
{
	return get_u64(c, VHK_CTL_GET_MAX_MEM_SLOTS, out);
}

int vhk_ctl_add_mem_reg(struct vhk_ctl *c, const struct vhk_region *region, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_ADD_MEM_REG, .fd = fd, .region = *region };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_rem_mem_reg(struct vhk_ctl *c, const struct vhk_region *region)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_REM_MEM_REG, .fd = -1, .region = *region };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_vring_num(struct vhk_ctl *c, unsigned int idx, uint32_t num)
{
	return set_vring(c, VHK_CTL_SET_VRING_NUM, idx, num, -1);
}

int vhk_ctl_set_vring_addr(struct vhk_ctl *c, const struct vhk_ctl_vring_addr *a)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_VRING_ADDR, .fd = -1, .addr = *a };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_vring_addr_iova(struct vhk_ctl *c, const struct vhk_ctl_vring_addr_iova *a)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_VRING_ADDR_IOVA, .fd = -1, .addr_iova = *a };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_iotlb(struct vhk_ctl *c, const struct vhk_iotlb_msg *m)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_IOTLB_MSG, .fd = -1, .iotlb = *m };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t base)
{
	return set_vring(c, VHK_CTL_SET_VRING_BASE, idx, base, -1);
}

int vhk_ctl_get_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t *base)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_VRING_BASE,
				 .fd = -1,
				 .vring = { .index = idx } };
	int ret = vhk_ctl_call(c, &r);

	*base = ret ? 0 : r.vring.num;
	return ret;
}

int vhk_ctl_get_vring_base_skip_drain(struct vhk_ctl *c, unsigned int idx, uint32_t *base)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_VRING_BASE_SKIP_DRAIN,
				 .fd = -1,
				 .vring = { .index = idx } };
	int ret = vhk_ctl_call(c, &r);

	*base = ret ? 0 : r.vring.num;
	return ret;
}

int vhk_ctl_set_vring_kick(struct vhk_ctl *c, unsigned int idx, int fd)
{
	return set_vring(c, VHK_CTL_SET_VRING_KICK, idx, 0, fd);
}

int vhk_ctl_set_vring_call(struct vhk_ctl *c, unsigned int idx, int fd)
{
	return set_vring(c, VHK_CTL_SET_VRING_CALL, idx, 0, fd);
}

int vhk_ctl_set_vring_err(struct vhk_ctl *c, unsigned int idx, int fd)
{
	return set_vring(c, VHK_CTL_SET_VRING_ERR, idx, 0, fd);
}

int vhk_ctl_set_vring_enable(struct vhk_ctl *c, unsigned int idx, bool on)
{
	return set_vring(c, VHK_CTL_SET_VRING_ENABLE, idx, on, -1);
}

int vhk_ctl_set_vring_endian(struct vhk_ctl *c, unsigned int idx, bool big)
{
	return set_vring(c, VHK_CTL_SET_VRING_ENDIAN, idx, big, -1);
}

int vhk_ctl_set_log_fd(struct vhk_ctl *c, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_LOG_FD, .fd = fd };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_config(struct vhk_ctl *c, uint32_t off, void *buf, uint32_t len)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_CONFIG,
				 .fd = -1,
				 .config = { .offset = off, .len = len, .data = buf } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_config(struct vhk_ctl *c, uint32_t off, const void *buf, uint32_t len,
		       uint32_t flags)
{
	struct vhk_ctl_req r = {
		.op = VHK_CTL_SET_CONFIG,
		.fd = -1,
		.config = { .offset = off, .len = len, .flags = flags, .data = (void *)buf },
	};

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_backend_req_fd(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_SET_BACKEND_REQ_FD);
}

int vhk_ctl_get_inflight_fd(struct vhk_ctl *c, struct vhk_ctl_inflight *i, int *fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_INFLIGHT_FD, .fd = -1, .inflight = *i };
	int ret = vhk_ctl_call(c, &r);

	*fd = ret ? -1 : r.fd;
	if (!ret)
		*i = r.inflight;
	return ret;
}

int vhk_ctl_set_inflight_fd(struct vhk_ctl *c, const struct vhk_ctl_inflight *i, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_INFLIGHT_FD, .fd = fd, .inflight = *i };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_vring_kick(struct vhk_ctl *c, unsigned int idx)
{
	return set_vring(c, VHK_CTL_VRING_KICK, idx, 0, -1);
}

int vhk_ctl_send_rarp(struct vhk_ctl *c, const uint8_t mac[6])
{
	uint64_t v = 0;

	memcpy(&v, mac, 6);
	return set_u64(c, VHK_CTL_SEND_RARP, v);
}

int vhk_ctl_net_set_mtu(struct vhk_ctl *c, uint16_t mtu)
{
	return set_u64(c, VHK_CTL_NET_SET_MTU, mtu);
}

int vhk_ctl_create_crypto_session(struct vhk_ctl *c, void *data, uint32_t len)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_CREATE_CRYPTO_SESSION,
				 .fd = -1,
				 .crypto = { .data = data, .len = len } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_close_crypto_session(struct vhk_ctl *c, uint64_t id)
{
	return set_u64(c, VHK_CTL_CLOSE_CRYPTO_SESSION, id);
}

int vhk_ctl_gpu_set_socket(struct vhk_ctl *c, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GPU_SET_SOCKET, .fd = fd };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_shared_object(struct vhk_ctl *c, const struct vhk_uuid *id, int *fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_SHARED_OBJECT, .fd = -1, .uuid = *id };
	int ret = vhk_ctl_call(c, &r);

	*fd = ret ? -1 : r.fd;
	return ret;
}

int vhk_ctl_get_shmem_config(struct vhk_ctl *c, struct vhk_ctl_shmem *out)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_SHMEM_CONFIG, .fd = -1, .shmem = out };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_log_base(struct vhk_ctl *c, const struct vhk_ctl_log *l, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_LOG_BASE, .fd = fd, .log = *l };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_device_state_fd(struct vhk_ctl *c, enum vhk_ctl_state way, int fd, int *own)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_DEVICE_STATE_FD, .fd = fd, .state = way };
	int ret = vhk_ctl_call(c, &r);

	*own = ret ? -1 : r.fd;
	return ret;
}

int vhk_ctl_check_device_state(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_CHECK_DEVICE_STATE);
}

int vhk_ctl_postcopy_advise(struct vhk_ctl *c, int *fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_POSTCOPY_ADVISE, .fd = -1 };
	int ret = vhk_ctl_call(c, &r);

	*fd = ret ? -1 : r.fd;
	return ret;
}

int vhk_ctl_postcopy_listen(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_POSTCOPY_LISTEN);
}

int vhk_ctl_set_mem_table_bases(struct vhk_ctl *c, const struct vhk_mem *m, uint64_t *base)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_MEM_TABLE_BASES,
				 .fd = -1,
				 .bases = { .mem = m, .base = base } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_accept_bases(struct vhk_ctl *c, bool ok)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_ACCEPT_BASES,
				 .flags = VHK_CTL_REQ_F_NO_ACK,
				 .fd = -1,
				 .u64 = !ok };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_postcopy_end(struct vhk_ctl *c)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_POSTCOPY_END, .fd = -1 };
	int ret = vhk_ctl_call(c, &r);

	return !ret && r.u64 ? -EREMOTEIO : ret;
}
