/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps of a walk: the back-end channel, what the device asks of the front end on it, and
 * translations.
 */
#ifndef VHK_TESTS_T_WALK_CHANNEL_H
#define VHK_TESTS_T_WALK_CHANNEL_H

#include "t_walk.h"

static inline void answer(const struct vhk_msg *q, uint64_t v)
{
	const struct vhk_proto *row = vhk_proto_back_request(q->hdr.request);
	struct vhk_msg_hdr h = { q->hdr.request, VHK_MSG_VERSION | VHK_MSG_REPLY, sizeof(v) };
	unsigned char bytes[sizeof(h) + sizeof(v)];
	bool lends = q->hdr.request == VHK_USER_BACK_SHARED_OBJECT_LOOKUP && !v;

	if (row->reply == VHK_REPLY_NONE && !(q->hdr.flags & VHK_MSG_NEED_REPLY))
		return;
	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, sizeof(v));
	t_send_bytes(m.channel, bytes, sizeof(bytes), &extra, lends);
	*(v ? &back_count[h.request].no : &back_count[h.request].yes) += 1;
}

/* One message of the back end's, if there is one: its number; 0: none. Answered with @v if it is a
 * @request, else with a yes. */
static inline uint32_t take_question(uint32_t request, uint64_t v)
{
	struct vhk_msg q;

	if (m.channel < 0 || !t_readable(m.channel, 0))
		return 0;
	T_MUST(t_recv_from(&u, m.channel, &q));
	T_MUST(q.hdr.request && q.hdr.request <= VHK_USER_BACK_REQ_MAX);
	back_count[q.hdr.request].came++;
	answer(&q, q.hdr.request == request ? v : 0);
	while (q.n_fds)
		close(q.fd[--q.n_fds]);
	return q.hdr.request;
}

static inline void take_questions(void)
{
	while (take_question(0, 0))
		;
}

/* One of that number comes; those before it are answered. */
static inline void await_question(uint32_t request, uint64_t v)
{
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	uint32_t got = 0;

	while (got != request && t_now_ns() < end) {
		got = take_question(request, v);
		if (!got)
			t_step(&u);
	}
	T_EQ(got, request);
}

static inline void set_channel(void)
{
	const int how = (int)below(6);
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	if (!how)
		T_MUST(dup3(extra, fd[1], O_CLOEXEC) == fd[1]);
	if (!ask(has(VHK_USER_PF(BACKEND_REQ)) && how > 1, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0,
		 how == 1 ? &u.fd : &fd[1], 1)) {
		close(fd[0]);
		close(fd[1]);
		return;
	}
	close(fd[1]);
	if (m.channel >= 0)
		close(m.channel);
	m.channel = fd[0];
}

static inline void hang_up_channel(void)
{
	if (m.channel < 0)
		return;
	close(m.channel);
	m.channel = -1;
	t_settle(&u);
}

/* What became of the last question. */
static int asked_ret;

static inline void asked(void *arg, int ret, int fd)
{
	(void)arg;
	if (fd >= 0)
		close(fd);
	asked_ret = ret;
	m.n_done++;
}

struct question {
	uint32_t request;
	uint64_t needs;
};

static inline int ask_as_device(uint32_t request)
{
	static const struct vhk_shmem_map map = { .id = 1, .len = 4096 };
	static const struct vhk_uuid id = { { 1, 2, 3 } };
	struct vhk_device *d = served;

	switch (request) {
	case VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG:
		if (one_in(2))
			return vhk_device_lend_notifier(d, below(T_QUEUES), -1, 0, 0, asked, NULL);
		return vhk_device_lend_notifier(d, below(T_QUEUES), extra, 0, 4096, asked, NULL);
	case VHK_USER_BACK_SHARED_OBJECT_ADD:
		return vhk_device_add_object(d, &id, asked, NULL);
	case VHK_USER_BACK_SHARED_OBJECT_REMOVE:
		return vhk_device_remove_object(d, &id, asked, NULL);
	case VHK_USER_BACK_SHARED_OBJECT_LOOKUP:
		return vhk_device_lookup_object(d, &id, asked, NULL);
	case VHK_USER_BACK_SHMEM_MAP:
		return vhk_device_map_shmem(d, &map, extra, asked, NULL);
	default:
		return vhk_device_unmap_shmem(d, &map, asked, NULL);
	}
}

/* The device asks; the front end says yes or no, or goes on and answers some time, or hangs up. */
static inline void device_asks(void)
{
	static const struct question questions[] = {
		{ VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG, VHK_USER_PF(HOST_NOTIFIER) },
		{ VHK_USER_BACK_SHARED_OBJECT_ADD, VHK_USER_PF(SHARED_OBJECT) },
		{ VHK_USER_BACK_SHARED_OBJECT_REMOVE, VHK_USER_PF(SHARED_OBJECT) },
		{ VHK_USER_BACK_SHARED_OBJECT_LOOKUP, VHK_USER_PF(SHARED_OBJECT) },
		{ VHK_USER_BACK_SHMEM_MAP, VHK_USER_PF(SHMEM) },
		{ VHK_USER_BACK_SHMEM_UNMAP, VHK_USER_PF(SHMEM) },
	};
	const struct question *q = &questions[below(vhk_array_size(questions))];
	const bool legal = m.channel >= 0 && has(q->needs);
	const bool answered = acks() || q->request == VHK_USER_BACK_SHARED_OBJECT_LOOKUP;
	const unsigned int how = below(8);
	int ret;

	if (how > 2) {
		take_questions();
		T_UNTIL(&u, m.n_done == m.n_asked);
	}
	ret = ask_as_device(q->request);
	if (!ret != legal)
		trail(vhk_proto_back_request(q->request)->name, legal, (uint64_t)-ret);
	if (ret)
		return;
	m.n_asked++;
	if (how < 2)
		return;
	if (how == 2) {
		hang_up_channel();
		T_UNTIL(&u, m.n_done == m.n_asked);
		return;
	}
	await_question(q->request, how < 5);
	T_UNTIL(&u, m.n_done == m.n_asked);
	T_EQ(asked_ret, how < 5 && answered ? -EREMOTEIO : 0);
}

static inline void config_changes(void)
{
	const bool tells = m.channel >= 0 && has(VHK_USER_PF(CONFIG));

	take_questions();
	T_EQ(vhk_device_config_changed(served), 0);
	if (tells)
		await_question(VHK_USER_BACK_CONFIG_CHANGE_MSG, 0);
}

/* Rings that waited for their region start; there is none where the device's state is under way. */
static inline void is_translated(unsigned int k)
{
	struct walk_ring *r = k ? &m.ring[k - 1] : NULL;

	m.translated[k] = true;
	if (!r || !r->waits)
		return;
	r->waits = false;
	r->runs = m.state_fd < 0;
}

static inline bool translate(unsigned int k)
{
	const struct vhk_region r = region(k);
	const struct vhk_user_iotlb t = { r.gpa.v, r.size, r.uva.v, VHOST_ACCESS_RW,
					  VHOST_IOTLB_UPDATE, { 0 } };

	if (!ask(translates(), VHK_USER_IOTLB_MSG, &t, sizeof(t), NULL, 0))
		return false;
	is_translated(k);
	return true;
}

static inline void not_translated(unsigned int k)
{
	struct walk_ring *r = k ? &m.ring[k - 1] : NULL;

	m.translated[k] = false;
	if (!r || !r->runs)
		return;
	r->runs = false;
	r->waits = true;
}

static inline void invalidate(unsigned int k, bool all)
{
	const struct vhk_region r = region(k);
	struct vhk_user_iotlb t = { r.gpa.v, r.size, 0, 0, VHOST_IOTLB_INVALIDATE, { 0 } };

	if (all)
		t.iova = t.size = 0;
	if (!ask(translates(), VHK_USER_IOTLB_MSG, &t, sizeof(t), NULL, 0))
		return;
	for (k = all ? 0 : k; k < REGIONS; k = all ? k + 1 : REGIONS)
		not_translated(k);
}

static inline void translate_wrong(unsigned int k)
{
	const struct vhk_region r = region(k);
	struct vhk_user_iotlb t = { r.gpa.v, r.size, r.uva.v, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE,
				    { 0 } };

	switch (below(6)) {
	case 0:
		t.type = one_in(2) ? VHOST_IOTLB_MISS : VHOST_IOTLB_ACCESS_FAIL;
		break;
	case 1:
		t.type = one_in(2) ? 0 : 5;
		break;
	case 2:
		t.size = 0;
		break;
	case 3:
		t.perm = one_in(2) ? 0 : 4;
		break;
	case 4:
		t.uaddr = 0x10000; /* nobody's */
		break;
	default:
		t.iova = 0 - 4096ull;
		t.size = 8192;
	}
	ask(false, VHK_USER_IOTLB_MSG, &t, sizeof(t), NULL, 0);
}

static inline void iotlb(void)
{
	const unsigned int k = below(REGIONS), how = below(6);

	if (how == 0)
		translate_wrong(k);
	else if (how < 3)
		invalidate(k, one_in(4));
	else if (m.base_mem || !translates())
		translate(k);
}

#endif
