// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where sockets come from: paths that are listened at or connected to, pairs, fds that were handed
 * in.
 */
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "sock.h"

static int make_address(struct sockaddr_un *sun, const char *path)
{
	const size_t len = strlen(path);

	if (!len)
		return -EINVAL;
	if (len >= sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len);
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int connect_to(const struct sockaddr_un *sun)
{
	int fd = new_socket(), ret;

	if (fd < 0)
		return fd;
	if (!connect(fd, (const struct sockaddr *)sun, sizeof(*sun)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int vhk_sock_connect(const char *path)
{
	struct sockaddr_un sun;
	int ret = make_address(&sun, path);

	return ret ? ret : connect_to(&sun);
}

/* 0: the path is free, if need be because a dead socket was removed. */
static int clear_path(const struct sockaddr_un *sun)
{
	struct stat st;
	int ret;

	if (lstat(sun->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	ret = connect_to(sun);
	if (ret == -ENOENT)
		return 0;
	if (ret == -ECONNREFUSED)
		return unlink(sun->sun_path) ? -errno : 0;
	if (ret >= 0)
		close(ret);
	/* Answered, too busy to answer, or a live socket of another type. */
	return ret >= 0 || ret == -EAGAIN || ret == -EPROTOTYPE ? -EADDRINUSE : ret;
}

/*
 * Between bind and listen a live socket looks dead, and a dead one may be replaced by a live one
 * between probe and unlink: so servers that start at once go one after the other. -1 where the
 * folder cannot be locked.
 */
static int lock_folder(const struct sockaddr_un *sun)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	char copy[sizeof(sun->sun_path)];
	int fd, tries;

	memcpy(copy, sun->sun_path, sizeof(copy));
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (tries = 0; fd >= 0 && tries < 100; tries++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			break;
		nanosleep(&nap, NULL);
	}
	return fd;
}

/* A listening socket at a path that is free. */
static int listen_at(const struct sockaddr_un *sun)
{
	int fd = new_socket(), ret = 0;

	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)sun, sizeof(*sun))) {
		ret = -errno;
	} else if (listen(fd, 16)) {
		ret = -errno;
		unlink(sun->sun_path);
	}
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/*
 * Who waits for a path to appear connects the moment it does, and is refused between bind and
 * listen. So the socket gets its name when it listens already.
 */
static int listen_aside(const struct sockaddr_un *sun)
{
	struct sockaddr_un aside = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(sun->sun_path) + sizeof(".new") > sizeof(aside.sun_path))
		return -ENAMETOOLONG;
	stpcpy(stpcpy(aside.sun_path, sun->sun_path), ".new");
	ret = clear_path(&aside);
	if (ret)
		return ret;
	fd = listen_at(&aside);
	if (fd < 0)
		return fd;
	ret = link(aside.sun_path, sun->sun_path) ? -errno : fd;
	unlink(aside.sun_path);
	if (ret < 0)
		close(fd);
	return ret;
}

static int listen_by_name(const struct sockaddr_un *sun)
{
	int fd = listen_aside(sun);

	/* No room for the other name, or the folder allows this one only. */
	return fd < 0 ? listen_at(sun) : fd;
}

int vhk_sock_listen(const char *path)
{
	struct sockaddr_un sun;
	int lock, ret;

	ret = make_address(&sun, path);
	if (ret)
		return ret;
	lock = lock_folder(&sun);
	ret = clear_path(&sun);
	if (!ret)
		ret = listen_by_name(&sun);
	if (lock >= 0)
		close(lock);
	return ret;
}

void vhk_sock_note_file(struct vhk_sock_file *f, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		memset(&st, 0, sizeof(st));
	f->dev = st.st_dev;
	f->ino = st.st_ino;
}

void vhk_sock_note_name(struct vhk_sock_file *f, int fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char path[sizeof(sun.sun_path) + 1] = "";
	socklen_t len = sizeof(sun);

	/* a path may fill its place to the last byte */
	if (!getsockname(fd, (struct sockaddr *)&sun, &len))
		memcpy(path, sun.sun_path, sizeof(sun.sun_path));
	vhk_sock_note_file(f, path);
}

bool vhk_sock_is_file(const struct vhk_sock_file *f, const char *path)
{
	struct stat st;

	return f->ino && !stat(path, &st) && st.st_dev == f->dev && st.st_ino == f->ino;
}

void vhk_sock_remove_file(const struct vhk_sock_file *f, const char *path)
{
	struct vhk_sock_file is;

	vhk_sock_note_file(&is, path);
	if (is.ino && is.ino == f->ino && is.dev == f->dev)
		unlink(path);
}

int vhk_sock_accept(int listen_fd)
{
	int fd;

	do
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	return errno == ECONNABORTED || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

int vhk_sock_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) ? -errno : 0;
}

bool vhk_sock_is_listening(int fd)
{
	socklen_t len = sizeof(int);
	int on = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) && on;
}
