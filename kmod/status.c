// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/virtio_config.h>

#include "status.h"

#define KNOWN (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)
#define NEEDED BIT_ULL(VIRTIO_F_VERSION_1)
/* No driver may refuse it (virtio 1.3, 6.1). */
#define NEEDED_IF_OFFERED BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)

static bool acceptable(u64 offered, u64 features)
{
	const u64 needed = NEEDED | (offered & NEEDED_IF_OFFERED);

	return !(features & ~offered) && (features & needed) == needed;
}

u8 vhk_status_next(u8 old, u8 want, u64 offered, u64 features)
{
	/* Only the device says this, and bits go by a reset alone. */
	u8 next = old | (want & KNOWN);

	if (!(old & VIRTIO_CONFIG_S_FEATURES_OK) && !acceptable(offered, features))
		next &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(next & VIRTIO_CONFIG_S_FEATURES_OK))
		next &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	return next;
}

int vhk_status_features(u8 status, u64 offered, u64 features)
{
	if (status & VIRTIO_CONFIG_S_FEATURES_OK)
		return -EBUSY;
	return features & ~offered ? -EINVAL : 0;
}

bool vhk_status_runs(u8 status)
{
	return status & VIRTIO_CONFIG_S_DRIVER_OK &&
	       !(status & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET));
}
