/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_ROOT "/sys/fs/cgroup"
#define GROUP_PATH_BYTES 4096

/* The path of the group in the one hierarchy of version 2: the line "0::/path". */
static bool read_group(char ret_path[GROUP_PATH_BYTES]) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    bool is_found = false;
    if (file == NULL) {
        return false;
    }
    while (!is_found && fgets(ret_path, GROUP_PATH_BYTES, file) != NULL) {
        is_found = strncmp(ret_path, "0::/", 4) == 0;
    }
    fclose(file);
    if (is_found) {
        memmove(ret_path, ret_path + 3, strlen(ret_path + 3) + 1);
        ret_path[strcspn(ret_path, "\n")] = '\0';
    }
    return is_found;
}

/* UINT64_MAX: "max", or there is no such file (a container sees its own group as the root). */
static uint64_t read_limit(const char *group) {
    char name[GROUP_PATH_BYTES + 32];
    unsigned long long bytes = UINT64_MAX;
    snprintf(name, sizeof(name), GROUPS_ROOT "%s/memory.max", group);
    FILE *file = fopen(name, "re");
    if (file != NULL) {
        if (fscanf(file, "%llu", &bytes) != 1) {
            bytes = UINT64_MAX;
        }
        fclose(file);
    }
    return bytes;
}

uint64_t memory_available_bytes(void) {
    char group[GROUP_PATH_BYTES];
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (!read_group(group)) {
        return least;
    }
    for (;;) {
        uint64_t limit = read_limit(group);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return least;
        }
        *slash = '\0';
    }
}
