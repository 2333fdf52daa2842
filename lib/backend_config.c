// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The configuration space over vhost-user: read, written, and told of when it changed.
 */
#include "backend_impl.h"

#define CONFIG_HEADER offsetof(struct vhk_user_config, data)

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
	struct vhk_device *d = s->backend->dev;
	int ret;

	if (c.flags == VHK_USER_CONFIG_MIGRATION)
		ret = vhk_device_restore_config(d, c.offset, c.data, c.size);
	else
		ret = vhk_device_set_config(d, c.offset, c.data, c.size);
	return ret < 0 ? ret : 0;
}

void vhk_session_config_changed(struct vhk_session *s)
{
	struct vhk_msg m;

	s->config_due = s->channel.fd >= 0 && !s->channel_watched;
	/* One that waits to be sent tells of this change as well. */
	if (s->config_due || s->channel.fd < 0 || !(s->st.protocol & VHK_USER_PF(CONFIG)) ||
	    s->channel.n_tx)
		return;
	vhk_msg_init(&m, VHK_USER_BACK_CONFIG_CHANGE_MSG, 0);
	vhk_session_ask(s, &m, NULL, NULL);
}
