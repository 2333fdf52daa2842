// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The back-end channel (vhost-user, "Back-end message types"): what this end asks of the front end,
 * and the answers, which come in the order of the questions. Nothing here waits.
 */
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend_impl.h"
#include "fd.h"

/* Messages taken off the channel in one go. */
#define BUDGET 16
/* Questions without answer at once. */
#define ASKED_MAX 256

struct vhk_channel_ask {
	struct vhk_channel_ask *next;
	uint32_t request;
	vhk_channel_fn *fn;
	void *arg;
};

static void note(struct vhk_session *s, struct vhk_channel_ask *a)
{
	*s->asked_tail = a;
	s->asked_tail = &a->next;
	s->n_asked++;
}

static struct vhk_channel_ask *ask_new(uint32_t request, vhk_channel_fn *fn, void *arg)
{
	struct vhk_channel_ask *a = malloc(sizeof(*a));

	if (a)
		*a = (struct vhk_channel_ask){ NULL, request, fn, arg };
	return a;
}

static struct vhk_channel_ask *take_first(struct vhk_session *s)
{
	struct vhk_channel_ask *a = s->asked;

	s->asked = a->next;
	if (!s->asked)
		s->asked_tail = &s->asked;
	s->n_asked--;
	return a;
}

static void answer(struct vhk_channel_ask *a, int ret, int fd)
{
	a->fn(a->arg, ret, fd);
	free(a);
}

void vhk_session_init_channel(struct vhk_session *s)
{
	s->channel.fd = -1;
	s->asked_tail = &s->asked;
}

void vhk_session_drop_channel(struct vhk_session *s)
{
	if (s->channel.fd < 0)
		return;
	vhk_session_pause_channel(s);
	vhk_sock_fini(&s->channel);
	s->channel.fd = -1;
	while (s->asked)
		answer(take_first(s), -ENOTCONN, -1);
}

/* An answer that nobody waits for is dropped: a front end may acknowledge what need not be. */
static void take_answer(struct vhk_session *s, struct vhk_msg *m)
{
	const char *why = NULL;
	int ret, fd;

	if (!s->asked || !(m->hdr.flags & VHK_MSG_REPLY) || m->hdr.request != s->asked->request)
		return;
	ret = vhk_proto_check_reply(m->hdr.request, true, m, &why);
	if (!ret && m->u64)
		ret = -EREMOTEIO;
	fd = vhk_msg_take_fd(m, 0);
	if (ret) {
		vhk_fd_close(fd);
		fd = -1;
	}
	answer(take_first(s), ret, fd);
}

static void watch(struct vhk_session *s)
{
	if (!s->channel_watched)
		return;
	vhk_loop_mod_fd(s->backend->ctl, s->channel.fd,
			EPOLLIN | (s->channel.n_tx ? EPOLLOUT : 0u));
}

static void channel_event(void *arg, uint32_t events)
{
	struct vhk_session *s = arg;
	struct vhk_msg m;
	unsigned int i;
	int ret;

	(void)events;
	ret = vhk_sock_flush(&s->channel);
	for (i = 0; i < BUDGET && (!ret || ret == -EAGAIN); i++) {
		ret = vhk_sock_recv(&s->channel, &m);
		if (ret == -EAGAIN)
			break;
		if (ret && ret != -EBADF)
			continue;
		take_answer(s, &m);
		vhk_msg_fini(&m);
		if (s->channel.fd < 0)
			return;
		ret = 0;
	}
	if (ret && ret != -EAGAIN) {
		vhk_session_log(s, VHK_LOG_INFO, "back-end channel closed");
		vhk_session_drop_channel(s);
		return;
	}
	watch(s);
}

bool vhk_session_channel_is_calm(const struct vhk_session *s)
{
	return s->channel.fd < 0 || (!s->channel.got && !s->channel.n_tx);
}

void vhk_session_pause_channel(struct vhk_session *s)
{
	if (s->channel_watched)
		vhk_loop_del_fd(s->backend->ctl, s->channel.fd);
	s->channel_watched = false;
}

static int watch_channel(struct vhk_session *s)
{
	int ret = vhk_loop_add_fd(s->backend->ctl, s->channel.fd, EPOLLIN, channel_event, s);

	s->channel_watched = !ret;
	return ret;
}

/* What could not be said without it. */
static void make_up(struct vhk_session *s)
{
	vhk_session_call_again(s);
	if (vhk_session_has_iotlb(s))
		vhk_session_ask_misses(s);
}

void vhk_session_resume_channel(struct vhk_session *s)
{
	if (s->channel.fd < 0 || s->channel_watched)
		return;
	if (watch_channel(s)) {
		vhk_session_drop_channel(s);
		return;
	}
	watch(s);
	if (s->config_due)
		vhk_session_config_changed(s);
	make_up(s);
}

unsigned int vhk_session_asked(const struct vhk_session *s, uint32_t *request, unsigned int max)
{
	const struct vhk_channel_ask *a;
	unsigned int n = 0;

	for (a = s->asked; a && n < max; a = a->next)
		request[n++] = a->request;
	return n;
}

/* Whoever asked was the other process. */
static void nobody_asked(void *arg, int ret, int fd)
{
	(void)arg;
	(void)ret;
	vhk_fd_close(fd);
}

int vhk_session_adopt_channel_take_fd(struct vhk_session *s, int fd, const uint32_t *request,
				      unsigned int n)
{
	struct vhk_channel_ask *a;
	unsigned int i;
	int ret;

	vhk_session_drop_channel(s);
	vhk_sock_init_take_fd(&s->channel, fd);
	for (i = 0; i < n; i++) {
		a = vhk_proto_back_request(request[i]) ? ask_new(request[i], nobody_asked, NULL)
						       : NULL;
		if (!a)
			goto err;
		note(s, a);
	}
	ret = watch_channel(s);
	if (!ret)
		return 0;
err:
	vhk_session_drop_channel(s);
	return -EINVAL;
}

int vhk_backend_set_backend_req_fd(struct vhk_session *s)
{
	struct stat st;
	int fd, ret = vhk_session_take_fd(s, &fd);

	if (ret)
		return ret;
	if (fstat(fd, &st) || !S_ISSOCK(st.st_mode)) {
		close(fd);
		return vhk_session_refuse(s, -EINVAL, "not a socket");
	}
	vhk_session_drop_channel(s);
	vhk_sock_init_take_fd(&s->channel, fd);
	ret = watch_channel(s);
	if (ret) {
		vhk_session_drop_channel(s);
		return ret;
	}
	make_up(s);
	return 0;
}

/* An acknowledgement has to be negotiated, an answer of the message's own has not. */
static bool answers(const struct vhk_session *s, uint32_t request)
{
	return vhk_proto_back_request(request)->reply != VHK_REPLY_NONE ||
	       (s->st.protocol & VHK_USER_PF(REPLY_ACK));
}

static int send(struct vhk_session *s, const struct vhk_msg *m)
{
	int ret = vhk_sock_send(&s->channel, m);

	if (ret && ret != -ENOBUFS)
		vhk_session_drop_channel(s);
	else
		watch(s);
	return ret;
}

static int send_and_note(struct vhk_session *s, struct vhk_msg *m, vhk_channel_fn *fn, void *arg)
{
	struct vhk_channel_ask *a;
	int ret;

	if (s->n_asked >= ASKED_MAX)
		return -ENOBUFS;
	a = ask_new(m->hdr.request, fn, arg);
	if (!a)
		return -ENOMEM;
	if (vhk_proto_back_request(m->hdr.request)->reply == VHK_REPLY_NONE)
		m->hdr.flags |= VHK_MSG_NEED_REPLY;
	ret = send(s, m);
	if (ret) {
		free(a);
		return ret;
	}
	note(s, a);
	return 0;
}

int vhk_session_ask(struct vhk_session *s, struct vhk_msg *m, vhk_channel_fn *fn, void *arg)
{
	const char *why = NULL;
	int ret;

	/* paused: another process has it, or may have (backend_give.c) */
	if (s->channel.fd < 0 || !s->channel_watched)
		return -ENOTCONN;
	ret = vhk_proto_check(&s->st, m, true, &why);
	if (ret)
		return ret == -EPROTO ? -EINVAL : ret;
	if (fn && answers(s, m->hdr.request))
		return send_and_note(s, m, fn, arg);
	ret = send(s, m);
	if (!ret && fn)
		fn(arg, 0, -1);
	return ret;
}
