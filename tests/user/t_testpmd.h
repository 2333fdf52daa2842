/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * DPDK's testpmd as a child, with one port, which gives every frame back that it receives. It takes
 * its memory from no huge pages.
 */
#ifndef VHK_TESTS_T_TESTPMD_H
#define VHK_TESTS_T_TESTPMD_H

#include <sched.h>

#include "t_alien.h"

#define TESTPMD "dpdk-testpmd"

/* @vdev: the port, with its options; @more: options of testpmd, up to a NULL. */
static inline void t_testpmd_start(struct t_alien *a, const char *vdev, unsigned int n_pairs,
				   const char *const *more)
{
	char lcores[64], prefix[32], rxq[16], txq[16], device[256];
	const char *args[T_ALIEN_ARGS] = {
		/* what it prints is to be there when it is looked for */
		"stdbuf", "-oL", TESTPMD, lcores, "--no-huge", "-m", "128", "--no-pci",
		"--no-telemetry", "--no-shconf", prefix, device, "--", "-i", "--auto-start",
		"--forward-mode=io", "--port-topology=loop", rxq, txq, "--total-num-mbufs=2048",
		"--disable-link-check", "--no-flush-rx", NULL
	};
	static unsigned int n;
	unsigned int i = 0;
	cpu_set_t cpus;
	int cpu;

	/* Two threads of it, on whatever processors there are. */
	T_MUST(!sched_getaffinity(0, sizeof(cpus), &cpus));
	for (cpu = 0; !CPU_ISSET(cpu, &cpus); cpu++)
		;
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d,1@%d", cpu,
		 CPU_ISSET(cpu + 1, &cpus) ? cpu + 1 : cpu);
	snprintf(prefix, sizeof(prefix), "--file-prefix=vhk%d-%u", getpid(), n++);
	snprintf(device, sizeof(device), "--vdev=%s", vdev);
	snprintf(rxq, sizeof(rxq), "--rxq=%u", n_pairs);
	snprintf(txq, sizeof(txq), "--txq=%u", n_pairs);
	while (args[i])
		i++;
	while (more && *more)
		args[i++] = *more++;
	t_alien_start(a, args);
}

/* By its own command. */
static inline void t_testpmd_stop(struct t_alien *a)
{
	int ret;

	t_alien_tell(a, "quit\n");
	ret = t_alien_end(a, 20000);
	T_EQ(ret, 0);
	if (ret)
		t_alien_show(a);
}

#endif
