// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: `vdpa dev add` with features, which Debian 12's vdpa does
 * not know yet; and often.
 *
 *   vdpa_add NAME MGMTDEV FEATURE... | all
 *   vdpa_add NAME MGMTDEV times N      adds and deletes it so many times
 *
 * FEATURE: numbers of bits; where one starts with "-", all of the management device's but these.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vdpa_nl.h"

#define ATTR_SUPPORTED_FEATURES 16
#define ATTR_DEV_FEATURES 20

static uint64_t parse(int argc, char **argv, uint64_t all)
{
	uint64_t features = !strcmp(argv[0], "all") || argv[0][0] == '-' ? all : 0;
	int i;

	for (i = 0; i < argc; i++) {
		const int bit = abs(atoi(argv[i]));

		if (argv[i][0] == '-')
			features &= ~(1ull << bit);
		else if (strcmp(argv[i], "all"))
			features |= 1ull << bit;
	}
	return features;
}

static int add(const char *name, const char *mgmtdev, int argc, char **argv)
{
	uint64_t features;
	int ret;

	nl_begin(nl_family, VDPA_CMD_MGMTDEV_GET);
	nl_put_text(VDPA_ATTR_MGMTDEV_DEV_NAME, mgmtdev);
	ret = nl_talk();
	if (ret)
		return ret;
	if (!nl_find(ATTR_SUPPORTED_FEATURES))
		return -ENOENT;
	memcpy(&features, nl_find(ATTR_SUPPORTED_FEATURES), sizeof(features));
	features = parse(argc, argv, features);
	nl_begin(nl_family, VDPA_CMD_DEV_NEW);
	nl_put_text(VDPA_ATTR_DEV_NAME, name);
	nl_put_text(VDPA_ATTR_MGMTDEV_DEV_NAME, mgmtdev);
	nl_put(ATTR_DEV_FEATURES, &features, sizeof(features));
	return nl_talk();
}

static int often(const char *name, const char *mgmtdev, unsigned int times)
{
	int ret = 0;

	while (!ret && times--) {
		ret = nl_dev_add(name, mgmtdev);
		if (!ret)
			ret = nl_dev_del(name);
	}
	return ret;
}

int main(int argc, char **argv)
{
	int ret;

	if (argc < 4)
		return 2;
	ret = nl_open();
	if (!ret && !strcmp(argv[3], "times") && argc > 4)
		ret = often(argv[1], argv[2], (unsigned int)atoi(argv[4]));
	else if (!ret)
		ret = add(argv[1], argv[2], argc - 3, argv + 3);
	if (ret)
		printf("%s: %s\n", argv[1], strerror(-ret));
	return ret != 0;
}
