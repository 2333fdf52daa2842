// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The commands of the family "vdpa": what each request carries and what comes back.
 */
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "vdpa_nl_impl.h"

#define PARAMS_ALL                                                                                 \
	(VHK_VDPA_NET_MAC | VHK_VDPA_NET_MTU | VHK_VDPA_NET_MAX_VQP | VHK_VDPA_FEATURES)
#define MTU_MIN 68 /* virtio 1.3, 5.1.4.1 */

static bool good_name(const char *name)
{
	return name && *name && strlen(name) < VHK_VDPA_NAME_SIZE;
}

/* "NAME" or "BUS/NAME". */
static bool good_handle(const char *handle)
{
	const char *slash = handle ? strchr(handle, '/') : NULL;

	if (!slash)
		return good_name(handle);
	return slash != handle && slash - handle < VHK_VDPA_NAME_SIZE && good_name(slash + 1) &&
	       !strchr(slash + 1, '/');
}

static int put_handle(struct nl_msg *msg, const char *handle)
{
	const char *slash = strchr(handle, '/');
	char bus[VHK_VDPA_NAME_SIZE] = "";

	if (!slash)
		return nla_put_string(msg, VHK_NL_MGMTDEV_NAME, handle);
	memcpy(bus, handle, (size_t)(slash - handle));
	return nla_put_string(msg, VHK_NL_MGMTDEV_BUS, bus) ||
	       nla_put_string(msg, VHK_NL_MGMTDEV_NAME, slash + 1);
}

static int put_params(struct nl_msg *msg, const struct vhk_vdpa_params *p)
{
	int ret = 0;

	if (p->set & VHK_VDPA_NET_MAC)
		ret |= nla_put(msg, VHK_NL_NET_MAC, sizeof(p->mac), p->mac);
	if (p->set & VHK_VDPA_NET_MTU)
		ret |= nla_put_u16(msg, VHK_NL_NET_MTU, p->mtu);
	if (p->set & VHK_VDPA_NET_MAX_VQP)
		ret |= nla_put_u16(msg, VHK_NL_NET_MAX_VQP, p->max_vqp);
	if (p->set & VHK_VDPA_FEATURES)
		ret |= nla_put_u64(msg, VHK_NL_FEATURES, p->features);
	return ret;
}

static int read_params(struct vhk_vdpa *v, struct vhk_vdpa_params *p,
		       const struct vhk_vdpa_params *given, uint64_t may)
{
	int ret = vhk_opts_read(p, sizeof(*p), given);

	if (ret)
		return vhk_vdpa_fail(v, ret, "struct vhk_vdpa_params has an odd size");
	if (p->set & ~may)
		return vhk_vdpa_fail(v, -EOPNOTSUPP, "this parameter cannot be set");
	if (p->set & VHK_VDPA_NET_MTU && p->mtu < MTU_MIN)
		return vhk_vdpa_fail(v, -EINVAL, "an MTU is at least 68");
	if (p->set & VHK_VDPA_NET_MAX_VQP && !p->max_vqp)
		return vhk_vdpa_fail(v, -EINVAL, "at least one pair of queues is needed");
	return 0;
}

/* What a request for one record waits for. */
struct one {
	enum vhk_nl_kind kind;
	void *record;
	bool got;
};

static int take_one(void *arg, const struct nlattr *first, int len)
{
	struct one *one = arg;

	if (one->got)
		return -EPROTO;
	one->got = true;
	return vhk_nl_record_read(one->kind, one->record, first, len);
}

/* Sends @msg, which is freed, and hands the one record over. */
static int ask_one(struct vhk_vdpa *v, struct nl_msg *msg, enum vhk_nl_kind kind, void *out)
{
	struct one one = { kind, calloc(1, vhk_nl_record_size(kind)), false };
	struct vhk_nl_answer a = { .record = take_one, .arg = &one };
	int ret = -ENOMEM;

	if (one.record && msg)
		ret = vhk_vdpa_request(v, msg, &a);
	nlmsg_free(msg);
	if (!ret && !one.got)
		ret = vhk_vdpa_fail(v, -EPROTO, NULL);
	if (!ret)
		ret = vhk_out_write(out, one.record, vhk_nl_record_size(kind));
	free(one.record);
	return ret;
}

/* Sends @msg, which is freed; there is nothing to come back. */
static int tell(struct vhk_vdpa *v, struct nl_msg *msg, struct vhk_nl_answer *a)
{
	int ret = vhk_vdpa_request(v, msg, a);

	nlmsg_free(msg);
	return ret;
}

static struct nl_msg *named(struct vhk_vdpa *v, uint8_t cmd, const char *name)
{
	struct nl_msg *msg = vhk_vdpa_msg_new(v->family, cmd, 0);

	if (msg && nla_put_string(msg, VHK_NL_NAME, name)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int bad_name(struct vhk_vdpa *v)
{
	return vhk_vdpa_fail(v, -EINVAL, "that can be no name");
}

int vhk_vdpa_mgmtdev_get(struct vhk_vdpa *v, const char *name, struct vhk_vdpa_mgmtdev *out)
{
	struct nl_msg *msg;

	if (!good_handle(name))
		return bad_name(v);
	msg = vhk_vdpa_msg_new(v->family, VHK_NL_MGMTDEV_GET, 0);
	if (msg && put_handle(msg, name)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return ask_one(v, msg, VHK_NL_MGMTDEV, out);
}

int vhk_vdpa_dev_get(struct vhk_vdpa *v, const char *name, struct vhk_vdpa_dev *out)
{
	if (!good_name(name))
		return bad_name(v);
	return ask_one(v, named(v, VHK_NL_DEV_GET, name), VHK_NL_DEV, out);
}

int vhk_vdpa_config_get(struct vhk_vdpa *v, const char *name, struct vhk_vdpa_config *out)
{
	if (!good_name(name))
		return bad_name(v);
	return ask_one(v, named(v, VHK_NL_CONFIG_GET, name), VHK_NL_CONFIG, out);
}

int vhk_vdpa_vstats_get(struct vhk_vdpa *v, const char *name, uint32_t queue,
			struct vhk_vdpa_vstats *out)
{
	struct nl_msg *msg;

	if (!good_name(name))
		return bad_name(v);
	msg = named(v, VHK_NL_VSTATS_GET, name);
	if (msg && nla_put_u32(msg, VHK_NL_QUEUE_INDEX, queue)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return ask_one(v, msg, VHK_NL_VSTATS, out);
}

int vhk_vdpa_dev_new(struct vhk_vdpa *v, const char *name, const char *mgmtdev,
		     const struct vhk_vdpa_params *params)
{
	struct vhk_nl_answer a = { 0 };
	struct vhk_vdpa_params p;
	struct nl_msg *msg;
	int ret;

	if (!good_name(name) || !good_handle(mgmtdev))
		return bad_name(v);
	ret = read_params(v, &p, params, PARAMS_ALL);
	if (ret)
		return ret;
	msg = named(v, VHK_NL_DEV_NEW, name);
	if (!msg)
		return -ENOMEM;
	if (!put_handle(msg, mgmtdev) && !put_params(msg, &p))
		return tell(v, msg, &a);
	nlmsg_free(msg);
	return -ENOMEM;
}

int vhk_vdpa_dev_del(struct vhk_vdpa *v, const char *name)
{
	struct vhk_nl_answer a = { 0 };
	struct nl_msg *msg;

	if (!good_name(name))
		return bad_name(v);
	msg = named(v, VHK_NL_DEV_DEL, name);
	return msg ? tell(v, msg, &a) : -ENOMEM;
}

int vhk_vdpa_dev_set(struct vhk_vdpa *v, const char *name, const struct vhk_vdpa_params *params)
{
	struct vhk_nl_answer a = { 0 };
	struct vhk_vdpa_params p;
	struct nl_msg *msg;
	int ret;

	if (!good_name(name))
		return bad_name(v);
	ret = read_params(v, &p, params, VHK_VDPA_NET_MAC);
	if (!ret && !p.set)
		ret = vhk_vdpa_fail(v, -EINVAL, "nothing to set");
	if (ret)
		return ret;
	msg = named(v, VHK_NL_ATTR_SET, name);
	if (!msg)
		return -ENOMEM;
	if (put_params(msg, &p)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	ret = tell(v, msg, &a);
	/* Linux 6.12 says in words only that a device which is no network device cannot do it. */
	return !ret && *a.text ? vhk_vdpa_fail(v, -EOPNOTSUPP, a.text) : ret;
}

/* The callers' functions take a structure, the walk hands over any record. */
#define DUMP(type, cmd, KIND)                                                                      \
	struct type##_walk {                                                                       \
		int (*fn)(void *arg, const struct vhk_vdpa_##type *record);                        \
		void *arg;                                                                         \
	};                                                                                         \
	static int type##_each(void *arg, const void *record)                                      \
	{                                                                                          \
		const struct type##_walk *w = arg;                                                 \
                                                                                                   \
		return w->fn(w->arg, record);                                                      \
	}                                                                                          \
	int vhk_vdpa_##type##_dump(struct vhk_vdpa *v,                                             \
				   int (*fn)(void *arg, const struct vhk_vdpa_##type *record),     \
				   void *arg)                                                      \
	{                                                                                          \
		struct type##_walk w = { fn, arg };                                                \
                                                                                                   \
		return vhk_vdpa_dump(v, cmd, KIND, type##_each, &w);                               \
	}

DUMP(mgmtdev, VHK_NL_MGMTDEV_GET, VHK_NL_MGMTDEV)
DUMP(dev, VHK_NL_DEV_GET, VHK_NL_DEV)
DUMP(config, VHK_NL_CONFIG_GET, VHK_NL_CONFIG)
