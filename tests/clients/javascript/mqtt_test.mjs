// SPDX-License-Identifier: Apache-2.0
// MQTT.js, over TCP and over WebSocket, with both versions of the protocol, in Node and Chromium.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import { Broker } from './harness/broker.mjs';
import { Browser } from './harness/browser.mjs';
import { freshChannel } from './harness/client.mjs';
import { until } from './harness/reader.mjs';

// It is locked where the client's own tools are.
const locked = createRequire(new URL('../../../clients/javascript/package.json', import.meta.url));
const mqtt = locked('mqtt');

let broker;
before(async (t) => {
    broker = await Broker.start(t);
});

const URLS = {
    tcp: () => `mqtt://127.0.0.1:${broker.mqttPort}`,
    websocket: () => `ws://127.0.0.1:${broker.port}/mqtt`,
};

/** A client that keeps what comes; ended with the test. */
async function connect(t, url, options = {}) {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 50, ...options });
    client.kept = [];
    client.on('message', (topic, payload, packet) => {
        client.kept.push({ topic, payload: payload.toString(), packet });
    });
    t.after(() => client.endAsync(true));
    return client;
}

for (const transport of Object.keys(URLS)) {
    for (const protocolVersion of [4, 5]) {
        for (const qos of [0, 1, 2]) {
            test(`MQTT.js reads what it publishes: ${transport}, ${protocolVersion}, QoS ${qos}`,
                async (t) => {
                    const client = await connect(t, URLS[transport](), { protocolVersion });
                    const topic = freshChannel();
                    await client.subscribeAsync(`${topic}/#`, { qos });
                    for (let number = 0; number < 50; number++) {
                        await client.publishAsync(`${topic}/a`, String(number), { qos });
                    }
                    await until(() => client.kept.length >= 50, () => client.kept.length);
                    assert.deepEqual(client.kept.map(({ payload }) => Number(payload)),
                        Array.from({ length: 50 }, (_, index) => index));
                    assert.ok(client.kept.every(({ packet }) => packet.qos === qos));
                });
        }
    }

    test(`MQTT.js goes on where it stood after its connection is lost: ${transport}`,
        async (t) => {
            const topic = freshChannel();
            const client = await connect(t, URLS[transport](), {
                protocolVersion: 5,
                clientId: topic.replaceAll('/', '-'),
                clean: false,
                properties: { sessionExpiryInterval: 600 },
            });
            await client.subscribeAsync(topic, { qos: 1 });
            for (let cut = 0; cut < 5; cut++) {
                client.stream.destroy();
                await broker.publishNumbers(topic, cut * 20, 20);
                await until(() => client.kept.length >= (cut + 1) * 20, () => client.kept.length);
            }
            const numbers = [...new Set(client.kept.map(({ payload }) => Number(payload)))];
            assert.deepEqual(numbers, Array.from({ length: 100 }, (_, index) => index));
        });
}

test('MQTT.js asks for offsets, replays, and gets the properties of 5.0', async (t) => {
    const topic = freshChannel();
    await broker.publishNumbers(topic, 1, 3);
    const client = await connect(t, URLS.tcp(), { protocolVersion: 5 });
    await client.subscribeAsync(topic, {
        qos: 1, properties: { userProperties: { since: '1', offset: 'true' } },
    });
    await client.publishAsync(topic, 'four', { qos: 1, properties: {
        contentType: 'text/plain', responseTopic: 'answers', userProperties: { a: '1' },
    } });
    await until(() => client.kept.length >= 3);
    assert.deepEqual(client.kept.map(({ payload }) => payload), ['2', '3', 'four']);
    const { properties } = client.kept[2].packet;
    assert.equal(properties.contentType, 'text/plain');
    assert.equal(properties.responseTopic, 'answers');
    assert.equal(properties.userProperties.a, '1');
    assert.equal(properties.userProperties.offset, '4');
});

test('MQTT.js in a web page of an allowed origin publishes and reads', async (t) => {
    const browser = await Browser.start(t);
    const bundle = await readFile(locked.resolve('mqtt/dist/mqtt.min'), 'utf8');
    browser.files.set('/mqtt.js', bundle);
    browser.files.set('/page', '<!DOCTYPE html><script src="/mqtt.js"></script>');
    const own = await Broker.start(t, { config: `public: { origins: ["${browser.origin}"] }\n` });
    await browser.open('/page');
    const found = await browser.run(async (url) => {
        const client = await globalThis.mqtt.connectAsync(url, { protocolVersion: 5 });
        const kept = [];
        const all = new Promise((done) => {
            client.on('message', (topic, payload) => {
                if (kept.push(`${topic} ${payload}`) === 3) {
                    done(kept);
                }
            });
        });
        await client.subscribeAsync('page/#', { qos: 2 });
        for (const qos of [0, 1, 2]) {
            await client.publishAsync(`page/${qos}`, `QoS ${qos}`, { qos });
        }
        return all;
    }, `ws://127.0.0.1:${own.port}/mqtt`);
    assert.deepEqual(found, ['page/0 QoS 0', 'page/1 QoS 1', 'page/2 QoS 2']);
});
