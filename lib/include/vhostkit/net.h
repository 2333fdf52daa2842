/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio network card (virtio 1.3, section 5.1) as a device object that any door serves. Its
 * other end is a tap or macvtap, an interface of the host by a packet socket, a switch that joins
 * several cards, or nothing but a way of measuring.
 *
 * Queues: 2 i receives and 2 i + 1 transmits for pair i, and the control queue comes behind the
 * last pair. Front ends that answer control requests themselves never start it. Where a driver
 * takes the control queue and not VIRTIO_NET_F_MQ it is queue 2.
 *
 * Loops: a card with a tap or a packet socket may have each queue on another loop. All queues of
 * cards that are joined by a switch, and both queues of a pair of VHK_NET_IO and VHK_NET_MAC, have
 * to run on one: a queue that does not is not started (-EINVAL).
 */
#ifndef VHOSTKIT_NET_H
#define VHOSTKIT_NET_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Pairs of queues of a card, at most. */
#define VHK_NET_PAIRS_MAX 64

/**
 * enum vhk_net_port - what is at a card's other end
 * @VHK_NET_NONE:   nothing yet; not to be asked for
 * @VHK_NET_TAP:    a tap or macvtap, a file descriptor for each pair (vhk_net_open_tap())
 * @VHK_NET_PACKET: an interface of the host, by one packet socket for one pair
 *                  (vhk_net_open_packet())
 * @VHK_NET_SWITCH: other cards (vhk_switch_new())
 * @VHK_NET_IO:     what a pair transmits it receives
 * @VHK_NET_MAC:    the same, with source and destination address exchanged
 * @VHK_NET_RXONLY: what is transmitted is copied to a buffer and forgotten
 * @VHK_NET_TXONLY: packets without meaning, opts.frame_len long, as many as there is room for; what
 *                  is transmitted is dropped
 */
enum vhk_net_port {
	VHK_NET_NONE,
	VHK_NET_TAP,
	VHK_NET_PACKET,
	VHK_NET_SWITCH,
	VHK_NET_IO,
	VHK_NET_MAC,
	VHK_NET_RXONLY,
	VHK_NET_TXONLY,
};

struct vhk_switch;

/**
 * struct vhk_net_opts - a card
 * @sz:         sizeof(struct vhk_net_opts)
 * @port:       what is at its other end
 * @num_pairs:  pairs of queues, 1 to VHK_NET_PAIRS_MAX; 0: 1
 * @queue_size: 4 to 32768, a power of two; 0: 1024, as for disks (blk.h)
 * @mtu:        told to the driver, and longer packets are dropped, 68 to 65535; 0: nothing is told
 * @mac:        the card's address, not a group's; all zeros: one is made up
 * @without:    feature bits not to offer
 * @fds:        VHK_NET_TAP, VHK_NET_PACKET: one for each pair; the card's even on failure
 * @n_fds:      how many; @num_pairs
 * @sw:         VHK_NET_SWITCH: the switch, which outlives the card
 * @frame_len:  VHK_NET_TXONLY: bytes, 14 to 65535, without checksum; 0: 60
 * @log:        where lines go; copied. Queues' threads call it, too
 */
struct vhk_net_opts {
	size_t sz;
	enum vhk_net_port port;
	uint16_t num_pairs;
	uint16_t queue_size;
	uint16_t mtu;
	uint8_t mac[6];
	uint64_t without;
	const int *fds;
	unsigned int n_fds;
	struct vhk_switch *sw;
	uint32_t frame_len;
	struct vhk_log log;
};

/**
 * enum vhk_net_drop - why a packet went no further, as statistics count it
 * @VHK_NET_DROP_HEADER:   the chain is shorter than a header, or lies in no memory
 * @VHK_NET_DROP_RUNT:     shorter than an Ethernet header
 * @VHK_NET_DROP_LONG:     longer than the MTU, or than any packet
 * @VHK_NET_DROP_OFFLOAD:  offload fields that point outside of the packet, or ask for what was not
 *                         negotiated
 * @VHK_NET_DROP_ROOM:     no buffer at the receiver, or none that is large enough
 * @VHK_NET_DROP_LINK:     the link is down, or nobody is there
 * @VHK_NET_DROP_FILTER:   the driver asked not to get it
 * @VHK_NET_DROP_FLOOD:    more packets for everybody than a port may send
 * @VHK_NET_DROP_PORT:     the kernel refused it
 * @VHK_NET_DROPS:         how many there are
 */
enum vhk_net_drop {
	VHK_NET_DROP_HEADER,
	VHK_NET_DROP_RUNT,
	VHK_NET_DROP_LONG,
	VHK_NET_DROP_OFFLOAD,
	VHK_NET_DROP_ROOM,
	VHK_NET_DROP_LINK,
	VHK_NET_DROP_FILTER,
	VHK_NET_DROP_FLOOD,
	VHK_NET_DROP_PORT,
	VHK_NET_DROPS,
};

/**
 * struct vhk_net_stats - one queue's counters since the card was made
 * @seen:    packets that came: from the driver, or for it. Control queue: requests
 * @packets: of these, those that went on. Control queue: carried out
 * @bytes:   of those, without headers
 * @dropped: the others, by cause (enum vhk_net_drop); together with @packets they are @seen
 */
struct vhk_net_stats {
	uint64_t seen;
	uint64_t packets;
	uint64_t bytes;
	uint64_t dropped[VHK_NET_DROPS];
};

/**
 * vhk_net_new() - make a network card
 * @out: the device; the caller's, freed by vhk_device_free()
 * @o:   what it is; borrowed for the call, but for its fds
 *
 * The first packet dropped for each cause on a queue is told to @o->log, as is each of which twice
 * as many were dropped as at the last line.
 *
 * Return: 0; -EINVAL: an option is out of range or does not go with the port, or a file descriptor
 * is no tap or packet socket; -EOPNOTSUPP: an unknown option; -ENOMEM, or what the kernel said.
 */
VHK_API int vhk_net_new(struct vhk_device **out, const struct vhk_net_opts *o);

/**
 * vhk_net_set_link() - plug the cable in or out (VIRTIO_NET_S_LINK_UP)
 * @d:  from vhk_net_new()
 * @up: the link is up; so it is at first. While it is down packets of both directions are dropped
 *
 * Control thread. Return: 0; -EINVAL: @d is no network card.
 */
VHK_API int vhk_net_set_link(struct vhk_device *d, bool up);

/**
 * vhk_net_announce() - have the driver tell the network where it is (VIRTIO_NET_S_ANNOUNCE)
 * @d: from vhk_net_new()
 *
 * For after a migration. Where the driver does not know how, the card itself tells it of its
 * address by a RARP packet, as for vhost-user's SEND_RARP. Control thread.
 *
 * Return: 0; -EINVAL: @d is no network card.
 */
VHK_API int vhk_net_announce(struct vhk_device *d);

/**
 * vhk_net_stats() - read a queue's counters
 * @d:     from vhk_net_new()
 * @queue: 0 to 2 * num_pairs
 * @out:   the caller's; each counter is right, though not all of the same moment
 *
 * Any thread, while the card exists.
 *
 * Return: 0; -EINVAL: @d is no network card, or has no such queue.
 */
VHK_API int vhk_net_stats(const struct vhk_device *d, unsigned int queue,
			  struct vhk_net_stats *out);

/**
 * vhk_net_drop_name() - a cause in a word
 * @cause: what was dropped for
 *
 * Return: the word, static; NULL: there is no such cause.
 */
VHK_API const char *vhk_net_drop_name(enum vhk_net_drop cause);

/**
 * vhk_net_open_tap() - open a tap of this host, which is made where it is not there
 * @name: of the interface, up to 15 bytes
 * @fds:  filled with a file descriptor for each queue; the caller's
 * @n:    queues, 1 to VHK_NET_PAIRS_MAX; more than one need a tap with IFF_MULTI_QUEUE
 *
 * Return: 0; -EINVAL: @name or @n; what the kernel said (-EPERM, -EBUSY, -ENOENT), with nothing
 * left open.
 */
VHK_API int vhk_net_open_tap(const char *name, int *fds, unsigned int n);

/**
 * vhk_net_open_macvtap() - open a macvtap of this host
 * @name: of the interface, which is there
 * @fds:  as for vhk_net_open_tap()
 * @n:    as for vhk_net_open_tap()
 *
 * Only packets for the interface's own address come in: the card's is to be the same.
 *
 * Return: as for vhk_net_open_tap().
 */
VHK_API int vhk_net_open_macvtap(const char *name, int *fds, unsigned int n);

/**
 * vhk_net_open_packet() - open an interface of this host by a packet socket
 * @name: of the interface, which is there
 * @fd:   filled with the file descriptor, the caller's
 *
 * What the card transmits goes out there, and the card gets what comes in, whatever address it is
 * for (the interface is promiscuous as long as the socket is open). What the host itself sends
 * through the interface the card does not get.
 *
 * Return: 0; -EINVAL: @name; what the kernel said (-EPERM, -ENODEV), with nothing left open.
 */
VHK_API int vhk_net_open_packet(const char *name, int *fd);

/**
 * struct vhk_switch_opts - a learning switch
 * @sz:        sizeof(struct vhk_switch_opts)
 * @loop:      where it, and all queues of its cards, run; outlives it
 * @addresses: that it remembers at most, 1 to 1048576; 0: 4096. No port has more than half of them
 * @age_s:     seconds after which an address that is not heard of is forgotten; 0: 300
 * @flood_pps: packets for everybody (broadcast, multicast, unknown addresses) that a port may send
 *             in a second, 1 to 1000000000; 0: 20000
 * @log:       where lines go; copied
 */
struct vhk_switch_opts {
	size_t sz;
	struct vhk_loop *loop;
	uint32_t addresses;
	uint32_t age_s;
	uint32_t flood_pps;
	struct vhk_log log;
};

/**
 * vhk_switch_new() - make a switch without ports; each card made with it becomes one
 * @out: the switch, the caller's
 * @o:   how; borrowed for the call
 *
 * It belongs to its loop's thread: in it, or while the loop does not run, cards and taps are added,
 * and cards freed.
 *
 * What a port sends to an address that another port was heard of from goes there, what is for
 * everybody or nobody known to all others. A port that has no room loses what it is sent, and no
 * other notices. Up to 64 ports.
 *
 * Return: 0; -EINVAL: no loop, or a number is out of range; -EOPNOTSUPP: an unknown option;
 * -ENOMEM.
 */
VHK_API int vhk_switch_new(struct vhk_switch **out, const struct vhk_switch_opts *o);

/**
 * vhk_switch_add_tap() - make a tap a port of the switch
 * @s:  the switch
 * @fd: of a tap or macvtap (vhk_net_open_tap() with one queue); the switch's even on failure
 *
 * Return: 0; -EINVAL: @fd is no tap; -EMSGSIZE: there are 64 ports; -ENOMEM, or what the kernel
 * said.
 */
VHK_API int vhk_switch_add_tap(struct vhk_switch *s, int fd);

/**
 * vhk_switch_addresses() - how many addresses it remembers
 * @s: the switch. Its loop's thread
 *
 * Return: how many.
 */
VHK_API unsigned int vhk_switch_addresses(const struct vhk_switch *s);

/**
 * vhk_switch_tap_stats() - read the counters of a tap that is a port
 * @s:    the switch
 * @tap:  which, in the order of vhk_switch_add_tap(), from 0
 * @from: filled in with what came out of the tap
 * @to:   and with what went into it
 *
 * Any thread, while the switch exists. Return: 0; -EINVAL: there is no such tap.
 */
VHK_API int vhk_switch_tap_stats(const struct vhk_switch *s, unsigned int tap,
				 struct vhk_net_stats *from, struct vhk_net_stats *to);

/**
 * vhk_switch_free() - end a switch
 * @s: its cards are freed, its loop does not run; or NULL
 */
VHK_API void vhk_switch_free(struct vhk_switch *s);

#ifdef __cplusplus
}
#endif

#endif
