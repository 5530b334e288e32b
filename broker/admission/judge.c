/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/judge.h"

#include <stdio.h>

#include "broker/channels/rules.h"
#include "broker/config/credential.h"
#include "broker/support/span.h"

bool judge_pattern(const char *text, char *ret_why, size_t size) {
    struct error why = {0};
    struct span pattern = span_of_string(text);
    bool is_good =
        rules_check_pattern(pattern, &why) == OK && credential_check_pattern(pattern, &why) == OK;
    snprintf(ret_why, size, "%s", why.detail);
    return is_good;
}

bool judge_tenant(const char *text, char *ret_why, size_t size) {
    struct error why = {0};
    bool is_good = credential_check_tenant(span_of_string(text), &why) == OK;
    snprintf(ret_why, size, "%s", why.detail);
    return is_good;
}
