// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Files that say what devices there shall be after a reboot: what was put in comes out, what people
 * write around it does not matter, and what is no such file is refused.
 */
#include <fcntl.h>

#include "../../tools/vhk/record.c"

#include "t.h"

static char dir[128];

static void write_file(const char *name, const char *text, size_t n)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	f = fopen(path, "we");
	T_MUST(f && fwrite(text, 1, n, f) == n);
	fclose(f);
}

static int read_text(struct record *r, const char *text)
{
	write_file("d0", text, strlen(text));
	return record_read(r, dir, "d0");
}

static void what_was_put_in(void)
{
	struct record_file w;
	struct record r;

	T_EQ(record_begin(&w, dir, "disk"), 0);
	record_put(&w, "file", "/srv/a b.img");
	record_put(&w, "read-only", "");
	T_EQ(record_end(&w), 0);
	T_EQ(record_read(&r, dir, "disk"), 0);
	T_EQ(r.n, 2);
	T_STR(r.name, "disk");
	T_STR(record_get(&r, "file"), "/srv/a b.img");
	T_STR(record_get(&r, "read-only"), "");
	T_OK(!record_get(&r, "size"));
	T_EQ(record_del(dir, "disk"), 0);
	T_EQ(record_del(dir, "disk"), 0);
	T_EQ(record_read(&r, dir, "disk"), -ENOENT);
}

static void what_people_write_around_it(void)
{
	struct record r;

	T_EQ(read_text(&r, "# a disk\n\n  file \t /srv/d0.img \r\n\t# more\nattach vhost"), 0);
	T_EQ(r.n, 2);
	T_STR(record_get(&r, "file"), "/srv/d0.img");
	T_STR(record_get(&r, "attach"), "vhost");
	T_EQ(read_text(&r, ""), 0);
	T_EQ(r.n, 0);
}

/* As many words as there may be, whatever comes after the last of them. */
static void as_many_words_as_may_be(void)
{
	char text[2048] = "";
	struct record r;
	unsigned int i;

	for (i = 0; i < RECORD_WORDS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "key%u %u\n", i, i);
	T_EQ(read_text(&r, text), 0);
	T_EQ(r.n, RECORD_WORDS);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n# the end\n");
	T_EQ(read_text(&r, text), 0);
	T_STR(record_get(&r, "key31"), "31");
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "one more\n");
	T_EQ(read_text(&r, text), -EINVAL);
}

static void what_is_none(void)
{
	static char large[sizeof(((struct record *)0)->text) + 1];
	struct record r;

	memset(large, '#', sizeof(large));
	write_file("d0", large, sizeof(large));
	T_EQ(record_read(&r, dir, "d0"), -EINVAL);
	write_file("d0", "file /a\0b\n", 10);
	T_EQ(record_read(&r, dir, "d0"), -EINVAL);
	T_EQ(record_read(&r, dir, "../d0"), -EINVAL);
	T_EQ(record_read(&r, dir, ".d0"), -EINVAL);
	T_EQ(record_read(&r, dir, ""), -EINVAL);
}

int main(void)
{
	snprintf(dir, sizeof(dir), "%s/a/b", t_dir());
	T_MUST(!make_folders(dir));
	T_RUN(what_was_put_in);
	T_RUN(what_people_write_around_it);
	T_RUN(as_many_words_as_may_be);
	T_RUN(what_is_none);
	return t_end();
}
