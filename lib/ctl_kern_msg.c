// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Level 1 of the front end, the part that only the kernel's devices have: one function per ioctl,
 * each a request that is done when it returns.
 */
#include "ctl_impl.h"
#include "map.h"

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

static int get_u32(struct vhk_ctl *c, enum vhk_ctl_op op, uint32_t *out)
{
	uint64_t v;
	int ret = get_u64(c, op, &v);

	*out = (uint32_t)v;
	return ret;
}

static int set_u64(struct vhk_ctl *c, enum vhk_ctl_op op, uint64_t v)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .u64 = v };

	return vhk_ctl_call(c, &r);
}

static int get_vring(struct vhk_ctl *c, enum vhk_ctl_op op, unsigned int idx, uint32_t *out)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .vring = { .index = idx } };
	int ret = vhk_ctl_call(c, &r);

	*out = ret ? 0 : r.vring.num;
	return ret;
}

static int set_vring(struct vhk_ctl *c, enum vhk_ctl_op op, unsigned int idx, uint32_t num)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .vring = { .index = idx, .num = num } };

	return vhk_ctl_call(c, &r);
}

static int scsi(struct vhk_ctl *c, enum vhk_ctl_op op, const char *wwpn, uint16_t tpgt)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .scsi = { .wwpn = wwpn, .tpgt = tpgt } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_backend_features(struct vhk_ctl *c, uint64_t *out)
{
	return get_u64(c, VHK_CTL_GET_BACKEND_FEATURES, out);
}

int vhk_ctl_set_backend_features(struct vhk_ctl *c, uint64_t features)
{
	return set_u64(c, VHK_CTL_SET_BACKEND_FEATURES, features);
}

int vhk_ctl_get_features_array(struct vhk_ctl *c, uint64_t *word, unsigned int n)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_FEATURES_ARRAY,
				 .fd = -1,
				 .features = { .word = word, .n = n } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_features_array(struct vhk_ctl *c, const uint64_t *word, unsigned int n)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_FEATURES_ARRAY,
				 .fd = -1,
				 .features = { .word = (uint64_t *)word, .n = n } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_set_fork_from_owner(struct vhk_ctl *c, bool on)
{
	return set_u64(c, VHK_CTL_SET_FORK_FROM_OWNER, on);
}

int vhk_ctl_get_fork_from_owner(struct vhk_ctl *c, bool *out)
{
	uint64_t v;
	int ret = get_u64(c, VHK_CTL_GET_FORK_FROM_OWNER, &v);

	*out = v;
	return ret;
}

int vhk_ctl_set_log_base_uva(struct vhk_ctl *c, struct vhk_uva base)
{
	return set_u64(c, VHK_CTL_SET_LOG_BASE_UVA, base.v);
}

int vhk_ctl_new_worker(struct vhk_ctl *c, uint32_t *id)
{
	return get_u32(c, VHK_CTL_NEW_WORKER, id);
}

int vhk_ctl_free_worker(struct vhk_ctl *c, uint32_t id)
{
	return set_u64(c, VHK_CTL_FREE_WORKER, id);
}

int vhk_ctl_attach_vring_worker(struct vhk_ctl *c, unsigned int idx, uint32_t id)
{
	return set_vring(c, VHK_CTL_ATTACH_VRING_WORKER, idx, id);
}

int vhk_ctl_get_vring_worker(struct vhk_ctl *c, unsigned int idx, uint32_t *id)
{
	return get_vring(c, VHK_CTL_GET_VRING_WORKER, idx, id);
}

int vhk_ctl_get_vring_endian(struct vhk_ctl *c, unsigned int idx, bool *big)
{
	uint32_t v;
	int ret = get_vring(c, VHK_CTL_GET_VRING_ENDIAN, idx, &v);

	*big = v;
	return ret;
}

int vhk_ctl_set_vring_busyloop_timeout(struct vhk_ctl *c, unsigned int idx, uint32_t us)
{
	return set_vring(c, VHK_CTL_SET_VRING_BUSYLOOP_TIMEOUT, idx, us);
}

int vhk_ctl_get_vring_busyloop_timeout(struct vhk_ctl *c, unsigned int idx, uint32_t *us)
{
	return get_vring(c, VHK_CTL_GET_VRING_BUSYLOOP_TIMEOUT, idx, us);
}

int vhk_ctl_net_set_backend(struct vhk_ctl *c, unsigned int idx, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_NET_SET_BACKEND,
				 .fd = fd,
				 .vring = { .index = idx } };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_vsock_set_guest_cid(struct vhk_ctl *c, uint64_t cid)
{
	return set_u64(c, VHK_CTL_VSOCK_SET_GUEST_CID, cid);
}

int vhk_ctl_vsock_set_running(struct vhk_ctl *c, bool on)
{
	return set_u64(c, VHK_CTL_VSOCK_SET_RUNNING, on);
}

int vhk_ctl_scsi_set_endpoint(struct vhk_ctl *c, const char *wwpn, uint16_t tpgt)
{
	return scsi(c, VHK_CTL_SCSI_SET_ENDPOINT, wwpn, tpgt);
}

int vhk_ctl_scsi_clear_endpoint(struct vhk_ctl *c, const char *wwpn, uint16_t tpgt)
{
	return scsi(c, VHK_CTL_SCSI_CLEAR_ENDPOINT, wwpn, tpgt);
}

int vhk_ctl_scsi_get_abi_version(struct vhk_ctl *c, int *out)
{
	uint32_t v;
	int ret = get_u32(c, VHK_CTL_SCSI_GET_ABI_VERSION, &v);

	*out = (int)v;
	return ret;
}

int vhk_ctl_scsi_set_events_missed(struct vhk_ctl *c, uint32_t missed)
{
	return set_u64(c, VHK_CTL_SCSI_SET_EVENTS_MISSED, missed);
}

int vhk_ctl_scsi_get_events_missed(struct vhk_ctl *c, uint32_t *out)
{
	return get_u32(c, VHK_CTL_SCSI_GET_EVENTS_MISSED, out);
}

int vhk_ctl_get_device_id(struct vhk_ctl *c, uint32_t *out)
{
	return get_u32(c, VHK_CTL_GET_DEVICE_ID, out);
}

int vhk_ctl_get_config_size(struct vhk_ctl *c, uint32_t *out)
{
	return get_u32(c, VHK_CTL_GET_CONFIG_SIZE, out);
}

int vhk_ctl_set_config_call(struct vhk_ctl *c, int fd)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_CONFIG_CALL, .fd = fd };

	return vhk_ctl_call(c, &r);
}

int vhk_ctl_get_vring_num(struct vhk_ctl *c, uint16_t *out)
{
	uint64_t v;
	int ret = get_u64(c, VHK_CTL_GET_VRING_NUM, &v);

	*out = (uint16_t)v;
	return ret;
}

int vhk_ctl_get_vring_size(struct vhk_ctl *c, unsigned int idx, uint32_t *out)
{
	return get_vring(c, VHK_CTL_GET_VRING_SIZE, idx, out);
}

int vhk_ctl_get_iova_range(struct vhk_ctl *c, struct vhk_ctl_iova_range *out)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_IOVA_RANGE, .fd = -1 };
	int ret = vhk_ctl_call(c, &r);

	memset(out, 0, sizeof(*out));
	if (!ret)
		*out = r.range;
	return ret;
}

int vhk_ctl_get_group_num(struct vhk_ctl *c, uint32_t *out)
{
	return get_u32(c, VHK_CTL_GET_GROUP_NUM, out);
}

int vhk_ctl_get_as_num(struct vhk_ctl *c, uint32_t *out)
{
	return get_u32(c, VHK_CTL_GET_AS_NUM, out);
}

int vhk_ctl_get_vring_group(struct vhk_ctl *c, unsigned int idx, uint32_t *out)
{
	return get_vring(c, VHK_CTL_GET_VRING_GROUP, idx, out);
}

int vhk_ctl_get_vring_desc_group(struct vhk_ctl *c, unsigned int idx, uint32_t *out)
{
	return get_vring(c, VHK_CTL_GET_VRING_DESC_GROUP, idx, out);
}

int vhk_ctl_set_group_asid(struct vhk_ctl *c, uint32_t group, uint32_t asid)
{
	return set_vring(c, VHK_CTL_SET_GROUP_ASID, group, asid);
}

int vhk_ctl_suspend(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_SUSPEND);
}

int vhk_ctl_resume(struct vhk_ctl *c)
{
	return ask(c, VHK_CTL_RESUME);
}

int vhk_ctl_map_doorbell(struct vhk_ctl *c, unsigned int idx, volatile void **out)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_MAP_DOORBELL, .fd = -1, .vring = { .index = idx } };
	int ret = vhk_ctl_call(c, &r);

	*out = ret ? NULL : r.va;
	return ret;
}

void vhk_ctl_unmap_doorbell(volatile void *doorbell)
{
	if (doorbell)
		vhk_unmap((void *)doorbell, vhk_page_size());
}
