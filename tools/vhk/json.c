// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * JSON, written as it comes. A NULL key is an element of an array.
 */
#include "say.h"

static void put_text(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

/* Lines are as deep as they stand inside; iproute2 takes four columns for it. */
static void new_line(const struct json *j)
{
	fprintf(j->f, "\n%*s", (int)j->depth * (j->style == JSON_PRETTY ? 4 : 2), "");
}

static void put_key(struct json *j, const char *key)
{
	if (j->some)
		fputs(j->style == JSON_LINE ? ", " : ",", j->f);
	if (j->style == JSON_LINES || (j->style == JSON_PRETTY && key))
		new_line(j);
	j->some = true;
	if (key) {
		put_text(j->f, key);
		fputs(j->style == JSON_COMPACT ? ":" : ": ", j->f);
	}
}

void json_begin_style(struct json *j, FILE *f, enum json_style style)
{
	*j = (struct json){ .f = f, .depth = 1, .style = style };
	fputc('{', f);
}

void json_begin(struct json *j, FILE *f)
{
	json_begin_style(j, f, JSON_LINES);
}

void json_begin_line(struct json *j, FILE *f)
{
	json_begin_style(j, f, JSON_LINE);
}

void json_end(struct json *j)
{
	if (j->style == JSON_LINES || (j->style == JSON_PRETTY && j->some))
		fputc('\n', j->f);
	fputs("}\n", j->f);
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	fputc(bracket, j->f);
	if (j->style == JSON_PRETTY && bracket == '[')
		fputc(' ', j->f);
	j->depth++;
	j->some = false;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (j->some && j->style == JSON_PRETTY && bracket == ']')
		fputc(' ', j->f);
	else if (j->some && (j->style == JSON_LINES || j->style == JSON_PRETTY))
		new_line(j);
	fputc(bracket, j->f);
	j->some = true;
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	put_key(j, key);
	fprintf(j->f, "%llu", (unsigned long long)v);
}

void json_real(struct json *j, const char *key, double v)
{
	put_key(j, key);
	fprintf(j->f, "%.3f", v);
}

void json_seconds(struct json *j, const char *key, uint64_t ns)
{
	put_key(j, key);
	fprintf(j->f, "%llu.%06llu", (unsigned long long)(ns / 1000000000u),
		(unsigned long long)(ns % 1000000000u / 1000));
}

void json_bool(struct json *j, const char *key, bool v)
{
	put_key(j, key);
	fputs(v ? "true" : "false", j->f);
}

void json_text(struct json *j, const char *key, const char *v)
{
	put_key(j, key);
	put_text(j->f, v);
}
