// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The table of the ioctls of vhost devices, and how a request becomes one. Which request is allowed
 * when is not decided here.
 */
#include <sys/ioctl.h>

#include "base.h"
#include "kern.h"

#define ROW(o, number, k, f, a)                                                                    \
	{                                                                                          \
		.op = VHK_CTL_##o, .nr = VHOST_##number, .kinds = (k), .form = VHK_KERN_##f,       \
		.answers = (a)                                                                     \
	}
/* One that no message has a name for. */
#define ROW_OWN(o, number, k, f, a)                                                                \
	{                                                                                          \
		.op = VHK_CTL_##o, .nr = VHOST_##number, .name = #o, .kinds = (k),                 \
		.form = VHK_KERN_##f, .answers = (a)                                               \
	}

static const struct vhk_kern_row rows[] = {
	ROW(GET_FEATURES, GET_FEATURES, VHK_KERN_ALL, U64, true),
	ROW(SET_FEATURES, SET_FEATURES, VHK_KERN_ALL, U64, false),
	ROW(SET_OWNER, SET_OWNER, VHK_KERN_ALL, NONE, false),
	ROW(RESET_OWNER, RESET_OWNER, VHK_KERN_NET, NONE, false),
	ROW(SET_MEM_TABLE, SET_MEM_TABLE, VHK_KERN_VHOST, MEM, false),
	{ .op = VHK_CTL_SET_MEM_TABLE, .kinds = VHK_KERN_VDPA, .form = VHK_KERN_OTHER },
	ROW(SET_LOG_FD, SET_LOG_FD, VHK_KERN_VHOST, FD, false),
	ROW(SET_VRING_NUM, SET_VRING_NUM, VHK_KERN_ALL, VRING, false),
	ROW(SET_VRING_ADDR, SET_VRING_ADDR, VHK_KERN_VHOST, ADDR, false),
	ROW(SET_VRING_BASE, SET_VRING_BASE, VHK_KERN_ALL, VRING, false),
	ROW(GET_VRING_BASE, GET_VRING_BASE, VHK_KERN_ALL, VRING, true),
	ROW(SET_VRING_KICK, SET_VRING_KICK, VHK_KERN_ALL, FILE, false),
	ROW(SET_VRING_CALL, SET_VRING_CALL, VHK_KERN_ALL, FILE, false),
	ROW(SET_VRING_ERR, SET_VRING_ERR, VHK_KERN_ALL, FILE, false),
	ROW(SET_VRING_ENDIAN, SET_VRING_ENDIAN, VHK_KERN_VHOST, VRING, false),
	ROW(GET_QUEUE_NUM, VDPA_GET_VQS_COUNT, VHK_KERN_VDPA, U32, true),
	ROW(SET_VRING_ENABLE, VDPA_SET_VRING_ENABLE, VHK_KERN_VDPA, VRING, false),
	ROW(GET_CONFIG, VDPA_GET_CONFIG, VHK_KERN_VDPA, CONFIG, true),
	ROW(SET_CONFIG, VDPA_SET_CONFIG, VHK_KERN_VDPA, CONFIG, false),
	ROW(SET_STATUS, VDPA_SET_STATUS, VHK_KERN_VDPA, U8, false),
	ROW(GET_STATUS, VDPA_GET_STATUS, VHK_KERN_VDPA, U8, true),
	{ .op = VHK_CTL_IOTLB_MSG, .kinds = VHK_KERN_ALL, .form = VHK_KERN_OTHER },

	ROW_OWN(SET_LOG_BASE_UVA, SET_LOG_BASE, VHK_KERN_VHOST, U64, false),
	ROW_OWN(NEW_WORKER, NEW_WORKER, VHK_KERN_VHOST, U32, true),
	ROW_OWN(FREE_WORKER, FREE_WORKER, VHK_KERN_VHOST, U32, false),
	ROW_OWN(SET_VRING_ADDR_IOVA, SET_VRING_ADDR, VHK_KERN_ALL, ADDR_IOVA, false),
	ROW_OWN(GET_VRING_ENDIAN, GET_VRING_ENDIAN, VHK_KERN_VHOST, VRING, true),
	ROW_OWN(ATTACH_VRING_WORKER, ATTACH_VRING_WORKER, VHK_KERN_VHOST, VRING, false),
	ROW_OWN(GET_VRING_WORKER, GET_VRING_WORKER, VHK_KERN_VHOST, VRING, true),
	ROW_OWN(SET_VRING_BUSYLOOP_TIMEOUT, SET_VRING_BUSYLOOP_TIMEOUT, VHK_KERN_VHOST, VRING,
		false),
	ROW_OWN(GET_VRING_BUSYLOOP_TIMEOUT, GET_VRING_BUSYLOOP_TIMEOUT, VHK_KERN_VHOST, VRING,
		true),
	ROW_OWN(SET_BACKEND_FEATURES, SET_BACKEND_FEATURES, VHK_KERN_ALL, U64, false),
	ROW_OWN(GET_BACKEND_FEATURES, GET_BACKEND_FEATURES, VHK_KERN_ALL, U64, true),
	ROW_OWN(NET_SET_BACKEND, NET_SET_BACKEND, VHK_KERN_NET, FILE, false),
	ROW_OWN(SCSI_SET_ENDPOINT, SCSI_SET_ENDPOINT, VHK_KERN_SCSI, SCSI_TARGET, false),
	ROW_OWN(SCSI_CLEAR_ENDPOINT, SCSI_CLEAR_ENDPOINT, VHK_KERN_SCSI, SCSI_TARGET, false),
	ROW_OWN(SCSI_GET_ABI_VERSION, SCSI_GET_ABI_VERSION, VHK_KERN_SCSI, U32, true),
	ROW_OWN(SCSI_SET_EVENTS_MISSED, SCSI_SET_EVENTS_MISSED, VHK_KERN_SCSI, U32, false),
	ROW_OWN(SCSI_GET_EVENTS_MISSED, SCSI_GET_EVENTS_MISSED, VHK_KERN_SCSI, U32, true),
	ROW_OWN(VSOCK_SET_GUEST_CID, VSOCK_SET_GUEST_CID, VHK_KERN_VSOCK, U64, false),
	ROW_OWN(VSOCK_SET_RUNNING, VSOCK_SET_RUNNING, VHK_KERN_VSOCK, U32, false),
	ROW_OWN(GET_DEVICE_ID, VDPA_GET_DEVICE_ID, VHK_KERN_VDPA, U32, true),
	ROW_OWN(GET_VRING_NUM, VDPA_GET_VRING_NUM, VHK_KERN_VDPA, U16, true),
	ROW_OWN(SET_CONFIG_CALL, VDPA_SET_CONFIG_CALL, VHK_KERN_VDPA, FD, false),
	ROW_OWN(GET_IOVA_RANGE, VDPA_GET_IOVA_RANGE, VHK_KERN_VDPA, RANGE, true),
	ROW_OWN(GET_CONFIG_SIZE, VDPA_GET_CONFIG_SIZE, VHK_KERN_VDPA, U32, true),
	ROW_OWN(GET_AS_NUM, VDPA_GET_AS_NUM, VHK_KERN_VDPA, U32, true),
	ROW_OWN(GET_VRING_GROUP, VDPA_GET_VRING_GROUP, VHK_KERN_VDPA, VRING, true),
	ROW_OWN(SET_GROUP_ASID, VDPA_SET_GROUP_ASID, VHK_KERN_VDPA, VRING, false),
	ROW_OWN(SUSPEND, VDPA_SUSPEND, VHK_KERN_VDPA, NONE, false),
	ROW_OWN(RESUME, VDPA_RESUME, VHK_KERN_VDPA, NONE, false),
	ROW_OWN(GET_VRING_DESC_GROUP, VDPA_GET_VRING_DESC_GROUP, VHK_KERN_VDPA, VRING, true),
	ROW_OWN(GET_GROUP_NUM, VDPA_GET_GROUP_NUM, VHK_KERN_VDPA, U32, true),
	ROW_OWN(GET_VRING_SIZE, VDPA_GET_VRING_SIZE, VHK_KERN_VDPA, VRING, true),
	ROW_OWN(GET_FEATURES_ARRAY, GET_FEATURES_ARRAY, VHK_KERN_NET, ARRAY, true),
	ROW_OWN(SET_FEATURES_ARRAY, SET_FEATURES_ARRAY, VHK_KERN_NET, ARRAY, false),
	ROW_OWN(SET_FORK_FROM_OWNER, SET_FORK_FROM_OWNER, VHK_KERN_VHOST, U8, false),
	ROW_OWN(GET_FORK_FROM_OWNER, GET_FORK_FROM_OWNER, VHK_KERN_VHOST, U8, true),
	{ .op = VHK_CTL_MAP_DOORBELL, .name = "MAP_DOORBELL", .kinds = VHK_KERN_VDPA,
	  .form = VHK_KERN_OTHER },
};

_Static_assert(vhk_array_size(rows) <= VHK_KERN_ROWS, "the bound holds");

const struct vhk_kern_row *vhk_kern_row(enum vhk_ctl_op op, unsigned int kinds)
{
	size_t i;

	for (i = 0; i < vhk_array_size(rows); i++)
		if (rows[i].op == op && (rows[i].kinds & kinds))
			return &rows[i];
	return NULL;
}

unsigned int vhk_kern_index(const struct vhk_kern_row *row)
{
	return (unsigned int)(row - rows);
}

static int kern_ioctl(int fd, unsigned long nr, void *arg)
{
	return ioctl(fd, nr, arg) < 0 ? -errno : 0;
}

/* The forms whose argument has a fixed size. */
union arg {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int fd;
	struct vhost_vring_state vring;
	struct vhost_vring_file file;
	struct vhost_vring_addr addr;
	struct vhost_vdpa_iova_range range;
	struct vhost_scsi_target scsi;
};

static int put_scsi(union arg *a, const struct vhk_ctl_scsi *s)
{
	size_t len = s->wwpn ? strlen(s->wwpn) : 0;

	if (!len || len >= sizeof(a->scsi.vhost_wwpn))
		return -EINVAL;
	memcpy(a->scsi.vhost_wwpn, s->wwpn, len);
	a->scsi.abi_version = VHOST_SCSI_ABI_VERSION;
	a->scsi.vhost_tpgt = s->tpgt;
	return 0;
}

static void put_addr(union arg *a, const struct vhk_ctl_vring_addr *v)
{
	a->addr.index = v->index;
	a->addr.flags = v->flags;
	a->addr.desc_user_addr = v->desc.v;
	a->addr.used_user_addr = v->device.v;
	a->addr.avail_user_addr = v->driver.v;
	a->addr.log_guest_addr = v->log.v;
}

/* The kernel takes both kinds of addresses in the same members. */
static void put_addr_iova(union arg *a, const struct vhk_ctl_vring_addr_iova *v)
{
	const struct vhk_ctl_vring_addr same = {
		.index = v->index, .flags = v->flags, .desc = { v->desc.v },
		.driver = { v->driver.v }, .device = { v->device.v }, .log = v->log,
	};

	put_addr(a, &same);
}

static int put_number(union arg *a, enum vhk_kern_form form, uint64_t v)
{
	const uint64_t most[] = { [VHK_KERN_U8] = UINT8_MAX, [VHK_KERN_U16] = UINT16_MAX,
				  [VHK_KERN_U32] = UINT32_MAX, [VHK_KERN_U64] = UINT64_MAX };

	if (v > most[form])
		return -EINVAL;
	if (form == VHK_KERN_U8)
		a->u8 = (uint8_t)v;
	else if (form == VHK_KERN_U16)
		a->u16 = (uint16_t)v;
	else if (form == VHK_KERN_U32)
		a->u32 = (uint32_t)v;
	else
		a->u64 = v;
	return 0;
}

static int put(union arg *a, const struct vhk_kern_row *row, const struct vhk_ctl_req *r)
{
	switch (row->form) {
	case VHK_KERN_U8:
	case VHK_KERN_U16:
	case VHK_KERN_U32:
	case VHK_KERN_U64:
		return row->answers ? 0 : put_number(a, row->form, r->u64);
	case VHK_KERN_FD:
		a->fd = r->fd < 0 ? VHOST_FILE_UNBIND : r->fd;
		return 0;
	case VHK_KERN_VRING:
		a->vring.index = r->vring.index;
		a->vring.num = row->answers ? 0 : r->vring.num;
		return 0;
	case VHK_KERN_FILE:
		a->file.index = r->vring.index;
		a->file.fd = r->fd < 0 ? VHOST_FILE_UNBIND : r->fd;
		return 0;
	case VHK_KERN_ADDR:
		put_addr(a, &r->addr);
		return 0;
	case VHK_KERN_ADDR_IOVA:
		put_addr_iova(a, &r->addr_iova);
		return 0;
	case VHK_KERN_SCSI_TARGET:
		return put_scsi(a, &r->scsi);
	default:
		return 0;
	}
}

static void take(const union arg *a, enum vhk_kern_form form, struct vhk_ctl_req *r)
{
	switch (form) {
	case VHK_KERN_U8:
		r->u64 = a->u8;
		break;
	case VHK_KERN_U16:
		r->u64 = a->u16;
		break;
	case VHK_KERN_U32:
		r->u64 = a->u32;
		break;
	case VHK_KERN_U64:
		r->u64 = a->u64;
		break;
	case VHK_KERN_VRING:
		r->vring.num = a->vring.num;
		break;
	case VHK_KERN_RANGE:
		r->range.first.v = a->range.first;
		r->range.last.v = a->range.last;
		break;
	default:
		break;
	}
}

static int call_fixed(int fd, const struct vhk_kern_row *row, struct vhk_ctl_req *r)
{
	union arg a;
	int ret;

	memset(&a, 0, sizeof(a));
	ret = put(&a, row, r);
	if (!ret)
		ret = kern_ioctl(fd, row->nr, row->form == VHK_KERN_NONE ? NULL : &a);
	if (!ret && row->answers)
		take(&a, row->form, r);
	return ret;
}

/* Where the table has a region mapped in this process. */
static int region_va(const struct vhk_mem *m, const struct vhk_region *r, uint64_t *out)
{
	struct iovec seg;
	int ret = vhk_mem_find(m, r->gpa, r->size, &seg, 1);

	*out = ret == 1 ? (uintptr_t)seg.iov_base : 0;
	return ret == 1 ? 0 : -EFAULT;
}

static int call_mem(int fd, const struct vhk_kern_row *row, const struct vhk_mem *m)
{
	unsigned int i, n = vhk_mem_count(m);
	struct vhost_memory *t;
	struct vhk_region r;
	uint64_t va;
	int ret = 0;

	if (!n)
		return -EINVAL;
	t = calloc(1, sizeof(*t) + n * sizeof(t->regions[0]));
	if (!t)
		return -ENOMEM;
	t->nregions = n;
	for (i = 0; i < n && !ret; i++) {
		ret = vhk_mem_get(m, i, &r, NULL);
		if (!ret)
			ret = region_va(m, &r, &va);
		if (!ret)
			t->regions[i] = (struct vhost_memory_region){ .guest_phys_addr = r.gpa.v,
								      .memory_size = r.size,
								      .userspace_addr = va };
	}
	if (!ret)
		ret = kern_ioctl(fd, row->nr, t);
	free(t);
	return ret == -E2BIG ? -EMSGSIZE : ret;
}

static int call_config(int fd, const struct vhk_kern_row *row, const struct vhk_ctl_config *c)
{
	struct vhost_vdpa_config *k;
	int ret;

	if (!c->len || !vhk_range_ok(c->offset, c->len) || c->flags)
		return -EINVAL;
	k = calloc(1, sizeof(*k) + c->len);
	if (!k)
		return -ENOMEM;
	k->off = c->offset;
	k->len = c->len;
	if (!row->answers)
		memcpy(k->buf, c->data, c->len);
	ret = kern_ioctl(fd, row->nr, k);
	if (!ret && row->answers)
		memcpy(c->data, k->buf, c->len);
	free(k);
	return ret;
}

#define WORDS_MAX 16
/* As many as kernels know so far. Asked for more, some of them clear the first words, in place of
 * those behind the last one. */
#define WORDS_KNOWN 2

static int call_array(int fd, const struct vhk_kern_row *row, const struct vhk_ctl_features *f)
{
	struct {
		uint64_t count;
		uint64_t word[WORDS_MAX];
	} a = { .count = f->n }, first = { .count = WORDS_KNOWN };
	int ret;

	if (!f->n || f->n > WORDS_MAX)
		return -EINVAL;
	if (!row->answers)
		memcpy(a.word, f->word, f->n * sizeof(a.word[0]));
	ret = kern_ioctl(fd, row->nr, &a);
	if (!ret && row->answers && f->n > WORDS_KNOWN) {
		ret = kern_ioctl(fd, row->nr, &first);
		memcpy(a.word, first.word, WORDS_KNOWN * sizeof(a.word[0]));
	}
	if (!ret && row->answers)
		memcpy(f->word, a.word, f->n * sizeof(a.word[0]));
	return ret;
}

int vhk_kern_call(int fd, const struct vhk_kern_row *row, struct vhk_ctl_req *r)
{
	switch (row->form) {
	case VHK_KERN_MEM:
		return call_mem(fd, row, r->mem);
	case VHK_KERN_CONFIG:
		return call_config(fd, row, &r->config);
	case VHK_KERN_ARRAY:
		return call_array(fd, row, &r->features);
	case VHK_KERN_OTHER:
		return -EOPNOTSUPP;
	default:
		return call_fixed(fd, row, r);
	}
}
