// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of a disk's vDPA device; kmod/ABI says what they are.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "blk.h"

#define POLL_US_MAX 1000

static struct vhk_blk *blk_of(struct device *device)
{
	return vhk_blk_of(vhk_dev_of(dev_to_vdpa(device)));
}

static ssize_t backing_file_show(struct device *device, struct device_attribute *attr, char *buf)
{
	char *path = file_path(blk_of(device)->disk->file, buf, PAGE_SIZE - 1);
	size_t len;

	if (IS_ERR(path))
		return PTR_ERR(path);
	len = strlen(path);
	memmove(buf, path, len);
	buf[len++] = '\n';
	return len;
}
static DEVICE_ATTR_RO(backing_file);

static ssize_t backing_gone_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(blk_of(device)->gone));
}
static DEVICE_ATTR_RO(backing_gone);

static ssize_t poll_us_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(blk_of(device)->dev.poll_us));
}

static ssize_t poll_us_store(struct device *device, struct device_attribute *attr, const char *buf,
			     size_t len)
{
	unsigned int us;
	int ret = kstrtouint(buf, 10, &us);

	if (ret)
		return ret;
	if (us > POLL_US_MAX)
		return -ERANGE;
	WRITE_ONCE(blk_of(device)->dev.poll_us, us);
	return len;
}
static DEVICE_ATTR_RW(poll_us);

static struct attribute *attrs[] = {
	&dev_attr_backing_file.attr,
	&dev_attr_backing_gone.attr,
	&dev_attr_poll_us.attr,
	NULL,
};

static const struct attribute_group group = {
	.attrs = attrs,
};

static int all_stats(struct device *device, struct vhostkit_disk_stats *out)
{
	*out = (struct vhostkit_disk_stats){ .queue = VHOSTKIT_ALL_QUEUES };
	return vhk_blk_disk_ops.stats(blk_of(device), out);
}

#define STAT_ATTR(name)                                                                            \
	static ssize_t name##_show(struct device *device, struct device_attribute *attr,           \
				   char *buf)                                                      \
	{                                                                                          \
		struct vhostkit_disk_stats s;                                                      \
		const int ret = all_stats(device, &s);                                             \
												   \
		return ret ? ret : sysfs_emit(buf, "%llu\n", (unsigned long long)s.name);          \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

STAT_ATTR(in_flight);
STAT_ATTR(reads);
STAT_ATTR(read_bytes);
STAT_ATTR(writes);
STAT_ATTR(write_bytes);
STAT_ATTR(flushes);
STAT_ATTR(discards);
STAT_ATTR(zeroes);
STAT_ATTR(errors);
STAT_ATTR(unsupported);
STAT_ATTR(kicks);
STAT_ATTR(calls);

static struct attribute *stat_attrs[] = {
	&dev_attr_in_flight.attr,   &dev_attr_reads.attr,  &dev_attr_read_bytes.attr,
	&dev_attr_writes.attr,	    &dev_attr_write_bytes.attr, &dev_attr_flushes.attr,
	&dev_attr_discards.attr,    &dev_attr_zeroes.attr, &dev_attr_errors.attr,
	&dev_attr_unsupported.attr, &dev_attr_kicks.attr,  &dev_attr_calls.attr,
	NULL,
};

static const struct attribute_group stat_group = {
	.name = "statistics",
	.attrs = stat_attrs,
};

const struct attribute_group *vhk_blk_groups[] = { &group, &stat_group, NULL };
