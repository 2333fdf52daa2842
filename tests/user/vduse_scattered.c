// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A VDUSE device whose ring is in a region for each page, as behind an IOMMU: it works, and stops
 * when one of them goes.
 */
#define ECHO_SIZE 1024
#include "t_vduse.h"

#define PAGE 4096ull

static const uint64_t layouts[] = {
	VHK_F_VERSION_1,
	VHK_F_VERSION_1 | VHK_F_EVENT_IDX,
	VHK_F_VERSION_1 | VHK_F_RING_PACKED,
};

static void begin(struct served *s, uint64_t features)
{
	k_init();
	served_init(s, features);
	k.api = 1;
	k.extras = 3;
	T_EQ(served_open(s), 0);
}

static void end(struct served *s)
{
	vhk_vduse_close(s->v);
	served_fini(s);
	k_fini();
	unlink(s->log);
}

/* The ring's region becomes one for each page, the last one first. */
static void scatter(const struct served *s, uint8_t perm)
{
	struct vhk_region r;
	uint64_t off;
	int fd;

	T_MUST(!vhk_mem_get(s->drv.mem, 1, &r, &fd));
	for (off = 0; off < r.size; off += PAGE) {
		struct kernel_region *to = &k.region[k.n_regions++];

		to->e = (struct vduse_iotlb_entry){ .offset = off,
						    .start = r.gpa.v + off,
						    .last = r.gpa.v + off + PAGE - 1,
						    .perm = perm };
		to->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
}

static void share(const struct served *s, uint8_t perm)
{
	k_share(s->drv.mem, 0);
	T_EQ(k.n_regions, 2);
	close(k.region[--k.n_regions].fd);
	scatter(s, perm);
}

static void up(struct served *s, uint8_t perm)
{
	share(s, perm);
	k_ready(&s->drv, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
}

static void echo_some(struct served *s, unsigned int n)
{
	while (n--) {
		served_send(s, (unsigned char)n);
		T_EQ(served_take(s, 1), 1);
	}
}

/* Bytes of the driver's memory that are mapped in this process. */
static uint64_t mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long long from, to, bytes = 0;
	char line[512];

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "/memfd:vhostkit-mem") &&
		    sscanf(line, "%llx-%llx", &from, &to) == 2)
			bytes += to - from;
	fclose(f);
	return bytes;
}

static void it_works(void)
{
	struct served s;
	unsigned int i;
	int fds = t_count_fds();

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&s, layouts[i]);
		T_OK(mapped());
		up(&s, VDUSE_ACCESS_RW);
		echo_some(&s, 2 * ECHO_SIZE + 3);
		T_EQ(k_status(s.ctl, 0), 0);
		end(&s);
		T_EQ(mapped(), 0);
		T_EQ(t_count_fds(), fds);
	}
}

/* A page in the middle of its descriptors is exchanged, and the queue goes on; then it goes, and
 * before the kernel is answered so does the other place that each page of this part had. */
static void a_page_goes(void)
{
	struct vduse_dev_request req = { .type = VDUSE_UPDATE_IOTLB };
	struct vduse_dev_response resp;
	struct vhk_region r;
	struct served s;
	unsigned int i;
	uint64_t before;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&s, layouts[i]);
		up(&s, VDUSE_ACCESS_RW);
		echo_some(&s, 10);
		T_MUST(!vhk_mem_get(s.drv.mem, 1, &r, NULL));
		req.iova.start = r.gpa.v + 2 * PAGE;
		req.iova.last = r.gpa.v + 3 * PAGE - 1;
		T_EQ(k_ask(s.ctl, &req, &resp), 0);
		echo_some(&s, ECHO_SIZE + 10);
		before = mapped();
		T_EQ(k.region[3].e.start, req.iova.start);
		close(k.region[3].fd);
		k.region[3] = k.region[--k.n_regions];
		T_EQ(k_ask(s.ctl, &req, &resp), 0);
		T_OK(mapped() <= before - 5 * PAGE);
		T_EQ(k_status(s.ctl, 0), 0);
		end(&s);
		T_EQ(mapped(), 0);
	}
}

/* What may only be read is mapped so that writes stay here, and such pages have no second place. */
static void pages_that_may_only_be_read(void)
{
	struct served s;
	unsigned int i, n;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&s, layouts[i]);
		up(&s, VDUSE_ACCESS_RO);
		for (n = 0; n < 20; n++)
			vhk_loop_step(s.ctl, 200000);
		T_EQ(s.echo.starts, 0);
		T_EQ(k_status(s.ctl, 0), 0);
		end(&s);
		T_EQ(mapped(), 0);
	}
}

int main(void)
{
	T_RUN(it_works);
	T_RUN(a_page_goes);
	T_RUN(pages_that_may_only_be_read);
	return t_end();
}
