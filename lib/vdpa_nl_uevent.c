// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The text of a uevent: "ACTION@DEVPATH", then KEY=VALUE, each ending with a zero.
 */
#include "vdpa_nl.h"

static void take_pair(struct vhk_uevent *u, const char *pair)
{
	static const struct {
		const char *key;
		size_t at;
	} keys[] = {
		{ "ACTION=", offsetof(struct vhk_uevent, action) },
		{ "DEVPATH=", offsetof(struct vhk_uevent, devpath) },
		{ "SUBSYSTEM=", offsetof(struct vhk_uevent, subsystem) },
		{ "DEVTYPE=", offsetof(struct vhk_uevent, devtype) },
		{ "DRIVER=", offsetof(struct vhk_uevent, driver) },
		{ "DEVPATH_OLD=", offsetof(struct vhk_uevent, old_path) },
	};
	const char *value;
	size_t i, len;

	for (i = 0; i < vhk_array_size(keys); i++) {
		len = strlen(keys[i].key);
		value = pair + len;
		if (!strncmp(pair, keys[i].key, len))
			memcpy((char *)u + keys[i].at, &value, sizeof(value));
	}
	if (!strncmp(pair, "SEQNUM=", 7))
		u->seq = strtoull(pair + 7, NULL, 10);
}

int vhk_uevent_parse(struct vhk_uevent *u, const char *text, size_t len)
{
	size_t at;

	*u = (struct vhk_uevent){ 0 };
	if (!len || text[len - 1] || !strchr(text, '@'))
		return -EPROTO;
	for (at = strlen(text) + 1; at < len; at += strlen(text + at) + 1)
		take_pair(u, text + at);
	return u->action && u->devpath && u->subsystem ? 0 : -EPROTO;
}

bool vhk_uevent_parent(const char *devpath, char *name, size_t size)
{
	const char *virtio, *begin;

	for (virtio = strstr(devpath, "/virtio"); virtio; virtio = strstr(virtio + 1, "/virtio"))
		if (virtio[7] >= '0' && virtio[7] <= '9' && virtio != devpath &&
		    virtio[7 + strspn(virtio + 7, "0123456789")] == '/')
			break;
	if (!virtio)
		return false;
	for (begin = virtio; begin > devpath && begin[-1] != '/'; begin--)
		;
	if (begin == virtio || (size_t)(virtio - begin) >= size)
		return false;
	memcpy(name, begin, (size_t)(virtio - begin));
	name[virtio - begin] = 0;
	return true;
}
