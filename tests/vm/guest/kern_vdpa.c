// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the driver of a disk behind vhost-vDPA, through the
 * library.
 *
 *   kern_vdpa disk URI NAME BACKING    all that such a disk can do; the disk is of 8 MiB and grows
 *   kern_vdpa use URI                  what any such disk can do; it is of 8 MiB
 *   kern_vdpa names                    vdpa:d0, d1 and d2 are of 1, 2 and 3 MiB
 *   kern_vdpa vanish NAME              the device is removed while it is open
 *   kern_vdpa orphan URI COMMAND       its server dies by COMMAND, and none comes after it
 */
#include "kern.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define BLOCK 16384u
#define DEPTH 16u
#define BYTES (8u << 20)
#define SLOT_SIZE (BLOCK + 4096u) /* request, status, then data from a page of its own on */
#define PAGE 4096u
#define DRIVER "/sys/bus/vdpa/drivers/vhost_vdpa/"
#define MUST (VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM)
#define RING (MUST | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX)

struct slot {
	struct virtio_blk_outhdr head;
	unsigned char status;
	uint32_t block;
};

static const char *uri, *name, *backing, *command;
static bool may_lack; /* it need not have every layout of the ring */
static struct kern k;
static unsigned int n_config;

static void on_config(void *arg)
{
	(void)arg;
	n_config++;
}

static void open_disk(const char *at)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .on_config = on_config };

	kern_open_with(&k, at, &o);
}

static void start(uint64_t features)
{
	open_disk(uri);
	kern_setup(&k, features, 1, 64);
	kern_start(&k, 1);
}

static uint64_t capacity(void)
{
	uint64_t sectors = 0;

	T_EQ(vhk_ctl_get_config(k.ctl, 0, &sectors, sizeof(sectors)), 0);
	return sectors;
}

static void knows_the_disk(void)
{
	struct vhk_ctl_iova_range range;
	uint32_t id, size, groups, spaces, group;
	uint64_t queues;
	uint16_t num;

	open_disk(uri);
	T_EQ(vhk_ctl_kind(k.ctl), VHK_CTL_KIND_VDPA);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_get_device_id(k.ctl, &id), 0);
	T_EQ(id, VIRTIO_ID_BLOCK);
	T_EQ(vhk_ctl_get_config_size(k.ctl, &size), 0);
	T_OK(size >= offsetof(struct virtio_blk_config, max_secure_erase_sectors));
	T_EQ(vhk_ctl_get_queue_num(k.ctl, &queues), 0);
	T_EQ(queues, 2);
	T_EQ(vhk_ctl_n_queues(k.ctl), 2);
	T_EQ(vhk_ctl_get_vring_num(k.ctl, &num), 0);
	T_EQ(num, 64);
	T_EQ(vhk_ctl_get_iova_range(k.ctl, &range), 0);
	T_OK(range.last.v > range.first.v);
	T_EQ(vhk_ctl_get_group_num(k.ctl, &groups), 0);
	T_EQ(groups, 1);
	T_EQ(vhk_ctl_get_as_num(k.ctl, &spaces), 0);
	T_EQ(spaces, 1);
	T_EQ(vhk_ctl_get_vring_group(k.ctl, 1, &group), 0);
	T_EQ(group, 0);
	T_EQ(capacity(), BYTES / 512);
	kern_close(&k);
}

static struct slot *slot(unsigned int i)
{
	return (struct slot *)(k.data + i * SLOT_SIZE);
}

static unsigned char *data_of(struct slot *s)
{
	return (unsigned char *)s + PAGE;
}

static void submit(struct slot *s, uint32_t type, uint32_t block)
{
	const struct iovec seg[3] = { { &s->head, sizeof(s->head) },
				      { data_of(s), BLOCK },
				      { &s->status, 1 } };

	s->head = (struct virtio_blk_outhdr){ .type = type, .sector = block * (BLOCK / 512) };
	s->status = 0xee;
	s->block = block;
	if (type == VIRTIO_BLK_T_OUT)
		kern_add(&k, 0, seg, 2, 1, s);
	else
		kern_add(&k, 0, seg, 1, 2, s);
}

/* A request that comes back: its slot, after it was looked at. */
static struct slot *finish(uint32_t type, uint32_t seed)
{
	struct vhk_done done;
	struct slot *s;

	T_MUST(kern_get(&k, 0, &done, WAIT));
	s = done.token;
	T_MUST(s->status == VIRTIO_BLK_S_OK);
	T_MUST(type == VIRTIO_BLK_T_OUT || kern_same(data_of(s), s->block * BLOCK, BLOCK, seed));
	return s;
}

/* Every block once, DEPTH at a time. */
static void pass(uint32_t type, uint32_t seed)
{
	struct slot *s;
	uint32_t i;

	for (i = 0; i < BYTES / BLOCK + DEPTH; i++) {
		s = i < DEPTH ? slot(i) : finish(type, seed);
		if (i >= BYTES / BLOCK)
			continue;
		if (type == VIRTIO_BLK_T_OUT)
			kern_fill(data_of(s), i * BLOCK, BLOCK, seed);
		else
			memset(data_of(s), 0, BLOCK);
		submit(s, type, i);
		kern_publish(&k, 0);
	}
	T_EQ(vhk_vq_in_flight(k.vq[0]), 0);
}

static void one_write(uint32_t block, uint32_t seed)
{
	kern_fill(data_of(slot(0)), block * BLOCK, BLOCK, seed);
	submit(slot(0), VIRTIO_BLK_T_OUT, block);
	kern_publish(&k, 0);
	finish(VIRTIO_BLK_T_OUT, seed);
}

static void one_read(uint32_t block, uint32_t seed)
{
	submit(slot(0), VIRTIO_BLK_T_IN, block);
	kern_publish(&k, 0);
	finish(VIRTIO_BLK_T_IN, seed);
}

/* What the disk offers; it is closed again. */
static uint64_t offered(void)
{
	uint64_t features = 0;

	open_disk(uri);
	T_EQ(vhk_ctl_get_features(k.ctl, &features), 0);
	kern_close(&k);
	return features;
}

/* Whether the disk has all of @features. */
static bool has(uint64_t features)
{
	return !(features & ~offered());
}

/* RING, or as much of it as the disk has. */
static uint64_t ring(void)
{
	return may_lack ? RING & (offered() | MUST) : RING;
}

static bool has_queues(unsigned int n)
{
	uint64_t queues = 0;

	open_disk(uri);
	T_EQ(vhk_ctl_get_queue_num(k.ctl, &queues), 0);
	kern_close(&k);
	if (queues < n)
		printf("# only %" PRIu64 " queues\n", queues);
	return queues >= n;
}

static void writes_and_reads(void)
{
	static const uint64_t layout[] = {
		RING,
		MUST,
		RING | VHK_F_RING_PACKED,
		RING | VHK_F_RING_PACKED | VHK_F_IN_ORDER,
		RING | VHK_F_IN_ORDER,
	};
	unsigned int i;

	for (i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		if (may_lack && !has(layout[i])) {
			printf("# features 0x%" PRIx64 " are not offered\n", layout[i]);
			continue;
		}
		start(layout[i]);
		T_EQ(vhk_ctl_features(k.ctl) & layout[i], layout[i]);
		pass(VIRTIO_BLK_T_OUT, i);
		pass(VIRTIO_BLK_T_IN, i);
		kern_close(&k);
	}
}

static void stops_and_goes_on(void)
{
	const uint64_t layout[] = { ring(), ring() | VHK_F_RING_PACKED };
	struct vhk_vq_addr a;
	unsigned int i, n;
	uint32_t base;

	for (i = 0; i < 2; i++) {
		if (may_lack && !has(layout[i]))
			continue;
		start(layout[i]);
		pass(VIRTIO_BLK_T_OUT, 40);
		for (n = 0; n < 20; n++) {
			one_read(n, 40);
			base = 0;
			T_EQ(vhk_ctl_stop(k.ctl, 0, &base), 0);
			T_EQ(vhk_vq_addr(k.vq[0], &a), 0);
			T_EQ(base, a.base);
			T_EQ(vhk_ctl_kick(k.ctl, 0), -EBUSY);
			T_EQ(vhk_ctl_start(k.ctl, 0, k.vq[0]), 0);
			T_MUST(!t_bad);
		}
		kern_close(&k);
	}
}

/* One read by queue @idx, into its own slot. */
static void read_by(unsigned int idx, uint32_t block)
{
	struct slot *s = slot(idx);
	const struct iovec seg[3] = { { &s->head, sizeof(s->head) },
				      { data_of(s), BLOCK },
				      { &s->status, 1 } };

	s->head = (struct virtio_blk_outhdr){ .sector = block * (BLOCK / 512) };
	s->status = 0xee;
	kern_do(&k, idx, seg, 1, 2);
	T_EQ(s->status, VIRTIO_BLK_S_OK);
	T_OK(kern_same(data_of(s), block * BLOCK, BLOCK, 40));
}

static void queues_come_and_go(void)
{
	const uint64_t features = ring();
	unsigned int n;

	if (may_lack && !has_queues(2))
		return;
	open_disk(uri);
	kern_setup(&k, features, 2, 64);
	for (n = 0; n < 5; n++) {
		T_EQ(vhk_ctl_start(k.ctl, 0, k.vq[0]), 0);
		read_by(0, n);
		T_EQ(vhk_ctl_start(k.ctl, 1, k.vq[1]), 0);
		T_MUST(!t_bad);
		read_by(0, n + 1);
		read_by(1, n + 2);
		T_EQ(vhk_ctl_stop(k.ctl, n % 2, NULL), 0);
		read_by(1 - n % 2, n + 3);
		T_EQ(vhk_ctl_stop(k.ctl, 1 - n % 2, NULL), 0);
		T_EQ(vhk_ctl_start_all(k.ctl, k.vq, 2), 0);
		T_MUST(!t_bad);
		read_by(1, n);
		read_by(0, n);
		T_EQ(vhk_ctl_stop(k.ctl, 1, NULL), 0);
		T_EQ(vhk_ctl_stop(k.ctl, 0, NULL), 0);
	}
	kern_close(&k);
}

/* Memory that is there only after the first queue runs. */
static void memory_comes_later(void)
{
	const struct vhk_gpa at = { 1ull << 32 };
	struct virtio_blk_outhdr head = { .sector = 0 };
	struct vhk_region r;
	unsigned char *late;
	const uint64_t features = ring();
	unsigned int i;

	if (may_lack && !has_queues(2))
		return;
	open_disk(uri);
	kern_setup(&k, features, 2, 64);
	T_EQ(vhk_ctl_start(k.ctl, 0, k.vq[0]), 0);
	T_MUST(!vhk_mem_alloc(k.mem, at, 1 << 20, (void **)&late));
	T_EQ(vhk_ctl_start(k.ctl, 1, k.vq[1]), 0);
	for (i = 0; i < 2; i++) {
		const struct iovec seg[3] = { { late, sizeof(head) },
					      { late + PAGE, BLOCK },
					      { late + 64, 1 } };

		memcpy(late, &head, sizeof(head));
		memset(late + PAGE, 0, BLOCK);
		late[64] = 0xee;
		kern_do(&k, i, seg, 1, 2);
		T_EQ(late[64], VIRTIO_BLK_S_OK);
		T_OK(kern_same(late + PAGE, 0, BLOCK, 40));
	}
	for (i = 0; !vhk_mem_get(k.mem, i, &r, NULL) && r.gpa.v != at.v;)
		i++;
	T_EQ(vhk_ctl_stop(k.ctl, 1, NULL), 0);
	T_EQ(vhk_mem_del(k.mem, &r), 0);
	T_EQ(vhk_ctl_start(k.ctl, 1, k.vq[1]), 0);
	read_by(0, 1);
	read_by(1, 2);
	kern_close(&k);
}

/* What is asked of a suspended device is answered when it goes on. */
static void suspends(void)
{
	struct vhk_done done;
	uint64_t backend = 0;
	unsigned int i;

	start(ring());
	T_EQ(vhk_ctl_get_backend_features(k.ctl, &backend), 0);
	T_EQ(backend & (VHK_BF_SUSPEND | VHK_BF_RESUME), VHK_BF_SUSPEND | VHK_BF_RESUME);
	pass(VIRTIO_BLK_T_OUT, 50);
	for (i = 0; i < 5; i++) {
		T_EQ(vhk_ctl_suspend(k.ctl), 0);
		submit(slot(0), VIRTIO_BLK_T_IN, i);
		kern_publish(&k, 0);
		T_OK(!kern_get(&k, 0, &done, SECOND / 20));
		T_EQ(vhk_ctl_resume(k.ctl), 0);
		T_EQ(vhk_ctl_kick(k.ctl, 0), 0);
		finish(VIRTIO_BLK_T_IN, 50);
	}
	kern_close(&k);
}

static void tells_that_it_grows(void)
{
	char cmd[256];
	const uint64_t end = t_now_ns() + 20000000000ull;

	start(RING);
	n_config = 0;
	snprintf(cmd, sizeof(cmd), "truncate -s 9M %s && disks resize %s >/dev/null", backing,
		 name);
	T_MUST(!system(cmd));
	while (!n_config && t_now_ns() < end && t_readable(vhk_ctl_fd(k.ctl), 20000))
		T_MUST(!vhk_ctl_process(k.ctl));
	T_EQ(n_config, 1);
	T_EQ(capacity(), (9u << 20) / 512);
	one_read(0, 50);
	kern_close(&k);
}

static int map(uint64_t iova, void *va, uint64_t size, uint8_t type, uint32_t asid)
{
	const struct vhk_iotlb_msg m = {
		.iova = { iova },
		.size = size,
		.uva = { (uintptr_t)va },
		.asid = asid,
		.perm = VHK_IOTLB_PERM_RW,
		.type = type,
	};

	return vhk_ctl_iotlb(k.ctl, &m);
}

#define FREE_IOVA (1ull << 40)

static void refuses_mappings(void)
{
	const struct {
		uint64_t iova, size;
		unsigned int at;
		uint32_t asid;
		int want;
	} t[] = {
		{ FREE_IOVA, PAGE, 0, 0, 0 },
		{ FREE_IOVA, PAGE, 0, 0, -EEXIST },
		{ FREE_IOVA - PAGE, 2 * PAGE, 0, 0, -EEXIST },
		{ 0, PAGE, 0, 0, -EEXIST }, /* the guest's memory is there */
		{ FREE_IOVA + PAGE, 0, 0, 0, -EINVAL },
		{ FREE_IOVA + PAGE, PAGE + 1, 0, 0, -EINVAL },
		{ FREE_IOVA + PAGE + 1, PAGE, 0, 0, -EINVAL },
		{ FREE_IOVA + PAGE, PAGE, 1, 0, -EINVAL },
		{ -(uint64_t)PAGE, 2 * PAGE, 0, 0, -EINVAL },
		{ FREE_IOVA + PAGE, PAGE, 0, 1, -EINVAL },
		{ FREE_IOVA + PAGE, PAGE, PAGE, 0, 0 },
	};
	unsigned int i;
	int ret;

	start(RING);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ret = map(t[i].iova, k.data + t[i].at, t[i].size, VHK_IOTLB_UPDATE, t[i].asid);
		if (ret != t[i].want)
			printf("# case %u\n", i);
		T_EQ(ret, t[i].want);
	}
	T_EQ(map(FREE_IOVA, NULL, 2 * PAGE, VHK_IOTLB_INVALIDATE, 0), 0);
	T_EQ(map(FREE_IOVA, k.data, PAGE, VHK_IOTLB_UPDATE, 0), 0);
	one_read(0, 50);
	kern_close(&k);
}

static void refuses_beyond_the_range(void)
{
	struct vhk_ctl_iova_range r;

	start(RING);
	T_EQ(vhk_ctl_get_iova_range(k.ctl, &r), 0);
	if (r.last.v < UINT64_MAX - PAGE)
		T_EQ(map(r.last.v + 1, k.data, PAGE, VHK_IOTLB_UPDATE, 0), -ERANGE);
	kern_close(&k);
}

static void map_in_a_batch(void)
{
	unsigned int i;

	start(ring());
	one_write(0, 50);
	T_EQ(map(0, NULL, 0, VHK_IOTLB_BATCH_BEGIN, 0), 0);
	for (i = 0; i < 64; i++)
		T_EQ(map(FREE_IOVA + i * PAGE, k.data + i * PAGE, PAGE, VHK_IOTLB_UPDATE, 0), 0);
	T_EQ(map(0, NULL, 0, VHK_IOTLB_BATCH_END, 0), 0);
	T_EQ(map(FREE_IOVA + 63 * PAGE, k.data, PAGE, VHK_IOTLB_UPDATE, 0), -EEXIST);
	T_EQ(map(FREE_IOVA, NULL, 64 * PAGE, VHK_IOTLB_INVALIDATE, 0), 0);
	T_EQ(map(FREE_IOVA + 63 * PAGE, k.data, PAGE, VHK_IOTLB_UPDATE, 0), 0);
	one_read(0, 50);
	kern_close(&k);
}

/* Root may lock what it likes; an ordinary user may not. */
static void keeps_to_the_lock_limit(void)
{
	const struct rlimit small = { 8u << 20, 8u << 20 };
	struct rlimit old;
	void *big;

	start(RING);
	one_write(0, 50);
	T_MUST(!getrlimit(RLIMIT_MEMLOCK, &old) && !setrlimit(RLIMIT_MEMLOCK, &small));
	big = mmap(NULL, 16u << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_MUST(big != MAP_FAILED);
	T_EQ(map(FREE_IOVA, big, 16u << 20, VHK_IOTLB_UPDATE, 0), -ENOMEM);
	T_EQ(map(FREE_IOVA, big, PAGE, VHK_IOTLB_UPDATE, 0), 0);
	one_read(0, 50);
	kern_close(&k);
	munmap(big, 16u << 20);
	T_MUST(!setrlimit(RLIMIT_MEMLOCK, &old));
}

static void needs_its_states(void)
{
	struct vhk_ctl *second = NULL;
	volatile void *bell = NULL;
	uint32_t n;

	open_disk(uri);
	T_EQ(vhk_ctl_start(k.ctl, 0, k.vq[0]), -EBUSY);
	T_EQ(vhk_ctl_get_vring_group(k.ctl, 0, &n), -EPERM);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_open(&second, uri, NULL), -EBUSY);
	T_OK(!second);
	T_EQ(vhk_ctl_get_vring_group(k.ctl, 2, &n), -ENOBUFS);
	T_EQ(vhk_ctl_map_doorbell(k.ctl, 0, &bell), -EOPNOTSUPP);
	T_OK(!bell);
	T_EQ(vhk_ctl_set_group_asid(k.ctl, 0, 1), -EINVAL);
	T_EQ(vhk_ctl_set_group_asid(k.ctl, 1, 0), -EINVAL);
	T_EQ(vhk_ctl_net_set_backend(k.ctl, 0, -1), -EOPNOTSUPP);
	T_EQ(vhk_ctl_vsock_set_running(k.ctl, true), -EOPNOTSUPP);
	T_OK(!vhk_ctl_can(k.ctl, VHK_CTL_SCSI_SET_ENDPOINT));
	T_OK(vhk_ctl_can(k.ctl, VHK_CTL_GET_IOVA_RANGE));
	kern_close(&k);
}

static void finds_its_name(void)
{
	const char *const none[] = { "vdpa:", "vdpa:d", "vdpa:d00", "vdpa:../d0", "vdpa:nobody" };
	char buf[16];
	unsigned int i;
	int ret;

	for (i = 0; i < 3; i++) {
		snprintf(buf, sizeof(buf), "vdpa:d%u", i);
		open_disk(buf);
		T_EQ(capacity(), (i + 1) << 11);
		kern_close(&k);
	}
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ret = vhk_ctl_open(&k.ctl, none[i], NULL);
		if (ret != -ENOENT && ret != -EINVAL)
			printf("# %s: %d\n", none[i], ret);
		T_OK(ret == -ENOENT || ret == -EINVAL);
		T_OK(!k.ctl);
	}
}

/* The kernel waits for us to close; meanwhile all works on, but nobody opens it again. */
static void lost_while_open(const char *line)
{
	char cmd[256], path[64];
	FILE *del;

	snprintf(path, sizeof(path), "vdpa:%s", name);
	uri = path;
	start(RING);
	pass(VIRTIO_BLK_T_OUT, 60);
	T_OK(system("rmmod vhost_vdpa 2>/dev/null"));
	T_OK(system("rmmod vhostkit_vdpa 2>/dev/null"));
	snprintf(cmd, sizeof(cmd), "%s; echo $?", line);
	del = popen(cmd, "re");
	T_MUST(del);
	pass(VIRTIO_BLK_T_IN, 60);
	kern_close(&k);
	T_OK(fgets(cmd, sizeof(cmd), del));
	T_STR(cmd, "0\n");
	pclose(del);
	T_OK(vhk_ctl_open(&k.ctl, uri, NULL) < 0);
	T_OK(!k.ctl);
}

static void is_unbound_while_open(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "echo %s >" DRIVER "unbind", name);
	lost_while_open(cmd);
	snprintf(cmd, sizeof(cmd), "echo %s >" DRIVER "bind", name);
	T_MUST(!system(cmd));
}

static void is_removed_while_open(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "vdpa dev del %s", name);
	lost_while_open(cmd);
}

/* What it was asked is not answered, nor does anything else wait for it for ever. */
static void outlives_its_server(void)
{
	struct vhk_done done;
	uint64_t began;

	start(ring());
	one_write(3, 70);
	T_MUST(!system(command));
	submit(slot(0), VIRTIO_BLK_T_IN, 3);
	kern_publish(&k, 0);
	T_OK(!kern_get(&k, 0, &done, SECOND));
	T_EQ(vhk_vq_in_flight(k.vq[0]), 1);
	T_EQ(capacity(), BYTES / 512);
	began = t_now_ns();
	kern_close(&k);
	T_OK(t_now_ns() - began < 20ull * SECOND);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "disk")) {
		uri = argv[2];
		name = argv[3];
		backing = argv[4];
		T_RUN(knows_the_disk);
		T_RUN(writes_and_reads);
		T_RUN(stops_and_goes_on);
		T_RUN(queues_come_and_go);
		T_RUN(memory_comes_later);
		T_RUN(suspends);
		T_RUN(refuses_mappings);
		T_RUN(refuses_beyond_the_range);
		T_RUN(map_in_a_batch);
		T_RUN(keeps_to_the_lock_limit);
		T_RUN(needs_its_states);
		T_RUN(tells_that_it_grows);
	} else if (argc == 3 && !strcmp(argv[1], "use")) {
		uri = argv[2];
		may_lack = true;
		T_RUN(writes_and_reads);
		T_RUN(stops_and_goes_on);
		T_RUN(queues_come_and_go);
		T_RUN(memory_comes_later);
		T_RUN(map_in_a_batch);
	} else if (argc == 4 && !strcmp(argv[1], "orphan")) {
		uri = argv[2];
		command = argv[3];
		may_lack = true;
		T_RUN(outlives_its_server);
	} else if (argc == 2 && !strcmp(argv[1], "names")) {
		T_RUN(finds_its_name);
	} else if (argc == 3 && !strcmp(argv[1], "vanish")) {
		name = argv[2];
		T_RUN(is_unbound_while_open);
		T_RUN(is_removed_while_open);
	} else {
		return 2;
	}
	return t_end();
}
