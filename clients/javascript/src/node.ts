// SPDX-License-Identifier: Apache-2.0
// The same for Node: its connections send the token in a header, on a WebSocket too.
import { NodeWebSocket } from './node_websocket.js';
import { Tidings as AnyTidings } from './tidings.js';
import type { Options } from './types.js';

export * from './index.js';

export class Tidings extends AnyTidings {
    constructor(url: string | URL, options: Options = {}) {
        super(url, { ...options, WebSocket: options.WebSocket ?? NodeWebSocket });
    }
}
