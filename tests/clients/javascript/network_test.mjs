// SPDX-License-Identifier: Apache-2.0
// Each message once and in order, and published once, whatever happens to the network, to the
// broker and to the token.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Broker } from './harness/broker.mjs';
import { HASTY, connect, freshChannel } from './harness/client.mjs';
import { publishAmidCuts } from './harness/cuts.mjs';
import { Guard, tokenFor } from './harness/guard.mjs';
import { Proxy } from './harness/proxy.mjs';
import { Reader, until } from './harness/reader.mjs';

let broker;
before(async (t) => {
    broker = await Broker.start(t);
});

const isUp = (client) => until(() => client.state === 'open', () => `open (${client.state})`);

for (const transport of ['websocket', 'sse']) {
    test(`a reader outlives a network that is cut, over ${transport}`, async (t) => {
        const proxy = await Proxy.start(t, broker);
        const client = connect(t, proxy.url, { transport });
        const name = freshChannel();
        const reader = new Reader(client, name);
        await reader.subscription.ready;
        await broker.publishNumbers(name, 1, 10);
        await reader.has(10);
        await proxy.down();
        await until(() => client.state === 'waiting');
        await broker.publishNumbers(name, 11, 10);
        await proxy.up();
        await reader.has(20);
        await broker.publishNumbers(name, 21, 1);
        await reader.has(21);
        reader.hasCounted(21);
        assert.deepEqual(reader.states.slice(0, 3), ['live', 'waiting', 'live']);
    });

    test(`a network that swallows everything is noticed, over ${transport}`, async (t) => {
        const proxy = await Proxy.start(t, broker);
        const client = connect(t, proxy.url, { transport, silenceMs: 300, answerMs: 300 });
        const name = freshChannel();
        const reader = new Reader(client, name, { since: 'earliest' });
        await broker.publishNumbers(name, 1, 1);
        await reader.has(1);
        proxy.setBlackHole(true);
        await until(() => client.state !== 'open');
        await broker.publishNumbers(name, 2, 1);
        proxy.setBlackHole(false);
        await reader.has(2);
        reader.hasCounted(2);
    });

    for (const signal of ['SIGTERM', 'SIGKILL']) {
        test(`a reader outlives a broker ended by ${signal}, over ${transport}`, async (t) => {
            const own = await Broker.start(t);
            const client = connect(t, own.url, { transport });
            const reader = new Reader(client, 'a/*', { since: 'earliest' });
            const onward = new Reader(client, 'b');
            await onward.subscription.ready;
            await own.publishNumbers('a/1', 1, 100);
            await reader.has(100);
            await own.restart(signal);
            await own.publishNumbers('a/1', 101, 100);
            await own.publishNumbers('b', 1, 1);
            await Promise.all([reader.has(200), onward.has(1)]);
            reader.hasCounted(200);
            onward.hasCounted(1);
        });
    }

    test(`messages come once and in order over a network cut at random, over ${transport}`,
        async (t) => {
            const plan = transport === 'websocket' ? { count: 10_000, cuts: 100, seed: 2012 }
                : { count: 2000, cuts: 25, seed: 2013 };
            const proxy = await Proxy.start(t, broker);
            const client = connect(t, proxy.url, { transport });
            const name = freshChannel();
            const reader = new Reader(client, name, { since: 'earliest' });
            const pattern = new Reader(client, `${name}/**`, { since: 'earliest' });
            let losses = 0;
            client.on('state', (state) => {
                losses += state === 'waiting';
            });
            await publishAmidCuts(broker, name, plan, async (published) => {
                // Each in the middle of something, where there is something.
                const before = reader.messages.length;
                await until(() => client.state === 'open' &&
                    (reader.messages.length > before || before === published));
                const lost = losses;
                proxy.cut();
                await until(() => losses > lost);
            });
            const { count, cuts } = plan;
            await Promise.all([reader.has(count), pattern.has(count)]);
            reader.hasCounted(count);
            pattern.hasCounted(count);
            assert.ok(losses >= cuts, `${losses} losses`);
        });
}

test('a publish whose answer is lost is stored once', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const client = connect(t, proxy.url);
    const channel = client.channel(freshChannel());
    proxy.answersToLose = 3;
    const told = await channel.publish('once');
    const page = await channel.history();
    assert.deepEqual(page.messages.map(({ offset, data }) => [offset, data]), [[1, 'once']]);
    assert.equal(told.id, page.messages[0].id);
    assert.ok(proxy.counts.posts >= 4, `${proxy.counts.posts} tries`);
});

test('a publish waits as long as the broker asks, and outlives its restart', async (t) => {
    const own = await Broker.start(t);
    const proxy = await Proxy.start(t, own);
    const client = connect(t, proxy.url);
    const busy = (status, headers = '') => `HTTP/1.1 ${status} x\r\n${headers}` +
        'Content-Length: 0\r\nConnection: close\r\n\r\n';
    proxy.refusals = [busy(503, 'Retry-After: 1\r\n'), busy(429), busy(502)];
    const started = performance.now(); // no clock that may be set
    await client.channel('a').publish(1);
    assert.ok(performance.now() - started >= 999, 'Retry-After: 1 is a second');
    assert.equal(proxy.counts.posts, 4);
    await own.stop('SIGKILL');
    const publishing = client.channel('a').publish(2);
    await own.start();
    assert.equal((await publishing).offset, 2);
});

test('a question that nobody answers is an error, or the end that it was given', async (t) => {
    const proxy = await Proxy.start(t, broker);
    proxy.setBlackHole(true);
    const client = connect(t, proxy.url, { answerMs: 50 });
    await assert.rejects(client.channel('a').history(), {
        name: 'TidingsError', code: 'unreachable', detail: 'no answer',
    });
    const signal = AbortSignal.timeout(10);
    await assert.rejects(client.channel('a').history({ signal }), { name: 'TimeoutError' });
});

test('where nobody listens, that is said', async (t) => {
    const proxy = await Proxy.start(t, broker);
    await proxy.down();
    await assert.rejects(connect(t, proxy.url).channel('a').history(), {
        code: 'unreachable', detail: /ECONNREFUSED/,
    });
});

test('a publish that nobody takes is given up in the end, or when told to', async (t) => {
    const proxy = await Proxy.start(t, broker);
    await proxy.down();
    const client = connect(t, proxy.url, { publishMs: 200 });
    await assert.rejects(client.channel('a').publish(1), { code: 'unreachable' });
    const patient = connect(t, proxy.url);
    const abort = new AbortController();
    const publishing = patient.channel('a').publish(1, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(publishing, { message: 'enough' });
});

test('the same key with the same message is one publish, with another is refused', async (t) => {
    const client = connect(t, broker.url);
    const channel = client.channel(freshChannel());
    const options = { idempotencyKey: `order-${process.pid}` };
    const first = await channel.publish({ n: 1 }, options);
    assert.deepEqual(await channel.publish({ n: 1 }, options), first);
    await assert.rejects(channel.publish({ n: 2 }, options), {
        code: 'unprocessable', status: 422,
    });
});

test('where WebSockets are refused it reads event streams, and later tries again', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const client = connect(t, proxy.url, { webSocketAgainMs: 500 });
    const name = freshChannel();
    proxy.refusesUpgrades = true;
    let refused; // until it read events: the next time may be here before they are all read
    client.on('state', (state, { reason }) => {
        if (state === 'open' && reason === 'sse') {
            refused ??= proxy.counts.upgrades;
        }
    });
    const reader = new Reader(client, name, { since: 'earliest' });
    await broker.publishNumbers(name, 1, 10);
    await reader.has(10);
    assert.equal(refused, 2);
    proxy.refusesUpgrades = false;
    await until(() => {
        if (client.transport === 'sse' && client.state === 'open') {
            proxy.cut(); // not what it is about to open
        }
        return client.transport === 'websocket' && client.state === 'open';
    });
    await broker.publishNumbers(name, 11, 10);
    await reader.has(20);
    reader.hasCounted(20);
});

test('a broker that is down does not make a WebSocket look refused', async (t) => {
    const proxy = await Proxy.start(t, broker);
    await proxy.down();
    const client = connect(t, proxy.url);
    const reader = new Reader(client, freshChannel());
    let tries = 0;
    client.on('state', (state) => {
        tries += state === 'connecting';
    });
    await until(() => tries > 5);
    await proxy.up();
    await reader.subscription.ready;
    assert.equal(client.transport, 'websocket');
});

test('more event streams than may be open take turns, and miss nothing', async (t) => {
    // Counted where the client opens and ends them: the network learns of an end late.
    let open = 0;
    let mostOpen = 0;
    const counted = (url, init) => {
        if (init.headers.get('Accept') === 'text/event-stream' && !init.signal.aborted) {
            open += 1;
            mostOpen = Math.max(mostOpen, open);
            init.signal.addEventListener('abort', () => {
                open -= 1;
            });
        }
        return fetch(url, init);
    };
    const options = { transport: 'sse', streamsMax: 2, turnMs: 100, fetch: counted };
    const client = connect(t, broker.url, options);
    const base = freshChannel();
    const readers = Array.from({ length: 5 }, (_, index) =>
        new Reader(client, `${base}/${index}`, { since: 'earliest' }));
    for (let round = 0; round < 4; round++) {
        for (const { subscription } of readers) {
            await broker.publishNumbers(subscription.name, round * 5 + 1, 5);
        }
        await until(() => readers.every(
            (reader) => reader.messages.length === 5 * (round + 1)));
    }
    readers.forEach((reader) => reader.hasCounted(20));
    assert.equal(mostOpen, 2);
});

for (const transport of ['websocket', 'sse']) {
    test(`a token that expires is replaced and nothing missed, over ${transport}`, async (t) => {
        const guard = await Guard.start(t, broker);
        let asked = 0;
        const token = () => {
            asked += 1;
            return tokenFor(700);
        };
        const client = connect(t, guard.url, { transport, token });
        const channel = client.channel(freshChannel());
        const reader = new Reader(client, channel.name, { since: 'earliest' });
        for (let number = 1; number <= 40; number++) {
            await channel.publish(number);
            await new Promise((done) => setTimeout(done, 50));
        }
        await reader.has(40);
        reader.hasCounted(40);
        assert.ok(asked >= 3, `${asked} tokens`);
        assert.deepEqual([...guard.seen], ['authorization']);
        assert.ok(transport === 'sse' || guard.counts.expired >= 2, `${guard.counts.expired}`);
    });

    test(`a token that is refused is replaced once, then it is an error, over ${transport}`,
        async (t) => {
            const guard = await Guard.start(t, broker);
            const tokens = ['wrong', tokenFor(60_000)];
            const client = connect(t, guard.url, { transport, token: () => tokens.shift() });
            const reader = new Reader(client, freshChannel());
            await reader.subscription.ready;
            const worse = connect(t, guard.url, { transport, token: async () => 'wrong' });
            const refused = new Reader(worse, freshChannel());
            await until(() => refused.errors.length > 0);
            assert.deepEqual([refused.errors[0].code, refused.errors[0].status],
                ['unauthorized', 401]);
            await until(() => worse.state === 'idle');
            await assert.rejects(worse.channel('a').publish(1), { status: 401 });
            const fixed = connect(t, guard.url, { transport, token: 'wrong' });
            await assert.rejects(fixed.channel('a').subscribe(() => {}, { onError() {} }).ready,
                { status: 401 });
        });
}

test('a token goes in a ticket, or in the URL, where headers cannot be sent', async (t) => {
    const guard = await Guard.start(t, broker);
    const { NodeWebSocket } = await import('../../../clients/javascript/dist/node_websocket.js');
    /** As a browser's: it knows no headers. */
    class Bare extends NodeWebSocket {
        static sendsHeaders = false;
        constructor(url, protocols) {
            super(url, protocols);
        }
    }
    for (const givesTickets of [true, false]) {
        guard.givesTickets = givesTickets;
        guard.seen.clear();
        const client = connect(t, guard.url, { WebSocket: Bare, token: tokenFor(60_000) });
        const reader = new Reader(client, freshChannel());
        await reader.subscription.ready;
        assert.deepEqual([...guard.seen],
            ['authorization', givesTickets ? 'ticket' : 'access_token']);
    }
});

test('an open WebSocket is sent the fresh token before the old one expires', async (t) => {
    const { NodeWebSocket } = await import('../../../clients/javascript/dist/node_websocket.js');
    const auths = [];
    class Observed extends NodeWebSocket {
        send(text) {
            auths.push(...[JSON.parse(text).auth].filter(Boolean));
            super.send(text);
        }
    }
    const tokens = [tokenFor(2000), tokenFor(60_000)];
    const given = [...tokens];
    const client = connect(t, broker.url, { WebSocket: Observed, token: () => given.shift() });
    const reader = new Reader(client, freshChannel());
    await until(() => auths.length > 0);
    await client.channel(reader.subscription.name).publish(1);
    await reader.has(1);
    assert.deepEqual(auths, [tokens[1]]);
    assert.deepEqual(reader.states, ['live']); // a broker that knows no `auth` harms nothing
});

test('tries are spread over a bound that doubles, and start over when it held', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const client = connect(t, proxy.url, { ...HASTY, retryBaseMs: 10, retryCapMs: 80 });
    const waits = [];
    client.on('state', (state, detail) => {
        if (state === 'waiting') {
            waits.push(detail);
        }
    });
    const reader = new Reader(client, freshChannel());
    await reader.subscription.ready;
    await proxy.down();
    await until(() => waits.length >= 6);
    waits.slice(0, 6).forEach(({ attempt, delayMs }, index) => {
        assert.equal(attempt, index + 1);
        assert.ok(delayMs <= Math.min(80, 10 * 2 ** index), `${delayMs} at ${index}`);
    });
    await proxy.up();
    await isUp(client);
    waits.length = 0;
    proxy.cut();
    await until(() => waits.length > 0);
    assert.equal(waits[0].attempt, 1);
});
