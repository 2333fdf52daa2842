// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The command line.
 */
#include <string.h>

#include "vhk-blk.h"

#define QUEUES_DEFAULT 16

static const char usage[] =
	"usage: vhk-blk --blk-file=PATH --socket-path=PATH|--fd=N|--vduse=NAME [option]...\n"
	"\n"
	"Serves a file or block device as a virtio disk over vhost-user or VDUSE.\n"
	"\n"
	"  --socket-path=PATH    listen there\n"
	"  --fd=N                use the socket that is file descriptor N\n"
	"  --client              connect to the socket instead of listening\n"
	"  --hand-over=PATH      let another vhk-blk take the guest over, by a socket there\n"
	"  --take-over=PATH      take over from who was started with --hand-over=PATH\n"
	"  --vduse=NAME          be the vDPA device NAME of this host\n"
	"  --no-attach           leave it to vdpa(8) to put it on the vDPA bus\n"
	"  --keep                leave it there at the end, for the next server\n"
	"  --inflight-file=PATH  where VDUSE's requests under way are noted\n"
	"  --no-packed           offer VDUSE no packed rings\n"
	"  --blk-file=PATH       image or block device\n"
	"  --read-only           refuse writes\n"
	"  --direct              leave out the page cache (O_DIRECT)\n"
	"  --pin-memory          keep the guest's memory pinned (see the man page first)\n"
	"  --incoming            another server has the image until the guest comes here\n"
	"  --postcopy            a guest may come before its memory has\n"
	"  --serial=TEXT         what the disk calls itself, up to 20 bytes\n"
	"  --block-size=BYTES    logical block size, 512 to 4096\n"
	"  --num-queues=N        queues offered, 1 to 256 (16)\n"
	"  --queue-size=N        largest queue, 4 to 32768, a power of two (1024)\n"
	"  --threads=N           serve the queues from N threads (0: all in one)\n"
	"  --poll-us=N           spin up to N microseconds before sleeping (64; 0: never)\n"
	"  --coalesce-us=N       hold calls back for up to N microseconds (0)\n"
	"  --notify=HOW          kicks and calls: mux (/dev/vhostkit), poll, or auto (auto)\n"
	"  --no-io-uring         use epoll and Linux AIO\n"
	"  --log-level=LEVEL     error, warn, info or debug (warn)\n"
	"  --print-capabilities  print what the program can do as JSON\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM ends it, SIGHUP looks at the image's size again, SIGUSR1 prints statistics.\n";

enum {
	O_SOCKET_PATH = 256,
	O_FD,
	O_CLIENT,
	O_HAND_OVER,
	O_TAKE_OVER,
	O_VDUSE,
	O_NO_ATTACH,
	O_KEEP,
	O_INFLIGHT_FILE,
	O_NO_PACKED,
	O_BLK_FILE,
	O_READ_ONLY,
	O_DIRECT_IO,
	O_PIN_MEMORY,
	O_INCOMING,
	O_POSTCOPY,
	O_SERIAL,
	O_BLOCK_SIZE,
	O_NUM_QUEUES,
	O_QUEUE_SIZE,
	O_THREADS,
	O_POLL_US,
	O_COALESCE_US,
	O_NOTIFY,
	O_NO_IO_URING,
	O_LOG_LEVEL,
};

static const struct option table[] = {
	{ "socket-path", required_argument, NULL, O_SOCKET_PATH },
	{ "fd", required_argument, NULL, O_FD },
	{ "client", no_argument, NULL, O_CLIENT },
	{ "hand-over", required_argument, NULL, O_HAND_OVER },
	{ "take-over", required_argument, NULL, O_TAKE_OVER },
	{ "vduse", required_argument, NULL, O_VDUSE },
	{ "no-attach", no_argument, NULL, O_NO_ATTACH },
	{ "keep", no_argument, NULL, O_KEEP },
	{ "inflight-file", required_argument, NULL, O_INFLIGHT_FILE },
	{ "no-packed", no_argument, NULL, O_NO_PACKED },
	{ "blk-file", required_argument, NULL, O_BLK_FILE },
	{ "read-only", no_argument, NULL, O_READ_ONLY },
	{ "direct", no_argument, NULL, O_DIRECT_IO },
	{ "incoming", no_argument, NULL, O_INCOMING },
	{ "pin-memory", no_argument, NULL, O_PIN_MEMORY },
	{ "postcopy", no_argument, NULL, O_POSTCOPY },
	{ "serial", required_argument, NULL, O_SERIAL },
	{ "block-size", required_argument, NULL, O_BLOCK_SIZE },
	{ "num-queues", required_argument, NULL, O_NUM_QUEUES },
	{ "queue-size", required_argument, NULL, O_QUEUE_SIZE },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "poll-us", required_argument, NULL, O_POLL_US },
	{ "coalesce-us", required_argument, NULL, O_COALESCE_US },
	{ "notify", required_argument, NULL, O_NOTIFY },
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
	case O_VDUSE:
		return "a name of up to 255 bytes, printable, without a slash, not \"control\"";
	case O_SERIAL:
		return "up to 20 bytes";
	case O_BLOCK_SIZE:
		return "512, 1024, 2048 or 4096";
	case O_NUM_QUEUES:
		return "1 to 256";
	case O_QUEUE_SIZE:
		return "a power of two from 4 to 32768";
	case O_THREADS:
		return "0 to 256";
	case O_POLL_US:
	case O_COALESCE_US:
		return "0 to 1000000";
	case O_NOTIFY:
		return "auto, mux or poll";
	case O_LOG_LEVEL:
		return "error, warn, info or debug";
	default:
		return "a path";
	}
}

static bool notify(struct options *o, const char *text)
{
	static const char *const names[] = { "auto", "mux", "poll", NULL };
	const int i = cli_word(text, names);

	if (i >= 0)
		o->loop.notify = (enum vhk_loop_notify)i;
	return i >= 0;
}

static bool take_number(struct options *o, int opt, const char *text)
{
	uint64_t v = 0;
	bool ok = true;

	switch (opt) {
	case O_FD:
		ok = cli_number(text, 0, INT32_MAX, &v);
		o->door.fd = (int)v;
		break;
	case O_BLOCK_SIZE:
		ok = cli_power_of_2(text, 512, 4096, &v);
		o->blk.block_size = (uint32_t)v;
		break;
	case O_NUM_QUEUES:
		ok = cli_number(text, 1, 256, &v);
		o->blk.num_queues = (uint16_t)v;
		break;
	case O_QUEUE_SIZE:
		ok = cli_power_of_2(text, 4, 32768, &v);
		o->blk.queue_size = (uint16_t)v;
		break;
	case O_THREADS:
		ok = cli_number(text, 0, 256, &v);
		o->threads = (unsigned int)v;
		break;
	case O_COALESCE_US:
		ok = cli_number(text, 0, 1000000, &v);
		o->coalesce_us = (uint32_t)v;
		break;
	}
	return ok;
}

/* It names a file beside VDUSE's own, and stands in lines of the log. */
static bool device_name(const char *text)
{
	const char *c;

	for (c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127 || *c == '/')
			return false;
	return c > text && c - text < 256 && strcmp(text, ".") && strcmp(text, "..") &&
	       strcmp(text, "control");
}

static bool take_vduse(struct options *o, int opt, const char *text)
{
	switch (opt) {
	case O_VDUSE:
		o->vduse = text;
		return device_name(text);
	case O_INFLIGHT_FILE:
		o->inflight = text;
		return *text;
	case O_NO_ATTACH:
		o->attach = false;
		break;
	case O_KEEP:
		o->keep = true;
		break;
	case O_NO_PACKED:
		o->packed = false;
		break;
	}
	return true;
}

/* False: the value does not fit the option. */
static bool take(void *arg, int opt, const char *text)
{
	struct options *o = arg;

	switch (opt) {
	case O_SOCKET_PATH:
		o->door.path = text;
		return *text;
	case O_CLIENT:
		o->door.client = true;
		return true;
	case O_HAND_OVER:
		o->hand_over = text;
		return *text;
	case O_TAKE_OVER:
		o->take_over = text;
		return *text;
	case O_VDUSE:
	case O_INFLIGHT_FILE:
	case O_NO_ATTACH:
	case O_KEEP:
	case O_NO_PACKED:
		return take_vduse(o, opt, text);
	case O_BLK_FILE:
		o->blk.path = text;
		return *text;
	case O_READ_ONLY:
		o->blk.flags |= VHK_BLK_F_READ_ONLY;
		return true;
	case O_INCOMING:
		o->blk.flags |= VHK_BLK_F_INCOMING;
		return true;
	case O_POSTCOPY:
		o->postcopy = true;
		return true;
	case O_DIRECT_IO:
		o->blk.flags |= VHK_BLK_F_DIRECT;
		return true;
	case O_PIN_MEMORY:
		o->loop.flags |= VHK_LOOP_F_PIN;
		return true;
	case O_SERIAL:
		o->blk.serial = text;
		return strlen(text) <= 20;
	case O_NO_IO_URING:
		o->loop.engine = VHK_LOOP_EPOLL;
		return true;
	case O_NOTIFY:
		return notify(o, text);
	case O_LOG_LEVEL:
		return cli_log_level(&o->blk.log, text);
	case O_POLL_US:
		return cli_poll_us(&o->loop, text);
	default:
		return take_number(o, opt, text);
	}
}

/* What was given fits together. */
static bool fits(const struct options *o)
{
	if (!o->blk.path)
		say("--blk-file is missing");
	else if (o->door.path && o->door.fd >= 0)
		say("--socket-path and --fd exclude each other");
	else if (o->vduse && (o->door.path || o->door.fd >= 0))
		say("--vduse excludes --socket-path and --fd");
	else if (o->vduse && o->blk.flags & VHK_BLK_F_INCOMING)
		say("--vduse excludes --incoming: no guest is migrated to a device of this host");
	else if (o->vduse && o->postcopy)
		say("--vduse excludes --postcopy: no guest is migrated to a device of this host");
	else if (o->loop.flags & VHK_LOOP_F_PIN && o->loop.engine == VHK_LOOP_EPOLL)
		say("--pin-memory excludes --no-io-uring: it is io_uring that pins it");
	else if (o->loop.flags & VHK_LOOP_F_PIN && o->postcopy)
		say("--pin-memory excludes --postcopy: what has not arrived cannot be pinned");
	else if (o->loop.flags & VHK_LOOP_F_PIN && o->vduse)
		say("--pin-memory excludes --vduse: its device has its memory in pages of its own");
	else if (!o->vduse && (o->inflight || !o->attach || o->keep || !o->packed))
		say("--inflight-file, --no-attach, --keep and --no-packed need --vduse");
	else if (o->door.client && !o->door.path)
		say("--client needs --socket-path");
	else if (o->vduse && (o->hand_over || o->take_over))
		say("--vduse excludes --hand-over and --take-over: its device waits by itself");
	else if (o->take_over && o->door.fd >= 0)
		say("--take-over excludes --fd: it has its socket from the other server");
	else if (o->take_over && o->door.client)
		say("--take-over excludes --client: it does what the other server did");
	else if (o->take_over && o->blk.flags & VHK_BLK_F_INCOMING)
		say("--take-over excludes --incoming: the guest is here already");
	else if (o->threads > o->blk.num_queues)
		say("--threads=%u is more than the %u queues", o->threads, o->blk.num_queues);
	else
		return true;
	return false;
}

static void defaults(struct options *o)
{
	*o = (struct options){
		.door = { .fd = -1 },
		.attach = true,
		.packed = true,
		.loop = { .sz = sizeof(o->loop) },
		.blk = { .sz = sizeof(o->blk),
			 .flags = VHK_BLK_F_MAP,
			 .num_queues = QUEUES_DEFAULT },
	};
	o->blk.log = (struct vhk_log){ .fn = say_log, .level = VHK_LOG_WARN };
}

enum cli_result options_read(struct options *o, int argc, char **argv)
{
	static const struct cli cli = {
		.usage = usage,
		.capabilities = "{\"type\":\"block\",\"features\":[\"read-only\",\"blk-file\"]}",
		.table = table,
		.take = take,
		.takes = takes,
	};
	enum cli_result result;

	defaults(o);
	result = cli_read(&cli, argc, argv, o);
	if (result != CLI_GO)
		return result;
	o->loop.log = o->blk.log;
	/* A page is waited for in another thread than front ends are answered in. */
	if (o->postcopy && !o->threads)
		o->threads = 1;
	return fits(o) ? CLI_GO : CLI_WRONG;
}
