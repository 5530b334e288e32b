// SPDX-License-Identifier: Apache-2.0
// Draws a tennis score, and the run of a match, from messages that anybody may have published:
// nothing in them is trusted further than isScore() looked, and all text goes in as text.

const SVG = 'http://www.w3.org/2000/svg';
const SETS_MOST = 5;
const TIMELINE_POINTS_LEAST = 48; // a match of three points does not fill the whole width
const TIMELINE_ROOM = 1.12; // what a match that is not over leaves free for what comes

const isPair = (value, type) => Array.isArray(value) && value.length === 2 &&
    value.every((item) => typeof item === type);

export function isScore(data) {
    return data !== null && typeof data === 'object' && isPair(data.players, 'string') &&
        isPair(data.games, 'number') && isPair(data.points, 'string') && Array.isArray(data.sets) &&
        data.sets.length <= SETS_MOST && data.sets.every((set) => isPair(set, 'number'));
}

function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
}

// The columns of a player's row: finished sets, the games of this set, the points of this game.
function playerRow(score, player) {
    const other = 1 - player;
    const won = score.match_winner === player + 1;
    const row = make('tr', { className: won ? 'champion' : '' });
    const name = make('th', { scope: 'row' },
        make('span', { className: 'player' }, score.players[player]));
    if (score.server === player + 1) {
        name.append(make('span', { className: 'serving', title: 'served this point' },
            make('span', { className: 'unseen' }, ' (served)')));
    }
    row.append(name);
    for (const set of score.sets) {
        const className = set[player] > set[other] ? 'set won' : 'set lost';
        row.append(make('td', { className }, set[player]));
    }
    if (!score.match_winner) {
        row.append(make('td', { className: 'games' }, score.games[player]),
            make('td', { className: 'points' }, score.points[player]));
    } else {
        const sets = score.sets.filter((set) => set[player] > set[other]).length;
        row.append(make('td', { className: 'points' }, sets));
    }
    return row;
}

export function drawBoard(table, score) {
    const head = (...content) => make('th', { scope: 'col' }, ...content);
    const setHead = (number) => head(make('span', { className: 'wide' }, 'Set '), number);
    const heads = [head('Player'), ...score.sets.map((_, index) => setHead(index + 1))];
    if (score.match_winner) {
        heads.push(head('Sets'));
    } else {
        heads.push(setHead(score.sets.length + 1), head('Points'));
    }
    table.tHead.replaceChildren(make('tr', {}, ...heads));
    table.tBodies[0].replaceChildren(playerRow(score, 0), playerRow(score, 1));
}

// One line under the board: what the newest point was.
export function describePoint(score) {
    const facts = [];
    if (Number.isInteger(score.point)) {
        facts.push(`Point ${score.point}`);
    }
    if (typeof score.elapsed === 'string') {
        facts.push(score.elapsed);
    }
    if (score.match_winner === 1 || score.match_winner === 2) {
        facts.push(`game, set and match ${score.players[score.match_winner - 1]}`);
    } else if (score.winner === 1 || score.winner === 2) {
        facts.push(`to ${score.players[score.winner - 1]}`);
    }
    if (Number.isFinite(score.speed_kmh)) {
        facts.push(`serve ${score.speed_kmh} km/h`);
    }
    return facts.join(' · ');
}

// The games as they are said aloud: a text that changes once a game, so that a screen reader can
// keep up.
export function sayGames(score) {
    const [first, second] = score.players;
    if (score.match_winner) {
        return `Game, set and match ${score.players[score.match_winner - 1]}.`;
    }
    return `Set ${score.sets.length + 1}: ${first} ${score.games[0]}, ${second} ${score.games[1]}.`;
}

// The newest match in an ordered list of scores: back to where the point number last went down.
export function newestMatch(scores) {
    const start = scores.findLastIndex(
        (score, index) => index === 0 || scores[index - 1].point >= score.point);
    return scores.slice(Math.max(0, start));
}

// Who has won more points so far, as steps above and below a middle line.
function leads(scores) {
    let lead = 0;
    return scores.map((score) => (lead += score.winner === 1 ? 1 : -1));
}

function stepPath(values, clamp) {
    const steps = values.map((value, index) => `V${-clamp(value)}H${index + 1}`);
    return `M0 0${steps.join('')}V0Z`;
}

function shape(tag, attributes) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
        element.setAttribute(name, value);
    }
    return element;
}

// The widths of the sets in points, and what each ended with.
function setSpans(scores) {
    const spans = [];
    for (const score of scores) {
        // A set's last point is told with the next set at 0-0, and belongs to the one before.
        const endedSet = score.sets.length > 0 &&
            [...score.games, ...score.points].every((value) => Number(value) === 0);
        const index = score.sets.length - (endedSet ? 1 : 0);
        spans[index] ??= { number: index + 1, points: 0, result: null, isOver: false };
        spans[index].points += 1;
        spans[index].result = score.sets[index] ?? score.games;
        spans[index].isOver = endedSet;
    }
    return spans.filter(Boolean);
}

export function drawTimeline(figure, scores) {
    const svg = figure.querySelector('svg');
    const values = leads(scores);
    const isOver = Boolean(scores.at(-1)?.match_winner);
    const width = isOver ? values.length
        : Math.max(TIMELINE_POINTS_LEAST, Math.ceil(TIMELINE_ROOM * values.length));
    const reach = Math.max(6, ...values.map(Math.abs)) + 1;
    const spans = setSpans(scores);
    svg.setAttribute('viewBox', `0 ${-reach} ${width} ${2 * reach}`);
    const above = stepPath(values, (value) => Math.max(0, value));
    const below = stepPath(values, (value) => Math.min(0, value));
    const shapes = [
        shape('path', { d: above, class: 'ahead-first' }),
        shape('path', { d: below, class: 'ahead-second' }),
        shape('line', { x1: 0, x2: width, y1: 0, y2: 0, class: 'middle' }),
    ];
    let end = 0;
    for (const span of spans) {
        end += span.points;
        if (span.isOver && end < width) {
            const ends = { x1: end, x2: end, y1: -reach, y2: reach };
            shapes.push(shape('line', { ...ends, class: 'set-end' }));
        }
    }
    svg.replaceChildren(...shapes);

    const labels = spans.map((span) => {
        const name = make('span', { className: 'set-name' }, `Set ${span.number} `);
        const label = make('li', {}, name, span.result.join('–'));
        label.style.flexGrow = span.points;
        return label;
    });
    const rest = make('li', { className: 'rest' });
    rest.style.flexGrow = width - values.length;
    figure.querySelector('.sets').replaceChildren(...labels, rest);

    const dot = figure.querySelector('.newest');
    const lead = values.at(-1) ?? 0;
    dot.hidden = values.length === 0;
    dot.style.left = `${100 * values.length / width}%`;
    dot.style.top = `${50 - 50 * lead / reach}%`;
    const [first, second] = scores.at(-1)?.players ?? ['', ''];
    figure.querySelector('.name-first').textContent = first;
    figure.querySelector('.name-second').textContent = second;
    figure.querySelector('.lead').textContent = values.length === 0 ? 'No points yet'
        : lead === 0 ? `${values.length} points, as many each`
            : `${values.length} points, ${Math.abs(lead)} more to ${lead > 0 ? first : second}`;
}
