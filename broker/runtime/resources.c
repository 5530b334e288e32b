/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/resources.h"

#include <malloc.h>
#include <sys/resource.h>

#include "broker/support/macros.h"

#define HEAP_TRIM_BYTES 4194304
#define HEAP_MAP_BYTES 262144 /* above it memory goes back to the system when it is freed */

void resources_prepare(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        IGNORE_RESULT(setrlimit(RLIMIT_NOFILE, &limit) != 0); /* then it stays as it is */
    }
    mallopt(M_MMAP_THRESHOLD, HEAP_MAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_BYTES);
}
