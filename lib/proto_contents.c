// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Payload checks. Each copies what it looks at out of the message; nothing here touches an object.
 */
#include "base.h"
#include "proto_contents.h"

static int refuse(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

int vhk_check_features(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	if (m->u64 & ~st->features_offered)
		return refuse(why, "a feature that was not offered");
	return 0;
}

int vhk_check_owner(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)m;
	return st->owned ? refuse(why, "already owned") : 0;
}

/* User addresses say nothing where guest addresses are used in their place. */
static bool by_gpa(const struct vhk_proto_state *st)
{
	return st->protocol & VHK_USER_PF(GPA_ADDRESSES);
}

static int check_region(const struct vhk_proto_state *st, const struct vhk_user_region *r,
			const char **why)
{
	if (!r->size)
		return refuse(why, "a region of size 0");
	if (!vhk_range_ok(r->gpa, r->size) || !vhk_range_ok(r->offset, r->size) ||
	    (!by_gpa(st) && !vhk_range_ok(r->uva, r->size)))
		return refuse(why, "a region that wraps around");
	return 0;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

static int check_overlaps(const struct vhk_proto_state *st, const struct vhk_user_region *r,
			  unsigned int n, const char **why)
{
	unsigned int i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++)
			if (overlap(r[i].gpa, r[i].size, r[k].gpa, r[k].size) ||
			    (!by_gpa(st) && overlap(r[i].uva, r[i].size, r[k].uva, r[k].size)))
				return refuse(why, "regions that overlap");
	return 0;
}

static int check_xen(const struct vhk_user_xen *xen, const char **why)
{
	if (xen->flags & ~(VHK_USER_XEN_FOREIGN | VHK_USER_XEN_GRANT | VHK_USER_XEN_NO_ADVANCE))
		return refuse(why, "unknown Xen flags");
	if ((xen->flags & VHK_USER_XEN_FOREIGN) && (xen->flags & VHK_USER_XEN_GRANT))
		return refuse(why, "by frame number and by grant at once");
	return 0;
}

int vhk_check_mem_table(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	struct vhk_user_region r[VHK_USER_TABLE_MAX];
	struct vhk_user_xen xen;
	uint32_t head[2], i;
	int ret;

	memcpy(head, m->bytes, sizeof(head));
	if (!head[0] || head[0] > VHK_USER_TABLE_MAX)
		return refuse(why, "no regions, or too many");
	if (head[1])
		return refuse(why, "padding is not zero");
	if (m->hdr.size != sizeof(head) + head[0] * vhk_proto_region_size(st) ||
	    m->n_fds != head[0]) {
		*why = "size or fds do not fit the number of regions";
		return -EPROTO;
	}
	for (i = 0; i < head[0]; i++) {
		vhk_proto_region(st, m, i, &r[i], &xen);
		ret = check_region(st, &r[i], why);
		if (!ret)
			ret = check_xen(&xen, why);
		if (ret)
			return ret;
	}
	return check_overlaps(st, r, head[0], why);
}

static int read_mem_reg(const struct vhk_proto_state *st, const struct vhk_msg *m,
			struct vhk_user_mem_reg *reg, const char **why)
{
	struct vhk_user_xen xen;

	if (m->hdr.size != sizeof(reg->padding) + vhk_proto_region_size(st)) {
		*why = "a region of another size";
		return -EPROTO;
	}
	memcpy(reg, m->bytes, sizeof(*reg));
	if (reg->padding)
		return refuse(why, "padding is not zero");
	vhk_proto_region(st, m, 0, &reg->region, &xen);
	return check_xen(&xen, why);
}

int vhk_check_mem_reg(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	struct vhk_user_mem_reg reg;
	int ret = read_mem_reg(st, m, &reg, why);

	return ret ? ret : check_region(st, &reg.region, why);
}

/* The offset says nothing here (vhost-user, REM_MEM_REG). */
int vhk_check_rem_reg(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	struct vhk_user_mem_reg reg;
	int ret = read_mem_reg(st, m, &reg, why);

	reg.region.offset = 0;
	return ret ? ret : check_region(st, &reg.region, why);
}

int vhk_check_log(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	const bool by_fd = st->protocol & VHK_USER_PF(LOG_SHMFD);
	struct vhk_user_log log;

	if (m->hdr.size != (by_fd ? sizeof(log) : sizeof(m->u64)) || m->n_fds != by_fd) {
		*why = by_fd ? "not a size, an offset and one fd" : "not an address alone";
		return -EPROTO;
	}
	if (!by_fd)
		return 0;
	memcpy(&log, m->bytes, sizeof(log));
	if (!log.size || !vhk_range_ok(log.offset, log.size))
		return refuse(why, "a log of size 0, or one that wraps around");
	return 0;
}

static bool is_packed(const struct vhk_proto_state *st)
{
	return st->features & VHK_F_RING_PACKED;
}

/* Sizes, positions and alignments differ between split and packed. */
static int check_features_set(const struct vhk_proto_state *st, const char **why)
{
	return st->features_set ? 0 : refuse(why, "before SET_FEATURES");
}

static uint32_t vring_num(const struct vhk_msg *m)
{
	struct vhk_user_vring_state s;

	memcpy(&s, m->bytes, sizeof(s));
	return s.num;
}

int vhk_check_vring_num(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	const uint32_t num = vring_num(m);

	if (check_features_set(st, why))
		return -EINVAL;
	if (!num || num > VHK_QUEUE_SIZE_MAX)
		return refuse(why, "a ring size of 0, or above 32768");
	if (!is_packed(st) && !vhk_is_power_of_2(num))
		return refuse(why, "a split ring's size that is no power of two");
	return 0;
}

int vhk_check_vring_addr(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why)
{
	struct vhk_user_vring_addr a;

	memcpy(&a, m->bytes, sizeof(a));
	if (check_features_set(st, why))
		return -EINVAL;
	if (a.flags & ~VHK_USER_VRING_LOG)
		return refuse(why, "an unknown flag");
	/* virtio 1.3, 2.7 and 2.8.10 */
	if (a.desc % 16 || a.avail % (is_packed(st) ? 4 : 2) || a.used % 4)
		return refuse(why, "a ring part that is not aligned");
	return 0;
}

int vhk_check_vring_base(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why)
{
	if (check_features_set(st, why))
		return -EINVAL;
	if (!is_packed(st) && vring_num(m) > UINT16_MAX)
		return refuse(why, "a split ring's position above 65535");
	return 0;
}

int vhk_check_vring_kick(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why)
{
	(void)m;
	return check_features_set(st, why);
}

int vhk_check_num_flag(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)st;
	return vring_num(m) > 1 ? refuse(why, "neither 0 nor 1") : 0;
}

int vhk_check_num_zero(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)st;
	return vring_num(m) ? refuse(why, "a reserved field is not 0") : 0;
}

int vhk_check_inband_kick(const struct vhk_proto_state *st, const struct vhk_msg *m,
			  const char **why)
{
	int ret = vhk_check_vring_kick(st, m, why);

	return ret ? ret : vhk_check_num_zero(st, m, why);
}

/* Legal once bit 30 was offered; it need not have been acknowledged. */
int vhk_check_get_protocol(const struct vhk_proto_state *st, const struct vhk_msg *m,
			   const char **why)
{
	(void)m;
	if (st->features_offered & VHK_F_PROTOCOL_FEATURES)
		return 0;
	*why = "protocol features are not offered";
	return -EOPNOTSUPP;
}

int vhk_check_set_protocol(const struct vhk_proto_state *st, const struct vhk_msg *m,
			   const char **why)
{
	int ret;

	ret = vhk_check_get_protocol(st, m, why);
	if (ret)
		return ret;
	if (m->u64 & ~st->protocol_offered)
		return refuse(why, "a protocol feature that was not offered");
	return vhk_proto_check_features(m->u64, why);
}

int vhk_check_get_config(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why)
{
	struct vhk_user_config c;
	const size_t head = offsetof(struct vhk_user_config, data);

	(void)st;
	memcpy(&c, m->bytes, head);
	if (c.size != m->hdr.size - head) {
		*why = "size does not fit the payload";
		return -EPROTO;
	}
	if (!c.size || c.offset > VHK_USER_CONFIG_MAX ||
	    c.size > VHK_USER_CONFIG_MAX - c.offset)
		return refuse(why, "outside of the configuration space");
	return 0;
}

int vhk_check_set_config(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why)
{
	struct vhk_user_config c;
	int ret;

	ret = vhk_check_get_config(st, m, why);
	if (ret)
		return ret;
	memcpy(&c, m->bytes, offsetof(struct vhk_user_config, data));
	return c.flags > VHK_USER_CONFIG_MIGRATION ? refuse(why, "unknown flags") : 0;
}

/* 20 bytes of data; most peers send the 4 of padding that their compilers added. */
static int read_inflight(const struct vhk_msg *m, struct vhk_user_inflight *in, const char **why)
{
	const size_t data = offsetof(struct vhk_user_inflight, padding);

	if (m->hdr.size != sizeof(*in) && m->hdr.size != data) {
		*why = "neither 20 nor 24 bytes";
		return -EPROTO;
	}
	memcpy(in, m->bytes, data);
	return 0;
}

int vhk_check_get_inflight(const struct vhk_proto_state *st, const struct vhk_msg *m,
			   const char **why)
{
	struct vhk_user_inflight in;
	int ret;

	ret = read_inflight(m, &in, why);
	if (ret)
		return ret;
	if (!in.num_queues || in.num_queues > st->n_queues)
		return refuse(why, "no queues, or more than there are");
	if (!in.queue_size || in.queue_size > VHK_QUEUE_SIZE_MAX)
		return refuse(why, "a queue size of 0, or above 32768");
	return 0;
}

int vhk_check_set_inflight(const struct vhk_proto_state *st, const struct vhk_msg *m,
			   const char **why)
{
	struct vhk_user_inflight in;
	int ret;

	ret = vhk_check_get_inflight(st, m, why);
	if (!ret)
		ret = read_inflight(m, &in, why);
	if (ret)
		return ret;
	if (!in.mmap_size || !vhk_range_ok(in.mmap_offset, in.mmap_size))
		return refuse(why, "an area of size 0, or one that wraps around");
	return 0;
}

/* Regions that come one by one have no way to tell of their bases (vhost-user,
 * "POSTCOPY_ADVISE"). */
int vhk_check_postcopy(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)m;
	if (st->protocol & VHK_USER_PF(CONFIGURE_MEM_SLOTS))
		return refuse(why, "not together with CONFIGURE_MEM_SLOTS");
	return st->protocol & VHK_USER_PF(XEN_MMAP) ? refuse(why, "not together with XEN_MMAP") : 0;
}

int vhk_check_status(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)st;
	return m->u64 > 0xff ? refuse(why, "a status above 255") : 0;
}

/* virtio 1.3, 5.1.4.1: the smallest MTU of a driver, and 16 bits of it. */
int vhk_check_mtu(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	(void)st;
	if (m->u64 < 68 || m->u64 > UINT16_MAX)
		return refuse(why, "an MTU outside of 68 to 65535");
	return 0;
}

int vhk_check_uuid(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	unsigned char all = 0xff, any = 0;
	size_t i;

	(void)st;
	for (i = 0; i < sizeof(struct vhk_user_uuid); i++) {
		all &= m->bytes[i];
		any |= m->bytes[i];
	}
	return !any || all == 0xff ? refuse(why, "a nil or a max UUID") : 0;
}

int vhk_check_state_transfer(const struct vhk_proto_state *st, const struct vhk_msg *m,
			     const char **why)
{
	struct vhk_user_state_transfer t;

	(void)st;
	memcpy(&t, m->bytes, sizeof(t));
	return t.direction > 1 || t.phase ? refuse(why, "an unknown direction or phase") : 0;
}

int vhk_check_iotlb(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	struct vhk_user_iotlb t;

	(void)st;
	memcpy(&t, m->bytes, sizeof(t));
	if (!t.type || t.type > VHOST_IOTLB_ACCESS_FAIL)
		return refuse(why, "an unknown type");
	if (!vhk_range_ok(t.iova, t.size))
		return refuse(why, "a range that wraps around");
	/* Only its range counts; QEMU leaves the rest as it was in memory. */
	if (t.type == VHOST_IOTLB_INVALIDATE)
		return 0;
	if (t.perm > VHOST_ACCESS_RW)
		return refuse(why, "an unknown permission");
	if (!vhk_range_ok(t.uaddr, t.size))
		return refuse(why, "a range that wraps around");
	return 0;
}

int vhk_check_mmap(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why)
{
	struct vhk_user_mmap t;

	(void)st;
	memcpy(&t, m->bytes, sizeof(t));
	if (!t.len || !vhk_range_ok(t.fd_offset, t.len) || !vhk_range_ok(t.shm_offset, t.len))
		return refuse(why, "a range of size 0, or one that wraps around");
	return t.flags > 1 ? refuse(why, "unknown flags") : 0;
}
