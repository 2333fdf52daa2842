/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Reading and writing packets of a tap or packet socket, for the ports that have one.
 */
#ifndef VHK_LIB_NET_FD_H
#define VHK_LIB_NET_FD_H

#include "net_impl.h"

#define NET_READ_GAP 64
#define NET_READ_BUF (NET_READ_GAP + NET_FRAME_MAX + 64)

struct net_reader {
	int fd;
	bool packet;
	unsigned int chains; /* that the last packet took */
	unsigned char *buf;
	struct iovec seg; /* the packet read last */
};

int vhk_net_reader_init(struct net_reader *r, int fd, bool packet);
void vhk_net_reader_fini(struct net_reader *r);
/* The next packet, in the reader's buffer until the one after it; or -errno. */
int vhk_net_reader_next(struct net_reader *r, struct net_frame *f);

/* Bytes, or -errno. */
ssize_t vhk_net_write(int fd, bool packet, const struct net_frame *f);
/* What a packet is counted as that could not be written; the card's link is down if the port is
 * gone for good. @net may be NULL. */
enum vhk_net_drop vhk_net_write_failed(struct vhk_net *net, int err);

#endif
