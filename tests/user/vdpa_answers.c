// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Answers of the kernel: what is read from those that Linux 6.12 gave, lists that are interrupted,
 * the kernel's own words, attributes with an older meaning; and answers that are truncated, odd or
 * never come.
 */
#include "t_vdpa.h"

#define BLK_BITS (VHK_VDPA_BLK_FLUSH * 2 - VHK_VDPA_BLK_CAPACITY)

static void a_management_device_is_read(void)
{
	const char *answers[] = { t_record(1, 0, T_MGMTDEV_ATTRS), T_ACK, NULL };
	struct vhk_vdpa_mgmtdev m = { .sz = sizeof(m) };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_mgmtdev_get(v, "vhostkit_blk", &m), 0);
	T_STR(vhk_vdpa_error(v), "");
	T_EQ(m.has, VHK_VDPA_MGMTDEV | VHK_VDPA_CLASSES | VHK_VDPA_MGMTDEV_MAX_VQS |
			    VHK_VDPA_SUPPORTED);
	T_STR(m.name, "vhostkit_blk");
	T_STR(m.bus, "");
	T_EQ(m.classes, 1 << 2);
	T_EQ(m.max_vqs, 64);
	T_EQ(m.features, 0xf30007e64);
	vhk_vdpa_close(v);
}

static void a_device_is_read(void)
{
	const char *answers[] = { t_record(3, 0, T_DEV_ATTRS), T_ACK, NULL };
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_dev_get(v, "d0", &d), 0);
	T_STR(d.name, "d0");
	T_STR(d.mgmtdev, "vhostkit_blk");
	T_EQ(d.id, 2);
	T_EQ(d.vendor, 7759979);
	T_EQ(d.max_vqs, 2);
	T_EQ(d.max_vq_size, 256);
	T_EQ(d.min_vq_size, 1);
	T_EQ(d.has & VHK_VDPA_BUS, 0);
	vhk_vdpa_close(v);
}

static void configurations_are_read(void)
{
	const char *answers[] = { t_record(6, 0, T_CONFIG_ATTRS), T_ACK,
				  t_record(6, 0, T_NET_ATTRS), T_ACK, NULL };
	struct vhk_vdpa_config c = { .sz = sizeof(c) };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_config_get(v, "d0", &c), 0);
	T_EQ(c.blk.capacity, 16384);
	T_EQ(c.blk.blk_size, 512);
	T_EQ(c.blk.seg_max, 254);
	T_EQ(c.blk.num_queues, 2);
	T_EQ(c.blk.physical_block_exp, 3);
	T_EQ(c.blk.max_discard_sectors, 0x400000);
	T_EQ(c.blk.discard_sector_alignment, 8);
	T_EQ(c.blk.max_write_zeroes_seg, 16);
	T_EQ(c.blk.read_only, 0);
	T_EQ(c.blk.flush, 1);
	T_EQ(c.features, 0xf30007e44);
	T_EQ(c.negotiated, 0x730007e44);
	T_EQ(c.has & VHK_VDPA_BLK_SIZE_MAX, 0);
	T_EQ(c.has & VHK_VDPA_NET_MAC, 0);

	T_EQ(vhk_vdpa_config_get(v, "n0", &c), 0);
	T_STR(c.name, "n0");
	T_EQ(c.id, 1);
	T_EQ(c.net.mtu, 1500);
	T_EQ(c.net.status, 1);
	T_EQ(c.net.max_vqp, 2);
	T_EQ(c.net.mac[5], 0x56);
	T_EQ(c.has & BLK_BITS, 0);
	vhk_vdpa_close(v);
}

static void statistics_are_read(void)
{
	const char *answers[] = { t_record(7, 0, T_VSTATS_ATTRS), T_ACK, NULL };
	struct vhk_vdpa_vstats s = { .sz = sizeof(s) };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_vstats_get(v, "n0", 1, &s), 0);
	T_EQ(s.queue, 1);
	T_EQ(s.max_vqp, 2);
	T_EQ(s.n_stats, 2);
	T_STR(s.stat[0].name, "received_desc");
	T_EQ(s.stat[0].value, 7);
	T_STR(s.stat[1].name, "completed_desc");
	T_EQ(s.stat[1].value, 5);
	vhk_vdpa_close(v);
}

/* A caller compiled against a smaller or larger structure. */
static void structures_of_another_size_are_filled(void)
{
	const char *answers[] = { t_record(3, 0, T_DEV_ATTRS), T_ACK, t_record(3, 0, T_DEV_ATTRS),
				  T_ACK, t_record(3, 0, T_DEV_ATTRS), T_ACK, NULL };
	struct {
		struct vhk_vdpa_dev d;
		unsigned char more[16];
	} big;
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	memset(&big, 0xcc, sizeof(big));
	big.d.sz = sizeof(big);
	T_EQ(vhk_vdpa_dev_get(v, "d0", &big.d), 0);
	T_EQ(big.d.sz, sizeof(big));
	T_EQ(big.more[0] | big.more[15], 0);
	memset(&big, 0xcc, sizeof(big));
	big.d.sz = offsetof(struct vhk_vdpa_dev, id);
	T_EQ(vhk_vdpa_dev_get(v, "d0", &big.d), 0);
	T_STR(big.d.name, "d0");
	T_EQ(big.d.id, 0xcccccccc);
	big.d.sz = 0;
	T_EQ(vhk_vdpa_dev_get(v, "d0", &big.d), -EINVAL);
	vhk_vdpa_close(v);
}

static int count_dev(void *arg, const struct vhk_vdpa_dev *d)
{
	T_STR(d->name, "d0");
	return ++*(int *)arg == 5 ? 42 : 0;
}

#define ONE T_DEV_ATTRS

static void a_list_comes_in_datagrams(void)
{
	const char *one = t_record(3, 2, ONE);
	char two[1024];
	const char *answers[] = { one, two, T_DONE, one, one, one, one, one, one, T_DONE, T_DONE,
				  NULL };
	struct t_kernel k;
	struct vhk_vdpa *v;
	int n = 0;

	snprintf(two, sizeof(two), "%s%s", one, one);
	v = t_vdpa(&k, answers);
	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), 0);
	T_EQ(n, 3);
	n = 0;
	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), 42);
	T_EQ(n, 5);
	n = 0;
	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), 0);
	T_EQ(n, 0);
	vhk_vdpa_close(v);
}

/* NLM_F_DUMP_INTR is 0x10: the list changed, on a record or at the end of it. */
static void an_interrupted_list_is_asked_for_again(void)
{
	const char *answers[] = { t_record(3, 0x12, ONE),
				  T_DONE,
				  t_record(3, 2, ONE),
				  "14000000030012000200000000000000" "00000000",
				  "overrun",
				  t_record(3, 2, ONE),
				  t_record(3, 2, ONE),
				  T_DONE,
				  NULL };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);
	int n = 0;

	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), 0);
	T_EQ(n, 2);
	T_EQ(k.requests, 1 + 4);
	vhk_vdpa_close(v);
}

static void a_list_that_always_changes_is_given_up(void)
{
	const char *answers[41] = { NULL };
	struct t_kernel k;
	struct vhk_vdpa *v;
	int i, n = 0;

	for (i = 0; i < 40; i++)
		answers[i] = i % 2 ? T_DONE : t_record(3, 0x12, ONE);
	v = t_vdpa(&k, answers);
	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), -EAGAIN);
	T_EQ(n, 0);
	T_EQ(k.requests, 1 + 8);
	T_STR(vhk_vdpa_error(v), "the list changes faster than it can be read");
	vhk_vdpa_close(v);
}

/* The refusals of Linux 6.12, as recorded; then what has no text, or another form of it. */
static const struct {
	const char *answer;
	int ret;
	const char *text;
} refusals[] = {
	{ "400000000200000302000000d3000000edffffff20000000230005000200000000000000"
	  "1b000100766470613a20646576696365206e6f7420666f756e640000",
	  -ENODEV, "vdpa: device not found" },
	{ "6c0000000200000302000000bb000000deffffff38000000230005000200000000000000"
	  "19000100696e7465676572206f7574206f662072616e676500000000080002003000000024000480"
	  "0c00040044000000000000000c000500ffff0000000000000800010003000000",
	  -ERANGE, "integer out of range" },
	{ "640000000200000302000000bd000000a1ffffff38000000230005000200000000000000"
	  "3d000100766470613a20536f6d652070726f76696465642061747472696275746573206172652"
	  "06e6f7420737570706f727465643a2030783230303000000000",
	  -EOPNOTSUPP, "vdpa: Some provided attributes are not supported: 0x2000" },
	{ "240000000200000102000000cf000000a1ffffff24000000230005000200000000000000", -EOPNOTSUPP,
	  "this kernel or this device does not do that" },
	{ "24000000020000010200000000000000ffffffff24000000230005000200000000000000", -EPERM,
	  "CAP_NET_ADMIN in the initial network namespace is needed" },
	/* Not capped: the request comes back whole, before the text. */
	{ "3c0000000200000202000000d3000000edffffff1c000000230005000200000000000000"
	  "0401000007000400610000000a000100676f6e650a000000",
	  -ENODEV, "gone " },
	/* Text without its zero, and attributes that overrun the message. */
	{ "2c0000000200000302000000d3000000edffffff1c000000230005000200000000000000"
	  "08000100676f6e65",
	  -ENODEV, "gone" },
	{ "2c0000000200000302000000d3000000edffffff1c000000230005000200000000000000"
	  "09000100676f6e65",
	  -ENODEV, "no such device" },
	{ "2c0000000200000302000000d3000000edffffff1c000000230005000200000000000000"
	  "03000100676f6e65",
	  -ENODEV, "no such device" },
	/* The request that comes back claims more than the message has. */
	{ "2c0000000200000202000000d3000000edfffffff0ffffff230005000200000000000000"
	  "08000100676f6e65",
	  -ENODEV, "no such device" },
	/* An acknowledgement where a record is wanted; positive and absurd codes. */
	{ T_ACK, -EPROTO, "the kernel's answer is malformed" },
	{ "24000000020000010200000000000000010000002400000023000500020000000000000" "0", -EPROTO,
	  "the kernel's answer is malformed" },
	{ "24000000020000010200000000000000000000802400000023000500020000000000000" "0", -EPROTO,
	  "the kernel's answer is malformed" },
	{ "1400000002000001020000000000000000000000", -EPROTO, "the kernel's answer is malformed" },
	{ "14000000020000010200000000000000", -EPROTO, "the kernel's answer is malformed" },
	{ "0f0000000200000102000000", -EPROTO, "the kernel's answer is malformed" },
	{ "24000000", -EPROTO, "the kernel's answer is malformed" },
	{ NULL, -ETIMEDOUT, "the kernel does not answer in time" },
};

static void refusals_are_told_in_words(void)
{
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	const char *answers[2] = { NULL };
	struct t_kernel k;
	struct vhk_vdpa *v;
	size_t i;

	for (i = 0; i < vhk_array_size(refusals); i++) {
		answers[0] = refusals[i].answer;
		v = t_vdpa(&k, answers);
		T_EQ(vhk_vdpa_dev_get(v, "d0", &d), refusals[i].ret);
		T_STR(vhk_vdpa_error(v), refusals[i].text);
		vhk_vdpa_close(v);
	}
}

static void a_refusal_among_acknowledgements_is_one(void)
{
	/* What Linux 6.12 answers to dev set on a disk: code 0, and words. */
	static const char said[] =
		"480000000200000302000000d10000000000000028000000230005000200000000000000"
		"22000100766470613a20643120646576696365206e6f7420737570706f72746564000000";
	const char *answers[] = { said, T_ACK, NULL };
	struct vhk_vdpa_params p = { .sz = sizeof(p), .set = VHK_VDPA_NET_MAC, .mac = { 2 } };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_dev_set(v, "d1", &p), -EOPNOTSUPP);
	T_STR(vhk_vdpa_error(v), "vdpa: d1 device not supported");
	T_EQ(vhk_vdpa_dev_set(v, "d1", &p), 0);
	T_STR(vhk_vdpa_error(v), "");
	vhk_vdpa_close(v);
}

static void an_end_with_an_error_is_one(void)
{
	const char *answers[] = { t_record(3, 2, ONE),
				  "14000000030002000200000000000000" "a1ffffff", NULL };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);
	int n = 0;

	T_EQ(vhk_vdpa_dev_dump(v, count_dev, &n), -EOPNOTSUPP);
	T_EQ(n, 0);
	vhk_vdpa_close(v);
}

/* Answers to a request that was given up come before that of the next. */
static void late_answers_are_passed_over(void)
{
	char late[1024];
	const char *answers[] = { late, late, t_record(3, 0, ONE), T_ACK, NULL };
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct t_kernel k;
	struct vhk_vdpa *v;

	snprintf(late, sizeof(late), "%s", t_record(3, 0, T_NET_ATTRS));
	memcpy(late + 16, "ffffffff", 8);
	v = t_vdpa(&k, answers);
	T_EQ(vhk_vdpa_dev_get(v, "d0", &d), 0);
	T_STR(d.name, "d0");
	vhk_vdpa_close(v);
}

#define NAME_D0 "0700040064300000"
#define IS_BLOCK "0800050002000000"
#define IS_NET "0800050001000000"
#define OLD_21 "0c001500447e00300f000000"
#define RO "0500230000000000"
#define FLUSH "0500240001000000"

static const struct {
	const char *attrs;
	int ret;
	uint64_t has;
} records[] = {
	/* Attribute 21 is the capacity only beside what comes with it. */
	{ NAME_D0 IS_BLOCK OLD_21, 0, VHK_VDPA_NAME | VHK_VDPA_ID },
	{ NAME_D0 IS_NET OLD_21, 0, VHK_VDPA_NAME | VHK_VDPA_ID },
	{ NAME_D0 IS_NET OLD_21 RO FLUSH, 0, VHK_VDPA_NAME | VHK_VDPA_ID },
	{ NAME_D0 IS_BLOCK OLD_21 RO FLUSH, 0,
	  VHK_VDPA_NAME | VHK_VDPA_ID | VHK_VDPA_BLK_CAPACITY | VHK_VDPA_BLK_READ_ONLY |
		  VHK_VDPA_BLK_FLUSH },
	/* Unknown ones, a pad, a nested one's flag. */
	{ "08003700aabbccdd" NAME_D0 "04000000" IS_NET "0400ff3f", 0, VHK_VDPA_NAME | VHK_VDPA_ID },
	{ NAME_D0 "0800058002000000", 0, VHK_VDPA_NAME | VHK_VDPA_ID },
	/* The link's state in a byte or two. */
	{ NAME_D0 IS_NET "05000b0001000000", 0, VHK_VDPA_NAME | VHK_VDPA_ID | VHK_VDPA_NET_STATUS },
	{ NAME_D0 IS_NET "08000b0001000000", -EPROTO, 0 },
	/* Too short, too long, missing, cut off. */
	{ NAME_D0 "0600050002000000", -EPROTO, 0 },
	{ NAME_D0 "0c0005000200000000000000", -EPROTO, 0 },
	{ NAME_D0 "04000500", -EPROTO, 0 },
	{ NAME_D0 IS_NET "09000a00525400123" "4000000", -EPROTO, 0 },
	{ NAME_D0 IS_NET "05000d00dc000000", -EPROTO, 0 },
	{ NAME_D0 IS_NET "08000e0000000000", -EPROTO, 0 },
	{ NAME_D0 IS_BLOCK "0800150000000000" RO FLUSH, -EPROTO, 0 },
	{ IS_NET, -EPROTO, 0 },
	{ NAME_D0, -EPROTO, 0 },
	{ "", -EPROTO, 0 },
	{ "0400040000000000" IS_NET, -EPROTO, 0 },
	{ "0500040000000000" IS_NET, -EPROTO, 0 },
	{ NAME_D0 "080005000200", -EPROTO, 0 },
	{ NAME_D0 IS_NET "0000", -EPROTO, 0 },
	{ NAME_D0 IS_NET "03000500", -EPROTO, 0 },
	{ NAME_D0 IS_NET "ffff0500", -EPROTO, 0 },
	{ NAME_D0 IS_NET "00000000", -EPROTO, 0 },
};

static void each_length_is_checked(void)
{
	struct vhk_vdpa_config c = { .sz = sizeof(c) };
	const char *answers[3] = { NULL, T_ACK };
	struct t_kernel k;
	struct vhk_vdpa *v;
	size_t i;

	for (i = 0; i < vhk_array_size(records); i++) {
		answers[0] = t_record(6, 0, records[i].attrs);
		v = t_vdpa(&k, answers);
		T_EQ(vhk_vdpa_config_get(v, "d0", &c), records[i].ret);
		if (!records[i].ret)
			T_EQ(c.has, records[i].has);
		vhk_vdpa_close(v);
		if (t_bad) {
			printf("# record %zu\n", i);
			return;
		}
	}
}

static void names_have_an_end(void)
{
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	char attrs[1024], *at = attrs;
	const char *answers[3] = { NULL, T_ACK };
	struct t_kernel k;
	struct vhk_vdpa *v;
	int i;

	/* 256 bytes without a zero. */
	at += sprintf(at, "04010400");
	for (i = 0; i < 256; i++)
		at += sprintf(at, "61");
	answers[0] = t_record(3, 0, attrs);
	v = t_vdpa(&k, answers);
	T_EQ(vhk_vdpa_dev_get(v, "d0", &d), -EPROTO);
	vhk_vdpa_close(v);
	/* 255 do fit. */
	memcpy(attrs, "0301", 4);
	memcpy(at - 2, "00", 2);
	answers[0] = t_record(3, 0, attrs);
	v = t_vdpa(&k, answers);
	T_EQ(vhk_vdpa_dev_get(v, "d0", &d), 0);
	T_EQ(strlen(d.name), 255);
	vhk_vdpa_close(v);
}

static const struct {
	const char *attrs;
	int ret;
} stats[] = {
	{ NAME_D0 IS_NET "0600120061000000" "0c0013000700000000000000", 0 },
	{ NAME_D0 IS_NET, 0 },
	{ NAME_D0 IS_NET "0600120061000000", -EPROTO },
	{ NAME_D0 IS_NET "0c0013000700000000000000", -EPROTO },
	{ NAME_D0 IS_NET "0600120061000000" "0600120062000000" "0c0013000700000000000000",
	  -EPROTO },
	{ NAME_D0 IS_NET "0600120061000000" "080013000700000000000000", -EPROTO },
	{ NAME_D0 IS_NET "0500120000000000" "0c0013000700000000000000", -EPROTO },
};

static void counters_have_a_name_and_a_value(void)
{
	static struct vhk_vdpa_vstats s = { .sz = sizeof(s) };
	const char *answers[3] = { NULL, T_ACK };
	struct t_kernel k;
	struct vhk_vdpa *v;
	size_t i;

	for (i = 0; i < vhk_array_size(stats); i++) {
		answers[0] = t_record(7, 0, stats[i].attrs);
		v = t_vdpa(&k, answers);
		T_EQ(vhk_vdpa_vstats_get(v, "d0", 0, &s), stats[i].ret);
		vhk_vdpa_close(v);
	}
}

/* Every beginning of a good answer is refused, or waited for to the end; none is misread. */
static void truncated_answers_are_refused(void)
{
	struct vhk_vdpa_config c = { .sz = sizeof(c) };
	char cut[1024];
	const char *whole = t_record(6, 0, T_CONFIG_ATTRS), *answers[] = { cut, T_ACK, NULL };
	struct t_kernel k;
	struct vhk_vdpa *v;
	size_t n;

	for (n = 0; n < strlen(whole); n += 2) {
		snprintf(cut, sizeof(cut), "%.*s", (int)n, whole);
		v = t_vdpa(&k, answers);
		T_EQ(vhk_vdpa_config_get(v, "d0", &c), -EPROTO);
		vhk_vdpa_close(v);
	}
}

static void two_records_for_one_are_refused(void)
{
	const char *answers[] = { t_record(3, 0, ONE), t_record(3, 0, ONE), T_ACK, NULL };
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_dev_get(v, "d0", &d), -EPROTO);
	vhk_vdpa_close(v);
}

#define NO_FAMILY                                                                                  \
	"2400000002000001010000009a000000feffffff20000000100005000100000000000000"

static char last_line[256];

static void keep_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", text);
}

static const struct {
	const char *answer;
	int ret;
	const char *text;
} openings[] = {
	{ NO_FAMILY, -ENOENT,
	  "no vDPA in this kernel: its module vdpa is not loaded, or this is not the initial "
	  "network namespace" },
	{ T_ACK, -EPROTO, "the kernel's answer is malformed" },
	{ "1c00000010000000010000000000000001020000" "0800020076647000" T_ACK, -EPROTO,
	  "the kernel's answer is malformed" },
	{ "1c00000010000000010000000000000001020000" "0500010023000000" T_ACK, -EPROTO,
	  "the kernel's answer is malformed" },
	{ "1c00000010000000010000000000000001020000" "0600010010000000" T_ACK, -EPROTO,
	  "the kernel's answer is malformed" },
	{ NULL, -ETIMEDOUT, "the kernel does not answer in time" },
};

static void no_session_without_the_family(void)
{
	const struct vhk_vdpa_opts o = { .sz = sizeof(o),
					 .log = { keep_line, NULL, VHK_LOG_WARN } };
	const struct vhk_vdpa_opts odd = { .sz = 3 };
	struct vhk_vdpa *v = (void *)1;
	struct t_kernel k;
	size_t i;

	for (i = 0; i < vhk_array_size(openings); i++) {
		k = (struct t_kernel){ .answers = { openings[i].answer } };
		k.link = (struct vhk_nl_link){ t_kernel_send, t_kernel_recv, t_kernel_close, &k };
		T_EQ(vhk_vdpa_new_take_link(&v, &k.link, &o), openings[i].ret);
		T_OK(!v && k.closed);
		T_STR(last_line, openings[i].text);
	}
	k.closed = false;
	T_EQ(vhk_vdpa_new_take_link(&v, &k.link, &odd), -EINVAL);
	T_OK(!v && k.closed);
}

/* Unloaded, and loaded again under another number. */
static void the_family_can_go_and_come(void)
{
	static const char gone[] =
		"240000000200000102000000b4000000feffffff30000000230005000200000000000000";
	const char *other = "1c00000010000000010000000000000001020000" "0600010024000000" T_ACK;
	const char *answers[] = { gone, NO_FAMILY, gone, T_FAMILY T_ACK, gone, other, T_ACK, NULL };
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, answers);

	T_EQ(vhk_vdpa_dev_del(v, "d0"), -ENOTCONN);
	T_STR(vhk_vdpa_error(v), "the kernel's module vdpa was unloaded");
	/* The family is there, so it was a device's own answer. */
	T_EQ(vhk_vdpa_dev_new(v, "d0", "vhostkit_blk", NULL), -ENOENT);
	T_STR(vhk_vdpa_error(v), "No such file or directory");
	T_EQ(vhk_vdpa_dev_new(v, "d0", "vhostkit_blk", NULL), 0);
	T_EQ(k.sent[4], 0x24);
	vhk_vdpa_close(v);
}

int main(void)
{
	T_RUN(a_management_device_is_read);
	T_RUN(a_device_is_read);
	T_RUN(configurations_are_read);
	T_RUN(statistics_are_read);
	T_RUN(structures_of_another_size_are_filled);
	T_RUN(a_list_comes_in_datagrams);
	T_RUN(an_interrupted_list_is_asked_for_again);
	T_RUN(a_list_that_always_changes_is_given_up);
	T_RUN(refusals_are_told_in_words);
	T_RUN(a_refusal_among_acknowledgements_is_one);
	T_RUN(an_end_with_an_error_is_one);
	T_RUN(late_answers_are_passed_over);
	T_RUN(each_length_is_checked);
	T_RUN(names_have_an_end);
	T_RUN(counters_have_a_name_and_a_value);
	T_RUN(truncated_answers_are_refused);
	T_RUN(two_records_for_one_are_refused);
	T_RUN(no_session_without_the_family);
	T_RUN(the_family_can_go_and_come);
	return t_end();
}
