// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What vhk vdpa prints for answers that were recorded from Linux 6.12, beside what iproute2 printed
 * for the same; its grammar and exit codes. The tool's own files are built in here, over a kernel
 * and a bus of the test's.
 */
#include <getopt.h>

#include "t_vdpa.h"

static struct t_kernel kernel;
static const char *kernel_answers[T_ANSWERS_MAX];
static struct vhk_vdpa_place place;
static int n_holders, open_answer, bind_answer, open_calls;
static const char *bound_to;

static int t_open(struct vhk_vdpa **out, const struct vhk_vdpa_opts *opts)
{
	unsigned int i;

	memset(&kernel, 0, sizeof(kernel));
	kernel.link = (struct vhk_nl_link){ t_kernel_send, t_kernel_recv, t_kernel_close,
					    &kernel };
	kernel.answers[0] = T_FAMILY T_ACK;
	for (i = 0; i + 1 < T_ANSWERS_MAX && kernel_answers[i]; i++)
		kernel.answers[1 + i] = kernel_answers[i];
	open_calls++;
	return vhk_vdpa_new_take_link(out, &kernel.link, opts);
}

static int t_place(const char *name, struct vhk_vdpa_place *out)
{
	if (!place.sz)
		return -ENODEV;
	T_STR(name, "d0");
	*out = place;
	return 0;
}

static int t_holders(const char *name, int (*fn)(void *arg, const struct vhk_vdpa_holder *h),
		     void *arg)
{
	struct vhk_vdpa_holder h = { .sz = sizeof(h), .pid = 41, .comm = "qemu" };
	int i;

	(void)name;
	for (i = 0; i < n_holders; i++, h.pid++)
		fn(arg, &h);
	return n_holders;
}

static int t_is_open(const char *name)
{
	(void)name;
	return open_answer;
}

static int t_bind(const char *name, const char *driver, uint32_t flags)
{
	(void)name;
	bound_to = driver;
	return flags & VHK_VDPA_F_FORCE ? 0 : bind_answer;
}

static bool no_bus;

static int t_autoprobe(int on)
{
	return no_bus ? -ENODEV : on < 0 ? 1 : on;
}

#define vhk_vdpa_autoprobe(on) t_autoprobe(on)
#define vhk_vdpa_open(o, p) t_open(o, p)
#define vhk_vdpa_place(n, o) t_place(n, o)
#define vhk_vdpa_holders(n, f, a) t_holders(n, f, a)
#define vhk_vdpa_is_open(n) t_is_open(n)
#define vhk_vdpa_bind(n, d, f) t_bind(n, d, f)
#define vhk_vdpa_unbind(n, f) t_bind(n, "", f)

#include "../../tools/vhk/features.c"
#include "../../tools/vhk/json.c"
#include "../../tools/vhk/module.c"
#include "../../tools/vhk/node.c"
#include "../../tools/vhk/record.c"
#include "../../tools/vhk/say.c"
#include "../../tools/vhk/vdpa.c"
#include "../../tools/vhk/vdpa_bind.c"
#include "../../tools/vhk/vdpa_monitor.c"
#include "../../tools/vhk/vdpa_out.c"
#include "../../tools/vhk/vdpa_show.c"
#include "../../tools/vhk/vdpa_stats.c"
#include "../../tools/vhk/vdpa_words.c"

#include "t_said.h"

/* vhk WORDS, which are separated by spaces; the exit code. */
static int vhk(const char *words)
{
	char line[256], *argv[32], *word, *rest;
	int argc = 0;

	snprintf(line, sizeof(line), "%s", words);
	for (word = strtok_r(line, " ", &rest); word && argc < 31;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	argv[argc] = NULL;
	optind = 0;
	return t_said(vdpa, argc, argv);
}

static void answers(const char *a, const char *b, const char *c, const char *d)
{
	const char *const all[] = { a, b, c, d, NULL };

	memcpy(kernel_answers, all, sizeof(all));
	memset(&place, 0, sizeof(place));
	n_holders = open_answer = bind_answer = 0;
}

static void a_management_device(void)
{
	answers(t_record(1, 2, T_MGMTDEV_ATTRS), T_DONE, NULL, NULL);
	T_EQ(vhk("vdpa mgmtdev show"), 0);
	T_STR(out_text,
	      "vhostkit_blk: \n"
	      "  supported_classes block\n"
	      "  max_supported_vqs 64\n"
	      "  dev_features bit_2 bit_5 bit_6 bit_9 bit_10 bit_11 bit_12 bit_13 bit_14 "
	      "RING_INDIRECT_DESC RING_EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_PACKED IN_ORDER\n"
	      "  feature_names SEG_MAX RO BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD "
	      "WRITE_ZEROES INDIRECT_DESC EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_PACKED "
	      "IN_ORDER\n");
	T_EQ(vhk("vdpa m l -j"), 0);
	T_STR(out_text,
	      "{\"mgmtdev\":{\"vhostkit_blk\":{\"supported_classes\":[\"block\"],"
	      "\"max_supported_vqs\":64,\"dev_features\":[2,5,6,9,10,11,12,13,14,"
	      "\"RING_INDIRECT_DESC\",\"RING_EVENT_IDX\",\"VERSION_1\",\"ACCESS_PLATFORM\","
	      "\"RING_PACKED\",\"IN_ORDER\"],\"feature_names\":[\"SEG_MAX\",\"RO\",\"BLK_SIZE\","
	      "\"FLUSH\",\"TOPOLOGY\",\"CONFIG_WCE\",\"MQ\",\"DISCARD\",\"WRITE_ZEROES\","
	      "\"INDIRECT_DESC\",\"EVENT_IDX\",\"VERSION_1\",\"ACCESS_PLATFORM\",\"RING_PACKED\","
	      "\"IN_ORDER\"]}}}\n");
	T_EQ(vhk("vdpa -n mgmtdev show"), 0);
	T_STR(out_text, "vhostkit_blk: \n  supported_classes 2\n  max_supported_vqs 64\n"
			"  dev_features 2 5 6 9 10 11 12 13 14 28 29 32 33 34 35\n");
}

#define DEV_LINE "d0: type block mgmtdev vhostkit_blk vendor_id 7759979 max_vqs 2 max_vq_size 256"

static void a_device(void)
{
	answers(t_record(3, 2, T_DEV_ATTRS), T_DONE, NULL, NULL);
	T_EQ(vhk("vdpa dev"), 0);
	T_STR(out_text, DEV_LINE " min_vq_size 1\n");
	T_EQ(vhk("vdpa -jp dev show"), 0);
	T_STR(out_text, "{\n"
			"    \"dev\": {\n"
			"        \"d0\": {\n"
			"            \"type\": \"block\",\n"
			"            \"mgmtdev\": \"vhostkit_blk\",\n"
			"            \"vendor_id\": 7759979,\n"
			"            \"max_vqs\": 2,\n"
			"            \"max_vq_size\": 256,\n"
			"            \"min_vq_size\": 1\n"
			"        }\n"
			"    }\n"
			"}\n");
	answers(t_record(3, 0, T_DEV_ATTRS), T_ACK, NULL, NULL);
	place = (struct vhk_vdpa_place){ .sz = sizeof(place), .driver = "vhost_vdpa",
					 .override = "vhost_vdpa", .node = "/dev/vhost-vdpa-0" };
	n_holders = 2;
	T_EQ(vhk("vdpa dev show d0"), 0);
	T_STR(out_text, DEV_LINE " min_vq_size 1 driver vhost_vdpa driver_override vhost_vdpa "
				 "node /dev/vhost-vdpa-0 opened_by qemu(41),qemu(42)\n");
	T_EQ(vhk("vdpa -j d s d0"), 0);
	T_OK(strstr(out_text, ",\"driver\":\"vhost_vdpa\",\"driver_override\":\"vhost_vdpa\","
			      "\"node\":\"/dev/vhost-vdpa-0\",\"opened_by\":[{\"pid\":41,"
			      "\"comm\":\"qemu\"},{\"pid\":42,\"comm\":\"qemu\"}]}}}\n"));
	place = (struct vhk_vdpa_place){ .sz = sizeof(place), .driver = "virtio_vdpa",
					 .virtio = "virtio3", .block = "vdb" };
	T_EQ(vhk("vdpa dev show d0"), 0);
	T_STR(out_text,
	      DEV_LINE " min_vq_size 1 driver virtio_vdpa virtio virtio3 block vdb\n");
}

static void no_device(void)
{
	answers(T_DONE, NULL, NULL, NULL);
	T_EQ(vhk("vdpa -j dev show"), 0);
	T_STR(out_text, "{\"dev\":{}}\n");
	T_EQ(vhk("vdpa -jp dev show"), 0);
	T_STR(out_text, "{\n    \"dev\": {}\n}\n");
	T_EQ(vhk("vdpa dev show"), 0);
	T_STR(out_text, "");
}

static void a_network_devices_configuration(void)
{
	answers(t_record(6, 0, T_NET_ATTRS), T_ACK, NULL, NULL);
	T_EQ(vhk("vdpa dev config show n0"), 0);
	T_STR(out_text, "n0: mac 52:54:00:12:34:56 link up link_announce false max_vq_pairs 2 "
			"mtu 1500 \n  negotiated_features CSUM GUEST_CSUM MAC STATUS CTRL_VQ "
			"CTRL_RX NOTIFY_ON_EMPTY VERSION_1 ACCESS_PLATFORM\n");
	/* The keys of iproute2, of which two end with a space, and those without. */
	T_EQ(vhk("vdpa -j dev config show n0"), 0);
	T_STR(out_text,
	      "{\"config\":{\"n0\":{\"mac\":\"52:54:00:12:34:56\",\"link \":\"up\","
	      "\"link_announce \":false,\"link\":\"up\",\"link_announce\":false,"
	      "\"max_vq_pairs\":2,\"mtu\":1500,\"negotiated_features\":[\"CSUM\","
	      "\"GUEST_CSUM\",\"MAC\",\"STATUS\",\"CTRL_VQ\",\"CTRL_RX\","
	      "\"NOTIFY_ON_EMPTY\",\"VERSION_1\",\"ACCESS_PLATFORM\"]}}}\n");
}

static void a_disks_configuration(void)
{
	answers(t_record(3, 2, T_DEV_ATTRS), T_DONE, t_record(6, 0, T_CONFIG_ATTRS), T_ACK);
	T_EQ(vhk("vdpa dev config"), 0);
	T_STR(out_text,
	      "d0: capacity 16384 seg_max 254 blk_size 512 num_queues 2 physical_block_exp 3 "
	      "alignment_offset 0 min_io_size 0 opt_io_size 0 max_discard_sectors 4194304 "
	      "max_discard_seg 16 discard_sector_alignment 8 max_write_zeroes_sectors 4194304 "
	      "max_write_zeroes_seg 16 read_only false flush true \n"
	      "  negotiated_features SEG_MAX BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD "
	      "WRITE_ZEROES INDIRECT_DESC EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_PACKED\n"
	      "  dev_features SEG_MAX BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD WRITE_ZEROES "
	      "INDIRECT_DESC EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_PACKED IN_ORDER\n");
}

static void statistics(void)
{
	answers(t_record(7, 0, T_VSTATS_ATTRS), T_ACK, NULL, NULL);
	T_EQ(vhk("vdpa dev vstats show n0 qidx 1"), 0);
	T_STR(out_text, "n0: queue_type tx received_desc 7 completed_desc 5 queue_index 1 \n");
	T_EQ(vhk("vdpa -j dev vstats show n0 qidx 1"), 0);
	T_STR(out_text, "{\"vstats\":{\"n0\":{\"queue_type\":\"tx\",\"received_desc\":7,"
			"\"completed_desc\":5,\"queue_index\":1}}}\n");
}

static void the_statistics_of_all_queues(void)
{
	answers(t_record(3, 0, T_DEV_ATTRS), T_ACK, t_record(7, 0, T_VSTATS_ATTRS), T_ACK);
	kernel_answers[4] = t_record(7, 0, T_VSTATS_ATTRS);
	kernel_answers[5] = T_ACK;
	kernel_answers[6] = NULL;
	T_EQ(vhk("vdpa -j dev vstats show d0"), 0);
	T_STR(out_text, "{\"vstats\":{\"d0\":{\"queues\":[{\"queue_type\":\"tx\","
			"\"received_desc\":7,\"completed_desc\":5,\"queue_index\":1},"
			"{\"queue_type\":\"tx\",\"received_desc\":7,\"completed_desc\":5,"
			"\"queue_index\":1}]}}}\n");
}

static void what_is_made_and_changed(void)
{
	answers(T_ACK, NULL, NULL, NULL);
	T_EQ(vhk("vdpa dev add name d0 mgmtdev a/b device_features 0x300000020 mac 2:0:0:0:0:f mtu "
		 "1500 max_vqp 2"),
	     0);
	T_EQ(kernel.sent[16], 3);
	T_EQ(kernel.n_sent, 0x54);
	T_EQ(vhk("vdpa dev a n d0 m vhostkit_blk device_features 3 max 1"), 0);
	T_EQ(vhk("vdpa dev set name d0 mac 02:00:00:00:00:01"), 0);
	T_EQ(kernel.sent[16], 8);
	T_STR(out_text, "");
	T_EQ(vhk("vdpa dev del d0"), 0);
	T_EQ(kernel.sent[16], 4);
}

static void an_open_device_is_not_deleted(void)
{
	answers(T_ACK, NULL, NULL, NULL);
	place = (struct vhk_vdpa_place){ .sz = sizeof(place), .driver = "vhost_vdpa",
					 .node = "/dev/vhost-vdpa-0" };
	open_answer = n_holders = 1;
	T_EQ(vhk("vdpa dev del d0"), 1);
	T_EQ(kernel.requests, 1);
	T_OK(strstr(err_text, "vhk: d0: /dev/vhost-vdpa-0 is open in qemu (process 41); "));
	T_EQ(vhk("vdpa dev del --force d0"), 0);
	T_EQ(kernel.requests, 2);
	n_holders = 0;
	T_EQ(vhk("vdpa dev del d0"), 1);
	T_OK(strstr(err_text, "is open in a process that cannot be seen"));
}

static void a_device_is_bound(void)
{
	answers(NULL, NULL, NULL, NULL);
	place = (struct vhk_vdpa_place){ .sz = sizeof(place), .driver = "vhost_vdpa",
					 .node = "/dev/vhost-vdpa-0" };
	T_EQ(vhk("vdpa bind d0 vhost"), 0);
	T_STR(bound_to, "vhost_vdpa");
	T_STR(out_text, "d0: driver vhost_vdpa node /dev/vhost-vdpa-0\n");
	T_EQ(vhk("vdpa bind d0 virtio -j"), 0);
	T_STR(bound_to, "virtio_vdpa");
	T_EQ(vhk("vdpa unbind d0"), 0);
	T_STR(bound_to, "");
	bind_answer = -EBUSY;
	n_holders = 1;
	T_EQ(vhk("vdpa bind d0 virtio"), 1);
	T_OK(strstr(err_text, "is open in qemu (process 41); binding it would wait"));
	T_EQ(vhk("vdpa unbind d0"), 1);
	T_EQ(vhk("vdpa --force bind d0 virtio"), 0);
	bind_answer = -ENODEV;
	T_EQ(vhk("vdpa bind d0 virtio"), 1);
	T_STR(err_text, "vhk: d0: no such vDPA device\n");
	no_bus = true;
	T_EQ(vhk("vdpa bind d0 virtio"), 1);
	T_OK(strstr(err_text, "load its module vdpa"));
	no_bus = false;
	bind_answer = -EINVAL;
	T_EQ(vhk("vdpa bind a\nb virtio"), 1);
	T_STR(err_text, "vhk: a?b: binding it: \"a?b\" cannot be the name of a vDPA device\n");
	bind_answer = -EACCES;
	T_EQ(vhk("vdpa unbind d0"), 1);
	T_STR(err_text, "vhk: d0: unbinding it needs root\n");
}

static void refusals_are_told_in_the_kernels_words(void)
{
	answers(t_refusal(-ENODEV, "vdpa: device not found"), NULL, NULL, NULL);
	T_EQ(vhk("vdpa dev show x"), 1);
	T_STR(err_text, "vhk: x: vdpa: device not found\n");
	T_STR(out_text, "");
	T_EQ(vhk("vdpa -j dev config show x"), 1);
	T_STR(out_text, "");
	T_EQ(vhk("vdpa mgmtdev show x"), 1);
	T_EQ(vhk("vdpa dev del x"), 1);
	T_EQ(vhk("vdpa dev vstats show x qidx 0"), 1);
	T_EQ(vhk("vdpa dev vstats show x"), 1);
	T_EQ(vhk("vdpa dev set name x mac 2:2:2:2:2:2"), 1);
	T_STR(err_text, "vhk: x: vdpa: device not found\n");
	answers(NULL, NULL, NULL, NULL);
	T_EQ(vhk("vdpa dev show"), 1);
	T_STR(err_text, "vhk: dev: the kernel does not answer in time\n");
}

static const char *const wrong[] = {
	"vdpa foo",
	"vdpa dev foo",
	"vdpa mgmtdev foo",
	"vdpa dev config foo",
	"vdpa dev vstats s n0",
	"vdpa dev show a b",
	"vdpa dev config show a b",
	"vdpa mgmtdev show a b",
	"vdpa dev vstats show",
	"vdpa dev vstats show n0 qidx",
	"vdpa dev vstats show n0 qidx x",
	"vdpa dev vstats show n0 q 1",
	"vdpa dev add",
	"vdpa dev add name",
	"vdpa dev add name d0",
	"vdpa dev add mgmtdev m",
	"vdpa dev add name d0 mgmtdev m frob 1",
	"vdpa dev add name d0 mgmtdev m ma 2:2:2:2:2:2",
	"vdpa dev add name d0 mgmtdev m mac 2:2:2:2:2",
	"vdpa dev add name d0 mgmtdev m mac 2:2:2:2:2:2:2",
	"vdpa dev add name d0 mgmtdev m mac 2:2:2:2:2:222",
	"vdpa dev add name d0 mgmtdev m mac 2:2:2:2:2:-2",
	"vdpa dev add name d0 mgmtdev m mac 2::2:2:2:2",
	"vdpa dev add name d0 mgmtdev m mtu 65536",
	"vdpa dev add name d0 mgmtdev m mtu -1",
	"vdpa dev add name d0 mgmtdev m mtu 5x",
	"vdpa dev add name d0 mgmtdev m max_vqp x",
	"vdpa dev add name d0 mgmtdev m device_features xyz",
	"vdpa dev add name d0 mgmtdev m device_features 10000000000000000",
	"vdpa dev add name d0 mgmtdev m device_features -1",
	"vdpa dev set name d0",
	"vdpa dev set mac 2:2:2:2:2:2",
	"vdpa dev set name d0 mtu 1500",
	"vdpa dev se name d0 mac 2:2:2:2:2:2",
	"vdpa dev set name d0 mgmtdev m mac 2:2:2:2:2:2",
	"vdpa dev del",
	"vdpa dev del a b",
	"vdpa bind d0",
	"vdpa bind d0 foo",
	"vdpa bind d0 vhost x",
	"vdpa unbind",
	"vdpa monitor x",
	"vdpa dev add name a name b mgmtdev m",
	"vdpa dev add name a mgmtdev m mgmtdev m",
	"vdpa dev add name a mgmtdev m mtu 1500 mtu 1500",
	"vdpa dev set name a mac 2:2:2:2:2:2 mac 2:2:2:2:2:2",
	"vdpa dev --force",
	"vdpa dev show --force",
	"vdpa dev add name a mgmtdev m --force",
	"vdpa --force mgmtdev show",
	"vdpa --force monitor",
	"vdpa --frob",
	"vdpa -t 0 dev",
	"vdpa -t x dev",
};

static void wrong_usage_takes_a_line(void)
{
	size_t i;

	answers(NULL, NULL, NULL, NULL);
	open_calls = 0;
	for (i = 0; i < vhk_array_size(wrong); i++) {
		T_EQ(vhk(wrong[i]), 2);
		T_STR(out_text, "");
		T_OK(*err_text && strchr(err_text, '\n') == err_text + strlen(err_text) - 1);
		if (t_bad) {
			printf("# %s: %s\n", wrong[i], err_text);
			return;
		}
	}
	/* Nothing was asked of the kernel for it. */
	T_EQ(open_calls, 0);
}

static void help_is_given(void)
{
	static const char *const words[] = { "vdpa", "vdpa help", "vdpa h", "vdpa -h",
					     "vdpa dev help", "vdpa mgmtdev", "vdpa dev config h",
					     "vdpa dev vstats help", "vdpa dev vstats",
					     "vdpa --help dev" };
	size_t i;

	for (i = 0; i < vhk_array_size(words); i++) {
		T_EQ(vhk(words[i]), 0);
		T_OK(!strncmp(out_text, "usage: vhk vdpa", 15));
	}
	T_EQ(vhk("vdpa -V"), 0);
	T_OK(!strncmp(out_text, "vhk ", 4));
}

int main(void)
{
	T_RUN(a_management_device);
	T_RUN(a_device);
	T_RUN(no_device);
	T_RUN(a_network_devices_configuration);
	T_RUN(a_disks_configuration);
	T_RUN(statistics);
	T_RUN(the_statistics_of_all_queues);
	T_RUN(what_is_made_and_changed);
	T_RUN(an_open_device_is_not_deleted);
	T_RUN(a_device_is_bound);
	T_RUN(refusals_are_told_in_the_kernels_words);
	T_RUN(wrong_usage_takes_a_line);
	T_RUN(help_is_given);
	return t_end();
}
