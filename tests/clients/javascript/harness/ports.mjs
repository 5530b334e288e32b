// SPDX-License-Identifier: Apache-2.0
// Ports that a test keeps over an end and a start. They stand below those that the kernel gives to
// clients and to port 0, and a name of the kernel says to other processes that one is taken, also
// while nobody listens there. The kernel forgets the name when the process ends.
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 12_000; // below those of tests/harness/ports.py
const END = 20_000;
const names = []; // of ports that are taken

/** Who listens there now; null where somebody else does. */
function listenAt(where) {
    return new Promise((done) => {
        const server = createServer();
        server.once('error', () => done(null));
        server.listen(where, () => done(server));
    });
}

async function isFree(port) {
    const probe = await listenAt({ port, host: '127.0.0.1' });
    if (probe) {
        probe.close();
        await once(probe, 'close');
    }
    return probe !== null;
}

export async function takePort() {
    for (;;) {
        const port = FIRST + Math.floor(Math.random() * (END - FIRST));
        const name = await listenAt({ path: `\0tidings-test-port-${port}` });
        if (name && await isFree(port)) {
            name.unref();
            names.push(name);
            return port;
        }
        name?.close();
    }
}
