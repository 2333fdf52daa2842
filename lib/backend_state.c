// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The device's own state over vhost-user (SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE): it moves while
 * all rings are stopped, and requests are served meanwhile.
 */
#include "backend_impl.h"
#include "state.h"

/* The front end that waits for the end is told. */
static void moved(struct vhk_session *s, int ret)
{
	vhk_state_free(s->moving);
	s->moving = NULL;
	s->moved = ret;
	if (ret)
		vhk_session_log(s, VHK_LOG_WARN, "the device's state was not moved: %s",
				strerrordesc_np(-ret));
	if (!s->checking)
		return;
	s->checking = false;
	s->moved = -ENODATA;
	vhk_session_changed(s, ret, 0);
}

static void state_done(void *arg, int ret)
{
	moved(arg, ret);
}

void vhk_session_drop_state(struct vhk_session *s)
{
	if (s->moving)
		moved(s, -ECANCELED);
}

int vhk_backend_set_device_state_fd(struct vhk_session *s)
{
	struct vhk_user_state_transfer t;
	int fd, ret;

	memcpy(&t, s->req.bytes, sizeof(t));
	if (s->moving)
		return vhk_session_refuse(s, -EBUSY, "a transfer is under way");
	ret = vhk_session_take_fd(s, &fd);
	if (ret)
		return ret;
	ret = vhk_state_new_take_fd(&s->moving, s->backend->ctl, s->backend->dev, fd,
				    t.direction == VHK_USER_STATE_SAVE, state_done, s);
	if (ret)
		return vhk_session_refuse(s, ret, "not a pipe for that direction");
	s->moved = 0;
	return 0;
}

/* Each transfer is checked once. */
int vhk_backend_check_device_state(struct vhk_session *s)
{
	int ret = s->moved;

	if (s->moving) {
		s->checking = true;
		return vhk_session_wait(s, 0, NULL);
	}
	s->moved = -ENODATA;
	return ret ? vhk_session_refuse(s, ret, "the device's state was not moved") : 0;
}
