// SPDX-License-Identifier: Apache-2.0
// The same promises in Chromium, from a page of another origin than the broker's.
import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import { Broker } from './harness/broker.mjs';
import { Browser } from './harness/browser.mjs';
import { HASTY, freshChannel } from './harness/client.mjs';
import { publishAmidCuts } from './harness/cuts.mjs';
import { Guard } from './harness/guard.mjs';
import { Proxy } from './harness/proxy.mjs';
import { until } from './harness/reader.mjs';

let browser;
let broker;
before(async (t) => {
    browser = await Browser.start(t);
    broker = await Broker.start(t, configuration());
});
beforeEach(() => browser.openClient());

function configuration() {
    return { config: `public: { origins: ["${browser.origin}"] }\n` };
}

/** A client in the page, and a reader of the channel from its first message on. */
function read(url, name, options = {}) {
    return browser.run(async (url, name, options) => {
        const { Reader, Tidings } = globalThis.test;
        const client = new Tidings(url, options);
        globalThis.client = client;
        globalThis.lost = 0;
        client.on('state', (state) => {
            globalThis.lost += state === 'waiting' || state === 'offline';
        });
        globalThis.reader = new Reader(client, name, { since: 'earliest' });
        await globalThis.reader.subscription.ready;
    }, url, name, { ...HASTY, ...options });
}

const has = (count) => browser.run((count) => globalThis.reader.has(count), count);
const hasCounted = (count) => browser.run((count) => globalThis.reader.hasCounted(count), count);
const state = () => browser.run(() => globalThis.client.state);
const transport = () => browser.run(() => globalThis.client.transport);

for (const transport of ['websocket', 'sse']) {
    test(`a page outlives a network that is cut, over ${transport}`, async (t) => {
        const proxy = await Proxy.start(t, broker);
        const name = freshChannel();
        await read(proxy.url, name, { transport });
        await broker.publishNumbers(name, 1, 10);
        await has(10);
        await proxy.down();
        await until(async () => (await state()) === 'waiting');
        await broker.publishNumbers(name, 11, 10);
        await proxy.up();
        await has(20);
        await hasCounted(20);
    });

    for (const signal of ['SIGTERM', 'SIGKILL']) {
        test(`a page outlives a broker ended by ${signal}, over ${transport}`, async (t) => {
            const own = await Broker.start(t, configuration());
            await read(own.url, 'a', { transport });
            await own.publishNumbers('a', 1, 100);
            await has(100);
            await own.restart(signal);
            await own.publishNumbers('a', 101, 100);
            await has(200);
            await hasCounted(200);
        });
    }

    test(`messages come once and in order over a network cut at random, over ${transport}`,
        async (t) => {
            const plan = transport === 'websocket' ? { count: 10_000, cuts: 100, seed: 2014 }
                : { count: 1000, cuts: 10, seed: 2015 };
            const proxy = await Proxy.start(t, broker);
            const name = freshChannel();
            await read(proxy.url, name, { transport });
            await publishAmidCuts(broker, name, plan, async () => {
                const lost = await browser.run(async () => {
                    await globalThis.test.until(() => globalThis.client.state === 'open');
                    return globalThis.lost;
                });
                proxy.cut();
                await browser.run((lost) => globalThis.test.until(
                    () => globalThis.lost > lost), lost);
            });
            const { count, cuts } = plan;
            await has(count);
            await hasCounted(count);
            assert.ok(await browser.run(() => globalThis.lost) >= cuts);
        });
}

test('a page whose network swallows everything notices', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const name = freshChannel();
    await read(proxy.url, name, { silenceMs: 300, answerMs: 300 });
    await broker.publishNumbers(name, 1, 1);
    await has(1);
    proxy.setBlackHole(true);
    await until(async () => (await state()) !== 'open');
    await broker.publishNumbers(name, 2, 1);
    proxy.setBlackHole(false);
    await has(2);
    await hasCounted(2);
});

test('a page that is offline comes back as soon as it is online', async (t) => {
    const proxy = await Proxy.start(t, broker);
    const name = freshChannel();
    const hour = 3_600_000; // so that nothing but the event brings it back
    await read(proxy.url, name, { retryBaseMs: hour, retryCapMs: hour });
    await broker.publishNumbers(name, 1, 1);
    await has(1);
    const network = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await browser.cdp('Network.enable');
    await browser.cdp('Network.emulateNetworkConditions', { ...network, offline: true });
    t.after(() => browser.cdp('Network.emulateNetworkConditions', { ...network, offline: false }));
    proxy.cut();
    await until(async () => (await state()) === 'offline');
    await broker.publishNumbers(name, 2, 5);
    await browser.cdp('Network.emulateNetworkConditions', { ...network, offline: false });
    await has(6);
    await hasCounted(6);
});

test('a page that is hidden for long lets its connection go, and resumes when it is seen',
    async (t) => {
        const proxy = await Proxy.start(t, broker);
        const name = freshChannel();
        await read(proxy.url, name, { pauseHiddenMs: 10 });
        await broker.publishNumbers(name, 1, 1);
        await has(1);
        const show = (isShown) => browser.run((hidden) => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }, !isShown);
        await show(false);
        await until(() => proxy.open === 0);
        await broker.publishNumbers(name, 2, 5);
        await show(true);
        await has(6);
        await hasCounted(6);
    });

test('a page that is opened hidden lets its connection go as well', async () => {
    await browser.run((url) => {
        Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        globalThis.states = [];
        const client = new globalThis.test.Tidings(url, { pauseHiddenMs: 10 });
        client.on('state', (state) => globalThis.states.push(state));
        client.channel('a').subscribe(() => {});
    }, broker.url);
    const states = () => browser.run(() => globalThis.states);
    await until(async () => (await states()).at(-1) === 'idle', () => 'idle');
    assert.equal((await states())[0], 'connecting');
});

test('a page behind something that blocks WebSockets reads event streams', async (t) => {
    const proxy = await Proxy.start(t, broker);
    proxy.refusesUpgrades = true;
    const name = freshChannel();
    await broker.publishNumbers(name, 1, 3);
    await read(proxy.url, name);
    await has(3);
    assert.equal(await transport(), 'sse');
    assert.equal(proxy.counts.upgrades, 2);
});

test('seven event streams and a publish fit into the connections of a browser', async () => {
    const name = freshChannel();
    const got = await browser.run(async (url, name, options) => {
        const { Reader, Tidings, until } = globalThis.test;
        const client = new Tidings(url, { ...options, transport: 'sse', turnMs: 100 });
        const names = [...'abcdefg'].map((letter) => `${name}/${letter}`);
        const readers = names.map((each) => new Reader(client, each, { since: 'earliest' }));
        await Promise.all(readers.map((reader) => reader.subscription.ready));
        for (const each of names) {
            await client.channel(each).publish(each);
        }
        await until(() => readers.every((reader) => reader.messages.length > 0));
        client.close();
        return readers.map((reader) => reader.data);
    }, broker.url, name, HASTY);
    assert.deepEqual(got, [...'abcdefg'].map((letter) => [`${name}/${letter}`]));
});

test('a page publishes once over a connection that loses answers', async (t) => {
    const proxy = await Proxy.start(t, broker);
    proxy.answersToLose = 3;
    const name = freshChannel();
    const told = await browser.run(async (url, name, options) => {
        const client = new globalThis.test.Tidings(url, options);
        const channel = client.channel(name);
        const bytes = Uint8Array.from([0, 255, 128]);
        const published = await channel.publish(bytes, { key: 'ö', headers: { a: 'b' } });
        const page = await channel.history({ since: 'earliest' });
        return { published, messages: page.messages.map((message) =>
            ({ ...message, data: [...message.data] })) };
    }, proxy.url, name, HASTY);
    assert.equal(told.messages.length, 1);
    const [message] = told.messages;
    const { data, key, headers } = message;
    assert.deepEqual([data, key, headers], [[0, 255, 128], 'ö', { a: 'b' }]);
    assert.deepEqual(told.published, { channel: name, offset: 1, id: message.id });
    assert.ok(proxy.counts.posts >= 4, `${proxy.counts.posts} posts`);
});

test('a page of another origin may send a token, and read what it is meant to', async () => {
    const answer = await browser.run(async (url) => {
        const { Tidings } = globalThis.test;
        const seen = [];
        const client = new Tidings(url, { fetch: async (...given) => {
            const answer = await fetch(...given);
            seen.push([answer.status, answer.headers.get('ETag') !== null]);
            return answer;
        }, token: 'unused' });
        await client.channel('etag').publish(1);
        await client.channel('etag').history();
        return seen;
    }, broker.url);
    assert.deepEqual(answer, [[200, false], [200, true]]);
});

for (const givesTickets of [true, false]) {
    test(`a page's token is replaced when it expires, ${givesTickets ? 'by' : 'without'} tickets`,
        async (t) => {
            const guard = await Guard.start(t, broker);
            guard.givesTickets = givesTickets;
            const name = freshChannel();
            await browser.run((url, name, options) => {
                const { Reader, Tidings } = globalThis.test;
                const token = async () => (await fetch(`${url}/fresh`)).text();
                const client = new Tidings(url, { ...options, token });
                const publish = async () => {
                    let number = 0;
                    while (!globalThis.isEnough) {
                        number += 1;
                        await client.channel(name).publish(number);
                        await new Promise((done) => setTimeout(done, 50));
                    }
                    return number;
                };
                globalThis.client = client;
                globalThis.reader = new Reader(client, name, { since: 'earliest' });
                globalThis.published = publish();
            }, guard.url, name, HASTY);
            await until(() => guard.counts.expired >= 2, () => `${guard.counts.expired} expired`);
            const count = await browser.run(() => {
                globalThis.isEnough = true;
                return globalThis.published;
            });
            await has(count);
            await hasCounted(count);
            const way = givesTickets ? 'ticket' : 'access_token';
            assert.deepEqual([...guard.seen].sort(), ['authorization', way].sort());
            await until(async () => (await transport()) === 'websocket'); // not between two
        });
}
