// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: a driver that uses a network card of ours badly, through
 * /dev/vhost-vdpa-N. Its other end is the interface n0, which is up.
 *
 *   net_hostile frames PATH split|packed     broken frames, buffers and rings
 *   net_hostile changes PATH split|packed    reset, suspend, unmapping and close under load, and
 *                                            descriptors that change while they are read
 */
#include "vdpa_driver.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { RX, TX };

#define HDR 12u
#define FRAME 60u
#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT
#define BROKEN (-1)
#define NOTHING (-2)

static unsigned int n_tried, n_bad;
static int raw;

static void expect(const char *what, long got, long want)
{
	n_tried++;
	if (got == want)
		return;
	n_bad++;
	printf("%s: %ld, want %ld\n", what, got, want);
}

static long count(const char *name)
{
	char path[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/n0/statistics/%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &n) != 1)
		drv_fail(path);
	fclose(f);
	return n;
}

static void raw_open(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	a.sll_ifindex = (int)if_nametoindex("n0");
	TRY(raw);
	TRY(bind(raw, (void *)&a, sizeof(a)));
}

static void make_frame(unsigned char *f, unsigned char fill)
{
	memset(f, fill, FRAME);
	memset(f, 0xff, 6);
	memcpy(f + 6, "\2\0\0\0\0\7\x88\xb5", 8);
}

/* From the host's side. */
static void send_raw(void)
{
	unsigned char f[FRAME];

	make_frame(f, 0x33);
	if (send(raw, f, sizeof(f), 0) < 0 && errno != ENOBUFS && errno != EAGAIN &&
	    errno != ENETDOWN)
		drv_fail("send");
}

static void wait_carrier(void)
{
	unsigned int n;
	char c = '0';
	FILE *f;

	for (n = 0; n < 500 && c != '1'; n++) {
		f = fopen("/sys/class/net/n0/operstate", "r");
		if (f) {
			/* "up", and "down" or "lowerlayerdown" */
			c = fgetc(f) == 'u' ? '1' : '0';
			fclose(f);
		}
		if (c != '1')
			usleep(10000);
	}
}

static void start(struct driver *d, unsigned int queue, uint64_t without)
{
	uint64_t n;

	drv_set_status(d, 0);
	d->queue = queue;
	if (read(d->call, &n, sizeof(n)) < 0)
		n = 0;
	drv_start(d, without);
	if (queue == RX)
		wait_carrier();
}

static void put(struct driver *d, const struct split_desc *desc, unsigned int n, uint16_t head)
{
	unsigned int i;

	if (!d->packed) {
		memcpy(drv_split(d) + head, desc, n * sizeof(*desc));
		drv_offer(d, head);
		return;
	}
	for (i = n; i-- > 0;)
		drv_packed_put(d, i, desc[i].addr, desc[i].len, desc[i].flags, head);
	drv_packed_step(d, n);
}

static const struct split_desc good_out = { IOVA + AT_DATA, HDR + FRAME, 0, 0 };
static const struct split_desc good_in = { IOVA + AT_DATA, 2048, W, 0 };

/* One chain from the driver: its id comes back, or what drv_wait() says. */
static int transmit(struct driver *d, const struct split_desc *desc, unsigned int n)
{
	uint32_t len;

	put(d, desc, n, 0);
	drv_kick(d);
	return drv_wait(d, n, &len);
}

static void good_transmit(struct driver *d, const char *what)
{
	const long before = count("rx_packets");

	memset(d->mem + AT_DATA, 0, HDR);
	make_frame(d->mem + AT_DATA + HDR, 0x44);
	expect(what, transmit(d, &good_out, 1), 0);
	expect(what, count("rx_packets"), before + 1);
}

static const struct {
	const char *what;
	int want;
	long errors; /* counted as such */
	unsigned int n;
	struct split_desc desc[4];
} tx_cases[] = {
	{ "nothing", 0, 1, 1, { { IOVA + AT_DATA, 0, 0, 0 } } },
	{ "a byte", 0, 1, 1, { { IOVA + AT_DATA, 1, 0, 0 } } },
	{ "a header", 0, 1, 1, { { IOVA + AT_DATA, HDR, 0, 0 } } },
	{ "half an address", 0, 1, 1, { { IOVA + AT_DATA, HDR + 13, 0, 0 } } },
	{ "unmapped", 0, 1, 1, { { IOVA_NONE, HDR + FRAME, 0, 0 } } },
	{ "half mapped", 0, 1, 1, { { IOVA + MEM_SIZE - 30, HDR + FRAME, 0, 0 } } },
	{ "header mapped", 0, 1, 2,
	  { { IOVA + AT_DATA, HDR, N, 1 }, { IOVA_NONE, FRAME, 0, 0 } } },
	{ "wraps", 0, 1, 1, { { ~0ull - 20, HDR + FRAME, 0, 0 } } },
	{ "to be written", 0, 1, 1, { { IOVA + AT_DATA, HDR + FRAME, W, 0 } } },
	{ "much too long", 0, 1, 1, { { IOVA + AT_DATA, 0x100000, 0, 0 } } },
	{ "4 GiB of nothing", 0, 1, 1, { { IOVA_NONE, 0xffffffff, 0, 0 } } },
	{ "more than 4 GiB", BROKEN, 0, 2,
	  { { IOVA, 0xffffffff, N, 1 }, { IOVA, 0xffffffff, 0, 0 } } },
	{ "readable behind writable", BROKEN, 0, 2,
	  { { IOVA + AT_DATA, 16, N | W, 1 }, { IOVA + AT_DATA, 72, 0, 0 } } },
	{ "table nowhere", BROKEN, 0, 1, { { IOVA_NONE, 32, I, 0 } } },
	{ "odd table", BROKEN, 0, 1, { { IOVA + AT_TABLE, 17, I, 0 } } },
	{ "table and next", BROKEN, 0, 2,
	  { { IOVA + AT_TABLE, 16, I | N, 1 }, { IOVA + AT_DATA, 16, 0, 0 } } },
};

static void bad_frames(struct driver *d, uint64_t without)
{
	unsigned int i;
	long errors;

	start(d, TX, without);
	good_transmit(d, "the first");
	for (i = 0; i < sizeof(tx_cases) / sizeof(tx_cases[0]); i++) {
		errors = count("rx_errors");
		memset(d->mem + AT_DATA, 0, HDR);
		expect(tx_cases[i].what, transmit(d, tx_cases[i].desc, tx_cases[i].n),
		       tx_cases[i].want);
		expect(tx_cases[i].what, count("rx_errors"), errors + tx_cases[i].errors);
		if (tx_cases[i].want == BROKEN)
			start(d, TX, without);
		good_transmit(d, tx_cases[i].what);
	}
	/* A ring where nothing is. */
	d->ring_iova = IOVA_NONE;
	start(d, TX, without);
	drv_kick(d);
	expect("ring nowhere", transmit(d, &good_out, 1), BROKEN);
	d->ring_iova = IOVA;
	start(d, TX, without);
	good_transmit(d, "the last");
}

static void good_receive(struct driver *d, const char *what, uint16_t head)
{
	uint32_t len = 0;

	put(d, &good_in, 1, head);
	send_raw();
	expect(what, drv_wait(d, 1, &len), head);
	expect(what, len, HDR + FRAME);
	expect(what, d->mem[AT_DATA + HDR + FRAME - 1], 0x33);
}

static const struct {
	const char *what;
	int want;
	unsigned int n;
	struct split_desc desc[4];
} rx_cases[] = {
	{ "nothing", 0, 1, { { IOVA + AT_DATA, 0, W, 0 } } },
	{ "a byte", 0, 1, { { IOVA + AT_DATA, 1, W, 0 } } },
	{ "less than a header", 0, 1, { { IOVA + AT_DATA, HDR - 1, W, 0 } } },
	{ "to be read", 0, 1, { { IOVA + AT_DATA, 2048, 0, 0 } } },
	{ "unmapped", 0, 1, { { IOVA_NONE, 2048, W, 0 } } },
	{ "half mapped", 0, 1, { { IOVA + MEM_SIZE - 20, 2048, W, 0 } } },
	{ "wraps", 0, 1, { { ~0ull - 20, 2048, W, 0 } } },
	{ "read-only", 0, 1, { { IOVA_RO, 2048, W, 0 } } },
	{ "more than 4 GiB", BROKEN, 2,
	  { { IOVA, 0xffffffff, N | W, 1 }, { IOVA, 0xffffffff, W, 0 } } },
	{ "table nowhere", BROKEN, 1, { { IOVA_NONE, 32, I, 0 } } },
};

/* What cannot be used comes back empty, and the next is used. */
static void bad_buffers(struct driver *d, uint64_t without)
{
	unsigned int i;
	uint32_t len;
	long lost;

	start(d, RX, without);
	good_receive(d, "the first", 0);
	memset(d->mem + AT_RO, 0x55, RO_SIZE);
	for (i = 0; i < sizeof(rx_cases) / sizeof(rx_cases[0]); i++) {
		lost = count("tx_errors");
		put(d, rx_cases[i].desc, rx_cases[i].n, 0);
		send_raw();
		len = 77;
		expect(rx_cases[i].what, drv_wait(d, rx_cases[i].n, &len), rx_cases[i].want);
		expect(rx_cases[i].what, len, rx_cases[i].want == BROKEN ? 77 : 0);
		expect(rx_cases[i].what, count("tx_errors"), lost + 1);
		if (rx_cases[i].want == BROKEN)
			start(d, RX, without);
		good_receive(d, rx_cases[i].what, 8);
	}
	expect("nothing was written there", d->mem[AT_RO], 0x55);
}

/* A frame over many buffers, one of which cannot be used. */
static void bad_in_the_middle(struct driver *d, uint64_t without)
{
	const struct split_desc small = { IOVA + AT_DATA, 20, W, 0 };
	const struct split_desc none = { IOVA_NONE, 20, W, 0 };
	uint32_t len = 77;
	uint16_t i;

	start(d, RX, without);
	for (i = 0; i < 4; i++)
		put(d, &small, 1, i);
	send_raw();
	for (i = 0; i < 4; i++) {
		expect("one of four", drv_wait(d, 1, &len), i);
		expect("its length", len, i < 3 ? 20 : 12);
	}
	put(d, &small, 1, 0);
	put(d, &none, 1, 1);
	put(d, &small, 1, 2);
	send_raw();
	for (i = 0; i < 2; i++) {
		expect("one of two", drv_wait(d, 1, &len), i);
		expect("its length", len, 0);
	}
	/* Too few: nothing is used before there are enough. */
	send_raw();
	usleep(20000);
	expect("used of too few", drv_get(d, 1, &len), -1);
	put(d, &good_in, 1, 3);
	drv_kick(d);
	expect("the first of two", drv_wait(d, 1, &len), 2);
	expect("its length", len, 20);
	expect("the second of two", drv_wait(d, 1, &len), 3);
	expect("its length", len, HDR + FRAME - 20);
}

/* A process that does one thing again and again, until it is killed. */
static pid_t again(void (*fn)(void *arg), void *arg)
{
	const pid_t pid = fork();

	TRY(pid);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		fn(arg);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void flood(void *arg)
{
	(void)arg;
	send_raw();
}

static void flip(void *arg)
{
	struct driver *d = arg;
	static uint32_t x = 88172645;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		/* Lengths, flags, the next ones: of the descriptors in use. */
		((volatile uint8_t *)d->mem)[AT_DESC + 8 + (x & 7) + 16 * (x >> 8 & 3)] =
			(uint8_t)(x >> 16);
	}
}

static void refill(struct driver *d)
{
	uint16_t i;

	for (i = 0; i < SIZE; i++)
		put(d, &good_in, 1, i);
	drv_kick(d);
}

static void take_all(struct driver *d)
{
	uint32_t len;
	int id;

	while ((id = drv_get(d, 1, &len)) >= 0 && id < (int)SIZE)
		put(d, &good_in, 1, (uint16_t)id);
	drv_kick(d);
}

static bool is_still(const struct driver *d)
{
	unsigned int i;

	for (i = 0; i < 2048; i++)
		if (d->mem[AT_DATA + i] != 0x77)
			return false;
	return true;
}

/* While the host sends all the time. */
static void changes_to(struct driver *d, uint64_t without)
{
	const pid_t sender = again(flood, NULL);
	struct vhost_vring_state base = { 0 };
	unsigned int i, k;

	for (i = 0; i < 24; i++) {
		drv_open(d);
		start(d, RX, without);
		refill(d);
		for (k = 0; k < 50; k++)
			take_all(d);
		switch (i % 4) {
		case 0:
			TRY(ioctl(d->fd, VHOST_VDPA_SUSPEND));
			TRY(ioctl(d->fd, VHOST_GET_VRING_BASE, &base));
			if (!d->packed)
				expect("position", base.num & 0xffff, *drv_used_idx(d));
			break;
		case 1:
			TRY(drv_iotlb(d, VHOST_IOTLB_INVALIDATE, IOVA, NULL, MEM_SIZE, 0));
			break;
		case 2:
			drv_set_status(d, 0);
			break;
		}
		if (i % 4 != 3) {
			memset(d->mem + AT_DATA, 0x77, 2048);
			usleep(20000);
			expect("nothing is written any more", is_still(d), 1);
		}
		drv_close(d);
	}
	end(sender);
}

/* While descriptors change under the device: whatever comes of it, it can be used again. */
static void changes_from(struct driver *d, uint64_t without)
{
	unsigned int i, k;
	uint32_t len;
	pid_t other;

	drv_open(d);
	for (i = 0; i < 12; i++) {
		start(d, i & 1 ? RX : TX, without);
		other = again(flip, d);
		for (k = 0; k < 300; k++) {
			put(d, i & 1 ? &good_in : &good_out, 1, (uint16_t)(k % 4));
			drv_kick(d);
			if (i & 1)
				send_raw();
			drv_get(d, 1, &len);
		}
		end(other);
		start(d, TX, without);
		good_transmit(d, "after that");
	}
	drv_close(d);
}

int main(int argc, char **argv)
{
	struct driver d = { 0 };
	uint64_t without;

	if (argc < 4)
		return 2;
	d.path = argv[2];
	without = 1ull << IN_ORDER;
	if (!strcmp(argv[3], "split"))
		without |= 1ull << PACKED;
	raw_open();
	if (!strcmp(argv[1], "frames")) {
		drv_open(&d);
		bad_frames(&d, without);
		bad_buffers(&d, without);
		bad_in_the_middle(&d, without);
		drv_close(&d);
	} else {
		changes_to(&d, without);
		changes_from(&d, without);
	}
	printf("%s %s: %u cases, %u wrong\n", argv[1], argv[3], n_tried, n_bad);
	return n_bad > 0;
}
