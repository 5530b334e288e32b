// SPDX-License-Identifier: Apache-2.0
// The demo page: two readers of one channel side by side, what they saw, and a box to publish from.
// Messages only change plain state; the page is drawn at most once a frame, however many come.

import { Reader } from './reader.js';
import { Tidings } from './tidings.js';
import { describePoint, drawBoard, drawTimeline, isScore, newestMatch, sayGames } from './board.js';

const RAW_LINES_MOST = 200;
const HISTORY_MESSAGES_MOST = 500;
const ASIDE_CHARACTERS_MOST = 300;

const channel = new URLSearchParams(location.search).get('channel') || 'tennis/court-1';
const client = new Tidings();
const find = (selector, within = document) => within.querySelector(selector);
const scores = new Map(); // offset → score, for the timeline: the newest HISTORY_MESSAGES_MOST
const rawPending = [];
const panels = new Map();
let online = true;
let drawIsDue = false;
let timelineIsStale = true;
let announced = '';

function drawSoon() {
    if (!drawIsDue) {
        drawIsDue = true;
        requestAnimationFrame(draw);
    }
}

function keepScore(offset, score) {
    scores.set(offset, score);
    while (scores.size > HISTORY_MESSAGES_MOST) {
        scores.delete(Math.min(...scores.keys()));
    }
    timelineIsStale = true;
}

function onMessage(reader, message) {
    const panel = panels.get(reader);
    if (isScore(message.data)) {
        reader.score = message.data;
        panel.boardIsStale = true;
        keepScore(message.offset, message.data);
    } else {
        const { data } = message;
        const text = data instanceof Uint8Array ? `${data.length} bytes` : JSON.stringify(data);
        panel.aside = `#${message.offset}  ${text.slice(0, ASIDE_CHARACTERS_MOST)}`;
    }
}

function onRaw(reader, text) {
    rawPending.push({ reader, text });
    if (rawPending.length > RAW_LINES_MOST) {
        rawPending.shift();
    }
}

// What the offsets of another log stood for is no part of this one's match.
function onRestart() {
    scores.clear();
    loadHistory();
}

function gapText(gap) {
    if (!gap) {
        return '';
    }
    const range = Number.isInteger(gap.from) ? `offsets ${gap.from} to ${gap.to}` : 'messages';
    const reasons = {
        expired: 'are no longer kept', dropped: 'were passed over', deleted: 'were deleted',
        ahead: 'do not exist (yet)', epoch: 'belong to another log',
    };
    return `The broker told a gap: ${range} ${reasons[gap.reason] ?? gap.reason}. ` +
        'Reading goes on after it; a gap that was told is not counted as missed.';
}

function put(panel, field, value, mark = '') {
    const element = find(`[data-field="${field}"]`, panel.element);
    if (element.textContent !== String(value)) {
        element.textContent = value;
    }
    element.dataset.mark = mark;
}

const orDash = (value) => (value === null ? '–' : value);

function drawPanel(reader, panel) {
    panel.element.dataset.state = reader.state;
    put(panel, 'state', reader.state);
    put(panel, 'detail', reader.detail);
    put(panel, 'call', reader.call);
    put(panel, 'offset', orDash(reader.offset));
    put(panel, 'received', reader.received);
    put(panel, 'missed', reader.missed, reader.missed === 0 ? 'good' : 'bad');
    put(panel, 'duplicates', reader.duplicates, reader.duplicates === 0 ? 'good' : 'bad');
    put(panel, 'latency', reader.latencyMs === null ? '–' : `${Math.max(0, reader.latencyMs)} ms`);
    put(panel, 'caught-up', orDash(reader.caughtUp), reader.caughtUp > 0 ? 'good' : '');
    put(panel, 'gap', gapText(reader.gap));
    put(panel, 'aside', reader.score === null ? '' : panel.aside);
    put(panel, 'waiting', panel.aside || 'Waiting for the first point');
    if (panel.boardIsStale) {
        panel.boardIsStale = false;
        find('.board', panel.element).classList.toggle('empty', reader.score === null);
        if (reader.score !== null) {
            drawBoard(find('table', panel.element), reader.score);
            put(panel, 'point', describePoint(reader.score));
        }
    }
}

function drawRaw() {
    const list = find('#raw');
    if (find('#raw-paused').checked) {
        return;
    }
    for (const { reader, text } of rawPending.splice(0)) {
        const line = document.createElement('li');
        line.className = reader.transport;
        line.append(Object.assign(document.createElement('span'), { textContent: reader.name }),
            Object.assign(document.createElement('code'), { textContent: text }));
        list.prepend(line);
    }
    while (list.childElementCount > RAW_LINES_MOST) {
        list.lastElementChild.remove();
    }
}

function draw() {
    drawIsDue = false;
    for (const [reader, panel] of panels) {
        drawPanel(reader, panel);
    }
    drawRaw();
    if (timelineIsStale) {
        timelineIsStale = false;
        const ordered = [...scores].sort(([one], [other]) => one - other).map(([, score]) => score);
        const match = newestMatch(ordered);
        find('#start').hidden = match.length > 0;
        drawTimeline(find('#timeline'), match);
        const said = match.length > 0 ? sayGames(match.at(-1)) : '';
        if (said !== announced) {
            announced = find('#announcement').textContent = said;
        }
    }
}

function setOnline(now) {
    online = now;
    const button = find('#online');
    button.textContent = online ? 'Go offline' : 'Go online';
    button.dataset.online = online;
    document.body.classList.toggle('is-offline', !online);
    for (const reader of panels.keys()) {
        if (online) {
            reader.start();
        } else {
            reader.stop();
        }
    }
}

// The match so far, for the timeline: a page of history. The readers do not wait for it.
async function loadHistory() {
    try {
        const page = await client.channel(channel).history({ limit: HISTORY_MESSAGES_MOST });
        for (const message of page.messages) {
            if (isScore(message.data)) {
                keepScore(message.offset, message.data);
            }
        }
        drawSoon();
    } catch (error) {
        // Where nobody answers the panels tell it, and the timeline begins with what they bring.
        find('#problem').textContent = error.detail ?? '';
    }
}

async function publish(event) {
    event.preventDefault();
    const body = find('#message').value;
    const told = find('#published');
    let data = body;
    let type = 'text/plain';
    try {
        data = JSON.parse(body);
        type = undefined;
    } catch {
        // It is text.
    }
    try {
        const { offset } = await client.channel(channel).publish(data, { type });
        told.textContent = `Stored at offset ${offset}${type ? ', as text' : ''}.`;
    } catch (error) {
        told.textContent = `Not stored: ${error.detail ?? error.message}`;
    }
}

async function copy(button) {
    const source = find(`#${button.dataset.copy}`);
    let done = true;
    try {
        await navigator.clipboard.writeText(source.textContent);
    } catch {
        // Browsers keep the clipboard from pages that came over plain HTTP: the text is selected.
        getSelection().selectAllChildren(source);
        done = false;
    }
    button.textContent = done ? 'Copied' : 'Selected';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

// The channel's one URL, on the page's own origin.
function channelUrl() {
    const percentEncode = (text) => encodeURIComponent(text)
        .replace(/[!'()*]/g, (mark) => '%' + mark.charCodeAt(0).toString(16).toUpperCase());
    return `${location.origin}/channels/${channel.split('/').map(percentEncode).join('/')}`;
}

// As a shell takes it; left bare where nothing in it means anything to a shell.
function quote(text) {
    return /^[\w.,:/@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function drawCommands() {
    find('#curl').textContent =
        `curl -d ${quote(find('#message').value)} ${quote(channelUrl())}`;
    find('#play').textContent = `clients/demo/play --url ${location.origin}` +
        (channel === 'tennis/court-1' ? '' : ` --channel ${quote(channel)}`);
}

function addPanel(transport) {
    const element = find('#panel').content.firstElementChild.cloneNode(true);
    const on = { change: drawSoon, message: onMessage, raw: onRaw, restart: onRestart };
    const reader = new Reader(transport, channel, on);
    if (!isScore(reader.score)) {
        reader.score = null; // what the browser's storage held may be anybody's
    }
    element.dataset.reader = transport;
    element.setAttribute('aria-labelledby', `${transport}-title`);
    Object.assign(find('h2', element), { id: `${transport}-title`, textContent: reader.name });
    find('#panels').append(element);
    panels.set(reader, { element, aside: '', boardIsStale: true });
}

function forget() {
    for (const [reader, panel] of panels) {
        reader.forget();
        panel.aside = '';
        panel.boardIsStale = true;
    }
    find('#raw').replaceChildren();
    rawPending.length = 0;
    setOnline(true);
}

function begin() {
    document.title = `${channel} · Tidings`;
    find('#channel').value = channel;
    addPanel('websocket');
    addPanel('sse');
    drawCommands();
    find('#online').addEventListener('click', () => setOnline(!online));
    find('#forget').addEventListener('click', forget);
    find('#publish').addEventListener('submit', publish);
    find('#message').addEventListener('input', drawCommands);
    find('#raw-paused').addEventListener('change', drawSoon);
    for (const button of document.querySelectorAll('[data-copy]')) {
        button.addEventListener('click', () => copy(button));
    }
    setOnline(true);
    loadHistory();
}

begin();
