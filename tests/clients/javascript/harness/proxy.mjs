// SPDX-License-Identifier: Apache-2.0
// The network between a client and the broker, on a free port, and the ways in which it fails.
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { takePort } from './ports.mjs';

const UPGRADE = /^GET [^\r]*\r\n(?:[^\r]+\r\n)*upgrade: *websocket/i;
const REFUSED = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

export class Proxy {
    #server;
    #broker;
    #pairs = new Set();
    port = 0;
    refusesUpgrades = false;
    /** Keeps so many answers to a POST to itself, and cuts the connection instead. */
    answersToLose = 0;
    /** Answers so many POSTs by itself, with this. */
    refusals = [];
    counts = { connections: 0, upgrades: 0, posts: 0 };
    #isBlack = false;

    static async start(t, broker) {
        const proxy = new Proxy();
        proxy.#broker = broker;
        proxy.port = await takePort();
        await proxy.up();
        t.after(() => proxy.down());
        return proxy;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get open() {
        return this.#pairs.size;
    }

    async up() {
        this.#server = createServer((socket) => this.#accept(socket));
        this.#server.listen(this.port, '127.0.0.1');
        await once(this.#server, 'listening');
        this.port = this.#server.address().port;
    }

    /** Ends all that goes through, without a word. */
    cut() {
        for (const pair of this.#pairs) {
            pair.forEach((socket) => socket.destroy());
        }
    }

    async down() {
        if (this.#server.listening) {
            this.#server.close();
            this.cut();
            await once(this.#server, 'close');
        }
    }

    /** Takes what comes and hands nothing on, so that both sides think that they are connected. */
    setBlackHole(isBlack) {
        this.#isBlack = isBlack;
    }

    #accept(client) {
        const broker = connect(this.#broker.port, '127.0.0.1');
        const pair = [client, broker];
        let isPost = false;
        this.counts.connections += 1;
        this.#pairs.add(pair);
        for (const socket of pair) {
            socket.on('error', () => {});
            socket.on('close', () => {
                this.#pairs.delete(pair);
                pair.forEach((other) => other.destroy());
            });
        }
        client.on('data', (bytes) => {
            const head = bytes.toString('latin1');
            if (this.#isBlack) {
                return;
            }
            if (UPGRADE.test(head)) {
                this.counts.upgrades += 1;
                if (this.refusesUpgrades) {
                    client.end(REFUSED);
                    return;
                }
            }
            if (head.startsWith('POST ')) {
                isPost = true;
                this.counts.posts += 1;
                if (this.refusals.length > 0) {
                    client.end(this.refusals.shift());
                    return;
                }
            }
            broker.write(bytes);
        });
        broker.on('data', (bytes) => {
            if (this.#isBlack) {
                return;
            }
            if (isPost && this.answersToLose > 0) {
                this.answersToLose -= 1;
                client.destroy();
                return;
            }
            isPost = false;
            client.write(bytes);
        });
    }
}
