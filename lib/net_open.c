// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Taps, macvtaps and packet sockets of this host: how they are opened, and what they are told of
 * offloads.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "net_impl.h"
#include "net_open.h"

#define RCVBUF (4 << 20)

static bool good_name(const char *name)
{
	return name && *name && strlen(name) < IFNAMSIZ && !strchr(name, '/');
}

static void close_all(int *fds, unsigned int n)
{
	while (n--) {
		vhk_fd_close(fds[n]);
		fds[n] = -1;
	}
}

static int setup_tap(int fd, const char *name, unsigned int n)
{
	struct ifreq req = { 0 };

	memcpy(req.ifr_name, name, strlen(name));
	req.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (n > 1 ? IFF_MULTI_QUEUE : 0));
	if (!ioctl(fd, TUNSETIFF, &req))
		return 0;
	/* one that was made for many queues is opened so, with one of them, too */
	if (errno == EINVAL && n == 1) {
		req.ifr_flags |= IFF_MULTI_QUEUE;
		if (!ioctl(fd, TUNSETIFF, &req))
			return 0;
	}
	return -errno;
}

static int open_each(const char *path, const char *name, int *fds, unsigned int n)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n; i++) {
		fds[i] = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fds[i] < 0)
			ret = -errno;
		else
			ret = setup_tap(fds[i], name, n);
		if (ret) {
			close_all(fds, i + 1);
			return ret;
		}
	}
	return 0;
}

int vhk_net_open_tap(const char *name, int *fds, unsigned int n)
{
	if (!good_name(name) || !n || n > VHK_NET_PAIRS_MAX)
		return -EINVAL;
	return open_each("/dev/net/tun", name, fds, n);
}

int vhk_net_open_macvtap(const char *name, int *fds, unsigned int n)
{
	char path[32];
	unsigned int idx;

	if (!good_name(name) || !n || n > VHK_NET_PAIRS_MAX)
		return -EINVAL;
	idx = if_nametoindex(name);
	if (!idx)
		return -errno;
	snprintf(path, sizeof(path), "/dev/tap%u", idx);
	return open_each(path, name, fds, n);
}

static int setup_packet(int fd, int idx)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_ifindex = idx };
	const struct packet_mreq mreq = { .mr_ifindex = idx, .mr_type = PACKET_MR_PROMISC };
	const int one = 1, rcvbuf = RCVBUF;

	sll.sll_protocol = htons(ETH_P_ALL);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&sll, sizeof(sll)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)))
		return -errno;
	/* more is better, and may not be allowed */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	return 0;
}

int vhk_net_open_packet(const char *name, int *fd)
{
	unsigned int idx;
	int ret;

	*fd = -1;
	if (!good_name(name))
		return -EINVAL;
	idx = if_nametoindex(name);
	if (!idx)
		return -errno;
	/* protocol 0: nothing comes before it is bound */
	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	ret = setup_packet(*fd, (int)idx);
	if (ret)
		close_all(fd, 1);
	return ret;
}

static int set_nonblock(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/* Headers are those of virtio 1.3, whatever the driver's look like. */
int vhk_net_tap_init(int fd)
{
	const int len = sizeof(struct virtio_net_hdr_v1), le = 1;
	unsigned int flags = 0;
	struct ifreq req = { 0 };

	if (ioctl(fd, TUNGETIFF, &req))
		return -EINVAL;
	flags = (unsigned short)req.ifr_flags;
	if (!(flags & IFF_TAP) || !(flags & IFF_VNET_HDR) || !(flags & IFF_NO_PI))
		return -EINVAL;
	if (ioctl(fd, TUNSETVNETHDRSZ, &len) || ioctl(fd, TUNSETVNETLE, &le))
		return -errno;
	return set_nonblock(fd);
}

int vhk_net_packet_init(int fd)
{
	int domain, vnet;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_PACKET)
		return -EINVAL;
	len = sizeof(int);
	if (getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &vnet, &len) || !vnet)
		return -EINVAL;
	return set_nonblock(fd);
}

int vhk_net_tap_offload(int fd, uint64_t guest)
{
	static const struct {
		uint64_t feature;
		unsigned int flag;
	} map[] = {
		{ NET_F(GUEST_CSUM), TUN_F_CSUM },     { NET_F(GUEST_TSO4), TUN_F_TSO4 },
		{ NET_F(GUEST_TSO6), TUN_F_TSO6 },     { NET_F(GUEST_ECN), TUN_F_TSO_ECN },
		{ NET_F(GUEST_UFO), TUN_F_UFO },
	};
	unsigned int i, flags = 0;

	for (i = 0; i < vhk_array_size(map); i++)
		if (guest & map[i].feature)
			flags |= map[i].flag;
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) ? -errno : 0;
}

int vhk_net_tap_attach(int fd, bool on)
{
	struct ifreq req = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(fd, TUNSETQUEUE, &req) ? -errno : 0;
}

/*
 * A packet socket takes the tag out of a packet and tells of it beside: it is put back. @buf has
 * four bytes of room in front.
 */
static ssize_t put_tag(unsigned char **buf, ssize_t n, const struct tpacket_auxdata *aux)
{
	const uint16_t tpid = htons(aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid
									       : ETH_P_8021Q);
	const uint16_t tci = htons(aux->tp_vlan_tci);

	if (n < 2 * ETH_ALEN)
		return n;
	*buf -= 4;
	memmove(*buf, *buf + 4, 2 * ETH_ALEN);
	memcpy(*buf + 2 * ETH_ALEN, &tpid, 2);
	memcpy(*buf + 2 * ETH_ALEN + 2, &tci, 2);
	return n + 4;
}

ssize_t vhk_net_packet_read(int fd, struct virtio_net_hdr_v1 *hdr, unsigned char **buf,
			    size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = { { hdr, sizeof(struct virtio_net_hdr) }, { *buf, size } };
	struct msghdr m = { .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct tpacket_auxdata aux;
	struct cmsghdr *c;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	n -= (ssize_t)sizeof(struct virtio_net_hdr);
	if (n < 0 || m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	hdr->num_buffers = 0;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			continue;
		if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			hdr->csum_start = htole16((uint16_t)(le16toh(hdr->csum_start) + 4));
		if (hdr->gso_type)
			hdr->hdr_len = htole16((uint16_t)(le16toh(hdr->hdr_len) + 4));
		return put_tag(buf, n, &aux);
	}
	return n;
}
