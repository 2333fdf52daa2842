// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Our front end and DPDK's back end lose each other, in both roles of the socket: the back end is
 * killed with frames on their way and comes back, or the front end goes and another one comes. From
 * then on every frame is there again.
 */
#include "t_nic.h"
#include "t_testpmd.h"

#define MERGED (VHK_F_VERSION_1 | T_NET_F_MRG_RXBUF)
#define ROUNDS 2

static struct t_alien pmd;
static char sock[80], uri[100];

static bool begin(const char *how)
{
	snprintf(sock, sizeof(sock), "%s/pmd", t_dir());
	snprintf(uri, sizeof(uri), "%s:%s", how, sock);
	return t_alien_find(TESTPMD);
}

static void start_pmd(const char *options)
{
	char vdev[200];

	snprintf(vdev, sizeof(vdev), "net_vhost0,iface=%s,queues=1%s", sock, options);
	t_testpmd_start(&pmd, vdev, 1, NULL);
}

/* Killed under load, and another one in its place. */
static void killed(const char *options, uint64_t features)
{
	struct t_nic nic = { .tx_segs = 2, .rx_room = 700 };
	unsigned int i;

	start_pmd(options);
	T_EQ(t_nic_open(&nic, uri, features, 1, NULL), 0);
	for (i = 0; i < ROUNDS; i++) {
		T_EQ(t_nic_echo(&nic, 1000), 0);
		t_nic_step(&nic, 0, 2000);
		t_alien_kill(&pmd);
		T_OK(t_nic_echo(&nic, 2000) == -ENOTCONN);
		if (!*options)
			unlink(sock);
		start_pmd(options);
		T_EQ(t_nic_reconnect(&nic), 0);
	}
	T_EQ(t_nic_echo(&nic, 1000), 0);
	t_nic_close(&nic);
	t_testpmd_stop(&pmd);
	unlink(sock);
}

/* It stays, and front ends come and go, the last one without a word. */
static void left(const char *options)
{
	struct t_nic nic;
	unsigned int i;

	start_pmd(options);
	for (i = 0; i < ROUNDS; i++) {
		nic = (struct t_nic){ .rx_room = 700 };
		T_EQ(t_nic_open(&nic, uri, MERGED | (i & 1 ? VHK_F_RING_PACKED : 0), 1, NULL), 0);
		T_EQ(t_nic_echo(&nic, 500), 0);
		t_nic_step(&nic, 0, 600);
		t_nic_close(&nic);
	}
	t_testpmd_stop(&pmd);
	unlink(sock);
}

static void it_serves_and_is_killed(void)
{
	if (!begin("unix"))
		T_SKIP("no " TESTPMD);
	killed("", MERGED);
	killed("", MERGED | VHK_F_RING_PACKED);
}

static void it_connects_and_is_killed(void)
{
	if (!begin("listen"))
		T_SKIP("no " TESTPMD);
	killed(",client=1", MERGED);
	killed(",client=1", MERGED | VHK_F_RING_PACKED | VHK_F_IN_ORDER);
}

static void it_serves_and_is_left(void)
{
	if (!begin("unix"))
		T_SKIP("no " TESTPMD);
	left("");
}

static void it_connects_and_is_left(void)
{
	if (!begin("listen"))
		T_SKIP("no " TESTPMD);
	left(",client=1");
}

int main(void)
{
	T_RUN(it_serves_and_is_killed);
	T_RUN(it_connects_and_is_killed);
	T_RUN(it_serves_and_is_left);
	T_RUN(it_connects_and_is_left);
	return t_end();
}
