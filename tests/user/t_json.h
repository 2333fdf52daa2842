/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whether a text is JSON (RFC 8259), and nothing more.
 */
#ifndef VHK_TESTS_T_JSON_H
#define VHK_TESTS_T_JSON_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define T_JSON_DEPTH 16

static inline const char *t_json_value(const char *s, int depth);

static inline const char *t_json_space(const char *s)
{
	while (s && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r'))
		s++;
	return s;
}

/* Each of these returns what follows, or NULL. */
static inline const char *t_json_text(const char *s)
{
	int i;

	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			for (i = 0; i < 4; i++)
				if (!isxdigit((unsigned char)*++s))
					return NULL;
		} else if (!*s || !strchr("\"\\/bfnrt", *s)) {
			return NULL;
		}
	}
	return s + 1;
}

static inline const char *t_json_digits(const char *s)
{
	if (!s || !isdigit((unsigned char)*s))
		return NULL;
	while (isdigit((unsigned char)*s))
		s++;
	return s;
}

static inline const char *t_json_number(const char *s)
{
	s += *s == '-';
	s = *s == '0' ? s + 1 : t_json_digits(s);
	if (s && *s == '.')
		s = t_json_digits(s + 1);
	if (s && (*s == 'e' || *s == 'E')) {
		s++;
		s = t_json_digits(s + (*s == '+' || *s == '-'));
	}
	return s;
}

static inline const char *t_json_members(const char *s, char end, int depth)
{
	s = t_json_space(s + 1);
	if (*s == end)
		return s + 1;
	for (;;) {
		if (end == '}') {
			s = t_json_space(t_json_text(t_json_space(s)));
			if (!s || *s++ != ':')
				return NULL;
		}
		s = t_json_space(t_json_value(s, depth + 1));
		if (!s)
			return NULL;
		if (*s == end)
			return s + 1;
		if (*s++ != ',')
			return NULL;
		s = t_json_space(s);
	}
}

static inline const char *t_json_value(const char *s, int depth)
{
	static const char *const words[] = { "true", "false", "null" };
	int i;

	s = t_json_space(s);
	if (depth > T_JSON_DEPTH)
		return NULL;
	if (*s == '{' || *s == '[')
		return t_json_members(s, *s == '{' ? '}' : ']', depth);
	if (*s == '"')
		return t_json_text(s);
	for (i = 0; i < 3; i++)
		if (!strncmp(s, words[i], strlen(words[i])))
			return s + strlen(words[i]);
	return t_json_number(s);
}

/* One object and nothing behind it. */
static inline bool t_json_is_object(const char *s)
{
	const char *end;

	s = t_json_space(s);
	end = *s == '{' ? t_json_space(t_json_value(s, 0)) : NULL;
	return end && !*end;
}

#endif
