// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a driver says to a network card: headers of packets, which are held against their length and
 * summed, and requests of the control queue. The input is a byte that picks which, then that. What
 * must hold: no sanitizer speaks; a header that is taken points nowhere but into its packet; a
 * request that is refused changes nothing that is read back.
 */
#include <stdlib.h>
#include <string.h>

#include "net_impl.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vhk_net *net;
static struct vhk_device *dev;

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_RXONLY, .num_pairs = 3 };

	(void)argc;
	(void)argv;
	must(!vhk_net_new(&dev, &o));
	net = vhk_device_priv(dev);
	return 0;
}

static void header(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr_v1 h;
	struct iovec seg[4];
	uint64_t host;
	uint32_t len, at, i;
	unsigned char *frame;

	if (size < sizeof(h) + 4)
		return;
	memcpy(&h, data, sizeof(h));
	host = (uint64_t)data[sizeof(h)] << VIRTIO_NET_F_HOST_TSO4 | (data[sizeof(h) + 1] & 1);
	data += sizeof(h) + 2;
	size -= sizeof(h) + 2;
	len = (uint32_t)size;
	if (!vhk_net_header_check(&h, len, host))
		return;
	must(!(h.flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) && !h.num_buffers);
	vhk_net_header_gso_fits(&h, host >> 4);
	if (!h.flags)
		return;
	must(le16toh(h.csum_start) + le16toh(h.csum_offset) + 2u <= len);
	/* in pieces of odd lengths, each an allocation of its own */
	frame = malloc(len);
	must(frame);
	memcpy(frame, data, len);
	for (i = at = 0; i < 4; i++) {
		seg[i].iov_len = i < 3 ? vhk_min((uint32_t)data[i] % 50, len - at) : len - at;
		seg[i].iov_base = malloc(seg[i].iov_len ? seg[i].iov_len : 1);
		must(seg[i].iov_base);
		memcpy(seg[i].iov_base, frame + at, seg[i].iov_len);
		at += (uint32_t)seg[i].iov_len;
	}
	vhk_net_header_sum(&h, len, seg, 4, 0);
	{
		const struct iovec one = { frame, len };

		vhk_net_header_sum(&h, len, &one, 1, 0);
	}
	for (i = at = 0; i < 4; i++) {
		must(!memcmp(seg[i].iov_base, frame + at, seg[i].iov_len));
		at += (uint32_t)seg[i].iov_len;
		free(seg[i].iov_base);
	}
	free(frame);
}

static void request(const uint8_t *data, size_t size)
{
	uint8_t before[64], after[64], head[18] = { 0 };
	uint8_t *copy = malloc(size ? size : 1);
	bool ok;

	must(copy);
	memcpy(copy, data, size);
	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	vhk_net_set_features(net, net->offered);
	vhk_net_get_config(net, 0, before, 12);
	ok = vhk_net_ctrl_request(net, copy, (uint32_t)size);
	vhk_net_get_config(net, 0, after, 12);
	must(ok || !memcmp(before, after, sizeof(before)));
	must(atomic_load(&net->active) >= 1 && atomic_load(&net->active) <= 3);
	if (size >= sizeof(head))
		memcpy(head, data, sizeof(head));
	vhk_net_filter_takes(&net->filter, head);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		header(data + 1, size - 1);
	else
		request(data + 1, size - 1);
	return 0;
}
