// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Owner, group and mode of a vhost-vdpa node. The kernel sends no event for the node itself; udev
 * calls vhk vdpa permit when the bus driver has taken the device.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node.h"
#include "record.h"

#define DEFAULT_GROUP ":kvm"
#define DEFAULT_MODE "660"

static bool number(const char *text, int base, unsigned long *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoul(text, &end, base);
	return !*end && !errno && *out <= 0xfffffffeul;
}

/* USER, USER:GROUP or :GROUP; names or numbers. */
static bool parse_owner(const char *text, uid_t *uid, gid_t *gid)
{
	const char *colon = strchr(text, ':');
	const struct passwd *pw;
	const struct group *gr;
	unsigned long v;
	char user[64];
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (n >= sizeof(user) || (!n && (!colon || !colon[1])))
		return false;
	memcpy(user, text, n);
	user[n] = 0;
	if (n && number(user, 10, &v)) {
		*uid = (uid_t)v;
	} else if (n) {
		pw = getpwnam(user);
		if (!pw)
			return false;
		*uid = pw->pw_uid;
	}
	if (!colon || !colon[1])
		return true;
	if (number(colon + 1, 10, &v)) {
		*gid = (gid_t)v;
		return true;
	}
	gr = getgrnam(colon + 1);
	if (!gr)
		return false;
	*gid = gr->gr_gid;
	return true;
}

static bool parse_mode(const char *text, mode_t *mode)
{
	unsigned long v;

	if (!number(text, 8, &v) || v > 0777)
		return false;
	*mode = (mode_t)v;
	return true;
}

int node_check(const char *owner, const char *mode)
{
	mode_t m;
	uid_t uid;
	gid_t gid;

	if (owner && !parse_owner(owner, &uid, &gid))
		return say_usage("--owner %s: no such user or group", owner);
	if (mode && !parse_mode(mode, &m))
		return say_usage("--mode %s: an octal number up to 777", mode);
	return 0;
}

int node_permit(const char *name, const char *owner, const char *mode)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	int ret = vhk_vdpa_place(name, &p);
	uid_t uid;
	gid_t gid;
	mode_t m;

	if (ret || !*p.node) {
		say("%s: %s", name, ret ? strerror(-ret) : "it has no node");
		return EXIT_FAILED;
	}
	if ((owner && parse_owner(owner, &uid, &gid) && chown(p.node, uid, gid)) ||
	    (mode && parse_mode(mode, &m) && chmod(p.node, m))) {
		say("%s: %s", p.node, strerror(errno));
		return EXIT_FAILED;
	}
	return 0;
}

int vdpa_permit(struct vdpa_cli *c, int argc, char **argv)
{
	const char *owner = NULL, *mode = NULL;
	struct record r;
	int ret;

	(void)c;
	if (argc != 1)
		return say_usage("vdpa permit takes the name of one device");
	if (!record_find(&r, argv[0])) {
		owner = record_get(&r, "owner");
		mode = record_get(&r, "mode");
	}
	if (!owner && !mode && getgrnam(&DEFAULT_GROUP[1])) {
		owner = DEFAULT_GROUP;
		mode = DEFAULT_MODE;
	}
	ret = node_check(owner, mode);
	return ret ? ret : node_permit(argv[0], owner, mode);
}
