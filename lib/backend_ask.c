// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device's questions for the front end as messages of the back-end channel.
 */
#include "backend_impl.h"

static void put(struct vhk_msg *m, uint32_t request, const void *payload, size_t size)
{
	vhk_msg_init(m, request, 0);
	memcpy(m->bytes, payload, size);
	m->hdr.size = (uint32_t)size;
}

static void put_notifier(struct vhk_msg *m, const struct vhk_ask *a)
{
	struct vhk_user_vring_area area = {
		.index = a->notifier.queue | (a->fd < 0 ? VHK_USER_VRING_FD_NONE : 0),
		.size = a->notifier.size,
		.offset = a->notifier.offset,
	};

	put(m, VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG, &area, sizeof(area));
}

static void put_shmem(struct vhk_msg *m, uint32_t request, const struct vhk_ask *a)
{
	struct vhk_user_mmap map = {
		.shmid = a->shmem.id,
		.fd_offset = a->shmem.fd_offset,
		.shm_offset = a->shmem.offset,
		.len = a->shmem.len,
		.flags = a->shmem.flags,
	};

	put(m, request, &map, sizeof(map));
}

static void put_object(struct vhk_msg *m, uint32_t request, const struct vhk_ask *a)
{
	put(m, request, &a->uuid, sizeof(a->uuid));
}

int vhk_session_ask_for(struct vhk_session *s, const struct vhk_ask *a)
{
	struct vhk_msg m;

	switch (a->kind) {
	case VHK_ASK_FOR_NOTIFIER:
		put_notifier(&m, a);
		break;
	case VHK_ASK_FOR_SHMEM_MAP:
		put_shmem(&m, VHK_USER_BACK_SHMEM_MAP, a);
		break;
	case VHK_ASK_FOR_SHMEM_UNMAP:
		put_shmem(&m, VHK_USER_BACK_SHMEM_UNMAP, a);
		break;
	case VHK_ASK_FOR_OBJECT_ADD:
		put_object(&m, VHK_USER_BACK_SHARED_OBJECT_ADD, a);
		break;
	case VHK_ASK_FOR_OBJECT_REMOVE:
		put_object(&m, VHK_USER_BACK_SHARED_OBJECT_REMOVE, a);
		break;
	case VHK_ASK_FOR_OBJECT_LOOKUP:
		put_object(&m, VHK_USER_BACK_SHARED_OBJECT_LOOKUP, a);
		break;
	default:
		return -EOPNOTSUPP;
	}
	/* borrowed, like all fds of a message that is sent */
	if (a->fd >= 0)
		m.fd[m.n_fds++] = a->fd;
	return vhk_session_ask(s, &m, a->done, a->arg);
}
