// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Files that say what devices there shall be.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"

#define SUFFIX ".conf"

static int path_of(char *to, size_t size, const char *dir, const char *name)
{
	const int n = snprintf(to, size, "%s/%s" SUFFIX, dir, name);

	if (!*name || *name == '.' || strchr(name, '/'))
		return -EINVAL;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int parse_line(struct record *r, char *line)
{
	char *value;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	if (r->n == RECORD_WORDS)
		return -EINVAL;
	value = line + strcspn(line, " \t");
	r->key[r->n] = line;
	if (*value)
		*value++ = 0;
	value += strspn(value, " \t");
	r->value[r->n++] = value;
	for (line = value + strlen(value); line > value && strchr(" \t\r", line[-1]);)
		*--line = 0;
	return 0;
}

static int parse_lines(struct record *r)
{
	char *line = r->text, *end;
	int ret = 0;

	for (; line && !ret; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		ret = parse_line(r, line);
	}
	return ret;
}

int record_read(struct record *r, const char *dir, const char *name)
{
	char path[512];
	ssize_t n;
	int fd, ret;

	memset(r, 0, sizeof(*r));
	ret = path_of(path, sizeof(path), dir, name);
	if (ret)
		return ret;
	if (strlen(name) >= sizeof(r->name))
		return -EINVAL;
	memcpy(r->name, name, strlen(name) + 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, r->text, sizeof(r->text));
	ret = n < 0 ? -errno : 0;
	close(fd);
	if (ret)
		return ret;
	if ((size_t)n == sizeof(r->text) || memchr(r->text, 0, (size_t)n))
		return -EINVAL;
	return parse_lines(r);
}

int record_find(struct record *r, const char *name)
{
	const int ret = record_read(r, RECORD_RUN, name);

	return ret == -ENOENT ? record_read(r, RECORD_KEPT, name) : ret;
}

const char *record_get(const struct record *r, const char *key)
{
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (!strcmp(r->key[i], key))
			return r->value[i];
	return NULL;
}

static int make_folders(const char *dir)
{
	char path[512], *at;

	if (strlen(dir) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, strlen(dir) + 1);
	for (at = path + 1; at; at = strchr(at + 1, '/')) {
		at = strchr(at, '/');
		if (!at)
			break;
		*at = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

int record_begin(struct record_file *w, const char *dir, const char *name)
{
	int ret = path_of(w->path, sizeof(w->path), dir, name);

	w->f = NULL;
	if (!ret)
		ret = make_folders(dir);
	if (ret)
		return ret;
	snprintf(w->tmp, sizeof(w->tmp), "%s.new", w->path);
	w->f = fopen(w->tmp, "we");
	return w->f ? 0 : -errno;
}

void record_put(struct record_file *w, const char *key, const char *value)
{
	fprintf(w->f, "%s%s%s\n", key, *value ? " " : "", value);
}

int record_end(struct record_file *w)
{
	int ret = fflush(w->f) || fsync(fileno(w->f)) ? -errno : 0;

	/* of what was written out before */
	if (!ret && ferror(w->f))
		ret = -EIO;

	fclose(w->f);
	if (!ret && rename(w->tmp, w->path))
		ret = -errno;
	if (ret)
		unlink(w->tmp);
	return ret;
}

int record_del(const char *dir, const char *name)
{
	char path[512];
	int ret = path_of(path, sizeof(path), dir, name);

	if (ret)
		return ret;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int is_record(const struct dirent *e)
{
	const size_t n = strlen(e->d_name), tail = strlen(SUFFIX);

	return n > tail && *e->d_name != '.' && !strcmp(e->d_name + n - tail, SUFFIX);
}

int record_each(const char *dir, int (*fn)(const char *dir, const char *name))
{
	struct dirent **list = NULL;
	int i, n, one, ret = 0;

	n = scandir(dir, &list, is_record, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < n; i++) {
		list[i]->d_name[strlen(list[i]->d_name) - strlen(SUFFIX)] = 0;
		one = fn(dir, list[i]->d_name);
		ret = one ? one : ret;
		free(list[i]);
	}
	free(list);
	return ret;
}
