/* SPDX-License-Identifier: Apache-2.0 */
/* resources.h — what the process asks the system for before it is a broker.
 *
 * Place:   called by main, once.
 * Thread:  before any other is there.
 * Bounds:  none of its own.
 */
#pragma once

/* As many descriptors as the system gives, and a heap that gives memory back. */
void resources_prepare(void);
