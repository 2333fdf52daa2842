// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The driver's side of a packed ring against a device that writes what it likes.
 */
#include "vq_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	return fuzz_one(bytes, n, true);
}
