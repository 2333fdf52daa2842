/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps of a walk: what a migration and a restart are made of, which is the log, the device's
 * state, inflight regions and postcopy.
 */
#ifndef VHK_TESTS_T_WALK_MOVE_H
#define VHK_TESTS_T_WALK_MOVE_H

#include "t_walk_ring.h"

static unsigned char *log_file_bits;

static inline void log_is_set(uint64_t size, unsigned char *bits)
{
	m.log.set = true;
	m.log.size = size;
	m.log.bits = bits;
}

static inline void log_by_fd(void)
{
	struct vhk_user_log log = { LOG_FILE, 0 };
	const unsigned int how = below(8);
	bool legal = true;

	if (how == 0)
		log.size = 0;
	else if (how == 1)
		log.size = 2 * LOG_FILE; /* longer than the file */
	else if (how == 2)
		log.offset = 0 - 4096ull;
	else if (how == 3 && log_bytes(memory_end()) > 1)
		log.size = log_bytes(memory_end()) - 1;
	else if (how == 4 && log_bytes(memory_end()))
		log.size = log_bytes(memory_end());
	legal = how > 3 || (how == 3 && log.size == LOG_FILE);
	if (ask(legal, VHK_USER_SET_LOG_BASE, &log, sizeof(log), &log_file, 1))
		log_is_set(log.size, log_file_bits);
}

/* Without LOG_SHMFD it is somewhere in the guest's memory. */
static inline void log_by_address(void)
{
	uint64_t at = wire_address(region(0).uva.v) + LOG_OFFSET;

	/* the back end has translations for what rings and descriptors say only */
	if (translates())
		at = region(0).uva.v + LOG_OFFSET;
	if (one_in(4)) {
		ask_u64(false, VHK_USER_SET_LOG_BASE, 0x10000);
		return;
	}
	if (has_memory() && !m.table_end)
		return;
	if (ask_u64(m.table_end, VHK_USER_SET_LOG_BASE, at))
		log_is_set(log_bytes(memory_end()), u.buf + LOG_OFFSET);
}

static inline void set_log(void)
{
	if (has(VHK_USER_PF(LOG_SHMFD)))
		log_by_fd();
	else
		log_by_address();
}

static inline void log_call(void)
{
	const bool right = !one_in(3);

	ask(right, VHK_USER_SET_LOG_FD, NULL, 0, right ? &log_call_fd : &extra, 1);
}

static inline void get_inflight(void)
{
	struct vhk_user_inflight in = { .num_queues = (uint16_t)below(4),
					.queue_size = (uint16_t)(one_in(3) ? below(65536) : SIZE) };
	struct vhk_msg a;

	get(has(VHK_USER_PF(INFLIGHT_SHMFD)) && in.num_queues && in.num_queues <= T_QUEUES &&
		    in.queue_size && in.queue_size <= T_QUEUE_SIZE,
	    VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &a);
}

static inline bool wrong_inflight(struct vhk_user_inflight *in)
{
	switch (below(10)) {
	case 0:
		in->num_queues = one_in(2) ? 0 : T_QUEUES + 1;
		return true;
	case 1:
		in->queue_size = one_in(2) ? 0 : T_QUEUE_SIZE + 1;
		return true;
	case 2:
		in->mmap_size = one_in(2) ? 0 : 64;
		return true;
	case 3:
		in->mmap_offset = one_in(2) ? 0 - 64ull : in->mmap_size;
		return true;
	default:
		return false;
	}
}

/* A region of the back end's making comes back to it. */
static inline void set_inflight(void)
{
	struct vhk_user_inflight in = { .num_queues = (uint16_t)(1 + below(T_QUEUES)),
					.queue_size = SIZE };
	struct vhk_msg a = { .n_fds = 0 };
	bool known = has(VHK_USER_PF(INFLIGHT_SHMFD)), wrong;

	if (known && get_fds(true, VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &a))
		memcpy(&in, a.bytes, sizeof(in));
	else
		in.mmap_size = EXTRA_SIZE;
	wrong = wrong_inflight(&in);
	if (ask(known && !runs_any() && !wrong, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in),
		a.n_fds ? &a.fd[0] : &extra, 1)) {
		memset(&m.inflight, 0, sizeof(m.inflight));
		m.inflight.set = true;
		m.inflight.n = in.num_queues;
	}
	while (a.n_fds)
		close(a.fd[--a.n_fds]);
}

static inline void begin_transfer(void)
{
	struct vhk_user_state_transfer t = { below(2), 0 };
	const bool save = t.direction == VHK_USER_STATE_SAVE;
	const unsigned int how = below(6);
	bool legal = has(VHK_USER_PF(DEVICE_STATE)) && !runs_any() && m.state_fd < 0 && how > 2;
	int fd[2], theirs;

	T_MUST(!pipe2(fd, O_CLOEXEC | O_NONBLOCK));
	theirs = save ? fd[1] : fd[0];
	if (how == 0)
		t.direction = 2;
	else if (how == 1)
		t.phase = 1;
	else if (how == 2)
		theirs = one_in(2) ? extra : save ? fd[0] : fd[1];
	if (ask(legal, VHK_USER_SET_DEVICE_STATE_FD, &t, sizeof(t), &theirs, 1)) {
		m.state_fd = save ? fd[0] : fd[1];
		m.saves = save;
		m.moved = m.move_failed = false;
		close(save ? fd[1] : fd[0]);
		return;
	}
	close(fd[0]);
	close(fd[1]);
}

static inline void transfer_ended(bool failed)
{
	close(m.state_fd);
	m.state_fd = -1;
	m.moved = true;
	m.move_failed = failed;
}

/* The state is read to its end, and is over when the pipe is. */
static inline void read_all(void)
{
	static unsigned char buf[65536];
	ssize_t n;

	do {
		T_MUST(t_wait_readable(&u, m.state_fd));
		n = read(m.state_fd, buf, sizeof(buf));
	} while (n > 0);
	T_EQ(n, 0);
}

/* The other end of a transfer takes or brings a piece, or comes to the end, or is gone. */
static inline void go_on_with_transfer(void)
{
	unsigned char piece[3000] = { 0 };
	const unsigned int how = below(4);
	ssize_t n;
	int fds;

	if (m.state_fd < 0)
		return;
	if (how < 2) {
		n = m.saves ? read(m.state_fd, piece, sizeof(piece))
			    : write(m.state_fd, piece, sizeof(piece));
		(void)n;
		t_settle(&u);
		return;
	}
	if (m.saves && how == 2) {
		read_all();
		transfer_ended(false);
		return;
	}
	/* who reads is gone, or who writes has come to the end */
	fds = t_count_fds();
	transfer_ended(m.saves || dev.refuse);
	t_settle(&u);
	T_UNTIL(&u, t_count_fds() == fds - 2);
}

/* While it is under way the answer waits for its end. */
static inline void check_transfer(void)
{
	const bool known = has(VHK_USER_PF(DEVICE_STATE));
	struct vhk_msg a;
	bool legal;

	if (m.state_fd < 0 || !known) {
		if (ask(known && m.moved && !m.move_failed, VHK_USER_CHECK_DEVICE_STATE, NULL, 0,
			NULL, 0) ||
		    known)
			m.moved = false;
		return;
	}
	t_send(&u, VHK_USER_CHECK_DEVICE_STATE, 0, NULL, 0, NULL, 0);
	t_settle(&u);
	T_OK(!t_readable(u.fd, 0));
	legal = !(m.saves ? one_in(2) : dev.refuse);
	if (m.saves && legal)
		read_all();
	transfer_ended(!legal);
	T_MUST(t_recv(&u, &a));
	T_EQ(a.hdr.request, VHK_USER_CHECK_DEVICE_STATE);
	if (!a.u64 != legal)
		trail("CHECK_DEVICE_STATE", legal, a.u64);
	note(legal, VHK_USER_CHECK_DEVICE_STATE);
	m.moved = false;
}

static inline void postcopy_advise(void)
{
	const bool legal = has(VHK_USER_PF(PAGEFAULT)) && !m.advised && can_watch;
	struct vhk_msg a;

	if (get(legal, VHK_USER_POSTCOPY_ADVISE, NULL, 0, &a))
		m.advised = true;
}

static inline void postcopy_listen(void)
{
	if (m.advised)
		touch_memory();
	if (ask(has(VHK_USER_PF(PAGEFAULT)) && m.advised && !m.listening, VHK_USER_POSTCOPY_LISTEN,
		NULL, 0, NULL, 0))
		m.listening = true;
}

static inline void postcopy_end(void)
{
	if (ask(has(VHK_USER_PF(PAGEFAULT)) && m.advised, VHK_USER_POSTCOPY_END, NULL, 0, NULL, 0))
		m.advised = m.listening = m.pending = false;
}

static inline void postcopy(void)
{
	const unsigned int how = below(6);

	if (how < 2)
		postcopy_advise();
	else if (how < 4)
		postcopy_listen();
	else if (how < 5)
		postcopy_end();
	else
		set_mem_table();
}

#endif
