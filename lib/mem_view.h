/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Views: pages that lie scattered in a memory table, mapped once more, one behind the other, for
 * who wants a range in one piece. A view is a table of its own, which keeps its pages mapped
 * whatever becomes of the other; its by_va tells where each lies in guest memory. As there may be
 * pages of several ranges, and a page in more than one, by_gpa and by_uva are not to be searched.
 */
#ifndef VHK_LIB_MEM_VIEW_H
#define VHK_LIB_MEM_VIEW_H

#include "mem.h"

/*
 * A range out of @n pieces, at least one, in pages of @t, as its find functions return them; *va:
 * where it starts. What lies in one region in one piece stays where it is. Else *view is exchanged
 * for one that has the range, too; NULL: there is none so far. What was torn in a view is torn in
 * @t, and the other way round. Reads each page first, and so waits for those that userfaultfd(2)
 * brings: faults in a view would tell nobody.
 *
 * 0; -EOPNOTSUPP: the pieces do not fit together in whole pages, or pages cannot be mapped one by
 * one, since they are huge, foreign or private; -EFAULT: a page is gone; -ENOMEM. *view is as it
 * was then.
 */
int vhk_view_add(struct vhk_table **view, const struct vhk_table *t, const struct iovec *seg,
		 unsigned int n, void **va);

#endif
