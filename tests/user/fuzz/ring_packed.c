// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The device side of a packed ring on memory full of anything; see ring_fuzz.h.
 */
#include "ring_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_ring(data, size, true);
}
