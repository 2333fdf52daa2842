// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a device asks of the front end over the back-end channel: host notifiers, shared objects,
 * pieces of shared memory; granted, refused, and taken back when the device's end is gone.
 */
#include "t_both.h"
#include "t_types.h"

#define ALSO                                                                                       \
	(VHK_PF_SHARED_OBJECT | VHK_PF_SHMEM | VHK_PF_BACKEND_SEND_FD | VHK_PF_HOST_NOTIFIER)

#define FILE_SIZE 0x10000u

/* What the front end was asked; refuses all while @refuse. */
static struct front {
	bool refuse;
	unsigned int n_notifiers, n_objects, n_maps;
	unsigned int queue;
	uint64_t offset, size;
	bool fd_ok;
	struct vhk_uuid id;
	struct vhk_shmem_map map;
} front;

static void close_seen(int fd)
{
	front.fd_ok = fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC;
	if (fd >= 0)
		close(fd);
}

static int on_notifier(void *arg, unsigned int idx, int fd, uint64_t offset, uint64_t size)
{
	(void)arg;
	front.queue = idx;
	front.offset = offset;
	front.size = size;
	front.n_notifiers += fd >= 0 ? 1 : -1u;
	close_seen(fd);
	return front.refuse ? -EPERM : 0;
}

static int on_add(void *arg, const struct vhk_uuid *id)
{
	(void)arg;
	if (front.refuse)
		return -EPERM;
	front.id = *id;
	front.n_objects++;
	return 0;
}

static void on_remove(void *arg, const struct vhk_uuid *id)
{
	(void)arg;
	front.id = *id;
	front.n_objects--;
}

static int on_lookup(void *arg, const struct vhk_uuid *id, int *fd)
{
	(void)arg;
	front.id = *id;
	if (front.refuse)
		return -ENOENT;
	*fd = memfd_create("found", MFD_CLOEXEC);
	return 0;
}

static int on_map(void *arg, const struct vhk_shmem_map *m, int fd)
{
	(void)arg;
	close_seen(fd);
	if (front.refuse)
		return -ENOMEM;
	front.map = *m;
	front.n_maps++;
	return 0;
}

static void on_unmap(void *arg, const struct vhk_shmem_map *m)
{
	(void)arg;
	front.map = *m;
	front.n_maps--;
}

static const struct vhk_ctl_back all = {
	.sz = sizeof(all),
	.host_notifier = on_notifier,
	.object_add = on_add,
	.object_remove = on_remove,
	.object_lookup = on_lookup,
	.shmem_map = on_map,
	.shmem_unmap = on_unmap,
};
static const struct vhk_ctl_back none = { .sz = sizeof(none) };

struct fixture {
	struct t_both both;
	struct t_types types;
	struct vhk_mem *mem;
	int file;
};

static void fixture_init(struct fixture *f, const struct vhk_ctl_back *back, uint64_t also)
{
	struct vhk_ctl_shmem s;

	memset(&front, 0, sizeof(front));
	f->file = memfd_create("file", MFD_CLOEXEC);
	T_MUST(f->file >= 0 && !ftruncate(f->file, FILE_SIZE));
	t_types_init(&f->types);
	t_both_open(&f->both, f->types.dev, NULL,
		    (struct vhk_ctl_opts){ .also = also, .back = back });
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_ctl_setup(f->both.ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, f->mem));
	if (also & VHK_PF_SHMEM)
		T_MUST(!vhk_ctl_get_shmem_config(f->both.ctl, &s));
}

static void fixture_fini(struct fixture *f)
{
	t_both_close(&f->both);
	t_types_fini(&f->types);
	vhk_mem_free(f->mem);
	close(f->file);
	/* what was granted was taken back */
	T_EQ(front.n_objects, 0);
	T_EQ(front.n_maps, 0);
}

enum what { NOTIFIER, NOTIFIER_BACK, ADD, REMOVE, LOOKUP, MAP, UNMAP };

/* One question, asked in the back end's thread. */
struct question {
	struct fixture *f;
	enum what what;
	unsigned int queue;
	struct vhk_uuid id;
	struct vhk_shmem_map map;
	int sent, ret, fd;
	int done;
};

static void answered(void *arg, int ret, int fd)
{
	struct question *q = arg;

	q->ret = ret;
	q->fd = fd;
	__atomic_store_n(&q->done, 1, __ATOMIC_RELEASE);
}

static void ask(void *arg)
{
	struct question *q = arg;
	struct vhk_device *d = q->f->types.dev;
	int file = q->f->file;

	switch (q->what) {
	case NOTIFIER:
		q->sent = vhk_device_lend_notifier(d, q->queue, file, 8192, 4096, answered, q);
		break;
	case NOTIFIER_BACK:
		q->sent = vhk_device_lend_notifier(d, q->queue, -1, 0, 0, answered, q);
		break;
	case ADD:
		q->sent = vhk_device_add_object(d, &q->id, answered, q);
		break;
	case REMOVE:
		q->sent = vhk_device_remove_object(d, &q->id, answered, q);
		break;
	case LOOKUP:
		q->sent = vhk_device_lookup_object(d, &q->id, answered, q);
		break;
	case MAP:
		q->sent = vhk_device_map_shmem(d, &q->map, file, answered, q);
		break;
	case UNMAP:
		q->sent = vhk_device_unmap_shmem(d, &q->map, answered, q);
		break;
	}
}

/* What the question came to: not sent, or what the front end said. */
static int put(struct question *q)
{
	q->fd = -1;
	q->done = 0;
	t_both_call(&q->f->both, ask, q);
	if (q->sent)
		return q->sent;
	T_MUST(t_both_serve(&q->f->both, &q->done));
	return q->ret;
}

static void host_notifiers(void)
{
	struct question q = { .what = NOTIFIER, .queue = 1 };
	struct fixture f;

	fixture_init(&f, &all, ALSO);
	q.f = &f;
	T_EQ(put(&q), 0);
	T_EQ(front.queue, 1);
	T_EQ(front.offset, 8192);
	T_EQ(front.size, 4096);
	T_OK(front.fd_ok);
	q.what = NOTIFIER_BACK;
	T_EQ(put(&q), 0);
	T_EQ(front.n_notifiers, 0);
	q.queue = T_TYPES_QUEUES;
	T_EQ(put(&q), -EINVAL);
	q.what = NOTIFIER;
	q.queue = 0;
	front.refuse = true;
	T_EQ(put(&q), -EREMOTEIO);
	front.n_notifiers = 0;
	fixture_fini(&f);
}

static void objects(void)
{
	struct question q = { .what = ADD, .id = { { 1, 2, 3 } } };
	struct fixture f;

	fixture_init(&f, &all, ALSO);
	q.f = &f;
	T_EQ(put(&q), 0);
	T_EQ(front.n_objects, 1);
	T_OK(!memcmp(&front.id, &q.id, sizeof(q.id)));
	/* there already */
	T_EQ(put(&q), -EREMOTEIO);
	q.what = LOOKUP;
	T_EQ(put(&q), 0);
	T_OK(q.fd >= 0 && fcntl(q.fd, F_GETFD) == FD_CLOEXEC);
	close(q.fd);
	front.refuse = true;
	T_EQ(put(&q), -EREMOTEIO);
	T_EQ(q.fd, -1);
	q.what = ADD;
	q.id.bytes[0] = 2;
	T_EQ(put(&q), -EREMOTEIO);
	front.refuse = false;
	/* of another owner, for all that this one knows */
	q.what = REMOVE;
	T_EQ(put(&q), -EREMOTEIO);
	q.id.bytes[0] = 1;
	T_EQ(put(&q), 0);
	T_EQ(front.n_objects, 0);
	T_EQ(put(&q), -EREMOTEIO);
	memset(&q.id, 0, sizeof(q.id));
	q.what = ADD;
	T_EQ(put(&q), -EINVAL);
	q.id.bytes[0] = 3;
	T_EQ(put(&q), 0);
	fixture_fini(&f);
}

static const struct {
	struct vhk_shmem_map m;
	int want;
} maps[] = {
	{ { 1, VHK_SHMEM_F_WRITE, 0x3000, 0, 0x1000 }, 0 },
	{ { 1, 0, 0, 0x2000, 0xe000 }, 0 },
	{ { 200, 0, 0, 0, 0x1000 }, 0 },
	{ { 1, 0, 0, 0, 0x1000 }, -EREMOTEIO },	     /* there is one */
	{ { 1, 0, 0, 0x1000, 0x2000 }, -EREMOTEIO }, /* reaches into one */
	{ { 1, 0, 0, 0x1000, 0x10000 }, -EREMOTEIO },
	{ { 1, 0, 0, 0x10000, 0x1000 }, -EREMOTEIO },
	{ { 200, 0, 0, 0, 0x2000 }, -EREMOTEIO },
	{ { 0, 0, 0, 0, 0x1000 }, -EREMOTEIO }, /* no such region */
	{ { 1, 0, 0, 0x1000, 0x800 }, -EREMOTEIO },
	{ { 1, 0, 0, 0x1800, 0x800 }, -EREMOTEIO },
	{ { 1, 0, 0, 0x1000, 0 }, -EINVAL },
	{ { 1, 2, 0, 0x1000, 0x1000 }, -EINVAL },
	{ { 1, 0, UINT64_MAX, 0x1000, 0x1000 }, -EINVAL },
	{ { 1, 0, 0, UINT64_MAX - 0xfff, 0x2000 }, -EINVAL },
	{ { 1, 0, FILE_SIZE, 0x1000, 0x1000 }, -EREMOTEIO }, /* behind the file's end */
	{ { 1, 0, FILE_SIZE - 0x1000, 0x1000, 0x2000 }, -EREMOTEIO },
	{ { 1, 0, 1ull << 62, 0x1000, 0x1000 }, -EREMOTEIO },
	{ { 1, 0, 0, 0x1000, 0x1000 }, 0 }, /* the gap */
};

static bool same(const struct vhk_shmem_map *a, const struct vhk_shmem_map *b)
{
	return a->id == b->id && a->flags == b->flags && a->fd_offset == b->fd_offset &&
	       a->offset == b->offset && a->len == b->len;
}

static void pieces_of_shared_memory(void)
{
	struct question q = { .what = MAP };
	struct fixture f;
	size_t i;

	fixture_init(&f, &all, ALSO);
	q.f = &f;
	for (i = 0; i < vhk_array_size(maps); i++) {
		q.map = maps[i].m;
		T_EQ(put(&q), maps[i].want);
		if (!maps[i].want)
			T_OK(front.fd_ok && same(&front.map, &q.map));
	}
	T_EQ(front.n_maps, 4);
	/* whole pieces only */
	q.what = UNMAP;
	q.map = (struct vhk_shmem_map){ 1, 0, 0, 0x2000, 0x1000 };
	T_EQ(put(&q), -EREMOTEIO);
	q.map = (struct vhk_shmem_map){ 1, 0, 0, 0x2000, 0xe000 };
	T_EQ(put(&q), 0);
	T_EQ(put(&q), -EREMOTEIO);
	T_EQ(front.n_maps, 3);
	/* a reset takes them all */
	T_EQ(vhk_ctl_reset_device(f.both.ctl), 0);
	T_EQ(front.n_maps, 0);
	q.what = MAP;
	T_EQ(put(&q), 0);
	front.refuse = true;
	q.map.id = 200;
	q.map.offset = 0;
	q.map.len = 4096;
	T_EQ(put(&q), -EREMOTEIO);
	T_EQ(front.n_maps, 1);
	fixture_fini(&f);
}

static void nobody_serves(void)
{
	static const enum what kinds[] = { NOTIFIER, ADD, REMOVE, LOOKUP, MAP, UNMAP };
	struct question q = { .id = { { 7 } }, .map = maps[0].m };
	struct fixture f;
	size_t i;

	fixture_init(&f, &none, ALSO);
	q.f = &f;
	for (i = 0; i < vhk_array_size(kinds); i++) {
		q.what = kinds[i];
		T_EQ(put(&q), -EREMOTEIO);
	}
	fixture_fini(&f);
	/* nothing negotiated: nothing is sent */
	fixture_init(&f, &all, 0);
	for (i = 0; i < vhk_array_size(kinds); i++) {
		q.what = kinds[i];
		T_EQ(put(&q), -EOPNOTSUPP);
	}
	fixture_fini(&f);
}

/* A question without answer hears that the channel is gone. */
static void the_front_end_goes(void)
{
	struct question q = { .what = LOOKUP, .id = { { 7 } } };
	uint64_t end = t_now_ns() + 10 * T_SECOND;
	struct fixture f;

	fixture_init(&f, &all, ALSO);
	q.f = &f;
	t_both_call(&f.both, ask, &q);
	T_EQ(q.sent, 0);
	vhk_ctl_close(f.both.ctl);
	f.both.ctl = NULL;
	while (!__atomic_load_n(&q.done, __ATOMIC_ACQUIRE) && t_now_ns() < end)
		poll(NULL, 0, 1);
	T_EQ(q.done, 1);
	T_EQ(q.ret, -ENOTCONN);
	q.done = 0;
	t_both_call(&f.both, ask, &q);
	T_EQ(q.sent, -ENOTCONN);
	fixture_fini(&f);
}

int main(void)
{
	T_RUN(host_notifiers);
	T_RUN(objects);
	T_RUN(pieces_of_shared_memory);
	T_RUN(nobody_serves);
	T_RUN(the_front_end_goes);
	return t_end();
}
