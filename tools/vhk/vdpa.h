/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhk vdpa, in pieces: the grammar, what it prints, and what is done to the bus.
 */
#ifndef VHK_TOOL_VDPA_H
#define VHK_TOOL_VDPA_H

#include <vhostkit/vdpa.h>

#include "say.h"

#define VDPA_ID_NET 1
#define VDPA_ID_BLOCK 2

/* Options, which may stand anywhere. */
struct vdpa_cli {
	bool json, pretty, numeric, force;
	uint32_t timeout_ms;
	struct vhk_vdpa *v; /* once it was needed */
	char line[256];	    /* what the library said last */
};

/* 0, or an exit code after saying why not. */
int vdpa_connect(struct vdpa_cli *c);
/* "vhk: WHAT: " and what the kernel said; EXIT_FAILED. */
int vdpa_failed(const struct vdpa_cli *c, const char *what);

/* @word is a beginning of @of, as iproute2 abbreviates. */
bool vdpa_is(const char *word, const char *of);

/* Words of dev add and dev set. 0, or an exit code after saying what is wrong. */
struct vdpa_words {
	const char *name, *mgmtdev;
	struct vhk_vdpa_params params;
};
int vdpa_parse_add(struct vdpa_words *w, int argc, char **argv);
int vdpa_parse_set(struct vdpa_words *w, int argc, char **argv);
bool vdpa_parse_mac(const char *text, uint8_t mac[6]);

/* Each shows what argv names, or everything; argv is behind the command's word. */
int vdpa_mgmtdev_show(struct vdpa_cli *c, int argc, char **argv);
int vdpa_dev_show(struct vdpa_cli *c, int argc, char **argv);
int vdpa_config_show(struct vdpa_cli *c, int argc, char **argv);
int vdpa_vstats_show(struct vdpa_cli *c, int argc, char **argv);

/* The bus driver that a word means; NULL: none. */
const char *vdpa_driver(const char *word);
/* Gives a device to a driver, and loads that. 0, or an exit code after saying why not. */
int vdpa_give(const char *name, const char *driver, uint32_t flags);
/* Makes a device and gives it to @driver, or to whoever takes it. The same. */
int vdpa_make(struct vdpa_cli *c, const struct vdpa_words *w, const char *driver);
/* 0: nobody has its node open; otherwise an exit code after saying who. */
int vdpa_check_closed(const char *name);

int vdpa_dev_del(struct vdpa_cli *c, int argc, char **argv);
int vdpa_bind(struct vdpa_cli *c, int argc, char **argv);
int vdpa_unbind(struct vdpa_cli *c, int argc, char **argv);
int vdpa_monitor(struct vdpa_cli *c, int argc, char **argv);

/*
 * What is printed: the same items as text and as JSON. iproute2 puts the space between two items
 * before the later one for devices, and behind each for the rest.
 */
struct vdpa_out {
	struct json j;
	bool json, numeric, space_behind, some;
};

void vdpa_out_begin(struct vdpa_out *o, const struct vdpa_cli *c, const char *section);
void vdpa_out_end(struct vdpa_out *o);
void vdpa_out_open(struct vdpa_out *o, const char *name, bool space_behind);
void vdpa_out_close(struct vdpa_out *o);
void vdpa_out_text(struct vdpa_out *o, const char *key, const char *v);
void vdpa_out_u64(struct vdpa_out *o, const char *key, uint64_t v);
void vdpa_out_bool(struct vdpa_out *o, const char *key, bool v);
/* A line of its own, with the bits that @name() knows by name, the others by number. */
void vdpa_out_bits(struct vdpa_out *o, const char *key, uint64_t bits,
		   const char *(*name)(uint32_t id, unsigned int bit), uint32_t id);
/* What became of the device, where it is, and who has it open. */
void vdpa_out_place(struct vdpa_out *o, const char *name);

/* Names of feature bits as iproute2 knows them, for network devices; and all there are. */
const char *vdpa_iproute2_name(uint32_t id, unsigned int bit);
const char *vdpa_feature_name(uint32_t id, unsigned int bit);
const char *vdpa_class_name(uint32_t id, unsigned int bit);

#endif
