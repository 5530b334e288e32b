/* SPDX-License-Identifier: Apache-2.0 */
/* packets.h — MQTT packets in a notation that can be read beside the specification.
 *
 * Place:   the tests of the MQTT codec.
 * Thread:  the test's.
 * Bounds:  PACKETS_KEPT packets are kept at a time; what was made before is freed.
 *
 * A body is written as hex digits, with blanks where one likes, and 'text' for itself:
 * "0004 'MQTT' 05 02 003c 00 0000". Each packet stands in memory of exactly its size, so that
 * AddressSanitizer sees a byte read beyond it.
 */
#pragma once

#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "tests/unit.h"

#define PACKETS_KEPT 64
#define PACKET_BYTES_MAX 4194304

extern const struct mqtt_dialect from_client_311;
extern const struct mqtt_dialect from_server_311;
extern const struct mqtt_dialect from_client_5;
extern const struct mqtt_dialect from_server_5;
extern const struct mqtt_dialect from_stranger; /* before CONNECT */

/* The bytes of a notation; with a fixed header of that first byte before them; a copy. */
struct span bytes_of(const char *notation);
struct span packet_of(uint8_t first, const char *body);
struct span bytes_copy(struct span bytes);

/* Any packet, taken apart, from bytes that are a whole one. */
enum error_code read_packet(struct span bytes, const struct mqtt_dialect *dialect,
                            struct mqtt_packet *ret_packet, struct mqtt_refusal *ret_refusal,
                            struct error *why);

/* It is decoded; its beginnings want more, or are refused; encoded it is decoded again to the same.
 * The result is valid until the next call. */
const struct mqtt_packet *decoded(const struct mqtt_dialect *dialect, uint8_t first,
                                  const char *body);

/* It is refused. */
struct mqtt_refusal refused(const struct mqtt_dialect *dialect, uint8_t first, const char *body);

#define EXPECT_REFUSED(dialect, first, body, expected_reason, expected_statement)                  \
    do {                                                                                           \
        struct mqtt_refusal packet_refusal = refused(&(dialect), first, body);                     \
        EXPECT_STRING(packet_refusal.statement, expected_statement);                               \
        EXPECT_EQ(packet_refusal.reason, expected_reason);                                         \
    } while (0)

/* What `encoded` wrote is this packet. */
#define EXPECT_BYTES(span, notation) expect_bytes(span, bytes_of(notation))
void expect_bytes(struct span actual, struct span expected);

/* A whole packet as bytes; valid until the next call. */
struct span encoded(const struct mqtt_dialect *dialect, const struct mqtt_packet *packet);
