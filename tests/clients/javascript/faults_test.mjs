// SPDX-License-Identifier: Apache-2.0
// What a client does where its caller, its token, the network or the broker does what it should
// not: it never spins, never hangs, and leaves nothing behind.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { request } from 'node:http';
import { before, test } from 'node:test';
import { Broker } from './harness/broker.mjs';
import { connect, freshChannel } from './harness/client.mjs';
import { Guard, tokenFor } from './harness/guard.mjs';
import { Proxy } from './harness/proxy.mjs';
import { Reader, until } from './harness/reader.mjs';
import { scripted, serve } from './harness/server.mjs';

const never = () => new Promise(() => {});

let broker;
before(async (t) => {
    broker = await Broker.start(t);
});

/** The details of each time that it waits. */
function waitsOf(client) {
    const waits = [];
    client.on('state', (state, detail) => {
        if (state === 'waiting') {
            waits.push(detail);
        }
    });
    return waits;
}

test('a subscription made where another ended does not end with it', async (t) => {
    const guard = await Guard.start(t, broker);
    const client = connect(t, guard.url, { token: 'wrong' });
    let ended = 0;
    const subscribe = () => client.channel('a').subscribe(() => {}, {
        onError() {
            ended += 1;
            if (ended < 1000) {
                subscribe();
            }
        },
    });
    subscribe();
    await until(() => ended > 0);
    assert.ok(ended < 1000, `${ended} ended in one go`);
});

for (const transport of ['auto', 'websocket']) {
    test(`tries grow apart where OPTIONS alone is answered, with ${transport}`, async (t) => {
        const url = await serve(t,
            (message, answer) => answer.writeHead(message.method === 'OPTIONS' ? 204 : 502).end(),
            (_, socket) => socket.end('HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n'));
        const client = connect(t, url, { transport, retryBaseMs: 1, retryCapMs: 50 });
        const waits = waitsOf(client);
        client.channel('a').subscribe(() => {});
        await until(() => waits.length >= 9);
        assert.deepEqual(waits.map(({ attempt }) => attempt).slice(0, 9),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        if (transport === 'websocket') {
            waits.forEach(({ delayMs }) => assert.ok(delayMs <= 50, `${delayMs}`));
        }
    });
}

for (const transport of ['websocket', 'sse']) {
    test(`a token that never comes is asked for again, over ${transport}`, async (t) => {
        const guard = await Guard.start(t, broker);
        const answers = [never, never];
        const client = connect(t, guard.url, {
            transport, answerMs: 200, token: () => answers.shift()?.() ?? tokenFor(60_000),
        });
        const reader = new Reader(client, freshChannel());
        await reader.subscription.ready;
        assert.equal(answers.length, 0);
    });
}

test('a publish does not wait for a token beyond its own end', async (t) => {
    const patient = connect(t, broker.url, { token: never });
    const signal = AbortSignal.timeout(10);
    await assert.rejects(patient.channel('a').publish(1, { signal }), { name: 'TimeoutError' });
    const hasty = connect(t, broker.url, { answerMs: 20, publishMs: 100, token: never });
    await assert.rejects(hasty.channel('a').publish(1), {
        code: 'unreachable', detail: 'no answer',
    });
});

test('publishes refused at once ask for one new token', async (t) => {
    const guard = await Guard.start(t, broker);
    let asked = 0;
    const token = async () => {
        asked += 1;
        return asked === 1 ? 'wrong' : tokenFor(60_000);
    };
    // Patient: none is sent again because the machine is busy.
    const client = connect(t, guard.url, { token, answerMs: 120_000 });
    const channel = client.channel(freshChannel());
    await Promise.all(Array.from({ length: 20 }, (_, number) => channel.publish(number)));
    assert.equal(guard.counts.refused, 20);
    assert.equal(asked, 2);
});

test('where the clock is ahead, a fresh token is used, and not asked for each time', async (t) => {
    let asked = 0;
    const token = () => {
        asked += 1;
        return tokenFor(-60_000);
    };
    const client = connect(t, broker.url, { token });
    const reader = new Reader(client, freshChannel());
    await reader.subscription.ready;
    for (let number = 0; number < 5; number++) {
        await client.channel(reader.subscription.name).publish(number);
    }
    assert.equal(asked, 1);
});

test('a publish leaves no listener on the signal it was given', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const busy = 'HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    proxy.refusals = [busy, busy, busy];
    const { signal } = new AbortController();
    await connect(t, proxy.url).channel(freshChannel()).publish(1, { signal });
    assert.equal(proxy.counts.posts, 4);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a loop that is told to end gives nothing more, and leaves no listener', async (t) => {
    const client = connect(t, broker.url);
    const name = freshChannel();
    await broker.publishNumbers(name, 1, 100);
    const abort = new AbortController();
    const { signal } = abort;
    const got = [];
    for await (const message of client.channel(name).messages({ since: 'earliest', signal })) {
        got.push(message.data);
        if (got.length === 10) {
            await client.channel(name).history(); // the rest is here by then
            abort.abort();
        }
    }
    assert.deepEqual(got, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const other = new AbortController().signal;
    await client.channel(name).messages({ signal: other }).return();
    for (const each of [signal, other]) {
        assert.equal(getEventListeners(each, 'abort').length, 0);
    }
});

/** Publishes and reads what takes twice as long as a client waits for what is small. */
async function takeTime(t, scale) {
    const url = await serve(t, (message, answer) => {
        message.resume();
        answer.setHeader('Content-Type', 'application/json');
        if (message.method === 'POST') { // longer than answerMs, and as long as it may take
            setTimeout(() => answer.end('{"results":[{"offset":1}]}'), 600 * scale);
            return;
        }
        answer.write('{"messages":[');
        let left = 10;
        const drops = setInterval(() => {
            answer.write(' ');
            if (--left === 0) {
                clearInterval(drops);
                answer.end('],"at_head":true}');
            }
        }, 60 * scale);
    });
    const ms = 300 * scale;
    const channel = connect(t, url, { answerMs: ms, publishMs: ms }).channel('a');
    assert.equal((await channel.publish('x'.repeat(65536 * scale))).offset, 1);
    assert.equal((await channel.history()).at_head, true);
}

test('what is large may take its time, on the way there and back', async (t) => {
    await takeTime(t, 1)
        .catch(() => takeTime(t, 4)) // a machine that stands still for a moment needs longer ones
        .catch(() => takeTime(t, 16));
});

test('an answer that stops in the middle is an error', async (t) => {
    const url = await serve(t, (_, answer) => answer.write('{"messages":['));
    await assert.rejects(connect(t, url, { answerMs: 50 }).channel('a').history(), {
        code: 'unreachable', detail: 'no answer',
    });
});

test('a message that takes longer than a turn comes, however many take turns', async (t) => {
    const base = freshChannel();
    await broker.publish(`${base}/large`, 'x'.repeat(200_000));
    const { port } = broker;
    const pour = async (reply, answer) => {
        for await (const chunk of reply) {
            for (let at = 0; at < chunk.length && !answer.destroyed; at += 5000) {
                answer.write(chunk.subarray(at, at + 5000));
                await new Promise((done) => setTimeout(done, 20)); // the slow network
            }
        }
    };
    const url = await serve(t, (message, answer) => {
        const { url: path, headers } = message;
        const onward = request({ host: '127.0.0.1', port, path, headers }, (reply) => {
            answer.writeHead(reply.statusCode, reply.headers);
            pour(reply, answer).catch(() => {}); // cut, as a turn does
        });
        onward.on('error', () => answer.destroy());
        onward.end();
        answer.on('close', () => onward.destroy());
    });
    const client = connect(t, url, { transport: 'sse', streamsMax: 2, turnMs: 100 });
    const readers = ['large', 'a', 'b', 'c'].map((name) =>
        new Reader(client, `${base}/${name}`, { since: 'earliest' }));
    await readers[0].has(1);
    await broker.publishNumbers(`${base}/c`, 1, 1); // and the others are not kept from theirs
    await readers[3].has(1);
});

test('an option that is undefined is not given', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const names = ['transport', 'WebSocket', 'fetch', 'answerMs', 'silenceMs', 'retryBaseMs',
        'retryCapMs'];
    const options = Object.fromEntries(names.map((name) => [name, undefined]));
    const client = connect(t, proxy.url, options);
    const waits = waitsOf(client);
    await new Reader(client, freshChannel()).subscription.ready;
    assert.equal(client.transport, 'websocket');
    await proxy.down();
    await until(() => waits.length > 0);
    assert.ok(waits[0].delayMs >= 0 && waits[0].delayMs <= 500, `${waits[0].delayMs}`);
});

test('a frame that makes no sense loses the connection, and no more', async (t) => {
    for (const frame of ['null', 'no JSON', '{"ref":1}']) {
        const WebSocket = scripted((socket) => {
            socket.onopen({});
            socket.onmessage({ data: frame });
        });
        const client = connect(t, broker.url, { transport: 'websocket', WebSocket });
        const waits = waitsOf(client);
        client.channel('a').subscribe(() => {});
        await until(() => waits.length > 0, () => frame);
        assert.ok(waits[0].reason, frame);
        client.close();
    }
});

test('a WebSocket that tells its error, as ws does, ends no process', async (t) => {
    const WebSocket = scripted((socket) => {
        socket.onerror(new Error('ws throws this where nobody listens'));
        socket.onclose({ code: 1006 });
    });
    const client = connect(t, broker.url, { transport: 'websocket', WebSocket });
    const waits = waitsOf(client);
    client.channel('a').subscribe(() => {});
    await until(() => waits.length > 0);
});

test('a subscription is asked for again where the broker is short of something', async (t) => {
    let asked = 0;
    const WebSocket = scripted((socket) => socket.onopen({}), (socket, { ref }) => {
        const error = { code: ['storage-full', 'io', 'internal'][asked++], message: 'x' };
        const answer = error.code ? { ref, error } : { ref, ok: { sub: 1 } };
        setImmediate(() => socket.onmessage?.({ data: JSON.stringify(answer) }));
    });
    const client = connect(t, broker.url, { transport: 'websocket', WebSocket });
    await new Reader(client, 'a').subscription.ready;
    assert.equal(asked, 4);
});

test('a wait that no timer can hold is not none', async (t) => {
    const url = await serve(t, (_, answer) =>
        answer.writeHead(503, { 'Retry-After': '99999999999' }).end());
    const client = connect(t, url, { transport: 'sse' });
    const waits = waitsOf(client);
    client.channel('a').subscribe(() => {});
    await until(() => waits.length > 0);
    assert.ok(waits[0].delayMs > 2 ** 29 && waits[0].delayMs < 2 ** 31, `${waits[0].delayMs}`);
    await assert.rejects(client.channel('a').publish(1), { status: 503 });
});

test('what cannot be published is the error of the caller, at once', async (t) => {
    const channel = connect(t, broker.url).channel(freshChannel());
    for (const [data, options] of [[1, { idempotencyKey: 'заказ-1' }], [new Blob(['x'])],
        [undefined]]) {
        await assert.rejects(channel.publish(data, options), TypeError);
    }
    assert.deepEqual((await channel.history()).messages, []);
});
