// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Listening and connecting at paths: dead sockets are replaced, live ones and other files are not.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <vhostkit/ctl.h>

#include "sock.h"
#include "t.h"

static char path[100];

static const char *at(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", t_dir(), name);
	return path;
}

static void accepts_what_connects(void)
{
	int server, client, peer;

	server = vhk_sock_listen(at("plain"));
	T_MUST(server >= 0);
	T_OK(vhk_sock_is_listening(server));
	T_EQ(vhk_sock_accept(server), -EAGAIN);
	client = vhk_sock_connect(path);
	T_OK(client >= 0);
	T_OK(!vhk_sock_is_listening(client));
	T_OK(t_readable(server, 1000));
	peer = vhk_sock_accept(server);
	T_OK(peer >= 0);
	T_OK(fcntl(peer, F_GETFL) & O_NONBLOCK && fcntl(peer, F_GETFD) & FD_CLOEXEC);
	T_OK(fcntl(client, F_GETFL) & O_NONBLOCK && fcntl(client, F_GETFD) & FD_CLOEXEC);
	T_OK(fcntl(server, F_GETFL) & O_NONBLOCK && fcntl(server, F_GETFD) & FD_CLOEXEC);
	close(peer);
	T_OK(vhk_sock_hung_up(client));
	close(client);
	close(server);
}

static void replaces_a_dead_socket(void)
{
	int server = vhk_sock_listen(at("dead")), client;

	T_MUST(server >= 0);
	close(server);
	T_EQ(vhk_sock_connect(path), -ECONNREFUSED);
	server = vhk_sock_listen(path);
	T_OK(server >= 0);
	client = vhk_sock_connect(path);
	T_OK(client >= 0);
	close(client);
	close(server);
}

static void leaves_a_live_one(void)
{
	int server = vhk_sock_listen(at("live")), client, fds = t_count_fds();

	T_MUST(server >= 0);
	T_EQ(vhk_sock_listen(path), -EADDRINUSE);
	T_EQ(t_count_fds(), fds);
	client = vhk_sock_connect(path);
	T_OK(client >= 0);
	close(client);
	close(server);
}

static void leaves_a_live_one_that_is_too_busy_to_answer(void)
{
	int client[64], n = 0, server = vhk_sock_listen(at("busy"));

	T_MUST(server >= 0);
	while (n < 64 && (client[n] = vhk_sock_connect(path)) >= 0)
		n++;
	T_OK(n < 64);
	T_EQ(client[n], -EAGAIN);
	T_EQ(vhk_sock_listen(path), -EADDRINUSE);
	while (n--)
		close(client[n]);
	close(server);
}

/* Also a front end's that listened there, and somebody else does by now. */
static void leaves_a_successor_alone(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_NONBLOCK };
	struct vhk_sock_file file;
	struct vhk_ctl *c;
	char uri[160];
	int server;

	snprintf(uri, sizeof(uri), "listen:%s", at("successor"));
	T_MUST(!vhk_ctl_open(&c, uri, &o));
	vhk_sock_note_file(&file, path);
	T_MUST(!unlink(path));
	server = vhk_sock_listen(path);
	T_MUST(server >= 0);
	vhk_ctl_close(c);
	T_OK(!access(path, F_OK));
	vhk_sock_note_file(&file, path);
	vhk_sock_remove_file(&file, path);
	T_OK(access(path, F_OK) < 0);
	vhk_sock_remove_file(&file, path);
	vhk_sock_note_file(&file, path);
	vhk_sock_remove_file(&file, path);
	close(server);
}

static void leaves_a_socket_of_another_type(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, at("datagrams"));
	T_MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	T_EQ(vhk_sock_listen(path), -EADDRINUSE);
	T_OK(!access(path, F_OK));
	close(fd);
}

static void leaves_other_files(void)
{
	struct stat st;
	int fd = open(at("file"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && write(fd, "text", 4) == 4);
	close(fd);
	T_EQ(vhk_sock_listen(path), -EEXIST);
	T_OK(!stat(path, &st) && st.st_size == 4);
	T_EQ(vhk_sock_connect(path), -ECONNREFUSED);
	T_MUST(!mkdir(at("folder"), 0700));
	T_EQ(vhk_sock_listen(path), -EEXIST);
	T_MUST(!symlink("nowhere", at("link")));
	T_EQ(vhk_sock_listen(path), -EEXIST);
	T_OK(!lstat(path, &st) && S_ISLNK(st.st_mode));
}

static void refuses_paths_that_cannot_be(void)
{
	char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	int fds = t_count_fds(), fd;

	T_EQ(vhk_sock_listen(""), -EINVAL);
	T_EQ(vhk_sock_connect(""), -EINVAL);
	T_EQ(vhk_sock_listen(at("no/folder")), -ENOENT);
	T_EQ(vhk_sock_connect(at("nobody")), -ENOENT);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, t_dir(), strlen(t_dir()));
	longest[strlen(t_dir())] = '/';
	longest[sizeof(longest) - 1] = 0;
	T_EQ(vhk_sock_listen(longest), -ENAMETOOLONG);
	T_EQ(vhk_sock_connect(longest), -ENAMETOOLONG);
	T_EQ(t_count_fds(), fds);
	longest[sizeof(longest) - 2] = 0;
	fd = vhk_sock_listen(longest);
	T_OK(fd >= 0);
	close(fd);
}

/* Listens at @path when @go says so, tells how it went, and lives until @end says so. */
static pid_t start_server(int result, int go, int end)
{
	pid_t pid = fork();
	char c;
	int fd;

	if (pid)
		return pid;
	if (read(go, &c, 1) != 1)
		_exit(1);
	fd = vhk_sock_listen(path);
	c = fd >= 0 ? 'y' : fd == -EADDRINUSE ? 'n' : '?';
	if (write(result, &c, 1) != 1 || read(end, &c, 1) != 1)
		_exit(1);
	_exit(0);
}

#define SERVERS 6

static void one_of_many_that_start_at_once_wins(void)
{
	int result[2], go[2], end[2], i, round, won;
	char c, many[SERVERS] = { 0 };
	pid_t pid[SERVERS];

	T_MUST(!pipe(result) && !pipe(go) && !pipe(end));
	for (round = 0; round < 20; round++) {
		close(vhk_sock_listen(at("race")));
		for (i = 0; i < SERVERS; i++)
			T_MUST((pid[i] = start_server(result[1], go[0], end[0])) > 0);
		T_MUST(write(go[1], many, SERVERS) == SERVERS);
		for (won = 0, i = 0; i < SERVERS; i++) {
			T_MUST(t_readable(result[0], 10000) && read(result[0], &c, 1) == 1);
			T_OK(c == 'y' || c == 'n');
			won += c == 'y';
		}
		T_EQ(won, 1);
		T_MUST(write(end[1], many, SERVERS) == SERVERS);
		for (i = 0; i < SERVERS; i++)
			waitpid(pid[i], NULL, 0);
	}
}

/* A server, as often as @go says: its socket is there until @end says so. */
static pid_t start_server_again_and_again(int go, int end)
{
	pid_t pid = fork();
	char c;
	int fd;

	while (!pid && read(go, &c, 1) == 1 && c) {
		fd = vhk_sock_listen(path);
		if (fd < 0 || read(end, &c, 1) != 1)
			_exit(1);
		unlink(path);
		close(fd);
	}
	if (!pid)
		_exit(0);
	return pid;
}

static void who_sees_the_path_is_not_refused(void)
{
	const uint64_t deadline = t_now_ns() + 60000000000u;
	int go[2], end[2], fd, round, status;
	pid_t pid;

	at("appears");
	T_MUST(!pipe2(go, O_CLOEXEC) && !pipe2(end, O_CLOEXEC));
	pid = start_server_again_and_again(go[0], end[0]);
	T_MUST(pid > 0);
	for (round = 0; round < 2000; round++) {
		T_MUST(write(go[1], "g", 1) == 1);
		while (access(path, F_OK))
			T_MUST(t_now_ns() < deadline);
		fd = vhk_sock_connect(path);
		T_OK(fd >= 0);
		close(fd);
		T_MUST(write(end[1], "", 1) == 1);
		while (!access(path, F_OK))
			T_MUST(t_now_ns() < deadline);
	}
	T_OK(access(strcat(path, ".new"), F_OK) < 0);
	T_MUST(write(go[1], "", 1) == 1);
	waitpid(pid, &status, 0);
	T_EQ(status, 0);
}

int main(void)
{
	T_RUN(accepts_what_connects);
	T_RUN(replaces_a_dead_socket);
	T_RUN(leaves_a_live_one);
	T_RUN(leaves_a_live_one_that_is_too_busy_to_answer);
	T_RUN(leaves_a_successor_alone);
	T_RUN(leaves_a_socket_of_another_type);
	T_RUN(leaves_other_files);
	T_RUN(refuses_paths_that_cannot_be);
	T_RUN(one_of_many_that_start_at_once_wins);
	T_RUN(who_sees_the_path_is_not_refused);
	return t_end();
}
