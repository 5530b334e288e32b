/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/scrape.h"

#include <stdlib.h>

#include "broker/metrics/exposition.h"
#include "broker/metrics/families.h"
#include "broker/runtime/broker.h"
#include "broker/support/invariant.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/figures.h"
#include "protocols/rest/request.h"
#include "protocols/sinks/sinks.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "offset_of reads either");

/* --- one family ------------------------------------------------------------------------------ */

/* What has a series of its own: a sink, a source, or those that are summed. */
struct subject {
    const char *name;
    const void *figures;                     /* struct sink_figures or struct source_figures */
    uint64_t state_counts[SINK_STATE_COUNT]; /* how many are in it */
    uint64_t open_count;                     /* how many breakers are not closed */
};

#define SINK_FIELD(family, field) [FAMILY_##family] = offsetof(struct sink_figures, field)
#define SOURCE_FIELD(family, field) [FAMILY_##family] = offsetof(struct source_figures, field)

/* Where the number of a family stands among the figures; 0: it is made otherwise. */
static const size_t offset_of[FAMILY_COUNT] = {
    SINK_FIELD(SINK_LAG, lag_messages),
    SINK_FIELD(SINK_LAG_TIME, lag_ms),
    SINK_FIELD(SINK_IN_FLIGHT, in_flight),
    SINK_FIELD(SINK_WAITING, waiting),
    SINK_FIELD(SINK_WINDOW, window),
    SINK_FIELD(SINK_MEMORY, memory_bytes),
    SINK_FIELD(SINK_MESSAGES, messages),
    SINK_FIELD(SINK_BYTES, bytes),
    SINK_FIELD(SINK_ATTEMPTS, attempts),
    SINK_FIELD(SINK_DEAD, dead),
    SINK_FIELD(SINK_GAPS, gaps),
    SINK_FIELD(SINK_FAILING, failing_since_ms),
    SINK_FIELD(SINK_NEXT, next_attempt_ms),
    SOURCE_FIELD(SOURCE_LAG, lag_messages),
    SOURCE_FIELD(SOURCE_MESSAGES, messages),
    SOURCE_FIELD(SOURCE_BYTES, bytes),
    SOURCE_FIELD(SOURCE_REFUSED, refused),
    SOURCE_FIELD(SOURCE_OWN, own),
    SOURCE_FIELD(SOURCE_GAPS, gaps),
};

static uint64_t number_at(const void *figures, enum family family, size_t index) {
    uint64_t number;
    memcpy(&number, (const char *)figures + offset_of[family] + index * sizeof(number),
           sizeof(number));
    return number;
}

static enum error_code put_labels(struct buffer *body, const struct family_row *row,
                                  const char *suffix, const char *subject) {
    TRY(buffer_printf(body, "%s%s{%s=\"", row->name, suffix, row->subject_label));
    TRY(exposition_put_label_value(body, subject));
    return buffer_put_byte(body, '"');
}

/* `second` is the value of the second label, or NULL. */
static enum error_code put_sample(struct buffer *body, enum family family,
                                  const struct subject *subject, const char *second,
                                  uint64_t number) {
    const struct family_row *row = &family_rows[family];
    char text[EXPOSITION_NUMBER_BYTES];
    exposition_format_number(row->type, row->unit, number, text);
    TRY(put_labels(body, row, "", subject->name));
    return second == NULL
               ? buffer_printf(body, "} %s\n", text)
               : buffer_printf(body, ",%s=\"%s\"} %s\n", row->second_label, second, text);
}

static enum error_code put_states(struct buffer *body, enum family family,
                                  const struct subject *subject) {
    for (int state = 0; state < SINK_STATE_COUNT; state++) {
        TRY(put_sample(body, family, subject, sink_state_name((enum sink_state)state),
                       subject->state_counts[state]));
    }
    return OK;
}

static enum error_code put_outcomes(struct buffer *body, enum family family,
                                    const struct subject *subject) {
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        TRY(put_sample(body, family, subject, outcome_name((enum outcome)outcome),
                       number_at(subject->figures, family, (size_t)outcome)));
    }
    return OK;
}

/* Buckets are told as sums from the left. */
static enum error_code put_durations(struct buffer *body, enum family family,
                                     const struct subject *subject) {
    const struct family_row *row = &family_rows[family];
    const struct sink_figures *figures = subject->figures;
    char bound[EXPOSITION_NUMBER_BYTES] = "+Inf";
    uint64_t count = 0;
    for (size_t i = 0; i <= SINK_LATENCY_BUCKETS; i++) {
        count += figures->latency_us[i];
        if (i < SINK_LATENCY_BUCKETS) {
            exposition_format_number(METRICS_GAUGE, row->unit, sink_latency_bounds_us[i], bound);
        }
        TRY(put_labels(body, row, "_bucket", subject->name));
        TRY(buffer_printf(body, ",le=\"%s\"} %llu\n", i < SINK_LATENCY_BUCKETS ? bound : "+Inf",
                          (unsigned long long)count));
    }
    exposition_format_number(METRICS_GAUGE, row->unit, figures->latency_us_sum, bound);
    TRY(put_labels(body, row, "_sum", subject->name));
    TRY(buffer_printf(body, "} %s\n", bound));
    TRY(put_labels(body, row, "_count", subject->name));
    return buffer_printf(body, "} %llu\n", (unsigned long long)count);
}

static enum error_code put_breaker(struct buffer *body, enum family family,
                                   const struct subject *subject) {
    return put_sample(body, family, subject, NULL, subject->open_count);
}

static enum error_code put_number(struct buffer *body, enum family family,
                                  const struct subject *subject) {
    INVARIANT(offset_of[family] > 0);
    uint64_t number = number_at(subject->figures, family, 0);
    bool is_unknown = family == FAMILY_SOURCE_LAG && number == UINT64_MAX;
    return is_unknown ? OK : put_sample(body, family, subject, NULL, number);
}

static enum error_code put_subject(struct buffer *body, enum family family,
                                   const struct subject *subject) {
    static enum error_code (*const put_of[FAMILY_COUNT])(struct buffer *, enum family,
                                                         const struct subject *) = {
        [FAMILY_SINK_STATE] = put_states,       [FAMILY_SOURCE_STATE] = put_states,
        [FAMILY_SINK_BREAKER] = put_breaker,    [FAMILY_SINK_ATTEMPTS] = put_outcomes,
        [FAMILY_SINK_DURATION] = put_durations,
    };
    return (put_of[family] == NULL ? put_number : put_of[family])(body, family, subject);
}

static enum error_code put_families(struct buffer *body, enum family first, enum family end,
                                    const struct subject *subjects, size_t count) {
    for (enum family family = first; family < end; family++) {
        const struct family_row *row = &family_rows[family];
        TRY(exposition_put_head(body, row->name, row->type, row->help));
        for (size_t i = 0; i < count; i++) {
            TRY(put_subject(body, family, &subjects[i]));
        }
    }
    return OK;
}

/* --- those that are summed ------------------------------------------------------------------- */

/* The earlier of two moments, of which 0 is none. */
static uint64_t earlier(uint64_t left, uint64_t right) {
    return left == 0 || (right > 0 && right < left) ? right : left;
}

static void add_sink(struct sink_figures *sum, const struct sink_figures *figures) {
    sum->lag_messages += figures->lag_messages;
    sum->lag_ms = figures->lag_ms > sum->lag_ms ? figures->lag_ms : sum->lag_ms;
    sum->in_flight += figures->in_flight;
    sum->waiting += figures->waiting;
    sum->window += figures->window;
    sum->memory_bytes += figures->memory_bytes;
    sum->messages += figures->messages;
    sum->bytes += figures->bytes;
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        sum->attempts[i] += figures->attempts[i];
    }
    sum->dead += figures->dead;
    sum->gaps += figures->gaps;
    sum->failing_since_ms = earlier(sum->failing_since_ms, figures->failing_since_ms);
    sum->next_attempt_ms = earlier(sum->next_attempt_ms, figures->next_attempt_ms);
    for (size_t i = 0; i <= SINK_LATENCY_BUCKETS; i++) {
        sum->latency_us[i] += figures->latency_us[i];
    }
    sum->latency_us_sum += figures->latency_us_sum;
}

static void add_source(struct source_figures *sum, const struct source_figures *figures) {
    bool is_known = figures->lag_messages != UINT64_MAX;
    sum->lag_messages += is_known ? figures->lag_messages : 0;
    sum->messages += figures->messages;
    sum->bytes += figures->bytes;
    sum->refused += figures->refused;
    sum->own += figures->own;
    sum->gaps += figures->gaps;
}

static int compare_sinks(const void *left, const void *right) {
    return strcmp(((const struct sink_figures *)left)->name,
                  ((const struct sink_figures *)right)->name);
}

static int compare_sources(const void *left, const void *right) {
    return strcmp(((const struct source_figures *)left)->name,
                  ((const struct source_figures *)right)->name);
}

enum error_code scrape_put_sinks(struct buffer *body, struct sink_figures *sinks, size_t count) {
    struct sink_figures sum = {0};
    size_t own = count < FAMILIES_SUBJECTS_MAX ? count : FAMILIES_SUBJECTS_MAX;
    struct subject *subjects = calloc(own + 1, sizeof(*subjects));
    if (subjects == NULL) {
        return ERR_MEMORY;
    }
    qsort(sinks, count, sizeof(*sinks), compare_sinks);
    for (size_t i = 0; i < count; i++) {
        struct subject *subject = &subjects[i < own ? i : own];
        subject->name = i < own ? sinks[i].name : FAMILIES_OTHER;
        subject->figures = i < own ? &sinks[i] : &sum;
        subject->state_counts[sinks[i].state]++;
        subject->open_count += sinks[i].breaker != LEDGER_CLOSED;
        if (i >= own) {
            add_sink(&sum, &sinks[i]);
        }
    }
    enum error_code code =
        put_families(body, (enum family)0, FAMILY_SOURCES, subjects, own + (count > own));
    free(subjects);
    return code;
}

enum error_code scrape_put_sources(struct buffer *body, struct source_figures *sources,
                                   size_t count) {
    struct source_figures sum = {0};
    size_t own = count < FAMILIES_SUBJECTS_MAX ? count : FAMILIES_SUBJECTS_MAX;
    struct subject *subjects = calloc(own + 1, sizeof(*subjects));
    if (subjects == NULL) {
        return ERR_MEMORY;
    }
    qsort(sources, count, sizeof(*sources), compare_sources);
    for (size_t i = 0; i < count; i++) {
        struct subject *subject = &subjects[i < own ? i : own];
        subject->name = i < own ? sources[i].name : FAMILIES_OTHER;
        subject->figures = i < own ? &sources[i] : &sum;
        subject->state_counts[sources[i].state]++;
        if (i >= own) {
            add_source(&sum, &sources[i]);
        }
    }
    enum error_code code =
        put_families(body, FAMILY_SOURCES, FAMILY_COUNT, subjects, own + (count > own));
    free(subjects);
    return code;
}

/* --- the request ----------------------------------------------------------------------------- */

/* A question under way. */
struct scrape {
    struct request *request;
    struct sinks_question question;
};

static void on_state_finish(void *state) {
    struct scrape *scrape = state;
    sinks_question_finish(&scrape->question);
    free(scrape);
}

/* `question` is NULL where nobody was asked. A family without a sample is none. */
static enum error_code put_all(struct request *request, struct sinks_question *question,
                               struct error *why) {
    struct broker *broker = request->broker;
    struct buffer *body = &request->reply.body;
    figures_collect(broker, metrics_shard(broker->metrics, METRICS_OPERATOR));
    enum error_code code = exposition_put(body, broker->metrics);
    if (code == OK && question != NULL && question->figure_count > 0) {
        code = scrape_put_sinks(body, question->figures, question->figure_count);
    }
    if (code == OK && question != NULL && question->source_count > 0) {
        code = scrape_put_sources(body, question->sources, question->source_count);
    }
    if (code != OK) {
        return error_set(why, code, "the metrics could not be written");
    }
    reply_add_header(&request->reply, "Content-Type", "%s", EXPOSITION_MEDIA_TYPE);
    return OK;
}

static void on_answered(struct sinks_question *question) {
    struct scrape *scrape = question->context;
    struct request *request = scrape->request;
    struct error why = {0};
    enum error_code code = request_is_wanted(request) ? put_all(request, question, &why) : OK;
    request_end(request, code, &why);
}

enum error_code scrape_put(struct request *request, struct error *why) {
    struct scrape *scrape = request->broker->sinks == NULL ? NULL : calloc(1, sizeof(*scrape));
    if (scrape == NULL) {
        return put_all(request, NULL, why);
    }
    request->state = scrape;
    request->on_state_finish = on_state_finish;
    scrape->request = request;
    scrape->question = (struct sinks_question){.kind = SINKS_LIST,
                                               .reply_to = request->reply_to,
                                               .on_answered = on_answered,
                                               .context = scrape};
    if (sinks_ask(request->broker->sinks, &scrape->question) != OK) {
        return put_all(request, NULL, why);
    }
    request_wait(request);
    return OK;
}
