// SPDX-License-Identifier: Apache-2.0
// The same for Node: its connections send the token in a header, on a WebSocket too, and a network
// that fails says how.
import { NodeWebSocket } from './node_websocket.js';
import { Tidings as AnyTidings } from './tidings.js';
import type { Options } from './types.js';

export * from './index.js';

/** Node's fetch() says `fetch failed`, and only in the error's cause what happened. */
const tellingFetch: typeof fetch = async (...request) => {
    try {
        return await fetch(...request);
    } catch (error) {
        const { cause } = error instanceof TypeError ? error as any : {};
        throw cause ? new TypeError(cause.message || cause.code, { cause }) : error;
    }
};

export class Tidings extends AnyTidings {
    constructor(url: string | URL, options: Options = {}) {
        super(url, {
            ...options,
            WebSocket: options.WebSocket ?? NodeWebSocket,
            fetch: options.fetch ?? tellingFetch,
        });
    }
}
