// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a device of the kernel's cannot do, or not at this time, or not with these arguments, is
 * refused by the right code, and vhk_ctl_can() knows of it before. Devices that vanish, too.
 */
#include "t_kern.h"

#define NET VHK_CTL_KIND_NET
#define VSOCK VHK_CTL_KIND_VSOCK
#define SCSI VHK_CTL_KIND_SCSI
#define VDPA VHK_CTL_KIND_VDPA
#define N 1u << NET
#define V 1u << VSOCK
#define S 1u << SCSI
#define D 1u << VDPA

/* Who can do what, on a device that has everything, before any feature was set. */
static void who_can_do_what(void)
{
	static const struct {
		enum vhk_ctl_op op;
		unsigned int kinds;
	} ops[] = {
		{ VHK_CTL_GET_FEATURES, N | V | S | D },
		{ VHK_CTL_SET_OWNER, N | V | S | D },
		{ VHK_CTL_RESET_OWNER, N },
		{ VHK_CTL_SET_MEM_TABLE, N | V | S | D },
		{ VHK_CTL_SET_LOG_BASE, 0 },
		{ VHK_CTL_SET_LOG_BASE_UVA, N | V | S },
		{ VHK_CTL_SET_LOG_FD, N | V | S },
		{ VHK_CTL_SET_VRING_ADDR, N | V | S },
		{ VHK_CTL_SET_VRING_ADDR_IOVA, D },
		{ VHK_CTL_IOTLB_MSG, D },
		{ VHK_CTL_SET_VRING_KICK, N | V | S | D },
		{ VHK_CTL_SET_VRING_ENABLE, D },
		{ VHK_CTL_SET_VRING_ENDIAN, N | V | S },
		{ VHK_CTL_GET_PROTOCOL_FEATURES, 0 },
		{ VHK_CTL_GET_QUEUE_NUM, D },
		{ VHK_CTL_GET_STATUS, D },
		{ VHK_CTL_GET_CONFIG, D },
		{ VHK_CTL_RESET_DEVICE, 0 },
		{ VHK_CTL_ADD_MEM_REG, 0 },
		{ VHK_CTL_GET_INFLIGHT_FD, 0 },
		{ VHK_CTL_SET_BACKEND_REQ_FD, 0 },
		{ VHK_CTL_NEW_WORKER, N | V | S },
		{ VHK_CTL_NET_SET_BACKEND, N },
		{ VHK_CTL_VSOCK_SET_RUNNING, V },
		{ VHK_CTL_SCSI_SET_ENDPOINT, S },
		{ VHK_CTL_SUSPEND, D },
		{ VHK_CTL_RESUME, D },
		{ VHK_CTL_SET_GROUP_ASID, D },
		{ VHK_CTL_GET_VRING_DESC_GROUP, D },
		{ VHK_CTL_GET_BACKEND_FEATURES, N | V | S | D },
		{ VHK_CTL_GET_FEATURES_ARRAY, N },
		{ VHK_CTL_GET_FORK_FROM_OWNER, N | V | S },
		{ VHK_CTL_MAP_DOORBELL, D },
		{ (enum vhk_ctl_op)0, 0 },
		{ (enum vhk_ctl_op)0x1ff, 0 },
	};
	const enum vhk_ctl_kind kinds[] = { NET, VSOCK, SCSI, VDPA };
	size_t i, j;

	for (i = 0; i < vhk_array_size(kinds); i++) {
		struct vhk_ctl *c;

		t_kern.backend = UINT64_MAX;
		c = t_kern_open(kinds[i], NULL);
		T_EQ(vhk_ctl_kind(c), kinds[i]);
		for (j = 0; j < vhk_array_size(ops); j++) {
			struct vhk_ctl_req r = { .op = ops[j].op, .fd = -1 };
			bool can = ops[j].kinds & 1u << kinds[i];

			if (vhk_ctl_can(c, r.op) != can)
				printf("# kind %d, request 0x%x\n", kinds[i], r.op);
			T_EQ(vhk_ctl_can(c, r.op), can);
			if (!can)
				T_EQ(vhk_ctl_call(c, &r), -EOPNOTSUPP);
		}
		T_EQ(t_kern.n_calls, 0);
		T_EQ(vhk_ctl_peer_pid(c), -EOPNOTSUPP);
		T_EQ(vhk_ctl_protocol_features(c), 0);
		t_kern_close(c);
	}
}

/* Ring addresses are of one kind at a time. */
static void addresses_of_the_other_kind(void)
{
	const struct vhk_ctl_vring_addr uva = { .index = 0 };
	const struct vhk_ctl_vring_addr_iova iova = { .index = 0 };
	struct vhk_ctl *c;

	t_kern.features = VHK_F_ACCESS_PLATFORM;
	c = t_kern_open(NET, NULL);
	T_EQ(vhk_ctl_set_vring_addr(c, &uva), 0);
	T_EQ(vhk_ctl_set_vring_addr_iova(c, &iova), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_features(c, VHK_F_ACCESS_PLATFORM), 0);
	T_OK(vhk_ctl_can(c, VHK_CTL_SET_VRING_ADDR_IOVA));
	T_OK(!vhk_ctl_can(c, VHK_CTL_SET_VRING_ADDR));
	T_EQ(vhk_ctl_set_vring_addr(c, &uva), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_vring_addr_iova(c, &iova), 0);
	t_kern_close(c);
	c = t_kern_open(VDPA, NULL);
	T_EQ(vhk_ctl_set_vring_addr(c, &uva), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_vring_addr_iova(c, &iova), 0);
	t_kern_close(c);
}

static void features_not_offered(void)
{
	struct vhk_ctl *c;
	uint64_t v;

	t_kern.features = 6;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2 | VHK_BF_DESC_ASID;
	c = t_kern_open(VDPA, NULL);
	T_EQ(vhk_ctl_get_features(c, &v), 0);
	T_EQ(v, 6);
	T_EQ(vhk_ctl_set_features(c, 8), -EINVAL);
	T_EQ(vhk_ctl_set_backend_features(c, VHK_BF_SUSPEND), -EINVAL);
	T_EQ(vhk_ctl_set_backend_features(c, VHK_BF_DESC_ASID), -EINVAL);
	T_EQ(t_kern.n_calls, 1);
	T_EQ(vhk_ctl_set_features(c, 2), 0);
	T_EQ(vhk_ctl_features(c), 2);
	T_OK(!vhk_ctl_can(c, VHK_CTL_SUSPEND));
	T_EQ(vhk_ctl_suspend(c), -EOPNOTSUPP);
	T_EQ(vhk_ctl_resume(c), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_group_asid(c, 0, 0), -EOPNOTSUPP);
	t_kern_close(c);
}

static void bad_arguments(void)
{
	struct vhk_ctl_config flags = { .len = 1, .flags = VHK_CTL_CONFIG_F_MIGRATION };
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_CONFIG, .fd = -1 };
	uint64_t words[17] = { 0 };
	struct vhk_ctl *c;
	unsigned char b = 0;

	t_kern.backend = 0;
	c = t_kern_open(VDPA, NULL);
	T_EQ(vhk_ctl_get_config(c, 0, &b, 0), -EINVAL);
	T_EQ(vhk_ctl_set_config(c, 0, &b, 0, 0), -EINVAL);
	flags.data = &b;
	r.config = flags;
	T_EQ(vhk_ctl_call(c, &r), -EINVAL);
	r = (struct vhk_ctl_req){ .op = VHK_CTL_SET_STATUS, .fd = -1, .u64 = 256 };
	T_EQ(vhk_ctl_call(c, &r), -EINVAL);
	r.flags = 2;
	T_EQ(vhk_ctl_call(c, &r), -EOPNOTSUPP);
	T_EQ(t_kern.n_calls, 0);
	t_kern_close(c);
	c = t_kern_open(NET, NULL);
	T_EQ(vhk_ctl_get_features_array(c, words, 0), -EINVAL);
	T_EQ(vhk_ctl_get_features_array(c, words, 17), -EINVAL);
	T_EQ(vhk_ctl_set_features_array(c, words, 17), -EINVAL);
	T_EQ(t_kern.n_calls, 0);
	t_kern_close(c);
}

/* What an older kernel lacks is found out by looking, or else by the first use. */
static int old_kernel(unsigned long nr, void *arg)
{
	switch (nr) {
	case 0x8001af85: /* GET_FORK_FROM_OWNER */
	case 0xc008af16: /* GET_VRING_WORKER */
	case 0x4008af14: /* GET_VRING_ENDIAN */
	case 0xc008af82: /* GET_VRING_SIZE */
		return -ENOTTY;
	case 0x8008af83: /* GET_FEATURES_ARRAY: only an owner gets so far */
		return -EPERM;
	case 0xc008af7b: /* GET_VRING_GROUP of a device without groups */
		return -EOPNOTSUPP;
	default:
		t_kern_model(&t_kern, nr, arg);
		return 0;
	}
}

static void older_kernels(void)
{
	struct vhk_ctl *c;
	uint32_t v;

	t_kern.answer = old_kernel;
	c = t_kern_open(NET, NULL);
	T_OK(!vhk_ctl_can(c, VHK_CTL_SET_FORK_FROM_OWNER));
	T_OK(!vhk_ctl_can(c, VHK_CTL_SET_FEATURES_ARRAY));
	T_EQ(vhk_ctl_set_fork_from_owner(c, false), -EOPNOTSUPP);
	T_OK(vhk_ctl_can(c, VHK_CTL_NEW_WORKER));
	T_EQ(vhk_ctl_set_owner(c), 0);
	T_OK(!vhk_ctl_can(c, VHK_CTL_NEW_WORKER));
	T_OK(!vhk_ctl_can(c, VHK_CTL_ATTACH_VRING_WORKER));
	T_OK(!vhk_ctl_can(c, VHK_CTL_SET_VRING_ENDIAN));
	T_OK(vhk_ctl_can(c, VHK_CTL_SET_VRING_BUSYLOOP_TIMEOUT));
	T_EQ(vhk_ctl_new_worker(c, &v), -EOPNOTSUPP);
	t_kern_close(c);

	t_kern.answer = old_kernel;
	c = t_kern_open(VDPA, NULL);
	T_OK(vhk_ctl_can(c, VHK_CTL_GET_VRING_SIZE));
	T_EQ(vhk_ctl_get_vring_size(c, 0, &v), -EOPNOTSUPP);
	T_OK(!vhk_ctl_can(c, VHK_CTL_GET_VRING_SIZE));
	T_EQ(vhk_ctl_get_vring_group(c, 0, &v), -EOPNOTSUPP);
	T_OK(!vhk_ctl_can(c, VHK_CTL_GET_VRING_GROUP));
	t_kern_close(c);
}

/* -ENODEV of some means what they name. */
static void what_is_named_is_not_there(void)
{
	struct vhk_ctl *c = t_kern_open(SCSI, NULL);

	t_kern.fail_with = -ENODEV;
	t_kern.fail_nr = 0x4004af09;
	T_EQ(vhk_ctl_free_worker(c, 3), -ENOENT);
	t_kern.fail_nr = 0x4008af15;
	T_EQ(vhk_ctl_attach_vring_worker(c, 0, 3), -ENOENT);
	t_kern.fail_nr = 0x40e8af40;
	T_EQ(vhk_ctl_scsi_set_endpoint(c, "naa.5", 0), -ENOENT);
	T_EQ(vhk_ctl_set_owner(c), 0);
	t_kern_close(c);
}

static void devices_that_vanish(void)
{
	const int codes[] = { -ENODEV, -ENXIO };
	struct vhk_ctl *c;
	struct vhk_mem *m;
	uint8_t status;
	size_t i;

	T_MUST(!vhk_mem_new(&m));
	for (i = 0; i < vhk_array_size(codes); i++) {
		c = t_kern_open(VDPA, NULL);
		t_kern.fail_nr = 0x8001af71;
		t_kern.fail_with = codes[i];
		T_EQ(vhk_ctl_get_status(c, &status), -ENOTCONN);
		T_EQ(status, 0);
		T_OK(t_readable(vhk_ctl_fd(c), 10000));
		T_EQ(vhk_ctl_process(c), -ENOTCONN);
		T_EQ(vhk_ctl_set_owner(c), -ENOTCONN);
		T_EQ(vhk_ctl_setup(c, 0, 0, m), -ENOTCONN);
		T_EQ(vhk_ctl_peer_pid(c), -ENOTCONN);
		T_EQ(t_kern.n_calls, 1);
		t_kern_close(c);
	}
	/* Gone before it could be looked at. */
	t_kern.fail_nr = 0x8010af78;
	t_kern.fail_with = -ENODEV;
	{
		int fd[2];

		T_MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd));
		t_kern.fd = fd[0];
		T_MUST(!vhk_ctl_kernel_adopt_take_fd(&c, fd[0], VDPA));
		T_EQ(vhk_ctl_begin(c, NULL), -ENODEV);
		T_EQ(fcntl(fd[0], F_GETFD), -1);
		close(fd[1]);
	}
	t_kern.fail_nr = 0;
	/* A device that failed is there still. */
	c = t_kern_open(VDPA, NULL);
	t_kern.fail_nr = 0x4001af72;
	t_kern.fail_with = -EIO;
	T_EQ(vhk_ctl_set_status(c, 1), -EREMOTEIO);
	T_EQ(vhk_ctl_process(c), 0);
	t_kern_close(c);
	vhk_mem_free(m);
}

/* A socket has no doorbells, and maps nothing. */
static void no_doorbell(void)
{
	struct vhk_ctl *c = t_kern_open(VDPA, NULL);
	volatile void *bell = c;

	T_OK(vhk_ctl_map_doorbell(c, 0, &bell) < 0);
	T_OK(!bell);
	vhk_ctl_unmap_doorbell(bell);
	t_kern_close(c);
	c = t_kern_open(NET, NULL);
	T_EQ(vhk_ctl_map_doorbell(c, 0, &bell), -EOPNOTSUPP);
	t_kern_close(c);
}

static unsigned int n_config;

static void on_config(void *arg)
{
	T_OK(arg == &n_config);
	n_config++;
}

/* The eventfd behind on_config is ours; it is watched as long as the device is open. */
static int config_fd;

static int keep_config_fd(unsigned long nr, void *arg)
{
	if (nr == 0x4004af77)
		memcpy(&config_fd, arg, 4);
	t_kern_model(&t_kern, nr, arg);
	return 0;
}

static void config_changes(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .on_config = on_config, .arg = &n_config };
	const uint64_t one = 1;
	struct vhk_ctl *c;
	int n_fds = t_count_fds();

	t_kern.answer = keep_config_fd;
	c = t_kern_open(VDPA, &o);
	T_MUST(config_fd > 0);
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_config, 0);
	T_MUST(write(config_fd, &one, sizeof(one)) == sizeof(one));
	T_OK(t_readable(vhk_ctl_fd(c), 10000));
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_config, 1);
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_config, 1);
	t_kern_close(c);
	T_EQ(t_count_fds(), n_fds);
}

int main(void)
{
	T_RUN(who_can_do_what);
	T_RUN(addresses_of_the_other_kind);
	T_RUN(features_not_offered);
	T_RUN(bad_arguments);
	T_RUN(older_kernels);
	T_RUN(what_is_named_is_not_there);
	T_RUN(devices_that_vanish);
	T_RUN(no_doorbell);
	T_RUN(config_changes);
	return t_end();
}
