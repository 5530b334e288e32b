// SPDX-License-Identifier: Apache-2.0
// Line charts as SVG: what report.js asks for, at the width there is. A chart is
//     {title, x, y, say, series: [{name, points: [[x, y], …]}], marks: [{x, label}]}
// whose scales come from here, and whose `say` writes a y; a y of null is a gap. Text is set as
// text alone, whatever is in it.
'use strict';

const CLASSES = ['first', 'second', 'third'];
const SVG = 'http://www.w3.org/2000/svg';

function element(name, attributes = {}, ...children) {
    const made = name.startsWith('svg:')
        ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
}

// --- numbers -----------------------------------------------------------------------------------

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const short = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});
const exact = new Intl.NumberFormat('en', {minimumSignificantDigits: 3,
                                          maximumSignificantDigits: 3});
const TIMES = [['s', 1e9], ['ms', 1e6], ['µs', 1e3], ['ns', 1]];
const SIZES = [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 1024], ['B', 1]];

function scaled(value, units, number) {
    const [unit, size] = units.find(([, one]) => value >= one) ?? units.at(-1);
    return `${size === 1 ? short.format(value) : number.format(value / size)} ${unit}`;
}

const format = {
    count: (value) => whole.format(value),
    duration: (ns) => scaled(ns, TIMES, exact),
    tick: (ns) => ns === 0 ? '0' : scaled(ns, TIMES, short),
    size: (bytes) => scaled(bytes, SIZES, exact),
    rate: (value) => `${value < 100 ? short.format(value) : whole.format(value)}/s`,
    brief: (value) => value < 1e5 ? format.rate(value) : `${format.axis(value)}/s`,
    // What is not all is never shown as 100 %.
    share: (value) => value < 1 && value > 0.99
        ? `${Math.floor(value * 1e5) / 1e3} %` : `${short.format(value * 100)} %`,
    seconds: (value) => `${short.format(value)} s`,
    clock: (s) => s < 120 ? `${short.format(s)} s` : `${whole.format(s / 60)} min`,
    tally: (value) => value < 1e6 ? whole.format(value) : format.axis(value),
    // Two digits of what is left: 99.87, 99.9987.
    percent: (value) => {
        const decimals = value < 100 ? 1 - Math.floor(Math.log10(100 - value)) : 0;
        return `${Number(value.toFixed(Math.max(0, Math.min(12, decimals))))} %`;
    },
    axis: (value) => value < 1e4 ? short.format(value) : value < 999500
        ? `${short.format(value / 1e3)}k` : `${short.format(value / 1e6)}M`,
};

// --- scales: where a value lies between 0 and 1, and what to write beside it ------------------

function niceStep(span, count) {
    const rough = span / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function linear(values, write, {from = 0, count = 5, top = true} = {}) {
    const highest = Math.max(...values, from + Number.MIN_VALUE);
    const step = niceStep(highest > from ? highest - from : 1, count);
    const to = top ? from + Math.ceil((highest - from) / step || 1) * step : highest;
    const ticks = [];
    for (let i = 0; from + i * step <= to * 1.0001; i++) {
        ticks.push(from + i * step);
    }
    return {at: (value) => (value - from) / (to - from), ticks, write};
}

function logarithmic(values, write) {
    const there = values.filter((value) => value > 0);
    const low = 10 ** Math.floor(Math.log10(Math.min(...there) * 1.0001));
    const high = 10 ** Math.ceil(Math.log10(Math.max(...there, low * 1.1) * 0.9999));
    const decades = Math.round(Math.log10(high / low));
    const ticks = [];
    for (let power = low; power < high * 1.01; power *= 10) {
        ticks.push(...(decades > 3 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5])
            .map((factor) => factor * power).filter((tick) => tick < high * 1.01));
    }
    return {at: (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low), ticks,
            write};
}

// 90 %, 99 % and 99.9 % are as far from each other. The highest of n values lies where the last of
// n does, at 1 - 1/n.
function rarity(counts) {
    const decades = Math.max(1, Math.log10(Math.max(...counts)));
    const ticks = [0, 50];
    for (let i = 1; i <= decades + 0.01; i++) {
        ticks.push(100 - 10 ** (2 - i));
    }
    return {at: (percent) => Math.min(1, -Math.log10(1 - percent / 100) / decades), ticks,
            write: format.percent};
}

// --- drawing -----------------------------------------------------------------------------------

const HEIGHT = 260; // unless the chart has its own
const DOTS_MAX = 12; // points that are shown as such, as a line may hide that there are so few
const MARGIN = {top: 10, right: 18, bottom: 26, left: 62};

function pathOf(points, place) {
    let path = '';
    let isApart = true;
    for (const [x, y] of points) {
        if (y === null) {
            isApart = true;
            continue;
        }
        path += `${isApart ? 'M' : 'L'}${place.x(x).toFixed(1)} ${place.y(y).toFixed(1)}`;
        isApart = false;
    }
    return path;
}

function drawAxes(chart, place, width, height) {
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    const parts = [];
    for (const tick of chart.y.ticks) {
        const y = place.y(tick);
        parts.push(element('svg:line', {class: 'grid', x1: MARGIN.left, x2: right, y1: y, y2: y}));
        const label = element('svg:text', {x: MARGIN.left - 8, y: y + 4, 'text-anchor': 'end'});
        label.textContent = chart.y.write(tick);
        parts.push(label);
    }
    parts.push(element('svg:line', {class: 'base', x1: MARGIN.left, x2: right, y1: bottom,
                                    y2: bottom}));
    let free = -Infinity;
    for (const tick of chart.x.ticks) {
        const text = chart.x.write(tick);
        const half = text.length * 3.4;
        const x = Math.min(place.x(tick), width - half);
        if (x - half < free) {
            continue;
        }
        free = x + half + 10;
        const label = element('svg:text', {x, y: height - 8, 'text-anchor': 'middle'});
        label.textContent = text;
        parts.push(label, element('svg:line', {class: 'base', x1: place.x(tick), x2: place.x(tick),
                                               y1: bottom, y2: bottom + 4}));
    }
    return parts;
}

function drawMarks(chart, place, height) {
    return (chart.marks ?? []).flatMap(({x: value, label}) => {
        const x = place.x(value);
        const isRight = chart.x.at(value) > 0.6;
        const text = element('svg:text', {
            class: 'mark', x: x + (isRight ? -6 : 6), y: MARGIN.top + 10,
            'text-anchor': isRight ? 'end' : 'start',
        });
        text.textContent = label;
        return [element('svg:line', {class: 'mark', x1: x, x2: x, y1: MARGIN.top,
                                     y2: height - MARGIN.bottom}), text];
    });
}

function drawSeries(chart, place) {
    return chart.series.flatMap(({points, kind}, index) => {
        const look = kind ?? CLASSES[index];
        const there = points.filter(([, y]) => y !== null);
        const curve = element('svg:path', {class: `curve ${look}`, d: pathOf(points, place)});
        const dot = ([x, y]) => element('svg:circle', {
            class: `dot ${look}`, cx: place.x(x), cy: place.y(y), r: 3.5,
        });
        return [curve, ...(there.length <= DOTS_MAX || chart.dots ? there.map(dot) : [])];
    });
}

function legendOf(chart) {
    return element('ul', {class: 'legend'}, ...chart.series.map(({name, kind}, index) => {
        const sample = element('svg:svg', {viewBox: '0 0 28 12', 'aria-hidden': 'true'},
            element('svg:path', {class: `curve ${kind ?? CLASSES[index]}`, d: 'M1 6H27'}));
        return element('li', {}, sample, name);
    }));
}

function nearest(points, x) {
    let [low, high] = [0, points.length - 1];
    while (high - low > 1) {
        const middle = (low + high) >> 1;
        [low, high] = points[middle][0] <= x ? [middle, high] : [low, middle];
    }
    return Math.abs(points[high][0] - x) < Math.abs(points[low][0] - x) ? high : low;
}

// The values at a place, under the pointer or by the arrow keys.
function follow(chart, plot, svg, place, {width, height}) {
    const line = element('svg:line', {class: 'cross', y1: MARGIN.top, y2: height - MARGIN.bottom,
                                      visibility: 'hidden'});
    const tip = element('div', {class: 'tip', role: 'status', hidden: ''});
    const leader = chart.series.reduce((most, one) =>
        one.points.length > most.points.length ? one : most).points;
    let index = -1;
    svg.append(line);
    plot.append(tip);

    const show = (to) => {
        index = Math.max(0, Math.min(leader.length - 1, to));
        const [x] = leader[index];
        tip.replaceChildren(element('b', {}, chart.x.say?.(x) ?? chart.x.write(x)));
        for (const {name, points} of chart.series) {
            const isBeyond = x > points.at(-1)[0] || x < points[0][0];
            const y = isBeyond ? null : points[nearest(points, x)][1];
            tip.append(element('div', {}, `${name} ${y === null ? '–' : chart.say(y)}`));
        }
        const at = place.x(x);
        line.setAttribute('x1', at);
        line.setAttribute('x2', at);
        line.setAttribute('visibility', 'visible');
        tip.hidden = false;
        const share = at / width;
        tip.style.left = share > 0.5 ? '' : `calc(${share * 100}% + 12px)`;
        tip.style.right = share > 0.5 ? `calc(${(1 - share) * 100}% + 12px)` : '';
    };
    const hide = () => {
        line.setAttribute('visibility', 'hidden');
        tip.hidden = true;
    };
    svg.addEventListener('pointermove', (event) => {
        const box = svg.getBoundingClientRect();
        const wanted = (event.clientX - box.left) / box.width * width;
        const places = leader.map(([x]) => [place.x(x)]);
        show(nearest(places, wanted));
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', (event) => {
        const step = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity}[event.key];
        if (step !== undefined) {
            event.preventDefault();
            show(Math.min(leader.length, index + step));
        }
    });
}

function drawPlot(chart, plot) {
    const width = Math.max(300, Math.round(plot.clientWidth));
    const height = chart.height ?? HEIGHT;
    const inner = width - MARGIN.left - MARGIN.right;
    const place = {
        x: (value) => MARGIN.left + chart.x.at(value) * inner,
        y: (value) => height - MARGIN.bottom -
            chart.y.at(value) * (height - MARGIN.top - MARGIN.bottom),
    };
    const title = element('svg:title');
    title.textContent = `${chart.title}: ${chart.series.map(({name}) => name).join(', ')}`;
    const svg = element('svg:svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', tabindex: '0',
                                    'aria-label': title.textContent},
        title, ...drawAxes(chart, place, width, height), ...drawSeries(chart, place),
        ...drawMarks(chart, place, height));
    plot.replaceChildren(svg);
    follow(chart, plot, svg, place, {width, height});
}

// A figure that is drawn again whenever its width changes, or what `make` gives.
function figureOf(make) {
    const chart = make();
    const plot = element('div', {class: 'plot'});
    const title = element('h3', {}, chart.title);
    title.hidden = chart.isHeaded ?? false; // by the section that it is in
    const caption = element('figcaption', {}, title);
    if (chart.series.length > 1) {
        caption.append(legendOf(chart));
    }
    const figure = element('figure', {}, caption, plot);
    let width = 0;
    new ResizeObserver(() => {
        if (plot.clientWidth !== width && plot.clientWidth > 0) {
            width = plot.clientWidth;
            drawPlot(make(), plot);
        }
    }).observe(plot);
    figure.redraw = () => drawPlot(make(), plot);
    return figure;
}
