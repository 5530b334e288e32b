// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sseParser } from '../../../clients/javascript/dist/sse.js';

function parse(parts) {
    const events = [];
    const take = sseParser((event) => events.push(event));
    parts.forEach(take);
    return events;
}

const STREAM = ['retry: 1500', 'id: t1a', '', ': a comment', '', 'event: gap', 'id: t1b',
    'data: {"from":1}', '', 'id: t1c', 'data:one', 'data:  two', '', 'data', '', ''];
const EVENTS = [
    { type: '', data: '', id: 't1a' },
    { type: 'gap', data: '{"from":1}', id: 't1b' },
    { type: '', data: 'one\n two', id: 't1c' },
    { type: '', data: '' },
];

for (const [name, end] of Object.entries({ LF: '\n', CRLF: '\r\n', CR: '\r' })) {
    test(`events are the same wherever the network cuts them, with ${name}`, () => {
        const text = STREAM.join(end) + (end === '\r' ? ':' : '');
        assert.deepEqual(parse([text]), EVENTS);
        assert.deepEqual(parse([...text]), EVENTS);
        for (let cut = 1; cut < text.length; cut++) {
            assert.deepEqual(parse([text.slice(0, cut), text.slice(cut)]), EVENTS);
        }
    });
}

test('an event that has not ended is none', () => {
    assert.deepEqual(parse(['data: half\n']), []);
});
