// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The locks that vhk disk add and vhk blk set on an image, against QEMU's own and vhk-blk's:
 * neither gets an image that the other writes, readers get along, and the lock lasts as long as the
 * open file.
 */
#include "../../tools/vhk/image.c"
#include "../../tools/vhk/say.c"
#include "t.h"

#include <signal.h>

static char image[128];

static int open_image(int mode)
{
	const int fd = open(image, mode | O_CLOEXEC);

	T_MUST(fd >= 0);
	return fd;
}

/* 0: ours; 1: refused. */
static int lock(int fd, bool read_only)
{
	return image_lock(fd, read_only, image, "");
}

/* A QEMU whose machine has the image as its disk; it ends when told so. */
static FILE *qemu_start(bool read_only)
{
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line),
		 "qemu-system-x86_64 -M q35,accel=tcg -m 32 -nodefaults -display none -S "
		 "-monitor stdio -blockdev file,node-name=d,filename=%s,read-only=%s "
		 "-device virtio-blk-pci,drive=d "
		 ">/dev/null 2>&1",
		 image, read_only ? "on" : "off");
	f = popen(line, "w");
	T_MUST(f);
	return f;
}

/* Whether it came up. */
static bool qemu_end(FILE *f)
{
	fputs("quit\n", f);
	return !pclose(f);
}

static bool qemu_opens(bool read_only)
{
	return qemu_end(qemu_start(read_only));
}

static FILE *qemu_holds(bool read_only)
{
	FILE *f = qemu_start(read_only);
	int n;

	for (n = 0; n < 3000; n++) {
		const int fd = open_image(O_RDWR);
		const bool has = taken(fd, QEMU_DENIES + WRITE);

		close(fd);
		if (has)
			return f;
		usleep(10000);
	}
	T_MUST(!"QEMU takes the image");
	return f;
}

static void keeps_writers_away(void)
{
	int fd = open_image(O_RDWR), other = open_image(O_RDWR);

	T_OK(qemu_opens(false));
	T_EQ(lock(fd, false), 0);
	T_OK(!qemu_opens(false));
	T_OK(!qemu_opens(true));
	T_EQ(lock(other, false), 1);
	T_EQ(lock(other, true), 1);
	close(other);
	/* A second descriptor of the same open file, as the kernel has, is enough. */
	other = dup(fd);
	close(fd);
	T_OK(!qemu_opens(false));
	close(other);
	T_OK(qemu_opens(false));
}

static void readers_get_along(void)
{
	int fd = open_image(O_RDONLY), other = open_image(O_RDONLY), writer = open_image(O_RDWR);

	T_EQ(lock(fd, true), 0);
	T_EQ(lock(other, true), 0);
	T_OK(qemu_opens(true));
	T_OK(!qemu_opens(false));
	T_EQ(lock(writer, false), 1);
	close(fd);
	close(other);
	close(writer);
}

static void qemu_keeps_us_away(void)
{
	FILE *qemu = qemu_holds(false);
	int fd = open_image(O_RDWR);

	T_EQ(lock(fd, false), 1);
	T_EQ(lock(fd, true), 1);
	close(fd);
	T_OK(qemu_end(qemu));
	qemu = qemu_holds(true);
	fd = open_image(O_RDWR);
	T_EQ(lock(fd, false), 1);
	close(fd);
	fd = open_image(O_RDONLY);
	T_EQ(lock(fd, true), 0);
	close(fd);
	T_OK(qemu_end(qemu));
}

/* As standard output is. */
static void open_for_writing_only(void)
{
	int fd = open_image(O_WRONLY), reader = open_image(O_RDONLY);
	FILE *qemu;

	T_EQ(lock(fd, false), 0);
	T_EQ(lock(reader, true), 1);
	T_OK(!qemu_opens(false));
	T_OK(!qemu_opens(true));
	image_unlock(fd);
	T_EQ(lock(reader, true), 0);
	T_EQ(lock(fd, false), 1);
	image_unlock(reader);
	T_OK(qemu_opens(false));
	qemu = qemu_holds(true);
	T_EQ(lock(fd, false), 1);
	T_OK(qemu_end(qemu));
	T_EQ(lock(fd, false), 0);
	close(reader);
	close(fd);
}

int main(void)
{
	int fd;

	/* A QEMU that did not come up does not read what it is told. */
	signal(SIGPIPE, SIG_IGN);
	snprintf(image, sizeof(image), "%s/image", t_dir());
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0 && !ftruncate(fd, 1 << 20));
	close(fd);
	T_RUN(keeps_writers_away);
	T_RUN(readers_get_along);
	T_RUN(qemu_keeps_us_away);
	T_RUN(open_for_writing_only);
	return t_end();
}
