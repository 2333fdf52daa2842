// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Each function of level 1 becomes the ioctl that <linux/vhost.h> has for it: number, direction and
 * every byte of the argument; its answer comes back, and so do the kernel's errors.
 */
#include "t_kern.h"

#define NET VHK_CTL_KIND_NET
#define VSOCK VHK_CTL_KIND_VSOCK
#define SCSI VHK_CTL_KIND_SCSI
#define VDPA VHK_CTL_KIND_VDPA

static uint64_t got; /* what a getter left */
static unsigned char got_bytes[64];

#define GETTER(name, type)                                                                         \
	static int do_##name(struct vhk_ctl *c)                                                    \
	{                                                                                          \
		type v = 0;                                                                        \
		int ret = vhk_ctl_##name(c, &v);                                                   \
                                                                                                   \
		got = (uint64_t)v;                                                                 \
		return ret;                                                                        \
	}
#define RING_GETTER(name, type)                                                                    \
	static int do_##name(struct vhk_ctl *c)                                                    \
	{                                                                                          \
		type v = 0;                                                                        \
		int ret = vhk_ctl_##name(c, 1, &v);                                                \
                                                                                                   \
		got = (uint64_t)v;                                                                 \
		return ret;                                                                        \
	}
#define CALL(name, ...)                                                                            \
	static int do_##name(struct vhk_ctl *c)                                                    \
	{                                                                                          \
		return vhk_ctl_##name(c __VA_OPT__(,) __VA_ARGS__);                                \
	}

GETTER(get_features, uint64_t)
CALL(set_features, 0x0102030405060708)
CALL(set_owner)
CALL(reset_owner)
CALL(set_log_fd, 77)
CALL(set_log_base_uva, (struct vhk_uva){ 0x7f0011223344 })
CALL(set_vring_num, 1, 256)
CALL(set_vring_base, 1, 0x80018002)
RING_GETTER(get_vring_base, uint32_t)
CALL(set_vring_kick, 1, 77)
CALL(set_vring_call, 1, -1)
CALL(set_vring_err, 1, 78)
CALL(set_vring_endian, 1, true)
RING_GETTER(get_vring_endian, bool)
CALL(set_vring_busyloop_timeout, 1, 50)
RING_GETTER(get_vring_busyloop_timeout, uint32_t)
GETTER(get_backend_features, uint64_t)
CALL(set_backend_features, 2)
GETTER(new_worker, uint32_t)
CALL(free_worker, 5)
CALL(attach_vring_worker, 1, 5)
RING_GETTER(get_vring_worker, uint32_t)
CALL(set_fork_from_owner, true)
GETTER(get_fork_from_owner, bool)
CALL(net_set_backend, 1, -1)
CALL(vsock_set_guest_cid, 0x1122334455)
CALL(vsock_set_running, true)
GETTER(scsi_get_abi_version, int)
CALL(scsi_set_events_missed, 3)
GETTER(scsi_get_events_missed, uint32_t)
GETTER(get_device_id, uint32_t)
GETTER(get_status, uint8_t)
CALL(set_status, 7)
CALL(set_vring_enable, 1, true)
GETTER(get_vring_num, uint16_t)
CALL(set_config_call, -1)
GETTER(get_config_size, uint32_t)
GETTER(get_queue_num, uint64_t)
GETTER(get_group_num, uint32_t)
GETTER(get_as_num, uint32_t)
RING_GETTER(get_vring_group, uint32_t)
RING_GETTER(get_vring_desc_group, uint32_t)
RING_GETTER(get_vring_size, uint32_t)
CALL(set_group_asid, 1, 1)
CALL(suspend)
CALL(resume)

static int do_set_vring_addr(struct vhk_ctl *c)
{
	const struct vhk_ctl_vring_addr a = { .index = 1, .flags = 1, .desc = { 0x1000 },
					      .driver = { 0x2000 }, .device = { 0x3000 },
					      .log = { 0x4000 } };

	return vhk_ctl_set_vring_addr(c, &a);
}

static int do_set_vring_addr_iova(struct vhk_ctl *c)
{
	const struct vhk_ctl_vring_addr_iova a = { .index = 1, .desc = { 0x1000 },
						   .driver = { 0x2000 }, .device = { 0x3000 } };

	return vhk_ctl_set_vring_addr_iova(c, &a);
}

static int do_get_config(struct vhk_ctl *c)
{
	return vhk_ctl_get_config(c, 4, got_bytes, 3);
}

static int do_set_config(struct vhk_ctl *c)
{
	return vhk_ctl_set_config(c, 4, "abc", 3, 0);
}

static int do_get_features_array(struct vhk_ctl *c)
{
	return vhk_ctl_get_features_array(c, (uint64_t *)got_bytes, 2);
}

static int do_set_features_array(struct vhk_ctl *c)
{
	const uint64_t word[2] = { 1, 0x8000000000000002 };

	return vhk_ctl_set_features_array(c, word, 2);
}

static int do_get_iova_range(struct vhk_ctl *c)
{
	struct vhk_ctl_iova_range r;
	int ret = vhk_ctl_get_iova_range(c, &r);

	memcpy(got_bytes, &r, sizeof(r));
	return ret;
}

static int do_scsi_set_endpoint(struct vhk_ctl *c)
{
	return vhk_ctl_scsi_set_endpoint(c, "naa.5001", 2);
}

static int do_scsi_clear_endpoint(struct vhk_ctl *c)
{
	return vhk_ctl_scsi_clear_endpoint(c, "naa.5001", 2);
}

#define LE32(v) (v) & 0xff, (v) >> 8 & 0xff, (v) >> 16 & 0xff, (v) >> 24 & 0xff
#define LE64(v) LE32(v), LE32((v) >> 32)
#define BYTES(...) { __VA_ARGS__ }, sizeof((unsigned char[]){ __VA_ARGS__ })

static const struct row {
	const char *name;
	int (*call)(struct vhk_ctl *c);
	enum vhk_ctl_op op;
	enum vhk_ctl_kind kind;
	unsigned long nr;
	unsigned char arg[48];	  /* what the kernel is to see; answers start as zeros */
	size_t len;
	unsigned char answer[48]; /* what the kernel leaves instead */
	size_t answer_len;
	uint64_t want;
} rows[] = {
#define ROW(n, o, k, number, in, out, w)                                                           \
	{ #n, do_##n, VHK_CTL_##o, k, number, in, out, w }
#define IN(...) BYTES(__VA_ARGS__)
#define NOTHING { 0 }, 0
	ROW(get_features, GET_FEATURES, NET, 0x8008af00, IN(LE64(0ull)),
	    BYTES(LE64(0x1122334455667788ull)), 0x1122334455667788),
	ROW(set_features, SET_FEATURES, NET, 0x4008af00, IN(LE64(0x0102030405060708ull)), NOTHING,
	    0),
	ROW(set_owner, SET_OWNER, NET, 0xaf01, NOTHING, NOTHING, 0),
	ROW(reset_owner, RESET_OWNER, NET, 0xaf02, NOTHING, NOTHING, 0),
	ROW(set_log_base_uva, SET_LOG_BASE_UVA, VSOCK, 0x4008af04, IN(LE64(0x7f0011223344ull)),
	    NOTHING, 0),
	ROW(set_log_fd, SET_LOG_FD, NET, 0x4004af07, IN(LE32(77)), NOTHING, 0),
	ROW(new_worker, NEW_WORKER, SCSI, 0x8004af08, IN(LE32(0)), BYTES(LE32(9)), 9),
	ROW(free_worker, FREE_WORKER, SCSI, 0x4004af09, IN(LE32(5)), NOTHING, 0),
	ROW(set_vring_num, SET_VRING_NUM, NET, 0x4008af10, IN(LE32(1), LE32(256)), NOTHING, 0),
	ROW(set_vring_addr, SET_VRING_ADDR, NET, 0x4028af11,
	    IN(LE32(1), LE32(1), LE64(0x1000ull), LE64(0x3000ull), LE64(0x2000ull),
	       LE64(0x4000ull)), NOTHING, 0),
	ROW(set_vring_addr_iova, SET_VRING_ADDR_IOVA, VDPA, 0x4028af11,
	    IN(LE32(1), LE32(0), LE64(0x1000ull), LE64(0x3000ull), LE64(0x2000ull), LE64(0ull)),
	    NOTHING, 0),
	ROW(set_vring_base, SET_VRING_BASE, NET, 0x4008af12, IN(LE32(1), LE32(0x80018002)),
	    NOTHING, 0),
	ROW(get_vring_base, GET_VRING_BASE, VDPA, 0xc008af12, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(0x80038004)), 0x80038004),
	ROW(set_vring_endian, SET_VRING_ENDIAN, NET, 0x4008af13, IN(LE32(1), LE32(1)), NOTHING, 0),
	ROW(get_vring_endian, GET_VRING_ENDIAN, NET, 0x4008af14, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(1)), 1),
	ROW(attach_vring_worker, ATTACH_VRING_WORKER, SCSI, 0x4008af15, IN(LE32(1), LE32(5)),
	    NOTHING, 0),
	ROW(get_vring_worker, GET_VRING_WORKER, SCSI, 0xc008af16, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(6)), 6),
	ROW(set_vring_kick, SET_VRING_KICK, NET, 0x4008af20, IN(LE32(1), LE32(77)), NOTHING, 0),
	ROW(set_vring_call, SET_VRING_CALL, VDPA, 0x4008af21, IN(LE32(1), LE32(0xffffffff)),
	    NOTHING, 0),
	ROW(set_vring_err, SET_VRING_ERR, VSOCK, 0x4008af22, IN(LE32(1), LE32(78)), NOTHING, 0),
	ROW(set_vring_busyloop_timeout, SET_VRING_BUSYLOOP_TIMEOUT, NET, 0x4008af23,
	    IN(LE32(1), LE32(50)), NOTHING, 0),
	ROW(get_vring_busyloop_timeout, GET_VRING_BUSYLOOP_TIMEOUT, NET, 0x4008af24,
	    IN(LE32(1), LE32(0)), BYTES(LE32(1), LE32(60)), 60),
	ROW(set_backend_features, SET_BACKEND_FEATURES, NET, 0x4008af25, IN(LE64(2ull)), NOTHING,
	    0),
	ROW(get_backend_features, GET_BACKEND_FEATURES, VDPA, 0x8008af26, IN(LE64(0ull)),
	    BYTES(LE64(0x1feull)), 0x1fe),
	ROW(net_set_backend, NET_SET_BACKEND, NET, 0x4008af30, IN(LE32(1), LE32(0xffffffff)),
	    NOTHING, 0),
	ROW(scsi_get_abi_version, SCSI_GET_ABI_VERSION, SCSI, 0x4004af42, IN(LE32(0)),
	    BYTES(LE32(1)), 1),
	ROW(scsi_set_events_missed, SCSI_SET_EVENTS_MISSED, SCSI, 0x4004af43, IN(LE32(3)), NOTHING,
	    0),
	ROW(scsi_get_events_missed, SCSI_GET_EVENTS_MISSED, SCSI, 0x4004af44, IN(LE32(0)),
	    BYTES(LE32(4)), 4),
	ROW(vsock_set_guest_cid, VSOCK_SET_GUEST_CID, VSOCK, 0x4008af60,
	    IN(LE64(0x1122334455ull)), NOTHING, 0),
	ROW(vsock_set_running, VSOCK_SET_RUNNING, VSOCK, 0x4004af61, IN(LE32(1)), NOTHING, 0),
	ROW(get_device_id, GET_DEVICE_ID, VDPA, 0x8004af70, IN(LE32(0)), BYTES(LE32(2)), 2),
	ROW(get_status, GET_STATUS, VDPA, 0x8001af71, IN(0), BYTES(15), 15),
	ROW(set_status, SET_STATUS, VDPA, 0x4001af72, IN(7), NOTHING, 0),
	ROW(set_config, SET_CONFIG, VDPA, 0x4008af74, IN(LE32(4), LE32(3), 'a', 'b', 'c'), NOTHING,
	    0),
	ROW(set_vring_enable, SET_VRING_ENABLE, VDPA, 0x4008af75, IN(LE32(1), LE32(1)), NOTHING,
	    0),
	ROW(get_vring_num, GET_VRING_NUM, VDPA, 0x8002af76, IN(0, 0), BYTES(0, 4), 1024),
	ROW(set_config_call, SET_CONFIG_CALL, VDPA, 0x4004af77, IN(LE32(0xffffffff)), NOTHING, 0),
	ROW(get_config_size, GET_CONFIG_SIZE, VDPA, 0x8004af79, IN(LE32(0)), BYTES(LE32(60)), 60),
	ROW(get_as_num, GET_AS_NUM, VDPA, 0x8004af7a, IN(LE32(0)), BYTES(LE32(3)), 3),
	ROW(get_vring_group, GET_VRING_GROUP, VDPA, 0xc008af7b, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(2)), 2),
	ROW(set_group_asid, SET_GROUP_ASID, VDPA, 0x4008af7c, IN(LE32(1), LE32(1)), NOTHING, 0),
	ROW(suspend, SUSPEND, VDPA, 0xaf7d, NOTHING, NOTHING, 0),
	ROW(resume, RESUME, VDPA, 0xaf7e, NOTHING, NOTHING, 0),
	ROW(get_vring_desc_group, GET_VRING_DESC_GROUP, VDPA, 0xc008af7f, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(1)), 1),
	ROW(get_queue_num, GET_QUEUE_NUM, VDPA, 0x8004af80, IN(LE32(0)), BYTES(LE32(7)), 7),
	ROW(get_group_num, GET_GROUP_NUM, VDPA, 0x8004af81, IN(LE32(0)), BYTES(LE32(2)), 2),
	ROW(get_vring_size, GET_VRING_SIZE, VDPA, 0xc008af82, IN(LE32(1), LE32(0)),
	    BYTES(LE32(1), LE32(128)), 128),
	ROW(set_features_array, SET_FEATURES_ARRAY, NET, 0x4008af83,
	    IN(LE64(2ull), LE64(1ull), LE64(0x8000000000000002ull)), NOTHING, 0),
	ROW(set_fork_from_owner, SET_FORK_FROM_OWNER, VSOCK, 0x4001af84, IN(1), NOTHING, 0),
	ROW(get_fork_from_owner, GET_FORK_FROM_OWNER, NET, 0x8001af85, IN(0), BYTES(1), 1),
	/* Answers that are more than a number: their own test holds them against this. */
	ROW(get_config, GET_CONFIG, VDPA, 0x8008af73, IN(LE32(4), LE32(3), 0, 0, 0),
	    BYTES(LE32(4), LE32(3), 'x', 'y', 'z'), 0),
	ROW(get_iova_range, GET_IOVA_RANGE, VDPA, 0x8010af78, IN(LE64(0ull), LE64(0ull)),
	    BYTES(LE64(5ull), LE64(6ull)), 0),
	ROW(get_features_array, GET_FEATURES_ARRAY, NET, 0x8008af83,
	    IN(LE64(2ull), LE64(0ull), LE64(0ull)), BYTES(LE64(2ull), LE64(3ull), LE64(4ull)), 0),
	/* The name's 224 bytes have a test of their own. */
	ROW(scsi_set_endpoint, SCSI_SET_ENDPOINT, SCSI, 0x40e8af40,
	    IN(LE32(1), 'n', 'a', 'a', '.', '5', '0', '0', '1', 0, 0), NOTHING, 0),
	ROW(scsi_clear_endpoint, SCSI_CLEAR_ENDPOINT, SCSI, 0x40e8af41,
	    IN(LE32(1), 'n', 'a', 'a', '.', '5', '0', '0', '1', 0, 0), NOTHING, 0),
};

static const struct row *now;
static bool open_yet;

static int answer(unsigned long nr, void *arg)
{
	if (!open_yet || nr != now->nr)
		t_kern_model(&t_kern, nr, arg);
	else if (now->answer_len)
		memcpy(arg, now->answer, now->answer_len);
	return 0;
}

static struct vhk_ctl *open_for(const struct row *r)
{
	struct vhk_ctl *c;

	now = r;
	open_yet = false;
	t_kern.features = UINT64_MAX;
	t_kern.backend = 0x1fe;
	t_kern.answer = answer;
	c = t_kern_open(r->kind, NULL);
	open_yet = true;
	got = 0;
	memset(got_bytes, 0, sizeof(got_bytes));
	return c;
}

static void bytes(const struct row *r)
{
	struct vhk_ctl *c = open_for(r);
	const struct t_call *k = &t_kern.call[0];

	T_OK(vhk_ctl_can(c, r->op));
	T_EQ(r->call(c), 0);
	T_OK(t_kern.n_calls >= 1);
	T_EQ(k->nr, r->nr);
	T_OK(k->len >= r->len);
	if (_IOC_SIZE(r->nr) != 232)
		T_EQ(k->len, r->len);
	T_OK(!memcmp(k->arg, r->arg, r->len));
	T_EQ(got, r->want);
	t_kern_close(c);
}

/* What the kernel says is what the caller hears, in the words of the front end. */
static void errors(const struct row *r)
{
	static const struct {
		int kernel, want;
	} codes[] = {
		{ -EINVAL, -EINVAL }, { -EFAULT, -EFAULT }, { -EBUSY, -EBUSY },
		{ -EPERM, -EPERM },   { -ENOBUFS, -ENOBUFS }, { -ENOMEM, -ENOMEM },
		{ -EIO, -EREMOTEIO },
	};
	size_t i;

	for (i = 0; i < vhk_array_size(codes); i++) {
		struct vhk_ctl *c = open_for(r);

		t_kern.fail_nr = r->nr;
		t_kern.fail_with = codes[i].kernel;
		T_EQ(r->call(c), codes[i].want);
		T_EQ(got, 0);
		T_EQ(got_bytes[0], 0);
		T_EQ(vhk_ctl_process(c), 0);
		T_OK(vhk_ctl_can(c, r->op));
		t_kern_close(c);
	}
}

static void each(void (*fn)(const struct row *r))
{
	size_t i;
	int bad;

	for (i = 0; i < vhk_array_size(rows); i++) {
		bad = t_bad;
		fn(&rows[i]);
		if (t_bad != bad)
			printf("# %s\n", rows[i].name);
	}
}

static void every_byte(void)
{
	each(bytes);
}

static void every_error(void)
{
	each(errors);
}

static void answers_of_many_bytes(void)
{
	const uint64_t words[2] = { 3, 4 }, range[2] = { 5, 6 };
	size_t i;

	for (i = 0; i < vhk_array_size(rows); i++) {
		struct vhk_ctl *c;
		const void *want = NULL;

		if (rows[i].op == VHK_CTL_GET_CONFIG)
			want = "xyz\0\0\0\0\0\0\0\0\0\0\0\0";
		else if (rows[i].op == VHK_CTL_GET_IOVA_RANGE)
			want = range;
		else if (rows[i].op == VHK_CTL_GET_FEATURES_ARRAY)
			want = words;
		else
			continue;
		c = open_for(&rows[i]);
		T_EQ(rows[i].call(c), 0);
		T_OK(!memcmp(got_bytes, want, 16));
		t_kern_close(c);
	}
}

/* struct vhost_scsi_target: version, 224 bytes of name, portal group, reserved. */
static void scsi_target(void)
{
	struct vhk_ctl *c = t_kern_open(SCSI, NULL);
	const unsigned char *arg = t_kern.call[0].arg;
	char name[225];
	int i;

	memset(name, 'x', sizeof(name));
	name[223] = 0;
	T_EQ(vhk_ctl_scsi_set_endpoint(c, name, 0x1234), 0);
	T_EQ(t_kern.call[0].len, 232);
	T_EQ(arg[0], 1);
	for (i = 0; i < 223; i++)
		T_EQ(arg[4 + i], 'x');
	T_EQ(arg[227], 0);
	T_EQ(arg[228], 0x34);
	T_EQ(arg[229], 0x12);
	T_EQ(arg[230] | arg[231], 0);
	name[223] = 'x';
	name[224] = 0;
	T_EQ(vhk_ctl_scsi_set_endpoint(c, name, 0), -EINVAL);
	T_EQ(vhk_ctl_scsi_set_endpoint(c, "", 0), -EINVAL);
	T_EQ(vhk_ctl_scsi_set_endpoint(c, NULL, 0), -EINVAL);
	T_EQ(t_kern.n_calls, 1);
	t_kern_close(c);
}

/* struct vhost_memory, by where the table has its regions mapped. */
static void memory_table(void)
{
	struct vhk_ctl *c = t_kern_open(VSOCK, NULL);
	const struct vhk_region other = { .gpa = { 0x100000 }, .uva = { 0xdead000 }, .size = 8192 };
	static unsigned char own[8192] __attribute__((aligned(4096)));
	const struct t_call *k = &t_kern.call[0];
	uint64_t region[2][4];
	struct vhk_mem *m;
	uint32_t head[2];
	void *va;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_ctl_set_mem_table(c, m), -EINVAL);
	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 65536, &va));
	T_MUST(!vhk_mem_add_va(m, &other, own));
	T_EQ(vhk_ctl_set_mem_table(c, m), 0);
	T_EQ(t_kern.n_calls, 1);
	T_EQ(k->nr, 0x4008af03);
	T_EQ(k->len, 72);
	memcpy(head, k->arg, 8);
	memcpy(region, k->arg + 8, 64);
	T_EQ(head[0], 2);
	T_EQ(head[1], 0);
	T_EQ(region[0][0], 0);
	T_EQ(region[0][1], 65536);
	T_EQ(region[0][2], (uintptr_t)va);
	T_EQ(region[0][3], 0);
	T_EQ(region[1][0], 0x100000);
	T_EQ(region[1][1], 8192);
	T_EQ(region[1][2], (uintptr_t)own);
	T_EQ(region[1][3], 0);
	t_kern.fail_nr = 0x4008af03;
	t_kern.fail_with = -E2BIG;
	T_EQ(vhk_ctl_set_mem_table(c, m), -EMSGSIZE);
	t_kern_close(c);
	vhk_mem_free(m);
}

/* Whatever can be asked for by number has a name, and nothing else. */
static void names(void)
{
	size_t i;

	for (i = 0; i < vhk_array_size(rows); i++)
		T_OK(vhk_ctl_op_name(rows[i].op));
	T_STR(vhk_ctl_op_name(VHK_CTL_NET_SET_BACKEND), "NET_SET_BACKEND");
	T_STR(vhk_ctl_op_name(VHK_CTL_SET_VRING_ADDR_IOVA), "SET_VRING_ADDR_IOVA");
	T_STR(vhk_ctl_op_name(VHK_CTL_GET_FEATURES), "GET_FEATURES");
	T_OK(!vhk_ctl_op_name((enum vhk_ctl_op)0x1ff));
	T_OK(!vhk_ctl_op_name((enum vhk_ctl_op)0));
}

/* Linux 6.17 and some after it: of two words, asked for more, it clears those that it wrote. */
static int clears_too_much(unsigned long nr, void *arg)
{
	const uint64_t known[2] = { 0x1234, 0x5678 };
	uint64_t count, copied;

	if (nr != 0x8008af83)
		return 0;
	memcpy(&count, arg, 8);
	copied = vhk_min(count, 2u);
	memcpy((char *)arg + 8, known, copied * 8);
	memset((char *)arg + 8, 0, (count - copied) * 8);
	return 0;
}

static void more_words_than_the_kernel_knows(void)
{
	struct vhk_ctl *c = t_kern_open(NET, NULL);
	uint64_t word[5];

	t_kern.answer = clears_too_much;
	memset(word, 0xff, sizeof(word));
	T_EQ(vhk_ctl_get_features_array(c, word, 5), 0);
	T_EQ(word[0], 0x1234);
	T_EQ(word[1], 0x5678);
	T_EQ(word[2] | word[3] | word[4], 0);
	T_EQ(vhk_ctl_get_features_array(c, word, 1), 0);
	T_EQ(word[0], 0x1234);
	t_kern_close(c);
}

int main(void)
{
	T_RUN(every_byte);
	T_RUN(every_error);
	T_RUN(answers_of_many_bytes);
	T_RUN(scsi_target);
	T_RUN(memory_table);
	T_RUN(names);
	T_RUN(more_words_than_the_kernel_knows);
	return t_end();
}
