// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every request of the family "vdpa", byte for byte as Linux 6.12 understood them, and requests
 * that are refused before a byte is sent.
 */
#include "t_vdpa.h"

#define HEAD(len, flags, cmd) len "000000" "2300" flags "SSSSSSSS" "00000000" cmd "010000"
#define D0 "070004006430" "0000"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

static int no_mgmtdev(void *arg, const struct vhk_vdpa_mgmtdev *m)
{
	(void)arg;
	(void)m;
	return 0;
}

static int no_dev(void *arg, const struct vhk_vdpa_dev *d)
{
	(void)arg;
	(void)d;
	return 0;
}

static int no_config(void *arg, const struct vhk_vdpa_config *c)
{
	(void)arg;
	(void)c;
	return 0;
}

static int mgmtdev_get(struct vhk_vdpa *v)
{
	struct vhk_vdpa_mgmtdev m = { .sz = sizeof(m) };

	return vhk_vdpa_mgmtdev_get(v, "vhostkit_blk", &m);
}

static int mgmtdev_get_bus(struct vhk_vdpa *v)
{
	struct vhk_vdpa_mgmtdev m = { .sz = sizeof(m) };

	return vhk_vdpa_mgmtdev_get(v, "pci/0000:03:00.2", &m);
}

static int mgmtdev_dump(struct vhk_vdpa *v)
{
	return vhk_vdpa_mgmtdev_dump(v, no_mgmtdev, NULL);
}

static int dev_new(struct vhk_vdpa *v)
{
	return vhk_vdpa_dev_new(v, "d0", "vhostkit_blk", NULL);
}

static int dev_new_all(struct vhk_vdpa *v)
{
	struct vhk_vdpa_params p = { .sz = sizeof(p),
				     .set = VHK_VDPA_NET_MAC | VHK_VDPA_NET_MTU |
					    VHK_VDPA_NET_MAX_VQP | VHK_VDPA_FEATURES,
				     .mtu = 1500,
				     .max_vqp = 2,
				     .features = 0x0102030405060708 };

	memcpy(p.mac, mac, 6);
	return vhk_vdpa_dev_new(v, "d0", "a/b", &p);
}

static int dev_del(struct vhk_vdpa *v)
{
	return vhk_vdpa_dev_del(v, "d0");
}

static int dev_get(struct vhk_vdpa *v)
{
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };

	return vhk_vdpa_dev_get(v, "d0", &d);
}

static int dev_dump(struct vhk_vdpa *v)
{
	return vhk_vdpa_dev_dump(v, no_dev, NULL);
}

static int config_get(struct vhk_vdpa *v)
{
	struct vhk_vdpa_config c = { .sz = sizeof(c) };

	return vhk_vdpa_config_get(v, "d0", &c);
}

static int config_dump(struct vhk_vdpa *v)
{
	return vhk_vdpa_config_dump(v, no_config, NULL);
}

static int vstats_get(struct vhk_vdpa *v)
{
	struct vhk_vdpa_vstats s = { .sz = sizeof(s) };

	return vhk_vdpa_vstats_get(v, "d0", 0x12345, &s);
}

static int dev_set(struct vhk_vdpa *v)
{
	struct vhk_vdpa_params p = { .sz = sizeof(p), .set = VHK_VDPA_NET_MAC };

	memcpy(p.mac, mac, 6);
	return vhk_vdpa_dev_set(v, "d0", &p);
}

static const struct {
	int (*call)(struct vhk_vdpa *v);
	const char *want; /* SSSSSSSS: the number of the request */
} requests[] = {
	{ mgmtdev_get,
	  HEAD("28", "0500", "02") "1100020076686f73746b69745f626c6b00000000" },
	{ mgmtdev_get_bus,
	  HEAD("30", "0500", "02") "080001007063690011000200303030303a30333a30302e3200000000" },
	{ mgmtdev_dump, HEAD("14", "0503", "02") },
	{ dev_new, HEAD("30", "0500", "03") D0 "1100020076686f73746b69745f626c6b00000000" },
	{ dev_new_all, HEAD("54", "0500", "03") D0 "06000100610000000600020062000000"
		       "0a000a00020000000001000006000d00dc05000006000c0002000000"
		       "0c0014000807060504030201" },
	{ dev_del, HEAD("1c", "0500", "04") D0 },
	{ dev_get, HEAD("1c", "0500", "05") D0 },
	{ dev_dump, HEAD("14", "0503", "05") },
	{ config_get, HEAD("1c", "0500", "06") D0 },
	{ config_dump, HEAD("14", "0503", "06") },
	{ vstats_get, HEAD("24", "0500", "07") D0 "0800110045230100" },
	{ dev_set, HEAD("28", "0500", "08") D0 "0a000a000200000000010000" },
};

static void requests_are_what_the_kernel_reads(void)
{
	static const char *const answers[] = { T_DONE, NULL };
	char got[2 * T_SENT_MAX + 1], want[2 * T_SENT_MAX + 1];
	struct t_kernel k;
	struct vhk_vdpa *v;
	size_t i, n;

	for (i = 0; i < vhk_array_size(requests); i++) {
		v = t_vdpa(&k, answers);
		T_EQ(k.requests, 1);
		requests[i].call(v);
		T_EQ(k.requests, 2);
		for (n = 0; n < k.n_sent; n++)
			sprintf(got + 2 * n, "%02x", k.sent[n]);
		strcpy(want, requests[i].want);
		memcpy(want + 16, got + 16, 8);
		T_STR(got, want);
		T_OK(memcmp(got + 16, "00000000", 8));
		vhk_vdpa_close(v);
		T_OK(k.closed);
	}
}

static void the_family_is_asked_for_by_name(void)
{
	static const char want[] = "2000000010000500" "01000000" "00000000" "03010000"
				   "090002007664706100000000";
	char got[2 * T_SENT_MAX + 1];
	struct t_kernel k;
	size_t n;

	vhk_vdpa_close(t_vdpa(&k, NULL));
	for (n = 0; n < k.n_sent; n++)
		sprintf(got + 2 * n, "%02x", k.sent[n]);
	T_STR(got, want);
}

static void wrong_arguments_are_not_sent(void)
{
	struct vhk_vdpa_params odd = { .sz = sizeof(odd), .set = 1ull << 40 };
	struct vhk_vdpa_params mtu = { .sz = sizeof(mtu), .set = VHK_VDPA_NET_MTU, .mtu = 67 };
	struct vhk_vdpa_params vqp = { .sz = sizeof(vqp), .set = VHK_VDPA_NET_MAX_VQP };
	struct vhk_vdpa_params none = { .sz = sizeof(none) }, sizeless = { 0 };
	struct vhk_vdpa_dev d = { .sz = sizeof(d) };
	struct vhk_vdpa_mgmtdev m = { .sz = sizeof(m) };
	char long_name[VHK_VDPA_NAME_SIZE + 1] = "";
	struct t_kernel k;
	struct vhk_vdpa *v = t_vdpa(&k, NULL);

	memset(long_name, 'a', VHK_VDPA_NAME_SIZE);
	T_EQ(vhk_vdpa_dev_get(v, "", &d), -EINVAL);
	T_EQ(vhk_vdpa_dev_get(v, NULL, &d), -EINVAL);
	T_EQ(vhk_vdpa_dev_get(v, long_name, &d), -EINVAL);
	T_EQ(vhk_vdpa_dev_del(v, ""), -EINVAL);
	T_EQ(vhk_vdpa_mgmtdev_get(v, "/a", &m), -EINVAL);
	T_EQ(vhk_vdpa_mgmtdev_get(v, "a/", &m), -EINVAL);
	T_EQ(vhk_vdpa_mgmtdev_get(v, "a/b/c", &m), -EINVAL);
	T_EQ(vhk_vdpa_dev_new(v, "d0", "", NULL), -EINVAL);
	T_EQ(vhk_vdpa_dev_new(v, "d0", "m", &odd), -EOPNOTSUPP);
	T_EQ(vhk_vdpa_dev_new(v, "d0", "m", &mtu), -EINVAL);
	T_STR(vhk_vdpa_error(v), "an MTU is at least 68");
	T_EQ(vhk_vdpa_dev_new(v, "d0", "m", &vqp), -EINVAL);
	T_EQ(vhk_vdpa_dev_new(v, "d0", "m", &sizeless), -EINVAL);
	T_EQ(vhk_vdpa_dev_set(v, "d0", &vqp), -EOPNOTSUPP);
	T_EQ(vhk_vdpa_dev_set(v, "d0", &none), -EINVAL);
	T_EQ(vhk_vdpa_dev_set(v, "d0", NULL), -EINVAL);
	T_EQ(k.requests, 1);
	vhk_vdpa_close(v);
}

int main(void)
{
	T_RUN(requests_are_what_the_kernel_reads);
	T_RUN(the_family_is_asked_for_by_name);
	T_RUN(wrong_arguments_are_not_sent);
	return t_end();
}
