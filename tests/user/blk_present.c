// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What of an image counts as being in the page cache: what the kernel says is there, at the first
 * question and for every queue, and what requests have moved since; for a while only, and no other
 * part of the image in its place.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "blk_impl.h"
#include "map.h"
#include "t.h"

#define PAGES(n) ((uint64_t)(n) * page)
#define N_PAGES 256u
#define PART 32u /* pages */

static uint64_t page;
static int image;
static void *mapped;

static void write_page(unsigned int i)
{
	unsigned char byte = 1;

	T_EQ(pwrite(image, &byte, 1, (off_t)PAGES(i)), 1);
}

static void make_image(void)
{
	char path[200];

	page = vhk_page_size();
	snprintf(path, sizeof(path), "%s/image", t_dir());
	image = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	T_MUST(image >= 0 && !ftruncate(image, (off_t)PAGES(N_PAGES)));
	T_MUST(!vhk_map_fd(&mapped, image, 0, PAGES(N_PAGES)));
}

static void drop_image(void)
{
	vhk_unmap_fd(mapped, 0, PAGES(N_PAGES));
	close(image);
}

struct range {
	unsigned int at, n; /* pages */
	bool has;
};

static unsigned int wrong(struct vhk_blk_reader *r, const struct range *c, size_t n)
{
	unsigned int sum = 0;

	for (; n--; c++) {
		if (vhk_blk_present_has(r, PAGES(c->at), PAGES(c->n)) == c->has)
			continue;
		printf("# pages %u, +%u: not %d\n", c->at, c->n, c->has);
		sum++;
	}
	return sum;
}

/* Written by somebody else: no request of ours has been there. */
static unsigned int wrong_at_first_sight(void)
{
	static const struct range all[] = {
		{ 3, 1, true },	    { 3, 2, true },	{ 2, 2, false },  { 40, 8, true },
		{ 39, 2, false },   { 31, 2, true },	{ 31, 3, false }, { 240, 16, true },
		{ 250, 10, false }, { 128, 64, true },	{ 127, 2, false }, { 100, 1, false },
	};
	struct vhk_blk_present p;
	struct vhk_blk_reader r;
	unsigned int sum;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part);
	vhk_blk_reader_init(&r, &p);
	sum = wrong(&r, all, vhk_array_size(all));
	/* a byte or the end of a page is as good as all of it */
	sum += !vhk_blk_present_has(&r, PAGES(3) + 700, 1);
	sum += !vhk_blk_present_has(&r, PAGES(4) - 512, 1024);
	sum += vhk_blk_present_has(&r, PAGES(3) - 1, 2);
	vhk_blk_present_fini(&p);
	return sum;
}

static unsigned int wrong_between_queues(void)
{
	struct vhk_blk_reader r[2];
	struct vhk_blk_present p;
	unsigned int sum = 0;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part);
	vhk_blk_reader_init(&r[0], &p);
	vhk_blk_reader_init(&r[1], &p);
	/* nobody has asked: what is noted is not believed on its own */
	vhk_blk_present_note(&p, PAGES(101), page);
	sum += vhk_blk_present_has(&r[0], PAGES(101), page);
	/* the other one is through with useless questions, and knows all the same */
	r[1].skip = r[1].pause = 100;
	vhk_blk_present_note(&p, PAGES(100), PAGES(2));
	sum += !vhk_blk_present_has(&r[1], PAGES(100), PAGES(2));
	sum += vhk_blk_present_has(&r[1], PAGES(100), PAGES(3));
	sum += !vhk_blk_present_has(&r[1], PAGES(98), PAGES(1)) ? 0 : 1;
	vhk_blk_present_forget(&p, PAGES(120), page);
	r[0].skip = 1;
	sum += vhk_blk_present_has(&r[0], PAGES(100), PAGES(2));
	vhk_blk_present_fini(&p);
	sum += vhk_blk_present_has(&r[0], PAGES(3), page);
	vhk_blk_present_note(&p, PAGES(3), page);
	return sum;
}

/* A run that was held up for longer than things are known says nothing. */
static void in_time(unsigned int (*run)(void))
{
	unsigned int sum;
	uint64_t start;

	do {
		start = t_now_ns();
		sum = run();
	} while (t_now_ns() - start > 1000000000);
	T_EQ(sum, 0);
}

static void at_first_sight(void)
{
	unsigned int i;

	write_page(3);
	write_page(4);
	write_page(31);
	write_page(32);
	for (i = 40; i < 48; i++)
		write_page(i);
	for (i = 128; i < 192; i++)
		write_page(i);
	for (i = 240; i < 256; i++)
		write_page(i);
	in_time(wrong_at_first_sight);
}

static void what_one_queue_learns_all_know(void)
{
	in_time(wrong_between_queues);
}

/* An image whose reads all go to its medium is hardly ever asked about. */
static void useless_questions_cease(void)
{
	unsigned int i, n = 0, before;
	struct vhk_blk_present p;
	struct vhk_blk_reader r;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part);
	vhk_blk_reader_init(&r, &p);
	for (i = 0; i < 10000; i++) {
		before = r.skip;
		T_MUST(!vhk_blk_present_has(&r, PAGES(200), page));
		vhk_blk_present_forget(&p, PAGES(200), page);
		n += !before;
	}
	T_OK(n > 30 && n < 60);
	/* and an answer that helps brings them back */
	r.skip = 0;
	T_OK(vhk_blk_present_has(&r, PAGES(3), page));
	T_EQ(r.skip, 0);
	vhk_blk_present_fini(&p);
}

/* Two parts that share a place in the table. */
static void no_other_part_in_its_place(void)
{
	struct vhk_blk_present p;
	struct vhk_blk_reader r;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part && p.n_parts == N_PAGES / PART);
	p.n_parts = 2;
	vhk_blk_reader_init(&r, &p);
	T_OK(vhk_blk_present_has(&r, PAGES(128), PAGES(PART)));
	T_OK(!vhk_blk_present_has(&r, PAGES(192), PAGES(PART)));
	T_OK(!vhk_blk_present_has(&r, PAGES(64), page));
	T_OK(vhk_blk_present_has(&r, PAGES(128), PAGES(PART)));
	vhk_blk_present_fini(&p);
}

static void for_a_while(void)
{
	const uint64_t start = t_now_ns();
	struct vhk_blk_present p;
	struct vhk_blk_reader r;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part);
	vhk_blk_reader_init(&r, &p);
	r.skip = 1;
	T_OK(!vhk_blk_present_has(&r, PAGES(200), page));
	vhk_blk_present_note(&p, PAGES(200), page);
	T_OK(vhk_blk_present_has(&r, PAGES(200), page) || t_now_ns() - start > 1000000000);
	while (vhk_blk_present_has(&r, PAGES(200), page)) {
		T_MUST(t_now_ns() - start < 60000000000);
		/* moving it, or its neighbour, does not keep it */
		vhk_blk_present_note(&p, PAGES(200), PAGES(2));
		poll(NULL, 0, 20);
	}
	T_OK(t_now_ns() - start > 1700000000);
	vhk_blk_present_fini(&p);
}

/* More major faults than bad luck explains: for some seconds nothing is believed by anybody. */
static void not_where_memory_is_short(void)
{
	struct vhk_blk_reader r[2];
	struct vhk_blk_present p;

	vhk_blk_present_init(&p, mapped, PAGES(N_PAGES));
	T_MUST(p.part);
	vhk_blk_reader_init(&r[0], &p);
	vhk_blk_reader_init(&r[1], &p);
	T_OK(vhk_blk_present_has(&r[0], PAGES(3), page));
	r[0].faults -= 5;
	r[0].looked -= 1000;
	T_OK(!vhk_blk_present_has(&r[0], PAGES(3), page));
	T_OK(!vhk_blk_present_has(&r[1], PAGES(3), page));
	vhk_blk_present_fini(&p);
}

int main(void)
{
	make_image();
	T_RUN(at_first_sight);
	T_RUN(what_one_queue_learns_all_know);
	T_RUN(useless_questions_cease);
	T_RUN(no_other_part_in_its_place);
	T_RUN(for_a_while);
	T_RUN(not_where_memory_is_short);
	drop_image();
	return t_end();
}
