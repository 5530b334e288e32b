// SPDX-License-Identifier: Apache-2.0
// The real broker as a process on free ports. It keeps its ports and its data over a restart.
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnChild } from './child.mjs';
import { takePort } from './ports.mjs';

const ROOT = resolve(import.meta.dirname, '../../../..');
const BAD_WORDS = /Sanitizer|runtime error:|INVARIANT_BROKEN/;

/** $TIDINGS_BINARY, else the newest build under the root. */
async function findBinary() {
    if (process.env.TIDINGS_BINARY) {
        return resolve(process.env.TIDINGS_BINARY);
    }
    const built = [];
    for (const folder of await readdir(ROOT)) {
        const path = join(ROOT, folder, 'tidings');
        const found = folder.startsWith('build') && (await stat(path).catch(() => null));
        if (found) {
            built.push({ path, changed: found.mtimeMs });
        }
    }
    built.sort((one, other) => other.changed - one.changed);
    return built[0].path;
}

export class Broker {
    #binary;
    #folder;
    #config;
    #process;
    #logged = [];
    port = 0;
    mqttPort = 0;

    /** Starts one, and ends it with the test `t`. */
    static async start(t, { config } = {}) {
        const broker = new Broker();
        broker.#binary = await findBinary();
        broker.#folder = await mkdtemp(join(tmpdir(), 'tidings-js-'));
        broker.#config = config;
        broker.port = await takePort();
        broker.mqttPort = await takePort();
        t.after(async () => {
            await broker.stop();
            await rm(broker.#folder, { recursive: true });
        });
        await broker.start();
        return broker;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    async start() {
        const listen = ['--listen', `127.0.0.1:${this.port}`, '--operator', '127.0.0.1:0',
            '--mqtt', `127.0.0.1:${this.mqttPort}`];
        const words = ['serve', '--data', join(this.#folder, 'data'), ...listen];
        if (this.#config) {
            const path = join(this.#folder, 'tidings.yaml');
            await writeFile(path, this.#config);
            words.push('--config', path);
        }
        const broker = spawnChild(this.#binary, words, ['ignore', 'pipe', 'pipe']);
        this.#process = broker;
        createInterface(broker.stderr).on('line', (line) => this.#logged.push(line));
        await new Promise((done, fail) => {
            broker.on('exit', () => fail(new Error(this.#logged.join('\n'))));
            createInterface(broker.stdout).on('line', (line) => {
                if (/^\s*mqtt\s+\w+:\/\//.test(line)) {
                    done();
                }
            });
        });
        for (;;) {
            const page = await fetch(`${this.url}/channels/ready`).catch(() => null);
            if (page?.ok) {
                return;
            }
            if (broker.exitCode !== null || broker.signalCode !== null) {
                throw new Error(this.#logged.join('\n'));
            }
        }
    }

    /** The given signal, and its end; a broker that says a word of a sanitizer has failed. */
    async stop(signal = 'SIGTERM') {
        const broker = this.#process;
        if (!broker) {
            return;
        }
        this.#process = undefined;
        const ended = broker.exitCode ?? broker.signalCode; // by itself: no exit comes again
        const code = ended ?? await new Promise((done) => {
            broker.on('exit', done);
            broker.kill(signal);
        });
        const bad = this.#logged.filter((line) => BAD_WORDS.test(line));
        if (bad.length > 0 || (signal === 'SIGTERM' && code !== 0)) {
            throw new Error(`the broker ended with ${code}\n${this.#logged.slice(-40).join('\n')}`);
        }
    }

    async restart(signal) {
        await this.stop(signal);
        await this.start();
    }

    /** Publishes by plain HTTP, all in one batch. */
    async publish(channel, ...values) {
        const answer = await fetch(`${this.url}/channels/${channel}`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/x-ndjson' },
            body: values.map((value) => JSON.stringify(value)).join('\n'),
        });
        if (!answer.ok) {
            throw new Error(await answer.text());
        }
    }

    /** The numbers from `first` on. */
    publishNumbers(channel, first, count) {
        return this.publish(channel, ...Array.from({ length: count }, (_, index) => first + index));
    }
}
