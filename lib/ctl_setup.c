// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Setting up: negotiate, claim, share memory; and the same again, word for word, after a reconnect.
 * Round trips: GET_FEATURES; GET_PROTOCOL_FEATURES; everything that is set; memory.
 */
#include <linux/virtio_config.h>
#include <poll.h>

#include "ctl_impl.h"
#include "proto.h"

/* What this front end knows how to use. */
#define PROTOCOL_KNOWN                                                                             \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIG |                       \
	 VHK_PF_INFLIGHT_SHMFD | VHK_PF_RESET_DEVICE | VHK_PF_CONFIGURE_MEM_SLOTS |                \
	 VHK_PF_STATUS | VHK_PF_LOG_SHMFD | VHK_PF_DEVICE_STATE | SUSPEND)
/* Without all of them GET_VRING_BASE may wait for requests, or may not, as the back end likes. */
#define SUSPEND (VHK_PF_GET_VRING_BASE_INFLIGHT | VHK_PF_GET_VRING_BASE_SKIP_DRAIN)
#define SUSPEND_NEEDS (SUSPEND | VHK_PF_INFLIGHT_SHMFD)

#define BACKEND_KNOWN                                                                              \
	(VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_BATCH | VHK_BF_IOTLB_ASID | VHK_BF_SUSPEND |           \
	 VHK_BF_RESUME | VHK_BF_ENABLE_AFTER_DRIVER_OK | VHK_BF_DESC_ASID | VHK_BF_IOTLB_PERSIST)

#define STATUS_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

static int setup_ask_protocol(struct vhk_ctl_job *j);
static int setup_negotiate(struct vhk_ctl_job *j);
static int setup_share(struct vhk_ctl_job *j);
static int setup_end(struct vhk_ctl_job *j);

static int setup_ask_features(struct vhk_ctl_job *j)
{
	j->step = setup_ask_protocol;
	return vhk_ctl_job_ask_u64(j, VHK_CTL_GET_FEATURES, 0, NULL);
}

static int setup_ask_protocol(struct vhk_ctl_job *j)
{
	uint64_t offered = j->c->ops->offer(j->c)->features_offered;
	uint64_t missing = j->c->must & ~offered;

	if (missing) {
		vhk_log(&j->c->log, VHK_LOG_ERROR, "features 0x%llx are not offered",
			(unsigned long long)missing);
		return -EOPNOTSUPP;
	}
	j->features = offered & (j->c->want | j->c->must | j->c->ops->always);
	j->step = setup_negotiate;
	if (!vhk_ctl_can(j->c, VHK_CTL_GET_PROTOCOL_FEATURES))
		return 0;
	return vhk_ctl_job_ask_u64(j, VHK_CTL_GET_PROTOCOL_FEATURES, 0, NULL);
}

/* A message that is part of setting up where the connection has it. */
static int setup_ask_if(struct vhk_ctl_job *j, enum vhk_ctl_op op, uint64_t v,
			int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r))
{
	return vhk_ctl_can(j->c, op) ? vhk_ctl_job_ask_u64(j, op, v, answer) : 0;
}

static int setup_slots(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	j->c->slots = r->u64;
	return 0;
}

static int setup_status(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	(void)j;
	return r->u64 & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EREMOTEIO;
}

/* What both ends know, without what means nothing in that company. */
static uint64_t protocol_choice(const struct vhk_ctl *c, uint64_t offered)
{
	uint64_t bit, take = offered & (PROTOCOL_KNOWN | c->opts.also) & ~c->opts.without;
	const char *why;

	if (SUSPEND_NEEDS & ~take)
		take &= ~SUSPEND;
	for (; (bit = vhk_proto_misfit(take, &why)); take &= ~bit)
		vhk_log(&c->log, VHK_LOG_INFO, "%s: left out", why);
	return take;
}

/* Of what was settled before. */
static int protocol_missing(const struct vhk_ctl *c, uint64_t missing)
{
	const unsigned int bit = (unsigned int)__builtin_ctzll(missing);
	const char *name = vhk_ctl_protocol_name(bit);

	vhk_log(&c->log, VHK_LOG_ERROR, "the back end came back without %s (protocol feature %u)",
		name ? name : "what it had", bit);
	return -EOPNOTSUPP;
}

static int setup_protocol(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;
	uint64_t offered = c->ops->offer(c)->protocol_offered;

	if (!(j->features & VHK_F_PROTOCOL_FEATURES))
		return j->replay && j->protocol ? protocol_missing(c, j->protocol) : 0;
	if (!j->replay)
		j->protocol = protocol_choice(c, offered);
	if (j->protocol & ~offered)
		return protocol_missing(c, j->protocol & ~offered);
	return vhk_ctl_job_ask_u64(j, VHK_CTL_SET_PROTOCOL_FEATURES, j->protocol, NULL);
}

static int setup_backend(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	return vhk_ctl_job_ask_u64(j, VHK_CTL_SET_BACKEND_FEATURES, r->u64 & BACKEND_KNOWN, NULL);
}

static int setup_negotiate(struct vhk_ctl_job *j)
{
	int ret = setup_protocol(j);

	j->step = setup_share;
	j->c->slots = 0;
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_GET_QUEUE_NUM, 0, NULL);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_GET_MAX_MEM_SLOTS, 0, setup_slots);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_SET_BACKEND_REQ_FD, 0, NULL);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_GET_BACKEND_FEATURES, 0, setup_backend);
	if (!ret)
		ret = vhk_ctl_job_ask_u64(j, VHK_CTL_SET_OWNER, 0, NULL);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_SET_STATUS, STATUS_DRIVER, NULL);
	if (!ret)
		ret = vhk_ctl_job_ask_u64(j, VHK_CTL_SET_FEATURES, j->features, NULL);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_SET_STATUS,
				   STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK, NULL);
	if (!ret)
		ret = setup_ask_if(j, VHK_CTL_GET_STATUS, 0, setup_status);
	return ret ? ret : vhk_ctl_job_sync(j);
}

static bool region_same(const struct vhk_region *a, const struct vhk_region *b)
{
	return a->gpa.v == b->gpa.v && a->uva.v == b->uva.v && a->size == b->size &&
	       a->offset == b->offset;
}

static bool share_knows(const struct vhk_ctl *c, const struct vhk_region *r)
{
	unsigned int i;

	for (i = 0; i < c->n_shared; i++)
		if (region_same(&c->shared[i], r))
			return true;
	return false;
}

static bool mem_has(const struct vhk_mem *m, const struct vhk_region *r)
{
	unsigned int i, n = vhk_mem_count(m);
	struct vhk_region has;
	int fd;

	for (i = 0; i < n; i++)
		if (!vhk_mem_get(m, i, &has, &fd) && region_same(&has, r))
			return true;
	return false;
}

static int share_added(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	if (j->c->n_shared < VHK_MEM_SLOTS_MAX)
		j->c->shared[j->c->n_shared++] = r->region;
	return 0;
}

static int share_removed(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	struct vhk_ctl *c = j->c;
	unsigned int i;

	for (i = 0; i < c->n_shared; i++) {
		if (region_same(&c->shared[i], &r->region)) {
			c->shared[i] = c->shared[--c->n_shared];
			break;
		}
	}
	return 0;
}

static int share_replaced(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	struct vhk_ctl *c = j->c;
	unsigned int i;
	int fd;

	c->n_shared = 0;
	for (i = 0; i < vhk_mem_count(r->mem) && i < VHK_MEM_SLOTS_MAX; i++)
		if (!vhk_mem_get(r->mem, i, &c->shared[c->n_shared], &fd))
			c->n_shared++;
	return 0;
}

/* The memory has more regions than the back end takes, @max; those that it took before are its
 * fault. */
static int share_too_many(const struct vhk_ctl_job *j, uint64_t max)
{
	const struct vhk_ctl *c = j->c;
	const bool less = j->replay && max < c->slots_had;

	vhk_log(&c->log, VHK_LOG_ERROR, "the memory has %u regions, the back end %s %llu",
		vhk_mem_count(c->mem), less ? "came back with room for" : "takes",
		(unsigned long long)max);
	return less ? -EOPNOTSUPP : -EMSGSIZE;
}

static int share_by_slot(struct vhk_ctl_job *j)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_REM_MEM_REG, .fd = -1 };
	struct vhk_ctl *c = j->c;
	unsigned int i, n = c->n_shared;
	int ret = 0;

	if (vhk_mem_count(c->mem) > vhk_min(c->slots, VHK_MEM_SLOTS_MAX))
		return share_too_many(j, c->slots);
	for (i = n; i && !ret; i--) {
		r.region = c->shared[i - 1];
		if (!mem_has(c->mem, &r.region))
			ret = vhk_ctl_job_ask(j, &r, share_removed);
	}
	r.op = VHK_CTL_ADD_MEM_REG;
	for (i = 0; i < vhk_mem_count(c->mem) && !ret; i++) {
		ret = vhk_mem_get(c->mem, i, &r.region, &r.fd);
		if (!ret && !share_knows(c, &r.region))
			ret = vhk_ctl_job_ask(j, &r, share_added);
	}
	return ret;
}

static int share_table(struct vhk_ctl_job *j)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_MEM_TABLE, .fd = -1, .mem = j->c->mem };
	unsigned int i, n = vhk_mem_count(j->c->mem);
	bool same = n == j->c->n_shared;

	if (n > j->c->ops->table_max)
		return share_too_many(j, j->c->ops->table_max);
	for (i = 0; i < j->c->n_shared && same; i++)
		same = mem_has(j->c->mem, &j->c->shared[i]);
	if (same || !n)
		return 0;
	return vhk_ctl_job_ask(j, &r, share_replaced);
}

/* Translations that were answered from the memory, of regions that are in it no more. */
static int share_invalidate(struct vhk_ctl_job *j)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_IOTLB_MSG, .fd = -1 };
	struct vhk_ctl *c = j->c;
	unsigned int i;
	int ret = 0;

	if (c->opts.on_iotlb || vhk_ctl_kind(c) == VHK_CTL_KIND_VDPA ||
	    !vhk_ctl_can(c, VHK_CTL_IOTLB_MSG))
		return 0;
	for (i = 0; i < c->n_shared && !ret; i++) {
		r.iotlb = (struct vhk_iotlb_msg){ .iova = { c->shared[i].gpa.v },
						  .size = c->shared[i].size,
						  .type = VHK_IOTLB_INVALIDATE };
		if (!mem_has(c->mem, &c->shared[i]))
			ret = vhk_ctl_job_ask(j, &r, NULL);
	}
	return ret;
}

int vhk_ctl_share(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;
	int ret;

	if (!c->shared)
		c->shared = calloc(VHK_MEM_SLOTS_MAX, sizeof(*c->shared));
	if (!c->shared)
		return -ENOMEM;
	ret = share_invalidate(j);
	if (ret)
		return ret;
	return vhk_ctl_can(c, VHK_CTL_ADD_MEM_REG) ? share_by_slot(j) : share_table(j);
}

/* Which run, or have room in the inflight region. */
static int replay_queues(const struct vhk_ctl *c)
{
	const unsigned int has = vhk_ctl_n_queues(c), uses = vhk_ctl_queues_used(c);

	if (has >= uses || has >= c->queues_had)
		return 0;
	vhk_log(&c->log, VHK_LOG_ERROR,
		"the back end came back with %u queues, it had %u, of which %u are in use", has,
		c->queues_had, uses);
	return -EOPNOTSUPP;
}

static int setup_share(struct vhk_ctl_job *j)
{
	int ret = j->replay ? replay_queues(j->c) : 0;

	if (ret)
		return ret;
	j->c->n_shared = 0;
	j->step = setup_end;
	ret = vhk_ctl_share(j);
	return ret ? ret : vhk_ctl_job_sync(j);
}

static int setup_end(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;

	if (j->replay)
		return vhk_ctl_queue_replay(j);
	/*
	 * What is settled is what the driver's rings are made for: a reconnect has to find the
	 * same.
	 */
	c->want = c->must = c->ops->offer(c)->features;
	c->protocol = c->ops->offer(c)->protocol;
	c->slots_had = c->slots;
	c->queues_had = vhk_ctl_n_queues(c);
	c->was_setup = true;
	return 0;
}

int vhk_ctl_setup_async(struct vhk_ctl *c, uint64_t want, uint64_t must, struct vhk_mem *m,
			vhk_ctl_done_fn *done, void *arg)
{
	struct vhk_ctl_job j = { .step = setup_ask_features, .done = done, .arg = arg };

	if (!m)
		return -EINVAL;
	if (c->job || c->was_setup)
		return -EBUSY;
	c->want = want;
	c->must = must;
	c->mem = m;
	return vhk_ctl_job_start(c, &j);
}

int vhk_ctl_setup(struct vhk_ctl *c, uint64_t want, uint64_t must, struct vhk_mem *m)
{
	struct vhk_ctl_waiter w = { 0 };
	int ret;

	if (c->busy)
		return -EBUSY;
	ret = vhk_ctl_setup_async(c, want, must, m, vhk_ctl_waiter_done, &w);
	return ret ? ret : vhk_ctl_waiter_wait(c, &w);
}

static int reconnect_connect(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;

	c->ops->disconnect(c, -ENOTCONN);
	j->step = setup_ask_features;
	return c->ops->connect(c, true);
}

/* Half a replay is no connection to go on with. */
static void reconnect_undo(struct vhk_ctl_job *j)
{
	j->c->ops->disconnect(j->c, -ENOTCONN);
}

int vhk_ctl_reconnect_async(struct vhk_ctl *c, vhk_ctl_done_fn *done, void *arg)
{
	struct vhk_ctl_job j = { .step = reconnect_connect,
				 .undo = reconnect_undo,
				 .done = done,
				 .arg = arg,
				 .replay = true };

	if (!c->was_setup || c->job)
		return -EBUSY;
	j.protocol = c->protocol;
	return vhk_ctl_job_start(c, &j);
}

static int reconnect_once(struct vhk_ctl *c)
{
	struct vhk_ctl_waiter w = { 0 };
	int ret = vhk_ctl_reconnect_async(c, vhk_ctl_waiter_done, &w);

	return ret ? ret : vhk_ctl_waiter_wait(c, &w);
}

/*
 * The listening socket of a server that was killed may outlive it for a moment: it accepts, and
 * hangs up.
 */
int vhk_ctl_reconnect(struct vhk_ctl *c)
{
	uint64_t end = vhk_ctl_deadline(c, 0);
	int ret, pause_ms = 1;

	if (c->busy)
		return -EBUSY;
	for (;;) {
		ret = reconnect_once(c);
		if (ret != -ENOTCONN && ret != -ECONNREFUSED && ret != -ENOENT &&
		    ret != -ECONNRESET)
			return ret;
		if (vhk_now_ns() + (uint64_t)pause_ms * 1000000u >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, pause_ms);
		pause_ms = vhk_min(2 * pause_ms, 50);
	}
}
