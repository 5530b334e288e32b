// SPDX-License-Identifier: Apache-2.0
// Ports that a test keeps over an end and a start. They stand below those that the kernel gives to
// clients and to port 0, and each process has its own, so that nobody takes one in between.
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 12_000;
const EACH = 100; // of a process
const PROCESSES = 80; // whose numbers follow each other

let taken = 0;

function isFree(port) {
    return new Promise((done) => {
        const probe = createServer();
        probe.once('error', () => done(false));
        probe.listen(port, '127.0.0.1', async () => {
            probe.close();
            await once(probe, 'close');
            done(true);
        });
    });
}

export async function takePort() {
    for (;;) {
        const port = FIRST + (process.pid % PROCESSES) * EACH + (taken % EACH);
        taken += 1;
        if (await isFree(port)) {
            return port;
        }
    }
}
