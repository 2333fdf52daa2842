// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk ctl show: asks a data plane for everything it offers, without starting anything.
 */
#include <getopt.h>

#include "commands.h"
#include "ctl_show.h"
#include "features.h"
#include "uri.h"

const char *show_feature_name(const void *arg, unsigned int bit)
{
	return feature_name(arg, bit);
}

void show_bits(const char *what, uint64_t bits, bit_name_fn *name, const void *arg)
{
	unsigned int i;

	printf("%s 0x%llx\n", what, (unsigned long long)bits);
	for (i = 0; i < 64; i++)
		if (bits >> i & 1)
			printf("  %2u %s\n", i, name(arg, i) ? name(arg, i) : "?");
}

void show_bits_json(struct json *j, const char *key, uint64_t bits, bit_name_fn *name,
		    const void *arg)
{
	char number[16];
	unsigned int i;

	json_open(j, key, '[');
	for (i = 0; i < 64; i++) {
		snprintf(number, sizeof(number), "%u", i);
		if (bits >> i & 1)
			json_text(j, NULL, name(arg, i) ? name(arg, i) : number);
	}
	json_close(j, ']');
}

/* 0, or an exit code. */
static int show_door(struct vhk_ctl *c, const char *uri, bool json,
		     const struct feature_device *device)
{
	if (vhk_ctl_kind(c) == VHK_CTL_KIND_USER)
		return show_user(c, uri, json, device);
	if (device)
		return say_usage("--device is for vhost-user: %s says what it is", uri);
	return show_kernel(c, uri, json);
}

int ctl_show(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "device", required_argument, NULL, 'd' },
						 { "timeout", required_argument, NULL, 't' },
						 { "quiet", no_argument, NULL, 'q' },
						 { 0 } };
	struct vhk_ctl_opts opts = { .sz = sizeof(opts), .log = say_log() };
	const char *device = NULL;
	struct vhk_ctl *c;
	bool json = false;
	uint64_t ns;
	int opt, ret;

	while ((opt = say_getopt(argc, argv, "jqd:t:", options, NULL)) >= 0) {
		if (opt == 'j')
			json = true;
		else if (opt == 'd')
			device = optarg;
		else if (opt == 't' && parse_seconds(optarg, &ns))
			opts.timeout_ms = (uint32_t)(ns / 1000000u + 1);
		else if (opt != 'q')
			return opt == '?' ? EXIT_USAGE : say_usage("bad timeout: %s", optarg);
	}
	if (device && !feature_device(device))
		return say_usage("--device: %s is none of %s", device, feature_devices());
	if (optind + 1 != argc)
		return say_usage("ctl show takes one URI");
	ret = uri_check_door(argv[optind]);
	if (ret)
		return ret;
	ret = vhk_ctl_open(&c, argv[optind], &opts);
	if (ret)
		return uri_say_closed(argv[optind], ret);
	ret = show_door(c, argv[optind], json, device ? feature_device(device) : NULL);
	vhk_ctl_close(c);
	return ret;
}
