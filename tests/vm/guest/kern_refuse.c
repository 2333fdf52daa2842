// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the kernel's devices are asked what they must refuse, in
 * every state, and each time it is said why. The scenario has made the target of kern_scsi.
 */
#include "kern.h"

#include <sys/eventfd.h>

#define NET "/dev/vhost-net"
#define VSOCK "/dev/vhost-vsock"
#define SCSI "/dev/vhost-scsi"
#define WWPN "naa.5001405000000001"
#define NONE "naa.5001405000000009"
#define ALL_BITS (~0ull)
#define N(t) (sizeof(t) / sizeof((t)[0]))

static struct kern k;
static int event, null, closed = 987;

struct refusal {
	const char *what;
	int (*ask)(struct vhk_ctl *c);
	int want;
};

static void refused(const struct refusal *r, unsigned int n)
{
	unsigned int i;
	int ret;

	for (i = 0; i < n; i++) {
		ret = r[i].ask(k.ctl);
		if (ret == r[i].want)
			continue;
		printf("# %s: %d, want %d\n", r[i].what, ret, r[i].want);
		t_bad++;
	}
}

/* A call, by the front end c, with what its words say. */
#define ASK(name, call)                            \
	static int name(struct vhk_ctl *c)         \
	{                                          \
		return call;                       \
	}

static uint64_t u64;
static uint32_t u32;
static bool yes;

ASK(owner, vhk_ctl_set_owner(c))
ASK(features_all, vhk_ctl_set_features(c, ALL_BITS))
ASK(features_some, vhk_ctl_set_features(c, VHK_F_VERSION_1))
ASK(memory, vhk_ctl_set_mem_table(c, k.mem))
ASK(num, vhk_ctl_set_vring_num(c, 0, 64))
ASK(num_zero, vhk_ctl_set_vring_num(c, 0, 0))
ASK(num_odd, vhk_ctl_set_vring_num(c, 0, 48))
ASK(num_large, vhk_ctl_set_vring_num(c, 0, 65536))
ASK(num_nowhere, vhk_ctl_set_vring_num(c, 300, 64))
ASK(base, vhk_ctl_set_vring_base(c, 0, 0))
ASK(base_large, vhk_ctl_set_vring_base(c, 0, 65536))
ASK(base_nowhere, vhk_ctl_get_vring_base(c, 300, &u32))
ASK(kick, vhk_ctl_set_vring_kick(c, 0, event))
ASK(kick_null, vhk_ctl_set_vring_kick(c, 0, null))
ASK(kick_closed, vhk_ctl_set_vring_kick(c, 0, closed))
ASK(call_closed, vhk_ctl_set_vring_call(c, 0, closed))
ASK(call_nowhere, vhk_ctl_set_vring_call(c, 300, event))
ASK(err_null, vhk_ctl_set_vring_err(c, 0, null))
ASK(kick_none, vhk_ctl_set_vring_kick(c, 0, -1))
ASK(call_none, vhk_ctl_set_vring_call(c, 0, -1))
ASK(err_none, vhk_ctl_set_vring_err(c, 0, -1))
ASK(busy_loop_nowhere, vhk_ctl_set_vring_busyloop_timeout(c, 300, 10))
ASK(endian, vhk_ctl_set_vring_endian(c, 0, true))
ASK(log_nowhere, vhk_ctl_set_log_base_uva(c, (struct vhk_uva){ 1ull << 60 }))
ASK(log_fd_null, vhk_ctl_set_log_fd(c, null))
ASK(backend_all, vhk_ctl_set_backend_features(c, ALL_BITS))
ASK(enable, vhk_ctl_set_vring_enable(c, 0, true))
ASK(status, vhk_ctl_set_status(c, 0))
ASK(protocol, vhk_ctl_get_protocol_features(c, &u64))
ASK(config, vhk_ctl_get_config(c, 0, &u64, 8))
ASK(suspend, vhk_ctl_suspend(c))
ASK(reset, vhk_ctl_reset_device(c))
ASK(fork_late, vhk_ctl_set_fork_from_owner(c, false))
ASK(start, vhk_ctl_start(c, 0, k.vq[0]))
ASK(stop, vhk_ctl_stop(c, 0, NULL))
ASK(kick_it, vhk_ctl_kick(c, 0))

static int iotlb(struct vhk_ctl *c)
{
	const struct vhk_iotlb_msg m = { .size = 4096, .uva = { (uintptr_t)k.data },
					 .perm = VHK_IOTLB_PERM_RW, .type = VHK_IOTLB_UPDATE };

	return vhk_ctl_iotlb(c, &m);
}

static int addr_at(struct vhk_ctl *c, uint64_t at)
{
	const struct vhk_ctl_vring_addr a = {
		.desc = { at }, .driver = { at + 0x10000 }, .device = { at + 0x20000 },
	};

	return vhk_ctl_set_vring_addr(c, &a);
}

ASK(addr, addr_at(c, (uintptr_t)k.data))
ASK(addr_odd, addr_at(c, (uintptr_t)k.data + 1))
ASK(net_none, vhk_ctl_net_set_backend(c, 0, -1))
ASK(net_event, vhk_ctl_net_set_backend(c, 0, event))
ASK(net_closed, vhk_ctl_net_set_backend(c, 0, closed))
ASK(net_nowhere, vhk_ctl_net_set_backend(c, 2, -1))
ASK(vsock_run, vhk_ctl_vsock_set_running(c, true))
ASK(vsock_cid_0, vhk_ctl_vsock_set_guest_cid(c, 0))
ASK(vsock_cid_2, vhk_ctl_vsock_set_guest_cid(c, 2))
ASK(vsock_cid_any, vhk_ctl_vsock_set_guest_cid(c, UINT32_MAX))
ASK(vsock_cid_large, vhk_ctl_vsock_set_guest_cid(c, 1ull << 32))
ASK(vsock_cid, vhk_ctl_vsock_set_guest_cid(c, 77))
ASK(scsi_set, vhk_ctl_scsi_set_endpoint(c, WWPN, 1))
ASK(scsi_set_none, vhk_ctl_scsi_set_endpoint(c, NONE, 1))
ASK(scsi_set_empty, vhk_ctl_scsi_set_endpoint(c, "", 1))
ASK(scsi_clear, vhk_ctl_scsi_clear_endpoint(c, WWPN, 1))
ASK(scsi_clear_none, vhk_ctl_scsi_clear_endpoint(c, NONE, 1))
ASK(worker, vhk_ctl_new_worker(c, &u32))
ASK(worker_free_none, vhk_ctl_free_worker(c, 99))
ASK(worker_attach_none, vhk_ctl_attach_vring_worker(c, 0, 99))

#define R(name, want) { #name, name, want }

/* Nobody is the owner yet. */
static const struct refusal unowned[] = {
	R(memory, -EPERM),
	R(num, -EPERM),
	R(base, -EPERM),
	R(addr, -EPERM),
	R(kick, -EPERM),
	R(log_nowhere, -EPERM),
	R(start, -EBUSY),
	R(stop, -EBUSY),
	R(kick_it, -EBUSY),
};

/* Of every kind of device, with an owner and memory, and nothing that runs. */
static const struct refusal owned[] = {
	R(owner, -EBUSY),
	R(features_all, -EINVAL),
	R(num_zero, -EINVAL),
	R(num_odd, -EINVAL),
	R(num_large, -EINVAL),
	R(num_nowhere, -ENOBUFS),
	R(base_large, -EINVAL),
	R(base_nowhere, -ENOBUFS),
	R(kick_null, -EINVAL),
	R(kick_closed, -EBADF),
	R(call_closed, -EBADF),
	R(call_nowhere, -ENOBUFS),
	R(err_null, -EINVAL),
	R(busy_loop_nowhere, -ENOBUFS),
	R(addr_odd, -EINVAL),
	R(log_fd_null, -EINVAL),
	R(fork_late, -EBUSY),
	/* What other doors have. */
	R(endian, -EOPNOTSUPP),
	R(enable, -EOPNOTSUPP),
	R(status, -EOPNOTSUPP),
	R(protocol, -EOPNOTSUPP),
	R(config, -EOPNOTSUPP),
	R(suspend, -EOPNOTSUPP),
	R(reset, -EOPNOTSUPP),
	R(iotlb, -EOPNOTSUPP),
	/* And what is fine. */
	R(kick_none, 0),
	R(call_none, 0),
	R(err_none, 0),
	R(kick, 0),
	R(num, 0),
	R(base, 0),
	R(addr, 0),
	R(features_some, 0),
};

static void open_owned(const char *uri)
{
	kern_open(&k, uri);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_set_mem_table(k.ctl, k.mem), 0);
}

static void before_it_is_owned(void)
{
	static const char *const uri[] = { NET, VSOCK, SCSI };
	unsigned int i;

	for (i = 0; i < N(uri); i++) {
		kern_open(&k, uri[i]);
		refused(unowned, N(unowned));
		kern_close(&k);
	}
}

static void of_every_kind(void)
{
	static const char *const uri[] = { NET, VSOCK, SCSI };
	unsigned int i;

	for (i = 0; i < N(uri); i++) {
		printf("# %s\n", uri[i]);
		open_owned(uri[i]);
		refused(owned, N(owned));
		kern_close(&k);
	}
}

/* vhost-net knows of them since Linux 6.17; whether it does shows beforehand. */
static void features_in_words(void)
{
	static const char *const uri[] = { NET, VSOCK, SCSI };
	uint64_t word[3], features;
	unsigned int i;

	for (i = 0; i < N(uri); i++) {
		open_owned(uri[i]);
		T_EQ(vhk_ctl_get_features(k.ctl, &features), 0);
		if (!vhk_ctl_can(k.ctl, VHK_CTL_GET_FEATURES_ARRAY)) {
			T_EQ(vhk_ctl_get_features_array(k.ctl, word, 3), -EOPNOTSUPP);
			T_EQ(vhk_ctl_set_features_array(k.ctl, word, 3), -EOPNOTSUPP);
		} else {
			T_EQ(i, 0);
			T_EQ(vhk_ctl_get_features_array(k.ctl, word, 3), 0);
			T_EQ(word[0], features);
			T_EQ(word[2], 0);
			T_EQ(vhk_ctl_set_features_array(k.ctl, word, 3), 0);
			word[2] = 1;
			T_EQ(vhk_ctl_set_features_array(k.ctl, word, 3), -EINVAL);
		}
		kern_close(&k);
	}
}

static void of_net(void)
{
	static const struct refusal t[] = {
		R(net_event, -ENOTSOCK),
		R(net_closed, -ENOTSOCK),
		R(net_nowhere, -ENOBUFS),
		R(net_none, 0),
		R(backend_all, -EINVAL),
		R(vsock_run, -EOPNOTSUPP),
		R(vsock_cid, -EOPNOTSUPP),
		R(scsi_set, -EOPNOTSUPP),
		R(scsi_clear, -EOPNOTSUPP),
		R(worker, -EOPNOTSUPP),
	};

	open_owned(NET);
	refused(t, N(t));
	T_OK(vhk_ctl_can(k.ctl, VHK_CTL_NET_SET_BACKEND));
	T_OK(!vhk_ctl_can(k.ctl, VHK_CTL_VSOCK_SET_RUNNING));
	kern_close(&k);
}

static void of_vsock(void)
{
	static const struct refusal t[] = {
		R(vsock_cid_0, -EINVAL),
		R(vsock_cid_2, -EINVAL),
		R(vsock_cid_any, -EINVAL),
		R(vsock_cid_large, -EINVAL),
		R(backend_all, -EINVAL),
		R(net_none, -EOPNOTSUPP),
		R(scsi_set, -EOPNOTSUPP),
		R(worker, -EOPNOTSUPP),
		R(vsock_cid, 0),
	};
	struct vhk_ctl *other;

	open_owned(VSOCK);
	refused(t, N(t));
	T_MUST(!vhk_ctl_open(&other, VSOCK, NULL));
	T_EQ(vsock_cid(other), -EADDRINUSE);
	vhk_ctl_close(other);
	kern_close(&k);
}

static void of_scsi(void)
{
	static const struct refusal t[] = {
		R(scsi_set_empty, -EINVAL),
		R(scsi_set_none, -ENOENT),
		R(worker_free_none, -ENOENT),
		R(worker_attach_none, -ENOENT),
		R(net_none, -EOPNOTSUPP),
		R(vsock_run, -EOPNOTSUPP),
	};
	static const struct refusal running[] = {
		R(scsi_set, -EEXIST),
		R(scsi_clear_none, -EINVAL),
		R(num, -EBUSY),
		R(base, -EBUSY),
	};
	char name[400];
	struct kern other;
	int abi = 0;

	memset(name, 'n', sizeof(name));
	name[224] = '\0';
	open_owned(SCSI);
	refused(t, N(t));
	T_EQ(vhk_ctl_scsi_set_endpoint(k.ctl, name, 1), -EINVAL);
	T_EQ(vhk_ctl_scsi_get_abi_version(k.ctl, &abi), 0);
	T_EQ(abi, 1);
	kern_close(&k);
	kern_open(&k, SCSI);
	kern_setup(&k, VHK_F_VERSION_1, 3, 64);
	kern_start(&k, 3);
	T_EQ(scsi_set(k.ctl), 0);
	refused(running, N(running));
	kern_open(&other, SCSI);
	kern_setup(&other, VHK_F_VERSION_1, 3, 64);
	kern_start(&other, 3);
	T_EQ(scsi_set(other.ctl), -ENOENT);
	kern_close(&other);
	T_EQ(scsi_clear(k.ctl), 0);
	kern_close(&k);
}

/* Threads of the device, one more than it has by itself. */
static void workers_of_scsi(void)
{
	uint32_t first = 0, second = 0, got = 0;

	open_owned(SCSI);
	T_EQ(vhk_ctl_set_vring_kick(k.ctl, 2, event), 0);
	T_EQ(vhk_ctl_get_vring_worker(k.ctl, 2, &first), 0);
	T_EQ(vhk_ctl_new_worker(k.ctl, &second), 0);
	T_OK(first != second);
	T_EQ(vhk_ctl_attach_vring_worker(k.ctl, 2, second), 0);
	T_EQ(vhk_ctl_get_vring_worker(k.ctl, 2, &got), 0);
	T_EQ(got, second);
	T_EQ(vhk_ctl_free_worker(k.ctl, second), -EBUSY);
	T_EQ(vhk_ctl_attach_vring_worker(k.ctl, 2, first), 0);
	T_EQ(vhk_ctl_free_worker(k.ctl, second), 0);
	T_EQ(vhk_ctl_free_worker(k.ctl, second), -ENOENT);
	kern_close(&k);
}

static void threads_of_the_owner(void)
{
	kern_open(&k, NET);
	T_EQ(vhk_ctl_set_fork_from_owner(k.ctl, false), 0);
	T_EQ(vhk_ctl_get_fork_from_owner(k.ctl, &yes), 0);
	T_OK(!yes);
	T_EQ(vhk_ctl_set_fork_from_owner(k.ctl, true), 0);
	T_EQ(vhk_ctl_get_fork_from_owner(k.ctl, &yes), 0);
	T_OK(yes);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	kern_close(&k);
}

static void keeps_what_it_is_told(void)
{
	kern_open(&k, NET);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_set_vring_busyloop_timeout(k.ctl, 1, 123), 0);
	T_EQ(vhk_ctl_get_vring_busyloop_timeout(k.ctl, 1, &u32), 0);
	T_EQ(u32, 123);
	T_EQ(vhk_ctl_set_vring_base(k.ctl, 1, 65535), 0);
	T_EQ(vhk_ctl_get_vring_base(k.ctl, 1, &u32), 0);
	T_EQ(u32, 65535);
	T_EQ(vhk_ctl_get_backend_features(k.ctl, &u64), 0);
	T_OK(u64 & VHK_BF_IOTLB_MSG_V2);
	kern_close(&k);
	kern_open(&k, SCSI);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_scsi_set_events_missed(k.ctl, 1), 0);
	T_EQ(vhk_ctl_scsi_get_events_missed(k.ctl, &u32), 0);
	T_EQ(u32, 1);
	kern_close(&k);
}

static void too_many_regions(void)
{
	struct vhk_mem *m;
	void *va;
	unsigned int i;

	kern_open(&k, NET);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_MUST(!vhk_mem_new(&m));
	for (i = 0; i < 65; i++) {
		const struct vhk_gpa at = { (uint64_t)i << 20 };

		T_MUST(!vhk_mem_alloc(m, at, 4096, &va));
		if (i == 63)
			T_EQ(vhk_ctl_set_mem_table(k.ctl, m), 0);
	}
	T_EQ(vhk_ctl_set_mem_table(k.ctl, m), -EMSGSIZE);
	vhk_mem_free(m);
	kern_close(&k);
}

/* Sized and placed, but in memory that the device was not told of. */
static void rings_that_are_nowhere(void)
{
	kern_open(&k, VSOCK);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_set_vring_num(k.ctl, 0, 64), 0);
	T_EQ(addr_at(k.ctl, (uintptr_t)k.data), 0);
	T_EQ(vhk_ctl_vsock_set_running(k.ctl, true), -EFAULT);
	kern_close(&k);
}

static void what_is_not_there(void)
{
	static const struct {
		const char *uri;
		int want;
	} t[] = {
		{ "/dev/vhost-none", -ENOENT },
		{ "/dev/vhost-vdpa-99", -ENOENT },
		{ "/dev/null", -EINVAL },
		{ "/dev/net/tun", -EINVAL },
		{ "/tmp", -EINVAL },
		{ "vhost-net", -EINVAL },
		{ "", -EINVAL },
	};
	struct vhk_ctl *c;
	unsigned int i;
	int ret;

	for (i = 0; i < N(t); i++) {
		ret = vhk_ctl_open(&c, t[i].uri, NULL);
		if (ret != t[i].want)
			printf("# \"%s\"\n", t[i].uri);
		T_EQ(ret, t[i].want);
		T_OK(!c);
	}
}

int main(void)
{
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	T_RUN(before_it_is_owned);
	T_RUN(of_every_kind);
	T_RUN(features_in_words);
	T_RUN(of_net);
	T_RUN(of_vsock);
	T_RUN(of_scsi);
	T_RUN(workers_of_scsi);
	T_RUN(threads_of_the_owner);
	T_RUN(keeps_what_it_is_told);
	T_RUN(too_many_regions);
	T_RUN(rings_that_are_nowhere);
	T_RUN(what_is_not_there);
	return t_end();
}
