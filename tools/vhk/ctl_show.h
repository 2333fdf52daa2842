/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhk ctl show, in pieces: another process's door, the kernel's doors, and a configuration space.
 */
#ifndef VHK_TOOL_CTL_SHOW_H
#define VHK_TOOL_CTL_SHOW_H

#include <vhostkit/ctl.h>

#include "features.h"
#include "say.h"

#define VIRTIO_KIND_NET 1
#define VIRTIO_KIND_BLOCK 2

/* Name of a bit, static; NULL: it has none. */
typedef const char *bit_name_fn(const void *arg, unsigned int bit);

void show_bits(const char *what, uint64_t bits, bit_name_fn *name, const void *arg);
/* Bits without a name are told by their number. */
void show_bits_json(struct json *j, const char *key, uint64_t bits, bit_name_fn *name,
		    const void *arg);
/* @arg: struct feature_device, or NULL. */
bit_name_fn show_feature_name;

#define CONFIG_MAX 256u

/* The beginning of a device's configuration space, as far as it was read. */
struct config {
	uint32_t id; /* whose it is, VIRTIO_KIND_* or another (virtio 1.3, 5); 0: not known */
	uint32_t len;
	uint64_t features; /* what of it is valid depends on them */
	unsigned char bytes[CONFIG_MAX];
};

/* A line for each field; the bytes themselves where the kind of device is another. */
void config_text(const struct config *c);
/* The same, as members of an object that is open. */
void config_json(struct json *j, const struct config *c);

/* What is asked, and shown; 0 or an exit code after saying what failed. */
/* @device: what the user says it is; NULL: nobody knows. */
int show_user(struct vhk_ctl *c, const char *uri, bool json, const struct feature_device *device);
int show_kernel(struct vhk_ctl *c, const char *uri, bool json);

#endif
