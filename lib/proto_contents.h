/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What may stand in the payloads, message by message: the check functions that the table's rows
 * name. They run after size, fds, gates and ring index were found right. 0, -EINVAL or -EPROTO;
 * *why is set with an error.
 */
#ifndef VHK_LIB_PROTO_CONTENTS_H
#define VHK_LIB_PROTO_CONTENTS_H

#include "proto.h"

typedef int vhk_check_fn(const struct vhk_proto_state *st, const struct vhk_msg *m,
			 const char **why);

vhk_check_fn vhk_check_features;
vhk_check_fn vhk_check_owner;
vhk_check_fn vhk_check_mem_table;
vhk_check_fn vhk_check_mem_reg;
vhk_check_fn vhk_check_rem_reg;
vhk_check_fn vhk_check_log;
vhk_check_fn vhk_check_vring_num;
vhk_check_fn vhk_check_vring_addr;
vhk_check_fn vhk_check_vring_base;
vhk_check_fn vhk_check_vring_kick;
vhk_check_fn vhk_check_inband_kick;
vhk_check_fn vhk_check_num_flag;
vhk_check_fn vhk_check_num_zero;
vhk_check_fn vhk_check_get_protocol;
vhk_check_fn vhk_check_set_protocol;
vhk_check_fn vhk_check_get_config;
vhk_check_fn vhk_check_set_config;
vhk_check_fn vhk_check_get_inflight;
vhk_check_fn vhk_check_set_inflight;
vhk_check_fn vhk_check_status;
vhk_check_fn vhk_check_postcopy;
vhk_check_fn vhk_check_mtu;
vhk_check_fn vhk_check_uuid;
vhk_check_fn vhk_check_state_transfer;
vhk_check_fn vhk_check_iotlb;
vhk_check_fn vhk_check_mmap;

#endif
