// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program, on a kernel with fault injection: every call of ours, and
 * adding a device, with the first allocation failing, then the second, and so on until none fails
 * any more. A failure has an errno that says so, and leaves nothing.
 *
 *   nth calls FILE BLOCKDEV   the calls of /dev/vhostkit, and of a multiplexer
 *   nth add NAME MGMTDEV      vdpa dev add, and del
 *   nth drive PATH            a driver of /dev/vhost-vdpa-N, from open to close
 *   nth load MODULE           loading a module
 */
#include <sys/syscall.h>

#include "notify.h"
#include "vdpa_driver.h"
#include "vdpa_nl.h"

#define MAX_NTH 5000

static int nth_fd = -1, ctl = -1;
static struct mux mux = { .fd = -1 };
static const char *arg[2];

/* What an operation needs that is not looked at, and what it leaves. */
struct op {
	const char *name;
	int (*before)(void);
	int (*run)(void); /* negative: an errno */
	int (*after)(void);
	unsigned int step; /* not each, but the first of so many; 0: each */
};

static void set_nth(unsigned int n)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%u", n);

	SURE(pwrite(nth_fd, text, (size_t)len, 0) == len);
}

/* True: one has failed since it was set. Ends it, too. */
static bool was_hit(void)
{
	char text[16] = "";

	SURE(pread(nth_fd, text, sizeof(text) - 1, 0) > 0);
	set_nth(0);
	return !atoi(text);
}

static int sys(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

/* An errno that a caller can do something about: there is no memory, or no room for a message. */
static bool is_clean(int ret)
{
	return ret == -ENOMEM || ret == -ENOBUFS;
}

static int each_nth(const struct op *op)
{
	unsigned int n, n_failed = 0, n_bad = 0;
	bool hit = true;
	int ret;

	for (n = 1; hit && n < MAX_NTH; n += op->step ? op->step : 1) {
		if (op->before)
			SURE(op->before() >= 0);
		set_nth(n);
		ret = op->run();
		hit = was_hit();
		if (ret < 0 && (!hit || !is_clean(ret))) {
			printf("%s: allocation %u%s: %s\n", op->name, n,
			       hit ? "" : " does not fail", strerror(-ret));
			n_bad++;
		}
		n_failed += ret < 0;
		if (op->after && (ret >= 0 || op->before))
			op->after();
	}
	printf("%s: below %u allocations, %u failures\n", op->name, n, n_failed);
	return n_bad || hit;
}

/* The registry. */
static int disk_add(const char *path)
{
	struct vhostkit_disk_add a = { .size = sizeof(a), .name = "nth" };
	int ret;

	a.fd = open(path, O_RDWR | O_CLOEXEC);
	if (a.fd < 0)
		return -errno;
	ret = sys(ioctl(ctl, VHOSTKIT_DISK_ADD, &a));
	close(a.fd);
	return ret;
}

static int disk_del(void)
{
	struct vhostkit_disk_del d = { .size = sizeof(d), .name = "nth" };

	return sys(ioctl(ctl, VHOSTKIT_DISK_DEL, &d));
}

static int add_file(void)
{
	return disk_add(arg[0]);
}

static int add_bdev(void)
{
	return disk_add(arg[1]);
}

static int look(void)
{
	struct vhostkit_disk_query q = { .size = sizeof(q), .name = "nth" };
	struct vhostkit_disk_resize r = { .size = sizeof(r), .name = "nth" };
	struct vhostkit_info i = { .size = sizeof(i) };
	int ret = sys(ioctl(ctl, VHOSTKIT_DISK_QUERY, &q));

	if (!ret)
		ret = sys(ioctl(ctl, VHOSTKIT_DISK_RESIZE, &r));
	return ret ? ret : sys(ioctl(ctl, VHOSTKIT_INFO, &i));
}

/* The multiplexer. */
static int fds[2];

static int notify_new(void)
{
	mux.fd = mux_new(ctl, 100);
	return sys(mux.fd);
}

static int notify_close(void)
{
	return sys(close(mux.fd));
}

static int notify_bind(void)
{
	return mux_bind(&mux, 77, fds[0], fds[1]);
}

static int notify_call(void)
{
	const uint64_t one = 1;

	mux_stage(&mux, 77);
	if (write(fds[0], &one, sizeof(one)) < 0)
		return -errno;
	return mux_call(&mux);
}

static int notify_unbind(void)
{
	return mux_unbind(&mux, 77, KICK | CALL);
}

static int unbind_and_close(void)
{
	notify_unbind();
	mux_close(&mux);
	return 0;
}

static int notify_map(void)
{
	const int ret = notify_new();

	if (ret >= 0)
		mux_map(&mux);
	return ret;
}

static int notify_bound(void)
{
	const int ret = notify_map();

	return ret < 0 ? ret : notify_bind();
}

static int calls(void)
{
	static const struct op ops[] = {
		{ "add a file", NULL, add_file, disk_del, 0 },
		{ "add a block device", NULL, add_bdev, disk_del, 0 },
		{ "look at a disk", add_file, look, disk_del, 0 },
		{ "make a multiplexer", NULL, notify_new, notify_close, 0 },
		{ "bind", notify_map, notify_bind, unbind_and_close, 0 },
		{ "kick and call", notify_bound, notify_call, unbind_and_close, 0 },
	};
	unsigned int i;
	int bad = 0;

	ctl = ctl_open();
	fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		bad |= each_nth(&ops[i]);
	return bad;
}

/* The bus. */
static int dev_add(void)
{
	return nl_dev_add(arg[0], arg[1]);
}

static int dev_del(void)
{
	return nl_dev_del(arg[0]);
}

/* Where only the answer got lost, the device may be there. */
static int dev_absent(void)
{
	const int ret = dev_del();

	return ret == -ENODEV ? 0 : ret;
}

static int add(void)
{
	static const struct op ops[] = {
		{ "add a device", dev_absent, dev_add, dev_absent, 0 },
		{ "delete a device", dev_add, dev_del, dev_absent, 0 },
	};

	SURE(!nl_open());
	return each_nth(&ops[0]) | each_nth(&ops[1]);
}

/* From open to a running queue; what there is is closed by the caller. */
static struct driver drv = { .fd = -1 };

static int vring(unsigned long call, uint32_t num)
{
	struct vhost_vring_state s = { .num = num };

	return sys(ioctl(drv.fd, call, &s));
}

static int status(uint8_t value)
{
	return sys(ioctl(drv.fd, VHOST_VDPA_SET_STATUS, &value));
}

static int vring_files(void)
{
	struct vhost_vring_file kick = { .fd = drv.kick }, call = { .fd = drv.call };
	const int ret = sys(ioctl(drv.fd, VHOST_SET_VRING_KICK, &kick));

	return ret ? ret : sys(ioctl(drv.fd, VHOST_SET_VRING_CALL, &call));
}

static int vring_start(void)
{
	const uint8_t ready = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	struct vhost_vring_addr addr = {
		.desc_user_addr = IOVA + AT_DESC,
		.avail_user_addr = IOVA + AT_DRIVER,
		.used_user_addr = IOVA + AT_DEVICE,
	};
	uint64_t features = 3ull << 32;
	int ret = status(ready);

	ret = ret ? ret : sys(ioctl(drv.fd, VHOST_SET_FEATURES, &features));
	ret = ret ? ret : status(ready | VIRTIO_CONFIG_S_FEATURES_OK);
	ret = ret ? ret : vring(VHOST_SET_VRING_NUM, SIZE);
	ret = ret ? ret : sys(ioctl(drv.fd, VHOST_SET_VRING_ADDR, &addr));
	ret = ret ? ret : vring_files();
	ret = ret ? ret : vring(VHOST_VDPA_SET_VRING_ENABLE, 1);
	return ret ? ret : status(ready | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static int drv_run(void)
{
	uint64_t backend = 0;
	int ret;

	drv.fd = open(arg[0], O_RDWR | O_CLOEXEC);
	if (drv.fd < 0)
		return -errno;
	ret = sys(ioctl(drv.fd, VHOST_SET_OWNER, NULL));
	ret = ret ? ret : sys(ioctl(drv.fd, VHOST_GET_BACKEND_FEATURES, &backend));
	ret = ret ? ret : sys(ioctl(drv.fd, VHOST_SET_BACKEND_FEATURES, &backend));
	/* The one thing that vhost says of a mapping that it could not make is EFAULT. */
	if (!ret && drv_iotlb(&drv, VHOST_IOTLB_UPDATE, IOVA, drv.mem, MEM_SIZE, VHOST_ACCESS_RW))
		ret = errno == EFAULT ? -ENOMEM : -errno;
	return ret ? ret : vring_start();
}

static int drv_end(void)
{
	if (drv.fd >= 0)
		close(drv.fd);
	drv.fd = -1;
	return 0;
}

static int drive(void)
{
	static const struct op op = { "drive a device", drv_end, drv_run, drv_end, 0 };

	drv.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	SURE(drv.mem != MAP_FAILED);
	drv.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	drv.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return each_nth(&op);
}

static int module_fd;
static char module_name[64];

static int module_load(void)
{
	return sys(syscall(SYS_finit_module, module_fd, "", 0));
}

static int module_unload(void)
{
	const int ret = sys(syscall(SYS_delete_module, module_name, O_NONBLOCK));

	return ret == -ENOENT ? 0 : ret;
}

static int load(void)
{
	/* Most of them are the kernel's own, for symbols and for sysfs. */
	static const struct op op = { "load a module", module_unload, module_load, module_unload,
				      53 };
	const char *name = strrchr(arg[0], '/');

	SURE(name);
	snprintf(module_name, sizeof(module_name), "%.*s", (int)strcspn(name + 1, "."), name + 1);
	module_fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	SURE(module_fd >= 0);
	return each_nth(&op);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	arg[0] = argv[2];
	arg[1] = argv[3];
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	SURE(nth_fd >= 0);
	if (!strcmp(argv[1], "calls") && argc > 3)
		return calls();
	if (!strcmp(argv[1], "add") && argc > 3)
		return add();
	if (!strcmp(argv[1], "drive"))
		return drive();
	if (!strcmp(argv[1], "load"))
		return load();
	return 2;
}
