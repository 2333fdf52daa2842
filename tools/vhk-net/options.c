// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The command line.
 */
#include <stdio.h>
#include <string.h>

#include "vhk-net.h"

static const char usage[] =
	"usage: vhk-net --socket-path=PATH|--fd=N... [option]...\n"
	"\n"
	"Serves virtio network cards over vhost-user: one on a tap, an interface or a way of\n"
	"measuring, or several, one for each socket, that are joined by a switch.\n"
	"\n"
	"  --socket-path=PATH    listen there; may be given again, for another card\n"
	"  --fd=N                use the socket that is file descriptor N; likewise\n"
	"  --client              connect to the sockets instead of listening\n"
	"  --tap=NAME            tap at the other end, made where it is not there\n"
	"  --macvtap=NAME        macvtap at the other end\n"
	"  --interface=NAME      interface of the host at the other end, by a packet socket\n"
	"  --forward=MODE        io: send everything back; mac: with addresses exchanged;\n"
	"                        rxonly: take packets; txonly: make packets\n"
	"  --queue-pairs=N       pairs of queues of each card, 1 to 64 (1)\n"
	"  --queue-size=N        largest queue, 4 to 32768, a power of two (1024)\n"
	"  --mac=ADDRESS         of the first card; the next ones count on\n"
	"  --mtu=BYTES           told to the driver, 68 to 65535\n"
	"  --frame-size=BYTES    with --forward=txonly: 14 to 65535 (60)\n"
	"  --addresses=N         that the switch remembers, 1 to 1048576 (4096)\n"
	"  --flood-pps=N         packets for everybody that a card may send in a second (20000)\n"
	"  --threads=N           serve the pairs from N threads (0: all in one)\n"
	"  --poll-us=N           spin up to N microseconds before sleeping (64; 0: never)\n"
	"  --no-io-uring         use epoll\n"
	"  --log-level=LEVEL     error, warn, info or debug (warn)\n"
	"  --print-capabilities  print what the program can do as JSON\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM ends it, SIGUSR1 prints statistics, SIGUSR2 has the guests announce themselves.\n";

enum {
	O_SOCKET_PATH = 256,
	O_FD,
	O_CLIENT,
	O_TAP,
	O_MACVTAP,
	O_INTERFACE,
	O_FORWARD,
	O_QUEUE_PAIRS,
	O_QUEUE_SIZE,
	O_MAC,
	O_MTU,
	O_FRAME_SIZE,
	O_ADDRESSES,
	O_FLOOD_PPS,
	O_THREADS,
	O_POLL_US,
	O_NO_IO_URING,
	O_LOG_LEVEL,
};

static const struct option table[] = {
	{ "socket-path", required_argument, NULL, O_SOCKET_PATH },
	{ "fd", required_argument, NULL, O_FD },
	{ "client", no_argument, NULL, O_CLIENT },
	{ "tap", required_argument, NULL, O_TAP },
	{ "macvtap", required_argument, NULL, O_MACVTAP },
	{ "interface", required_argument, NULL, O_INTERFACE },
	{ "forward", required_argument, NULL, O_FORWARD },
	{ "queue-pairs", required_argument, NULL, O_QUEUE_PAIRS },
	{ "queue-size", required_argument, NULL, O_QUEUE_SIZE },
	{ "mac", required_argument, NULL, O_MAC },
	{ "mtu", required_argument, NULL, O_MTU },
	{ "frame-size", required_argument, NULL, O_FRAME_SIZE },
	{ "addresses", required_argument, NULL, O_ADDRESSES },
	{ "flood-pps", required_argument, NULL, O_FLOOD_PPS },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "poll-us", required_argument, NULL, O_POLL_US },
	{ "no-io-uring", no_argument, NULL, O_NO_IO_URING },
	{ "log-level", required_argument, NULL, O_LOG_LEVEL },
	CLI_OPTIONS,
};

/* What an option takes, for whoever gave something else. */
static const char *takes(int opt)
{
	switch (opt) {
	case O_FD:
		return "the number of an open file descriptor";
	case O_TAP:
	case O_MACVTAP:
	case O_INTERFACE:
		return "the name of an interface, up to 15 bytes without slash, colon or blank";
	case O_FORWARD:
		return "io, mac, rxonly or txonly";
	case O_QUEUE_PAIRS:
		return "1 to 64";
	case O_QUEUE_SIZE:
		return "a power of two from 4 to 32768";
	case O_MAC:
		return "an address of a card, as 02:00:00:00:00:01";
	case O_MTU:
		return "68 to 65535";
	case O_FRAME_SIZE:
		return "14 to 65535";
	case O_ADDRESSES:
		return "1 to 1048576";
	case O_FLOOD_PPS:
		return "1 to 1000000000";
	case O_THREADS:
		return "0 to 64";
	case O_POLL_US:
		return "0 to 1000000";
	case O_LOG_LEVEL:
		return "error, warn, info or debug";
	default:
		return "a path";
	}
}

static bool forward(struct options *o, const char *text)
{
	static const char *const names[] = { "io", "mac", "rxonly", "txonly", NULL };
	const int i = cli_word(text, names);

	o->port = (enum vhk_net_port)(VHK_NET_IO + i);
	return i >= 0;
}

static bool mac(struct options *o, const char *text)
{
	static const uint8_t none[6];
	unsigned int b[6], i;
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    text[end] || end != 17)
		return false;
	for (i = 0; i < 6; i++)
		o->net.mac[i] = (uint8_t)b[i];
	return !(b[0] & 1) && memcmp(o->net.mac, none, 6) != 0;
}

static bool take_number(struct options *o, int opt, const char *text)
{
	uint64_t v = 0;
	bool ok = true;

	switch (opt) {
	case O_QUEUE_PAIRS:
		ok = cli_number(text, 1, VHK_NET_PAIRS_MAX, &v);
		o->net.num_pairs = (uint16_t)v;
		break;
	case O_QUEUE_SIZE:
		ok = cli_power_of_2(text, 4, 32768, &v);
		o->net.queue_size = (uint16_t)v;
		break;
	case O_MTU:
		ok = cli_number(text, 68, 65535, &v);
		o->net.mtu = (uint16_t)v;
		break;
	case O_FRAME_SIZE:
		ok = cli_number(text, 14, 65535, &v);
		o->net.frame_len = (uint32_t)v;
		break;
	case O_ADDRESSES:
		ok = cli_number(text, 1, 1048576, &v);
		o->sw.addresses = (uint32_t)v;
		break;
	case O_FLOOD_PPS:
		ok = cli_number(text, 1, 1000000000, &v);
		o->sw.flood_pps = (uint32_t)v;
		break;
	case O_THREADS:
		ok = cli_number(text, 0, 64, &v);
		o->threads = (unsigned int)v;
		break;
	}
	return ok;
}

/* One more than there may be is counted and not kept: options_fit() says so. */
static bool add_door(struct options *o, const char *path, const char *fd)
{
	uint64_t v = 0;

	if ((path && !*path) || (fd && !cli_number(fd, 0, INT32_MAX, &v)))
		return false;
	if (o->n < CARDS_MAX)
		o->door[o->n] = (struct door){ .path = path, .fd = path ? -1 : (int)v };
	o->n += o->n <= CARDS_MAX;
	return true;
}

/* Whether there can be one of this name the kernel says so, too, but with no more than EINVAL. */
static bool interface(const char **name, const char *text)
{
	*name = text;
	return *text && strlen(text) < 16 && !strpbrk(text, "/: \t\n\v\f\r") &&
	       strcmp(text, ".") && strcmp(text, "..");
}

/* False: the value does not fit the option. */
static bool take(void *arg, int opt, const char *text)
{
	struct options *o = arg;

	switch (opt) {
	case O_SOCKET_PATH:
		return add_door(o, text, NULL);
	case O_FD:
		return add_door(o, NULL, text);
	case O_CLIENT:
		o->client = true;
		return true;
	case O_TAP:
		return interface(&o->tap, text);
	case O_MACVTAP:
		return interface(&o->macvtap, text);
	case O_INTERFACE:
		return interface(&o->packet, text);
	case O_FORWARD:
		return forward(o, text);
	case O_MAC:
		return mac(o, text);
	case O_NO_IO_URING:
		o->loop.engine = VHK_LOOP_EPOLL;
		return true;
	case O_LOG_LEVEL:
		return cli_log_level(&o->net.log, text);
	case O_POLL_US:
		return cli_poll_us(&o->loop, text);
	default:
		return take_number(o, opt, text);
	}
}

static bool has_fd(const struct options *o)
{
	unsigned int i;

	for (i = 0; i < o->n; i++)
		if (!o->door[i].path)
			return true;
	return false;
}

/* The other end that was asked for; with several cards it is a switch, a tap one of its ports. */
static bool choose_port(struct options *o)
{
	const unsigned int ways = !!o->tap + !!o->macvtap + !!o->packet + !!o->port;

	if (ways > 1)
		say("--tap, --macvtap, --interface and --forward exclude each other");
	else if (o->n == 1 && !ways)
		say("one card needs --tap, --macvtap, --interface or --forward, or another card");
	else if (o->n > 1 && o->packet)
		say("--interface is for one card: a switch takes --tap or --macvtap");
	else if (o->port)
		return true;
	else {
		o->port = o->n > 1 ? VHK_NET_SWITCH : o->packet ? VHK_NET_PACKET : VHK_NET_TAP;
		return true;
	}
	return false;
}

bool options_fit(struct options *o)
{
	if (o->n > CARDS_MAX) {
		say("more than %d sockets", CARDS_MAX);
		return false;
	}
	if (!choose_port(o))
		return false;
	if (o->client && has_fd(o))
		say("--client needs --socket-path, not --fd");
	else if (o->port == VHK_NET_PACKET && o->net.num_pairs > 1)
		say("--interface has one pair of queues");
	else if (o->port == VHK_NET_SWITCH && o->threads > 1)
		say("a switch runs in one thread");
	else if (o->port != VHK_NET_SWITCH && (o->sw.addresses || o->sw.flood_pps))
		say("--addresses and --flood-pps are a switch's");
	else if (o->net.frame_len && o->port != VHK_NET_TXONLY)
		say("--frame-size needs --forward=txonly");
	else if (o->threads > o->n * o->net.num_pairs)
		say("--threads=%u is more than there are pairs of queues", o->threads);
	else
		return true;
	return false;
}

static void defaults(struct options *o)
{
	*o = (struct options){
		.loop = { .sz = sizeof(o->loop) },
		.net = { .sz = sizeof(o->net), .num_pairs = 1 },
		.sw = { .sz = sizeof(o->sw) },
	};
	o->net.log = (struct vhk_log){ .fn = say_log, .level = VHK_LOG_WARN };
}

enum cli_result options_read(struct options *o, int argc, char **argv)
{
	static const struct cli cli = {
		.usage = usage,
		.capabilities = "{\"type\":\"net\",\"features\":[]}",
		.table = table,
		.take = take,
		.takes = takes,
	};
	enum cli_result result;

	defaults(o);
	result = cli_read(&cli, argc, argv, o);
	o->loop.log = o->sw.log = o->net.log;
	return result;
}
