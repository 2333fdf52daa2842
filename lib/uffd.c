// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * userfaultfd(2) as postcopy migration needs it. Faults inside the kernel are caught as well, since
 * I/O goes straight to guest memory; that takes a privilege, or vm.unprivileged_userfaultfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uffd.h"

int vhk_uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int ret, fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, UFFDIO_API, &api) ? -errno : 0;
	if (!ret && !(api.features & UFFD_FEATURE_MISSING_SHMEM))
		ret = -EOPNOTSUPP;
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

void vhk_uffd_unregister(int fd, void *base, size_t len)
{
	struct uffdio_range r = { (uintptr_t)base, len };

	ioctl(fd, UFFDIO_UNREGISTER, &r);
}
