// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Each request that the kernel can make of a VDUSE device: accepted, refused, and what follows; its
 * memory, kicks and interrupts. Both layouts of the ring.
 */
#include <limits.h>

#include "t_vduse.h"

static const uint64_t layouts[] = {
	VHK_F_VERSION_1,
	VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED,
};

static void begin(struct served *s, uint64_t features)
{
	k_init();
	served_init(s, features);
	k.api = 1;
	k.extras = 3;
	T_EQ(served_open(s), 0);
}

static void end(struct served *s)
{
	vhk_vduse_close(s->v);
	served_fini(s);
	k_fini();
	unlink(s->log);
}

static void in_each_layout(void (*fn)(struct served *s))
{
	const int fds = t_count_fds();
	struct served s;
	unsigned int i;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&s, layouts[i]);
		fn(&s);
		end(&s);
	}
	T_EQ(t_count_fds(), fds);
}

static int ask(struct served *s, uint32_t type, uint32_t a, uint32_t b,
	       struct vduse_dev_response *resp)
{
	struct vduse_dev_request req = { .type = type, .padding = { a, b } };

	return k_ask(s->ctl, &req, resp);
}

static int iotlb(struct served *s, uint64_t start, uint64_t last)
{
	struct vduse_dev_request req = { .type = VDUSE_UPDATE_IOTLB, .iova = { start, last } };
	struct vduse_dev_response resp;

	return k_ask(s->ctl, &req, &resp);
}

static void echo_some(struct served *s, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		served_send(s, (unsigned char)i);
	T_EQ(served_take(s, n), n);
}

static uint32_t slots(const struct served *s, uint32_t n)
{
	return s->drv.features & VHK_F_RING_PACKED ? 2 * n : n;
}

static void refusals(struct served *s)
{
	struct vduse_dev_response resp;

	T_EQ(ask(s, 6, 0, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(s, UINT32_MAX, 0, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(s, VDUSE_GET_VQ_STATE, K_QUEUES, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(iotlb(s, 5, 4), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(s, VHK_VDUSE_SET_GROUP_ASID, 0, 0, &resp), 0);
	T_EQ(ask(s, VHK_VDUSE_SET_GROUP_ASID, 1, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(s, VHK_VDUSE_SET_GROUP_ASID, 0, 1, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(s, VHK_VDUSE_SET_QUEUE_READY, K_QUEUES, 1, &resp), VDUSE_REQ_RESULT_FAILED);
	k.features |= 1ull << 50;
	T_EQ(k_status(s->ctl, K_FEATURES_OK), VDUSE_REQ_RESULT_FAILED);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), VDUSE_REQ_RESULT_FAILED);
	k.features &= ~(1ull << 50);
	T_EQ(s->state, VHK_VDUSE_IDLE);
	served_up(s);
	T_EQ(s->state, VHK_VDUSE_UP);
	echo_some(s, 5);
}

static void requests_are_refused_and_the_device_goes_on(void)
{
	in_each_layout(refusals);
}

static void requests_that_were_not_agreed_on_fail(void)
{
	struct vduse_dev_response resp;
	struct served s;

	k_init();
	served_init(&s, VHK_F_VERSION_1);
	T_EQ(served_open(&s), 0);
	T_EQ(ask(&s, VHK_VDUSE_SET_GROUP_ASID, 0, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(&s, VHK_VDUSE_SET_QUEUE_READY, 0, 1, &resp), VDUSE_REQ_RESULT_FAILED);
	T_EQ(ask(&s, VHK_VDUSE_SUSPEND, 0, 0, &resp), VDUSE_REQ_RESULT_FAILED);
	end(&s);
}

/* The kernel notes DRIVER_OK behind the answer, and drops interrupts until then. */
static void no_interrupt_is_lost(struct served *s)
{
	struct vduse_dev_request req = { .type = VDUSE_SET_STATUS, .s.status = K_DRIVER_OK };
	struct vduse_dev_response resp;
	int i;

	k_share(s->drv.mem, 0);
	k_ready(&s->drv, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(vhk_vq_add(s->drv.vq, &(struct iovec){ s->drv.buf, ECHO_BUF }, 0, 1, s->drv.buf), 0);
	vhk_vq_publish(s->drv.vq);
	T_EQ(k_ask(s->ctl, &req, &resp), 0);
	for (i = 0; i < 50; i++)
		vhk_loop_step(s->ctl, 200000);
	T_EQ(s->echo.starts, 0);
	T_EQ(k.irqs, 0);
	k.driver_ok = true;
	for (i = 0; i < 10000 && k.irqs < 2; i++)
		vhk_loop_step(s->ctl, 1000000);
	T_EQ(s->echo.starts, 1);
	T_OK(k.irqs >= 2);
}

static void queues_start_when_interrupts_pass(void)
{
	in_each_layout(no_interrupt_is_lost);
}

static void positions(struct served *s)
{
	struct vduse_dev_response resp;
	const bool packed = s->drv.features & VHK_F_RING_PACKED;
	unsigned int round;

	served_up(s);
	for (round = 1; round <= 3; round++) {
		echo_some(s, 10);
		T_EQ(ask(s, VDUSE_GET_VQ_STATE, 0, 0, &resp), 0);
		T_EQ(resp.vq_state.index, 0);
		if (packed) {
			T_EQ(resp.vq_state.packed.last_avail_idx, slots(s, 10 * round));
			T_EQ(resp.vq_state.packed.last_used_idx, slots(s, 10 * round));
			T_EQ(resp.vq_state.packed.last_avail_counter, 1);
			T_EQ(resp.vq_state.packed.last_used_counter, 1);
		} else {
			T_EQ(resp.vq_state.split.avail_index, 10 * round);
		}
	}
	/* one that never started is where the driver put it */
	k.vq[1].packed.last_used_idx = 7;
	k.vq[1].split.avail_index = 1;
	T_EQ(ask(s, VDUSE_GET_VQ_STATE, 1, 0, &resp), 0);
	T_EQ(resp.vq_state.split.avail_index, 1);
	T_EQ(resp.vq_state.packed.last_used_idx, packed ? 7 : 0);
}

static void a_position_is_told_and_the_queue_goes_on(void)
{
	in_each_layout(positions);
}

static void suspend(struct served *s)
{
	struct vduse_dev_response resp;

	served_up(s);
	echo_some(s, 3);
	T_EQ(ask(s, VHK_VDUSE_SUSPEND, 0, 0, &resp), 0);
	T_EQ(s->echo.stops, 1);
	served_send(s, 1);
	T_EQ(ask(s, VDUSE_GET_VQ_STATE, 0, 0, &resp), 0);
	T_EQ(resp.vq_state.split.avail_index, s->drv.features & VHK_F_RING_PACKED ? 1 : 3);
	T_EQ(driver_take(&s->drv), 0);
	T_EQ(s->echo.starts, 1);
}

static void a_suspended_device_stands_still(void)
{
	in_each_layout(suspend);
}

/* A reset waits for what is in hand; the next driver finds everything new. */
static void reset(struct served *s)
{
	struct vduse_dev_request req = { .type = VDUSE_SET_STATUS };
	struct vduse_dev_response resp;
	unsigned int i;

	served_up(s);
	s->echo.hold[0] = true;
	for (i = 0; i < 4; i++)
		served_send(s, 1);
	served_until_held(s, 4);
	k_send(&req);
	for (i = 0; i < 50; i++)
		vhk_loop_step(s->ctl, 100000);
	T_OK(!t_readable(k.sock[0], 0));
	echo_let_go(&s->echo, 0);
	T_EQ(k_answer(s->ctl, &resp), 0);
	T_EQ(driver_take(&s->drv), 4);
	T_EQ(s->state, VHK_VDUSE_IDLE);
	T_EQ(k.kick[0], -1);
	k.driver_ok = false;
	s->echo.hold[0] = false;
	vhk_vq_free(s->drv.vq);
	vhk_mem_free(s->drv.mem);
	k_drop_regions();
	driver_init(&s->drv, s->drv.features);
	close(s->drv.kick);
	s->drv.kick = -1;
	served_up(s);
	echo_some(s, 6);
}

static void a_reset_waits_and_forgets(void)
{
	struct served s;
	unsigned int i;

	/* driver_init() above leaves the former eventfds: no count of descriptors here */
	for (i = 0; i < vhk_array_size(layouts); i++) {
		int call, err;

		begin(&s, layouts[i]);
		call = s.drv.call;
		err = s.drv.err;
		reset(&s);
		close(call);
		close(err);
		end(&s);
	}
}

/* Nothing says that memory came: it is looked for when a queue meets it. */
static void misses(struct served *s)
{
	k_share(s->drv.mem, 1);
	k_ready(&s->drv, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
	k_share(s->drv.mem, 0);
	echo_some(s, 8);
}

static void memory_is_mapped_when_it_is_met(void)
{
	in_each_layout(misses);
}

/* The same where the kernel has none: the chain comes with nothing behind its segments. */
static void nowhere(struct served *s)
{
	struct vhk_done done;
	const uint64_t until = t_now_ns() + 10000000000u;

	k_share(s->drv.mem, 1);
	k_ready(&s->drv, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
	served_send(s, 1);
	while (vhk_vq_get(s->drv.vq, &done, 1) != 1 && t_now_ns() < until)
		vhk_loop_step(s->ctl, 1000000);
	T_EQ(done.written, 0);
	k_share(s->drv.mem, 0);
	echo_some(s, 8);
}

static void memory_that_is_nowhere_is_an_error_of_one_chain(void)
{
	in_each_layout(nowhere);
}

/* An update is answered when no chain uses what went. */
static void update(struct served *s)
{
	struct vduse_dev_request req = { .type = VDUSE_UPDATE_IOTLB, .iova = { 0, UINT64_MAX } };
	struct vduse_dev_response resp;
	unsigned int i, asked;

	served_up(s);
	s->echo.hold[0] = true;
	served_send(s, 1);
	served_until_held(s, 1);
	asked = k.asked;
	k_send(&req);
	for (i = 0; i < 50; i++)
		vhk_loop_step(s->ctl, 100000);
	T_OK(!t_readable(k.sock[0], 0));
	s->echo.hold[0] = false;
	echo_let_go(&s->echo, 0);
	T_EQ(k_answer(s->ctl, &resp), 0);
	T_OK(k.asked > asked);
	T_EQ(served_take(s, 1), 1);
	echo_some(s, 8);
	/* of a range where nothing is */
	T_EQ(iotlb(s, 1ull << 40, 1ull << 41), 0);
	echo_some(s, 8);
}

static void an_update_waits_for_chains(void)
{
	in_each_layout(update);
}

/* A queue whose own memory goes stops; the device answers on. */
static void ring_lost(struct served *s)
{
	served_up(s);
	echo_some(s, 2);
	k_drop_regions();
	T_EQ(iotlb(s, 0, UINT64_MAX), 0);
	T_EQ(k_status(s->ctl, 0), 0);
	k_share(s->drv.mem, 0);
	T_EQ(s->echo.stops, 1);
}

static void a_queue_without_memory_stops(void)
{
	in_each_layout(ring_lost);
}

/* Nonsense about regions maps nothing; what is read-only is not written. */
static void regions_are_checked(void)
{
	static const struct {
		uint64_t start, last, offset;
	} bad[] = {
		{ 5000, 4000, 0 },
		{ 0, UINT64_MAX, 0 },
		{ 0, 1ull << 63, 0 },
		{ 0, 1 << 20, UINT64_MAX - 5 },
	};
	struct served s;
	unsigned int i;

	for (i = 0; i < vhk_array_size(bad); i++) {
		begin(&s, VHK_F_VERSION_1);
		k_share(s.drv.mem, 0);
		k_ready(&s.drv, 0);
		k.region[0].e.start = bad[i].start;
		k.region[0].e.last = bad[i].last;
		k.region[0].e.offset = bad[i].offset;
		k_status(s.ctl, K_FEATURES_OK);
		k_status(s.ctl, K_DRIVER_OK);
		T_EQ(k_status(s.ctl, 0), 0);
		T_EQ(s.echo.starts, s.echo.stops);
		end(&s);
	}
}

static void read_only_memory_stays_as_it_is(void)
{
	const uint64_t until = t_now_ns() + 10000000000u;
	struct vhk_done done;
	struct served s;

	begin(&s, VHK_F_VERSION_1);
	k_share(s.drv.mem, 0);
	k.region[0].e.perm = VDUSE_ACCESS_RO;
	k_ready(&s.drv, 0);
	T_EQ(k_status(s.ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s.ctl, K_DRIVER_OK), 0);
	served_send(&s, 3);
	while (vhk_vq_get(s.drv.vq, &done, 1) != 1 && t_now_ns() < until)
		vhk_loop_step(s.ctl, 1000000);
	T_EQ(s.drv.buf[0], 3);
	T_EQ(s.drv.buf[ECHO_BUF], (unsigned char)~3);
	end(&s);
}

/* More regions than a table takes: what is needed finds room. */
static void a_full_table_makes_room(void)
{
	struct served s;
	void *va;
	unsigned int i;
	int fd;

	begin(&s, VHK_F_VERSION_1);
	fd = vhk_map_memfd(&va, "many", 4096);
	T_MUST(fd >= 0);
	k_ready(&s.drv, 0);
	k_share(s.drv.mem, 1);
	for (i = 0; i < VHK_MEM_SLOTS_MAX + 20; i++)
		k.region[k.n_regions++] = (struct kernel_region){
			.e = { .start = (1ull << 32) + i * 8192ull,
			       .last = (1ull << 32) + i * 8192ull + 4095,
			       .perm = VDUSE_ACCESS_RW },
			.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
		};
	T_EQ(k_status(s.ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s.ctl, K_DRIVER_OK), 0);
	k_share(s.drv.mem, 0);
	echo_some(&s, 8);
	vhk_unmap(va, 4096);
	close(fd);
	end(&s);
}

/* Queues become ready late: by a request of newer kernels, or by nothing but a kick. */
static void ready_late(struct served *s)
{
	struct vduse_dev_response resp;

	k_share(s->drv.mem, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
	served_kick(s, 0);
	T_EQ(s->echo.starts, 0);
	k_ready(&s->drv, 0);
	served_kick(s, 0);
	echo_some(s, 8);
	T_EQ(s->echo.starts, 1);
	T_EQ(ask(s, VHK_VDUSE_SET_QUEUE_READY, 0, 0, &resp), 0);
	T_EQ(s->echo.stops, 1);
	/* an inflight region that was used goes on from the used index */
	T_EQ(ask(s, VHK_VDUSE_SET_QUEUE_READY, 0, 1, &resp), 0);
	echo_some(s, 8);
	T_EQ(s->echo.starts, 2);
}

static void a_queue_that_is_ready_late_starts_late(void)
{
	in_each_layout(ready_late);
}

static void broken_infos(void)
{
	static const struct {
		uint32_t num;
		uint64_t desc, driver, device;
	} add[] = {
		{ 1, 0, 0, 0 },		 { ECHO_SIZE, 0, 0, 0 },  { (uint32_t)-ECHO_SIZE, 0, 0, 0 },
		{ 0, 8, 0, 0 },		 { 0, 0, 1, 0 },	  { 0, 0, 0, 2 },
		{ 0, 1ull << 40, 0, 0 }, { 0, 0, 1ull << 40, 0 }, { 0, 0, 0, 1ull << 40 },
	};
	struct served s;
	unsigned int i, n;

	for (i = 0; i < vhk_array_size(add); i++) {
		begin(&s, VHK_F_VERSION_1);
		k_share(s.drv.mem, 0);
		k_ready(&s.drv, 0);
		k.vq[0].num += add[i].num;
		k.vq[0].desc_addr += add[i].desc;
		k.vq[0].driver_addr += add[i].driver;
		k.vq[0].device_addr += add[i].device;
		T_EQ(k_status(s.ctl, K_FEATURES_OK), 0);
		T_EQ(k_status(s.ctl, K_DRIVER_OK), 0);
		for (n = 0; n < 20; n++)
			vhk_loop_step(s.ctl, 200000);
		T_EQ(s.echo.starts, 0);
		T_EQ(k_status(s.ctl, 0), 0);
		end(&s);
	}
}

static void the_kernel_gives_the_device_up(void)
{
	struct served s;
	int i;

	begin(&s, VHK_F_VERSION_1);
	served_up(&s);
	echo_some(&s, 3);
	shutdown(k.sock[0], SHUT_RDWR);
	for (i = 0; i < 10000 && s.state != VHK_VDUSE_BROKEN; i++)
		vhk_loop_step(s.ctl, 1000000);
	T_EQ(s.state, VHK_VDUSE_BROKEN);
	T_EQ(vhk_loop_step(s.ctl, 0), 0);
	end(&s);
}

/* A close between a request and its answer, with requests in hand: they are waited for. */
static void closing_waits(struct served *s)
{
	struct vduse_dev_request req = { .type = VDUSE_SET_STATUS };
	unsigned int i;

	served_up(s);
	s->echo.hold[0] = true;
	served_send(s, 1);
	served_until_held(s, 1);
	k_send(&req);
	for (i = 0; i < 20; i++)
		vhk_loop_step(s->ctl, 100000);
	s->echo.hold[0] = false;
	echo_let_go(&s->echo, 0);
	T_EQ(vhk_vduse_destroy(s->v), 0);
	s->v = NULL;
	T_EQ(driver_take(&s->drv), 1);
}

static void a_close_waits_for_what_is_under_way(void)
{
	in_each_layout(closing_waits);
}

/* A kick of a queue that is not ready begins nothing in a device that ends. */
static void late_kick(struct served *s)
{
	unsigned int i, irqs;

	served_up(s);
	echo_some(s, 1);
	served_kick(s, 1);
	k_ready(&s->drv, 1);
	irqs = k.irqs;
	vhk_vduse_close(s->v);
	s->v = NULL;
	for (i = 0; i < 20; i++)
		vhk_loop_step(s->ctl, 200000);
	T_EQ(k.irqs, irqs);
	T_EQ(s->echo.starts, 1);
}

static void a_kick_at_the_close_begins_nothing(void)
{
	in_each_layout(late_kick);
}

static void a_kick_of_a_broken_device_begins_nothing(void)
{
	struct served s;
	unsigned int i, irqs;

	begin(&s, VHK_F_VERSION_1);
	served_up(&s);
	echo_some(&s, 1);
	shutdown(k.sock[0], SHUT_RDWR);
	for (i = 0; i < 10000 && s.state != VHK_VDUSE_BROKEN; i++)
		vhk_loop_step(s.ctl, 1000000);
	T_EQ(s.state, VHK_VDUSE_BROKEN);
	k_ready(&s.drv, 1);
	irqs = k.irqs;
	served_kick(&s, 1);
	for (i = 0; i < 20; i++)
		vhk_loop_step(s.ctl, 200000);
	T_EQ(k.irqs, irqs);
	T_EQ(s.echo.starts, 1);
	end(&s);
}

/* What the device needs is another's for a while: its queue starts when it is not any more. */
static void needs(struct served *s)
{
	const uint64_t until = t_now_ns() + 10000000000u;

	s->echo.begins_refused = 6;
	served_up(s);
	while (!s->echo.starts && t_now_ns() < until)
		vhk_loop_step(s->ctl, 1000000);
	T_EQ(s->echo.begins, 7);
	T_EQ(s->echo.starts, 1);
	echo_some(s, 8);
}

static void a_queue_that_is_refused_starts_later(void)
{
	in_each_layout(needs);
}

/* One that stays refused is closed, and is asked for at a pace that sinks. */
static void needs_for_ever(struct served *s)
{
	const uint64_t from = t_now_ns();
	uint64_t took;

	s->echo.begins_refused = UINT_MAX;
	served_up(s);
	while (s->echo.begins < 9 && t_now_ns() - from < 10000000000u)
		vhk_loop_step(s->ctl, 1000000);
	took = t_now_ns() - from;
	T_EQ(s->echo.begins, 9);
	T_OK(took > 20000000);
	T_EQ(s->echo.starts, 0);
	T_EQ(k_status(s->ctl, 0), 0);
}

static void a_queue_that_stays_refused_costs_little(void)
{
	in_each_layout(needs_for_ever);
}

int main(void)
{
	T_RUN(requests_are_refused_and_the_device_goes_on);
	T_RUN(requests_that_were_not_agreed_on_fail);
	T_RUN(queues_start_when_interrupts_pass);
	T_RUN(a_position_is_told_and_the_queue_goes_on);
	T_RUN(a_suspended_device_stands_still);
	T_RUN(a_reset_waits_and_forgets);
	T_RUN(memory_is_mapped_when_it_is_met);
	T_RUN(memory_that_is_nowhere_is_an_error_of_one_chain);
	T_RUN(an_update_waits_for_chains);
	T_RUN(a_queue_without_memory_stops);
	T_RUN(regions_are_checked);
	T_RUN(read_only_memory_stays_as_it_is);
	T_RUN(a_full_table_makes_room);
	T_RUN(a_queue_that_is_ready_late_starts_late);
	T_RUN(broken_infos);
	T_RUN(the_kernel_gives_the_device_up);
	T_RUN(a_close_waits_for_what_is_under_way);
	T_RUN(a_kick_at_the_close_begins_nothing);
	T_RUN(a_kick_of_a_broken_device_begins_nothing);
	T_RUN(a_queue_that_is_refused_starts_later);
	T_RUN(a_queue_that_stays_refused_costs_little);
	return t_end();
}
