// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the driver of /dev/vhost-scsi's device (virtio 1.3, 5.6),
 * through the library. The scenario has made a target; here is what it is called.
 */
#include "kern.h"

#include <linux/virtio_scsi.h>
#include <sys/stat.h>

#define URI "/dev/vhost-scsi"
#define WWPN "naa.5001405000000001"
#define TPGT 1u
#define FABRIC "/sys/kernel/config/target/vhost/" WWPN "/tpgt_1"
#define DISK "/sys/kernel/config/target/core/fileio_0/disk"
#define BACKING "/tmp/lun"
#define SECTORS 16384u /* of 512 bytes */
#define CONTROL 0
#define EVENTS 1
#define REQUESTS 2
#define N_EVENTS 8u
#define DATA_AT (1u << 20)
#define PIECE (128u << 10)
#define SEED 99u
#define HOTPLUG (1ull << VIRTIO_SCSI_F_HOTPLUG)
#define RING_BITS (VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX | HOTPLUG)

#define CHECK_CONDITION 2
#define ILLEGAL_REQUEST 5
#define NO_SUCH_COMMAND 0x20
#define OUT_OF_RANGE 0x21
#define NO_SUCH_UNIT 0x25

struct command {
	struct virtio_scsi_cmd_req req;
	struct virtio_scsi_cmd_resp resp;
};

static struct kern k;

static struct virtio_scsi_event *event_buf(unsigned int i)
{
	return (struct virtio_scsi_event *)(k.data + 65536) + i;
}

static void offer_event(struct virtio_scsi_event *e)
{
	const struct iovec seg = { e, sizeof(*e) };

	kern_add(&k, EVENTS, &seg, 0, 1, e);
	kern_publish(&k, EVENTS);
}

static void stop(void)
{
	T_EQ(vhk_ctl_scsi_clear_endpoint(k.ctl, WWPN, TPGT), 0);
	kern_close(&k);
}

static void lun_of(uint8_t *at, unsigned int target, unsigned int lun)
{
	const uint8_t eight[8] = { 1, (uint8_t)target, 0x40, (uint8_t)lun };

	memcpy(at, eight, 8);
}

/* One command, with data that is written or read in pieces: what came back. */
static const struct virtio_scsi_cmd_resp *ask_of(unsigned int target, unsigned int lun,
						 const uint8_t *cdb, uint32_t out, uint32_t in)
{
	struct command *c = (void *)k.data;
	const uint32_t len = out + in, half = len / 2;
	struct iovec seg[4];
	unsigned int n = 0;

	memset(c, 0, sizeof(*c));
	c->resp.response = 0xee;
	lun_of(c->req.lun, target, lun);
	c->req.tag = 7;
	memcpy(c->req.cdb, cdb, 16);
	seg[n++] = (struct iovec){ &c->req, sizeof(c->req) };
	if (in)
		seg[n++] = (struct iovec){ &c->resp, sizeof(c->resp) };
	if (half)
		seg[n++] = (struct iovec){ k.data + DATA_AT, half };
	if (len)
		seg[n++] = (struct iovec){ k.data + DATA_AT + half, len - half };
	if (!in)
		seg[n++] = (struct iovec){ &c->resp, sizeof(c->resp) };
	/* Of the response, no more than what was filled in counts as written. */
	T_OK(kern_do(&k, REQUESTS, seg, out ? n - 1 : 1, out ? 1 : n - 1) <= sizeof(c->resp) + in);
	return &c->resp;
}

static const struct virtio_scsi_cmd_resp *ask(const uint8_t *cdb, uint32_t out, uint32_t in)
{
	return ask_of(TPGT, 0, cdb, out, in);
}

static void good(const struct virtio_scsi_cmd_resp *r)
{
	T_EQ(r->response, VIRTIO_SCSI_S_OK);
	T_EQ(r->status, 0);
	T_EQ(r->resid, 0);
	T_MUST(!t_bad);
}

/* TEST UNIT READY, once more where the unit first tells of what happened to it before. */
static void ready(unsigned int lun)
{
	const uint8_t cdb[16] = { 0 };

	if (ask_of(TPGT, lun, cdb, 0, 0)->status)
		ask_of(TPGT, lun, cdb, 0, 0);
	good(ask_of(TPGT, lun, cdb, 0, 0));
}

static void start(void)
{
	unsigned int i;

	kern_open(&k, URI);
	kern_setup(&k, RING_BITS, 3, 128);
	kern_start(&k, 3);
	T_MUST(!vhk_ctl_scsi_set_endpoint(k.ctl, WWPN, TPGT));
	for (i = 0; i < N_EVENTS; i++)
		offer_event(event_buf(i));
	ready(0);
}

static void condition(const struct virtio_scsi_cmd_resp *r, unsigned int key, unsigned int code)
{
	T_EQ(r->response, VIRTIO_SCSI_S_OK);
	T_EQ(r->status, CHECK_CONDITION);
	T_OK(r->sense_len >= 14);
	T_EQ(r->sense[2] & 0xf, key);
	T_EQ(r->sense[12], code);
}

static void inquiry(void)
{
	const uint8_t cdb[16] = { 0x12, 0, 0, 0, 96 };
	const unsigned char *data = k.data + DATA_AT;

	start();
	good(ask(cdb, 0, 96));
	T_EQ(data[0], 0); /* a disk */
	T_OK(!memcmp(data + 8, "LIO-ORG ", 8));
	stop();
}

static void capacity(void)
{
	const uint8_t cdb[16] = { 0x25 }, want[8] = { 0, 0, 0x3f, 0xff, 0, 0, 2, 0 };

	start();
	good(ask(cdb, 0, 8));
	T_OK(!memcmp(k.data + DATA_AT, want, 8));
	stop();
}

/* READ(10) and WRITE(10). */
static void move(uint8_t *cdb, uint8_t op, uint32_t sector, uint32_t n)
{
	const uint8_t made[16] = { op, 0, (uint8_t)(sector >> 24), (uint8_t)(sector >> 16),
				   (uint8_t)(sector >> 8), (uint8_t)sector, 0, (uint8_t)(n >> 8),
				   (uint8_t)n };

	memcpy(cdb, made, 16);
}

static bool file_has(uint32_t at, uint32_t len)
{
	static unsigned char buf[PIECE];
	const int fd = open(BACKING, O_RDONLY | O_CLOEXEC);
	const bool same = fd >= 0 && pread(fd, buf, len, at) == (ssize_t)len &&
			  kern_same(buf, at, len, SEED);

	close(fd);
	return same;
}

static void writes_and_reads(void)
{
	uint32_t at;
	uint8_t cdb[16];

	start();
	for (at = 0; at < SECTORS * 512; at += PIECE) {
		kern_fill(k.data + DATA_AT, at, PIECE, SEED);
		move(cdb, 0x2a, at / 512, PIECE / 512);
		good(ask(cdb, PIECE, 0));
		T_MUST(file_has(at, PIECE));
	}
	for (at = 0; at < SECTORS * 512; at += PIECE) {
		memset(k.data + DATA_AT, 0, PIECE);
		move(cdb, 0x28, at / 512, PIECE / 512);
		good(ask(cdb, 0, PIECE));
		T_MUST(kern_same(k.data + DATA_AT, at, PIECE, SEED));
	}
	stop();
}

static void refused_commands(void)
{
	const uint8_t unknown[16] = { 0xc5 }, test[16] = { 0 };
	uint8_t cdb[16];

	start();
	move(cdb, 0x28, SECTORS, 1);
	condition(ask(cdb, 0, 512), ILLEGAL_REQUEST, OUT_OF_RANGE);
	condition(ask(unknown, 0, 0), ILLEGAL_REQUEST, NO_SUCH_COMMAND);
	T_EQ(ask_of(TPGT + 1, 0, test, 0, 0)->response, VIRTIO_SCSI_S_BAD_TARGET);
	condition(ask_of(TPGT, 5, test, 0, 0), ILLEGAL_REQUEST, NO_SUCH_UNIT);
	ready(0);
	stop();
}

static unsigned int manage(uint32_t subtype, unsigned int lun)
{
	struct virtio_scsi_ctrl_tmf_req *req = (void *)k.data;
	struct virtio_scsi_ctrl_tmf_resp *resp = (void *)(req + 1);
	const struct iovec seg[2] = { { req, sizeof(*req) }, { resp, sizeof(*resp) } };

	*req = (struct virtio_scsi_ctrl_tmf_req){ VIRTIO_SCSI_T_TMF, subtype, { 0 }, 0 };
	lun_of(req->lun, TPGT, lun);
	resp->response = 0xee;
	kern_do(&k, CONTROL, seg, 1, 1);
	return resp->response;
}

static void manages_units(void)
{
	start();
	T_EQ(manage(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0), VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
	T_EQ(manage(VIRTIO_SCSI_T_TMF_QUERY_TASK, 0), VIRTIO_SCSI_S_FUNCTION_REJECTED);
	T_EQ(manage(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 5), VIRTIO_SCSI_S_FUNCTION_REJECTED);
	ready(0);
	stop();
}

static void stops_and_goes_on(void)
{
	unsigned int round, i;

	start();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++)
			T_EQ(vhk_ctl_stop(k.ctl, i, NULL), 0);
		kern_start(&k, 3);
		T_EQ(vhk_ctl_scsi_set_endpoint(k.ctl, WWPN, TPGT), 0);
		ready(0);
	}
	stop();
}

/* The next event: its kind and, in *reason, why. 0: none came. */
static uint32_t next_event(uint32_t *reason, int64_t ns)
{
	struct vhk_done done;
	const struct virtio_scsi_event *e;
	uint32_t event;

	if (!kern_get(&k, EVENTS, &done, ns))
		return 0;
	e = done.token;
	event = e->event;
	*reason = e->reason;
	T_EQ(e->lun[1], TPGT);
	T_EQ(e->lun[3], 1);
	offer_event(done.token);
	return event;
}

static void lun_1(bool there)
{
	if (there) {
		T_MUST(!mkdir(FABRIC "/lun/lun_1", 0755));
		T_MUST(!symlink(DISK, FABRIC "/lun/lun_1/disk"));
	} else {
		T_MUST(!unlink(FABRIC "/lun/lun_1/disk"));
		T_MUST(!rmdir(FABRIC "/lun/lun_1"));
	}
}

/* Units come and go while the device is open. */
static void units_come_and_go(void)
{
	const uint8_t test[16] = { 0 };
	uint32_t reason = 0;

	start();
	lun_1(true);
	T_EQ(next_event(&reason, WAIT), VIRTIO_SCSI_T_TRANSPORT_RESET);
	T_EQ(reason, VIRTIO_SCSI_EVT_RESET_RESCAN);
	ready(1);
	lun_1(false);
	T_EQ(next_event(&reason, WAIT), VIRTIO_SCSI_T_TRANSPORT_RESET);
	T_EQ(reason, VIRTIO_SCSI_EVT_RESET_REMOVED);
	condition(ask_of(TPGT, 1, test, 0, 0), ILLEGAL_REQUEST, NO_SUCH_UNIT);
	ready(0);
	stop();
}

static bool reads_as_written(void)
{
	uint8_t cdb[16];

	memset(k.data + DATA_AT, 0, PIECE);
	move(cdb, 0x28, 0, PIECE / 512);
	ask(cdb, 0, PIECE);
	return kern_same(k.data + DATA_AT, 0, PIECE, SEED);
}

/* The device is opened and set up anew: its queues begin anew, and it gets its target once more. */
static void opened_anew(void)
{
	unsigned int round, i;

	start();
	for (round = 0; round < 3; round++) {
		T_OK(reads_as_written());
		for (i = 0; i < 3; i++)
			vhk_vq_reset(k.vq[i], NULL, NULL);
		T_EQ(vhk_ctl_reconnect(k.ctl), 0);
		T_EQ(vhk_ctl_scsi_set_endpoint(k.ctl, WWPN, TPGT), 0);
		T_MUST(!t_bad);
		ready(0);
	}
	T_OK(reads_as_written());
	stop();
}

/* What the endpoint stands on cannot be taken away while it is there; the unit can. */
static void target_stays(void)
{
	start();
	T_OK(rmdir(FABRIC) && (errno == EBUSY || errno == ENOTEMPTY));
	T_OK(reads_as_written());
	T_MUST(!unlink(FABRIC "/lun/lun_0/disk"));
	T_OK(!reads_as_written());
	T_MUST(!symlink(DISK, FABRIC "/lun/lun_0/disk"));
	ready(0);
	T_OK(reads_as_written());
	stop();
}

int main(void)
{
	T_RUN(capacity);
	T_RUN(inquiry);
	T_RUN(writes_and_reads);
	T_RUN(refused_commands);
	T_RUN(manages_units);
	T_RUN(stops_and_goes_on);
	T_RUN(units_come_and_go);
	T_RUN(opened_anew);
	T_RUN(target_stays);
	return t_end();
}
