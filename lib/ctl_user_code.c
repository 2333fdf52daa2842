// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Requests to vhost-user messages, answers to requests. One row for each message that this front
 * end sends; what a message must look like is proto's to say.
 */
#include "ctl_user.h"

struct code {
	int (*encode)(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m);
	/* The answer of a message that has a payload of its own; NULL: an ack or nothing. */
	int (*decode)(struct vhk_ctl_req *r, struct vhk_msg *m);
};

static int put(struct vhk_msg *m, const void *data, size_t len)
{
	memcpy(m->bytes, data, len);
	m->hdr.size = (uint32_t)len;
	return 0;
}

static void put_fd(struct vhk_msg *m, int fd)
{
	if (fd >= 0)
		m->fd[m->n_fds++] = fd;
}

static int put_nothing(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)u;
	(void)r;
	(void)m;
	return 0;
}

static int put_u64(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)u;
	return put(m, &r->u64, sizeof(r->u64));
}

static int put_vring(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_vring_state s = { r->vring.index, r->vring.num };

	(void)u;
	return put(m, &s, sizeof(s));
}

static int put_base(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_vring_state s = { .index = r->vring.index };

	(void)u;
	return put(m, &s, sizeof(s));
}

static int put_addr(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_vring_addr a = {
		.index = r->addr.index,
		.flags = r->addr.flags,
		.desc = r->addr.desc.v,
		.avail = r->addr.driver.v,
		.used = r->addr.device.v,
		.log = r->addr.log.v,
	};

	(void)u;
	return put(m, &a, sizeof(a));
}

/* Which of the two it carries is settled by ACCESS_PLATFORM (vhost-user, "Ring address"). */
static int put_addr_iova(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			 struct vhk_msg *m)
{
	const struct vhk_ctl_vring_addr_iova *a = &r->addr_iova;
	struct vhk_ctl_req same = { .op = VHK_CTL_SET_VRING_ADDR, .fd = -1 };

	same.addr = (struct vhk_ctl_vring_addr){
		.index = a->index, .flags = a->flags, .desc = { a->desc.v },
		.driver = { a->driver.v }, .device = { a->device.v }, .log = a->log,
	};
	return put_addr(u, &same, m);
}

/* Batches and address spaces are the kernel's; misses and failed accesses are for the back end. */
static int check_iotlb(const struct vhk_iotlb_msg *m)
{
	switch (m->type) {
	case VHK_IOTLB_BATCH_BEGIN:
	case VHK_IOTLB_BATCH_END:
		return -EOPNOTSUPP;
	case VHK_IOTLB_UPDATE:
		return m->asid || !m->size || !m->perm ? -EINVAL : 0;
	case VHK_IOTLB_INVALIDATE:
		return m->asid ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int put_iotlb(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_iotlb t;
	int ret;

	(void)u;
	memset(&t, 0, sizeof(t));
	t.iova = r->iotlb.iova.v;
	t.size = r->iotlb.size;
	t.uaddr = r->iotlb.uva.v;
	t.perm = r->iotlb.perm;
	t.type = r->iotlb.type;
	ret = check_iotlb(&r->iotlb);
	return ret ? ret : put(m, &t, sizeof(t));
}

static int put_vring_fd(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			struct vhk_msg *m)
{
	uint64_t v = r->vring.index | (r->fd < 0 ? VHK_USER_VRING_FD_NONE : 0);

	(void)u;
	if (r->vring.index > VHK_USER_VRING_FD_INDEX)
		return -EINVAL;
	put_fd(m, r->fd);
	return put(m, &v, sizeof(v));
}

static struct vhk_user_region wire_region(const struct vhk_ctl_user *u, const struct vhk_region *r)
{
	const bool by_gpa = u->st.protocol & VHK_PF_GPA_ADDRESSES;

	return (struct vhk_user_region){
		.gpa = r->gpa.v,
		.size = r->size,
		.uva = by_gpa ? r->gpa.v : r->uva.v,
		.offset = r->offset,
	};
}

/* One more region, behind what the message holds. */
static void add_region(const struct vhk_ctl_user *u, const struct vhk_region *r, struct vhk_msg *m)
{
	const struct vhk_user_region wire = wire_region(u, r);
	const struct vhk_user_xen xen = { u->c.opts.xen_flags, u->c.opts.xen_domid };

	memcpy(m->bytes + m->hdr.size, &wire, sizeof(wire));
	if (u->st.protocol & VHK_PF_XEN_MMAP)
		memcpy(m->bytes + m->hdr.size + sizeof(wire), &xen, sizeof(xen));
	m->hdr.size += (uint32_t)vhk_proto_region_size(&u->st);
}

/* The file that goes with @r. */
static int put_file(const struct vhk_ctl_user *u, const struct vhk_region *r, int fd,
		    struct vhk_msg *m)
{
	if (fd < 0) {
		vhk_log(&u->c.log, VHK_LOG_ERROR, "region 0x%llx: it has no file to share",
			(unsigned long long)r->gpa.v);
		return -EINVAL;
	}
	put_fd(m, fd);
	return 0;
}

static int put_table(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const uint32_t head[2] = { vhk_mem_count(r->mem), 0 };
	struct vhk_region region;
	unsigned int i;
	int fd, ret;

	if (head[0] > VHK_USER_TABLE_MAX)
		return -EMSGSIZE;
	put(m, head, sizeof(head));
	for (i = 0; i < head[0]; i++) {
		ret = vhk_mem_get(r->mem, i, &region, &fd);
		if (!ret)
			ret = put_file(u, &region, fd, m);
		if (ret)
			return ret;
		add_region(u, &region, m);
	}
	return 0;
}

static int put_region(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const uint64_t padding = 0;
	int ret = r->op == VHK_CTL_ADD_MEM_REG ? put_file(u, &r->region, r->fd, m) : 0;

	if (ret)
		return ret;
	put(m, &padding, sizeof(padding));
	add_region(u, &r->region, m);
	return 0;
}

static int put_back_fd(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	put_fd(m, r->fd < 0 ? u->back_peer : r->fd);
	return 0;
}

static int put_config(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_config c = { .offset = r->config.offset,
				     .size = r->config.len,
				     .flags = r->config.flags };

	(void)u;
	if (!r->config.len || r->config.len > VHK_USER_CONFIG_MAX)
		return -EINVAL;
	if (r->op == VHK_CTL_SET_CONFIG)
		memcpy(c.data, r->config.data, r->config.len);
	return put(m, &c, offsetof(struct vhk_user_config, data) + r->config.len);
}

static int put_inflight(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			struct vhk_msg *m)
{
	struct vhk_user_inflight i = {
		.num_queues = r->inflight.n_queues,
		.queue_size = r->inflight.queue_size,
	};

	(void)u;
	if (r->op == VHK_CTL_SET_INFLIGHT_FD) {
		i.mmap_size = r->inflight.size;
		i.mmap_offset = r->inflight.offset;
		put_fd(m, r->fd);
	}
	return put(m, &i, sizeof(i));
}

static int put_crypto(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)u;
	if (!r->crypto.len || r->crypto.len > VHK_MSG_PAYLOAD_MAX)
		return -EINVAL;
	return put(m, r->crypto.data, r->crypto.len);
}

static int put_fd_alone(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			struct vhk_msg *m)
{
	(void)u;
	put_fd(m, r->fd);
	return 0;
}

static int put_uuid(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)u;
	return put(m, &r->uuid, sizeof(r->uuid));
}

static int put_log(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const struct vhk_user_log l = { .size = r->log.size, .offset = r->log.offset };

	if (!(u->st.protocol & VHK_USER_PF(LOG_SHMFD)))
		return r->fd < 0 && vhk_range_ok(l.offset, l.size) ?
			       put(m, &r->log.at.v, sizeof(r->log.at.v)) : -EINVAL;
	put_fd(m, r->fd);
	return put(m, &l, sizeof(l));
}

static int put_state(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const struct vhk_user_state_transfer t = { .direction = r->state };

	(void)u;
	put_fd(m, r->fd);
	return put(m, &t, sizeof(t));
}

/* What the answer holds is not specified, and back ends send nothing, the request, or its first
 * eight bytes; what is none of these is the code of an error. */
static int take_log(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	if (m->hdr.size != sizeof(m->u64) || !m->u64 || m->u64 == r->log.size)
		return 0;
	return -EREMOTEIO;
}

static int take_state(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const bool error = m->u64 & VHK_USER_STATE_ERROR;

	if (!(m->u64 & VHK_USER_STATE_NO_FD) != (m->n_fds == 1) || (error && m->n_fds))
		return -EPROTO;
	if (error)
		return -EREMOTEIO;
	r->fd = vhk_msg_take_fd(m, 0);
	return 0;
}

static int take_verdict(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)r;
	return m->u64 ? -EREMOTEIO : 0;
}

static int take_u64(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	r->u64 = m->u64;
	return 0;
}

static int take_vring(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_vring_state s;

	memcpy(&s, m->bytes, sizeof(s));
	if (s.index != r->vring.index)
		return -EPROTO;
	r->vring.num = s.num;
	return 0;
}

static int take_iotlb(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	(void)r;
	return m->u64 ? -EREMOTEIO : 0;
}

/* A back end that refuses may answer with size 0 (vhost-user, GET_CONFIG). */
static int take_config(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const size_t head = offsetof(struct vhk_user_config, data);
	struct vhk_user_config c;

	memcpy(&c, m->bytes, head);
	if (!c.size)
		return -EREMOTEIO;
	if (c.size != r->config.len || c.offset != r->config.offset ||
	    m->hdr.size != head + r->config.len)
		return -EPROTO;
	memcpy(r->config.data, m->bytes + head, r->config.len);
	return 0;
}

static int take_inflight(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_user_inflight i = { 0 };

	memcpy(&i, m->bytes, offsetof(struct vhk_user_inflight, padding));
	if (!i.mmap_size || !m->n_fds)
		return -EREMOTEIO;
	r->inflight.size = i.mmap_size;
	r->inflight.offset = i.mmap_offset;
	r->fd = vhk_msg_take_fd(m, 0);
	return 0;
}

static int take_crypto(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	if (m->hdr.size != r->crypto.len)
		return -EPROTO;
	memcpy(r->crypto.data, m->bytes, r->crypto.len);
	return 0;
}

/* The answer names the object again, or nothing; what counts is the file. */
static int take_object(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	if (m->hdr.size && (m->hdr.size != sizeof(r->uuid) ||
			    memcmp(m->bytes, &r->uuid, sizeof(r->uuid))))
		return -EPROTO;
	if (!m->n_fds)
		return -EREMOTEIO;
	r->fd = vhk_msg_take_fd(m, 0);
	return 0;
}

/* Sizes that a shorter answer does not reach are those of regions that are not there. */
static int take_shmem(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const size_t head = offsetof(struct vhk_user_shmem_config, size);
	struct vhk_user_shmem_config c = { 0 };
	unsigned int i, n = 0;

	memcpy(&c, m->bytes, m->hdr.size);
	if (c.n > VHK_USER_SHMEM_MAX || (m->hdr.size - head) % sizeof(c.size[0]))
		return -EPROTO;
	for (i = 0; i < VHK_USER_SHMEM_MAX; i++) {
		if (c.size[i] % VHK_USER_PAGE)
			return -EPROTO;
		n += c.size[i] > 0;
	}
	if (n > c.n)
		return -EPROTO;
	r->shmem->n = c.n;
	memcpy(r->shmem->size, c.size, sizeof(c.size));
	return 0;
}

static int take_uffd(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	if (!m->n_fds)
		return -EREMOTEIO;
	r->fd = vhk_msg_take_fd(m, 0);
	return 0;
}

static int put_bases(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_msg *m)
{
	struct vhk_ctl_req table = { .op = VHK_CTL_SET_MEM_TABLE, .fd = -1, .mem = r->bases.mem };

	return put_table(u, &table, m);
}

/* The table once more, with other user addresses. */
static int take_bases(struct vhk_ctl_req *r, struct vhk_msg *m)
{
	const unsigned int n = vhk_mem_count(r->bases.mem);
	struct vhk_user_mem_table t = { 0 };
	struct vhk_region region;
	unsigned int i;

	memcpy(&t, m->bytes, m->hdr.size);
	if (t.n != n ||
	    m->hdr.size != offsetof(struct vhk_user_mem_table, region) + n * sizeof(t.region[0]))
		return -EPROTO;
	for (i = 0; i < n; i++) {
		if (vhk_mem_get(r->bases.mem, i, &region, NULL) ||
		    t.region[i].gpa != region.gpa.v || t.region[i].size != region.size)
			return -EPROTO;
		r->bases.base[i] = t.region[i].uva;
	}
	return 0;
}

static const struct code codes[VHK_CTL_OP_MAX + 1] = {
	[VHK_CTL_GET_FEATURES] = { put_nothing, take_u64 },
	[VHK_CTL_SET_FEATURES] = { put_u64, NULL },
	[VHK_CTL_SET_OWNER] = { put_nothing, NULL },
	[VHK_CTL_RESET_OWNER] = { put_nothing, NULL },
	[VHK_CTL_SET_MEM_TABLE] = { put_table, NULL },
	[VHK_CTL_SET_LOG_BASE] = { put_log, take_log },
	[VHK_CTL_SET_LOG_FD] = { put_fd_alone, NULL },
	[VHK_CTL_SET_VRING_NUM] = { put_vring, NULL },
	[VHK_CTL_SET_VRING_ADDR] = { put_addr, NULL },
	[VHK_CTL_SET_VRING_BASE] = { put_vring, NULL },
	[VHK_CTL_GET_VRING_BASE] = { put_base, take_vring },
	[VHK_CTL_SET_VRING_KICK] = { put_vring_fd, NULL },
	[VHK_CTL_SET_VRING_CALL] = { put_vring_fd, NULL },
	[VHK_CTL_SET_VRING_ERR] = { put_vring_fd, NULL },
	[VHK_CTL_GET_PROTOCOL_FEATURES] = { put_nothing, take_u64 },
	[VHK_CTL_SET_PROTOCOL_FEATURES] = { put_u64, NULL },
	[VHK_CTL_GET_QUEUE_NUM] = { put_nothing, take_u64 },
	[VHK_CTL_SET_VRING_ENABLE] = { put_vring, NULL },
	[VHK_CTL_SET_BACKEND_REQ_FD] = { put_back_fd, NULL },
	[VHK_CTL_IOTLB_MSG] = { put_iotlb, take_iotlb },
	[VHK_CTL_GET_CONFIG] = { put_config, take_config },
	[VHK_CTL_SET_CONFIG] = { put_config, NULL },
	[VHK_CTL_POSTCOPY_ADVISE] = { put_nothing, take_uffd },
	[VHK_CTL_POSTCOPY_LISTEN] = { put_nothing, NULL },
	[VHK_CTL_POSTCOPY_END] = { put_nothing, take_verdict },
	[VHK_CTL_GET_INFLIGHT_FD] = { put_inflight, take_inflight },
	[VHK_CTL_SET_INFLIGHT_FD] = { put_inflight, NULL },
	[VHK_CTL_RESET_DEVICE] = { put_nothing, NULL },
	[VHK_CTL_SEND_RARP] = { put_u64, NULL },
	[VHK_CTL_NET_SET_MTU] = { put_u64, NULL },
	[VHK_CTL_SET_VRING_ENDIAN] = { put_vring, NULL },
	[VHK_CTL_CREATE_CRYPTO_SESSION] = { put_crypto, take_crypto },
	[VHK_CTL_CLOSE_CRYPTO_SESSION] = { put_u64, NULL },
	[VHK_CTL_GPU_SET_SOCKET] = { put_fd_alone, NULL },
	[VHK_CTL_VRING_KICK] = { put_vring, NULL },
	[VHK_CTL_GET_SHARED_OBJECT] = { put_uuid, take_object },
	[VHK_CTL_GET_SHMEM_CONFIG] = { put_nothing, take_shmem },
	[VHK_CTL_GET_MAX_MEM_SLOTS] = { put_nothing, take_u64 },
	[VHK_CTL_ADD_MEM_REG] = { put_region, NULL },
	[VHK_CTL_REM_MEM_REG] = { put_region, NULL },
	[VHK_CTL_SET_STATUS] = { put_u64, NULL },
	[VHK_CTL_GET_STATUS] = { put_nothing, take_u64 },
	[VHK_CTL_SET_DEVICE_STATE_FD] = { put_state, take_state },
	[VHK_CTL_CHECK_DEVICE_STATE] = { put_nothing, take_verdict },
	[VHK_CTL_GET_VRING_BASE_SKIP_DRAIN] = { put_base, take_vring },
};

static const struct code code_addr_iova = { put_addr_iova, NULL };
static const struct code code_bases = { put_bases, take_bases };
static const struct code code_accept = { put_u64, NULL };

static const struct code *code_of(enum vhk_ctl_op op)
{
	if (op == VHK_CTL_SET_VRING_ADDR_IOVA)
		return &code_addr_iova;
	if (op == VHK_CTL_SET_MEM_TABLE_BASES)
		return &code_bases;
	if (op == VHK_CTL_ACCEPT_BASES)
		return &code_accept;
	return op <= VHK_CTL_OP_MAX ? &codes[op] : NULL;
}

enum vhk_ctl_op vhk_ctl_user_message(enum vhk_ctl_op op)
{
	switch (op) {
	case VHK_CTL_SET_VRING_ADDR_IOVA:
		return VHK_CTL_SET_VRING_ADDR;
	case VHK_CTL_SET_MEM_TABLE_BASES:
	case VHK_CTL_ACCEPT_BASES:
		return VHK_CTL_SET_MEM_TABLE;
	default:
		return op;
	}
}

const struct vhk_proto *vhk_ctl_user_row(enum vhk_ctl_op op)
{
	if (op == VHK_CTL_SET_MEM_TABLE_BASES)
		return vhk_proto_bases();
	if (op == VHK_CTL_ACCEPT_BASES)
		return vhk_proto_bases_accepted();
	return vhk_proto_request(vhk_ctl_user_message(op));
}

const char *vhk_ctl_protocol_name(unsigned int bit)
{
	return vhk_proto_feature_name(bit);
}

bool vhk_ctl_user_code_can(const struct vhk_ctl_user *u, enum vhk_ctl_op op)
{
	const struct vhk_proto *row = vhk_ctl_user_row(op);

	if (!row || !code_of(op)->encode)
		return false;
	if (op == VHK_CTL_GET_PROTOCOL_FEATURES || op == VHK_CTL_SET_PROTOCOL_FEATURES)
		return u->st.features_offered & VHK_F_PROTOCOL_FEATURES;
	if (op == VHK_CTL_SET_VRING_ADDR_IOVA && !(u->st.features & VHK_F_ACCESS_PLATFORM))
		return false;
	if (op == VHK_CTL_SET_VRING_ADDR && (u->st.features & VHK_F_ACCESS_PLATFORM))
		return false;
	return !(row->need_features & ~u->st.features) && !(row->need_protocol & ~u->st.protocol);
}

int vhk_ctl_user_encode(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r,
			struct vhk_msg *m)
{
	vhk_msg_init(m, vhk_ctl_user_message(r->op), VHK_MSG_VERSION);
	return code_of(r->op)->encode(u, r, m);
}

static void note_ring(struct vhk_ctl_user *u, uint64_t idx)
{
	if (idx != VHK_PROTO_NO_RING)
		u->n_named = vhk_max(u->n_named, (uint32_t)idx + 1);
}

int vhk_ctl_user_check(struct vhk_ctl_user *u, const struct vhk_ctl_req *r)
{
	const struct vhk_proto *row = vhk_ctl_user_row(r->op);
	struct vhk_proto_state st = u->st;
	const char *why = NULL;
	struct vhk_msg m;
	int ret;

	if (r->op == VHK_CTL_SET_OWNER && st.owned)
		return -EBUSY;
	ret = vhk_ctl_user_encode(u, r, &m);
	if (ret)
		return ret;
	/* A back end that was not asked has as many queues as a message can name. */
	if (!st.n_queues)
		st.n_queues = UINT16_MAX + 1u;
	ret = vhk_proto_check_row(row, &st, &m, &why);
	if (ret)
		vhk_log(&u->c.log, VHK_LOG_ERROR, "%s: %s", vhk_ctl_op_name(r->op), why);
	else
		note_ring(u, vhk_proto_ring(row, &m));
	return ret == -EPROTO ? -EINVAL : ret;
}

/* An ack, or the refusal that stands in for a payload. */
static int judge(const struct vhk_proto *row, const struct vhk_msg *m)
{
	if (row->reply == VHK_REPLY_NONE)
		return m->u64 ? -EREMOTEIO : 0;
	return 0;
}

int vhk_ctl_user_decode(enum vhk_ctl_op op, struct vhk_ctl_req *r, struct vhk_msg *m,
			const char **why)
{
	int ret;

	ret = vhk_proto_check_reply_row(vhk_ctl_user_row(op), vhk_ctl_user_message(op), m, why);
	if (ret == -EOPNOTSUPP)
		return -EREMOTEIO;
	if (ret)
		return -EPROTO;
	*why = "the answer does not fit the question";
	ret = judge(vhk_ctl_user_row(op), m);
	if (ret || !r || !code_of(op)->decode)
		return ret;
	return code_of(op)->decode(r, m);
}
