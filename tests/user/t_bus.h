/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The SIGBUS handler of a program whose peers may cut their files short: it asks the library, and
 * lets the process die of a fault that is none of the library's.
 */
#ifndef VHK_TESTS_T_BUS_H
#define VHK_TESTS_T_BUS_H

#include <signal.h>
#include <vhostkit/mem.h>

#include "t.h"

static inline void t_on_bus(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (vhk_mem_fault(info->si_addr))
		return;
	signal(signo, SIG_DFL);
	raise(signo);
}

static inline void t_handle_bus(void)
{
	struct sigaction a = { .sa_sigaction = t_on_bus, .sa_flags = SA_SIGINFO };

	T_MUST(!sigaction(SIGBUS, &a, NULL));
}

#endif
