// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Why a disk cannot be: what can be told before the kernel is asked, and what its numbers mean.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backing.h"

static bool is_name(const char *name)
{
	const char *c;

	if (!isalnum((unsigned char)*name))
		return false;
	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return strlen(name) < VHOSTKIT_NAME_SIZE;
}

static bool is_power_of_2(uint32_t v)
{
	return v && !(v & (v - 1));
}

int backing_check(const struct backing_opts *o)
{
	if (!is_name(o->name))
		return say_usage("disk: \"%s\" cannot be a name: 1 to %u of A-Z a-z 0-9 . _ - and "
				 "first a letter or digit",
				 o->name, VHOSTKIT_NAME_SIZE - 1);
	if (o->queues > VHOSTKIT_MAX_QUEUES)
		return say_usage("disk: --queues %u: %u at most", o->queues, VHOSTKIT_MAX_QUEUES);
	if (o->queue_size && (!is_power_of_2(o->queue_size) || o->queue_size < 16 ||
			      o->queue_size > VHOSTKIT_MAX_QUEUE_SIZE))
		return say_usage("disk: --queue-size %u: a power of two from 16 to %u",
				 o->queue_size, VHOSTKIT_MAX_QUEUE_SIZE);
	if (o->block_size && (!is_power_of_2(o->block_size) || o->block_size < 512 ||
			      o->block_size > 4096))
		return say_usage("disk: --block-size %u: 512, 1024, 2048 or 4096", o->block_size);
	if (o->serial && (!*o->serial || strlen(o->serial) > VHOSTKIT_SERIAL_SIZE))
		return say_usage("disk: --serial: 1 to %u characters", VHOSTKIT_SERIAL_SIZE);
	return 0;
}

/* A number that sysfs has of a block device's queue, or of its disk's; 0: none. */
static unsigned long queue_limit(dev_t dev, const char *what)
{
	static const char *const at[] = { "queue", "../queue" };
	unsigned long v = 0;
	unsigned int i;
	char path[128];
	FILE *f;

	for (i = 0; i < 2 && !v; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 at[i], what);
		f = fopen(path, "re");
		if (f && fscanf(f, "%lu", &v) != 1)
			v = 0;
		if (f)
			fclose(f);
	}
	return v;
}

static int check_bdev(const struct backing_opts *o, const struct stat *st)
{
	const unsigned long block = queue_limit(st->st_rdev, "logical_block_size");

	if (o->buffered) {
		say("%s: --buffered is for files, not for block devices", o->file);
		return EXIT_FAILED;
	}
	if (o->block_size && o->block_size < block) {
		say("%s: --block-size %u: its own blocks have %lu bytes", o->file, o->block_size,
		    block);
		return EXIT_FAILED;
	}
	return 0;
}

int backing_check_file(const struct backing_opts *o, const struct stat *st)
{
	const uint32_t block = o->block_size ? o->block_size : 512;

	if (S_ISBLK(st->st_mode))
		return check_bdev(o, st);
	if (!S_ISREG(st->st_mode)) {
		say("%s: neither a regular file nor a block device", o->file);
		return EXIT_FAILED;
	}
	if (st->st_size < block) {
		say("%s: %lld bytes are less than one block of %u", o->file, (long long)st->st_size,
		    block);
		return EXIT_FAILED;
	}
	return 0;
}

static bool same_backing(const struct vhostkit_disk_query *q, const struct stat *st)
{
	const dev_t dev = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;

	return q->backing_major == major(dev) && q->backing_minor == minor(dev) &&
	       (S_ISBLK(st->st_mode) || q->backing_inode == st->st_ino);
}

/* The disk that has the file; NULL: none. */
static const char *who_has(const struct stat *st)
{
	static struct vhostkit_disk_query q;
	int ret;

	for (ret = backing_call_query("", true, &q); !ret;
	     ret = backing_call_query(q.name, true, &q))
		if (same_backing(&q, st))
			return q.name;
	return NULL;
}

/* Where the device is mounted; false: nowhere that this process sees. */
static bool mounted_at(dev_t dev, char to[256])
{
	unsigned int ma, mi;
	bool found = false;
	char line[2048];
	FILE *f;

	f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d %*d %u:%u %*s %255s", &ma, &mi, to) == 3 &&
			ma == major(dev) && mi == minor(dev);
	if (f)
		fclose(f);
	return found;
}

static int say_busy(const struct backing_opts *o, const struct stat *st)
{
	const char *disk = who_has(st);
	char where[256];

	if (disk)
		say("%s: the disk \"%s\" has it%s", o->file, disk,
		    o->read_only ? ", and writes it" : "");
	else if (S_ISBLK(st->st_mode) && mounted_at(st->st_rdev, where))
		say("%s: it is mounted at %s", o->file, where);
	else
		say("%s: in use, by a file system, device mapper, md or swap", o->file);
	return EXIT_FAILED;
}

int backing_say_add(int ret, const struct backing_opts *o, const struct stat *st)
{
	switch (-ret) {
	case EBUSY:
		return say_busy(o, st);
	case EEXIST:
		say("%s: there is a disk of that name", o->name);
		break;
	case EACCES:
		say("%s: it cannot be written (--read-only: it need not be)", o->file);
		break;
	case EPERM:
		say("%s: only appending to it is allowed", o->file);
		break;
	case ETXTBSY:
		say("%s: it is a swap file", o->file);
		break;
	case ENOTBLK:
		say("%s: neither a regular file nor a block device", o->file);
		break;
	case ENOSPC:
		say("%s: the registry is full", o->name);
		break;
	case EINVAL:
		if (S_ISBLK(st->st_mode))
			say("%s: a zoned device, or one without a single block", o->file);
		else
			say("%s: its file system cannot read and write it for the kernel", o->file);
		break;
	default:
		say("%s: %s", o->file, strerror(-ret));
	}
	return EXIT_FAILED;
}

int backing_check_idle(const char *name, const char *block)
{
	char path[80], where[256];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", block);
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EBUSY)
		return 0;
	if (!stat(path, &st) && mounted_at(st.st_rdev, where))
		say("%s: %s is mounted at %s (--force: take it away all the same)", name, path,
		    where);
	else
		say("%s: %s is in use, by a file system, device mapper, md or swap (--force: take "
		    "it away all the same)", name, path);
	return EXIT_FAILED;
}
