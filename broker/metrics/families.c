/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/families.h"

#define ROW(family, own_name, own_type, own_unit, own_label, own_subject, own_help)                \
    [FAMILY_##family] = {.name = (own_name),                                                       \
                         .type = METRICS_##own_type,                                               \
                         .unit = METRICS_##own_unit,                                               \
                         .subject_label = (own_subject),                                           \
                         .second_label = (own_label),                                              \
                         .help = (own_help)},
#define SINK_ROW(family, name, type, unit, label, help)                                            \
    ROW(family, name, type, unit, label, "sink", help)
#define SOURCE_ROW(family, name, type, unit, label, help)                                          \
    ROW(family, name, type, unit, label, "source", help)

const struct family_row family_rows[FAMILY_COUNT] = {FAMILIES_SINK_TABLE(SINK_ROW)
                                                         FAMILIES_SOURCE_TABLE(SOURCE_ROW)};
