// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Texts of uevents: those of a vDPA device and of its interfaces as Linux 6.12 sends them, and what
 * is none. Listening needs no rights.
 */
#include "t.h"
#include "vdpa_nl.h"

static const char add[] = "add@/devices/vhostkit_blk/d0\0ACTION=add\0"
			  "DEVPATH=/devices/vhostkit_blk/d0\0SUBSYSTEM=vdpa\0SEQNUM=1721";
static const char bind[] = "bind@/devices/vhostkit_blk/d0\0ACTION=bind\0"
			   "DEVPATH=/devices/vhostkit_blk/d0\0SUBSYSTEM=vdpa\0DRIVER=vhost_vdpa\0"
			   "SEQNUM=1722";
static const char disk[] = "add@/devices/vhostkit_blk/d0/virtio1/block/vda\0ACTION=add\0"
			   "DEVPATH=/devices/vhostkit_blk/d0/virtio1/block/vda\0SUBSYSTEM=block\0"
			   "MAJOR=254\0MINOR=0\0DEVNAME=vda\0DEVTYPE=disk\0DISKSEQ=9\0"
			   "SEQNUM=1723";
static const char half[] = "add@/devices/vhostkit_blk/d0\0ACTION=add\0SEQNUM=1";
static const char udev[] = "libudev\0\xfe\xed\xca\xfe";

static void the_kernels_texts_are_read(void)
{
	struct vhk_uevent u;

	T_EQ(vhk_uevent_parse(&u, add, sizeof(add)), 0);
	T_STR(u.action, "add");
	T_STR(u.devpath, "/devices/vhostkit_blk/d0");
	T_STR(u.subsystem, "vdpa");
	T_EQ(u.seq, 1721);
	T_OK(!u.driver && !u.devtype);
	T_EQ(vhk_uevent_parse(&u, bind, sizeof(bind)), 0);
	T_STR(u.driver, "vhost_vdpa");
	T_EQ(vhk_uevent_parse(&u, disk, sizeof(disk)), 0);
	T_STR(u.devtype, "disk");
}

static void other_texts_are_refused(void)
{
	struct vhk_uevent u;

	T_EQ(vhk_uevent_parse(&u, half, sizeof(half)), -EPROTO);
	T_EQ(vhk_uevent_parse(&u, udev, sizeof(udev)), -EPROTO);
	T_EQ(vhk_uevent_parse(&u, add, 0), -EPROTO);
	T_EQ(vhk_uevent_parse(&u, add, sizeof(add) - 1), -EPROTO);
	T_EQ(vhk_uevent_parse(&u, "", 1), -EPROTO);
}

static void every_beginning_is_safe(void)
{
	struct vhk_uevent u;
	char *cut;
	size_t n;

	for (n = 1; n <= sizeof(disk); n++) {
		cut = malloc(n);
		T_MUST(cut);
		memcpy(cut, disk, n);
		if (!vhk_uevent_parse(&u, cut, n))
			T_OK(u.action && u.devpath && u.subsystem);
		free(cut);
	}
}

static const struct {
	const char *path, *name; /* NULL: of no device */
} parents[] = {
	{ "/devices/vhostkit_blk/d0/virtio1/block/vda", "d0" },
	{ "/devices/pci0000:00/0000:00:02.0/vdpa0/virtio10/net/eth0", "vdpa0" },
	{ "/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0", "0000:00:03.0" },
	{ "/devices/virtio_x/virtual/d1/virtio2/net/eth1", "d1" },
	{ "/devices/virtual/net/tap0", NULL },
	{ "/devices/d0/virtio/net/eth0", NULL },
	{ "/devices/d0/virtio1x/net/eth0", NULL },
	{ "/devices/d0/virtio1", NULL },
	{ "/virtio1/net/eth0", NULL },
	{ "//virtio1/net/eth0", NULL },
	{ "", NULL },
	{ "/devices/a-name-of-more-than-16/virtio1/net/eth0", NULL },
};

static void an_interface_names_its_device(void)
{
	char name[16];
	size_t i;
	bool is;

	for (i = 0; i < vhk_array_size(parents); i++) {
		is = vhk_uevent_parent(parents[i].path, name, sizeof(name));
		T_EQ(is, parents[i].name != NULL);
		if (is && parents[i].name)
			T_STR(name, parents[i].name);
	}
}

static void anybody_may_listen(void)
{
	struct vhk_vdpa_event e = { .sz = sizeof(e) };
	struct vhk_vdpa_monitor *m = NULL;
	int ret = vhk_vdpa_monitor_open(&m);

	/* Some containers have no netlink. */
	if (ret == -EPROTONOSUPPORT || ret == -EAFNOSUPPORT) {
		T_OK(!m);
		return;
	}
	T_EQ(ret, 0);
	T_MUST(m);
	T_OK(vhk_vdpa_monitor_fd(m) >= 0);
	T_EQ(fcntl(vhk_vdpa_monitor_fd(m), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	/* Nothing happens to a vDPA device here; with nothing to say it does not wait. */
	ret = vhk_vdpa_monitor_next(m, &e);
	T_OK(ret == -EAGAIN || ret == -ENOBUFS || !ret);
	e.sz = 0;
	T_EQ(vhk_vdpa_monitor_next(m, &e), -EINVAL);
	vhk_vdpa_monitor_close(m);
	vhk_vdpa_monitor_close(NULL);
}

int main(void)
{
	T_RUN(the_kernels_texts_are_read);
	T_RUN(other_texts_are_refused);
	T_RUN(every_beginning_is_safe);
	T_RUN(an_interface_names_its_device);
	T_RUN(anybody_may_listen);
	return t_end();
}
