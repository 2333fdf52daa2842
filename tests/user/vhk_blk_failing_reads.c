// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A medium that cannot read one of its sectors: a file of qemu-storage-daemon's, by FUSE, whose
 * block layer injects the error. The request that touches the sector fails and the log says where;
 * all others are served, in the page cache and past it.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "t_alien.h"
#include "t_front.h"
#include "t_prog.h"

#define MS 10000
#define SIZE (16 << 20)
#define BAD_AT (8 << 20)
#define BAD (BAD_AT >> 9) /* sector */
#define LEN 4096
#define WANT (VHK_F_RING_ALL | 1ULL << VIRTIO_BLK_F_FLUSH)
/* For all that is asked to read from there on: no event has to come first. */
#define FAULT "inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5," \
	      "inject-error.0.once=off,inject-error.0.sector=16384"

static char medium[100], file[100];

static void new_file(const char *name, char *path, size_t room, off_t size)
{
	int fd;

	snprintf(path, room, "%s/%s", t_dir(), name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0 && !ftruncate(fd, size));
	close(fd);
}

/* False: there is no FUSE here. */
static bool medium_start(struct t_alien *a)
{
	char node[160], fault[256], export[200];
	const char *args[] = { "qemu-storage-daemon", "--blockdev", node, "--blockdev", fault,
			       "--export", export, NULL };
	struct stat st;
	unsigned int i;

	new_file("backing", file, sizeof(file), SIZE);
	new_file("medium", medium, sizeof(medium), 0);
	snprintf(node, sizeof(node), "driver=file,node-name=file,filename=%s", file);
	snprintf(fault, sizeof(fault), "driver=blkdebug,node-name=bad,image=file," FAULT);
	snprintf(export, sizeof(export), "type=fuse,id=e,node-name=bad,writable=on,mountpoint=%s",
		 medium);
	t_alien_start(a, args);
	/* It says so where it cannot. */
	for (i = 0; i < 1000 && (stat(medium, &st) || !st.st_size) && !t_alien_says(a, "fuse");
	     i++)
		usleep(10000);
	return !stat(medium, &st) && st.st_size == SIZE;
}

/* What it mounted goes with it, if it ends as asked. */
static void medium_end(struct t_alien *a)
{
	kill(a->pid, SIGTERM);
	t_alien_end(a, MS);
	umount2(medium, MNT_DETACH);
}

static int move(struct t_front *f, uint32_t type, uint64_t sector, size_t len)
{
	static unsigned char data[4 * LEN];

	return t_front_do(f, 0, type, sector, data, len);
}

static void requests(struct t_front *f, bool writes)
{
	T_EQ(move(f, VIRTIO_BLK_T_IN, 0, LEN), VIRTIO_BLK_S_OK);
	T_EQ(move(f, VIRTIO_BLK_T_IN, BAD, LEN), VIRTIO_BLK_S_IOERR);
	T_EQ(move(f, VIRTIO_BLK_T_IN, BAD - 8, 2 * LEN), VIRTIO_BLK_S_IOERR);
	T_EQ(move(f, VIRTIO_BLK_T_IN, 0, LEN), VIRTIO_BLK_S_OK);
	T_EQ(move(f, VIRTIO_BLK_T_IN, 2 * BAD - 8, LEN), VIRTIO_BLK_S_OK);
	if (writes)
		T_EQ(move(f, VIRTIO_BLK_T_OUT, 64, LEN), VIRTIO_BLK_S_OK);
	T_EQ(move(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void serve(const char *more)
{
	char file_opt[128], sock_opt[128], sock[100], where[160];
	const char *args[] = { file_opt, sock_opt, more, NULL };
	struct t_front f;
	struct t_prog p;

	snprintf(sock, sizeof(sock), "%s/sock", t_dir());
	snprintf(file_opt, sizeof(file_opt), "--blk-file=%s", medium);
	snprintf(sock_opt, sizeof(sock_opt), "--socket-path=%s", sock);
	t_prog_start(&p, "vhk-blk", args);
	T_MUST(t_prog_ready(&p, MS));
	T_MUST(!t_front_open(&f, sock, WANT, 1, 16));
	requests(&f, !more || strcmp(more, "--read-only"));
	t_front_close(&f);
	kill(p.pid, SIGTERM);
	T_EQ(t_prog_end(&p, MS), 0);
	snprintf(where, sizeof(where), "%s: read at byte %d: ", medium, BAD_AT);
	T_OK(strstr(p.text[2], where));
	if (t_bad)
		printf("# %s: %s\n", more ? more : "", p.text[2]);
}

static void a_sector_that_cannot_be_read(void)
{
	static const char *const ways[] = { NULL, "--direct", "--no-io-uring", "--read-only" };
	struct t_alien a;
	unsigned int i;

	if (!t_alien_find("qemu-storage-daemon"))
		T_SKIP("qemu-storage-daemon is not installed");
	if (!medium_start(&a)) {
		t_alien_show(&a);
		medium_end(&a);
		T_SKIP("no file system can be mounted by FUSE here");
	}
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		serve(ways[i]);
	medium_end(&a);
}

int main(void)
{
	T_RUN(a_sector_that_cannot_be_read);
	return t_end();
}
