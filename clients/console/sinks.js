// SPDX-License-Identifier: Apache-2.0
// Sinks and sources: what is pushed where and how far behind it is, and what can be done about it.
import { call, readJson } from './broker.js';
import { announce, buttonsColumn, confirm, field, fillTable, setText } from './dom.js';
import { NOTHING, bytes, count, duration, latency, plural, rate } from './format.js';
import { Listing } from './listing.js';

export const title = 'Sinks';
export const PATH = '/api/v1/sinks';
const SOURCES_PATH = '/api/v1/sources';
const TEST_TIMEOUT_MS = 330000; // longer than a sink may wait for its endpoint

const TONES = {
    live: 'good', catching_up: 'good', starting: '', retrying: 'wait', paused: 'wait',
    broken: 'bad', disabled: 'bad',
};

/** What a state is called where people read it: "catching up", "broken, tries one". */
export function stateOf(row) {
    const isTrying = row.state === 'broken' && row.breaker === 'half_open';
    return row.state.replaceAll('_', ' ') + (isTrying ? ', tries one' : '');
}

/** How far behind a sink is: "12 (3 s)"; "about" where it was not counted. */
export function lagOf(row) {
    if (row.lag_messages === 0) {
        return '0';
    }
    const number = row.lag_exact ? count(row.lag_messages) : `about ${count(row.lag_messages)}`;
    return row.lag_ms > 0 ? `${number} (${duration(row.lag_ms / 1000)})` : number;
}

/** When something is tried again: "in 5 s", "now". */
export function nextOf(row, nowMs = Date.now()) {
    const ms = Date.parse(row.next_attempt ?? '') - nowMs;
    return Number.isNaN(ms) ? NOTHING : ms < 1000 ? 'now' : `in ${duration(ms / 1000)}`;
}

/** What a test came to: "delivered 200 in 3.1 ms", and what the endpoint said. */
export function verdictOf(answer) {
    const status = answer.status === 0 ? '' : ` ${answer.status}`;
    const detail = answer.detail === null ? '' : `: ${answer.detail}`;
    return `${answer.outcome}${status} in ${latency(answer.took_ms / 1000)}${detail}`;
}

const pathTo = (row, action) => `${PATH}/${row.name}/${action}`;

async function turn(row, action, words, refresh) {
    await call('POST', pathTo(row, action));
    announce(`${row.name} ${words}.`);
    refresh();
}

/* A disabled one is resumed too: then its attempts begin anew. */
function toggle(row, refresh) {
    return row.state === 'paused' || row.state === 'disabled'
        ? turn(row, 'resume', 'goes on', refresh) : turn(row, 'pause', 'is paused', refresh);
}

async function test(row, view, refresh) {
    const told = field(view, 'told');
    setText(told, `A test goes to ${row.name}…`);
    try {
        const { text } = await call('POST', pathTo(row, 'test'), { timeoutMs: TEST_TIMEOUT_MS });
        setText(told, `The test of ${row.name}: ${verdictOf(JSON.parse(text))}`);
    } catch (error) {
        setText(told, '');
        throw error;
    }
    refresh();
}

async function replay(row, view, refresh) {
    const isMeant = await confirm(`Send the dead letters of ${row.name} again?`,
        `What stands in $dlq/${row.name} and was not sent again yet goes out once more, one ` +
        'attempt each, with the same ids. What fails is a dead letter again.',
        'Send them');
    if (isMeant) {
        const { text } = await call('POST', pathTo(row, 'replay'),
            { body: JSON.stringify({ dead_letters: true }) });
        setText(field(view, 'told'),
            `${row.name} sends ${plural(JSON.parse(text).replayed, 'dead letter')} again`);
        refresh();
    }
}

function columnsOf(view, attempt, refresh) {
    return [
        { name: 'Sink', text: row => row.name },
        { name: 'To', isMinor: true, text: row => row.kind },
        { name: 'State', text: stateOf, tone: row => TONES[row.state] },
        { name: 'Behind', isNumber: true, text: lagOf },
        { name: 'A second', isNumber: true, text: row => rate(row.rate) },
        { name: '95 of 100', isNumber: true, isMinor: true,
            text: row => latency(row.attempts.delivered > 0 ? row.latency_ms.p95 / 1000 : NaN) },
        { name: 'Delivered', isNumber: true, isMinor: true, text: row => count(row.messages) },
        { name: 'Dead', isNumber: true, text: row => count(row.dead_letters),
            tone: row => (row.dead_letters > 0 ? 'wait' : '') },
        { name: 'Next attempt', isWhole: true, text: row => nextOf(row) },
        { name: 'Last trouble', isLong: true, text: row => row.detail ?? NOTHING },
        buttonsColumn('Do', [
            { text: row => (['paused', 'disabled'].includes(row.state) ? 'Resume' : 'Pause'),
                run: row => toggle(row, refresh) },
            { text: () => 'Test', run: row => test(row, view, refresh) },
            { text: () => 'Replay…', hidden: row => row.dead_letters === 0,
                run: row => replay(row, view, refresh) },
        ], (row, text) => `${text} ${row.name}`, attempt),
    ];
}

const sourceColumns = [
    { name: 'Source', text: row => row.name },
    { name: 'From', text: row => row.kind },
    { name: 'State', text: stateOf, tone: row => TONES[row.state] },
    { name: 'Behind', isNumber: true, text: row => count(row.lag_messages) },
    { name: 'Published', isNumber: true, text: row => count(row.messages) },
    { name: 'Bytes', isNumber: true, isMinor: true, text: row => bytes(row.bytes) },
    { name: 'Refused', isNumber: true, text: row => count(row.refused),
        tone: row => (row.refused > 0 ? 'wait' : '') },
    { name: 'Last trouble', isLong: true, text: row => row.detail ?? NOTHING },
];

export function show(view, parameters, context) {
    const listing = new Listing(view, 'sinks', { ...parameters }, context);
    const columns = columnsOf(view, context.attempt, context.refresh);
    return async signal => {
        const [rows, { sources }] = await Promise.all(
            [listing.read(signal), readJson(SOURCES_PATH, { signal })]);
        fillTable(field(view, 'sinks'), columns, rows, row => row.name);
        field(view, 'sources-part').hidden = sources.length === 0;
        fillTable(field(view, 'sources'), sourceColumns, sources, row => row.name);
    };
}
