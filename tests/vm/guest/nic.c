// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: as much of ethtool as the scenarios need.
 *
 *   nic offloads INTERFACE on|off    checksums, segmentation, GRO: all that can be switched
 *   nic channels INTERFACE [N]       prints, or sets, how many pairs of queues are used
 *   nic stats INTERFACE              a line for each counter that is not zero
 *   nic info INTERFACE               driver and bus
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const char *name;

static int ask(void *data)
{
	static int s = -1;
	struct ifreq r = { .ifr_data = data };

	if (s < 0)
		s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	return ioctl(s, SIOCETHTOOL, &r);
}

static int fail(const char *what)
{
	printf("%s: %s: %s\n", name, what, strerror(errno));
	return 1;
}

static int offloads(int on)
{
	static const struct {
		const char *what;
		unsigned int cmd;
	} all[] = {
		{ "rx checksums", ETHTOOL_SRXCSUM }, { "tx checksums", ETHTOOL_STXCSUM },
		{ "scatter", ETHTOOL_SSG },	     { "tso", ETHTOOL_STSO },
		{ "gso", ETHTOOL_SGSO },	     { "gro", ETHTOOL_SGRO },
	};
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct ethtool_value v = { .cmd = all[i].cmd, .data = (unsigned int)on };

		/* Some interfaces have some of them fixed. */
		if (ask(&v) && errno != EOPNOTSUPP && errno != EINVAL)
			return fail(all[i].what);
	}
	return 0;
}

static int channels(const char *n)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };

	if (ask(&c))
		return fail("channels");
	if (!n) {
		printf("%u of %u\n", c.combined_count, c.max_combined);
		return 0;
	}
	c.cmd = ETHTOOL_SCHANNELS;
	c.combined_count = (unsigned int)atoi(n);
	return ask(&c) ? fail("channels") : 0;
}

static int info(void)
{
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };

	if (ask(&d))
		return fail("info");
	printf("%s %s\n", d.driver, d.bus_info);
	return 0;
}

static int stats(void)
{
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;
	unsigned int i;

	if (ask(&d))
		return fail("info");
	names = calloc(1, sizeof(*names) + d.n_stats * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + d.n_stats * 8);
	if (!names || !values)
		return 1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = d.n_stats;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = d.n_stats;
	if (ask(names) || ask(values))
		return fail("stats");
	for (i = 0; i < d.n_stats; i++)
		if (values->data[i])
			printf("%.*s %llu\n", ETH_GSTRING_LEN,
			       (char *)names->data + i * ETH_GSTRING_LEN,
			       (unsigned long long)values->data[i]);
	free(names);
	free(values);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	name = argv[2];
	if (!strcmp(argv[1], "offloads") && argc > 3)
		return offloads(!strcmp(argv[3], "on"));
	if (!strcmp(argv[1], "channels"))
		return channels(argv[3]);
	if (!strcmp(argv[1], "stats"))
		return stats();
	if (!strcmp(argv[1], "info"))
		return info();
	return 2;
}
