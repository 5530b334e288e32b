/* SPDX-License-Identifier: Apache-2.0 */
/* Where settings contradict each other there is a row: what to ask, and what to say of which key. A
 * row without a key is about the load as a whole. */
#include "clients/bench/relations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/protocol.h"
#include "clients/bench/target.h"
#include "clients/bench/verdict.h"

#define NOBODY "none"
#define SERVER_MEASURES "server." /* of --pid */
#define NAMES_BYTES 512
#define URL_BYTES_MAX 512
#define SCHEME_BYTES_MAX 16

/* What the relations are between; NULL for `none`, and for a protocol that is not known. */
struct parties {
    const struct settings *settings;
    bool are_known;
    const struct protocol *publish;
    const struct protocol *read;
};

struct relation {
    const char *key;
    bool (*is_broken)(const struct parties *parties);
    const char *told;
};

/* --- relations ------------------------------------------------------------------------------ */

static bool is_profile(const struct parties *parties, const char *profile) {
    return strcmp(parties->settings->profile, profile) == 0;
}

static bool has_second_rate(const struct parties *parties) {
    return is_profile(parties, "ramp") || is_profile(parties, "steps") ||
           is_profile(parties, "spike");
}

static bool is_closed(const struct parties *parties) {
    return parties->settings->rate <= 0;
}

/* "http://user:password@host": it would be sent to nobody, and stand in the reports. */
static bool names_user(const char *url) {
    const char *slashes = url == NULL ? NULL : strstr(url, "://");
    return slashes != NULL && memchr(slashes + 3, '@', strcspn(slashes + 3, "/?#")) != NULL;
}

static bool has_user(const struct parties *parties) {
    return names_user(parties->settings->url);
}

static bool has_publish_user(const struct parties *parties) {
    return names_user(parties->settings->publish_url);
}

static bool has_read_user(const struct parties *parties) {
    return names_user(parties->settings->read_url);
}

static bool cannot_publish(const struct parties *parties) {
    return parties->publish != NULL && parties->publish->put_publish == NULL;
}

static bool cannot_read(const struct parties *parties) {
    return parties->read != NULL && !parties->read->can_read;
}

static bool has_no_readers(const struct parties *parties) {
    return parties->are_known && parties->read == NULL;
}

static bool has_no_publishers(const struct parties *parties) {
    return parties->are_known && parties->publish == NULL;
}

static bool is_idle(const struct parties *parties) {
    return has_no_publishers(parties) && has_no_readers(parties);
}

static bool lacks_second_rate(const struct parties *parties) {
    return has_second_rate(parties) && parties->settings->rate_to <= 0;
}

static bool has_idle_second_rate(const struct parties *parties) {
    return !has_second_rate(parties) && parties->settings->rate_to > 0;
}

static bool has_closed_profile(const struct parties *parties) {
    return is_closed(parties) && has_second_rate(parties);
}

static bool has_closed_arrivals(const struct parties *parties) {
    return is_closed(parties) && strcmp(parties->settings->arrivals, "even") != 0;
}

static bool has_open_flight(const struct parties *parties) {
    return !is_closed(parties) && parties->settings->in_flight > 1;
}

static bool is_batch_too_large(const struct parties *parties) {
    return parties->publish != NULL && parties->settings->batch > parties->publish->batch_max;
}

static bool has_too_many_subscriptions(const struct parties *parties) {
    return parties->settings->subscriptions > parties->settings->channels;
}

static bool has_too_many_selectors(const struct parties *parties) {
    const struct settings *settings = parties->settings;
    return parties->read != NULL && parties->read->selectors_max > 0 && settings->pattern == NULL &&
           settings->subscriptions > parties->read->selectors_max;
}

static bool has_one_name(const struct parties *parties) {
    return parties->settings->channels > 1 && strstr(parties->settings->channel, "{n}") == NULL;
}

static bool reads_history(const struct parties *parties) {
    return parties->read != NULL && strcmp(parties->read->name, "history") == 0;
}

static bool publishes_to_nobody(const struct parties *parties) {
    return parties->read != NULL && strcmp(parties->read->name, "connection") == 0 &&
           parties->publish != NULL && !parties->settings->hold;
}

static bool lacks_since(const struct parties *parties) {
    return reads_history(parties) && parties->settings->since == NULL;
}

/* A reader of pages ends at the head: what comes behind it is nothing to it. */
static bool lacks_preload(const struct parties *parties) {
    return reads_history(parties) && parties->settings->preload == 0;
}

static bool lacks_listener(const struct parties *parties) {
    return parties->read != NULL && parties->read->is_listening &&
           parties->settings->listen == NULL;
}

static bool has_idle_listener(const struct parties *parties) {
    return parties->settings->listen != NULL &&
           (parties->read == NULL || !parties->read->is_listening);
}

static bool has_pace_of_nobody(const struct parties *parties) {
    return parties->settings->slow_bytes > 0 && parties->settings->slow <= 0;
}

static bool holds_nobody(const struct parties *parties) {
    return parties->settings->hold && has_no_readers(parties);
}

static bool reconnects_nobody(const struct parties *parties) {
    return parties->settings->churn > 0 && has_no_readers(parties);
}

static bool preloads_by_nobody(const struct parties *parties) {
    return parties->settings->preload > 0 && has_no_publishers(parties);
}

/* History would count as deliveries of the first step. */
static bool has_history_in_steps(const struct parties *parties) {
    const struct settings *settings = parties->settings;
    return strcmp(settings->profile, "steps") == 0 && settings->preload > 0 &&
           settings->since != NULL;
}

/* Only what was there before can be read then. */
static bool has_no_time(const struct parties *parties) {
    const struct settings *settings = parties->settings;
    return settings->duration == 0 && !settings->hold && parties->publish != NULL &&
           (settings->preload == 0 || settings->since == NULL);
}

#define NO_USER "has no user or password: a token is told by TIDINGS_BENCH_TOKEN"

static const struct relation relations[] = {
    {"url", has_user, NO_USER},
    {"publish_url", has_publish_user, NO_USER},
    {"read_url", has_read_user, NO_USER},
    {"publish", cannot_publish, "is a protocol that cannot publish"},
    {"read", cannot_read, "is a protocol that cannot read"},
    {"read", is_idle, "and publish are both none: there is nothing to do"},
    {"rate_to", lacks_second_rate, "is needed by the profiles ramp, steps and spike"},
    {"rate_to", has_idle_second_rate, "is for the profiles ramp, steps and spike alone"},
    {"profile", has_closed_profile, "needs a rate: the closed model (rate 0) has no schedule"},
    {"arrivals", has_closed_arrivals, "needs a rate: the closed model (rate 0) has no schedule"},
    {"in_flight", has_open_flight, "is for the closed model alone: say rate 0"},
    {"batch", is_batch_too_large, "is more than a publish of this protocol can hold"},
    {"subscriptions", has_too_many_subscriptions, "are more than there are channels"},
    {"subscriptions", has_too_many_selectors,
     "are more than a reader of this protocol has: stream, for one, takes many"},
    {"channel", has_one_name, "has no {n}, but there are several channels"},
    {"read", publishes_to_nobody, "connection gets no messages: say publish none"},
    {"since", lacks_since, "is needed to read history: say earliest"},
    {"preload", lacks_preload,
     "is needed to read history: only what was published before is there"},
    {"listen", lacks_listener, "is needed: the server connects to here"},
    {"listen", has_idle_listener, "is for protocols in which the server connects, as webhook"},
    {"slow_bytes", has_pace_of_nobody, "needs readers that are slow: say slow"},
    {"hold", holds_nobody, "needs readers"},
    {"churn", reconnects_nobody, "needs readers"},
    {"preload", preloads_by_nobody, "needs publishers"},
    {"profile", has_history_in_steps,
     "steps cannot measure what was preloaded: say no preload, or no since"},
    {"duration", has_no_time, "is 0s only where readers begin in what was preloaded"},
};

/* --- protocols ------------------------------------------------------------------------------ */

static void list_names(char *names, size_t size, bool is_reading) {
    size_t length = 0;
    const struct protocol *protocol;
    names[0] = '\0';
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL && length < size; i++) {
        if (is_reading ? protocol->can_read : protocol->put_publish != NULL) {
            length += (size_t)snprintf(names + length, size - length, "%s, ", protocol->name);
        }
    }
}

static const struct protocol *find_protocol(struct draft *draft, const char *key,
                                            const char *name) {
    if (name == NULL || strcmp(name, NOBODY) == 0) {
        return NULL;
    }
    const struct protocol *protocol = protocol_find(name);
    if (protocol == NULL) {
        char names[NAMES_BYTES];
        list_names(names, sizeof(names), strcmp(key, "read") == 0);
        draft_complain(draft, draft_place_of(draft, key), key, "is one of %snone, not \"%s\"",
                       names, name);
    }
    return protocol;
}

static void check_assertions(struct draft *draft) {
    for (size_t i = 0; i < draft->settings.assertion_count; i++) {
        const char *assertion = draft->settings.assertions[i];
        struct draft_place place = draft->assertion_places[i];
        const char *wrong = verdict_check(assertion);
        if (wrong != NULL) {
            draft_complain(draft, place, "assert", "\"%s\": %s", assertion, wrong);
        } else if (strncmp(assertion, SERVER_MEASURES, strlen(SERVER_MEASURES)) == 0 &&
                   draft->settings.pid == 0) {
            draft_complain(draft, place, "assert", "\"%s\" needs the server's pid", assertion);
        }
    }
}

void relations_check(struct draft *draft) {
    const struct settings *settings = &draft->settings;
    size_t before = draft->fault_count;
    struct parties parties = {.settings = settings,
                              .publish = find_protocol(draft, "publish", settings->publish),
                              .read = find_protocol(draft, "read", settings->read)};
    parties.are_known = draft->fault_count == before;
    for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
        const struct relation *relation = &relations[i];
        if (relation->is_broken(&parties)) {
            draft_complain(draft, draft_place_of(draft, relation->key), relation->key, "%s",
                           relation->told);
        }
    }
    check_assertions(draft);
}

/* --- where to connect to -------------------------------------------------------------------- */

/* Publishers or readers, that connect. */
struct side {
    const struct protocol *protocol; /* NULL: none do */
    const char **url;
};

static bool is_secure(const char *url, const struct protocol *protocol) {
    return protocol->secure_scheme != NULL && target_has_scheme(url, protocol->secure_scheme);
}

static bool has_scheme_of(const char *url, const struct protocol *protocol) {
    return target_has_scheme(url, protocol->scheme) || is_secure(url, protocol);
}

/* "http://, https://, mqtt://, …", each once. */
static void list_schemes(char *schemes, size_t size) {
    size_t length = 0;
    const struct protocol *protocol;
    schemes[0] = '\0';
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++) {
        const char *both[] = {protocol->scheme, protocol->secure_scheme};
        for (size_t each = 0; each < 2 && both[each] != NULL && length < size; each++) {
            char scheme[SCHEME_BYTES_MAX];
            snprintf(scheme, sizeof(scheme), "%s://", both[each]);
            if (strstr(schemes, scheme) == NULL) {
                length += (size_t)snprintf(schemes + length, size - length, "%s%s",
                                           length == 0 ? "" : ", ", scheme);
            }
        }
    }
}

/* False: no protocol has its scheme, and that was told. */
static bool check_scheme(struct draft *draft, const char *key, const char *url) {
    const struct protocol *protocol;
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++) {
        if (has_scheme_of(url, protocol)) {
            return true;
        }
    }
    char schemes[NAMES_BYTES];
    list_schemes(schemes, sizeof(schemes));
    draft_complain(draft, draft_place_of(draft, key), key, "begins with one of %s, not \"%s\"",
                   schemes, url);
    return false;
}

/* HTTP has one port with WebSocket: ws:// means the same. */
static const char *unify(struct draft *draft, const char *url) {
    static const char *const aliases[][2] = {{"ws", "http"}, {"wss", "https"}};
    for (size_t i = 0; url != NULL && i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (target_has_scheme(url, aliases[i][0])) {
            char text[URL_BYTES_MAX];
            snprintf(text, sizeof(text), "%s%s", aliases[i][1], strstr(url, "://"));
            return draft_keep(draft, text, strlen(text));
        }
    }
    return url;
}

/* Whether it is TLS that a URL asks for, whatever the protocol. */
static bool is_secure_at_all(const char *url) {
    const struct protocol *protocol;
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++) {
        if (is_secure(url, protocol)) {
            return true;
        }
    }
    return false;
}

/* `url` with the protocol's scheme, and without port and path: the same machine. Who asked for TLS
 * is not served in the clear: NULL, and that was told. */
static const char *neighbour_of(struct draft *draft, const char *url,
                                const struct protocol *protocol) {
    bool is_to_be_secure = is_secure_at_all(url);
    if (is_to_be_secure && protocol->secure_scheme == NULL) {
        draft_complain(draft, draft_place_of(draft, "url"), "url",
                       "is of TLS, in which %s is not spoken here, not \"%s\"", protocol->name,
                       url);
        return NULL;
    }
    const char *host = strstr(url, "://") + 3;
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    char text[URL_BYTES_MAX];
    snprintf(text, sizeof(text), "%s://%.*s",
             is_to_be_secure ? protocol->secure_scheme : protocol->scheme, (int)length, host);
    return draft_keep(draft, text, strlen(text));
}

static struct side make_side(struct draft *draft, const char *key, const char *name,
                             const char **url) {
    const struct protocol *protocol = name == NULL ? NULL : protocol_find(name);
    *url = unify(draft, *url);
    /* One with a password is refused without repeating it. */
    bool is_connecting = protocol != NULL && !protocol->is_listening && !names_user(*url);
    if (is_connecting && *url != NULL && check_scheme(draft, key, *url) &&
        !has_scheme_of(*url, protocol)) {
        draft_complain(draft, draft_place_of(draft, key), key,
                       "begins with %s:// for the protocol %s, not \"%s\"", protocol->scheme, name,
                       *url);
    }
    return (struct side){.protocol = is_connecting ? protocol : NULL, .url = url};
}

void relations_resolve(struct draft *draft) {
    struct settings *settings = &draft->settings;
    const struct protocol *read = settings->read == NULL ? NULL : protocol_find(settings->read);
    if (read != NULL && read->is_listening) {
        settings->readers = 1; /* whoever connects: together they read everything */
        settings->subscriptions = settings->channels;
    }
    const struct side sides[] = {
        make_side(draft, "publish_url", settings->publish, &settings->publish_url),
        make_side(draft, "read_url", settings->read, &settings->read_url),
    };
    const char *url = unify(draft, settings->url == NULL ? "" : settings->url);
    bool is_needed = false;
    bool is_fitting = false;
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        const struct protocol *protocol = sides[i].protocol;
        is_needed = is_needed || (protocol != NULL && *sides[i].url == NULL);
        is_fitting = is_fitting || (protocol != NULL && has_scheme_of(url, protocol));
    }
    if (!is_needed || names_user(url) || !check_scheme(draft, "url", url)) {
        return;
    }
    struct draft_place place = draft_place_of(draft, "url");
    if (!is_fitting && place.is_told) { /* else it only says which machine */
        draft_complain(draft, place, "url",
                       "is for neither publish %s nor read %s: choose protocols of it, or a URL "
                       "of theirs, not \"%s\"",
                       settings->publish, settings->read, url);
        return;
    }
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        const struct protocol *protocol = sides[i].protocol;
        if (protocol != NULL && *sides[i].url == NULL) {
            *sides[i].url = has_scheme_of(url, protocol) ? url : neighbour_of(draft, url, protocol);
        }
    }
}
