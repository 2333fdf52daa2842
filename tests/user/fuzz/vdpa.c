// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A kernel that answers anything to a request of vDPA management, and says anything in a uevent.
 * The input is a byte that picks what is read, then the datagram. What must hold: only the codes
 * that are promised, texts that end, counts within their bounds.
 */
#include "vdpa_nl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

struct reading {
	enum vhk_nl_kind kind;
	union {
		struct vhk_vdpa_mgmtdev mgmtdev;
		struct vhk_vdpa_dev dev;
		struct vhk_vdpa_config config;
		struct vhk_vdpa_vstats vstats;
	} out;
};

static bool ends(const char *text, size_t size)
{
	return memchr(text, 0, size);
}

static void check(const struct reading *r)
{
	unsigned int i;

	switch (r->kind) {
	case VHK_NL_MGMTDEV:
		must(ends(r->out.mgmtdev.name, VHK_VDPA_NAME_SIZE) && *r->out.mgmtdev.name);
		must(ends(r->out.mgmtdev.bus, VHK_VDPA_NAME_SIZE));
		break;
	case VHK_NL_DEV:
		must(ends(r->out.dev.name, VHK_VDPA_NAME_SIZE) && *r->out.dev.name);
		must(ends(r->out.dev.mgmtdev, VHK_VDPA_NAME_SIZE));
		break;
	case VHK_NL_CONFIG:
		must(ends(r->out.config.name, VHK_VDPA_NAME_SIZE) && *r->out.config.name);
		must(r->out.config.id == 2 || !(r->out.config.has & VHK_VDPA_BLK_CAPACITY));
		break;
	case VHK_NL_VSTATS:
		must(r->out.vstats.n_stats <= VHK_VDPA_STATS_MAX);
		for (i = 0; i < r->out.vstats.n_stats; i++)
			must(ends(r->out.vstats.stat[i].name, VHK_VDPA_STAT_SIZE));
		break;
	}
}

static int record(void *arg, const struct nlattr *first, int len)
{
	struct reading *r = arg;
	int ret = vhk_nl_record_read(r->kind, &r->out, first, len);

	must(!ret || ret == -EPROTO);
	if (!ret)
		check(r);
	return ret;
}

static void answer(enum vhk_nl_kind kind, const void *bytes, size_t len)
{
	static struct reading r;
	struct vhk_nl_answer a = { .seq = 2, .type = 0x23, .record = record, .arg = &r };
	int ret;

	r.kind = kind;
	ret = vhk_nl_answer_take(&a, bytes, len);
	must(!ret || ret == -EPROTO || ret == -ENOBUFS);
	must(ends(a.text, sizeof(a.text)));
	must(a.done || !a.error);
	must(a.error <= 0 && a.error >= -4095);
}

static void uevent(const char *text, size_t len)
{
	char name[32];
	struct vhk_uevent u;
	int ret = vhk_uevent_parse(&u, text, len);

	must(!ret || ret == -EPROTO);
	if (!ret && vhk_uevent_parent(u.devpath, name, sizeof(name)))
		must(ends(name, sizeof(name)) && *name && strstr(u.devpath, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *exact;

	if (size < 2)
		return 0;
	/* No byte more, and as aligned as what libnl hands over. */
	exact = malloc(size - 1);
	must(exact);
	memcpy(exact, data + 1, size - 1);
	if (data[0] % 5 == 4)
		uevent(exact, size - 1);
	else
		answer((enum vhk_nl_kind)(data[0] % 5), exact, size - 1);
	free(exact);
	return 0;
}
