// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Cards on a tap, a multi-queue tap, a macvtap and an interface, in a network namespace of the
 * test's own: bytes both ways, offloads, VLAN tags, links that go down, and ports that go away.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "t_net.h"

static unsigned char sent[70000], got[70000];
static unsigned int errors;

static void line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)text;
	__atomic_add_fetch(&errors, level == VHK_LOG_ERROR, __ATOMIC_RELAXED);
}

static bool own_namespace(void)
{
	static bool own;

	if (!own)
		own = !unshare(CLONE_NEWNET) && !access("/dev/net/tun", W_OK);
	return own;
}

#define NEEDS_ROOT                                                                                 \
	do {                                                                                       \
		if (!own_namespace())                                                              \
			T_SKIP("no rights to make a network namespace");                           \
	} while (0)

static void ip(const char *fmt, ...)
{
	char cmd[256];
	va_list ap;
	int n = snprintf(cmd, sizeof(cmd), "PATH=$PATH:/sbin:/usr/sbin ip ");

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	T_MUST(!system(cmd));
}

/* What is sent before the kernel has seen both ends of a pair up is lost. */
static void ip_up(const char *name)
{
	const uint64_t end = t_now_ns() + 20000000000ull;
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	T_MUST(fd >= 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	while (!ioctl(fd, SIOCGIFFLAGS, &r) && !(r.ifr_flags & IFF_RUNNING)) {
		T_MUST(t_now_ns() < end);
		poll(NULL, 0, 1);
	}
	close(fd);
	/* once whoever is at it has let go of its lock, it is wholly up */
	ip("link set %s up", name);
}

/* The host's side of an interface, as raw packets. */
static int host_side(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	const int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	a.sll_ifindex = (int)if_nametoindex(name);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	T_MUST(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

/* The next of our packets that the host sees; what else a network has is passed over. */
static ssize_t host_recv(int fd)
{
	ssize_t n;

	for (;;) {
		if (!t_readable(fd, 10000))
			return -1;
		n = recv(fd, got, sizeof(got), 0);
		if (n < 14 || (got[12] == 0x88 && got[13] == 0xb5))
			return n;
	}
}

/* The same at the driver's side. */
static int guest_recv(struct t_net *t, unsigned int queue, struct virtio_net_hdr_v1 *hdr)
{
	int n;

	do
		n = t_net_recv(t, queue, hdr, got);
	while (n >= 14 && !(got[12] == 0x88 && got[13] == 0xb5) &&
	       !(got[12] == 0x81 && got[16] == 0x88));
	return n;
}

static struct vhk_device *card(enum vhk_net_port port, const int *fds, unsigned int n)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = port, .num_pairs = (uint16_t)n,
				  .fds = fds, .n_fds = n, .mac = { 2, 0, 0, 0, 0, 1 },
				  .log = { .fn = line, .level = VHK_LOG_ERROR } };
	struct vhk_device *d;

	T_MUST(!vhk_net_new(&d, &o));
	errors = 0;
	return d;
}

static void both_ways(struct t_net *t, int host, unsigned int pair)
{
	static const unsigned int lens[] = { 60, 64, 65, 1000, 1514 };
	struct virtio_net_hdr_v1 hdr;
	unsigned int i, k;

	for (k = 0; k < 20; k++)
		for (i = 0; i < vhk_array_size(lens); i++) {
			t_frame(sent, lens[i], i + k);
			T_EQ(t_net_send(t, 2 * pair + 1, NULL, sent, lens[i]), 0);
			T_EQ(host_recv(host), lens[i]);
			T_EQ(memcmp(sent, got, lens[i]), 0);
			sent[20]++;
			T_EQ(send(host, sent, lens[i], 0), lens[i]);
			T_EQ(guest_recv(t, 2 * pair, &hdr), lens[i]);
			T_EQ(memcmp(sent, got, lens[i]), 0);
		}
}

static void a_tap_carries_packets(void)
{
	static const uint64_t layouts[] = { 0, T_NF(MRG_RXBUF), VHK_F_RING_PACKED,
					    VHK_F_RING_PACKED | VHK_F_IN_ORDER | T_NF(MRG_RXBUF) };
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;
	int fd, host;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t0", &fd, 1), 0);
	ip("link set t0 up");
	host = host_side("t0");
	d = card(VHK_NET_TAP, &fd, 1);
	for (i = 0; i < vhk_array_size(layouts); i++) {
		T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | layouts[i], 2), 0);
		t_net_fill(&t, 0, 16);
		both_ways(&t, host, 0);
		t_net_adds_up(d, 0);
		t_net_adds_up(d, 1);
		t_net_close(&t);
	}
	vhk_device_free(d);
	close(host);
}

/* Without buffers packets wait in the tap; none is lost. */
static void packets_wait_for_buffers(void)
{
	struct virtio_net_hdr_v1 hdr;
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;
	int fd, host;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t1", &fd, 1), 0);
	ip("link set t1 up");
	host = host_side("t1");
	d = card(VHK_NET_TAP, &fd, 1);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | VHK_F_EVENT_IDX, 2), 0);
	for (i = 0; i < 40; i++) {
		t_frame(sent, 100, i);
		T_EQ(send(host, sent, 100, 0), 100);
	}
	t_net_fill(&t, 0, 3);
	for (i = 0; i < 40; i++) {
		t_frame(sent, 100, i);
		T_EQ(guest_recv(&t, 0, &hdr), 100);
		T_EQ(memcmp(sent, got, 100), 0);
	}
	T_EQ(t_net_dropped(d, 0, VHK_NET_DROP_ROOM), 0);
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
}

/* What the host sends with its checksum put off comes so, or summed, as the driver asked. */
static void offloads_are_what_was_negotiated(void)
{
	struct virtio_net_hdr_v1 hdr;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;
	int fd, udp, n;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t2", &fd, 1), 0);
	ip("addr add 10.7.0.1/24 dev t2");
	ip("link set t2 up");
	ip("neigh add 10.7.0.2 lladdr 02:00:00:00:00:01 dev t2");
	d = card(VHK_NET_TAP, &fd, 1);
	to.sin_addr.s_addr = inet_addr("10.7.0.2");
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (i = 0; i < 2; i++) {
		T_EQ(t_net_open(&t, d,
				VHK_F_VERSION_1 | T_NF(MRG_RXBUF) | (i ? T_NF(GUEST_CSUM) : 0), 2),
		     0);
		t_net_fill(&t, 0, 32);
		T_EQ(sendto(udp, sent, 100, 0, (struct sockaddr *)&to, sizeof(to)), 100);
		do
			n = t_net_recv(&t, 0, &hdr, got);
		while (n > 0 && !(got[12] == 8 && got[13] == 0 && got[23] == 17 &&
				  got[36] == 0 && got[37] == 9));
		T_EQ(n, 142);
		T_EQ(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, i);
		t_net_close(&t);
	}
	vhk_device_free(d);
	close(udp);
}

static void many_queues(void)
{
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;
	int fds[3], host;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t3", fds, 3), 0);
	ip("link set t3 up");
	host = host_side("t3");
	d = card(VHK_NET_TAP, fds, 3);
	/* one of three: all flows go there */
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	t_net_fill(&t, 0, 16);
	both_ways(&t, host, 0);
	t_net_close(&t);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | T_NF(CTRL_VQ) | T_NF(MQ), 6), 0);
	for (i = 0; i < 3; i++) {
		t_frame(sent, 200, i);
		T_EQ(t_net_send(&t, 2 * i + 1, NULL, sent, 200), 0);
		T_EQ(host_recv(host), 200);
		T_EQ(memcmp(sent, got, 200), 0);
	}
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
}

static void a_macvtap_carries_packets(void)
{
	struct vhk_device *d;
	struct t_net t;
	int fd, host;

	NEEDS_ROOT;
	if (system("PATH=$PATH:/sbin:/usr/sbin; ip link add v0 type veth peer name v1 && "
		   "ip link add link v0 name m0 address 02:00:00:00:00:01 type macvtap "
		   "mode passthru 2>/dev/null"))
		T_SKIP("the kernel has no macvtap");
	ip("link set v0 up");
	ip("link set v1 up");
	ip("link set m0 up");
	ip_up("v0");
	ip_up("v1");
	ip_up("m0");
	if (vhk_net_open_macvtap("m0", &fd, 1) == -ENOENT)
		T_SKIP("no node for the macvtap");
	host = host_side("v1");
	d = card(VHK_NET_TAP, &fd, 1);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	t_net_fill(&t, 0, 16);
	both_ways(&t, host, 0);
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
	ip("link del v0");
}

static void an_interface_carries_packets(void)
{
	struct virtio_net_hdr_v1 hdr;
	struct vhk_device *d;
	struct t_net t;
	int fd, host;

	NEEDS_ROOT;
	ip("link add p0 type veth peer name p1");
	ip("link set p0 up");
	ip("link set p1 up");
	ip_up("p0");
	ip_up("p1");
	T_EQ(vhk_net_open_packet("nowhere", &fd), -ENODEV);
	T_EQ(vhk_net_open_packet("", &fd), -EINVAL);
	T_EQ(vhk_net_open_packet("p0", &fd), 0);
	host = host_side("p1");
	d = card(VHK_NET_PACKET, &fd, 1);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | T_NF(MRG_RXBUF), 2), 0);
	t_net_fill(&t, 0, 16);
	both_ways(&t, host, 0);
	/* a tag, which the socket takes out, is put back */
	t_frame(sent, 100, 1);
	memcpy(sent + 12, "\x81\x00\x60\x05\x88\xb5", 6);
	T_EQ(send(host, sent, 100, 0), 100);
	T_EQ(guest_recv(&t, 0, &hdr), 100);
	T_EQ(memcmp(sent, got, 100), 0);
	t_net_adds_up(d, 0);
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
	ip("link del p0");
}

static bool link_is(struct t_net *t, uint16_t want)
{
	uint64_t end = t_now_ns() + 10 * T_SECOND;
	struct virtio_net_config c;

	do {
		T_EQ(vhk_ctl_get_config(t->ctl, 0, &c, 8), 0);
		if (le16toh(c.status) == want)
			return true;
		usleep(1000);
	} while (t_now_ns() < end);
	return false;
}

static void a_tap_that_goes_down_or_away(void)
{
	struct vhk_device *d;
	struct t_net t;
	int fd, host;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t5", &fd, 1), 0);
	ip("link set t5 up");
	host = host_side("t5");
	d = card(VHK_NET_TAP, &fd, 1);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | T_NF(STATUS), 2), 0);
	t_net_fill(&t, 0, 16);
	both_ways(&t, host, 0);
	ip("link set t5 down");
	t_frame(sent, 100, 1);
	T_EQ(t_net_send(&t, 1, NULL, sent, 100), 0);
	T_EQ(t_net_dropped(d, 1, VHK_NET_DROP_LINK), 1);
	ip("link set t5 up");
	close(host);
	host = host_side("t5");
	both_ways(&t, host, 0);
	T_EQ(__atomic_load_n(&errors, __ATOMIC_RELAXED), 0);
	ip("link del t5");
	T_OK(link_is(&t, 0));
	T_EQ(t_net_send(&t, 1, NULL, sent, 100), 0);
	T_EQ(t_net_dropped(d, 1, VHK_NET_DROP_LINK), 2);
	T_EQ(__atomic_load_n(&errors, __ATOMIC_RELAXED), 1);
	t_net_adds_up(d, 1);
	t_net_close(&t);
	/* the next driver finds a card without a link */
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | T_NF(STATUS), 2), 0);
	t_net_fill(&t, 0, 4);
	T_OK(link_is(&t, 0));
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
}

static void where_the_guest_is_now(void)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct vhk_device *d;
	struct t_net t;
	int fd, host;

	NEEDS_ROOT;
	T_EQ(vhk_net_open_tap("t6", &fd, 1), 0);
	ip("link set t6 up");
	host = host_side("t6");
	d = card(VHK_NET_TAP, &fd, 1);
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	T_EQ(vhk_ctl_send_rarp(t.ctl, mac), 0);
	do {
		if (!t_readable(host, 10000))
			break;
	} while (recv(host, got, sizeof(got), 0) != 60 || memcmp(got + 6, mac, 6) != 0);
	T_EQ(got[12] << 8 | got[13], 0x8035);
	T_EQ(memcmp(got + 22, mac, 6), 0);
	T_EQ(memcmp(got + 32, mac, 6), 0);
	t_net_close(&t);
	vhk_device_free(d);
	close(host);
}

static void what_is_no_tap_is_refused(void)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_TAP, .n_fds = 1 };
	struct vhk_device *d;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), fds = t_count_fds();

	o.fds = &fd;
	T_EQ(vhk_net_new(&d, &o), -EINVAL);
	T_EQ(t_count_fds(), fds - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	o.port = VHK_NET_PACKET;
	T_EQ(vhk_net_new(&d, &o), -EINVAL);
	T_EQ(t_count_fds(), fds - 1);
	T_EQ(vhk_net_open_tap("a name that is too long", &fd, 1), -EINVAL);
	T_EQ(vhk_net_open_tap("t", &fd, 0), -EINVAL);
}

int main(void)
{
	T_RUN(what_is_no_tap_is_refused);
	T_RUN(a_tap_carries_packets);
	T_RUN(packets_wait_for_buffers);
	T_RUN(offloads_are_what_was_negotiated);
	T_RUN(many_queues);
	T_RUN(a_macvtap_carries_packets);
	T_RUN(an_interface_carries_packets);
	T_RUN(a_tap_that_goes_down_or_away);
	T_RUN(where_the_guest_is_now);
	return t_end();
}
