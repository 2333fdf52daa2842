/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What virtio feature bits are called: those of every device, and those of some kinds of it.
 */
#ifndef VHK_TOOL_FEATURES_H
#define VHK_TOOL_FEATURES_H

#include <stdint.h>

struct feature_device;

/* A kind of device ("blk", "net", ...); NULL: its own bits have no names here. */
const struct feature_device *feature_device(const char *kind);
/* The same by the number of a device type (virtio 1.3, 5). */
const struct feature_device *feature_device_of_id(uint32_t id);
const char *feature_device_name(const struct feature_device *d);
uint32_t feature_device_id(const struct feature_device *d); /* virtio 1.3, 5 */
/* The kinds there are, separated by commas. */
const char *feature_devices(void);
/* NULL: it has none. */
const char *feature_name(const struct feature_device *d, unsigned int bit);

#endif
