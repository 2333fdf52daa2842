// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end that begins a message and does not finish it, drips it, or does not take its
 * answers, loses its session to a deadline, with a warning that says why. One that is merely silent
 * keeps it. All wait at the same time.
 */
#include "t_user.h"

#define STALL_MS 10000
#define N 5

enum { SILENT, HALF_HEADER, HALF_PAYLOAD, DRIPS, DOES_NOT_READ };

static void stall(struct t_user *u, unsigned int how)
{
	const struct vhk_msg_hdr h = { VHK_USER_SET_MEM_TABLE, VHK_MSG_VERSION, 40 };
	const struct vhk_msg_hdr ask = { VHK_USER_GET_FEATURES, VHK_MSG_VERSION, 0 };

	switch (how) {
	case HALF_HEADER:
	case DRIPS:
		t_send_bytes(u->fd, &h, 3, NULL, 0);
		break;
	case HALF_PAYLOAD:
		t_send_bytes(u->fd, &h, sizeof(h), NULL, 0);
		break;
	case DOES_NOT_READ:
		while (send(u->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			t_settle(u);
		break;
	}
}

static void what_stalls_ends(void)
{
	static const char *const why[N] = {
		NULL,
		"the rest of a message has not come",
		"the rest of a message has not come",
		"the rest of a message has not come",
		"not read its answers",
	};
	uint64_t begin = t_now_ns(), end = begin + 2 * STALL_MS * 1000000ull;
	unsigned int i, n_down = 0, drips = 0;
	struct t_user u[N];
	bool early = false;

	for (i = 0; i < N; i++) {
		t_user_init(&u[i], VHK_LOOP_AUTO);
		if (i) {
			vhk_loop_free(u[i].loop);
			u[i].loop = u[0].loop;
		}
		t_user_open(&u[i]);
		t_alive(&u[i]);
		stall(&u[i], i);
	}
	while (n_down < N - 1 && t_now_ns() < end) {
		t_step(&u[0]);
		if (t_now_ns() > begin + (drips + 1) * 1000000000ull && drips++ < 8)
			t_send_bytes(u[DRIPS].fd, "\0", 1, NULL, 0);
		for (n_down = 0, i = 1; i < N; i++)
			n_down += u[i].n_down;
		early |= n_down && t_now_ns() < begin + (STALL_MS - 100) * 1000000ull;
	}
	T_OK(!early);
	for (i = 0; i < N; i++) {
		T_EQ(u[i].n_down, i != SILENT);
		T_EQ(u[i].log.n[VHK_LOG_WARN], i != SILENT);
		if (why[i])
			T_OK(strstr(u[i].log.last, why[i]));
	}
	t_alive(&u[SILENT]);
	for (i = 0; i < N; i++) {
		t_user_hang_up(&u[i]);
		vhk_backend_close(u[i].be);
		vhk_device_free(u[i].echo.dev);
		vhk_mem_free(u[i].mem);
	}
	vhk_loop_free(u[0].loop);
}

int main(void)
{
	T_RUN(what_stalls_ends);
	return t_end();
}
