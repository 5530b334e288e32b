// SPDX-License-Identifier: Apache-2.0
// At a glance: what goes in and out, who is behind, how full and how busy it is.
import { readJson } from './broker.js';
import { Sightings, clientColumn, lagColumns, readsColumn } from './connections.js';
import { copyTemplate, drawSparkline, field, fillRows, fillTable, fillTerms, setFields }
    from './dom.js';
import { HISTORY_SAMPLES_MAX } from './figures.js';
import { NOTHING, bytes, count, latency, percent, rate } from './format.js';

export const title = 'Overview';
const BEHIND_SHOWN_MAX = 5;

const tiles = [
    { name: 'Published', unit: 'messages/s', text: rate,
        series: 'tidings_published_messages_total' },
    { name: 'Delivered', unit: 'messages/s', text: rate, series: 'tidings_deliveries_total' },
    { name: 'Published', unit: '/s', text: bytes, series: 'tidings_published_bytes_total' },
    { name: 'Sent', unit: '/s', text: bytes, series: 'tidings_sent_bytes_total' },
];

const clients = [
    { name: 'Protocol', text: ({ protocol }) => protocol },
    { name: 'Open', isNumber: true, text: row => count(row.connections) },
    { name: 'Readers', isNumber: true, text: row => count(row.readers) },
    { name: 'In/s', isNumber: true, text: row => rate(row.published) },
    { name: 'Out/s', isNumber: true, text: row => rate(row.delivered) },
];

const threads = [
    { name: 'Thread', text: ({ thread }) => thread },
    { name: 'Busy', isNumber: true, text: row => percent(row.busy) },
    { name: 'Letters waiting', isNumber: true, text: row => count(row.letters) },
];

/* Terms: a name, what it is now, how it is written, and whether that is a reason to look. */
const ofNow = (name, series, text) => ({ name, text, now: figures => figures.value(series) });
const ofLately = (name, series) => ({ name, text: count, now: figures => figures.growth(series),
    isTrouble: number => number > 0 });
const ofMost = (name, series) => ({ name, text: atMost,
    now: figures => figures.quantile(`${series}_seconds_bucket`, 0.99) });

const log = [
    ofNow('Channels', 'tidings_log_channels', count),
    ofNow('MQTT sessions connected', 'tidings_mqtt_sessions_connected', count),
    ofNow('MQTT sessions away', 'tidings_mqtt_sessions_away', count),
    ofNow('Database in use', 'tidings_store_used_bytes', bytes),
    ofNow('Database file', 'tidings_store_file_bytes', bytes),
    ofNow('Most that messages may take', 'tidings_store_limit_bytes', bytes),
    { name: 'Disk free', text: percent, isTrouble: share => share < 0.1,
        now: figures => figures.value('tidings_disk_free_bytes') /
            figures.value('tidings_disk_size_bytes') },
    ofNow('Journal', 'tidings_journal_bytes', bytes),
    { name: 'Positions not folded', text: count,
        now: figures => figures.value('tidings_position_readable') -
            figures.value('tidings_position_folded') },
    ofNow('Bytes not folded', 'tidings_open_batch_bytes', bytes),
];

const times = [
    ofMost('Publish to answer', 'tidings_publish_duration'),
    ofMost('Publish to socket', 'tidings_publish_to_write'),
    ofMost('Write of the journal', 'tidings_journal_append_duration'),
    ofMost('Sync of the journal', 'tidings_journal_sync_duration'),
    ofMost('Fold', 'tidings_fold_duration'),
];

/* Closed by the broker, and not because a client or an operator wished it. */
const UNWANTED = ['stalled', 'pong_late', 'too_slow', 'protocol_error', 'bad_utf8', 'too_big',
    'too_many', 'memory', 'internal'];

const trouble = [
    { ...ofLately('Publishes refused'), now: figures =>
        figures.growth('tidings_publishes_total') -
            figures.growth('tidings_publishes_total', { result: 'ok' }) },
    ofLately('Gaps told', 'tidings_gaps_total'),
    ofLately('Left out by conflation', 'tidings_skipped_messages_total'),
    ofLately('Workers that fell behind the log', 'tidings_commits_missed_total'),
    { ...ofLately('Connections closed for a fault'), now: figures => UNWANTED
        .map(reason => figures.growth('tidings_connections_closed_total', { reason }))
        .reduce((sum, number) => sum + number, 0) },
    { ...ofNow('Readers behind now', 'tidings_readers_behind', count),
        isTrouble: number => number > 0 },
    ofNow('Reads waiting now', 'tidings_reads_waiting', count),
];

const process = [
    { name: 'Processor', text: percent,
        now: figures => figures.rates('process_cpu_seconds_total').at(-1) ?? null },
    ofNow('Memory', 'process_resident_memory_bytes', bytes),
    ofNow('Descriptors', 'process_open_fds', count),
    ofNow('Most descriptors', 'process_max_fds', count),
];

/* A bound of a histogram: the time is not above it. */
function atMost(seconds) {
    return seconds === null ? NOTHING
        : seconds === Infinity ? 'beyond measure' : `at most ${latency(seconds)}`;
}

/* What the broker has no figure of is left out. */
function drawTerms(list, terms, figures) {
    fillTerms(list, terms.map(term => ({ ...term, value: term.now(figures) }))
        .filter(({ value }) => value !== undefined && !Number.isNaN(value))
        .map(({ name, value, text, isTrouble }) =>
            [name, text(value), isTrouble?.(value) ? 'wait' : '']));
}

function drawTiles(list, figures) {
    fillRows(list, tiles, tile => tile.series,
        () => copyTemplate('tile'),
        (item, { name, unit, text, series }) => {
            const rates = figures.rates(series);
            item.title = rates.length === 0 ? '' : `most: ${text(Math.max(...rates))}`;
            setFields(item, { name, unit, value: text(rates.at(-1)) });
            drawSparkline(item.querySelector('polyline'), rates, HISTORY_SAMPLES_MAX - 1);
        });
}

function clientRows(figures) {
    return figures.labelValues('tidings_connections_open', 'protocol').map(protocol => ({
        protocol,
        connections: figures.value('tidings_connections_open', { protocol }),
        readers: figures.value('tidings_readers_open', { protocol }),
        published: figures.rates('tidings_published_messages_total', { protocol }).at(-1),
        delivered: figures.rates('tidings_deliveries_total', { protocol }).at(-1),
    })).filter(row => row.connections || row.readers || row.published || row.delivered);
}

function threadRows(figures) {
    return figures.labelValues('tidings_mailbox_letters', 'thread').map(thread => ({
        thread,
        busy: figures.rates('tidings_thread_busy_seconds_total', { thread }).at(-1),
        letters: figures.value('tidings_mailbox_letters', { thread }),
    }));
}

function isBehind(row) {
    return row.blocked || row.window_full || row.why.tone === 'bad' ||
        row.readers.some(reader => reader.lag_messages > 0);
}

export function show(view, _, { figures, onFigures }) {
    const sightings = new Sightings();
    const behindTable = field(view, 'behind');

    onFigures(() => {
        drawTiles(field(view, 'tiles'), figures);
        const rows = clientRows(figures);
        field(view, 'clients-none').hidden = rows.length > 0;
        field(view, 'clients').hidden = rows.length === 0;
        fillTable(field(view, 'clients'), clients, rows, row => row.protocol);
        Object.entries({ log, times, trouble, process }).forEach(([name, terms]) =>
            drawTerms(field(view, name), terms, figures));
        fillTable(field(view, 'threads'), threads, threadRows(figures), row => row.thread);
    });

    return async signal => {
        const page = await readJson(
            `/api/v1/connections?sort=lag&limit=${BEHIND_SHOWN_MAX}`, { signal });
        const rows = sightings.judge(page.connections).filter(isBehind);
        field(view, 'behind-none').hidden = rows.length > 0;
        behindTable.hidden = rows.length === 0;
        fillTable(behindTable, [...lagColumns, readsColumn, clientColumn], rows, row => row.id);
    };
}
