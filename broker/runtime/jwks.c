/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/jwks.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* One URL. It is gone when no row has it and no fetch is under way. */
struct source {
    struct list in_jwks;
    struct jwks *jwks;
    struct call call;
    bool is_followed;
    bool is_under_way;
    bool is_wanted; /* before it is due, because a key is missing */
    struct keyring *keyring;
    uint64_t began_ms;  /* the last fetch, monotonic … */
    uint64_t wanted_ms; /* … and the last that was wanted; 0: none yet */
    uint64_t due_ms;    /* the next one by itself */
    uint64_t fetched_wall_ms;
    uint64_t failures; /* since it went well */
    struct list wishes;
    char *ca; /* behind the URL; NULL: whom the system believes */
    char url[];
};

struct jwks {
    pthread_mutex_t lock; /* of the sources and all that is in them, but for the call */
    struct list sources;
    size_t wish_count;
    struct courier *courier;
    struct courier_guest guest;
    struct metrics_shard *metrics;
};

/* --- sources, with the lock ------------------------------------------------------------------ */

static bool is_same(const char *left, const char *right) {
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static struct source *find(struct jwks *jwks, const char *url, const char *ca) {
    LIST_EACH(&jwks->sources, node) {
        struct source *source = CONTAINER_OF(node, struct source, in_jwks);
        if (is_same(source->url, url) && is_same(source->ca, ca)) {
            return source;
        }
    }
    return NULL;
}

static void on_wish_delivered(struct letter *letter, void *consumer) {
    struct jwks_wish *wish = CONTAINER_OF(letter, struct jwks_wish, letter);
    (void)consumer;
    wish->on_fetched(wish);
}

static void answer_wishes(struct source *source) {
    LIST_EACH(&source->wishes, node) {
        struct jwks_wish *wish = CONTAINER_OF(node, struct jwks_wish, in_jwks);
        list_remove(node);
        source->jwks->wish_count--;
        wish->letter.on_delivered = on_wish_delivered;
        mailbox_put_answer(wish->reply_to, &wish->letter);
    }
}

static void drop(struct source *source) {
    answer_wishes(source);
    list_remove(&source->in_jwks);
    keyring_unref(source->keyring);
    free(source);
}

static struct source *add(struct jwks *jwks, const char *url, const char *ca) {
    size_t length = strlen(url) + 1;
    size_t ca_length = ca == NULL ? 0 : strlen(ca) + 1;
    struct source *source = calloc(1, sizeof(*source) + length + ca_length);
    if (source != NULL) {
        memcpy(source->url, url, length);
        if (ca != NULL) {
            source->ca = memcpy(source->url + length, ca, ca_length);
        }
        source->jwks = jwks;
        list_init(&source->wishes);
        list_put_tail(&jwks->sources, &source->in_jwks);
    }
    return source;
}

/* The least time between two fetches that are wanted, and after one that failed. */
static uint64_t interval_of(const struct source *source) {
    return source->keyring == NULL ? JWKS_RETRY_MS : JWKS_INTERVAL_MS;
}

/* The first that is wanted waits for nothing: keys may have changed since the start. */
static bool may_begin(const struct source *source, uint64_t now_ms) {
    return source->wanted_ms == 0 || now_ms >= source->wanted_ms + interval_of(source);
}

/* 0 where a source has none: then age is no measure. */
static void count_oldest(struct jwks *jwks) {
    uint64_t oldest_ms = UINT64_MAX;
    LIST_EACH(&jwks->sources, node) {
        const struct source *source = CONTAINER_OF(node, struct source, in_jwks);
        oldest_ms = source->fetched_wall_ms < oldest_ms ? source->fetched_wall_ms : oldest_ms;
    }
    metrics_set(jwks->metrics, METRIC_JWKS_OLDEST, oldest_ms == UINT64_MAX ? 0 : oldest_ms);
}

/* --- fetching, on the courier's thread ------------------------------------------------------- */

static void fail(struct source *source, enum error_code code, const char *detail) {
    source->failures++;
    source->due_ms = source->began_ms + interval_of(source);
    metrics_add_at(source->jwks->metrics, METRIC_JWKS_FETCHES, code, 1);
    log_event(JWKS_FAILED, .url = source->url, .status = source->call.status,
              .code = error_row(code)->slug, .detail = detail, .failures = source->failures,
              .keys = source->keyring == NULL ? 0 : keyring_count(source->keyring));
}

static void adopt(struct source *source, struct keyring *keyring) {
    uint64_t age_ms = source->call.max_age_s == 0 ? JWKS_REFRESH_MS
                      : source->call.max_age_s > JWKS_REFRESH_MS_MAX / 1000
                          ? JWKS_REFRESH_MS_MAX
                          : source->call.max_age_s * 1000;
    age_ms = age_ms < JWKS_INTERVAL_MS ? JWKS_INTERVAL_MS : age_ms;
    bool is_news = source->keyring == NULL || source->failures > 0 ||
                   keyring_count(source->keyring) != keyring_count(keyring);
    if (is_news) {
        log_event(JWKS_FETCHED, .url = source->url, .keys = keyring_count(keyring),
                  .failures = source->failures);
    }
    keyring_unref(source->keyring);
    source->keyring = keyring;
    source->failures = 0;
    source->fetched_wall_ms = clock_wall_ms();
    source->due_ms = source->began_ms + age_ms;
    metrics_add_at(source->jwks->metrics, METRIC_JWKS_FETCHES, OK, 1);
}

static void on_fetched(struct call *call) {
    struct source *source = call->context;
    struct jwks *jwks = source->jwks;
    struct keyring *keyring = NULL;
    struct error why = call->why;
    enum error_code code = call->result;
    if (code == OK && call->status != 200) {
        code = error_set(&why, ERR_IO, "the answer's status is %u", call->status);
    }
    if (code == OK) {
        code = keyring_create(buffer_borrow(&call->answer), true, &keyring, &why);
    }
    pthread_mutex_lock(&jwks->lock);
    if (code == OK) {
        adopt(source, keyring);
    } else if (code != ERR_DRAINING) {
        fail(source, code, why.detail);
    }
    source->is_under_way = false;
    answer_wishes(source);
    buffer_finish(&call->answer);
    if (!source->is_followed) {
        drop(source);
    }
    count_oldest(jwks);
    pthread_mutex_unlock(&jwks->lock);
    courier_nudge(jwks->courier); /* the next due moment is another */
}

static void begin(struct source *source, uint64_t now_ms) {
    source->wanted_ms = source->is_wanted ? now_ms : source->wanted_ms;
    source->is_wanted = false;
    source->began_ms = now_ms;
    source->call = (struct call){.url = source->url,
                                 .ca = source->ca,
                                 .headers = {"Accept: application/jwk-set+json, application/json"},
                                 .timeout_ms = JWKS_TIMEOUT_MS,
                                 .answer_bytes_max = KEY_FILE_BYTES_MAX,
                                 .reply_to = courier_mailbox(source->jwks->courier),
                                 .on_answered = on_fetched,
                                 .context = source};
    enum error_code code = courier_ask(source->jwks->courier, &source->call);
    source->is_under_way = code == OK;
    if (code != OK) {
        source->due_ms = now_ms + JWKS_RETRY_MS;
        answer_wishes(source);
    }
}

/* Begins what is due; the guest's next moment is that of the source that is due first. */
static void look(struct courier_guest *guest, uint64_t now_ms) {
    struct jwks *jwks = CONTAINER_OF(guest, struct jwks, guest);
    guest->due_ms = UINT64_MAX;
    pthread_mutex_lock(&jwks->lock);
    LIST_EACH(&jwks->sources, node) {
        struct source *source = CONTAINER_OF(node, struct source, in_jwks);
        if (source->is_under_way) {
            continue;
        }
        if (!source->is_followed) {
            drop(source);
            continue;
        }
        if (now_ms >= source->due_ms || source->is_wanted) {
            begin(source, now_ms);
        }
        if (!source->is_under_way && source->due_ms < guest->due_ms) {
            guest->due_ms = source->due_ms;
        }
    }
    pthread_mutex_unlock(&jwks->lock);
}

/* --- from outside ---------------------------------------------------------------------------- */

enum error_code jwks_create(struct courier *courier, struct metrics_shard *metrics,
                            struct jwks **ret_jwks) {
    struct jwks *jwks = calloc(1, sizeof(*jwks));
    if (jwks == NULL) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&jwks->lock, NULL);
    list_init(&jwks->sources);
    jwks->courier = courier;
    jwks->metrics = metrics;
    jwks->guest = (struct courier_guest){.due_ms = UINT64_MAX, .on_due = look, .on_nudged = look};
    courier_put_guest(courier, &jwks->guest);
    *ret_jwks = jwks;
    return OK;
}

void jwks_destroy(struct jwks *jwks) {
    if (jwks == NULL) {
        return;
    }
    LIST_EACH(&jwks->sources, node) {
        struct source *source = CONTAINER_OF(node, struct source, in_jwks);
        INVARIANT(list_is_empty(&source->wishes));
        drop(source);
    }
    pthread_mutex_destroy(&jwks->lock);
    free(jwks);
}

enum error_code jwks_follow(struct jwks *jwks, const struct policy *policy) {
    enum error_code code = OK;
    pthread_mutex_lock(&jwks->lock);
    LIST_EACH(&jwks->sources, node) {
        CONTAINER_OF(node, struct source, in_jwks)->is_followed = false;
    }
    for (size_t i = 0; i < policy_issuer_count(policy); i++) {
        const struct policy_issuer *issuer = policy_issuer_at(policy, i);
        if (!issuer->is_jwks_url) {
            continue;
        }
        struct source *source = find(jwks, issuer->jwks, issuer->ca);
        source = source == NULL ? add(jwks, issuer->jwks, issuer->ca) : source;
        if (source == NULL) {
            code = ERR_MEMORY;
            continue;
        }
        source->is_followed = true;
    }
    pthread_mutex_unlock(&jwks->lock);
    courier_nudge(jwks->courier);
    return code;
}

struct keyring *jwks_get(struct jwks *jwks, const struct policy_issuer *issuer) {
    pthread_mutex_lock(&jwks->lock);
    const struct source *source = find(jwks, issuer->jwks, issuer->ca);
    struct keyring *keyring = source == NULL ? NULL : keyring_ref(source->keyring);
    pthread_mutex_unlock(&jwks->lock);
    return keyring;
}

enum error_code jwks_ask(struct jwks *jwks, const struct policy_issuer *issuer,
                         struct jwks_wish *wish) {
    uint64_t now_ms = clock_monotonic_ms();
    enum error_code code = OK;
    pthread_mutex_lock(&jwks->lock);
    struct source *source = find(jwks, issuer->jwks, issuer->ca);
    if (source == NULL || (!source->is_under_way && !may_begin(source, now_ms))) {
        code = ERR_NOT_FOUND;
    } else if (jwks->wish_count >= JWKS_WAITING_MAX) {
        code = ERR_BUSY;
    } else {
        list_put_tail(&source->wishes, &wish->in_jwks);
        jwks->wish_count++;
        source->is_wanted = !source->is_under_way;
    }
    bool has_to_begin = code == OK && source->is_wanted;
    pthread_mutex_unlock(&jwks->lock);
    if (has_to_begin) {
        courier_nudge(jwks->courier);
    }
    return code;
}
