/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that a driver has mapped for a device: from IOVA to the kernel's own addresses of pages
 * that are held for as long as anything uses them.
 */
#ifndef VHK_MAP_H
#define VHK_MAP_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/types.h>

/* What a device may do with memory; equal to VHOST_ACCESS_*. */
#define VHK_MAY_READ 1
#define VHK_MAY_WRITE 2

/*
 * One mapping. Who finds it uses it to the end of its read section, or holds a reference until what
 * it did with the memory is over: then only is the mapping taken away, and its pages given back.
 */
struct vhk_mapping {
	u64 first;
	u64 size;
	void *va; /* of @first */
	u64 last;
	u32 perm;
	bool lasting; /* nobody waits for references */
	refcount_t refs;
	struct completion *gone;
	struct vhk_mapping *next; /* of those on their way out */
	struct rcu_head rcu;
};

struct vhk_map {
	struct mutex lock; /* writers of the tree */
	struct maple_tree tree;
	/* Counts mappings that went, so that a remembered one is known to be stale. */
	unsigned long gen;
	/* All memory there is: for a driver in this kernel. */
	struct vhk_mapping identity;
	bool is_identity;
	/* Who may be in a read section. All queues change it, and not where they read. */
	atomic_t n_readers ____cacheline_aligned_in_smp;
};

#define VHK_HITS 64

/*
 * What one thread found, by page and by use: memory of a driver's process is mapped in pieces as
 * small as a page. Zeroed before it is refreshed for the first time.
 */
struct vhk_hits {
	unsigned long gen;
	struct vhk_mapping *of[2][VHK_HITS]; /* to read, to write; never NULL */
};

void vhk_map_init(struct vhk_map *map);
/* No reference may be left. */
void vhk_map_fini(struct vhk_map *map);
/* -EEXIST: overlaps; -EINVAL: no ordinary memory, or nothing. */
int vhk_map_add(struct vhk_map *map, u64 iova, u64 size, u64 pa, u32 perm);
/* Takes away what lies in the range, and waits for its users. -EINVAL: part of a mapping. */
int vhk_map_del(struct vhk_map *map, u64 iova, u64 size);
void vhk_map_clear(struct vhk_map *map);
/* Nothing may use the map meanwhile. */
void vhk_map_set_identity(struct vhk_map *map, bool on);

/* Looks in the table. For readers, and to the end of their read section of RCU only. */
struct vhk_mapping *vhk_map_search(struct vhk_map *map, u64 iova, u32 perm);
/* The same, and remembers what is there. */
struct vhk_mapping *vhk_map_search_hit(struct vhk_map *map, struct vhk_hits *hits, u64 iova,
				       bool write);
void vhk_hits_forget(struct vhk_hits *hits);

/* As a read section begins. True: mappings went since the last, and what was found is forgotten. */
static inline bool vhk_hits_refresh(struct vhk_hits *hits, const struct vhk_map *map)
{
	/*
	 * One that went after this load is freed after the caller's read section only; pairs with
	 * the release in take_first().
	 */
	const unsigned long gen = smp_load_acquire(&map->gen);

	if (likely(gen == hits->gen))
		return false;
	vhk_hits_forget(hits);
	hits->gen = gen;
	return true;
}

/* What may have @iova: found before in this read section or since the last change. */
static inline struct vhk_mapping *vhk_hits_guess(const struct vhk_hits *hits, u64 iova, bool write)
{
	return hits->of[write][(iova >> 12) % VHK_HITS];
}

/* Where @iova is, which lies in there: also where a processor only guesses that it does. */
static inline void *vhk_mapping_va(const struct vhk_mapping *m, u64 iova)
{
	return m->va + array_index_nospec(iova - m->first, m->size);
}

/* Where @len bytes are; NULL: some of them are not in there, or there are none. */
static inline void *vhk_mapping_at(const struct vhk_mapping *m, u64 iova, u32 len)
{
	const u64 off = iova - m->first;

	return likely(off < m->size && len - 1ull < m->size - off) ?
	       vhk_mapping_va(m, iova) : NULL;
}

/* The mapping that has @iova and allows its use; NULL: there is none. As vhk_map_search(). */
static inline struct vhk_mapping *vhk_map_find(struct vhk_map *map, struct vhk_hits *hits, u64 iova,
					       bool write)
{
	struct vhk_mapping *m = vhk_hits_guess(hits, iova, write);

	return likely(iova - m->first < m->size) ? m : vhk_map_search_hit(map, hits, iova, write);
}

/* From now on there can be read sections. A full barrier. */
void vhk_map_add_reader(struct vhk_map *map);
/* The last is over. */
void vhk_map_del_reader(struct vhk_map *map);

/* A reference to what was found, within the read section. False: it is on its way out. */
static inline bool vhk_mapping_hold(struct vhk_mapping *m)
{
	return m->lasting || refcount_inc_not_zero(&m->refs);
}

static inline void vhk_mapping_put(struct vhk_mapping *m)
{
	if (!m->lasting && refcount_dec_and_test(&m->refs))
		complete(m->gone);
}

#endif
