// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The module's status rules (virtio 1.3, 2.1 and 3.1.1), from every status with every wish: held
 * against what the rules say, and against a step that a driver must not be able to take.
 */
#include <linux/virtio_config.h>

#include "../../kmod/status.c"
#include "t.h"

#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define ALL_BITS 256
#define BOTH (NEEDED | NEEDED_IF_OFFERED)

static const struct {
	uint64_t offered, features;
	bool good;
} sets[] = {
	{ BOTH, BOTH, true },
	{ BOTH | 0xff, BOTH | 0x0f, true },
	{ BOTH, BOTH | 1, false },
	{ BOTH, NEEDED, false },
	{ BOTH, NEEDED_IF_OFFERED, false },
	{ BOTH, 0, false },
	{ NEEDED, NEEDED, true },
	{ NEEDED, BOTH, false },
	{ NEEDED, 0, false },
	{ 0, 0, false },
	{ UINT64_MAX, UINT64_MAX, true },
};

static void every_step(void)
{
	unsigned int i, old, want, wrong = 0;

	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (old = 0; old < ALL_BITS; old++) {
			for (want = 0; want < ALL_BITS; want++) {
				uint8_t next = vhk_status_next((uint8_t)old, (uint8_t)want,
							       sets[i].offered, sets[i].features);

				/* no bit goes but by a reset, which is not asked for here */
				wrong += (old & ~next & ~VIRTIO_CONFIG_S_DRIVER_OK) != 0;
				/* the device alone says that it needs one */
				wrong += (next & ~old & NEEDS_RESET) != 0;
				/* what was not negotiated is not used */
				wrong += (next & VIRTIO_CONFIG_S_DRIVER_OK) &&
					 !(next & VIRTIO_CONFIG_S_FEATURES_OK);
				wrong += (next & ~old & VIRTIO_CONFIG_S_FEATURES_OK) &&
					 !sets[i].good;
				/* and what was asked for is had where nothing speaks against it */
				wrong += sets[i].good && (want & KNOWN & ~next) &&
					 ((want | old) & VIRTIO_CONFIG_S_FEATURES_OK);
			}
		}
	}
	T_EQ(wrong, 0);
}

static void features_are_taken_before_they_are_settled(void)
{
	T_EQ(vhk_status_features(0, 7, 3), 0);
	T_EQ(vhk_status_features(VIRTIO_CONFIG_S_DRIVER, 7, 7), 0);
	T_EQ(vhk_status_features(0, 7, 8), -EINVAL);
	T_EQ(vhk_status_features(VIRTIO_CONFIG_S_FEATURES_OK, 7, 3), -EBUSY);
}

static void it_runs_when_the_driver_is_and_nothing_failed(void)
{
	unsigned int s, runs = 0;

	for (s = 0; s < ALL_BITS; s++)
		runs += vhk_status_runs((uint8_t)s);
	/* half of all have DRIVER_OK, a quarter of those neither FAILED nor NEEDS_RESET */
	T_EQ(runs, ALL_BITS / 8);
	T_OK(vhk_status_runs(VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK));
	T_OK(!vhk_status_runs(VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED));
	T_OK(!vhk_status_runs(VIRTIO_CONFIG_S_DRIVER_OK | NEEDS_RESET));
}

int main(void)
{
	T_RUN(every_step);
	T_RUN(features_are_taken_before_they_are_settled);
	T_RUN(it_runs_when_the_driver_is_and_nothing_failed);
	return t_end();
}
