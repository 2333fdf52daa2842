// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk blk read, write and copy: bytes flow from a source to a sink, each a disk or a file. Disks
 * read ahead and write behind, several requests deep; what flows between is in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"
#include "commands.h"
#include "image.h"
#include "say.h"
#include "uri.h"

#define WAIT_MS 5000

/* One end. */
struct end {
	const char *name;
	struct disk *d; /* or */
	int fd;
	struct stat st; /* of the file */
	bool locked;
	uint64_t at, end; /* next request, and where they end (UINT64_MAX: unknown) */
	struct disk_req **ahead; /* a disk as source: what was asked for, oldest first */
	unsigned int first, n_ahead;
	unsigned char *buf; /* a file as source */
};

struct copy {
	const struct blk_args *a;
	struct end from, to;
	struct progress bar;
	uint64_t moved;
};

static int end_failed(const struct end *e, int ret, const struct disk_req *r)
{
	return say_error(ret, "%s: %s at %" PRIu64, e->name,
			 r->type == VIRTIO_BLK_T_IN ? "read" : "write", r->at);
}

/* Fetches answers; a write's request is free then, a read's is kept until its turn. */
static int end_reap(struct end *e)
{
	struct disk_req *done[16];
	int i, n, ret;

	n = disk_reap(e->d, 0, done, 16);
	if (n < 0)
		return say_error(n, "%s", e->name);
	for (i = 0; i < n; i++) {
		ret = disk_result(done[i]);
		if (ret)
			return end_failed(e, ret, done[i]);
		if (done[i]->type != VIRTIO_BLK_T_IN)
			disk_put(e->d, done[i]);
	}
	return 0;
}

static int end_wait(struct end *e, const struct blk_args *a)
{
	int ret = disk_wait(e->d, a->disk.timeout_ms ? (int)a->disk.timeout_ms : WAIT_MS);

	return ret ? say_error(ret, "%s", e->name) : end_reap(e);
}

static int submit(struct end *e, struct disk_req *r)
{
	int ret = disk_submit(e->d, r);

	if (!ret)
		ret = disk_publish(e->d, 0);
	return ret < 0 ? say_error(ret, "%s", e->name) : 0;
}

static int read_ahead(struct end *e, uint32_t block)
{
	struct disk_req *r;

	while (e->at < e->end && (r = disk_get(e->d, 0))) {
		r->type = VIRTIO_BLK_T_IN;
		r->at = e->at;
		r->len = (uint32_t)(e->end - e->at < block ? e->end - e->at : block);
		e->ahead[(e->first + e->n_ahead++) % e->d->depth] = r;
		e->at += r->len;
		if (submit(e, r))
			return EXIT_FAILED;
	}
	return 0;
}

/* The next piece in order; *len 0: there is none left. The piece is valid until the next call. */
static int from_disk(struct copy *c, unsigned char **data, size_t *len)
{
	struct end *e = &c->from;
	struct disk_req *r;

	*len = 0;
	if (read_ahead(e, c->a->disk.block))
		return EXIT_FAILED;
	if (!e->n_ahead)
		return 0;
	r = e->ahead[e->first];
	while (!r->done)
		if (end_wait(e, c->a))
			return EXIT_FAILED;
	*data = r->data;
	*len = r->len;
	return 0;
}

static void from_disk_next(struct end *e)
{
	disk_put(e->d, e->ahead[e->first]);
	e->first = (e->first + 1) % e->d->depth;
	e->n_ahead--;
}

static int from_file(struct copy *c, unsigned char **data, size_t *len)
{
	struct end *e = &c->from;
	uint64_t want = e->end - e->at < c->a->disk.block ? e->end - e->at : c->a->disk.block;
	ssize_t n;

	*data = e->buf;
	for (*len = 0; *len < want; *len += (size_t)n) {
		n = read(e->fd, e->buf + *len, want - *len);
		if (n < 0 && errno != EINTR)
			return say_error(-errno, "%s", e->name);
		if (!n)
			break;
		if (n < 0)
			n = 0;
	}
	e->at += *len;
	return 0;
}

static int to_file(struct copy *c, const unsigned char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(c->to.fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say_error(-errno, "%s", c->to.name);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int end_drain(struct end *e, const struct blk_args *a)
{
	while (disk_outstanding(e->d))
		if (end_wait(e, a))
			return EXIT_FAILED;
	return 0;
}

/* What was written is on the medium. */
static int end_flush(struct copy *c)
{
	struct end *e = &c->to;
	struct disk_req *r;

	if (end_drain(e, c->a))
		return EXIT_FAILED;
	if (!(vhk_ctl_features(e->d->ctl) & 1ull << VIRTIO_BLK_F_FLUSH))
		return 0;
	r = disk_get(e->d, 0);
	r->type = VIRTIO_BLK_T_FLUSH;
	r->at = 0;
	r->len = 0;
	return submit(e, r) ? EXIT_FAILED : end_drain(e, c->a);
}

static int to_disk(struct copy *c, const unsigned char *data, size_t len)
{
	struct end *e = &c->to;
	struct disk_req *r;

	if (len % e->d->sector) {
		say("%s: %zu bytes at its end are no whole block of %u; %" PRIu64
		    " bytes before were written",
		    c->from.name, len % e->d->sector, e->d->sector, c->moved);
		return end_flush(c) | EXIT_FAILED;
	}
	if (len > e->end - e->at) {
		say("%s: is longer than its place on %s; its first %" PRIu64 " bytes were written",
		    c->from.name, e->name, c->moved);
		return end_flush(c) | EXIT_FAILED;
	}
	while (!(r = disk_get(e->d, 0)))
		if (end_wait(e, c->a))
			return EXIT_FAILED;
	r->type = VIRTIO_BLK_T_OUT;
	r->at = e->at;
	r->len = (uint32_t)len;
	memcpy(r->data, data, len);
	e->at += len;
	return submit(e, r);
}

static int copy_flow(struct copy *c)
{
	unsigned char *data = NULL;
	size_t len;
	int ret;

	for (;;) {
		ret = c->from.d ? from_disk(c, &data, &len) : from_file(c, &data, &len);
		if (ret || !len)
			break;
		ret = c->to.d ? to_disk(c, data, len) : to_file(c, data, len);
		if (ret)
			break;
		if (c->from.d)
			from_disk_next(&c->from);
		c->moved += len;
		progress_set(&c->bar, c->moved);
	}
	return ret || !c->to.d ? ret : end_flush(c);
}

/* A disk was asked beforehand how long it is. */
static int check_length(const struct copy *c)
{
	if (!c->a->length || c->moved >= c->a->length)
		return 0;
	say("%s: ended after %" PRIu64 " of %" PRIu64 " bytes", c->from.name, c->moved,
	    c->a->length);
	return EXIT_FAILED;
}

static int open_disk(struct end *e, const struct blk_args *a, bool write)
{
	struct disk_opts o = a->disk;
	int ret;

	o.uri = e->name;
	ret = disk_open(&e->d, &o);
	if (ret)
		return ret;
	if (write && e->d->read_only) {
		say("%s: is read-only", e->name);
		return EXIT_FAILED;
	}
	if (a->offset > e->d->size || a->length > e->d->size - a->offset) {
		say("%s: has %" PRIu64 " bytes only", e->name, e->d->size);
		return EXIT_FAILED;
	}
	if (a->offset % e->d->sector || a->length % e->d->sector ||
	    a->disk.block % e->d->sector) {
		say("%s: offset, length and block size have to be multiples of %u", e->name,
		    e->d->sector);
		return EXIT_FAILED;
	}
	e->at = a->offset;
	e->end = a->length ? a->offset + a->length : e->d->size;
	e->ahead = calloc(e->d->depth, sizeof(*e->ahead));
	return e->ahead ? 0 : say_error(-ENOMEM, "%s", e->name);
}

/* What is still to be read: standard input may have been read from before. */
static uint64_t rest_of(int fd, const struct stat *st)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return at < st->st_size ? (uint64_t)(st->st_size - (at < 0 ? 0 : at)) : 0;
}

/* Nothing of a file that is there is lost yet. */
static int open_file(struct end *e, const struct blk_args *a, bool write)
{
	uint64_t rest;

	if (!strcmp(e->name, "-")) {
		e->fd = write ? STDOUT_FILENO : STDIN_FILENO;
		e->name = write ? "stdout" : "stdin";
	} else {
		e->fd = open(e->name, (write ? O_WRONLY | O_CREAT : O_RDONLY) | O_CLOEXEC, 0666);
	}
	if (e->fd < 0 || fstat(e->fd, &e->st))
		return say_error(-errno, "%s", e->name);
	if (S_ISDIR(e->st.st_mode))
		return say_error(-EISDIR, "%s", e->name);
	e->end = a->length ? a->length : UINT64_MAX;
	if (write)
		return 0;
	rest = S_ISREG(e->st.st_mode) ? rest_of(e->fd, &e->st) : UINT64_MAX;
	if (rest < e->end)
		e->end = rest;
	e->buf = malloc(a->disk.block);
	return e->buf ? 0 : say_error(-ENOMEM, "%s", e->name);
}

/* What may be an image. */
static bool is_image(const struct end *e)
{
	return !e->d && (S_ISREG(e->st.st_mode) || S_ISBLK(e->st.st_mode));
}

/* By whatever names; a block device by whatever nodes. */
static bool same_file(const struct end *a, const struct end *b)
{
	if (!is_image(a) || !is_image(b))
		return false;
	if (S_ISBLK(a->st.st_mode) && S_ISBLK(b->st.st_mode))
		return a->st.st_rdev == b->st.st_rdev;
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

/* A server would change what is read while it is read, and lose what is written over. */
static int end_lock(struct end *e, bool write)
{
	if (!is_image(e))
		return 0;
	e->locked = true;
	return image_lock(e->fd, !write, e->name, "");
}

/* Standard output is as whoever opened it wants it. */
static int empty_file(const struct end *e)
{
	if (e->d || e->fd == STDOUT_FILENO || !S_ISREG(e->st.st_mode))
		return 0;
	return ftruncate(e->fd, 0) ? say_error(-errno, "%s", e->name) : 0;
}

static int end_open(struct end *e, const char *name, const struct blk_args *a, bool write)
{
	e->name = name;
	e->fd = -1;
	return uri_is(name) ? open_disk(e, a, write) : open_file(e, a, write);
}

static int end_close(struct end *e)
{
	int ret = 0;

	if (e->locked)
		image_unlock(e->fd);
	if (e->fd > STDERR_FILENO && close(e->fd))
		ret = say_error(-errno, "%s", e->name);
	disk_close(e->d);
	free(e->ahead);
	free(e->buf);
	return ret;
}

/* A file with a known end that cannot fit is refused before anything is written. */
static int copy_fits(const struct copy *c)
{
	uint64_t have = c->from.end - c->from.at;

	if (!c->to.d || c->from.end == UINT64_MAX)
		return 0;
	if (have > c->to.end - c->to.at) {
		say("%s: %" PRIu64 " bytes do not fit into %s", c->from.name, have, c->to.name);
		return EXIT_FAILED;
	}
	if (!(have % c->to.d->sector))
		return 0;
	say("%s: %" PRIu64 " bytes are no whole number of blocks of %u", c->from.name, have,
	    c->to.d->sector);
	return EXIT_FAILED;
}

/* Nothing is created, and nothing emptied, before it is known that what is read can be. */
static int copy_open(struct copy *c, const char *from, const char *to)
{
	int ret = end_open(&c->from, from, c->a, false);

	if (!ret)
		ret = end_lock(&c->from, false);
	if (!ret)
		ret = end_open(&c->to, to, c->a, true);
	if (!ret && same_file(&c->from, &c->to)) {
		say("%s: the same file as %s", c->to.name, c->from.name);
		ret = EXIT_FAILED;
	}
	if (!ret)
		ret = end_lock(&c->to, true);
	if (!ret)
		ret = copy_fits(c);
	return ret ? ret : empty_file(&c->to);
}

static int copy_run(const struct blk_args *a, const char *from, const char *to)
{
	struct copy c = { .a = a, .from.fd = -1, .to.fd = -1 };
	int ret, err;

	ret = copy_open(&c, from, to);
	if (!ret) {
		progress_begin(&c.bar, from, c.from.end == UINT64_MAX ? 0 : c.from.end - c.from.at);
		c.bar.on &= !a->quiet;
		ret = copy_flow(&c);
		progress_end(&c.bar);
		if (!ret)
			ret = check_length(&c);
	}
	err = end_close(&c.to);
	end_close(&c.from);
	return ret ? ret : err;
}

static const struct blk_args defaults = {
	.disk = { .queues = 1, .depth = 8, .block = 256u << 10 },
	.cpu = -1,
};

int blk_read(int argc, char **argv)
{
	struct blk_args a = defaults;
	int ret = blk_parse(&a, argc, argv, 1, 2);

	if (ret)
		return ret;
	ret = uri_check_door(argv[optind]);
	if (ret)
		return ret;
	return copy_run(&a, argv[optind], argc - optind > 1 ? argv[optind + 1] : "-");
}

int blk_write(int argc, char **argv)
{
	struct blk_args a = defaults;
	int ret = blk_parse(&a, argc, argv, 1, 2);

	if (ret)
		return ret;
	ret = uri_check_door(argv[optind]);
	if (ret)
		return ret;
	return copy_run(&a, argc - optind > 1 ? argv[optind + 1] : "-", argv[optind]);
}

int blk_copy(int argc, char **argv)
{
	struct blk_args a = defaults;
	int ret = blk_parse(&a, argc, argv, 2, 2);

	if (!ret && a.for_disks && !uri_is(argv[optind]) && !uri_is(argv[optind + 1]))
		ret = say_usage("blk copy: %s is for disks, and both are files", a.for_disks);
	if (!ret && uri_is(argv[optind]))
		ret = uri_check_door(argv[optind]);
	if (!ret && uri_is(argv[optind + 1]))
		ret = uri_check_door(argv[optind + 1]);
	return ret ? ret : copy_run(&a, argv[optind], argv[optind + 1]);
}
