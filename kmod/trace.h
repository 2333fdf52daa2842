/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: what goes through a device's queues, and what becomes of the device. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhostkit

#if !defined(VHK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHK_TRACE_H

#include <linux/tracepoint.h>

#include "vdev.h"

DECLARE_EVENT_CLASS(vhk_queue,
	TP_PROTO(const struct vhk_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		__string(dev, dev_name(&vq->dev->vdpa.dev))
		__field(u16, queue)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = vq->index;
	),
	TP_printk("%s queue %u", __get_str(dev), __entry->queue)
);

/* The driver says that there is something. */
DEFINE_EVENT(vhk_queue, vhk_kick, TP_PROTO(const struct vhk_vq *vq), TP_ARGS(vq));
/* The driver is told the same. */
DEFINE_EVENT(vhk_queue, vhk_call, TP_PROTO(const struct vhk_vq *vq), TP_ARGS(vq));

TRACE_EVENT(vhk_pop,
	TP_PROTO(const struct vhk_vq *vq, const struct vhk_chain *c),
	TP_ARGS(vq, c),
	TP_STRUCT__entry(
		__string(dev, dev_name(&vq->dev->vdpa.dev))
		__field(u16, queue)
		__field(u16, id)
		__field(u16, n_desc)
		__field(bool, fault)
		__field(u32, out_len)
		__field(u32, in_len)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = vq->index;
		__entry->id = c->id;
		__entry->n_desc = c->n_desc;
		__entry->fault = c->fault;
		__entry->out_len = c->out_len;
		__entry->in_len = c->in_len;
	),
	TP_printk("%s queue %u id %u descriptors %u out %u in %u%s", __get_str(dev), __entry->queue,
		  __entry->id, __entry->n_desc, __entry->out_len, __entry->in_len,
		  __entry->fault ? " fault" : "")
);

TRACE_EVENT(vhk_complete,
	TP_PROTO(const struct vhk_vq *vq, u16 id, u32 len),
	TP_ARGS(vq, id, len),
	TP_STRUCT__entry(
		__string(dev, dev_name(&vq->dev->vdpa.dev))
		__field(u16, queue)
		__field(u16, id)
		__field(u32, len)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->queue = vq->index;
		__entry->id = id;
		__entry->len = len;
	),
	TP_printk("%s queue %u id %u len %u", __get_str(dev), __entry->queue, __entry->id,
		  __entry->len)
);

TRACE_EVENT(vhk_reset,
	TP_PROTO(const struct vhk_dev *vdev),
	TP_ARGS(vdev),
	TP_STRUCT__entry(
		__string(dev, dev_name(&vdev->vdpa.dev))
		__field(u8, status)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->status = vdev->status;
	),
	TP_printk("%s status 0x%x", __get_str(dev), __entry->status)
);

TRACE_EVENT(vhk_map,
	TP_PROTO(const struct vhk_dev *vdev, unsigned int asid, u64 iova, u64 size, u32 perm,
		 int ret),
	TP_ARGS(vdev, asid, iova, size, perm, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(&vdev->vdpa.dev))
		__field(unsigned int, asid)
		__field(u64, iova)
		__field(u64, size)
		__field(u32, perm)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->asid = asid;
		__entry->iova = iova;
		__entry->size = size;
		__entry->perm = perm;
		__entry->ret = ret;
	),
	/* Without a permission it is taken away. */
	TP_printk("%s asid %u iova 0x%llx size 0x%llx %s%s%s ret %d", __get_str(dev),
		  __entry->asid, __entry->iova, __entry->size, __entry->perm & 1 ? "r" : "",
		  __entry->perm & 2 ? "w" : "", __entry->perm ? "" : "unmap", __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
