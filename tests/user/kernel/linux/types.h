/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The C library has uses for its own. */
#include_next <linux/types.h>
#include "../kernel.h"
