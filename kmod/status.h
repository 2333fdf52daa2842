/* SPDX-License-Identifier: GPL-2.0-only */
/* Which steps of a device's status are legal (virtio 1.3, 2.1 and 3.1.1). Pure functions. */
#ifndef VHK_STATUS_H
#define VHK_STATUS_H

#include <linux/types.h>

/* The status after a driver wrote @want in @old; @offered and @features: of the negotiation. */
u8 vhk_status_next(u8 old, u8 want, u64 offered, u64 features);
/* -EBUSY: negotiation is over; -EINVAL: a bit that is not offered. */
int vhk_status_features(u8 status, u64 offered, u64 features);
/* Whether a queue may be worked on. */
bool vhk_status_runs(u8 status);

#endif
