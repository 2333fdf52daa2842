// SPDX-License-Identifier: GPL-2.0-only
/* Translation, permissions, references to pages, and an unmap that waits for who uses memory. */
#include "t_kunit.h"

#include <linux/delay.h>
#include <linux/kthread.h>

#include "../user/kmod_map.c"

T_CASE(only_memory_is_mapped_and_once)
T_CASE(each_mapping_says_what_it_is_for)
T_CASE(written_pages_are_dirty_when_they_go)
T_CASE(part_of_a_mapping_does_not_go)
T_CASE(what_went_is_not_found_by_memory)
T_CASE(no_memory_leaves_nothing_behind)
T_CASE(identity_is_all_there_is)

#define ROUNDS 1000
#define USED_PAGE 40

struct map_user {
	struct vhk_map *map;
	unsigned long wrong, found;
};

/* The page says by its first byte whether it is mapped. */
static int use(void *arg)
{
	struct vhk_hits hits = { };
	struct map_user *u = arg;
	struct vhk_mapping *m;

	while (!kthread_should_stop()) {
		m = get_by(u->map, &hits, AT, VHK_MAY_WRITE);
		if (m) {
			u->found++;
			u->wrong += !READ_ONCE(*(u8 *)m->va);
			vhk_mapping_put(m);
		}
		cond_resched();
	}
	return 0;
}

/* The same for readers, who hold nothing but a read section. */
static int read_only(void *arg)
{
	struct vhk_hits hits = { };
	struct map_user *u = arg;
	struct vhk_mapping *m;

	while (!kthread_should_stop()) {
		rcu_read_lock();
		vhk_hits_refresh(&hits, u->map);
		m = vhk_map_find(u->map, &hits, AT, true);
		if (m) {
			u->found++;
			u->wrong += !READ_ONCE(*(u8 *)m->va);
		}
		rcu_read_unlock();
		cond_resched();
	}
	return 0;
}

static void unmap_while(int (*fn)(void *arg), struct vhk_map *map, unsigned int rounds)
{
	u8 *page = t_arena + USED_PAGE * PAGE_SIZE;
	struct map_user u = { .map = map };
	struct task_struct *thread;
	unsigned int i;

	thread = kthread_run(fn, &u, "vhk-kunit");
	T_MUST(!IS_ERR(thread));
	/* The thread may not have run for long. */
	for (i = 0; i < rounds || (!READ_ONCE(u.found) && i < 100 * rounds); i++) {
		WRITE_ONCE(*page, 1);
		T_EQ(vhk_map_add(map, AT, PAGE_SIZE, page_at(USED_PAGE), RW), 0);
		if (!(i % 16))
			usleep_range(50, 200);
		T_EQ(vhk_map_del(map, AT, PAGE_SIZE), 0);
		WRITE_ONCE(*page, 0);
		cond_resched();
	}
	kthread_stop(thread);
	T_EQ(u.wrong, 0);
	T_OK(u.found);
	T_EQ(t_page_refs(), 0);
}

static void an_unmap_waits_for_its_users(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	unmap_while(use, &map, ROUNDS);
	vhk_map_fini(&map);
}
T_CASE(an_unmap_waits_for_its_users)

static void an_unmap_waits_for_read_sections(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	vhk_map_add_reader(&map);
	unmap_while(read_only, &map, ROUNDS / 10);
	vhk_map_del_reader(&map);
	vhk_map_fini(&map);
}
T_CASE(an_unmap_waits_for_read_sections)

T_SUITE("vhostkit_map",
	T_ENTRY(only_memory_is_mapped_and_once),
	T_ENTRY(each_mapping_says_what_it_is_for),
	T_ENTRY(written_pages_are_dirty_when_they_go),
	T_ENTRY(part_of_a_mapping_does_not_go),
	T_ENTRY(what_went_is_not_found_by_memory),
	T_ENTRY(no_memory_leaves_nothing_behind),
	T_ENTRY(identity_is_all_there_is),
	T_ENTRY(an_unmap_waits_for_its_users),
	T_ENTRY(an_unmap_waits_for_read_sections));
