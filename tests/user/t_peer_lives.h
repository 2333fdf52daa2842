/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A back end in a thread that is connected to one time after the other, and each time offers what
 * it is told to; whatever it is asked for it grants.
 */
#ifndef VHK_TESTS_T_PEER_LIVES_H
#define VHK_TESTS_T_PEER_LIVES_H

#include <pthread.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "t_peer.h"

struct t_life {
	uint64_t features, protocol, queues, slots;
};

struct t_lives {
	const struct t_life *life;
	unsigned int n;
	int listening;
	uint64_t protocol_set; /* by the latest front end */
	char uri[128];
	pthread_t thread;
};

static inline void t_life_answer(struct t_lives *l, const struct t_life *life, int sock,
				 int inflight)
{
	struct t_peer_msg m;

	while (t_readable(sock, 20000) && t_peer_recv(sock, &m)) {
		t_peer_close_fds(&m);
		if (m.request == VHK_CTL_SET_PROTOCOL_FEATURES)
			l->protocol_set = m.u64;
		if (m.request == VHK_CTL_GET_QUEUE_NUM)
			t_peer_reply_u64(sock, m.request, life->queues);
		else if (m.request == VHK_CTL_GET_MAX_MEM_SLOTS)
			t_peer_reply_u64(sock, m.request, life->slots);
		else
			t_peer_answer(sock, &m, life->features, life->protocol, inflight);
	}
}

static inline void *t_lives_run(void *arg)
{
	struct t_lives *l = arg;
	int sock, inflight = memfd_create("inflight", MFD_CLOEXEC);
	unsigned int i;

	T_MUST(inflight >= 0 && !ftruncate(inflight, 4096));
	for (i = 0; i < l->n; i++) {
		T_MUST(t_readable(l->listening, 20000));
		sock = accept4(l->listening, NULL, NULL, SOCK_CLOEXEC);
		T_MUST(sock >= 0);
		t_life_answer(l, &l->life[i], sock, inflight);
		close(sock);
	}
	close(inflight);
	return NULL;
}

static inline void t_lives_start(struct t_lives *l, const struct t_life *life, unsigned int n)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*l = (struct t_lives){ .life = life, .n = n };
	l->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/lives", t_dir());
	snprintf(l->uri, sizeof(l->uri), "unix:%s", sun.sun_path);
	unlink(sun.sun_path);
	T_MUST(!bind(l->listening, (struct sockaddr *)&sun, sizeof(sun)));
	T_MUST(!listen(l->listening, 4));
	T_MUST(!pthread_create(&l->thread, NULL, t_lives_run, l));
}

/* All of them were lived. */
static inline void t_lives_end(struct t_lives *l)
{
	T_MUST(!pthread_join(l->thread, NULL));
	close(l->listening);
}

#endif
