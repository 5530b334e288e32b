// SPDX-License-Identifier: Apache-2.0
// What stands where a broker should, on a free port, and does as a test says.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { NodeWebSocket } from '../../../../clients/javascript/dist/node_websocket.js';

/** Answers with this until the test `t` ends; gives its URL. */
export async function serve(t, onRequest, onUpgrade = (_, socket) => socket.destroy()) {
    const server = createServer(onRequest);
    const sockets = new Set();
    server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
    });
    server.on('upgrade', onUpgrade);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(async () => {
        server.close();
        sockets.forEach((socket) => socket.destroy());
        await once(server, 'close');
    });
    return `http://127.0.0.1:${server.address().port}`;
}

/** A class of WebSockets that never see a network: `begin(socket)` says what happens to each, and
 * `hear(socket, frame)` what is answered. */
export function scripted(begin, hear = () => {}) {
    return class {
        static sendsHeaders = NodeWebSocket.sendsHeaders;

        constructor() {
            setImmediate(() => {
                if (this.onopen) { // else the client has closed it meanwhile
                    begin(this);
                }
            });
        }

        send(text) {
            hear(this, JSON.parse(text));
        }

        close() {}
    };
}
