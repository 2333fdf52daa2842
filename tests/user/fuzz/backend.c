// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end that sends any messages with any fds to a whole back end: sessions, device and rings.
 * The input is a byte of flags, then records. A record is a byte that picks what is done, and what
 * that takes: a message with a payload from the input, patched so that addresses are often right;
 * bytes written into guest memory; a kick; a hang-up. What must hold: no sanitizer speaks, whoever
 * asks for an answer with REPLY_ACK gets one unless the session ended, and no fd stays open.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vhostkit/backend.h>
#include <vhostkit/device_ask.h>

#include "base.h"
#include "proto.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEM_SIZE 0x10000u
#define UVA 0x7f0000000000ull
#define GPA 0x100000ull
#define QUEUES 3
#define QUEUE_SIZE 64
#define PARTS 0x1000u /* from one part of a ring to the next */

/* What any message may carry. */
enum { FD_MEM, FD_EVENT, FD_SOCKET, FD_SHORT, FD_INFLIGHT, FD_KINDS };

struct input {
	const uint8_t *at;
	size_t left;
};

struct fuzz {
	struct vhk_loop *loop;
	struct vhk_device *dev;
	struct vhk_backend *be;
	int peer;
	int fd[FD_KINDS];
	int channel; /* the other end of FD_SOCKET */
	uint8_t *mem;
	bool acks; /* REPLY_ACK is settled for sure */
};

/* Made once: a loop is slow to take down, since the kernel waits for its AIO context. */
static struct vhk_loop *loop;
static int mem_fd;
static uint8_t *mem;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static void take_bytes(struct input *in, void *to, size_t n)
{
	size_t have = vhk_min(n, in->left);

	memset(to, 0, n);
	if (have)
		memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}

static void work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	unsigned int i, k;

	(void)priv;
	for (i = 0; i < n; i++) {
		for (k = c[i]->n_out; k < (unsigned int)c[i]->n_out + c[i]->n_in; k++)
			if (c[i]->seg[k].iov_base)
				memset(c[i]->seg[k].iov_base, 0xaa, c[i]->seg[k].iov_len);
		if (c[i]->flags & VHK_CHAIN_F_FAULT && c[i]->in_len % 2)
			vhk_queue_fail(q);
		vhk_queue_done(q, c[i], c[i]->in_len);
	}
}

static int config(void *priv, uint32_t off, void *buf, uint32_t len)
{
	(void)priv;
	(void)off;
	memset(buf, 0x11, len);
	return 0;
}

static int set_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	const uint8_t *b = buf;

	(void)priv;
	return off + len > 30 || b[len - 1] > 0x80 ? -EINVAL : 0;
}

/* Operations of device types: some refuse some things. */
static int on_mac(void *priv, const uint8_t mac[6])
{
	(void)priv;
	return mac[0] & 1 ? -EINVAL : 0;
}

static int on_mtu(void *priv, uint16_t mtu)
{
	(void)priv;
	return mtu & 1 ? -EINVAL : 0;
}

static int on_endian(void *priv, unsigned int queue, bool big)
{
	(void)priv;
	must(queue < QUEUES);
	return big ? -EOPNOTSUPP : 0;
}

static int on_crypto(void *priv, void *data, uint32_t len)
{
	(void)priv;
	memset(data, 0x22, len);
	return len & 1 ? -EINVAL : 0;
}

static int on_crypto_end(void *priv, uint64_t id)
{
	(void)priv;
	return id & 1 ? -EINVAL : 0;
}

static int on_gpu(void *priv, int fd)
{
	(void)priv;
	close(fd);
	return 0;
}

static int on_object(void *priv, const struct vhk_uuid *id, int *fd)
{
	(void)priv;
	if (id->bytes[0] & 1)
		*fd = dup(mem_fd);
	return id->bytes[0] & 2 ? -EINVAL : 0;
}

static unsigned int on_shmem(void *priv, uint64_t *size)
{
	(void)priv;
	size[3] = 4096;
	return 1;
}

static void open_device(struct fuzz *f)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.get_config = config,
		.set_config = set_config,
		.work = work,
		.send_rarp = on_mac,
		.set_mtu = on_mtu,
		.set_endian = on_endian,
		.open_crypto = on_crypto,
		.close_crypto = on_crypto_end,
		.set_gpu_take_fd = on_gpu,
		.get_object = on_object,
		.get_shmem = on_shmem,
	};
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.features = VHK_F_RING_ALL,
		.n_queues = QUEUES,
		.queue_size = QUEUE_SIZE,
		.max_segs = 8,
		.config_size = 30,
		.flags = VHK_DEVICE_F_NOTIFIER,
	};

	must(!vhk_device_new(&f->dev, &info, &ops, f));
}

static void open_session(struct fuzz *f)
{
	int fd[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd));
	f->peer = fd[0];
	f->acks = false;
	must(!vhk_backend_take_fd(&f->be, f->loop, f->dev, fd[1], NULL));
}

static void step(struct fuzz *f)
{
	unsigned int i;

	for (i = 0; i < 64 && vhk_loop_step(f->loop, 0) > 0; i++)
		;
}

/* Answers are thrown away, with their fds; an inflight region is kept to be sent back. */
static unsigned int drain(struct fuzz *f)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	char bytes[8192];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int n = 0;
	int fd;

	for (;;) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		if (recvmsg(f->peer, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return n;
		n++;
		c = CMSG_FIRSTHDR(&m);
		if (!c)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		close(f->fd[FD_INFLIGHT]);
		f->fd[FD_INFLIGHT] = fd;
	}
}

static void send_message(struct fuzz *f, const void *bytes, size_t len, const uint8_t *kind,
			 unsigned int n_fds)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int i;

	if (n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &f->fd[kind[i] % FD_KINDS],
			       sizeof(int));
	}
	(void)!sendmsg(f->peer, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends, and sees the answer through if one was asked for. */
static void request(struct fuzz *f, uint32_t number, uint32_t flags, const void *payload,
		    uint32_t size, const uint8_t *kind, unsigned int n_fds)
{
	struct {
		struct vhk_msg_hdr hdr;
		uint8_t payload[VHK_MSG_PAYLOAD_MAX];
	} m = { .hdr = { number, flags | VHK_MSG_VERSION, size } };
	struct pollfd p = { .fd = f->peer, .events = POLLIN };

	memcpy(m.payload, payload, size);
	drain(f);
	send_message(f, &m, sizeof(m.hdr) + size, kind, n_fds);
	step(f);
	/* an unsent answer shows as a socket with nothing to read that is not closed either */
	if (f->acks && (flags & VHK_MSG_NEED_REPLY))
		must(poll(&p, 1, 0) == 1);
	drain(f);
}

static void request_u64(struct fuzz *f, uint32_t number, uint64_t v)
{
	request(f, number, VHK_MSG_NEED_REPLY, &v, sizeof(v), NULL, 0);
}

static void request_state(struct fuzz *f, uint32_t number, uint32_t idx, uint32_t num)
{
	struct vhk_user_vring_state v = { idx, num };

	request(f, number, VHK_MSG_NEED_REPLY, &v, sizeof(v), NULL, 0);
}

static struct vhk_user_vring_addr ring_addr(uint32_t idx)
{
	const uint64_t at = UVA + 3ull * PARTS * (idx % QUEUES);

	return (struct vhk_user_vring_addr){ idx, 0, at, at + 2 * PARTS, at + PARTS, 0 };
}

static void negotiate(struct fuzz *f, uint64_t features, uint64_t more)
{
	const uint64_t all = more | VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK) |
				    VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(CONFIG) |
				    VHK_USER_PF(INFLIGHT_SHMFD) | VHK_USER_PF(RESET_DEVICE) |
				    VHK_USER_PF(CONFIGURE_MEM_SLOTS) | VHK_USER_PF(STATUS) |
				    VHK_USER_PF(RARP) | VHK_USER_PF(MTU) |
				    VHK_USER_PF(CROSS_ENDIAN) | VHK_USER_PF(CRYPTO_SESSION) |
				    VHK_USER_PF(SHARED_OBJECT) | VHK_USER_PF(SHMEM) |
				    VHK_USER_PF(HOST_NOTIFIER) | VHK_USER_PF(BACKEND_SEND_FD) |
				    VHK_USER_PF(INBAND_NOTIFICATIONS);

	request(f, VHK_USER_SET_PROTOCOL_FEATURES, 0, &all, sizeof(all), NULL, 0);
	f->acks = true;
	request_u64(f, VHK_USER_SET_FEATURES, features);
}

static void share_memory(struct fuzz *f)
{
	const struct vhk_user_mem_table t = { .n = 1, .region = { { GPA, MEM_SIZE, UVA, 0 } } };
	const uint8_t kind = FD_MEM;

	request(f, VHK_USER_SET_MEM_TABLE, VHK_MSG_NEED_REPLY, &t, 40, &kind, 1);
}

static void start_ring(struct fuzz *f, uint32_t idx)
{
	const struct vhk_user_vring_addr a = ring_addr(idx);
	const uint64_t v = idx;
	const uint8_t kind = FD_EVENT;

	request_state(f, VHK_USER_SET_VRING_NUM, idx, QUEUE_SIZE);
	request(f, VHK_USER_SET_VRING_ADDR, VHK_MSG_NEED_REPLY, &a, sizeof(a), NULL, 0);
	request(f, VHK_USER_SET_VRING_CALL, VHK_MSG_NEED_REPLY, &v, sizeof(v), &kind, 1);
	request(f, VHK_USER_SET_VRING_KICK, VHK_MSG_NEED_REPLY, &v, sizeof(v), &kind, 1);
	request_state(f, VHK_USER_SET_VRING_ENABLE, idx, 1);
}

static void patch_config(uint8_t how, uint32_t number, uint8_t *payload, uint32_t *size)
{
	struct vhk_user_config c;

	*size = (uint32_t)offsetof(struct vhk_user_config, data) + 1 + how % 40;
	memcpy(&c, payload, *size);
	c.offset %= 40;
	c.size = 1 + how % 40u;
	c.flags = number == VHK_USER_SET_CONFIG ? c.flags % 4 : 0;
	memcpy(payload, &c, *size);
}

static void patch_inflight(uint8_t how, uint8_t *payload, uint32_t *size)
{
	const struct vhk_user_inflight in = {
		.mmap_size = 8192,
		.mmap_offset = how & 1 ? 64 : 0,
		.num_queues = (uint16_t)(how >> 1 & 3),
		.queue_size = how & 16 ? QUEUE_SIZE / 2 : QUEUE_SIZE,
	};

	*size = how & 8 ? 20 : 24;
	memcpy(payload, &in, *size);
}

/* Contents that are right, here and there, so that what lies behind the checks is reached. */
static void patch(uint8_t how, uint32_t number, uint8_t *payload, uint32_t *size)
{
	const struct vhk_user_region region = { GPA, MEM_SIZE / (1 + how % 3), UVA, 0 };
	struct vhk_user_vring_addr a;
	uint32_t idx;

	memcpy(&idx, payload, sizeof(idx));
	switch (number) {
	case VHK_USER_ADD_MEM_REG:
	case VHK_USER_REM_MEM_REG:
	case VHK_USER_SET_MEM_TABLE:
		memset(payload, 0, 8);
		payload[0] = number == VHK_USER_SET_MEM_TABLE;
		memcpy(payload + 8, &region, sizeof(region));
		break;
	case VHK_USER_SET_VRING_ADDR:
		a = ring_addr(idx % 4);
		memcpy(payload, &a, sizeof(a));
		break;
	case VHK_USER_GET_CONFIG:
	case VHK_USER_SET_CONFIG:
		patch_config(how, number, payload, size);
		break;
	case VHK_USER_GET_INFLIGHT_FD:
	case VHK_USER_SET_INFLIGHT_FD:
		patch_inflight(how, payload, size);
		break;
	default:
		if (!(how & 0x40))
			break;
		memset(payload + 1, 0, 7);
		payload[0] %= QUEUES;
	}
}

/* What is right for it. */
static uint8_t kind_of(uint32_t number)
{
	switch (number) {
	case VHK_USER_SET_MEM_TABLE:
	case VHK_USER_ADD_MEM_REG:
		return FD_MEM;
	case VHK_USER_SET_INFLIGHT_FD:
		return FD_INFLIGHT;
	case VHK_USER_SET_BACKEND_REQ_FD:
	case VHK_USER_GPU_SET_SOCKET:
		return FD_SOCKET;
	default:
		return FD_EVENT;
	}
}

static void any_message(struct fuzz *f, struct input *in)
{
	uint8_t payload[512], kind[4];
	const uint32_t number = take(in) % (VHK_USER_REQ_MAX + 2);
	const uint8_t how = take(in), fds = take(in);
	const struct vhk_proto *row = vhk_proto_request(number);
	uint32_t size = take(in);
	unsigned int n = fds >> 6;

	take_bytes(in, kind, n);
	take_bytes(in, payload, size);
	memset(payload + size, 0, sizeof(payload) - size);
	if (!(how & 0x80))
		patch(how, number, payload, &size);
	if (row && !(fds & 0x20)) {
		size = vhk_min(vhk_max(size, (uint32_t)row->size_min), (uint32_t)row->size_max);
		n = vhk_min(vhk_max(n, (unsigned int)row->fds_min), 4u);
		n = vhk_min(n, (unsigned int)row->fds_max);
	}
	if (!(fds & 0x10))
		memset(kind, kind_of(number), sizeof(kind));
	/* what is settled is no longer known for sure */
	if (number == VHK_USER_SET_PROTOCOL_FEATURES)
		f->acks = false;
	request(f, number, fds & 8 ? VHK_MSG_NEED_REPLY : 0, payload, vhk_min(size, 512u), kind, n);
}

static void poke(struct fuzz *f, struct input *in)
{
	uint8_t bytes[64];
	uint16_t at;
	size_t n;

	take_bytes(in, &at, sizeof(at));
	n = take(in) % (sizeof(bytes) + 1);
	take_bytes(in, bytes, n);
	at %= MEM_SIZE - sizeof(bytes);
	memcpy(f->mem + at, bytes, n);
}

/* A split ring's descriptor and its place in the available ring. */
static void offer(struct fuzz *f, struct input *in)
{
	uint8_t *ring = f->mem + 3 * PARTS * (take(in) % QUEUES);
	uint16_t *avail = (uint16_t *)(ring + PARTS);
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d = { GPA + 0xa000 + take(in), take(in), take(in) & 7, take(in) % QUEUE_SIZE };
	uint8_t slot = take(in) % QUEUE_SIZE;

	memcpy(ring + 16 * slot, &d, sizeof(d));
	avail[2 + avail[1] % QUEUE_SIZE] = slot;
	__atomic_store_n(&avail[1], (uint16_t)(avail[1] + 1), __ATOMIC_RELEASE);
}

static void kick(struct fuzz *f)
{
	const uint64_t one = 1;

	(void)!write(f->fd[FD_EVENT], &one, sizeof(one));
	step(f);
}

static void raw_bytes(struct fuzz *f, struct input *in)
{
	uint8_t bytes[32];
	size_t n = 1 + take(in) % sizeof(bytes);

	take_bytes(in, bytes, n);
	send_message(f, bytes, n, NULL, 0);
	/* nobody knows where a message begins from here on */
	f->acks = false;
	step(f);
	drain(f);
}

static void end_session(struct fuzz *f)
{
	close(f->peer);
	step(f);
	vhk_backend_close(f->be);
}

static void asked(void *arg, int ret, int fd)
{
	(void)arg;
	must(ret <= 0);
	if (fd >= 0)
		close(fd);
}

/* What the device asks of the front end. */
static void ask(struct fuzz *f, struct input *in)
{
	struct vhk_shmem_map map = { 3, 0, 0, take(in) & 0xf0, 4096 };
	struct vhk_uuid id = { { take(in) } };
	const uint8_t what = take(in);

	switch (what % 6) {
	case 0:
		vhk_device_lend_notifier(f->dev, what % 4, what & 16 ? mem_fd : -1, 0, 4096, asked,
					 f);
		break;
	case 1:
		vhk_device_map_shmem(f->dev, &map, mem_fd, asked, f);
		break;
	case 2:
		vhk_device_unmap_shmem(f->dev, &map, what & 16 ? asked : NULL, f);
		break;
	case 3:
		vhk_device_add_object(f->dev, &id, asked, f);
		break;
	case 4:
		vhk_device_remove_object(f->dev, &id, asked, f);
		break;
	default:
		vhk_device_lookup_object(f->dev, &id, asked, f);
		break;
	}
	step(f);
}

/* What the front end says on the back-end channel: an answer as a rule. */
static void answer(struct fuzz *f, struct input *in)
{
	struct {
		struct vhk_msg_hdr hdr;
		uint64_t v;
	} __attribute__((packed)) m = { { take(in) % (VHK_USER_BACK_REQ_MAX + 2),
					  VHK_MSG_VERSION | VHK_MSG_REPLY, 8 },
					take(in) & 1 };
	const uint8_t how = take(in), kind = FD_MEM;
	const int peer = f->peer;

	if (how & 1)
		m.hdr.flags = take(in);
	if (how & 2)
		m.hdr.size = take(in) % 9;
	f->peer = f->channel;
	send_message(f, &m, sizeof(m.hdr) + vhk_min(m.hdr.size, 8u), &kind, how & 4 ? 1 : 0);
	f->peer = peer;
	step(f);
}

static void act(struct fuzz *f, struct input *in)
{
	switch (take(in) % 16) {
	case 0:
		raw_bytes(f, in);
		break;
	case 1:
		end_session(f);
		open_session(f);
		break;
	case 2:
		share_memory(f);
		break;
	case 3:
		start_ring(f, take(in) % QUEUES);
		break;
	case 4:
	case 5:
		poke(f, in);
		break;
	case 6:
	case 7:
		offer(f, in);
		break;
	case 8:
		kick(f);
		break;
	case 9:
		vhk_device_config_changed(f->dev);
		break;
	case 10:
		ask(f, in);
		break;
	case 11:
		answer(f, in);
		break;
	default:
		any_message(f, in);
		break;
	}
}

static void fuzz_init(struct fuzz *f)
{
	int pair[2];

	memset(f, 0, sizeof(*f));
	memset(mem, 0, MEM_SIZE);
	f->mem = mem;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->channel = pair[1];
	f->fd[FD_MEM] = mem_fd;
	f->fd[FD_EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->fd[FD_SOCKET] = pair[0];
	f->fd[FD_SHORT] = memfd_create("short", MFD_CLOEXEC);
	f->fd[FD_INFLIGHT] = memfd_create("inflight", MFD_CLOEXEC);
	must(!ftruncate(f->fd[FD_SHORT], 4096) && !ftruncate(f->fd[FD_INFLIGHT], 16384));
	f->loop = loop;
	open_device(f);
	open_session(f);
}

static void fuzz_fini(struct fuzz *f)
{
	unsigned int i;

	end_session(f);
	close(f->channel);
	vhk_device_free(f->dev);
	for (i = 0; i < FD_KINDS; i++)
		if (i != FD_MEM)
			close(f->fd[i]);
}

/* The lowest free fd: the same before and after, or one was lost. */
static int probe_fd(void)
{
	int fd = dup(mem_fd);

	must(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct vhk_loop_opts lo = {
		.sz = sizeof(lo),
		.engine = VHK_LOOP_EPOLL,
		.poll_ns = UINT64_MAX,
	};

	(void)argc;
	(void)argv;
	must(!vhk_loop_new(&loop, &lo));
	mem_fd = memfd_create("guest", MFD_CLOEXEC);
	must(mem_fd >= 0 && !ftruncate(mem_fd, MEM_SIZE));
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem_fd, 0);
	must(mem != MAP_FAILED);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t flags = take(&in);
	const int probe = probe_fd();
	struct fuzz f;

	fuzz_init(&f);
	if (flags & 1)
		negotiate(&f, VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC |
				      (flags & 2 ? VHK_F_PROTOCOL_FEATURES : 0) |
				      (flags & 4 ? VHK_F_RING_PACKED : 0) |
				      (flags & 8 ? VHK_F_EVENT_IDX : 0),
			  flags & 64 ? VHK_USER_PF(GPA_ADDRESSES) : 0);
	if (flags & 16)
		share_memory(&f);
	if (flags & 32)
		start_ring(&f, 0);
	while (in.left)
		act(&f, &in);
	fuzz_fini(&f);
	must(probe_fd() == probe);
	return 0;
}
