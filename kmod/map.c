// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of mappings. vhost-vdpa unpins pages before it asks for their unmapping, so the table
 * has references of its own: taken while the pin lasts, dropped when the last request is through.
 */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/slab.h>

#include "map.h"

/* Calls @fn once for each folio of the range. */
static void each_folio(void *va, u64 size, void (*fn)(struct folio *folio))
{
	unsigned long pfn = PHYS_PFN(virt_to_phys(va));
	const unsigned long end = pfn + PFN_DOWN(size);

	while (pfn < end) {
		struct folio *folio = page_folio(pfn_to_page(pfn));
		const unsigned long next = folio_pfn(folio) + folio_nr_pages(folio);

		fn(folio);
		pfn = next;
	}
}

static void hold(struct folio *folio)
{
	folio_get(folio);
}

static void release(struct folio *folio)
{
	folio_put(folio);
}

/* What was written after the pin went is not yet known to be dirty. */
static void release_dirty(struct folio *folio)
{
	set_page_dirty_lock(folio_page(folio, 0));
	folio_put(folio);
}

static bool is_memory(u64 pa, u64 size)
{
	unsigned long pfn;

	for (pfn = PHYS_PFN(pa); pfn < PHYS_PFN(pa + size); pfn++)
		if (!pfn_valid(pfn))
			return false;
	return true;
}

void vhk_map_init(struct vhk_map *map)
{
	mutex_init(&map->lock);
	mt_init_flags(&map->tree, MT_FLAGS_USE_RCU);
	map->gen = 1;
	atomic_set(&map->n_readers, 0);
	map->is_identity = false;
	map->identity = (struct vhk_mapping){
		/* No size may be larger where indices are kept in their bounds. */
		.size = S64_MAX,
		.last = S64_MAX - 1,
		.perm = VHK_MAY_READ | VHK_MAY_WRITE,
		.lasting = true,
	};
}

static struct vhk_mapping *mapping_new(u64 iova, u64 size, u64 pa, u32 perm)
{
	struct vhk_mapping *m;

	m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		return NULL;
	m->first = iova;
	m->size = size;
	m->last = iova + size - 1;
	m->va = phys_to_virt(pa);
	m->perm = perm;
	refcount_set(&m->refs, 1);
	return m;
}

int vhk_map_add(struct vhk_map *map, u64 iova, u64 size, u64 pa, u32 perm)
{
	struct vhk_mapping *m;
	int ret;

	if (!size || (iova | pa | size) & ~PAGE_MASK || iova + size - 1 < iova ||
	    pa + size < pa || !perm || !is_memory(pa, size))
		return -EINVAL;
	m = mapping_new(iova, size, pa, perm);
	if (!m)
		return -ENOMEM;
	each_folio(m->va, size, hold);
	mutex_lock(&map->lock);
	ret = mtree_insert_range(&map->tree, m->first, m->last, m, GFP_KERNEL_ACCOUNT);
	mutex_unlock(&map->lock);
	if (ret) {
		each_folio(m->va, size, release);
		kfree(m);
	}
	return ret;
}

static void mapping_del(struct vhk_mapping *m)
{
	DECLARE_COMPLETION_ONSTACK(gone);

	m->gone = &gone;
	if (!refcount_dec_and_test(&m->refs))
		wait_for_completion(&gone);
	each_folio(m->va, m->size, m->perm & VHK_MAY_WRITE ? release_dirty : release);
	kfree_rcu(m, rcu);
}

/* Takes the first mapping of the range out of the table; NULL: none is left. */
static struct vhk_mapping *take_first(struct vhk_map *map, u64 first, u64 last)
{
	unsigned long at = first;
	struct vhk_mapping *m;

	mutex_lock(&map->lock);
	m = mt_find(&map->tree, &at, last);
	if (m && (m->first < first || m->last > last)) {
		m = ERR_PTR(-EINVAL);
	} else if (m) {
		mtree_erase(&map->tree, m->first);
		/* pairs with the acquires of @gen: whoever sees the count does not find it */
		smp_store_release(&map->gen, map->gen + 1);
	}
	mutex_unlock(&map->lock);
	return m;
}

/* Nobody finds what was taken out any more; who found it before is through after this. */
static void wait_for_readers(struct vhk_map *map)
{
	/* The table is changed before it is asked who reads; pairs with vhk_map_add_reader(). */
	smp_mb();
	if (atomic_read(&map->n_readers))
		synchronize_rcu_expedited();
	/* pairs with the barrier in vhk_map_del_reader() */
	smp_mb();
}

static int del_range(struct vhk_map *map, u64 first, u64 last)
{
	struct vhk_mapping *m, *next, *gone = NULL;

	while (!IS_ERR_OR_NULL(m = take_first(map, first, last))) {
		m->next = gone;
		gone = m;
	}
	if (gone)
		wait_for_readers(map);
	for (; gone; gone = next) {
		next = gone->next;
		mapping_del(gone);
	}
	return PTR_ERR_OR_ZERO(m);
}

int vhk_map_del(struct vhk_map *map, u64 iova, u64 size)
{
	if (!size || iova + size - 1 < iova)
		return -EINVAL;
	return del_range(map, iova, iova + size - 1);
}

void vhk_map_clear(struct vhk_map *map)
{
	del_range(map, 0, U64_MAX);
}

void vhk_map_fini(struct vhk_map *map)
{
	vhk_map_clear(map);
	mtree_destroy(&map->tree);
}

void vhk_map_set_identity(struct vhk_map *map, bool on)
{
	mutex_lock(&map->lock);
	map->identity.va = phys_to_virt(0);
	/* What is remembered is of the other kind. */
	if (map->is_identity != on)
		smp_store_release(&map->gen, map->gen + 1);
	map->is_identity = on;
	mutex_unlock(&map->lock);
}

struct vhk_mapping *vhk_map_search(struct vhk_map *map, u64 iova, u32 perm)
{
	struct vhk_mapping *m;

	if (map->is_identity)
		m = iova < map->identity.size ? &map->identity : NULL;
	else
		m = mtree_load(&map->tree, iova);
	return m && (m->perm & perm) == perm ? m : NULL;
}

struct vhk_mapping *vhk_map_search_hit(struct vhk_map *map, struct vhk_hits *hits, u64 iova,
				       bool write)
{
	struct vhk_mapping *m = vhk_map_search(map, iova, write ? VHK_MAY_WRITE : VHK_MAY_READ);

	if (m)
		hits->of[write][(iova >> 12) % VHK_HITS] = m;
	return m;
}

void vhk_hits_forget(struct vhk_hits *hits)
{
	/* Has no byte. */
	static struct vhk_mapping nothing;
	unsigned int i;

	for (i = 0; i < VHK_HITS; i++)
		hits->of[false][i] = hits->of[true][i] = &nothing;
}

void vhk_map_add_reader(struct vhk_map *map)
{
	atomic_inc(&map->n_readers);
	/* pairs with the barrier in wait_for_readers() */
	smp_mb__after_atomic();
}

void vhk_map_del_reader(struct vhk_map *map)
{
	/* What was read is read before it is given back; pairs with wait_for_readers(). */
	smp_mb__before_atomic();
	atomic_dec(&map->n_readers);
}
