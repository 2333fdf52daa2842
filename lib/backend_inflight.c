// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Inflight regions (vhost-user, "Inflight I/O tracking"): made for the front end to keep, and taken
 * back from it after either end died. What is in one is the ring's to read.
 */
#include <unistd.h>

#include "backend_impl.h"
#include "ring.h"

/* QEMU asks for the queue size that its device was configured with, but lets drivers have rings of
 * this many entries. */
#define ROOM_MIN 1024u

/* How many entries each queue's part of a region gets that is asked for. */
static uint16_t room_to_make(const struct vhk_session *s, uint16_t asked)
{
	unsigned int most = vhk_device_info(s->backend->dev)->queue_size, room = 1;

	while (room < vhk_min(most, ROOM_MIN))
		room *= 2;
	return (uint16_t)vhk_max((unsigned int)asked, room);
}

/* How many each part has: as many as the front end says, or more where the whole is of just the
 * size for that, which is what one from here is. */
static uint16_t room_of(const struct vhk_backend_inflight *in, bool packed)
{
	unsigned int room;

	for (room = 1; room <= VHK_QUEUE_SIZE_MAX; room *= 2)
		if (room > in->queue_size &&
		    in->size == (uint64_t)vhk_inflight_size((uint16_t)room, packed) * in->n_queues)
			return (uint16_t)room;
	return in->queue_size;
}

void *vhk_session_find_inflight(const struct vhk_session *s, unsigned int idx, uint16_t *room,
				size_t *size)
{
	const struct vhk_backend_inflight *in = &s->inflight;

	if (!in->mem || idx >= in->n_queues)
		return NULL;
	*room = room_of(in, vhk_session_packed(s));
	*size = vhk_inflight_size(*room, vhk_session_packed(s));
	/* The layout may be another one than when the region came. */
	if (s->ring[idx].size > *room || *size > in->size / in->n_queues)
		return NULL;
	return in->va + idx * *size;
}

struct vhk_table *vhk_session_inflight_table(const struct vhk_session *s)
{
	return s->inflight.mem ? vhk_mem_table(s->inflight.mem) : NULL;
}

static void renew(struct vhk_session *s, unsigned int first, unsigned int n)
{
	struct vhk_table *t = vhk_session_inflight_table(s);
	struct vhk_fault_scope scope;
	unsigned int i;
	uint16_t room;
	size_t size;
	void *va;

	vhk_fault_enter(&scope, t);
	for (i = first; i < first + n; i++)
		if (!s->ring[i].left && (va = vhk_session_find_inflight(s, i, &room, &size)))
			vhk_inflight_init(va, room, vhk_session_packed(s));
	vhk_fault_leave(&scope);
	if (atomic_load(&scope.torn))
		s->torn = true;
	vhk_table_put(t);
}

/* Nothing is in flight, and positions start anew: what the region says of former ones would be read
 * as of these. */
void vhk_session_reset_inflight(struct vhk_session *s)
{
	renew(s, 0, s->inflight.n_queues);
}

void vhk_session_renew_inflight(struct vhk_session *s, unsigned int idx)
{
	renew(s, idx, 1);
}

void vhk_session_drop_inflight(struct vhk_session *s)
{
	vhk_mem_free(s->inflight.mem);
	s->inflight = (struct vhk_backend_inflight){ 0 };
}

static int check_queue_size(struct vhk_session *s, const struct vhk_user_inflight *in)
{
	if (in->queue_size > vhk_device_info(s->backend->dev)->queue_size)
		return vhk_session_refuse(s, -EINVAL, "queues are larger than the device allows");
	return 0;
}

static struct vhk_user_inflight requested_inflight(const struct vhk_session *s)
{
	struct vhk_user_inflight in = { 0 };

	memcpy(&in, s->req.bytes, vhk_min(sizeof(in), (size_t)s->req.hdr.size));
	return in;
}

/* The region is the front end's: nothing of it stays here until SET_INFLIGHT_FD brings it back. */
int vhk_backend_get_inflight_fd(struct vhk_session *s)
{
	struct vhk_user_inflight in = requested_inflight(s);
	bool packed = vhk_session_packed(s);
	const uint16_t room = room_to_make(s, in.queue_size);
	const size_t size = vhk_inflight_size(room, packed);
	int ret = check_queue_size(s, &in);
	unsigned char *at;
	unsigned int i;
	void *va;

	if (ret)
		return ret;
	in.mmap_size = (uint64_t)size * in.num_queues;
	in.mmap_offset = 0;
	in.padding = 0;
	ret = vhk_map_memfd(&va, "vhostkit-inflight", in.mmap_size);
	if (ret < 0)
		return vhk_session_refuse(s, ret, strerrordesc_np(-ret));
	for (i = 0, at = va; i < in.num_queues; i++, at += size)
		vhk_inflight_init(at, room, packed);
	vhk_unmap(va, in.mmap_size);
	s->reply.fd[s->reply.n_fds++] = ret;
	vhk_session_reply(s, &in, sizeof(in));
	return 0;
}

int vhk_backend_set_inflight_fd(struct vhk_session *s)
{
	struct vhk_user_inflight in = requested_inflight(s);
	struct vhk_mem *mem;
	void *va;
	int ret = check_queue_size(s, &in);

	if (ret)
		return ret;
	if (in.mmap_size / in.num_queues < vhk_inflight_size(in.queue_size, vhk_session_packed(s)))
		return vhk_session_refuse(s, -EINVAL, "the region is too small for its queues");
	ret = vhk_mem_new_file_take_fd(&mem, in.mmap_offset, in.mmap_size,
				       vhk_msg_take_fd(&s->req, 0), vhk_session_keeps_fds(s), &va);
	if (ret)
		return vhk_session_refuse(s, ret, "the region cannot be mapped");
	vhk_session_drop_inflight(s);
	s->inflight = (struct vhk_backend_inflight){ mem, va, in.mmap_size, in.num_queues,
						     in.queue_size };
	return 0;
}
