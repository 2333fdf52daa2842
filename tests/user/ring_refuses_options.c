// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a ring is not made of: sizes, places, limits and positions out of range are refused before
 * anything is touched.
 */
#include "t_ring.h"

enum field { SIZE, DESC, DRIVER, DEVICE, BASE, CTX, SEGS, SZ, USED };

static int try(bool packed, enum field f, uint32_t v)
{
	struct vhk_ring *r = NULL;
	struct vhk_ring_opts o;
	struct peer p;
	int ret;

	peer_init(&p, packed, 16, 0);
	o = peer_opts(&p);
	switch (f) {
	case SIZE: o.size = (uint16_t)v; break;
	case DESC: o.desc = v ? (char *)o.desc + v : NULL; break;
	case DRIVER: o.driver = v ? (char *)o.driver + v : NULL; break;
	case DEVICE: o.device = v ? (char *)o.device + v : NULL; break;
	case BASE: o.base = v; break;
	case CTX: o.ctx_size = v; break;
	case SEGS: o.max_segs = (uint16_t)v; break;
	case SZ: o.sz = v; break;
	case USED: p.device[1] = htole16((uint16_t)v); break;
	}
	ret = vhk_ring_new(&r, p.mem, &o);
	T_OK(!ret == !!r);
	vhk_ring_free(r);
	peer_fini(&p);
	return ret;
}

static void options(void)
{
	static const struct {
		enum field f;
		uint32_t v;
		int split, packed;
	} cases[] = {
		{ SIZE, 0, -EINVAL, -EINVAL },	  { SIZE, 1, 0, 0 },
		{ SIZE, 3, -EINVAL, 0 },	  { SIZE, 8, 0, 0 },
		{ SIZE, 32768, 0, 0 },		  { SIZE, 32769, -EINVAL, -EINVAL },
		{ SIZE, 65535, -EINVAL, -EINVAL }, { DESC, 0, -EINVAL, -EINVAL },
		{ DESC, 8, -EINVAL, -EINVAL },	  { DESC, 16, 0, 0 },
		{ DRIVER, 0, -EINVAL, -EINVAL },  { DRIVER, 1, -EINVAL, -EINVAL },
		{ DRIVER, 2, 0, -EINVAL },	  { DEVICE, 0, -EINVAL, -EINVAL },
		{ DEVICE, 2, -EINVAL, -EINVAL },  { DEVICE, 4, 0, 0 },
		{ CTX, 65537, -EINVAL, -EINVAL }, { CTX, 0, 0, 0 },
		{ SEGS, 1025, -EINVAL, -EINVAL }, { SEGS, 1024, 0, 0 },
		{ SEGS, 1, 0, 0 },		  { SZ, 0, -EINVAL, -EINVAL },
		{ BASE, 16 | 0x8000, -EBADMSG, -EINVAL },
		{ BASE, 0x80100000u, 0, -EINVAL },
		{ BASE, 0x80088001u, -EBADMSG, -EINVAL }, /* used ahead of available */
		{ BASE, 0x00000001u, 0, 0 },
		{ USED, 1, -EBADMSG, 0 },	  { USED, 65520, 0, 0 },
		{ USED, 65519, -EBADMSG, 0 },
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		const int before = t_bad;

		T_EQ(try(false, cases[i].f, cases[i].v), cases[i].split);
		T_EQ(try(true, cases[i].f, cases[i].v), cases[i].packed);
		if (t_bad != before)
			printf("# case %u\n", i);
	}
}

static void nothing_is_freed_twice(void)
{
	vhk_ring_free(NULL);
}

int main(void)
{
	T_RUN(options);
	T_RUN(nothing_is_freed_twice);
	return t_end();
}
