// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Our front end against qemu-storage-daemon's vhost-user-blk export: memory is added and removed
 * slot by slot while several queues work, requests use what was added, and the daemon is killed and
 * comes back with the memory as it is then.
 */
#include "t_alien.h"
#include "t_front.h"

#define QSD "qemu-storage-daemon"
#define QUEUES 4
#define RING 64
#define BLOCK 4096u
#define BLOCKS 256u
#define MORE_AT 0x40000000
#define MORE_SIZE 0x10000u
#define SLOTS 6

static struct t_alien qsd;
static char sock[80], image[80];

static void start_qsd(void)
{
	char blockdev[160], export[256];
	const char *args[] = { QSD, "--blockdev", blockdev, "--export", export, NULL };

	snprintf(blockdev, sizeof(blockdev), "driver=file,node-name=f,filename=%s", image);
	snprintf(export, sizeof(export),
		 "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=%s,writable=on,"
		 "num-queues=%d", sock, QUEUES);
	unlink(sock);
	t_alien_start(&qsd, args);
}

static void begin(struct t_front *f)
{
	int fd;

	snprintf(sock, sizeof(sock), "%s/qsd", t_dir());
	snprintf(image, sizeof(image), "%s/img", t_dir());
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0 && !ftruncate(fd, BLOCK * BLOCKS));
	close(fd);
	start_qsd();
	T_MUST(!t_front_open(f, sock, VHK_F_VERSION_1 | VHK_F_EVENT_IDX, QUEUES, RING));
	T_OK(vhk_ctl_protocol_features(f->ctl) & VHK_PF_CONFIGURE_MEM_SLOTS);
	T_EQ(vhk_ctl_n_queues(f->ctl), QUEUES);
}

static void end(struct t_front *f)
{
	t_front_close(f);
	kill(qsd.pid, SIGTERM);
	T_EQ(t_alien_end(&qsd, 20000), 0);
}

/* Block @b, written and read through memory at @va, on queue @q. */
static void use(struct t_front *f, unsigned int q, unsigned int b, unsigned char *va)
{
	unsigned char want[BLOCK];
	struct vhk_done done;
	struct t_req *r = t_front_idle(f);
	struct iovec seg[3] = { { &r->s->hdr, sizeof(r->s->hdr) }, { va, BLOCK },
				{ &r->s->status, 1 } };
	int write, ret;

	memset(want, (int)(b + q * 7 + 1), BLOCK);
	for (write = 1; write >= 0; write--) {
		memcpy(va, want, BLOCK);
		if (!write)
			memset(va, 0, BLOCK);
		r->s->hdr = (struct virtio_blk_outhdr){
			.type = htole32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
			.sector = htole64((uint64_t)b * (BLOCK / 512))
		};
		r->s->status = 0xee;
		T_MUST(!vhk_vq_add(f->vq[q], seg, write ? 2 : 1, write ? 1 : 2, r));
		ret = vhk_vq_publish(f->vq[q]) > 0 ? vhk_ctl_kick(f->ctl, q) : 0;
		while (!ret && !(ret = vhk_vq_get(f->vq[q], &done, 1)))
			ret = vhk_ctl_wait(f->ctl, q, 20 * T_SECOND);
		T_MUST(ret == 1);
		T_EQ(r->s->status, 0);
	}
	T_EQ(memcmp(va, want, BLOCK), 0);
}

static struct vhk_region more(unsigned int i, unsigned char **va, struct vhk_mem *m, int *fd)
{
	struct vhk_region r;
	unsigned int at;

	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ MORE_AT + i * 0x100000ull }, MORE_SIZE,
			      (void **)va));
	for (at = 0; !vhk_mem_get(m, at, &r, fd); at++)
		if (r.gpa.v == MORE_AT + i * 0x100000ull)
			return r;
	T_MUST(!"the region is there");
	return r;
}

static void slots_come_and_go(void)
{
	struct vhk_region r[SLOTS];
	unsigned char *va[SLOTS];
	struct t_front f;
	unsigned int i, q, n;
	int fd;

	if (!t_alien_find(QSD))
		T_SKIP("no " QSD);
	begin(&f);
	for (n = 0; n < 5; n++) {
		for (i = 0; i < SLOTS; i++) {
			r[i] = more(i, &va[i], f.mem, &fd);
			T_EQ(vhk_ctl_add_mem_reg(f.ctl, &r[i], fd), 0);
			for (q = 0; q < QUEUES; q++)
				use(&f, q, i + q * SLOTS, va[i] + q * BLOCK);
		}
		for (i = 0; i < SLOTS; i++) {
			T_EQ(vhk_ctl_rem_mem_reg(f.ctl, &r[i]), 0);
			T_MUST(!vhk_mem_del(f.mem, &r[i]));
			for (q = 0; q < QUEUES; q++)
				use(&f, q, i, f.req[q].s->data);
		}
	}
	end(&f);
}

static void killed_with_more_memory(void)
{
	unsigned char *va;
	struct t_front f;
	unsigned int i, q;
	struct vhk_region r;
	int fd;

	if (!t_alien_find(QSD))
		T_SKIP("no " QSD);
	begin(&f);
	for (i = 0; i < 3; i++) {
		r = more(i, &va, f.mem, &fd);
		T_EQ(vhk_ctl_add_mem_reg(f.ctl, &r, fd), 0);
		for (q = 0; q < QUEUES; q++)
			use(&f, q, i * QUEUES + q, va);
		t_alien_kill(&qsd);
		T_EQ(vhk_ctl_wait(f.ctl, 0, 20 * T_SECOND), -ENOTCONN);
		start_qsd();
		for (q = 0; q < QUEUES; q++)
			vhk_vq_reset(f.vq[q], NULL, NULL);
		T_EQ(vhk_ctl_reconnect(f.ctl), 0);
		for (q = 0; q < QUEUES; q++)
			use(&f, q, 100 + q, va);
	}
	end(&f);
}

int main(void)
{
	T_RUN(slots_come_and_go);
	T_RUN(killed_with_more_memory);
	return t_end();
}
