/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* In the place of the kernel's. */
#include "../kernel.h"
