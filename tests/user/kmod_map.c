// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The module's translation: what may be mapped, what is found and with which permission, references
 * to pages, and an unmap that waits for whoever uses the memory.
 */
#include "../../kmod/map.c"
#include "t.h"

#define RW (VHK_MAY_READ | VHK_MAY_WRITE)
#define AT 0x100000ull

static u64 page_at(unsigned int n)
{
	return virt_to_phys(t_arena) + n * PAGE_SIZE;
}

/* With a reference. */
static struct vhk_mapping *get_by(struct vhk_map *map, struct vhk_hits *hits, u64 iova, u32 perm)
{
	struct vhk_mapping *m;

	rcu_read_lock();
	vhk_hits_refresh(hits, map);
	if (perm == RW)
		m = vhk_map_search(map, iova, perm);
	else
		m = vhk_map_find(map, hits, iova, perm == VHK_MAY_WRITE);
	if (m && !vhk_mapping_hold(m))
		m = NULL;
	rcu_read_unlock();
	return m;
}

static struct vhk_mapping *get(struct vhk_map *map, u64 iova, u32 perm)
{
	struct vhk_hits hits = { 0 };

	return get_by(map, &hits, iova, perm);
}

static void only_memory_is_mapped_and_once(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	T_EQ(vhk_map_add(&map, AT, 2 * PAGE_SIZE, page_at(0), RW), 0);
	T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(9), RW), -EEXIST);
	T_EQ(vhk_map_add(&map, AT + PAGE_SIZE, PAGE_SIZE, page_at(9), RW), -EEXIST);
	T_EQ(vhk_map_add(&map, AT - PAGE_SIZE, 4 * PAGE_SIZE, page_at(9), RW), -EEXIST);
	T_EQ(vhk_map_add(&map, 0, 0, page_at(9), RW), -EINVAL);
	T_EQ(vhk_map_add(&map, 0, PAGE_SIZE, page_at(9), 0), -EINVAL);
	T_EQ(vhk_map_add(&map, 1, PAGE_SIZE, page_at(9), RW), -EINVAL);
	T_EQ(vhk_map_add(&map, 0, PAGE_SIZE + 1, page_at(9), RW), -EINVAL);
	T_EQ(vhk_map_add(&map, 0, PAGE_SIZE, page_at(9) + 8, RW), -EINVAL);
	T_EQ(vhk_map_add(&map, 0, PAGE_SIZE, t_memory_end(), RW), -EINVAL);
	T_EQ(vhk_map_add(&map, 0, 2 * PAGE_SIZE, t_memory_end() - PAGE_SIZE, RW), -EINVAL);
	T_EQ(vhk_map_add(&map, U64_MAX - PAGE_SIZE + 1, 2 * PAGE_SIZE, page_at(9), RW), -EINVAL);
	T_EQ(vhk_map_add(&map, U64_MAX - PAGE_SIZE + 1, PAGE_SIZE, page_at(9), RW), 0);
	T_EQ(t_page_refs(), 3);
	vhk_map_fini(&map);
	T_EQ(t_page_refs(), 0);
}

static void each_mapping_says_what_it_is_for(void)
{
	static const u32 perms[] = { VHK_MAY_READ, VHK_MAY_WRITE, RW };
	struct vhk_mapping *m;
	struct vhk_map map;
	unsigned int i, k;

	vhk_map_init(&map);
	for (i = 0; i < 3; i++)
		T_EQ(vhk_map_add(&map, AT + i * PAGE_SIZE, PAGE_SIZE, page_at(i), perms[i]), 0);
	for (i = 0; i < 3; i++) {
		for (k = 0; k < 3; k++) {
			m = get(&map, AT + i * PAGE_SIZE + 7, perms[k]);
			T_EQ(m != NULL, (perms[i] & perms[k]) == perms[k]);
			if (!m)
				continue;
			T_OK(m->va == t_arena + i * PAGE_SIZE);
			vhk_mapping_put(m);
		}
	}
	T_OK(!get(&map, AT - 1, VHK_MAY_READ));
	T_OK(!get(&map, AT + 3 * PAGE_SIZE, VHK_MAY_READ));
	vhk_map_fini(&map);
}

static void written_pages_are_dirty_when_they_go(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	t_page_clean(20);
	t_page_clean(21);
	T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(20), VHK_MAY_READ), 0);
	T_EQ(vhk_map_add(&map, AT + PAGE_SIZE, PAGE_SIZE, page_at(21), VHK_MAY_WRITE), 0);
	T_EQ(vhk_map_del(&map, AT, 2 * PAGE_SIZE), 0);
	T_EQ(t_page_dirty(20), false);
	T_EQ(t_page_dirty(21), true);
	vhk_map_fini(&map);
}

static void part_of_a_mapping_does_not_go(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	T_EQ(vhk_map_add(&map, AT, 4 * PAGE_SIZE, page_at(0), RW), 0);
	T_EQ(vhk_map_del(&map, AT, PAGE_SIZE), -EINVAL);
	T_EQ(vhk_map_del(&map, AT + PAGE_SIZE, 8 * PAGE_SIZE), -EINVAL);
	T_EQ(vhk_map_del(&map, AT, 0), -EINVAL);
	T_EQ(vhk_map_del(&map, AT, U64_MAX), -EINVAL);
	T_EQ(t_page_refs(), 4);
	T_EQ(vhk_map_del(&map, 0, U64_MAX), 0);
	T_EQ(t_page_refs(), 0);
	T_EQ(vhk_map_del(&map, AT, PAGE_SIZE), 0);
	vhk_map_fini(&map);
}

static void what_went_is_not_found_by_memory(void)
{
	struct vhk_hits hits = { 0 };
	struct vhk_mapping *m;
	struct vhk_map map;

	vhk_map_init(&map);
	T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(0), RW), 0);
	m = get_by(&map, &hits, AT, VHK_MAY_WRITE);
	T_MUST(m);
	vhk_mapping_put(m);
	T_EQ(vhk_map_del(&map, AT, PAGE_SIZE), 0);
	T_OK(!get_by(&map, &hits, AT, VHK_MAY_WRITE));
	T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(1), VHK_MAY_READ), 0);
	T_OK(!get_by(&map, &hits, AT, VHK_MAY_WRITE));
	m = get_by(&map, &hits, AT, VHK_MAY_READ);
	T_MUST(m);
	T_OK(m->va == t_arena + PAGE_SIZE);
	vhk_mapping_put(m);
	vhk_map_fini(&map);
}

static void no_memory_leaves_nothing_behind(void)
{
	struct vhk_map map;

	vhk_map_init(&map);
	t_alloc_fails = 1;
	T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(0), RW), -ENOMEM);
	t_alloc_fails = 0;
	T_EQ(t_page_refs(), 0);
	T_OK(!get(&map, AT, VHK_MAY_READ));
	vhk_map_fini(&map);
}

static void identity_is_all_there_is(void)
{
	struct vhk_mapping *m;
	struct vhk_map map;

	vhk_map_init(&map);
	T_OK(!get(&map, page_at(3), RW));
	vhk_map_set_identity(&map, true);
	m = get(&map, page_at(3) + 5, RW);
	T_MUST(m);
	T_OK((u8 *)m->va + page_at(3) + 5 == t_arena + 3 * PAGE_SIZE + 5);
	vhk_mapping_put(m);
	/* No memory is so far up. */
	T_OK(!get(&map, S64_MAX, RW));
	T_OK(!get(&map, U64_MAX, RW));
	vhk_map_set_identity(&map, false);
	T_OK(!get(&map, page_at(3), RW));
	vhk_map_fini(&map);
}

/* From here on with threads of a program. */
#ifndef __KERNEL__

#define USERS 3
#define ROUNDS 3000

struct user {
	struct vhk_map *map;
	atomic_bool *stop;
	unsigned long wrong, found;
};

/* The page says by its first byte whether it is mapped. */
static void *use(void *arg)
{
	struct user *u = arg;
	struct vhk_hits hits = { 0 };
	struct vhk_mapping *m;

	while (!atomic_load(u->stop)) {
		m = get_by(u->map, &hits, AT, VHK_MAY_WRITE);
		if (!m)
			continue;
		u->found++;
		u->wrong += !__atomic_load_n((u8 *)m->va, __ATOMIC_RELAXED);
		vhk_mapping_put(m);
	}
	return NULL;
}

static void an_unmap_waits_for_its_users(void)
{
	struct user u[USERS];
	pthread_t t[USERS];
	atomic_bool stop = false;
	struct vhk_map map;
	unsigned int i;
	u8 *page = t_arena + 40 * PAGE_SIZE;

	vhk_map_init(&map);
	for (i = 0; i < USERS; i++) {
		u[i] = (struct user){ &map, &stop, 0, 0 };
		T_MUST(!pthread_create(&t[i], NULL, use, &u[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		__atomic_store_n(page, 1, __ATOMIC_RELAXED);
		T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(40), RW), 0);
		T_EQ(vhk_map_del(&map, AT, PAGE_SIZE), 0);
		__atomic_store_n(page, 0, __ATOMIC_RELAXED);
	}
	atomic_store(&stop, true);
	for (i = 0; i < USERS; i++) {
		pthread_join(t[i], NULL);
		T_EQ(u[i].wrong, 0);
	}
	T_EQ(t_page_refs(), 0);
	vhk_map_fini(&map);
}

/* The same for readers, who hold nothing but a read section. */
static void *read_only(void *arg)
{
	struct user *u = arg;
	struct vhk_hits hits = { 0 };
	struct vhk_mapping *m;

	while (!atomic_load(u->stop)) {
		rcu_read_lock();
		vhk_hits_refresh(&hits, u->map);
		m = vhk_map_find(u->map, &hits, AT, true);
		if (m) {
			u->found++;
			u->wrong += !__atomic_load_n((u8 *)m->va, __ATOMIC_RELAXED);
		}
		rcu_read_unlock();
		sched_yield();
	}
	vhk_map_del_reader(u->map);
	return NULL;
}

static void an_unmap_waits_for_read_sections(void)
{
	struct user u = { 0 };
	atomic_bool stop = false;
	u8 *page = t_arena + 41 * PAGE_SIZE;
	struct vhk_map map;
	unsigned int i;
	pthread_t t;

	vhk_map_init(&map);
	u.map = &map;
	u.stop = &stop;
	vhk_map_add_reader(&map);
	T_MUST(!pthread_create(&t, NULL, read_only, &u));
	for (i = 0; i < ROUNDS / 10; i++) {
		__atomic_store_n(page, 1, __ATOMIC_RELAXED);
		T_EQ(vhk_map_add(&map, AT, PAGE_SIZE, page_at(41), RW), 0);
		T_EQ(vhk_map_add(&map, AT + PAGE_SIZE, PAGE_SIZE, page_at(42), RW), 0);
		sched_yield();
		T_EQ(vhk_map_del(&map, AT, 2 * PAGE_SIZE), 0);
		__atomic_store_n(page, 0, __ATOMIC_RELAXED);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	T_EQ(u.wrong, 0);
	T_EQ(t_page_refs(), 0);
	vhk_map_fini(&map);
}

int main(void)
{
	t_arena_new();
	T_RUN(only_memory_is_mapped_and_once);
	T_RUN(each_mapping_says_what_it_is_for);
	T_RUN(written_pages_are_dirty_when_they_go);
	T_RUN(part_of_a_mapping_does_not_go);
	T_RUN(what_went_is_not_found_by_memory);
	T_RUN(no_memory_leaves_nothing_behind);
	T_RUN(identity_is_all_there_is);
	T_RUN(an_unmap_waits_for_its_users);
	T_RUN(an_unmap_waits_for_read_sections);
	free(t_arena);
	return t_end();
}

#endif
