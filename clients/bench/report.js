// SPDX-License-Identifier: Apache-2.0
// The page, from the JSON document in it. Everything is set as text: names come from anybody.
const report = JSON.parse(document.getElementById('document').textContent);
const figures = [];
const TIME_HEIGHT = 190;
const LINES = ['p50', 'p99', 'max'];
const PERCENTS = ['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'mean'];

const at = (id) => document.getElementById(id);
const isThere = (value) => value !== null && value !== undefined;

// What the exit status was of: the last step that held, or the whole.
function subjectOf() {
    const broken = report.steps.findIndex(({holds}) => !holds);
    const last = broken < 0 ? report.steps.length - 1 : Math.max(0, broken - 1);
    return report.steps[last] ?? report.whole;
}
const subject = subjectOf();
const isStep = subject !== report.whole;
const whose = isStep ? `of the step of ${format.rate(subject.rate)}` : 'of the whole load';
// As REPORT_MEMORY_READERS_LEAST of report.h.
const MEMORY = 'server.rss_per_connection';
const isTold = (measures, name) => isThere(measures[name]) &&
    (name !== MEMORY || Number(report.settings.readers) >= 100);
const sentence = (text) => text[0].toUpperCase() + text.slice(1);

function tableOf(caption, head, rows) {
    const cell = (value, index, isHead) => isHead ? element('th', {scope: 'col'}, value)
        : index === 0 ? element('th', {scope: 'row'}, value) : element('td', {}, value);
    const table = element('table', {}, element('caption', {}, caption),
        ...(head.length > 0 ? [element('thead', {}, element('tr', {},
            ...head.map((name, index) => cell(name, index, true))))] : []),
        element('tbody', {}, ...rows.map((row) => {
            const made = element('tr', {}, ...row.map((value, index) => cell(value, index, false)));
            made.className = row.kind ?? '';
            return made;
        })));
    return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
        table);
}

function figure(section, make) {
    const made = figureOf(make);
    figures.push(made);
    section.append(made);
}

function values(section, caption, makeTable) {
    const details = element('details', {}, element('summary', {}, caption));
    details.addEventListener('toggle', () => {
        if (details.children.length === 1) {
            details.append(makeTable());
        }
    });
    section.append(details);
}

function hideUnless(claim, id) {
    at(id).hidden = !claim;
    return claim;
}

function latencyScale(all) {
    const isLog = document.querySelector('[name=axis]:checked').value === 'log';
    const there = all.filter((value) => value > 0);
    return isLog && there.length > 0
        ? logarithmic(there, format.tick) : linear(all, format.tick);
}

function wordOf(holds) {
    return element('span', {class: holds ? 'good' : 'bad'}, holds ? '✓ holds' : '✗ broken');
}

// As a cell of a table; what was not measured is a dash.
function shown(measures, name, write) {
    return isThere(measures[name]) ? write(measures[name]) : '–';
}

// --- the top -----------------------------------------------------------------------------------

function showTop() {
    const name = report.name || 'Load report';
    document.title = name;
    at('name').textContent = name;
    at('description').textContent = report.description;
    at('description').hidden = report.description === '';
    at('when').textContent = `${report.started.replace('T', ' ').replace('Z', ' UTC')}` +
        (report.interrupted ? ' · interrupted: the figures are of what was done by then' : '');
    at('tool').textContent = `${report.tool} ${report.version}`;
    const broken = report.assertions.filter(({holds}) => !holds).length;
    const verdict = at('verdict');
    const count = report.assertions.length;
    verdict.hidden = count === 0;
    verdict.className = `verdict ${broken > 0 ? 'bad' : 'good'}`;
    verdict.textContent = broken > 0 ? `✗ ${broken} of ${count} assertions broken`
        : `✓ ${count === 1 ? 'The assertion holds' : `All ${count} assertions hold`}`;
}

const TILES = [
    ['publish.rate', 'published', format.brief], ['delivery.rate', 'delivered', format.brief],
    ['p50', 'latency p50', format.duration], ['p99', 'latency p99', format.duration],
    ['max', 'latency max', format.duration], ['lost', 'lost', format.tally],
    ['server.cpu_per_delivery', 'CPU a delivery', format.duration],
    ['server.rss_per_connection', 'RSS a reader', format.size],
];

function showTiles() {
    const tile = (title, text) => element('li', {}, element('span', {}, title),
        element('strong', {}, text));
    if (report.steps.length > 0) {
        at('tiles').append(tile('the limit', isThere(report.limit) ? format.brief(report.limit)
            : 'none'));
    }
    at('tiles').classList.toggle('many', report.steps.length > 0);
    at('whose').hidden = !isStep;
    at('whose').textContent = `${sentence(whose)}:`;
    for (const [name, title, write] of TILES) {
        if (isTold(report.measures, name)) {
            at('tiles').append(tile(title, write(report.measures[name])));
        }
    }
}

function showAssertions() {
    if (!hideUnless(report.assertions.length > 0, 'assertions')) {
        return;
    }
    const table = tableOf(sentence(whose), ['asserted', 'measured', ''],
        report.assertions.map(({assertion, measured, holds}) =>
            [element('code', {}, assertion), measured, wordOf(holds)]));
    table.classList.add('words');
    at('assertions').append(table);
}

// --- latency -----------------------------------------------------------------------------------

function distributions() {
    return [['delivery', '', subject.delivery], ['answer', 'answer.', subject.answer],
            ['connect', 'connect.', report.connect.latency]].filter(([, , one]) => isThere(one));
}

function showLatency() {
    const all = distributions();
    if (!hideUnless(all.length > 0, 'latency')) {
        return;
    }
    const section = at('latency');
    // The highest stands where the rarest of so many does.
    const pointsOf = ({curve, count}) => curve.map(([percent, ns]) =>
        [percent === 100 ? 100 * (1 - 1 / Math.max(2, count)) : percent, ns]);
    figure(section, () => ({
        title: isStep ? `Latency by percentile, ${whose}` : 'Latency by percentile',
        isHeaded: !isStep,
        x: rarity(all.map(([, , one]) => one.count)),
        y: latencyScale(all.flatMap(([, , one]) => one.curve.map(([, ns]) => ns))),
        say: format.duration,
        series: all.map(([name, , one]) => ({name, points: pointsOf(one)})),
    }));
    section.append(tableOf(isStep ? `The same in figures, ${whose}` : 'The same in figures',
        ['', ...PERCENTS, 'of'],
        all.map(([name, prefix, one]) => [
            name,
            ...PERCENTS.map((percent) =>
                shown(subject.measures, prefix + percent, format.duration)),
            format.count(one.count),
        ])));
}

// --- steps -------------------------------------------------------------------------------------

function showSteps() {
    if (!hideUnless(report.steps.length > 0, 'steps')) {
        return;
    }
    const section = at('steps');
    const {steps, limit} = report;
    figure(section, () => ({
        title: 'Latency by rate',
        x: linear(steps.map(({rate}) => rate), format.brief,
                  {from: 0, count: section.clientWidth < 600 ? 4 : 8, top: false}),
        y: latencyScale(steps.flatMap(({measures}) => LINES.map((name) => measures[name] ?? 0))),
        say: format.duration,
        dots: true,
        series: LINES.map((name) =>
            ({name, points: steps.map(({rate, measures}) => [rate, measures[name] ?? null])})),
        marks: isThere(limit) ? [{x: limit, label: `limit ${format.rate(limit)}`}] : [],
    }));
    section.append(tableOf('Each step',
        ['offered', 'published', 'delivered', 'of all', 'lost', 'p50', 'p99', 'max', ''],
        steps.map(({rate, measures, holds}) => {
            const row = [
                format.rate(rate), shown(measures, 'publish.rate', format.rate),
                shown(measures, 'delivery.rate', format.rate),
                shown(measures, 'delivered', format.share), shown(measures, 'lost', format.count),
                ...LINES.map((name) => shown(measures, name, format.duration)), wordOf(holds),
            ];
            row.kind = rate === limit ? 'limit' : '';
            return row;
        })));
}

// --- over time ---------------------------------------------------------------------------------

function showTime() {
    const rows = report.series;
    if (!hideUnless(rows.length > 0, 'time')) {
        return;
    }
    const section = at('time');
    // What a row says, it says of all its time.
    const pointsOf = (value) => rows.flatMap((row) =>
        [[row.from_s, value(row)], [row.from_s + row.length_s, value(row)]]);
    const rate = (row, name) => row.length_s > 0 ? row[name] / row.length_s : 0;
    const end = rows.at(-1).from_s + rows.at(-1).length_s;
    const time = () => {
        const count = section.clientWidth < 600 ? 4 : 10;
        const from = Math.min(0, rows[0].from_s);
        return {...linear([end], format.clock, {from, count, top: false}), say: format.seconds};
    };
    const rates = (title, ...names) => figure(section, () => ({
        title,
        height: TIME_HEIGHT,
        x: time(),
        y: linear(rows.flatMap((row) => names.map((name) => rate(row, name))), format.axis),
        say: format.rate,
        series: names.map((name) =>
            ({name, kind: name === 'due' ? 'third' : 'first',
              points: pointsOf((row) => rate(row, name))})),
    }));
    if (rows.some(({published, due}) => published + due > 0)) {
        const isOpen = rows.some(({due}) => due > 0);
        rates('Messages a second', 'published', ...(isOpen ? ['due'] : []));
    }
    if (rows.some(({delivered}) => delivered > 0)) {
        rates('Deliveries a second', 'delivered');
        figure(section, () => ({
            title: 'Delivery latency',
            height: TIME_HEIGHT,
            x: time(),
            y: latencyScale(rows.flatMap((row) => LINES.map((name) => row[`${name}_ns`]))),
            say: format.duration,
            series: LINES.map((name) => ({name, points: pointsOf((row) =>
                row.delivered > 0 ? row[`${name}_ns`] : null)})),
        }));
    }
    values(section, 'The same in figures', () => tableOf('Each row of the series',
        ['from', 'due', 'published', 'delivered', ...LINES],
        rows.map((row) => [
            format.seconds(row.from_s), format.count(row.due), format.count(row.published),
            format.count(row.delivered),
            ...LINES.map((name) => row.delivered > 0 ? format.duration(row[`${name}_ns`]) : '–'),
        ])));
}

// --- counts, server, scenario ------------------------------------------------------------------

const COUNTS = [
    ['due', 'Messages that were due'], ['published', 'Messages sent'],
    ['in_time', 'Messages sent in time'],
    ['answered', 'Messages that the server took'], ['refused', 'Messages that it did not take'],
    ['unanswered', 'Messages of which it said neither'],
    ['expected', 'Deliveries to be made'], ['delivered', 'Deliveries made'], ['lost', 'Lost'],
    ['duplicates', 'Delivered again'], ['reordered', 'Out of order'],
    ['foreign', 'Not of this load'], ['connected', 'Readers connected'],
    ['unconnected', 'Attempts to connect that failed'],
    ['closed', 'Readers that the server closed'],
];
const FAULTS = [
    'refused', 'unanswered', 'lost', 'duplicates', 'reordered', 'foreign', 'unconnected', 'closed',
];

const SERVER = [
    ['server.cpu', 'CPU time, of one core', format.share],
    ['server.cpu_per_delivery', 'CPU time a delivery', format.duration],
    ['server.cpu_per_publish', 'CPU time a message', format.duration],
    ['server.cpu_per_connect', 'CPU time a connect', format.duration],
    ['server.rss_per_connection', 'Memory a connection', format.size],
    ['server.rss_max', 'Memory at its most', format.size],
];

function showCounts() {
    const {counts, measures} = report.whole;
    const all = isStep ? 'Of all steps together' : 'Of the whole load';
    at('counts').append(tableOf(all, [], COUNTS.map(([name, title]) => {
        const isBad = FAULTS.includes(name) && counts[name] > 0;
        return [title, element('span', isBad ? {class: 'bad'} : {},
            isBad ? `✗ ${format.count(counts[name])}` : format.count(counts[name]))];
    })));
    const rows = SERVER.filter(([name]) => isTold(measures, name));
    if (hideUnless(rows.length > 0, 'server')) {
        at('server').append(tableOf(
            `Of the process that was watched${isStep ? ', all steps together' : ''}`, [],
            rows.map(([name, title, write]) => [title, write(measures[name])])));
    }
}

function showScenario() {
    const code = at('scenario').querySelector('pre code');
    const button = at('scenario').querySelector('button');
    code.textContent = report.scenario;
    button.addEventListener('click', async () => {
        try {
            await navigator.clipboard.writeText(report.scenario);
            button.textContent = 'Copied';
        } catch {
            getSelection().selectAllChildren(code); // where there is no clipboard to write to
            button.textContent = 'Selected: copy it';
        }
    });
}

showTop();
showTiles();
showAssertions();
showLatency();
showSteps();
showTime();
showCounts();
showScenario();
for (const choice of document.querySelectorAll('[name=axis]')) {
    choice.addEventListener('change', () => figures.forEach((one) => one.redraw()));
}
