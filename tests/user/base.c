// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Growable options: what an older or newer caller hands over is read, or refused, never misread.
 */
#include "base.h"
#include "t.h"

struct opts {
	size_t sz;
	uint32_t a;
	uint32_t b;
};

static void options_of_every_size(void)
{
	static const struct {
		size_t sz;
		unsigned char tail;
		int want;
		uint32_t a, b;
	} cases[] = {
		{ sizeof(struct opts), 0, 0, 1, 2 },
		{ offsetof(struct opts, b), 0, 0, 1, 0 },
		{ sizeof(struct opts) + 8, 0, 0, 1, 2 },
		{ sizeof(struct opts) + 8, 1, -EOPNOTSUPP, 0, 0 },
		{ 0, 0, -EINVAL, 0, 0 },
		{ 1u << 20, 0, -EINVAL, 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		union {
			struct opts o;
			unsigned char bytes[sizeof(struct opts) + 8];
		} in = { .o = { cases[i].sz, 1, 2 } };
		struct opts out;

		in.bytes[sizeof(in.bytes) - 1] = cases[i].tail;
		T_EQ(vhk_opts_read(&out, sizeof(out), &in), cases[i].want);
		if (cases[i].want)
			continue;
		T_EQ(out.a, cases[i].a);
		T_EQ(out.b, cases[i].b);
	}
}

static void no_options_are_defaults(void)
{
	struct opts out = { 1, 2, 3 };

	T_EQ(vhk_opts_read(&out, sizeof(out), NULL), 0);
	T_EQ(out.a, 0);
}

int main(void)
{
	T_RUN(options_of_every_size);
	T_RUN(no_options_are_defaults);
	return t_end();
}
