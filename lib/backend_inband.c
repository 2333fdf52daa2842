// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Notifications as messages (vhost-user, "In-band notifications"). The rings know nothing of them:
 * each has an eventfd of ours to be kicked by and to call by. A call is acknowledged before the
 * next one of its ring is sent, so a front end never has more than one for each ring to read.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend_impl.h"
#include "fd.h"

static const uint64_t one = 1;

static bool negotiated(const struct vhk_session *s)
{
	return s->st.protocol & VHK_USER_PF(INBAND_NOTIFICATIONS);
}

static unsigned int index_of(const struct vhk_backend_inband *in)
{
	struct vhk_backend_ring *r =
		vhk_container_of((struct vhk_backend_inband *)in, struct vhk_backend_ring, inband);

	return (unsigned int)(r - in->session->ring);
}

void vhk_session_init_inband(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++)
		s->ring[i].inband = (struct vhk_backend_inband){
			.session = s, .kick_fd = -1, .call_fd = -1
		};
}

void vhk_session_fini_inband(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++) {
		struct vhk_backend_inband *in = &s->ring[i].inband;

		if (in->call_fd >= 0)
			vhk_loop_del_fd(s->backend->ctl, in->call_fd);
		vhk_fd_close(in->call_fd);
		vhk_fd_close(in->kick_fd);
		in->call_fd = in->kick_fd = -1;
	}
}

void vhk_session_drop_inband_kick(struct vhk_session *s, unsigned int idx)
{
	vhk_fd_close(s->ring[idx].inband.kick_fd);
	s->ring[idx].inband.kick_fd = -1;
}

static void send_call(struct vhk_backend_inband *in);

static void call_answered(void *arg, int ret, int fd)
{
	struct vhk_backend_inband *in = arg;

	vhk_fd_close(fd);
	in->asked = false;
	if (ret == -ENOTCONN || !in->again)
		return;
	in->again = false;
	send_call(in);
}

static void send_call(struct vhk_backend_inband *in)
{
	struct vhk_user_vring_state v = { .index = index_of(in) };
	struct vhk_msg m;
	int ret;

	if (in->asked) {
		in->again = true;
		return;
	}
	vhk_msg_init(&m, VHK_USER_BACK_VRING_CALL, 0);
	memcpy(m.bytes, &v, sizeof(v));
	m.hdr.size = sizeof(v);
	in->asked = true;
	ret = vhk_session_ask(in->session, &m, call_answered, in);
	if (!ret)
		return;
	in->asked = false;
	if (ret == -ENOBUFS)
		vhk_session_fail(in->session, "it does not read the back-end channel");
}

static void call_event(void *arg, uint32_t events)
{
	struct vhk_backend_inband *in = arg;
	uint64_t n;

	(void)events;
	if (read(in->call_fd, &n, sizeof(n)) != sizeof(n))
		return;
	if (!in->session->ring[index_of(in)].call_said)
		send_call(in);
}

static int open_call(struct vhk_session *s, struct vhk_backend_inband *in)
{
	int ret;

	in->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->call_fd < 0)
		return -errno;
	ret = vhk_loop_add_fd(s->backend->ctl, in->call_fd, EPOLLIN, call_event, in);
	if (ret) {
		close(in->call_fd);
		in->call_fd = -1;
	}
	return ret;
}

int vhk_session_inband_call(struct vhk_session *s, unsigned int idx, int *fd)
{
	struct vhk_backend_inband *in = &s->ring[idx].inband;
	int ret;

	*fd = -1;
	if (!negotiated(s) || s->ring[idx].call_said)
		return 0;
	ret = in->call_fd < 0 ? open_call(s, in) : 0;
	if (ret)
		return ret;
	*fd = fcntl(in->call_fd, F_DUPFD_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

void vhk_session_call_again(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues && negotiated(s); i++)
		if (s->ring[i].inband.call_fd >= 0 && !s->ring[i].call_said)
			send_call(&s->ring[i].inband);
}

void vhk_session_tell_error(struct vhk_session *s, unsigned int idx)
{
	struct vhk_user_vring_state v = { .index = idx };
	struct vhk_msg m;

	if (!negotiated(s) || s->ring[idx].err.fd >= 0)
		return;
	vhk_msg_init(&m, VHK_USER_BACK_VRING_ERR, 0);
	memcpy(m.bytes, &v, sizeof(v));
	m.hdr.size = sizeof(v);
	vhk_session_ask(s, &m, NULL, NULL);
}

/* A counter at its end wakes as well as any. */
static void ring_kick(struct vhk_backend_inband *in)
{
	ssize_t ignored = write(in->kick_fd, &one, sizeof(one));

	(void)ignored;
}

static int start(struct vhk_session *s, unsigned int idx)
{
	struct vhk_backend_inband *in = &s->ring[idx].inband;
	int fd;

	vhk_session_drop_inband_kick(s, idx);
	in->kick_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = in->kick_fd < 0 ? -1 : fcntl(in->kick_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return vhk_session_refuse(s, -EMFILE, "no file descriptor is free");
	return vhk_session_start_ring(s, idx, fd);
}

/* Starts the ring if need be. A running one that has an fd or is polled only looks once more. */
int vhk_backend_vring_kick(struct vhk_session *s)
{
	struct vhk_user_vring_state v;
	int ret;

	memcpy(&v, s->req.bytes, sizeof(v));
	if (!vhk_session_runs(s, v.index))
		return start(s, v.index);
	if (s->ring[v.index].inband.kick_fd >= 0) {
		ring_kick(&s->ring[v.index].inband);
		return 0;
	}
	ret = vhk_device_set_enabled(s->backend->dev, v.index, s->ring[v.index].enabled,
				     vhk_session_changed, s);
	return vhk_session_wait(s, ret, NULL);
}
