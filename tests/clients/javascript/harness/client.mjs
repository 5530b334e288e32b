// SPDX-License-Identifier: Apache-2.0
// Clients as the tests want them: quick to come back, and closed with their test.
import { Tidings } from '../../../../clients/javascript/dist/node.js';

export * from '../../../../clients/javascript/dist/node.js';

/** As a client is set up where a test waits for it; steady at once, so that tries start over. */
export const HASTY = { retryBaseMs: 20, retryCapMs: 200, steadyMs: 0, answerMs: 10_000 };

export function connect(t, url, options = {}) {
    const client = new Tidings(url, { ...HASTY, ...options });
    t.after(() => client.close());
    return client;
}

let names = 0;

/** A channel that no other test knows. */
export function freshChannel() {
    names += 1;
    return `test/${process.pid}/${names}`;
}
