// SPDX-License-Identifier: Apache-2.0
// A guard in front of the broker that verifies tokens, as a broker with credentials does: 401
// without a good one, tickets for browsers, and WebSockets closed with 4001 when theirs expires.
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

const SECRET = randomUUID();
const CLOSE_4001 = Buffer.from([0x88, 2, 4001 >> 8, 4001 & 0xff]);
const encode = (value) => Buffer.from(value).toString('base64url');
const sign = (text) => createHmac('sha256', SECRET).update(text).digest('base64url');

/** A JWT that is good for so long. */
export function tokenFor(ms) {
    const claims = { sub: 'alice', jti: randomUUID(), exp: (Date.now() + ms) / 1000 };
    const text = `${encode('{"alg":"HS256"}')}.${encode(JSON.stringify(claims))}`;
    return `${text}.${sign(text)}`;
}

/** When it expires; 0 where it is none of ours. */
function expiryOf(token) {
    const [head, claims, signature] = (token ?? '').split('.');
    const isOurs = signature === sign(`${head}.${claims}`);
    return isOurs ? 1000 * JSON.parse(Buffer.from(claims, 'base64url')).exp : 0;
}

/** What the guard answers for is no business of the broker's: the token, and whose page it is. */
function withoutPage(headers) {
    const hidden = new Set(['authorization', 'origin', 'sec-fetch-site']);
    return Object.fromEntries(Object.entries(headers).filter(([name]) => !hidden.has(name)));
}

/** Knows where the frames of a server end, so that one of ours does not go between. */
class FrameCounter {
    #left = 0;
    #head = Buffer.alloc(0);

    /** Takes what comes; true where it ends with a whole frame. */
    take(bytes) {
        while (bytes.length > 0) {
            if (this.#left > 0) {
                const part = Math.min(this.#left, bytes.length);
                this.#left -= part;
                bytes = bytes.subarray(part);
                continue;
            }
            this.#head = Buffer.concat([this.#head, bytes.subarray(0, 1)]);
            bytes = bytes.subarray(1);
            const short = this.#head[1];
            const size = { 126: 4, 127: 10 }[short] ?? 2;
            if (this.#head.length === size) {
                this.#left = size === 2 ? short
                    : size === 4 ? this.#head.readUInt16BE(2)
                    : Number(this.#head.readBigUInt64BE(2));
                this.#head = Buffer.alloc(0);
            }
        }
        return this.#left === 0 && this.#head.length === 0;
    }
}

export class Guard {
    #server;
    #broker;
    #tickets = new Map(); // ticket -> when its token expires
    #sockets = new Set();
    /** How tokens came: authorization, access_token, ticket. */
    seen = new Set();
    counts = { expired: 0, refused: 0 };
    /** Tickets are for brokers that have them. */
    givesTickets = false;
    /** So long is a token of /fresh good, which a page asks for when it needs one. */
    freshMs = 2000;

    static async start(t, broker) {
        const guard = new Guard();
        guard.#broker = broker;
        guard.#server = createServer((message, answer) => guard.#onRequest(message, answer));
        guard.#server.on('upgrade', (message, socket) => guard.#onUpgrade(message, socket));
        guard.#server.listen(0, '127.0.0.1');
        await once(guard.#server, 'listening');
        t.after(async () => {
            guard.#server.close();
            guard.#server.closeAllConnections();
            guard.#sockets.forEach((socket) => socket.destroy());
            await once(guard.#server, 'close');
        });
        return guard;
    }

    get url() {
        return `http://127.0.0.1:${this.#server.address().port}`;
    }

    #expiryOf(message) {
        const query = new URL(message.url, this.url).searchParams;
        const [, bearer] = (message.headers.authorization ?? '').split(' ');
        const ticket = query.get('ticket');
        const ways = { authorization: bearer, access_token: query.get('access_token'), ticket };
        for (const [way, value] of Object.entries(ways)) {
            if (value) {
                this.seen.add(way);
            }
        }
        if (ticket) {
            const expiry = this.#tickets.get(ticket) ?? 0;
            this.#tickets.delete(ticket); // good for one use
            return expiry;
        }
        return expiryOf(bearer ?? ways.access_token);
    }

    #onRequest(message, answer) {
        const cors = {
            'Access-Control-Allow-Origin': message.headers.origin ?? '*',
            'Access-Control-Allow-Headers': 'authorization, content-type, idempotency-key',
        };
        const expiry = this.#expiryOf(message);
        if (message.url === '/fresh') {
            answer.writeHead(200, cors).end(tokenFor(this.freshMs));
        } else if (message.method === 'OPTIONS') {
            answer.writeHead(204, cors).end();
        } else if (expiry <= Date.now()) {
            this.counts.refused += 1;
            const problem = { type: '/problems/unauthorized', detail: 'a token is needed' };
            const headers = { ...cors, 'Content-Type': 'application/problem+json' };
            answer.writeHead(401, headers).end(JSON.stringify(problem));
        } else if (message.url === '/token' && this.givesTickets) {
            const ticket = randomUUID();
            this.#tickets.set(ticket, expiry);
            answer.writeHead(200, cors).end(JSON.stringify({ ticket }));
        } else if (message.url === '/token') { // those of the broker itself mean nothing here
            answer.writeHead(501, cors).end();
        } else {
            this.#pass(message, answer, cors);
        }
    }

    #pass(message, answer, cors) {
        const headers = withoutPage(message.headers);
        const { port } = this.#broker;
        const { method, url: path } = message;
        const onward = request({ host: '127.0.0.1', port, path, method, headers }, (reply) => {
            answer.writeHead(reply.statusCode, { ...reply.headers, ...cors });
            reply.pipe(answer);
        });
        onward.on('error', () => answer.destroy());
        answer.on('close', () => onward.destroy());
        message.pipe(onward);
    }

    #onUpgrade(message, client) {
        const leftMs = this.#expiryOf(message) - Date.now();
        client.on('error', () => {});
        if (leftMs <= 0) {
            this.counts.refused += 1;
            client.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
            return;
        }
        const broker = connect(this.#broker.port, '127.0.0.1');
        const head = Object.entries(withoutPage(message.headers)).map(
            ([name, value]) => `${name}: ${value}\r\n`);
        broker.write(`GET /stream HTTP/1.1\r\n${head.join('')}\r\n`);
        this.#join(client, broker, leftMs);
    }

    #join(client, broker, leftMs) {
        const counter = new FrameCounter();
        let head = '';
        let isWhole = true;
        let isExpired = false;
        const end = () => {
            if (isExpired && isWhole) {
                this.counts.expired += 1;
                client.end(CLOSE_4001);
                broker.destroy();
            }
        };
        const expiry = setTimeout(() => {
            isExpired = true;
            end();
        }, leftMs);
        for (const socket of [client, broker]) {
            this.#sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => {
                clearTimeout(expiry);
                this.#sockets.delete(socket);
                (socket === client ? broker : client).destroy();
            });
        }
        client.on('data', (bytes) => broker.write(bytes));
        broker.on('data', (bytes) => {
            client.write(bytes);
            if (!head.endsWith('\r\n\r\n')) {
                const text = head + bytes.toString('latin1');
                const length = text.indexOf('\r\n\r\n') + 4;
                if (length < 4) {
                    head = text;
                    return;
                }
                bytes = Buffer.from(text.slice(length), 'latin1');
                head = text.slice(0, length);
            }
            isWhole = counter.take(bytes);
            end();
        });
    }
}
