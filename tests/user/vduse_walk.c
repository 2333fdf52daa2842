// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A kernel that asks in any order, with any numbers, one request or several at once, while memory
 * and queues change as they like: each request gets one answer, and after a reset the device
 * serves.
 *
 * VHK_WALK: how many requests, of each of both APIs.
 */
#include <limits.h>

#include "t_vduse.h"

#define BURST 4u
#define REQUESTS 40000u

static uint64_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static uint64_t any_address(void)
{
	static const uint64_t some[] = { 0, 1, 4095, 4096, 1ull << 32, 1ull << 63, UINT64_MAX - 1,
					 UINT64_MAX };

	return any(3) ? some[any(vhk_array_size(some))] : (uint64_t)any(1u << 30) << 12;
}

static uint32_t any_index(void)
{
	return any(8) ? any(K_QUEUES + 1) : UINT32_MAX - any(2);
}

static void any_request(struct vduse_dev_request *r)
{
	static const uint8_t status[] = { 0, 1, 3, K_FEATURES_OK, K_DRIVER_OK, 0x80, 0xff, 4 };

	memset(r, 0, sizeof(*r));
	r->type = any(20) ? any(VHK_VDUSE_SUSPEND + 1) : any(2) ? 99 : UINT32_MAX;
	switch (r->type) {
	case VDUSE_GET_VQ_STATE:
		r->vq_state.index = any_index();
		break;
	case VDUSE_SET_STATUS:
		r->s.status = status[any(sizeof(status))];
		break;
	case VDUSE_UPDATE_IOTLB:
		r->iova.start = any_address();
		r->iova.last = any_address();
		r->padding[VHK_VDUSE_IOTLB_ASID] = any(3);
		break;
	default:
		r->padding[0] = any_index();
		r->padding[1] = any(3);
		break;
	}
}

/* Queues and memory as any driver, or a mad one, leaves them. */
static void any_change(struct served *s)
{
	const unsigned int i = any(K_QUEUES);
	const uint64_t one = 1;

	switch (any(6)) {
	case 0:
		k_ready(&s->drv, i);
		break;
	case 1:
		k.vq[i] = (struct vduse_vq_info){ .num = any(70000), .ready = 1 };
		k.vq[i].desc_addr = any_address();
		k.vq[i].driver_addr = any_address();
		k.vq[i].device_addr = any_address();
		break;
	case 2:
		k.vq[i].ready = 0;
		break;
	case 3:
		k_drop_regions();
		break;
	case 4:
		k_drop_regions();
		k_share(s->drv.mem, 0);
		break;
	default:
		if (k.kick[i] >= 0)
			T_EQ(write(k.kick[i], &one, sizeof(one)), sizeof(one));
		break;
	}
}

/* Sends @n requests; each is answered once. */
static void ask_any(struct served *s, unsigned int n)
{
	const uint64_t end = t_now_ns() + 20000000000u;
	const uint32_t first = k.next_id;
	struct vduse_dev_request r[BURST];
	struct vduse_dev_response a;
	unsigned int i, got = 0, seen = 0;

	for (i = 0; i < n; i++) {
		any_request(&r[i]);
		k_send(&r[i]);
	}
	while (got < n && t_now_ns() < end) {
		vhk_loop_step(s->ctl, t_readable(k.sock[0], 0) ? 0 : 1000000);
		if (recv(k.sock[0], &a, sizeof(a), MSG_DONTWAIT) != sizeof(a))
			continue;
		i = a.request_id - first;
		T_MUST(i < n && !(seen >> i & 1));
		T_OK(a.result == VDUSE_REQ_RESULT_OK || a.result == VDUSE_REQ_RESULT_FAILED);
		seen |= 1u << i;
		got++;
		if (r[i].type == VDUSE_SET_STATUS && a.result == VDUSE_REQ_RESULT_OK)
			k.driver_ok = r[i].s.status & VIRTIO_CONFIG_S_DRIVER_OK;
	}
	if (got != n)
		printf("# request %u is not answered\n", r[0].type);
	T_MUST(got == n);
}

static void walk(uint64_t api)
{
	const char *more = getenv("VHK_WALK");
	unsigned long n = more ? strtoul(more, NULL, 10) : REQUESTS;
	struct vduse_dev_request all = { .type = VDUSE_UPDATE_IOTLB,
					 .iova = { .last = UINT64_MAX } };
	struct vduse_dev_response a;
	struct served s;
	unsigned int i;

	k_init();
	k.api = api;
	k.extras = VHK_VDUSE_F_QUEUE_READY | VHK_VDUSE_F_SUSPEND;
	served_init(&s, VHK_F_VERSION_1);
	T_MUST(!served_open(&s));
	while (n) {
		i = 1 + any(n < BURST ? (uint32_t)n : BURST);
		i = i > n ? (unsigned int)n : i;
		any_change(&s);
		ask_any(&s, i);
		n -= i;
	}
	/* A new driver. */
	T_EQ(k_status(s.ctl, 0), 0);
	memset(k.vq, 0, sizeof(k.vq));
	k_drop_regions();
	T_EQ(k_ask(s.ctl, &all, &a), 0);
	vhk_vq_reset(s.drv.vq, NULL, NULL);
	served_up(&s);
	if (api && (k.set_extras & VHK_VDUSE_F_QUEUE_READY)) {
		struct vduse_dev_request on = { .type = VHK_VDUSE_SET_QUEUE_READY };

		on.padding[VHK_VDUSE_READY_ON] = 1;
		T_EQ(k_ask(s.ctl, &on, &a), 0);
	}
	for (i = 0; i < 20; i++) {
		served_send(&s, (unsigned char)i);
		T_EQ(served_take(&s, 1), 1);
	}
	vhk_vduse_close(s.v);
	served_fini(&s);
	k_fini();
	unlink(s.log);
}

static void the_first_api(void)
{
	seed = 1;
	walk(0);
}

static void the_second_api(void)
{
	seed = 2;
	walk(1);
}

int main(void)
{
	T_RUN(the_first_api);
	T_RUN(the_second_api);
	return t_end();
}
