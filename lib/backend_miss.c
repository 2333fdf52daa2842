// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Translations that rings wait for: asked of the front end on the back-end channel, one at a time
 * for each ring. The answer to a question is either the translation, by IOTLB_MSG, or a no, which
 * the queue is told.
 */
#include "backend_impl.h"

static bool translates(const struct vhk_session *s, const struct vhk_iova_want *w)
{
	struct vhk_iotlb_seg seg;

	return vhk_iotlb_find(s->iotlb.cache, w->iova, 1, w->perm, &seg, 1, NULL) == 1;
}

static bool same(const struct vhk_iova_want *a, const struct vhk_iova_want *b)
{
	return a->iova.v == b->iova.v && a->perm == b->perm;
}

static struct vhk_msg message(enum vhk_iotlb_type type, const struct vhk_iova_want *w)
{
	const struct vhk_user_iotlb m = {
		.iova = w->iova.v,
		.perm = w->perm,
		.type = (uint8_t)type,
	};
	struct vhk_msg out;

	vhk_msg_init(&out, VHK_USER_BACK_IOTLB_MSG, 0);
	memcpy(out.bytes, &m, sizeof(m));
	out.hdr.size = sizeof(m);
	return out;
}

static void refused(struct vhk_session *s, unsigned int idx)
{
	const struct vhk_backend_ring *r = &s->ring[idx];

	vhk_session_log(s, VHK_LOG_WARN, "queue %u: 0x%llx is not translated", idx,
			(unsigned long long)r->asked_for.iova.v);
	vhk_device_deny(s->backend->dev, idx, r->asked_for.iova.v);
}

static void ask(struct vhk_session *s, unsigned int idx);

/* An answer to an older question says nothing of the current one. */
static void answered(struct vhk_session *s, struct vhk_backend_ring *r, int ret)
{
	const unsigned int idx = (unsigned int)(r - s->ring);

	if (--r->n_unanswered || !r->asked)
		return;
	r->asked = false;
	if (ret == -ENOTCONN) {
		r->wanted = r->wants ? r->wanted : r->asked_for;
		r->wants = true;
		return;
	}
	if (ret)
		refused(s, idx);
	ask(s, idx);
}

struct question {
	struct vhk_session *s;
	struct vhk_backend_ring *r;
};

static void take_answer(void *arg, int ret, int fd)
{
	struct question q = *(struct question *)arg;

	(void)fd;
	free(arg);
	answered(q.s, q.r, ret);
}

static int send_question(struct vhk_session *s, struct vhk_backend_ring *r)
{
	struct vhk_msg m = message(VHK_IOTLB_MISS, &r->asked_for);
	struct question *q;
	int ret;

	if (!(s->st.protocol & VHK_USER_PF(REPLY_ACK)))
		return vhk_session_ask(s, &m, NULL, NULL);
	q = malloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct question){ s, r };
	r->n_unanswered++;
	ret = vhk_session_ask(s, &m, take_answer, q);
	if (ret) {
		r->n_unanswered--;
		free(q);
	}
	return ret;
}

/* The next question, once there is an answer to the one before. */
static void ask(struct vhk_session *s, unsigned int idx)
{
	struct vhk_backend_ring *r = &s->ring[idx];
	int ret;

	if (r->asked || !r->wants || s->channel.fd < 0)
		return;
	if (translates(s, &r->wanted)) {
		r->wants = false;
		return;
	}
	r->asked_for = r->wanted;
	ret = send_question(s, r);
	if (ret) {
		vhk_session_log(s, VHK_LOG_DEBUG, "a miss of queue %u is not told: %s", idx,
				strerrordesc_np(-ret));
		return;
	}
	r->wants = false;
	r->asked = true;
}

static void tell_not_permitted(struct vhk_session *s, const struct vhk_iova_want *w)
{
	struct vhk_msg m = message(VHK_IOTLB_ACCESS_FAIL, w);

	/* a driver can do it again and again */
	if (vhk_is_power_of_2(++s->iotlb.n_not_permitted))
		vhk_session_ask(s, &m, NULL, NULL);
}

void vhk_session_missed(struct vhk_session *s, unsigned int idx, uint64_t iova, uint8_t perm,
			bool denied)
{
	const struct vhk_iova_want w = { { iova }, perm };
	struct vhk_backend_ring *r = &s->ring[idx];

	if (!vhk_session_has_iotlb(s))
		return;
	if (denied) {
		tell_not_permitted(s, &w);
		return;
	}
	if (r->asked && same(&r->asked_for, &w))
		return;
	r->wanted = w;
	r->wants = true;
	ask(s, idx);
}

void vhk_session_ask_misses(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++) {
		struct vhk_backend_ring *r = &s->ring[i];

		if (r->asked && translates(s, &r->asked_for))
			r->asked = false;
		ask(s, i);
	}
}
