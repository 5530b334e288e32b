/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — every bound that is not a configuration row, with its unit and its reason.
 *
 * Place:   read by everyone above support.
 * Thread:  constants.
 * Bounds:  these.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

/* --- names and messages --- */
#define CHANNEL_NAME_BYTES_MAX 480     /* fits LMDB's key of 511 bytes with a tenant beside it */
#define PATTERN_SEGMENTS_MAX 128       /* a trie of patterns is this deep */
#define MESSAGE_BYTES_CEILING 16777216 /* payload; message_bytes_max cannot be set higher */
#define MESSAGE_BYTES_DEFAULT 1048576
#define EVENT_BYTES_MAX 255
#define KEY_BYTES_MAX 255
#define MESSAGE_HEADERS_BYTES_MAX 16384 /* all headers of one message, names and values */
#define MESSAGE_HEADERS_MAX 100         /* as many as an HTTP request has; each is compared */
#define IDEMPOTENCY_KEY_BYTES_MAX 255
#define IDEMPOTENCY_AGE_MS 600000       /* of log time: a repeat within it stores nothing */
#define IDEMPOTENCY_KEYS_MAX 1000000    /* above it the oldest are forgotten; 184 bytes each */
#define IDEMPOTENCY_BYTES_MAX 268435456 /* of keys in memory: batches to many channels take more */
#define PUBLISH_MESSAGES_MAX 10000      /* of one publish: all or none */
#define PUBLISH_BYTES_MAX 16777216      /* its body */
#define PUBLISH_MEMORY_BYTES_MAX 33554432 /* its messages with all their fields */
#define SELECTORS_MAX 1000                /* channels and patterns of one reader */
#define SUBSCRIPTIONS_MAX 1000            /* readers of one socket */
#define MEDIA_TYPE_BYTES_MAX 255
#define ID_TEXT_BYTES_MAX 80 /* an id as text */
#define SINCE_TEXT_BYTES_MAX 128

/* --- HTTP --- */
#define HTTP_HEAD_BYTES_MAX 16384     /* request line and headers: 431 above */
#define HTTP_TARGET_BYTES_MAX 8192    /* 414 above */
#define HTTP_HEADERS_MAX 100          /* fields of one request: 431 above */
#define HTTP_CHUNK_LINE_BYTES_MAX 256 /* a chunk's size with its extensions */
#define PAGE_MESSAGES_MAX 1000        /* `limit` at most */
#define PAGE_MESSAGES_DEFAULT 50
#define PAGE_BYTES_MAX 4194304 /* payloads of a page; one larger message passes alone */
#define TTL_S_MAX 3153600000   /* 100 years: the sum with any time fits 64 bits */
#define WAIT_MS_MAX 60000      /* long poll */

/* --- WebSocket --- */
#define WEBSOCKET_CONTROL_BYTES_MAX 125     /* RFC 6455, section 5.5 */
#define WEBSOCKET_COMMAND_GROWTH 2          /* a payload as base64, or with some escapes */
#define WEBSOCKET_COMMAND_BYTES_EXTRA 65536 /* what a command may add to the payload it carries */

/* --- MQTT --- */
#define CLIENT_ID_BYTES_MAX 256        /* 0x85 above; the specification asks for 23 */
#define SYS_INTERVAL_MS 10000          /* between two tellings of $SYS, as other brokers do it */
#define MQTT_USER_PROPERTIES_MAX 100   /* of one packet: as many as a message has headers */
#define MQTT_CONNECT_BYTES_MAX 196608  /* a will and a password of 64 KiB, and some properties */
#define SESSION_STEPS_BYTES_MAX 65536  /* then a snapshot is due: before an id can come round */
#define SESSION_SNAPSHOT_MS 1000       /* acknowledgements that a killed broker may ask for again */
#define SESSION_RETRY_MS 64            /* where the log was busy */
#define MQTT_PACKET_BYTES_EXTRA 262144 /* topic and properties beside the largest payload */
#define MQTT_PUBLICATIONS_MAX 256      /* of one client, under way to the log or the disk */
#define MQTT_PUBLICATIONS_BYTES_MAX 1048576 /* of these; one larger passes alone */
#define MQTT_PUBLICATIONS_LAST_MAX 16384 /* when it is gone: of one read, nearly all it can hold */
#define MQTT_PROGRESS_BYTES 4096         /* of a packet, in BODY_TIMEOUT_MS */
#define SESSION_STATE_BYTES_MAX 917504   /* with a will it fits an object of 1 MiB */
#define SESSIONS_BYTES_MAX                                                                         \
    1073741824                     /* of states and wills that are away: no new session above it */
#define SESSION_BYTES_ALWAYS 1024  /* a state no larger is kept however many there are */
#define SESSIONS_A_TURN 1024       /* ended in one turn of the log thread: about a millisecond */
#define SESSIONS_BEAT_MS 64        /* what is due is at most so late */
#define ERRANDS_BYTES_MAX 67108864 /* of what could not be stored and is tried again */

/* --- groups --- */
#define GROUPS_MAX 65536        /* of a worker: about 2 KiB each while somebody is there */
#define GROUP_MEMBERS_MAX 10000 /* at a time: each is a connection */
#define GROUP_KEPT_MAX 2000     /* names that may come back: with a group's leases one object */
#define GROUP_LEASES_MAX 16384  /* a hundred members with over a hundred each; 2 MiB a group */
#define GROUP_KEY_BYTES_MAX 480 /* its name and its filter: the name of a stored object */
#define FORGETTINGS_MAX 16384   /* letters of ends of sessions on their way; 300 bytes each */
#define GROUP_STORE_INTERVAL_MS 1000 /* what was done with since may come again after a kill */

/* --- delivery --- */
#define TAIL_BYTES_MAX 1048576        /* newest messages of one feed, on one worker */
#define TAILS_BYTES_MAX 67108864      /* of all feeds of a worker */
#define FRAMES_BYTES_MAX 1048576      /* encoded frames that the readers of a feed share */
#define FRAMES_ALL_BYTES_MAX 67108864 /* of all feeds of a worker; above it each reader's own */
#define FRAMES_BYTES_KEPT 1024        /* of a feed without anything to send */
#define FRAME_BYTES_MAX 104857600     /* one frame: text of control characters grows sixfold */
#define CATCH_UP_PAGE_BYTES_MAX 65536 /* one read for a reader that is behind */
#define CATCH_UP_PAGE_MESSAGES_MAX 1024
#define WRITE_BYTES_MAX 65536 /* frames gathered for one write: a TLS flush, one copy */
#define FAN_OUT_SLICE_US 2000 /* after this a worker looks at its sockets again */
#define WINDOW_FRAMES_MAX 512 /* prepared at once for a peer that acknowledges: one write of them */
#define WINDOW_LAG_BYTES                                                                           \
    262144                    /* wait for a window that is shut before its reader lags: as much
                                 * as a socket takes unsent by default */
#define WINDOW_SHARES_ROOM 64 /* a window with less room asks for pages that just fill it */

/* --- time --- */
#define HANDSHAKE_TIMEOUT_MS 10000  /* from accept to a whole request head */
#define BODY_TIMEOUT_MS 30000       /* a body that stops moving */
#define KEEP_ALIVE_TIMEOUT_MS 75000 /* between two requests of one connection */
#define HEARTBEAT_MS 15000          /* SSE: under the 30 s or 60 s of common proxies */
#define PING_INTERVAL_MS 25000      /* WebSocket */
#define PONG_TIMEOUT_MS 10000       /* counted from when the ping left */
#define CLOSE_TIMEOUT_MS 2000       /* a peer that was told to go */
#define DRAIN_TIMEOUT_MS 1500       /* SIGTERM to the end: under 2 s */
#define TICK_INTERVAL_MS 1000       /* of a silent log that still has something to expire */
#define FOLD_INTERVAL_MS 200

/* --- threads --- */
#define MAILBOX_NODES_MAX 65536              /* waiting for one thread */
#define PUBLISHES_WAITING_BYTES_MAX 67108864 /* for the log thread; above it publishers are told */
#define COMMIT_MESSAGES_MAX 4096             /* ordered and written at once */
#define COMMIT_BYTES_MAX 8388608
#define COMMITS_WAITING_BYTES_MAX 16777216  /* for one worker; above it its readers read the log */
#define COMMITS_AWAITING_BYTES_MAX 33554432 /* for the disk; above it publishes wait */
#define CHANNELS_MAX 4194304                /* known to the log thread, about 200 bytes each */
#define PAGES_BYTES_MAX 134217728           /* read and not yet let go, of all workers together */
#define READ_THREADS 2                      /* a disk read never stops a worker */
#define BODIES_BYTES_MAX 67108864           /* request bodies in memory, a worker */

/* --- metrics --- */
#define METRICS_MATCHES_MAX 64  /* patterns of rules that ask for series of their own */
#define CENSUS_INTERVAL_MS 5000 /* each reader's lag is looked at so often: a usual scrape */
#define CENSUS_STEPS_MAX 256    /* readers (or 8 selectors of one) looked at in a tick: 25 us */

/* --- disk --- */
#define EXIT_DISK_FAILED 3   /* status of a process that only a new one can take over from */
#define DISK_SLOW_US 1000000 /* a step above it is logged: 200 times what a synced commit takes */
#define JOURNAL_FILE_BYTES 67108864
#define OPEN_BATCH_BYTES_MAX 67108864
#define FOLD_BYTES 8388608
#define SEGMENT_MESSAGES 500000 /* dropping one was measured at 1.4 to 8.6 ms */
#define SEGMENT_BYTES 268435456

static_assert(WRITE_BYTES_MAX >= CATCH_UP_PAGE_BYTES_MAX, "a page of small messages is one write");
static_assert(TAIL_BYTES_MAX <= TAILS_BYTES_MAX, "a feed is a part of its worker");
static_assert(WINDOW_LAG_BYTES < TAIL_BYTES_MAX, "a tail shows that a reader lags");
static_assert(MESSAGE_BYTES_DEFAULT <= MESSAGE_BYTES_CEILING, "the default is a legal setting");
static_assert(FRAME_BYTES_MAX > (MESSAGE_BYTES_CEILING + MESSAGE_HEADERS_BYTES_MAX) * 6,
              "each message can be framed");
static_assert(MQTT_USER_PROPERTIES_MAX >= MESSAGE_HEADERS_MAX, "each header can be sent");
static_assert(PUBLISH_MEMORY_BYTES_MAX < PUBLISHES_WAITING_BYTES_MAX, "a publish can be taken");
static_assert(METRICS_MATCHES_MAX < UINT8_MAX, "a message carries its series in a byte");
static_assert(FOLD_BYTES < OPEN_BATCH_BYTES_MAX, "a fold is due before publishers wait");
static_assert(COMMIT_BYTES_MAX + PUBLISH_MEMORY_BYTES_MAX <= OPEN_BATCH_BYTES_MAX,
              "the open batch has room for a commit");
