/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed message is raw DEFLATE (RFC 1951) that a sync flush has brought to a byte's end; the
 * flush writes an empty block, 00 00 ff ff, which the sender leaves out and the receiver puts back
 * (RFC 7692, 7.2.1 and 7.2.2). */
#include "protocols/websocket/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "broker/support/invariant.h"

#define LEVEL 6
#define MEMORY_LEVEL 5 /* hash chains for a window of 2^12: 32 KiB in all */
#define WINDOW_BITS_MAX 15
#define FLUSH_BYTES 4
#define EXPAND_STEP_BYTES 1024
#define AT_BLOCK_END 128 /* of z_stream.data_type: no block is open */

struct deflate {
    z_stream packer;
    z_stream expander;
};

enum error_code deflate_create(struct deflate **ret_codec) {
    struct deflate *codec = calloc(1, sizeof(*codec));
    if (codec == NULL) {
        return ERR_MEMORY;
    }
    /* Raw, without zlib's header: a negative window. */
    if (deflateInit2(&codec->packer, LEVEL, Z_DEFLATED, -DEFLATE_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK ||
        inflateInit2(&codec->expander, -WINDOW_BITS_MAX) != Z_OK) {
        deflate_destroy(codec);
        return ERR_MEMORY;
    }
    *ret_codec = codec;
    return OK;
}

void deflate_destroy(struct deflate *codec) {
    if (codec != NULL) {
        deflateEnd(&codec->packer); /* harmless where it was not begun */
        inflateEnd(&codec->expander);
        free(codec);
    }
}

enum error_code deflate_pack(struct deflate *codec, struct span plain, struct buffer *packed) {
    z_stream *packer = &codec->packer;
    INVARIANT(plain.length < UINT32_MAX - FLUSH_BYTES);
    size_t room = plain.length + FLUSH_BYTES;
    enum error_code code = buffer_reserve(packed, room);
    if (code != OK) {
        return code;
    }
    INVARIANT(deflateReset(packer) == Z_OK);
    packer->next_in = (Bytef *)(uintptr_t)plain.bytes;
    packer->avail_in = (uInt)plain.length;
    packer->next_out = packed->bytes + packed->length;
    packer->avail_out = (uInt)room;
    if (deflate(packer, Z_SYNC_FLUSH) != Z_OK || packer->avail_out == 0) {
        return ERR_FULL; /* all of it is out only where room was left */
    }
    size_t length = room - packer->avail_out;
    INVARIANT(length > FLUSH_BYTES);
    packed->length += length - FLUSH_BYTES;
    return OK;
}

/* --- expanding ------------------------------------------------------------------------------ */

/* Where the next bytes go: into the buffer, or once that is full into `beyond`, which must stay
 * empty. */
static enum error_code give_room(z_stream *expander, struct buffer *plain, uint8_t *beyond) {
    size_t left = plain->ceiling - plain->length;
    size_t step = plain->length > EXPAND_STEP_BYTES ? plain->length : EXPAND_STEP_BYTES;
    size_t room = left < step ? left : step;
    expander->next_out = beyond;
    expander->avail_out = 1;
    if (room == 0) {
        return OK;
    }
    enum error_code code = buffer_reserve(plain, room);
    if (code == OK) {
        expander->next_out = plain->bytes + plain->length;
        expander->avail_out = (uInt)room;
    }
    return code;
}

/* Expands all of the input; `ret_result` is what zlib said last. */
static enum error_code expand_input(z_stream *expander, struct span input, struct buffer *plain,
                                    int *ret_result, struct error *why) {
    INVARIANT(input.length <= UINT32_MAX);
    expander->next_in = (Bytef *)(uintptr_t)input.bytes;
    expander->avail_in = (uInt)input.length;
    do {
        uint8_t beyond;
        enum error_code code = give_room(expander, plain, &beyond);
        if (code != OK) {
            return code;
        }
        uInt room = expander->avail_out;
        bool is_full = plain->length == plain->ceiling;
        *ret_result = inflate(expander, Z_SYNC_FLUSH);
        if (is_full && expander->avail_out == 0) {
            return error_set(why, ERR_TOO_LARGE, "A message of more than %zu bytes, expanded",
                             plain->ceiling);
        }
        plain->length += is_full ? 0 : room - expander->avail_out;
        if (*ret_result == Z_STREAM_END) { /* a last block, behind which others may follow */
            INVARIANT(inflateReset(expander) == Z_OK);
        } else if (*ret_result == Z_MEM_ERROR) {
            return ERR_MEMORY;
        } else if (*ret_result != Z_OK && *ret_result != Z_BUF_ERROR) {
            return error_set(why, ERR_BAD_UTF8, "A message that is no compressed data");
        }
    } while (expander->avail_in > 0 || expander->avail_out == 0);
    return OK;
}

static enum error_code expand(z_stream *expander, struct span packed, struct buffer *plain,
                              struct error *why) {
    int result = Z_OK;
    enum error_code code = expand_input(expander, packed, plain, &result, why);
    if (code != OK || result == Z_STREAM_END) {
        return code;
    }
    code = expand_input(expander, SPAN("\0\0\xFF\xFF"), plain, &result, why);
    if (code == OK && (expander->data_type & AT_BLOCK_END) == 0) {
        return error_set(why, ERR_BAD_UTF8, "A compressed message that breaks off");
    }
    return code;
}

enum error_code deflate_expand(struct deflate *codec, struct span packed, struct buffer *plain,
                               struct error *why) {
    size_t length_before = plain->length;
    INVARIANT(inflateReset(&codec->expander) == Z_OK);
    enum error_code code = expand(&codec->expander, packed, plain, why);
    if (code != OK) {
        plain->length = length_before;
    }
    return code;
}
