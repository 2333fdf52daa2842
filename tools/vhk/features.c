// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Names of feature bits (virtio 1.3, 6, and "Feature bits" of the device kinds in 5).
 */
#include <stddef.h>
#include <string.h>

#include "features.h"

#define BITS 64

struct feature_device {
	const char *kind;
	uint32_t id;
	const char *name[BITS];
};

static const struct feature_device devices[] = {
	{ "blk",
	  2,
	  { [1] = "SIZE_MAX", [2] = "SEG_MAX", [4] = "GEOMETRY", [5] = "RO", [6] = "BLK_SIZE",
	    [9] = "FLUSH", [10] = "TOPOLOGY", [11] = "CONFIG_WCE", [12] = "MQ", [13] = "DISCARD",
	    [14] = "WRITE_ZEROES", [15] = "LIFETIME", [16] = "SECURE_ERASE", [17] = "ZONED" } },
	{ "net",
	  1,
	  { [0] = "CSUM", [1] = "GUEST_CSUM", [2] = "CTRL_GUEST_OFFLOADS", [3] = "MTU",
	    [5] = "MAC", [7] = "GUEST_TSO4", [8] = "GUEST_TSO6", [9] = "GUEST_ECN",
	    [10] = "GUEST_UFO", [11] = "HOST_TSO4", [12] = "HOST_TSO6", [13] = "HOST_ECN",
	    [14] = "HOST_UFO", [15] = "MRG_RXBUF", [16] = "STATUS", [17] = "CTRL_VQ",
	    [18] = "CTRL_RX", [19] = "CTRL_VLAN", [21] = "GUEST_ANNOUNCE", [22] = "MQ",
	    [23] = "CTRL_MAC_ADDR", [51] = "DEVICE_STATS", [52] = "VQ_NOTF_COAL",
	    [53] = "NOTF_COAL", [54] = "GUEST_USO4", [55] = "GUEST_USO6", [56] = "HOST_USO",
	    [57] = "HASH_REPORT", [59] = "GUEST_HDRLEN", [60] = "RSS", [61] = "RSC_EXT",
	    [62] = "STANDBY", [63] = "SPEED_DUPLEX" } },
	{ "scsi",
	  8,
	  { [0] = "INOUT", [1] = "HOTPLUG", [2] = "CHANGE", [3] = "T10_PI" } },
	{ "fs", 26, { [0] = "NOTIFICATION" } },
	{ "vsock", 19, { [0] = "STREAM", [1] = "SEQPACKET", [2] = "NO_IMPLIED_STREAM" } },
	{ "gpu",
	  16,
	  { [0] = "VIRGL", [1] = "EDID", [2] = "RESOURCE_UUID", [3] = "RESOURCE_BLOB",
	    [4] = "CONTEXT_INIT" } },
	{ "input", 18, { NULL } },
};

static const char *const every_device[BITS] = {
	[24] = "NOTIFY_ON_EMPTY",
	[26] = "LOG_ALL",
	[27] = "ANY_LAYOUT",
	[28] = "INDIRECT_DESC",
	[29] = "EVENT_IDX",
	[30] = "PROTOCOL_FEATURES",
	[32] = "VERSION_1",
	[33] = "ACCESS_PLATFORM",
	[34] = "RING_PACKED",
	[35] = "IN_ORDER",
	[36] = "ORDER_PLATFORM",
	[37] = "SR_IOV",
	[38] = "NOTIFICATION_DATA",
	[39] = "NOTIF_CONFIG_DATA",
	[40] = "RING_RESET",
	[41] = "ADMIN_VQ",
};

#define N_DEVICES (sizeof(devices) / sizeof(devices[0]))

const struct feature_device *feature_device(const char *kind)
{
	size_t i;

	for (i = 0; i < N_DEVICES; i++)
		if (!strcmp(devices[i].kind, kind))
			return &devices[i];
	return NULL;
}

const struct feature_device *feature_device_of_id(uint32_t id)
{
	size_t i;

	for (i = 0; i < N_DEVICES; i++)
		if (devices[i].id == id)
			return &devices[i];
	return NULL;
}

const char *feature_device_name(const struct feature_device *d)
{
	return d->kind;
}

uint32_t feature_device_id(const struct feature_device *d)
{
	return d->id;
}

const char *feature_devices(void)
{
	return "blk, net, scsi, fs, vsock, gpu, input";
}

const char *feature_name(const struct feature_device *d, unsigned int bit)
{
	if (bit >= BITS)
		return NULL;
	if (every_device[bit])
		return every_device[bit];
	return d ? d->name[bit] : NULL;
}
