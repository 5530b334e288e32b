// SPDX-License-Identifier: Apache-2.0
export { Channel } from './channel.js';
export { TidingsError } from './error.js';
export type { Outgoing } from './publish.js';
export { Subscription } from './subscription.js';
export { Tidings } from './tidings.js';
export type * from './types.js';
