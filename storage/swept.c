/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/swept.h"

#include <stdlib.h>
#include <string.h>

bool swept_put(struct swept **list, const struct storage_swept *told) {
    struct swept *swept = malloc(sizeof(*swept) + told->name.length);
    if (swept == NULL) {
        return false;
    }
    memcpy(swept->name, told->name.bytes, told->name.length);
    swept->told = *told;
    swept->told.name = span_of(swept->name, told->name.length);
    swept->next = *list;
    *list = swept;
    return true;
}

void swept_finish(struct swept **list) {
    while (*list != NULL) {
        struct swept *next = (*list)->next;
        free(*list);
        *list = next;
    }
}
