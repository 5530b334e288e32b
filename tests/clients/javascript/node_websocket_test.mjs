// SPDX-License-Identifier: Apache-2.0
// The WebSocket for Node against a server that sends exactly the bytes it is told to.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { NodeWebSocket } from '../../../clients/javascript/dist/node_websocket.js';

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function frame(first, payload) {
    const body = Buffer.from(payload);
    const size = body.length < 126 ? Buffer.from([body.length])
        : body.length < 65536 ? Buffer.from([126, body.length >> 8, body.length & 255])
        : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), u32(body.length)]);
    return Buffer.concat([Buffer.from([first]), size, body]);
}

function u32(number) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(number);
    return bytes;
}

/** Reads the masked frames of a client. */
function unmask(bytes) {
    const frames = [];
    while (bytes.length > 0) {
        assert.ok(bytes[1] & 0x80, 'a client masks');
        const short = bytes[1] & 0x7f;
        const [size, length] = short < 126 ? [2, short]
            : short === 126 ? [4, bytes.readUInt16BE(2)]
            : [10, bytes.readUInt32BE(6)];
        const mask = bytes.subarray(size, size + 4);
        const body = bytes.subarray(size + 4, size + 4 + length);
        frames.push([bytes[0], Buffer.from(body.map((byte, at) => byte ^ mask[at % 4]))]);
        bytes = bytes.subarray(size + 4 + length);
    }
    return frames;
}

/** Sends the parts to a client, and gives what the client told and what it sent. */
async function talk(t, parts, { say = [], accept, until = 'close', headers } = {}) {
    let got = Buffer.alloc(0);
    let head = '';
    const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => {
            head = bytes.toString();
            const [, key] = /sec-websocket-key: (.*)\r/i.exec(head);
            const proof = accept ?? createHash('sha1').update(key + MAGIC).digest('base64');
            socket.on('data', (chunk) => (got = Buffer.concat([got, chunk])));
            socket.on('end', () => socket.end());
            socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n' +
                `Upgrade: websocket\r\nSec-WebSocket-Accept: ${proof}\r\n\r\n`);
            parts.forEach((part) => socket.write(part));
        });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address();
    const told = [];
    const client = new NodeWebSocket(`ws://127.0.0.1:${port}/stream?x=1`, ['tidings.v1'], {
        headers,
    });
    const ended = new Promise((done) => {
        client.onopen = () => say.forEach((text) => client.send(text));
        client.onmessage = ({ data }) => {
            told.push(data);
            if (told.length === until) {
                client.close();
                done();
            }
        };
        client.onclose = (event) => done(event);
    });
    const end = await ended;
    await new Promise((done) => server.close(done));
    return { told, end, sent: unmask(got), head };
}

const long = 'ä'.repeat(40_000);
const medium = 'x'.repeat(300);

test('messages of each length come whole, in one piece or byte by byte', async (t) => {
    const bytes = Buffer.concat(['', 'short', medium, long].map((text) => frame(0x81, text)));
    const whole = await talk(t, [bytes], { until: 4 });
    assert.deepEqual(whole.told, ['', 'short', medium, long]);
    const start = [...bytes.subarray(0, 400)].map((byte) => Buffer.from([byte]));
    const pieces = await talk(t, [...start, bytes.subarray(400)], { until: 4 });
    assert.deepEqual(pieces.told, ['', 'short', medium, long]);
});

test('fragments are one message, with a ping between them that is answered', async (t) => {
    const parts = [frame(0x01, 'one '), frame(0x89, 'are you there'), frame(0x00, 'two '),
        frame(0x80, 'three'), frame(0x81, 'next')];
    const { told, sent } = await talk(t, parts, { until: 2 });
    assert.deepEqual(told, ['one two three', 'next']);
    assert.deepEqual(sent[0], [0x8a, Buffer.from('are you there')]);
    assert.deepEqual(sent.at(-1), [0x88, Buffer.from([3, 232])]);
});

test('what is said goes out masked, at each length, with the headers given', async (t) => {
    const say = ['short', medium, long];
    const { sent, head } = await talk(t, [frame(0x88, Buffer.from([3, 232]))], {
        say, headers: { Authorization: 'Bearer x' },
    });
    assert.deepEqual(sent.slice(0, 3), say.map((text) => [0x81, Buffer.from(text)]));
    assert.match(head, /^GET \/stream\?x=1 HTTP\/1.1\r\n/);
    assert.match(head, /\r\nAuthorization: Bearer x\r\n/);
    assert.match(head, /\r\nSec-WebSocket-Protocol: tidings.v1\r\n/);
});

test('a close is answered, and its code and reason are told', async (t) => {
    const payload = Buffer.concat([Buffer.from([4001 >> 8, 4001 & 255]), Buffer.from('expired')]);
    const { end, sent } = await talk(t, [frame(0x88, payload)]);
    assert.deepEqual([end.code, end.reason], [4001, 'expired']);
    assert.deepEqual(sent, [[0x88, payload.subarray(0, 2)]]);
});

test('after close() nothing is told, whatever still comes', async (t) => {
    const late = ['one', 'two', 'three'].map((text) => frame(0x81, text));
    const { told, sent } = await talk(t, [Buffer.concat(late)], { until: 1 });
    assert.deepEqual(told, ['one']);
    assert.deepEqual(sent, [[0x88, Buffer.from([3, 232])]]);
});

for (const [name, bytes, code] of [
    ['a reserved bit', frame(0xc1, 'x'), 1002],
    ['a masked frame', Buffer.from([0x81, 0x81, 0, 0, 0, 0, 65]), 1002],
    ['a fragment without a first one', frame(0x80, 'x'), 1002],
    ['a message within a message', Buffer.concat([frame(0x01, 'a'), frame(0x81, 'b')]), 1002],
    ['an opcode that does not exist', frame(0x8b, 'x'), 1002],
    ['a ping of 126 bytes', frame(0x89, 'x'.repeat(126)), 1002],
    ['a ping in fragments', frame(0x09, 'x'), 1002],
    ['bytes', frame(0x82, 'x'), 1003],
    ['text that is not UTF-8', frame(0x81, Buffer.from([0xc3, 0x28])), 1007],
    ['a length of terabytes', Buffer.from([0x81, 127, 0, 0, 99, 0, 0, 0, 0, 0]), 1009],
]) {
    test(`a server that sends ${name} is left with ${code}`, async (t) => {
        const { told, end, sent } = await talk(t, [bytes]);
        assert.equal(end.code, code);
        assert.deepEqual(told, []);
        assert.deepEqual(sent, [[0x88, Buffer.from([code >> 8, code & 255])]]);
    });
}

test('an upgrade that proves nothing is no WebSocket', async (t) => {
    const { told, end } = await talk(t, [frame(0x81, 'x')], { accept: 'wrong' });
    assert.deepEqual([told, end.code], [[], 1006]);
});

test('a refused upgrade tells its status', async (t) => {
    const server = createServer((socket) => {
        socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const client = new NodeWebSocket(`ws://127.0.0.1:${server.address().port}/`);
    const event = await new Promise((done) => (client.onclose = done));
    assert.deepEqual([event.code, event.status], [1006, 401]);
});
