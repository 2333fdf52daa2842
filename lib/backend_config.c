// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The configuration space over vhost-user, and the back-end channel, on which the front end hears
 * that it changed.
 */
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend_impl.h"

#define CONFIG_HEADER offsetof(struct vhk_user_config, data)
/* Messages taken off the channel in one go. */
#define BUDGET 16

static struct vhk_user_config requested_config(const struct vhk_session *s)
{
	struct vhk_user_config c;

	memcpy(&c, s->req.bytes, sizeof(c));
	return c;
}

/* A front end may know a longer space than the device has: fields that the device lacks read as
 * zeros. */
int vhk_backend_get_config(struct vhk_session *s)
{
	struct vhk_user_config c = requested_config(s);
	uint32_t end = vhk_device_info(s->backend->dev)->config_size;
	int ret;

	if (c.offset >= end)
		return vhk_session_refuse(s, -EINVAL, "beyond the configuration space");
	memset(c.data, 0, sizeof(c.data));
	ret = vhk_device_get_config(s->backend->dev, c.offset, c.data,
				    vhk_min(c.size, end - c.offset));
	if (ret < 0)
		return ret;
	vhk_session_reply(s, &c, (uint32_t)CONFIG_HEADER + c.size);
	return 0;
}

int vhk_backend_set_config(struct vhk_session *s)
{
	struct vhk_user_config c = requested_config(s);
	int ret = vhk_device_set_config(s->backend->dev, c.offset, c.data, c.size);

	return ret < 0 ? ret : 0;
}

void vhk_session_drop_channel(struct vhk_session *s)
{
	if (s->channel.fd < 0)
		return;
	vhk_loop_del_fd(s->backend->ctl, s->channel.fd);
	vhk_sock_fini(&s->channel);
	s->channel.fd = -1;
}

/* Nothing sent on the channel asks for an answer, so nobody ever waits for one; what comes is read
 * and dropped. */
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
		if (!ret)
			vhk_msg_fini(&m);
		else if (ret == -EAGAIN)
			break;
		else if (ret == -EBADF)
			ret = 0;
	}
	if (ret && ret != -EAGAIN) {
		vhk_session_log(s, VHK_LOG_INFO, "back-end channel closed");
		vhk_session_drop_channel(s);
		return;
	}
	vhk_loop_mod_fd(s->backend->ctl, s->channel.fd,
			EPOLLIN | (s->channel.n_tx ? EPOLLOUT : 0u));
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
	ret = vhk_loop_add_fd(s->backend->ctl, fd, EPOLLIN, channel_event, s);
	if (ret) {
		vhk_sock_fini(&s->channel);
		s->channel.fd = -1;
	}
	return ret;
}

void vhk_session_config_changed(struct vhk_session *s)
{
	struct vhk_msg m;

	if (s->channel.fd < 0 || !(s->st.protocol & VHK_USER_PF(CONFIG)))
		return;
	/* One that waits to be sent tells of this change as well. */
	if (s->channel.n_tx)
		return;
	vhk_msg_init(&m, VHK_USER_BACK_CONFIG_CHANGE_MSG, VHK_MSG_VERSION);
	if (vhk_sock_send(&s->channel, &m)) {
		vhk_session_drop_channel(s);
		return;
	}
	vhk_loop_mod_fd(s->backend->ctl, s->channel.fd,
			EPOLLIN | (s->channel.n_tx ? EPOLLOUT : 0u));
}
