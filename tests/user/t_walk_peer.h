/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A back end for random walks of the front end, in a thread of its own: it answers each message as
 * it likes, well, with a refusal, with nonsense, late, with half a message, not at all, or by
 * hanging up. And requests of every kind for it.
 */
#ifndef VHK_TESTS_T_WALK_PEER_H
#define VHK_TESTS_T_WALK_PEER_H

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "base.h"
#include "proto.h"
#include "t_peer.h"

#define FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL)
/* What the front end takes only where it is told to. */
#define ALSO                                                                                       \
	(VHK_PF_RARP | VHK_PF_MTU | VHK_PF_CROSS_ENDIAN | VHK_PF_CRYPTO_SESSION |                  \
	 VHK_PF_SHARED_OBJECT | VHK_PF_BACKEND_SEND_FD | VHK_PF_SHMEM | VHK_PF_HOST_NOTIFIER |     \
	 VHK_PF_PAGEFAULT)
#define PROTOCOL                                                                                   \
	(ALSO | VHK_PF_MQ | VHK_PF_LOG_SHMFD | VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ |             \
	 VHK_PF_CONFIG | VHK_PF_INFLIGHT_SHMFD | VHK_PF_RESET_DEVICE | VHK_PF_STATUS |             \
	 VHK_PF_DEVICE_STATE | VHK_PF_GET_VRING_BASE_INFLIGHT | VHK_PF_GET_VRING_BASE_SKIP_DRAIN)
/* Regions one by one and postcopy exclude each other. */
#define WITH_SLOTS ((PROTOCOL | VHK_PF_CONFIGURE_MEM_SLOTS) & ~VHK_PF_PAGEFAULT)
#define SILENCE_MS 20
#define EXTRA_GPA 0x40000000

/* What the back end does with the next request. */
enum plan {
	WELL,
	REFUSE,
	OTHER_REQUEST, /* answers a question that nobody asked */
	OTHER_SIZE,
	NO_REPLY_FLAG,
	FDS_TOO_MANY,
	SILENT,
	LATE, /* with what it answers to the next one */
	HALF_AND_GONE,
	HALF_AND_SILENT,
	GONE,
	N_PLANS
};

static unsigned int seed;

static struct {
	int listener, stop, inflight;
	enum plan plan; /* of the next message */
	unsigned int odds; /* that a message is answered by some plan; 0: none is */
	unsigned int seed;
	uint64_t features, protocol;
	pthread_t thread;
} peer;

static inline unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static inline const struct vhk_proto *row_of(uint32_t request)
{
	return vhk_proto_request(request);
}

static inline bool answers_with_payload(uint32_t request)
{
	return row_of(request)->reply == VHK_REPLY_PAYLOAD;
}

static inline void answer_well(int sock, const struct t_peer_msg *m)
{
	static const struct vhk_user_shmem_config shmem = { .n = 1, .size = { 4096 } };

	switch (m->request) {
	case VHK_CTL_GET_CONFIG:
	case VHK_CTL_CREATE_CRYPTO_SESSION:
	case VHK_CTL_GET_VRING_BASE_SKIP_DRAIN:
		t_peer_send(sock, m->request, T_PEER_REPLY, m->bytes, m->size, NULL, 0);
		break;
	case VHK_CTL_SET_LOG_BASE:
		t_peer_send(sock, m->request, T_PEER_REPLY, NULL, 0, NULL, 0);
		break;
	case VHK_CTL_POSTCOPY_ADVISE:
	case VHK_CTL_GET_SHARED_OBJECT:
		t_peer_send(sock, m->request, T_PEER_REPLY, m->bytes, m->size, &peer.inflight, 1);
		break;
	case VHK_CTL_GET_SHMEM_CONFIG:
		t_peer_send(sock, m->request, T_PEER_REPLY, &shmem, sizeof(shmem), NULL, 0);
		break;
	case VHK_CTL_SET_DEVICE_STATE_FD:
		t_peer_reply_u64(sock, m->request, VHK_USER_STATE_NO_FD);
		break;
	case VHK_CTL_CHECK_DEVICE_STATE:
	case VHK_CTL_POSTCOPY_END:
	case VHK_CTL_IOTLB_MSG:
		t_peer_reply_u64(sock, m->request, 0);
		break;
	default:
		t_peer_answer(sock, m, peer.features, peer.protocol, peer.inflight);
	}
}

/* False: hung up. */
static inline bool answer_half(int sock, const struct t_peer_msg *m, bool gone)
{
	const uint32_t half[5] = { m->request, T_PEER_REPLY, 8 };

	send(sock, half, 1 + m->request % 19, MSG_NOSIGNAL);
	return !gone;
}

static inline void answer_badly(int sock, const struct t_peer_msg *m, enum plan plan)
{
	const uint64_t v[32] = { 5 };

	switch (plan) {
	case REFUSE:
		if (m->request == VHK_CTL_SET_DEVICE_STATE_FD)
			t_peer_reply_u64(sock, m->request, VHK_USER_STATE_NO_FD | 5);
		else if (answers_with_payload(m->request))
			t_peer_send(sock, m->request, T_PEER_REPLY, NULL, 0, NULL, 0);
		else
			t_peer_send(sock, m->request, T_PEER_REPLY, v, 8, NULL, 0);
		break;
	case OTHER_REQUEST:
		t_peer_send(sock, m->request ^ 0x40, T_PEER_REPLY, v, 8, NULL, 0);
		break;
	case OTHER_SIZE:
		t_peer_send(sock, m->request, T_PEER_REPLY, v, 5, NULL, 0);
		break;
	case NO_REPLY_FLAG:
		t_peer_send(sock, m->request, T_PEER_ASK, v, 8, NULL, 0);
		break;
	default:
		t_peer_send(sock, m->request, T_PEER_REPLY, v, 8,
			    (const int[]){ peer.inflight, peer.inflight, peer.inflight }, 3);
	}
}

static inline enum plan next_plan(void)
{
	const unsigned int odds = __atomic_load_n(&peer.odds, __ATOMIC_ACQUIRE);

	if (odds && !((unsigned int)rand_r(&peer.seed) % odds))
		return (enum plan)((unsigned int)rand_r(&peer.seed) % N_PLANS);
	return __atomic_exchange_n(&peer.plan, WELL, __ATOMIC_ACQ_REL);
}

/* One connection, to its end. */
static inline void serve(int sock)
{
	struct pollfd p[] = { { sock, POLLIN, 0 }, { peer.stop, POLLIN, 0 } };
	struct t_peer_msg m, late = { 0 };
	bool owes = false, lives = true;
	enum plan plan;

	while (lives && poll(p, 2, -1) >= 0 && !p[1].revents) {
		if (!t_peer_recv(sock, &m))
			break;
		t_peer_close_fds(&m);
		plan = next_plan();
		if (owes)
			answer_well(sock, &late);
		owes = plan == LATE;
		late = m;
		if (plan == WELL)
			answer_well(sock, &m);
		else if (plan == HALF_AND_GONE || plan == HALF_AND_SILENT)
			lives = answer_half(sock, &m, plan == HALF_AND_GONE);
		else if (plan == GONE)
			lives = false;
		else if (plan != SILENT && plan != LATE)
			answer_badly(sock, &m, plan);
	}
	close(sock);
}

static void *peer_run(void *arg)
{
	struct pollfd p[] = { { peer.listener, POLLIN, 0 }, { peer.stop, POLLIN, 0 } };

	(void)arg;
	while (poll(p, 2, -1) >= 0 && !p[1].revents)
		serve(accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC));
	return NULL;
}

static inline void peer_start(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	peer.stop = eventfd(0, EFD_CLOEXEC);
	peer.inflight = memfd_create("inflight", MFD_CLOEXEC);
	T_MUST(peer.inflight >= 0 && !ftruncate(peer.inflight, 0x1000));
	T_MUST(!bind(peer.listener, (struct sockaddr *)&sun, sizeof(sun)));
	T_MUST(!listen(peer.listener, 8));
	T_MUST(!pthread_create(&peer.thread, NULL, peer_run, NULL));
}

static inline void peer_stop(void)
{
	const uint64_t one = 1;

	T_MUST(write(peer.stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(peer.thread, NULL);
	close(peer.listener);
	close(peer.stop);
	close(peer.inflight);
}

static struct vhk_ctl *ctl;
static struct vhk_mem *mem;
static int event_fd, extra_fd, log_fd, gpu_fd;
static unsigned char config[16], crypto[16];
static struct vhk_ctl_shmem shmem_sizes;

/* A request of any kind that the connection has, and that may be sent at any time. */
static inline void make_request(struct vhk_ctl_req *r)
{
	memset(r, 0, sizeof(*r));
	do
		r->op = (enum vhk_ctl_op)(1 + below(VHK_CTL_OP_MAX));
	while (!vhk_ctl_can(ctl, r->op) || r->op == VHK_CTL_SET_PROTOCOL_FEATURES ||
	       r->op == VHK_CTL_SET_OWNER);
	r->fd = -1;
	switch (r->op) {
	case VHK_CTL_SET_FEATURES:
		r->u64 = vhk_ctl_features(ctl);
		break;
	case VHK_CTL_SET_VRING_NUM:
	case VHK_CTL_SET_VRING_BASE:
		r->vring = (struct vhk_ctl_vring){ below(64), 64 };
		break;
	case VHK_CTL_SET_VRING_ENABLE:
	case VHK_CTL_SET_VRING_ENDIAN:
	case VHK_CTL_GET_VRING_BASE:
	case VHK_CTL_GET_VRING_BASE_SKIP_DRAIN:
		r->vring = (struct vhk_ctl_vring){ below(64), 1 };
		break;
	case VHK_CTL_VRING_KICK:
		r->vring.index = below(64);
		break;
	case VHK_CTL_SET_VRING_ADDR:
		r->addr = (struct vhk_ctl_vring_addr){
			.index = below(64), .desc = { 0x1000 }, .driver = { 0x2000 },
			.device = { 0x3000 }
		};
		break;
	case VHK_CTL_SET_VRING_KICK:
	case VHK_CTL_SET_VRING_CALL:
	case VHK_CTL_SET_VRING_ERR:
		r->vring.index = below(64);
		r->fd = below(2) ? event_fd : -1;
		break;
	case VHK_CTL_SET_LOG_FD:
		r->fd = event_fd;
		break;
	case VHK_CTL_GPU_SET_SOCKET:
		r->fd = gpu_fd;
		break;
	case VHK_CTL_SET_DEVICE_STATE_FD:
		r->fd = event_fd;
		r->state = below(2) ? VHK_CTL_STATE_SAVE : VHK_CTL_STATE_LOAD;
		break;
	case VHK_CTL_GET_CONFIG:
	case VHK_CTL_SET_CONFIG:
		r->config = (struct vhk_ctl_config){ below(100), 1 + below(16), below(2), config };
		break;
	case VHK_CTL_GET_INFLIGHT_FD:
	case VHK_CTL_SET_INFLIGHT_FD:
		r->inflight = (struct vhk_ctl_inflight){ 4096, 0, 2, 64 };
		r->fd = r->op == VHK_CTL_SET_INFLIGHT_FD ? extra_fd : -1;
		break;
	case VHK_CTL_ADD_MEM_REG:
		r->fd = extra_fd;
		/* fallthrough */
	case VHK_CTL_REM_MEM_REG:
		r->region = (struct vhk_region){ { EXTRA_GPA }, { EXTRA_GPA }, 4096, 0 };
		break;
	case VHK_CTL_SET_MEM_TABLE:
		r->mem = mem;
		break;
	case VHK_CTL_SET_LOG_BASE:
		r->fd = log_fd;
		r->log.size = 4096;
		break;
	case VHK_CTL_IOTLB_MSG:
		r->iotlb = (struct vhk_iotlb_msg){ .iova = { 0x1000 }, .size = 0x1000,
						   .uva = { 0x1000 }, .perm = VHK_IOTLB_PERM_RW,
						   .type = below(2) ? VHK_IOTLB_UPDATE
								    : VHK_IOTLB_INVALIDATE };
		break;
	case VHK_CTL_CREATE_CRYPTO_SESSION:
		r->crypto = (struct vhk_ctl_crypto){ crypto, sizeof(crypto) };
		break;
	case VHK_CTL_GET_SHARED_OBJECT:
		r->uuid.bytes[0] = 7;
		break;
	case VHK_CTL_GET_SHMEM_CONFIG:
		r->shmem = &shmem_sizes;
		break;
	case VHK_CTL_SET_STATUS:
		r->u64 = 15;
		break;
	default:
		r->u64 = 1400;
	}
}

/* What came with an answer. */
static inline void drop_answer(struct vhk_ctl_req *r)
{
	const bool brings = r->op == VHK_CTL_GET_INFLIGHT_FD || r->op == VHK_CTL_POSTCOPY_ADVISE ||
			    r->op == VHK_CTL_GET_SHARED_OBJECT;

	if (!r->ret && brings && r->fd >= 0)
		close(r->fd);
}

/* What both walks need, before their fds are counted. */
static inline void peer_init(void)
{
	void *va;

	event_fd = eventfd(0, EFD_CLOEXEC);
	extra_fd = memfd_create("extra", MFD_CLOEXEC);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	gpu_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(!ftruncate(extra_fd, 4096) && !ftruncate(log_fd, 4096) && gpu_fd >= 0);
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 0x10000, &va));
}

static inline void peer_fini(void)
{
	vhk_mem_free(mem);
	close(event_fd);
	close(extra_fd);
	close(log_fd);
	close(gpu_fd);
}

#endif
