// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * userfaultfd(2) as postcopy migration needs it. Faults inside the kernel are caught as well, since
 * I/O goes straight to guest memory; that takes a privilege, vm.unprivileged_userfaultfd, or the
 * device node.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uffd.h"

/* Linux 6.1: whoever may open it needs no other privilege. */
static int from_node(void)
{
	int ret, node = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (node < 0)
		return -EPERM;
	ret = ioctl(node, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	if (ret < 0)
		ret = -errno;
	close(node);
	return ret;
}

int vhk_uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int ret, fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		fd = errno == EPERM ? from_node() : -errno;
	if (fd < 0)
		return fd;
	ret = ioctl(fd, UFFDIO_API, &api) ? -errno : 0;
	if (!ret && !(api.features & UFFD_FEATURE_MISSING_SHMEM))
		ret = -ENOSYS;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int vhk_uffd_register(int fd, void *base, size_t len)
{
	struct uffdio_register r = { .range = { (uintptr_t)base, len },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };

	return ioctl(fd, UFFDIO_REGISTER, &r) ? -errno : 0;
}

void vhk_uffd_wake(int fd, void *base, size_t len)
{
	struct uffdio_range r = { (uintptr_t)base, len };

	ioctl(fd, UFFDIO_WAKE, &r);
}

void vhk_uffd_unregister(int fd, void *base, size_t len)
{
	struct uffdio_range r = { (uintptr_t)base, len };

	ioctl(fd, UFFDIO_UNREGISTER, &r);
}
