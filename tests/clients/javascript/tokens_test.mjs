// SPDX-License-Identifier: Apache-2.0
// The client and a broker that verifies tokens itself: what guard.mjs stands for elsewhere.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, test } from 'node:test';
import { NodeWebSocket } from '../../../clients/javascript/dist/node_websocket.js';
import { Broker } from './harness/broker.mjs';
import { connect, freshChannel } from './harness/client.mjs';
import { Reader, until } from './harness/reader.mjs';

const SECRET = 'a secret of more than thirty-two bytes, for HS256';
const ISSUER = 'https://id.example';
const CONFIG = `
auth:
  jwt:
    - issuer: ${ISSUER}
      audience: tidings
      algorithms: [HS256]
      key: base64:${Buffer.from(SECRET).toString('base64')}
  anonymous: { history: [ready] }
`;
const ALL = { publish: ['test/**'], subscribe: ['test/**'], history: ['test/**'] };

let broker;
before(async (t) => {
    broker = await Broker.start(t, { config: CONFIG });
});

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Expires in so many seconds, or up to one less: `exp` counts whole ones. */
function tokenFor(seconds, rights = ALL, subject = 'alice') {
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({
        iss: ISSUER, aud: 'tidings', sub: subject, exp, tidings: rights,
    })}`;
    return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

/** A WebSocket that tells where it was opened and what was sent. */
function observed(isBare = false) {
    return class Observed extends NodeWebSocket {
        static sendsHeaders = !isBare;
        static urls = [];
        static auths = [];
        constructor(url, protocols, options) {
            super(url, protocols, isBare ? undefined : options);
            Observed.urls.push(new URL(url));
        }
        send(text) {
            Observed.auths.push(...[JSON.parse(text).auth].filter(Boolean));
            super.send(text);
        }
    };
}

test('a token that expires is replaced and nothing missed, over sse', async (t) => {
    let asked = 0;
    const token = () => {
        asked += 1;
        return tokenFor(2);
    };
    const client = connect(t, broker.url, { transport: 'sse', token });
    const channel = client.channel(freshChannel());
    const reader = new Reader(client, channel.name, { since: 'earliest' });
    let count = 0;
    while (asked < 4) {
        count += 1;
        await channel.publish(count);
        await new Promise((done) => setTimeout(done, 50));
    }
    await reader.has(count);
    reader.hasCounted(count);
});

/** Publishes and reads by one client beyond the ends of several tokens, which are good for so long;
 * how many WebSockets it took. */
async function outliveTokens(t, seconds) {
    const WebSocket = observed();
    const client = connect(t, broker.url, { WebSocket, token: () => tokenFor(seconds) });
    const channel = client.channel(freshChannel());
    const reader = new Reader(client, channel.name);
    await reader.subscription.ready;
    let count = 0;
    while (WebSocket.auths.length < 3) { // well beyond the first one's end
        count += 1;
        await channel.publish(count);
        await new Promise((done) => setTimeout(done, 50));
    }
    await reader.has(count);
    reader.hasCounted(count);
    client.close();
    return WebSocket.urls.length;
}

// The fresh one is sent when nine tenths of the old one's time are over: a machine that stands
// still for longer than the last tenth loses the connection, and rightly.
test('a WebSocket goes on with a fresh token in place, and misses nothing', async (t) => {
    const counts = [];
    for (let seconds = 3; counts.at(-1) !== 1 && seconds < 50; seconds *= 4) {
        counts.push(await outliveTokens(t, seconds));
    }
    assert.equal(counts.at(-1), 1);
});

test('a token that is not replaced ends its WebSocket, and that is an error', async (t) => {
    const client = connect(t, broker.url, { transport: 'websocket', token: tokenFor(2) });
    const reader = new Reader(client, freshChannel());
    await reader.subscription.ready;
    await until(() => reader.errors.length > 0);
    await until(() => client.state === 'idle');
});

test('a browser opens its WebSocket with a ticket, which is good once', async (t) => {
    const WebSocket = observed(true);
    const client = connect(t, broker.url, { WebSocket, token: tokenFor(60) });
    const reader = new Reader(client, freshChannel());
    await reader.subscription.ready;
    const [url] = WebSocket.urls;
    const ticket = url.searchParams.get('ticket');
    assert.match(ticket, /^[\w-]{43}$/);
    assert.equal(url.searchParams.get('access_token'), null);
    const again = await fetch(`${broker.url}/channels/test/x?ticket=${ticket}`);
    assert.equal(again.status, 401);
});

test('what a fresh token does not allow any more ends with its reason', async (t) => {
    const [kept, lost] = [freshChannel(), freshChannel()];
    const fresh = tokenFor(60, { subscribe: [kept], publish: [kept] });
    const tokens = [tokenFor(3)];
    const token = () => tokens.shift() ?? fresh;
    const client = connect(t, broker.url, { transport: 'websocket', token });
    const stays = new Reader(client, kept);
    const ends = new Reader(client, lost);
    await stays.subscription.ready;
    await ends.subscription.ready;
    await until(() => ends.errors.length > 0);
    assert.equal(ends.errors[0].code, 'forbidden');
    await client.channel(kept).publish(1);
    await stays.has(1);
});

test('what is not allowed is refused with the rule', async (t) => {
    const client = connect(t, broker.url, { token: tokenFor(60, { subscribe: ['test/mine'] }) });
    const reader = new Reader(client, 'test/yours');
    await until(() => reader.errors.length > 0);
    assert.equal(reader.errors[0].code, 'forbidden');
    assert.match(reader.errors[0].message, /tidings\.subscribe/);
    await assert.rejects(client.channel('test/mine').publish(1), { status: 403 });
});
