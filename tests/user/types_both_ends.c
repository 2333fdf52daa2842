// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages that mean something to some device types, from the library's front end to a device
 * behind the library's back end: accepted, refused by the device, refused where the device has no
 * use for them, and not sent where they were not negotiated.
 */
#include "t_both.h"
#include "t_types.h"

#define ALSO                                                                                       \
	(VHK_PF_RARP | VHK_PF_MTU | VHK_PF_CROSS_ENDIAN | VHK_PF_CRYPTO_SESSION |                  \
	 VHK_PF_SHARED_OBJECT | VHK_PF_SHMEM | VHK_PF_BACKEND_SEND_FD | VHK_PF_HOST_NOTIFIER)

struct fixture {
	struct t_both both;
	struct t_types types;
	struct vhk_mem *mem;
	struct vhk_ctl *c;
};

static void fixture_init(struct fixture *f, uint64_t also)
{
	t_types_init(&f->types);
	t_both_open(&f->both, f->types.dev, NULL, (struct vhk_ctl_opts){ .also = also });
	f->c = f->both.ctl;
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_ctl_setup(f->c, VHK_F_VERSION_1, VHK_F_VERSION_1, f->mem));
}

static void fixture_fini(struct fixture *f)
{
	t_both_close(&f->both);
	t_types_fini(&f->types);
	vhk_mem_free(f->mem);
}

static int do_rarp(struct fixture *f)
{
	return vhk_ctl_send_rarp(f->c, (const uint8_t[]){ 2, 3, 4, 5, 6, 7 });
}

static bool did_rarp(const struct t_types *t)
{
	return !memcmp(t->mac, (const uint8_t[]){ 2, 3, 4, 5, 6, 7 }, 6);
}

static int do_mtu(struct fixture *f)
{
	return vhk_ctl_net_set_mtu(f->c, 1400);
}

static bool did_mtu(const struct t_types *t)
{
	return t->mtu == 1400;
}

static int do_endian(struct fixture *f)
{
	return vhk_ctl_set_vring_endian(f->c, 1, false);
}

static bool did_endian(const struct t_types *t)
{
	return t->endian_queue == 1 && !t->endian_big;
}

static int do_open_crypto(struct fixture *f)
{
	unsigned char data[1000];
	int ret;

	memset(data, 0x0f, sizeof(data));
	ret = vhk_ctl_create_crypto_session(f->c, data, sizeof(data));
	T_EQ(data[0], ret ? 0x0f : 0xf0);
	T_EQ(data[999], ret ? 0x0f : 0xf0);
	return ret;
}

static int do_close_crypto(struct fixture *f)
{
	return vhk_ctl_close_crypto_session(f->c, 77);
}

static bool did_close_crypto(const struct t_types *t)
{
	return t->crypto_closed == 77;
}

static int do_gpu(struct fixture *f)
{
	int fd[2], ret;

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	ret = vhk_ctl_gpu_set_socket(f->c, fd[0]);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static bool did_gpu(const struct t_types *t)
{
	return t->gpu_fd >= 0;
}

static int do_object(struct fixture *f)
{
	int fd, ret = vhk_ctl_get_shared_object(f->c, &f->types.object, &fd);

	T_EQ(fd >= 0, !ret);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int do_config(struct fixture *f)
{
	return vhk_ctl_set_config(f->c, 0, "a", 1, 0);
}

static bool did_config(const struct t_types *t)
{
	return !t->migrated && t->config[0] == 'a';
}

static int do_restore(struct fixture *f)
{
	return vhk_ctl_set_config(f->c, 4, "migrated", 8, VHK_CTL_CONFIG_F_MIGRATION);
}

static bool did_restore(const struct t_types *t)
{
	return t->migrated && !memcmp(t->config + 4, "migrated", 8);
}

static const struct {
	const char *name;
	int (*ask)(struct fixture *f);
	bool (*did)(const struct t_types *t);
	uint64_t gate; /* 0: always there */
} cases[] = {
	{ "rarp", do_rarp, did_rarp, VHK_PF_RARP },
	{ "mtu", do_mtu, did_mtu, VHK_PF_MTU },
	{ "endian", do_endian, did_endian, VHK_PF_CROSS_ENDIAN },
	{ "open crypto", do_open_crypto, NULL, VHK_PF_CRYPTO_SESSION },
	{ "close crypto", do_close_crypto, did_close_crypto, VHK_PF_CRYPTO_SESSION },
	{ "gpu socket", do_gpu, did_gpu, 0 },
	{ "object", do_object, NULL, VHK_PF_SHARED_OBJECT },
	{ "config", do_config, did_config, VHK_PF_CONFIG },
	{ "migrated config", do_restore, did_restore, VHK_PF_CONFIG },
};

static void set_refuse(void *arg)
{
	((struct t_types *)arg)->refuse = true;
}

static void carried_and_refused(void)
{
	struct fixture f;
	size_t i;

	fixture_init(&f, ALSO);
	for (i = 0; i < vhk_array_size(cases); i++) {
		int ret = cases[i].ask(&f);

		if (ret)
			printf("# %s:\n", cases[i].name);
		T_EQ(ret, 0);
		T_OK(!cases[i].did || cases[i].did(&f.types));
	}
	T_EQ(f.types.n_calls, vhk_array_size(cases));
	t_both_call(&f.both, set_refuse, &f.types);
	for (i = 0; i < vhk_array_size(cases); i++)
		T_EQ(cases[i].ask(&f), -EREMOTEIO);
	T_EQ(f.types.n_calls, 2 * vhk_array_size(cases));
	fixture_fini(&f);
}

static void not_negotiated(void)
{
	struct fixture f;
	size_t i;

	fixture_init(&f, 0);
	for (i = 0; i < vhk_array_size(cases); i++)
		if (cases[i].gate & ALSO)
			T_EQ(cases[i].ask(&f), -EOPNOTSUPP);
	T_EQ(f.types.n_calls, 0);
	fixture_fini(&f);
}

/* Reads as zeros but for the two that are there; more of it is in shmem_both_ends. */
static void shmem_config(void)
{
	struct vhk_ctl_shmem s;
	struct fixture f;

	fixture_init(&f, ALSO);
	T_EQ(vhk_ctl_get_shmem_config(f.c, &s), 0);
	T_EQ(s.n, 2);
	T_EQ(s.size[0] | s.size[2] | s.size[255], 0);
	T_EQ(s.size[1], T_SHMEM_SIZE);
	T_EQ(s.size[200], 4096);
	fixture_fini(&f);
}

static void bad_arguments(void)
{
	struct vhk_uuid nobody = { { 9 } };
	struct fixture f;
	int fd, file = memfd_create("file", MFD_CLOEXEC);
	unsigned int n;

	fixture_init(&f, ALSO);
	T_EQ(vhk_ctl_get_shared_object(f.c, &nobody, &fd), -EREMOTEIO);
	/* a file is no socket, one that listens is none either */
	n = f.types.n_calls;
	T_EQ(vhk_ctl_gpu_set_socket(f.c, file), -EREMOTEIO);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(!bind(fd, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)));
	T_MUST(!listen(fd, 1));
	T_EQ(vhk_ctl_gpu_set_socket(f.c, fd), -EREMOTEIO);
	close(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	T_EQ(vhk_ctl_gpu_set_socket(f.c, fd), -EREMOTEIO);
	close(fd);
	/* rings are little endian, whatever the device says */
	T_EQ(vhk_ctl_set_vring_endian(f.c, 1, true), -EREMOTEIO);
	/* beyond the end of the space, whoever writes */
	T_EQ(vhk_ctl_set_config(f.c, T_TYPES_CONFIG, "a", 1, 1), -EREMOTEIO);
	T_EQ(f.types.n_calls, n);
	close(file);
	fixture_fini(&f);
}

int main(void)
{
	T_RUN(carried_and_refused);
	T_RUN(not_negotiated);
	T_RUN(shmem_config);
	T_RUN(bad_arguments);
	return t_end();
}
