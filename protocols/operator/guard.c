/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/guard.h"

#include "broker/admission/origin.h"
#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "protocols/rest/request.h"

enum error_code guard_check(const struct request *request, bool changes_state, struct error *why) {
    const struct config *config = request->broker->config;
    struct origin_policy policy = {.is_open = config->open,
                                   .hosts = config->public_hosts.items,
                                   .host_count = config->public_hosts.count};
    struct origin_question question = {.changes_state = changes_state};
    bool is_listed;
    question.has_host = request_find_header(request, "Host", &question.host);
    /* A header that did not come leaves its span empty, which is what the question wants. */
    IGNORE_RESULT(request_find_header(request, "Origin", &question.origin));
    IGNORE_RESULT(request_find_header(request, "Sec-Fetch-Site", &question.fetch_site));
    return origin_check(&policy, &question, &is_listed, why);
}
