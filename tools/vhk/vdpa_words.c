// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The words behind vhk vdpa dev add and dev set, abbreviated as iproute2 lets them be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpa.h"

bool vdpa_is(const char *word, const char *of)
{
	return *word && !strncmp(word, of, strlen(word));
}

bool vdpa_parse_mac(const char *text, uint8_t mac[6])
{
	unsigned int i, digits, byte;
	char *end;

	for (i = 0; i < 6; i++) {
		byte = (unsigned int)strtoul(text, &end, 16);
		digits = (unsigned int)(end - text);
		/* strtoul() takes signs and spaces, too. */
		if (digits < 1 || digits > 2 || !strchr("0123456789abcdefABCDEF", *text) ||
		    *end != (i < 5 ? ':' : 0))
			return false;
		mac[i] = (uint8_t)byte;
		text = end + 1;
	}
	return true;
}

/* Hexadecimal with or without 0x, as iproute2 takes them. */
static bool parse_features(const char *text, uint64_t *out)
{
	char *end;

	if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
		return false;
	errno = 0;
	*out = strtoull(text, &end, 16);
	return !*end && !errno;
}

static bool parse_u16(const char *text, uint16_t *out)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	v = strtoul(text, &end, 10);
	*out = (uint16_t)v;
	return !*end && v <= UINT16_MAX;
}

/* 0: no such word; -1: a value that cannot be; -2: it came before. */
static int parse_param(struct vhk_vdpa_params *p, const char *word, const char *value)
{
	uint64_t bit;
	bool ok;

	if (!strcmp(word, "mac")) {
		bit = VHK_VDPA_NET_MAC;
		ok = vdpa_parse_mac(value, p->mac);
	} else if (!strcmp(word, "mtu")) {
		bit = VHK_VDPA_NET_MTU;
		ok = parse_u16(value, &p->mtu);
	} else if (vdpa_is(word, "max_vqp")) {
		bit = VHK_VDPA_NET_MAX_VQP;
		ok = parse_u16(value, &p->max_vqp);
	} else if (!strcmp(word, "device_features")) {
		bit = VHK_VDPA_FEATURES;
		ok = parse_features(value, &p->features);
	} else {
		return 0;
	}
	if (p->set & bit)
		return -2;
	p->set |= bit;
	return ok ? 1 : -1;
}

static int take_once(const char **to, const char *value)
{
	if (*to)
		return -2;
	*to = value;
	return 1;
}

static int parse(struct vdpa_words *w, const char *command, int argc, char **argv)
{
	int i, ret;

	*w = (struct vdpa_words){ .params = { .sz = sizeof(w->params) } };
	for (i = 0; i < argc; i += 2) {
		if (i + 1 == argc)
			return say_usage("vdpa dev %s: %s takes a value", command, argv[i]);
		if (vdpa_is(argv[i], "name"))
			ret = take_once(&w->name, argv[i + 1]);
		else if (vdpa_is(argv[i], "mgmtdev"))
			ret = take_once(&w->mgmtdev, argv[i + 1]);
		else
			ret = parse_param(&w->params, argv[i], argv[i + 1]);
		if (!ret)
			return say_usage("vdpa dev %s: unknown option \"%s\"", command, argv[i]);
		if (ret == -2)
			return say_usage("vdpa dev %s: %s is given twice", command, argv[i]);
		if (ret < 0)
			return say_usage("vdpa dev %s: %s cannot be %s", command, argv[i],
					 argv[i + 1]);
	}
	return w->name ? 0 : say_usage("vdpa dev %s: device name is not set", command);
}

int vdpa_parse_add(struct vdpa_words *w, int argc, char **argv)
{
	int ret = parse(w, "add", argc, argv);

	if (ret)
		return ret;
	return w->mgmtdev ? 0 : say_usage("vdpa dev add: management device is not set");
}

int vdpa_parse_set(struct vdpa_words *w, int argc, char **argv)
{
	int ret = parse(w, "set", argc, argv);

	if (ret)
		return ret;
	if (w->mgmtdev || w->params.set & ~VHK_VDPA_NET_MAC)
		return say_usage("vdpa dev set: only mac can be set");
	return w->params.set ? 0 : say_usage("vdpa dev set: nothing to set");
}
