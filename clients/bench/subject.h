/* SPDX-License-Identifier: Apache-2.0 */
/* subject.h — the process under load: its CPU time and memory, those of its children among them.
 *
 * Place:   stage.c and load.c, before and behind what they measure.
 * Thread:  main.
 * Bounds:  SUBJECT_CHILDREN_MAX processes; what a server starts beyond them is not counted.
 *
 * A server that has workers as children (nginx) is one subject. A child that ended is not counted
 * any more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SUBJECT_CHILDREN_MAX 256
#define SUBJECT_NOT_MEASURED (-1.0)

/* Is there such a process, and may its CPU time be asked for? */
bool subject_exists(uint64_t pid);

/* Seconds of CPU time, user and system, since it began; SUBJECT_NOT_MEASURED: it is gone, or pid is
 * 0. */
double subject_get_cpu_s(uint64_t pid);

/* What was spent between two of them; SUBJECT_NOT_MEASURED: one was not measured, or a process with
 * some of it ended between them. */
double subject_get_cpu_between_s(double before_s, double after_s);

/* Resident bytes, where a page that several processes share counts for each: their true shares
 * would take a walk over all pages, which the server would feel. 0: it is gone, or pid is 0. */
uint64_t subject_get_rss_bytes(uint64_t pid);
