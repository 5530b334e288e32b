/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/accept.h"

#include "protocols/http/head.h"
#include "protocols/http/media_type.h"

struct liking {
    unsigned quality;     /* thousandths */
    unsigned specificity; /* 0: nothing matched, 1: all types, 2: type/all, 3: type/subtype */
};

bool accept_parse_quality(struct span text, unsigned *ret_quality) {
    if (text.length == 0 || text.length > 5 || (text.bytes[0] != '0' && text.bytes[0] != '1') ||
        (text.length > 1 && text.bytes[1] != '.')) {
        return false;
    }
    unsigned quality = text.bytes[0] == '1' ? ACCEPT_QUALITY_MAX : 0, weight = 100;
    for (size_t i = 2; i < text.length; i++, weight /= 10) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        quality += weight * (text.bytes[i] - '0');
    }
    *ret_quality = quality;
    return quality <= ACCEPT_QUALITY_MAX;
}

static bool parse_range(struct span element, struct media_type *ret_range, unsigned *ret_quality) {
    *ret_quality = ACCEPT_QUALITY_MAX;
    if (!media_type_parse(element, ret_range)) {
        return false;
    }
    struct span rest = ret_range->parameters, name, value;
    while (media_type_next_parameter(&rest, &name, &value)) {
        if (span_is_equal_nocase(name, SPAN("q"))) {
            return accept_parse_quality(value, ret_quality);
        }
    }
    return true;
}

static unsigned specificity_of(const struct media_type *range, const struct media_type *offer) {
    bool is_any_type = span_is_equal(range->type, SPAN("*"));
    bool is_any_subtype = span_is_equal(range->subtype, SPAN("*"));
    if (is_any_type) {
        return is_any_subtype ? 1 : 0;
    }
    if (!span_is_equal_nocase(range->type, offer->type)) {
        return 0;
    }
    if (is_any_subtype) {
        return 2;
    }
    return span_is_equal_nocase(range->subtype, offer->subtype) ? 3 : 0;
}

/* How much the client likes one offer; `ret_has_range` says whether Accept has any sound range. */
static struct liking liking_of(struct span accept, const struct media_type *offer,
                               bool *ret_has_range) {
    struct liking best = {0};
    struct span element;
    while (head_list_next(&accept, &element)) {
        struct media_type range;
        unsigned quality;
        if (!parse_range(element, &range, &quality)) {
            continue;
        }
        *ret_has_range = true;
        unsigned specificity = specificity_of(&range, offer);
        if (specificity > best.specificity) {
            best = (struct liking){quality, specificity};
        }
    }
    return best;
}

bool accept_choose(struct span accept, const char *const *offers, size_t offer_count,
                   size_t *ret_index) {
    struct liking best = {0};
    bool has_range = false;
    for (size_t i = 0; i < offer_count; i++) {
        struct media_type offer;
        if (!media_type_parse(span_of_string(offers[i]), &offer)) {
            continue;
        }
        struct liking liking = liking_of(accept, &offer, &has_range);
        bool is_as_good = liking.quality == best.quality && liking.quality > 0;
        if (liking.quality > best.quality ||
            (is_as_good && liking.specificity > best.specificity)) {
            best = liking;
            *ret_index = i;
        }
    }
    if (!has_range && offer_count > 0) {
        *ret_index = 0;
        return true;
    }
    return best.quality > 0;
}
