// SPDX-License-Identifier: Apache-2.0
// The frame: how the broker is, which view is shown, and what keeps both current.
import { Refusal, Repeat, call, pathOf, readJson } from './broker.js';
import * as channel from './channel.js';
import * as channels from './channels.js';
import * as configuration from './configuration.js';
import * as connections from './connections.js';
import { announce, confirm, copyTemplate, field, setText } from './dom.js';
import { Figures } from './figures.js';
import { duration, plural } from './format.js';
import * as overview from './overview.js';
import * as sessions from './sessions.js';
import * as sinks from './sinks.js';

const VIEWS = { overview, connections, channels, channel, sessions, sinks, configuration };
const PAUSE_MS = 2000;
const DRAIN_PATH = '/api/v1/drain';
const DRAIN_OVER = '30s';

const state = document.getElementById('state');
const holdButton = document.getElementById('hold');
const drainButton = document.getElementById('drain');
const figures = new Figures();
const problems = new Map(); // where from: words
let probedStart; // of the broker whose version and resources are known
let shown = { repeats: [], onFigures: () => {} };

// --- problems -------------------------------------------------------------------------------

function tell(source, text) {
    problems.set(source, text);
    setText(document.getElementById('problem'),
        [...new Set(problems.values())].filter(Boolean).join(' '));
}

/** Does something that the broker may refuse; what it says is shown until it next succeeds. False:
 *  the question itself is faulty, and is not worth repeating. */
async function attempt(source, task) {
    try {
        await task();
        tell(source, '');
    } catch (error) {
        if (!(error instanceof Refusal)) {
            throw error;
        }
        tell(source, error.message);
        return error.status !== 400;
    }
    return true;
}

function repeat(source, task, pauseMs) {
    return new Repeat(signal => attempt(source, () => task(signal)), pauseMs);
}

// --- the broker's state ---------------------------------------------------------------------

function showState(name, text) {
    state.dataset.state = name;
    setText(state, text);
}

async function drainText(signal) {
    if (drainButton.hidden) {
        return 'Draining';
    }
    const { connections: left } = await readJson(DRAIN_PATH, { signal });
    return left === undefined ? 'Draining' : `Draining: ${plural(left, 'connection')} left`;
}

async function judge(signal) {
    const isDraining = figures.value('tidings_draining') === 1;
    setText(drainButton, isDraining ? 'Back into service…' : 'Drain…');
    drainButton.dataset.isDraining = isDraining;
    if (isDraining) {
        showState('draining', await drainText(signal));
    } else if (figures.value('tidings_ready') === 1) {
        showState('ready', 'Ready');
    } else {
        const refusal = await call('GET', '/readyz', { signal }).catch(error => error);
        showState('unready', `Not ready. ${refusal.message ?? ''}`);
    }
}

/* What this broker has is asked once for each start of one. */
async function probe(signal) {
    const [version] = figures.newest.get('tidings_build_info');
    setText(field(document, 'version'), version?.labels.version ?? '');
    const { resources } = await readJson('/api/v1', { signal }).catch(error => {
        if (signal.aborted) {
            throw error;
        }
        return { resources: [] };
    });
    const has = path => resources.some(one => one.path === path);
    document.querySelector('#views [href="#/configuration"]').hidden = !has(configuration.PATH);
    document.querySelector('#views [href="#/sessions"]').hidden = !has(sessions.PATH);
    document.querySelector('#views [href="#/sinks"]').hidden = !has(sinks.PATH);
    uncoverLink();
    drainButton.hidden = !has(DRAIN_PATH);
    probedStart = figures.startSeconds;
}

async function lookAtBroker(signal) {
    try {
        const { text, headers } = await call('GET', '/metrics', { signal });
        const now = Date.parse(headers.get('Date') ?? '') || Date.now();
        figures.add(text, performance.now());
        const uptime = now / 1000 - figures.startSeconds;
        setText(document.getElementById('uptime'), `up ${duration(uptime)}`);
        if (figures.startSeconds !== probedStart) {
            await probe(signal);
        }
        await judge(signal);
        shown.onFigures();
    } catch (error) {
        if (!signal.aborted) {
            showState('away', error.status === 0 ? 'No answer' : 'Not told');
        }
        throw error;
    }
}

async function toggleDrain() {
    const isDraining = drainButton.dataset.isDraining === 'true';
    const isMeant = isDraining
        ? await confirm('Take the broker back into service?',
            '/readyz says 200 again, and no more connections are ended.', 'Back into service')
        : await confirm('Drain the broker?',
            `/readyz says 503 at once, so that load balancers send nobody new. Then all streams ` +
            `are ended over ${DRAIN_OVER}, evenly, and told to reconnect. It can be undone.`,
            'Drain');
    if (isMeant) {
        await call(isDraining ? 'DELETE' : 'POST',
            isDraining ? DRAIN_PATH : `${DRAIN_PATH}?over=${DRAIN_OVER}`);
        announce(isDraining ? 'Back in service.' : 'The broker drains.');
        watch.now();
    }
}

// --- views ----------------------------------------------------------------------------------

/* A narrow window has no room for all links: the one of the view is in sight. */
function uncoverLink() {
    const link = document.querySelector('#views [aria-current="page"]');
    const bar = link.parentElement;
    bar.scrollLeft = link.offsetLeft - bar.offsetLeft - (bar.clientWidth - link.offsetWidth) / 2;
}

function show() {
    const [path, query] = location.hash.replace(/^#\//, '').split('?');
    const name = Object.hasOwn(VIEWS, path) ? path : 'overview';
    const view = VIEWS[name];
    const root = copyTemplate(name);
    const isOther = shown.name !== undefined && shown.name !== name;
    shown.repeats.forEach(one => one.stop());
    shown = { name, repeats: [], onFigures: () => {} };
    tell('view', '');
    tell('action', '');
    tell('tail', '');
    document.getElementById('view').replaceChildren(root);
    document.title = `${view.title} · Tidings console`;
    for (const link of document.querySelectorAll('#views a')) {
        const isCurrent = link.hash === `#/${name === 'channel' ? 'channels' : name}`;
        link.setAttribute('aria-current', isCurrent ? 'page' : 'false');
    }
    uncoverLink();
    const refresh = view.show(root, Object.fromEntries(new URLSearchParams(query)), {
        figures,
        refresh: () => shown.repeats.at(-1).now(),
        attempt: task => attempt('action', task),
        keep: (parameters, isPage) => history[isPage ? 'pushState' : 'replaceState'](
            null, '', pathOf(`#/${name}`, parameters)),
        repeat: (task, pauseMs) => {
            shown.repeats.push(repeat('tail', task, pauseMs));
            return shown.repeats.at(-1);
        },
        onFigures: draw => {
            shown.onFigures = draw;
            if (figures.scrapes.length > 0) {
                draw();
            }
        },
    });
    shown.repeats.push(repeat('view', refresh, view.pauseMs ?? PAUSE_MS));
    if (isOther) {
        document.getElementById('main').focus({ preventScroll: true });
        scrollTo(0, 0);
    }
}

holdButton.addEventListener('click', () => {
    Repeat.hold(!Repeat.isHeld);
    setText(holdButton, Repeat.isHeld ? 'Go on' : 'Hold still');
    holdButton.setAttribute('aria-pressed', String(Repeat.isHeld));
});
drainButton.addEventListener('click', () => attempt('action', toggleDrain));
addEventListener('hashchange', show);
show();
const watch = repeat('watch', lookAtBroker, PAUSE_MS);
