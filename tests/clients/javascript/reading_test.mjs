// SPDX-License-Identifier: Apache-2.0
// What a program reads and writes by the client, with the network in order.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { Broker } from './harness/broker.mjs';
import { TidingsError, connect, freshChannel } from './harness/client.mjs';
import { Proxy } from './harness/proxy.mjs';
import { Reader, until } from './harness/reader.mjs';

let broker;
before(async (t) => {
    broker = await Broker.start(t);
});

for (const transport of ['websocket', 'sse']) {
    test(`a reader gets what is published, over ${transport}`, async (t) => {
        const client = connect(t, broker.url, { transport });
        const channel = client.channel(freshChannel());
        const reader = new Reader(client, channel.name);
        await reader.subscription.ready;
        const told = await channel.publish({ score: '40-15' }, {
            event: 'point', key: 'court-1', headers: { umpire: 'Zoë' },
        });
        await reader.has(1);
        const [message] = reader.messages;
        assert.deepEqual(told, { channel: channel.name, offset: 1, id: message.id });
        assert.deepEqual(message.data, { score: '40-15' });
        assert.deepEqual([message.event, message.key, message.headers.umpire],
            ['point', 'court-1', 'Zoë']);
        assert.equal(message.channel, channel.name);
        assert.equal(reader.subscription.id, message.id);
        assert.equal(client.transport, transport);
    });

    test(`binary data comes back as bytes, and text as text, over ${transport}`, async (t) => {
        const client = connect(t, broker.url, { transport });
        const channel = client.channel(freshChannel());
        const reader = new Reader(client, channel.name, { since: 'earliest' });
        const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 251);
        await channel.publish(bytes);
        await channel.publish(bytes.buffer.slice(0, 3), { type: 'image/png' });
        await channel.publish('1 < 2\r\nü', { type: 'text/plain' });
        await channel.publish(null);
        await reader.has(4);
        assert.deepEqual(reader.messages[0].data, bytes);
        assert.deepEqual(reader.messages[1].data, bytes.slice(0, 3));
        assert.equal(reader.messages[1].type, 'image/png');
        assert.deepEqual(reader.data.slice(2), ['1 < 2\r\nü', null]);
    });

    test(`a pattern reads many channels, and an id resumes it, over ${transport}`, async (t) => {
        const client = connect(t, broker.url, { transport });
        const base = freshChannel();
        await client.publish(['a', 'b', 'a/deep', 'c'].map((name, data) =>
            ({ channel: `${base}/${name}`, data })));
        const one = new Reader(client, `${base}/*`, { since: 'earliest' });
        const all = new Reader(client, `${base}/**`, { since: 'earliest' });
        await Promise.all([one.has(3), all.has(4)]);
        assert.deepEqual([one.data, all.data], [[0, 1, 3], [0, 1, 2, 3]]);
        const rest = new Reader(client, `${base}/**`, { since: all.messages[1].id });
        await rest.has(2);
        assert.deepEqual(rest.data, [2, 3]);
    });

    test(`a limit ends a subscription, and the connection with the last, over ${transport}`,
        async (t) => {
            const client = connect(t, broker.url, { transport });
            const name = freshChannel();
            await broker.publishNumbers(name, 1, 10);
            const reader = new Reader(client, name, { since: 'earliest', limit: 3 });
            await until(() => reader.subscription.state === 'ended');
            assert.deepEqual(reader.data, [1, 2, 3]);
            await until(() => client.state === 'idle');
        });

    test(`a gap is told, over ${transport}`, async (t) => {
        const small = await Broker.start(t, {
            config: 'channels: [ { match: "**", history: { messages: 5 } } ]\n',
        });
        const client = connect(t, small.url, { transport });
        await small.publishNumbers('a', 1, 20);
        const reader = new Reader(client, 'a', { since: 2 });
        await reader.has(5);
        assert.deepEqual(reader.data, [16, 17, 18, 19, 20]);
        assert.equal(reader.gaps.length, 1);
        const { from, to, reason } = reader.gaps[0];
        assert.deepEqual([from, to, reason], [3, 15, 'expired']);
    });

    test(`what the broker refuses ends one subscription and no other, over ${transport}`,
        async (t) => {
            const client = connect(t, broker.url, { transport });
            const name = freshChannel();
            const good = new Reader(client, name, { since: 'earliest' });
            const bad = new Reader(client, 'a/+/b', {});
            const since = new Reader(client, name, { since: 'yesterday' });
            await until(() => bad.errors.length > 0 && since.errors.length > 0);
            assert.ok(bad.errors[0] instanceof TidingsError);
            assert.equal(bad.errors[0].code, 'bad-channel');
            assert.equal(since.errors[0].code, 'bad-since');
            await assert.rejects(bad.subscription.ready, { code: 'bad-channel' });
            await client.channel(name).publish(1);
            await good.has(1);
            assert.equal(good.subscription.state, 'live');
        });

    test(`after unsubscribe() nothing comes, over ${transport}`, async (t) => {
        const client = connect(t, broker.url, { transport });
        const name = freshChannel();
        const [first, second] = [new Reader(client, name), new Reader(client, name)];
        await Promise.all([first.subscription.ready, second.subscription.ready]);
        first.subscription.unsubscribe();
        await client.channel(name).publish(1);
        await second.has(1);
        await client.channel(name).publish(2);
        await second.has(2);
        assert.deepEqual(first.data, []);
        assert.equal(first.subscription.state, 'ended');
    });
}

test('many subscriptions share one connection, that begins and ends with them', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const client = connect(t, proxy.url);
    assert.equal(client.state, 'idle');
    const base = freshChannel();
    const readers = Array.from({ length: 50 }, (_, index) =>
        new Reader(client, `${base}/${index}`, { since: 'earliest' }));
    await broker.publishNumbers(`${base}/49`, 1, 3);
    await readers[49].has(3);
    assert.deepEqual(proxy.counts, { connections: 1, upgrades: 1, posts: 0 });
    readers.forEach((reader) => reader.subscription.unsubscribe());
    await until(() => client.state === 'idle' && proxy.open === 0);
});

test('one that leaves and comes back at once keeps the connection', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const client = connect(t, proxy.url);
    const name = freshChannel();
    const first = new Reader(client, name, { since: 'earliest' });
    await first.subscription.ready;
    first.subscription.unsubscribe();
    const second = new Reader(client, name, { since: 'earliest' });
    await client.channel(name).publish(1);
    await second.has(1);
    assert.equal(proxy.counts.upgrades, 1);
});

test('an async loop reads all there is, in order, however slow it is', async (t) => {
    const client = connect(t, broker.url);
    const name = freshChannel();
    await broker.publishNumbers(name, 1, 5000);
    const own = client.channel(name).messages({ since: 'earliest', limit: 5000, buffer: 16 });
    const got = [];
    for await (const message of own) {
        got.push(message.data);
        if (got.length % 100 === 0) {
            await new Promise((done) => setTimeout(done));
        }
    }
    assert.deepEqual(got, Array.from({ length: 5000 }, (_, index) => index + 1));
});

test('a loop that does not take reads no further than its buffer', async (t) => {
    const client = connect(t, broker.url);
    const name = freshChannel();
    await broker.publishNumbers(name, 1, 5000);
    const loop = client.channel(name).messages({ since: 'earliest', buffer: 8 });
    const canary = new Reader(client, freshChannel(), { since: 'earliest' });
    assert.equal((await loop.next()).value.data, 1);
    await client.channel(canary.subscription.name).publish('later');
    await canary.has(1);
    const [reading] = [...client.subscriptions];
    await until(() => reading.isPaused);
    const stood = reading.id;
    await client.channel(canary.subscription.name).publish('later still');
    await canary.has(2);
    assert.equal(reading.id, stood);
    for (let next = 2; next <= 100; next++) {
        assert.equal((await loop.next()).value.data, next);
    }
    await loop.return();
    assert.equal(reading.state, 'ended');
});

test('a loop ends when it is told to, and throws what ended it', async (t) => {
    const client = connect(t, broker.url);
    const abort = new AbortController();
    const name = freshChannel();
    await broker.publishNumbers(name, 1, 2);
    const got = [];
    const messages = client.channel(name).messages({ since: 'earliest', signal: abort.signal });
    for await (const message of messages) {
        got.push(message.data);
        if (message.data === 2) {
            abort.abort();
        }
    }
    assert.deepEqual(got, [1, 2]);
    await assert.rejects(client.channel('a/+').messages().next(), { code: 'bad-channel' });
});

test('a loop that was never begun can be ended', async (t) => {
    const client = connect(t, broker.url);
    const messages = client.channel(freshChannel()).messages();
    await messages.return();
    await until(() => client.state === 'idle');
    assert.deepEqual([...client.subscriptions], []);
});

test('a loop is told of a gap where it stands', async (t) => {
    const small = await Broker.start(t, {
        config: 'channels: [ { match: "**", history: { messages: 3 } } ]\n',
    });
    await small.publishNumbers('a', 1, 9);
    const client = connect(t, small.url);
    const told = [];
    const onGap = (gap) => told.push(`gap ${gap.from} to ${gap.to}`);
    for await (const message of client.channel('a').messages({ since: 0, onGap, limit: 3 })) {
        told.push(message.data);
    }
    assert.deepEqual(told, ['gap 1 to 6', 7, 8, 9]);
});

test('a gap that nobody waits for is told by the client', async (t) => {
    const client = connect(t, broker.url);
    const name = freshChannel();
    const gaps = [];
    client.on('gap', (gap, subscription) => gaps.push([gap.reason, subscription.name]));
    client.channel(name).subscribe(() => {}, { since: 17 });
    await until(() => gaps.length > 0);
    assert.deepEqual(gaps, [['ahead', name]]);
});

test('history is a page, and pages follow each other to the head', async (t) => {
    const client = connect(t, broker.url);
    const channel = client.channel(freshChannel());
    await broker.publishNumbers(channel.name, 1, 2500);
    const newest = await channel.history({ limit: 2 });
    assert.deepEqual(newest.messages.map((message) => message.data), [2499, 2500]);
    assert.deepEqual([newest.first, newest.last, newest.at_head], [1, 2500, true]);
    const before = await channel.history({ before: newest.prev, limit: 2 });
    assert.deepEqual(before.messages.map((message) => message.data), [2497, 2498]);
    const all = [];
    for await (const page of channel.pages({ limit: 1000 })) {
        all.push(...page.messages.map((message) => message.data));
    }
    assert.deepEqual(all, Array.from({ length: 2500 }, (_, index) => index + 1));
    await assert.rejects(channel.history({ since: 'yesterday' }), {
        name: 'TidingsError', code: 'bad-since', status: 400,
    });
});

test('a channel whose name is hard for a URL is written and read', async (t) => {
    const client = connect(t, broker.url);
    for (const name of ['a//b', '/a', '..', 'ä/ö?ü#%41&x=1']) {
        const own = client.channel(name.replace('#', ''));
        const { offset } = await own.publish(name);
        const page = await own.history({ since: offset - 1 });
        assert.deepEqual(page.messages.map((message) => message.data), [name]);
    }
});

test('an error says what is to blame', async (t) => {
    const client = connect(t, broker.url);
    await assert.rejects(client.channel('a/*').publish(1), {
        name: 'TidingsError', code: 'bad-channel', status: 400, field: '[0].channel',
    });
    await assert.rejects(client.channel('a').publish(undefined), TypeError);
    await assert.rejects(client.channel('a').publish(1, { idempotencyKey: '' }), { status: 400 });
    client.close();
    assert.throws(() => client.channel('a').subscribe(() => {}), { code: 'closed' });
    assert.equal(client.state, 'closed');
});

test("an error of the caller's own code is the caller's, and harms no other", async () => {
    const program = `
        import { Tidings } from '${import.meta.resolve('./harness/client.mjs')}';
        const client = new Tidings('${broker.url}');
        const channel = client.channel('${freshChannel()}');
        process.on('uncaughtException', (error) => {
            console.log('uncaught:', error.message);
            client.close();
        });
        channel.subscribe(() => { throw new Error('of the caller'); });
        const other = channel.subscribe(({ data }) => console.log('got:', data));
        await other.ready;
        await channel.publish(1);`;
    const { stdout } = await promisify(execFile)(
        process.execPath, ['--input-type=module', '-e', program], { timeout: 120_000 });
    assert.deepEqual(stdout.trim().split('\n').sort(), ['got: 1', 'uncaught: of the caller']);
});
