// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Configuration spaces, field by field.
 */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "ctl_show.h"
#include "disk.h"

/* Of a block device or a network card: what the features make valid (virtio 1.3, 5.2.4, 5.1.4). */
struct field {
	const char *name;
	size_t at, size;
	int bit; /* -1: always */
};

#define BLK(field, bit)                                                                            \
	{ #field, offsetof(struct virtio_blk_config, field),                                       \
	  sizeof(((struct virtio_blk_config *)0)->field), bit }
#define GEOMETRY(field)                                                                            \
	{ #field, offsetof(struct virtio_blk_config, geometry.field),                              \
	  sizeof(((struct virtio_blk_config *)0)->geometry.field), VIRTIO_BLK_F_GEOMETRY }

static const struct field blk_fields[] = {
	BLK(capacity, -1),
	BLK(size_max, VIRTIO_BLK_F_SIZE_MAX),
	BLK(seg_max, VIRTIO_BLK_F_SEG_MAX),
	GEOMETRY(cylinders),
	GEOMETRY(heads),
	GEOMETRY(sectors),
	BLK(blk_size, VIRTIO_BLK_F_BLK_SIZE),
	BLK(physical_block_exp, VIRTIO_BLK_F_TOPOLOGY),
	BLK(alignment_offset, VIRTIO_BLK_F_TOPOLOGY),
	BLK(min_io_size, VIRTIO_BLK_F_TOPOLOGY),
	BLK(opt_io_size, VIRTIO_BLK_F_TOPOLOGY),
	{ "writeback", offsetof(struct virtio_blk_config, wce), 1, 11 },
	BLK(num_queues, VIRTIO_BLK_F_MQ),
	BLK(max_discard_sectors, VIRTIO_BLK_F_DISCARD),
	BLK(max_discard_seg, VIRTIO_BLK_F_DISCARD),
	BLK(discard_sector_alignment, VIRTIO_BLK_F_DISCARD),
	BLK(max_write_zeroes_sectors, VIRTIO_BLK_F_WRITE_ZEROES),
	BLK(max_write_zeroes_seg, VIRTIO_BLK_F_WRITE_ZEROES),
	BLK(write_zeroes_may_unmap, VIRTIO_BLK_F_WRITE_ZEROES),
};

#define NET(field, bit)                                                                            \
	{ #field, offsetof(struct virtio_net_config, field),                                       \
	  sizeof(((struct virtio_net_config *)0)->field), bit }

static const struct field net_fields[] = {
	NET(mac, VIRTIO_NET_F_MAC),
	NET(status, VIRTIO_NET_F_STATUS),
	NET(max_virtqueue_pairs, VIRTIO_NET_F_MQ),
	NET(mtu, VIRTIO_NET_F_MTU),
	NET(speed, VIRTIO_NET_F_SPEED_DUPLEX),
	NET(duplex, VIRTIO_NET_F_SPEED_DUPLEX),
};

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define MAC_SIZE 6
#define TEXT_SIZE (2 * CONFIG_MAX + 1)

static const struct field *fields_of(const struct config *c, size_t *n)
{
	*n = c->id == VIRTIO_KIND_BLOCK ? N(blk_fields) :
	     c->id == VIRTIO_KIND_NET	? N(net_fields) :
					  0;
	return c->id == VIRTIO_KIND_BLOCK ? blk_fields : net_fields;
}

static bool is_there(const struct config *c, const struct field *f)
{
	return f->at + f->size <= c->len && (f->bit < 0 || (c->features >> f->bit & 1));
}

static uint64_t number(const struct config *c, const struct field *f)
{
	uint64_t raw = 0;

	memcpy(&raw, c->bytes + f->at, f->size);
	return le64toh(raw);
}

/* Bytes in hexadecimal. */
static void put_hex(char *to, const unsigned char *bytes, size_t n, const char *between)
{
	size_t i;

	*to = 0;
	for (i = 0; i < n; i++)
		to += sprintf(to, "%s%02x", i ? between : "", bytes[i]);
}

static void field_text(const struct config *c, const struct field *f)
{
	uint64_t v = number(c, f);
	char mac[3 * MAC_SIZE + 1];

	if (f->size == MAC_SIZE) {
		put_hex(mac, c->bytes + f->at, MAC_SIZE, ":");
		printf("  %s %s\n", f->name, mac);
		return;
	}
	printf("  %s %llu", f->name, (unsigned long long)v);
	if (f == blk_fields && v > INT64_MAX / DISK_SECTOR)
		printf(" sectors (more than a disk can have)");
	else if (f == blk_fields)
		printf(" sectors (%llu bytes)", (unsigned long long)v * DISK_SECTOR);
	putchar('\n');
}

void config_text(const struct config *c)
{
	char hex[TEXT_SIZE];
	const struct field *f;
	size_t i, n;

	f = fields_of(c, &n);
	for (i = 0; i < n; i++)
		if (is_there(c, &f[i]))
			field_text(c, &f[i]);
	if (n)
		return;
	put_hex(hex, c->bytes, c->len, "");
	printf("  %s\n", hex);
}

static void field_json(struct json *j, const struct config *c, const struct field *f)
{
	char mac[3 * MAC_SIZE + 1];

	if (f->size != MAC_SIZE) {
		json_u64(j, f->name, number(c, f));
		return;
	}
	put_hex(mac, c->bytes + f->at, MAC_SIZE, ":");
	json_text(j, f->name, mac);
}

void config_json(struct json *j, const struct config *c)
{
	char hex[TEXT_SIZE];
	const struct field *f;
	size_t i, n;

	f = fields_of(c, &n);
	for (i = 0; i < n; i++)
		if (is_there(c, &f[i]))
			field_json(j, c, &f[i]);
	if (n || !c->len)
		return;
	put_hex(hex, c->bytes, c->len, "");
	json_text(j, "bytes", hex);
}
