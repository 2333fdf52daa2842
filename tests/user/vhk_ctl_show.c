// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What vhk ctl show prints of the kernel's doors, as text and as JSON, over a device of the test's;
 * what it asks and does not ask; and what is said where the device refuses. The tool's own files
 * are built in here.
 */
#include <getopt.h>

#include "t_json.h"
#include "t_kern.h"

static enum vhk_ctl_kind opened;
static int open_answer;

static int t_open(struct vhk_ctl **out, const char *uri, const struct vhk_ctl_opts *o)
{
	(void)uri;
	if (open_answer)
		return open_answer;
	*out = t_kern_open(opened, o);
	return 0;
}

#define vhk_ctl_open(out, uri, o) t_open(out, uri, o)

#include "../../tools/vhk/ctl.c"
#include "../../tools/vhk/ctl_config.c"
#include "../../tools/vhk/ctl_kern.c"
#include "../../tools/vhk/ctl_user.c"
#include "../../tools/vhk/features.c"
#include "../../tools/vhk/json.c"
#include "../../tools/vhk/say.c"
#include "../../tools/vhk/uri.c"

#include "t_said.h"

/* vhk ctl show [-j] URI; the exit code. The device is closed again. */
static int show(const char *uri, bool json)
{
	char *argv[] = { (char *)"show", (char *)(json ? "-j" : "-q"), (char *)uri, NULL };
	int ret;

	optind = 0;
	say_forget();
	ret = t_said(ctl_show, 3, argv);
	T_EQ(t_kern.fd >= 0 && fcntl(t_kern.fd, F_GETFD) >= 0, 0);
	if (t_kern.peer >= 0)
		close(t_kern.peer);
	t_kern.peer = -1;
	return ret;
}

static void has_words(const char *const *words)
{
	for (; *words; words++) {
		if (!strstr(out_text, *words))
			printf("# no %s in\n# %s\n", *words, out_text);
		T_OK(strstr(out_text, *words));
	}
}

/* So many rings, without an end where it is 0. */
static unsigned int n_rings;

static int a_ring(unsigned long nr, void *arg)
{
	uint32_t state[2];

	memcpy(state, arg, sizeof(state));
	if (n_rings && state[0] >= n_rings)
		return -ENOBUFS;
	switch (nr) {
	case 0xc008af82: /* GET_VRING_SIZE */
		state[1] = state[0] < 2 ? 256 : 64;
		break;
	case 0xc008af7b: /* GET_VRING_GROUP */
		state[1] = state[0] / 2;
		break;
	case 0xc008af7f: /* GET_VRING_DESC_GROUP */
		state[1] = 7;
		break;
	default:
		state[1] = 0;
		break;
	}
	memcpy(arg, state, sizeof(state));
	return 0;
}

static uint32_t device_id, config_size;
static unsigned char config[256];

static int a_device(unsigned long nr, void *arg)
{
	uint32_t part[2], u32;
	uint64_t words;

	switch (nr) {
	case 0x8004af70: /* GET_DEVICE_ID */
		memcpy(arg, &device_id, 4);
		return 0;
	case 0x8004af80: /* GET_VQS_COUNT */
	case 0x8004af81: /* GET_GROUP_NUM */
		u32 = nr == 0x8004af80 ? n_rings : 2;
		memcpy(arg, &u32, 4);
		return 0;
	case 0x8002af76: /* GET_VRING_NUM */
		memcpy(arg, "\0\1", 2);
		return 0;
	case 0x8004af79: /* GET_CONFIG_SIZE */
		memcpy(arg, &config_size, 4);
		return 0;
	case 0x8008af73: /* GET_CONFIG */
		memcpy(part, arg, 8);
		T_EQ(part[0], 0);
		T_MUST(part[1] <= sizeof(config));
		memcpy((unsigned char *)arg + 8, config, part[1]);
		return 0;
	case 0x8008af83: /* GET_FEATURES_ARRAY */
		memcpy(&words, arg, 8);
		memset((unsigned char *)arg + 8, 0, 8 * words);
		memcpy((unsigned char *)arg + 8, &t_kern.features, 8);
		if (words > 1)
			memcpy((unsigned char *)arg + 16, "\3", 1);
		return 0;
	case 0x4004af42: /* SCSI_GET_ABI_VERSION */
		memcpy(arg, "\1\0\0", 4);
		return 0;
	case 0xc008af12: /* GET_VRING_BASE */
	case 0xc008af82:
	case 0xc008af7b:
	case 0xc008af7f:
		return a_ring(nr, arg);
	default:
		t_kern_model(&t_kern, nr, arg);
		return 0;
	}
}

static void begin(enum vhk_ctl_kind of, unsigned int rings)
{
	t_kern = (struct t_kern){ .fd = -1, .peer = -1, .answer = a_device };
	opened = of;
	n_rings = rings;
	open_answer = 0;
}

static const uint8_t disk[60] = { [1] = 0x40, [12] = 0xfe, [20] = 0, [21] = 2, [34] = 4 };

static void a_disk(void)
{
	static const char *const text[] = { "vhost-vdpa vdpa:d0\n",
					    "device 2 (blk)\n",
					    "features 0x300001044\n   2 SEG_MAX\n   6 BLK_SIZE\n",
					    "  12 MQ\n  32 VERSION_1\n  33 ACCESS_PLATFORM\n",
					    "backend features 0x8a\n   1 IOTLB_MSG_V2\n",
					    "   7 DESC_ASID\n",
					    "status 0\n",
					    "largest ring 256\n",
					    "groups of rings 2\n",
					    "address spaces 2\n",
					    "rings 4\n  ring 0 to 1: up to 256 entries, group 0, "
					    "descriptors in group 7, no doorbell\n"
					    "  ring 2 to 3: up to 64 entries, group 1, "
					    "descriptors in group 7, no doorbell\n",
					    "addresses 0x1000 to 0xffffffffff\n",
					    "configuration space (60 bytes)\n"
					    "  capacity 16384 sectors (8388608 bytes)\n"
					    "  seg_max 254\n  blk_size 512\n  num_queues 4\n",
					    "requests\n  GET_FEATURES ",
					    " SET_GROUP_ASID",
					    NULL };
	static const char *const json[] = {
		"\"uri\": \"vdpa:d0\"", "\"kind\": \"vhost-vdpa\"", "\"device_id\": 2,",
		"\"device\": \"blk\"", "\"features\": 12884906052", "\"backend_features\": 138",
		"\"IOTLB_ASID\"", "\"ring_max\": 256", "\"groups\": 2", "\"address_spaces\": 2",
		"\"rings\": 4", "\"size\": 64", "\"desc_group\": 7", "\"doorbell\": false",
		"\"iova_first\": 4096", "\"iova_last\": 1099511627775", "\"config_size\": 60",
		"\"capacity\": 16384", "\"num_queues\": 4", "\"GET_CONFIG\"", NULL
	};

	begin(VHK_CTL_KIND_VDPA, 4);
	device_id = 2;
	config_size = sizeof(disk);
	memcpy(config, disk, sizeof(disk));
	t_kern.features = 0x300001044;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_ASID | VHK_BF_DESC_ASID;
	T_EQ(show("vdpa:d0", false), 0);
	T_STR(err_text, "");
	has_words(text);
	/* Neither offered. */
	T_OK(!strstr(out_text, "SUSPEND") && !strstr(out_text, "size_max"));
	/* Nothing was changed but the owner. */
	T_EQ(t_kern_count(0xaf01), 1);
	T_EQ(t_kern_count(0x4001af72), 0);
	T_EQ(t_kern_count(0x4008af00), 0);
	T_EQ(show("/dev/vhost-vdpa-0", true), 0);
	T_OK(t_json_is_object(out_text));
	T_EQ(show("vdpa:d0", true), 0);
	has_words(json);
}

static void a_network_card(void)
{
	static const char *const text[] = { "device 1 (net)\n", "  mac 52:54:00:12:34:ff\n",
					    "  max_virtqueue_pairs 2\n", "  mtu 1500\n", NULL };

	begin(VHK_CTL_KIND_VDPA, 5);
	device_id = 1;
	config_size = 12;
	memcpy(config, "\x52\x54\0\x12\x34\xff\1\0\2\0\xdc\5", 12);
	t_kern.features = 1ull << 5 | 1 << 22 | 1 << 3;
	T_EQ(show("vdpa:n0", false), 0);
	has_words(text);
	T_OK(!strstr(out_text, "  status "));
	T_EQ(show("vdpa:n0", true), 0);
	T_OK(t_json_is_object(out_text) && strstr(out_text, "\"mac\": \"52:54:00:12:34:ff\""));
}

/* A kind that has no names here, with more of a configuration space than is read. */
static void some_device(void)
{
	begin(VHK_CTL_KIND_VDPA, 1);
	device_id = 42;
	config_size = 4096;
	memset(config, 0xa5, sizeof(config));
	T_EQ(show("vdpa:x", false), 0);
	T_OK(strstr(out_text, "device 42 (?)\n"));
	T_OK(strstr(out_text, "configuration space (4096 bytes)\n  a5a5"));
	T_EQ(show("vdpa:x", true), 0);
	T_OK(t_json_is_object(out_text) && strstr(out_text, "\"bytes\": \"a5a5"));
	T_OK(!strstr(out_text, "\"device\""));
	config_size = 0;
	T_EQ(show("vdpa:x", true), 0);
	T_OK(t_json_is_object(out_text) && !strstr(out_text, "\"config\""));
}

static void vhost(void)
{
	static const struct {
		enum vhk_ctl_kind kind;
		unsigned int rings;
		const char *say[4];
	} cases[] = {
		{ VHK_CTL_KIND_NET, 2,
		  { "vhost-net /dev/null\n", "rings 2\n", "  15 MRG_RXBUF\n",
		    "features from bit 64 on 0x3\n" } },
		{ VHK_CTL_KIND_VSOCK, 2,
		  { "vhost-vsock /dev/null\n", "rings 2\n", "VSOCK_SET_GUEST_CID",
		    "workers are the owner's threads 0" } },
		{ VHK_CTL_KIND_SCSI, 130,
		  { "vhost-scsi /dev/null\n", "rings 130\n", "ABI version 1\n",
		    "events missed 0\n" } },
	};
	size_t i, k;

	for (i = 0; i < vhk_array_size(cases); i++) {
		begin(cases[i].kind, cases[i].rings);
		t_kern.features = 1 << 15;
		t_kern.backend = VHK_BF_IOTLB_MSG_V2;
		open_answer = 0;
		T_EQ(show("/dev/null", false), 0);
		for (k = 0; k < 4; k++) {
			const char *want = cases[i].say[k];
			char line[64];

			snprintf(line, sizeof(line), "%s", want);
			if (!strstr(out_text, line))
				printf("# no %s in\n# %s\n", line, out_text);
			T_OK(strstr(out_text, line));
		}
		T_OK(!strstr(out_text, "addresses") && !strstr(out_text, "GET_IOVA_RANGE"));
		T_EQ(show("/dev/null", true), 0);
		T_OK(t_json_is_object(out_text));
	}
}

/* One line, that names device and question. */
static void failures(void)
{
	static const struct {
		unsigned long nr;
		int with;
		const char *say;
	} cases[] = {
		{ 0xaf01, -EBUSY, "vhk: vdpa:d0: SET_OWNER: " },
		{ 0x8008af00, -EFAULT, "vhk: vdpa:d0: GET_FEATURES: " },
		{ 0x8004af70, -ENODEV, "vhk: vdpa:d0: GET_DEVICE_ID: " },
		{ 0xc008af7b, -EINVAL, "vhk: vdpa:d0: GET_VRING_GROUP: " },
		{ 0x8008af73, -EIO, "vhk: vdpa:d0: GET_CONFIG: " },
	};
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		begin(VHK_CTL_KIND_VDPA, 1);
		config_size = 8;
		t_kern.fail_nr = cases[i].nr;
		t_kern.fail_with = cases[i].with;
		T_EQ(show("vdpa:d0", i & 1), EXIT_FAILED);
		if (strncmp(err_text, cases[i].say, strlen(cases[i].say)))
			printf("# %s", err_text);
		T_OK(!strncmp(err_text, cases[i].say, strlen(cases[i].say)));
		T_STR(out_text, "");
	}
	/* What it does not have is left out. */
	begin(VHK_CTL_KIND_VDPA, 1);
	t_kern.fail_nr = 0x8004af81;
	t_kern.fail_with = -ENOTTY;
	T_EQ(show("vdpa:d0", false), 0);
	T_OK(strstr(out_text, "address spaces") && !strstr(out_text, "groups of rings"));
	open_answer = -EBUSY;
	T_EQ(show("vdpa:d0", false), EXIT_FAILED);
	T_OK(!strncmp(err_text, "vhk: vdpa:d0: ", 14));
}

/* A device that claims more rings than there can be, or has no end. */
static void rings_without_end(void)
{
	begin(VHK_CTL_KIND_VDPA, UINT32_MAX);
	T_EQ(show("vdpa:d0", false), EXIT_FAILED);
	T_OK(strstr(err_text, "GET_QUEUE_NUM"));
}

static void which_uris(void)
{
	static const char *const bad[] = { "x", "vdpa:", "unix:", "fd:", "fd:x", "fd:99999999",
					   "fd:-1", "fd:1234567890", "/tmp", "/no/such" };
	char file[64];
	size_t i;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	begin(VHK_CTL_KIND_VDPA, 1);
	for (i = 0; i < vhk_array_size(bad); i++) {
		T_EQ(show(bad[i], false), EXIT_USAGE);
		T_OK(strstr(err_text, bad[i]));
	}
	snprintf(file, sizeof(file), "fd:%d", fd);
	T_EQ(uri_check_door(file), 0);
	open_answer = -EINVAL;
	T_EQ(show(file, false), EXIT_FAILED);
	T_OK(strstr(err_text, "is neither a socket nor a vhost device"));
	open_answer = 0;
	T_EQ(uri_check(file), EXIT_USAGE);
	T_EQ(uri_check("vdpa:d0"), EXIT_USAGE);
	T_EQ(uri_check("/dev/vhost-vdpa-0"), EXIT_USAGE);
	T_OK(uri_is("vdpa:d0") && uri_is("/dev/vhost-vdpa-0") && !uri_is("/dev/sda"));
	close(fd);
}

/* The kernel's devices say what they are: nobody is to say it for them. */
static void what_it_is_is_not_told_twice(void)
{
	char *argv[] = { (char *)"show", (char *)"--device", (char *)"blk", (char *)"vdpa:d0",
			 NULL };

	begin(VHK_CTL_KIND_VDPA, 1);
	optind = 0;
	say_forget();
	T_EQ(t_said(ctl_show, 4, argv), EXIT_USAGE);
	T_OK(strstr(err_text, "vdpa:d0 says what it is"));
	T_STR(out_text, "");
	close(t_kern.peer);
	t_kern.peer = -1;
}

int main(void)
{
	T_RUN(a_disk);
	T_RUN(a_network_card);
	T_RUN(some_device);
	T_RUN(vhost);
	T_RUN(failures);
	T_RUN(rings_without_end);
	T_RUN(what_it_is_is_not_told_twice);
	T_RUN(which_uris);
	return t_end();
}
