// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: two disks behind VDUSE, served by one process and one
 * loop, until SIGTERM.
 *
 *   two_disks NAME IMAGE NAME IMAGE
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <vhostkit/blk.h>
#include <vhostkit/vdpa.h>
#include <vhostkit/vduse.h>

static struct {
	const char *name;
	struct vhk_device *disk;
	struct vhk_vduse *door;
} one[2];

static struct vhk_loop *loop;
static int failed;

static int say(const char *what, const char *name, int ret)
{
	if (ret)
		printf("%s: %s: %s\n", name, what, strerror(-ret));
	return ret;
}

static int each(int (*fn)(struct vhk_vdpa *v, const char *name))
{
	const struct vhk_vdpa_opts o = { .sz = sizeof(o), .timeout_ms = 60000 };
	struct vhk_vdpa *v = NULL;
	int i, ret = say("netlink", "vdpa", vhk_vdpa_open(&v, &o));

	for (i = 0; i < 2 && !ret; i++)
		ret = say("vDPA bus", one[i].name, fn(v, one[i].name));
	vhk_vdpa_close(v);
	return ret;
}

static int add(struct vhk_vdpa *v, const char *name)
{
	return vhk_vdpa_dev_new(v, name, "vduse", NULL);
}

static void *attach(void *arg)
{
	(void)arg;
	failed |= each(add);
	return NULL;
}

static void *detach(void *arg)
{
	(void)arg;
	failed |= each(vhk_vdpa_dev_del);
	vhk_loop_stop(loop);
	return NULL;
}

static int open_one(int i, const char *name, const char *image)
{
	const struct vhk_blk_opts o = { .sz = sizeof(o), .path = image, .num_queues = 2 };
	int ret = vhk_blk_new(&one[i].disk, &o);

	one[i].name = name;
	if (!ret)
		ret = vhk_vduse_open(&one[i].door, loop, one[i].disk, name, NULL);
	return say(image, name, ret);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int i;

	if (argc != 5 || vhk_loop_new(&loop, NULL) || vhk_loop_stop_on_signal(loop, SIGTERM))
		return 2;
	for (i = 0; i < 2; i++)
		if (open_one(i, argv[1 + 2 * i], argv[2 + 2 * i]))
			return 1;
	pthread_create(&thread, NULL, attach, NULL);
	vhk_loop_run(loop);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, detach, NULL);
	vhk_loop_run(loop);
	pthread_join(thread, NULL);
	for (i = 0; i < 2; i++) {
		failed |= say("destroy", one[i].name, vhk_vduse_destroy(one[i].door));
		vhk_device_free(one[i].disk);
	}
	vhk_loop_free(loop);
	return failed != 0;
}
