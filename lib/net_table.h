/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which port an address was heard from: bounded, aged, and no port can take it over by inventing
 * addresses. Pure: no clock, no system call.
 */
#ifndef VHK_LIB_NET_TABLE_H
#define VHK_LIB_NET_TABLE_H

#include <stdint.h>

#define NET_TABLE_PORTS 64

struct net_table;

/*
 * @limit addresses, no port more than half of them; forgotten after @age seconds. NULL: no memory.
 */
struct net_table *vhk_net_table_new(uint32_t limit, uint32_t age, uint64_t seed);
void vhk_net_table_free(struct net_table *t);
/* @now: s, from anywhere, never backwards. Where there is no room nothing is learnt. */
void vhk_net_table_learn(struct net_table *t, uint64_t mac, unsigned int port, uint32_t now);
/* The port, or -1. */
int vhk_net_table_find(struct net_table *t, uint64_t mac, uint32_t now);
void vhk_net_table_forget_port(struct net_table *t, unsigned int port);
unsigned int vhk_net_table_count(const struct net_table *t);

#endif
