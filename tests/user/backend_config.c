// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The configuration space as a front end reads and writes it, and the channel on which it hears of
 * changes.
 */
#include "t_user.h"

#define HEADER offsetof(struct vhk_user_config, data)

static bool get_config(struct t_user *u, uint32_t off, uint32_t size, struct vhk_msg *m)
{
	struct vhk_user_config c = { .offset = off, .size = size };

	memset(c.data, 0xee, sizeof(c.data));
	return t_get(u, VHK_USER_GET_CONFIG, &c, (uint32_t)HEADER + size, m);
}

static void reads(void)
{
	static const struct {
		uint32_t off, size;
		bool ok;
	} cases[] = {
		{ 0, T_CONFIG_SIZE, true },
		{ 0, 1, true },
		{ T_CONFIG_SIZE - 1, 1, true },
		{ 8, 20, true },
		/* fields that this device does not have are zeros */
		{ 0, 256, true },
		{ T_CONFIG_SIZE - 1, 2, true },
		{ T_CONFIG_SIZE, 1, false },
		{ 0, 0, false },
		{ 255, 2, false },
		{ 0xffffffff, 2, false },
		{ 1, 256, false },
	};
	struct vhk_user_config c;
	struct t_user u;
	struct vhk_msg m;
	unsigned int i, k;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	for (i = 0; i < vhk_array_size(cases); i++) {
		T_MUST(get_config(&u, cases[i].off, cases[i].size, &m));
		T_EQ(m.hdr.size, cases[i].ok ? HEADER + cases[i].size : 0);
		if (!cases[i].ok)
			continue;
		memcpy(&c, m.bytes, sizeof(c));
		T_EQ(c.offset, cases[i].off);
		T_EQ(c.size, cases[i].size);
		for (k = 0; k < c.size; k++)
			T_EQ(c.data[k], c.offset + k < T_CONFIG_SIZE ? c.offset + k + 1 : 0);
	}
	t_user_fini(&u);
}

static uint64_t set_config(struct t_user *u, uint32_t off, uint32_t size, uint32_t flags)
{
	struct vhk_user_config c = {
		.offset = off, .size = size, .flags = flags, .data = { 0x77 }
	};

	return t_ask(u, VHK_USER_SET_CONFIG, &c, (uint32_t)HEADER + size);
}

/* The flags are an enumeration, not bits. */
static void writes(void)
{
	static const struct {
		uint32_t off, size, flags;
		bool ok;
	} cases[] = {
		{ 0, 1, 0, true },    { 0, 1, 1, true },
		{ 0, 1, 2, false },   { 0, 1, 3, false },
		{ 1, 1, 0, false },   { T_CONFIG_SIZE, 1, 0, false },
		{ 0, 256, 0, false }, { T_CONFIG_SIZE - 1, 2, 0, false },
	};
	struct t_user u;
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	for (i = 0; i < vhk_array_size(cases); i++) {
		u.echo.config[0] = 1;
		T_EQ(!set_config(&u, cases[i].off, cases[i].size, cases[i].flags), cases[i].ok);
		T_EQ(u.echo.config[0], cases[i].ok ? 0x77 : 1);
	}
	t_alive(&u);
	t_user_fini(&u);
}

static void open_channel(struct t_user *u, int fd[2])
{
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_EQ(t_ask_fds(u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd[1], 1), 0);
	close(fd[1]);
}

static void changes_are_told(void)
{
	struct t_user u;
	struct vhk_msg m;
	int fd[2], again[2];
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	/* nobody listens */
	T_EQ(vhk_device_config_changed(u.echo.dev), 0);
	open_channel(&u, fd);
	for (i = 0; i < 3; i++) {
		T_EQ(vhk_device_config_changed(u.echo.dev), 0);
		T_MUST(t_recv_from(&u, fd[0], &m));
		T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
		/* no answer is asked for: nobody waits for one */
		T_EQ(m.hdr.flags, VHK_MSG_VERSION);
		T_EQ(m.hdr.size, 0);
	}
	/* another channel takes the place of the first */
	open_channel(&u, again);
	T_OK(t_closed(&u, fd[0]));
	vhk_device_config_changed(u.echo.dev);
	T_MUST(t_recv_from(&u, again[0], &m));
	close(fd[0]);
	close(again[0]);
	t_alive(&u);
	t_user_fini(&u);
}

/* A front end that answers unasked, sends garbage, does not read or hangs up on the channel harms
 * nobody. */
static void a_channel_that_misbehaves(void)
{
	const struct vhk_msg_hdr reply = { VHK_USER_BACK_CONFIG_CHANGE_MSG,
					   VHK_MSG_VERSION | VHK_MSG_REPLY, 0 };
	struct t_user u;
	struct vhk_msg m;
	int fd[2], fds, file;
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	fds = t_count_fds();
	open_channel(&u, fd);
	for (i = 0; i < 100; i++)
		t_send_bytes(fd[0], &reply, sizeof(reply), &fd[0], 1);
	vhk_device_config_changed(u.echo.dev);
	T_MUST(t_recv_from(&u, fd[0], &m));
	t_alive(&u);
	T_EQ(t_count_fds(), fds + 2);
	/* full: told once more when there is room */
	for (i = 0; i < 100000; i++)
		vhk_device_config_changed(u.echo.dev);
	t_settle(&u);
	t_alive(&u);
	t_send_bytes(fd[0], "no header at all", 16, NULL, 0);
	T_UNTIL(&u, t_count_fds() == fds + 1);
	close(fd[0]);
	open_channel(&u, fd);
	close(fd[0]);
	t_settle(&u);
	T_UNTIL(&u, t_count_fds() == fds);
	vhk_device_config_changed(u.echo.dev);
	file = memfd_create("file", MFD_CLOEXEC);
	T_OK(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &file, 1) != 0);
	close(file);
	T_EQ(t_count_fds(), fds);
	t_alive(&u);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN_ON_BOTH(reads);
	T_RUN_ON_BOTH(writes);
	T_RUN_ON_BOTH(changes_are_told);
	T_RUN_ON_BOTH(a_channel_that_misbehaves);
	return t_end();
}
