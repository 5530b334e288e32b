// SPDX-License-Identifier: Apache-2.0
// Figures in words. What is not known is a dash, never a nought.

export const NOTHING = '–';

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function isNumber(value) {
    return typeof value === 'number' && Number.isFinite(value);
}

/** 1,234 as it is; from a million on 1.2M. */
export function count(value) {
    if (!isNumber(value)) {
        return NOTHING;
    }
    return (Math.abs(value) < 1e6 ? grouped : compact).format(value);
}

export function bytes(value) {
    if (!isNumber(value)) {
        return NOTHING;
    }
    let unit = 0;
    let size = value;
    while (Math.abs(size) >= 1024 && unit < BYTE_UNITS.length - 1) {
        size /= 1024;
        unit += 1;
    }
    const digits = unit === 0 || size >= 100 ? 0 : 1;
    return `${size.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

/** A rate: small ones keep a digit behind the point, so that a trickle is not nothing. */
export function rate(value) {
    if (!isNumber(value)) {
        return NOTHING;
    }
    return value > 0 && value < 10 ? value.toFixed(value < 0.1 ? 2 : 1) : count(Math.round(value));
}

export function percent(value) {
    return isNumber(value) ? `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %` : NOTHING;
}

/** A short span of time: 240 µs, 3.2 ms, 1.5 s. */
export function latency(seconds) {
    if (!isNumber(seconds)) {
        return NOTHING;
    }
    const [size, unit] = seconds < 1e-3 ? [seconds * 1e6, 'µs']
        : seconds < 1 ? [seconds * 1e3, 'ms'] : [seconds, 's'];
    return `${size.toFixed(size < 10 && unit !== 'µs' ? 1 : 0)} ${unit}`;
}

/** A long one, in its two largest units: 3 d 4 h. */
export function duration(seconds) {
    if (!isNumber(seconds)) {
        return NOTHING;
    }
    const whole = Math.max(0, Math.round(seconds));
    const parts = [
        [Math.floor(whole / 86400), 'd'], [Math.floor(whole / 3600) % 24, 'h'],
        [Math.floor(whole / 60) % 60, 'min'], [whole % 60, 's'],
    ];
    const first = parts.findIndex(([size]) => size > 0);
    return first < 0 ? '0 s' : parts.slice(first, first + 2).filter(([size]) => size > 0)
        .map(([size, unit]) => `${size} ${unit}`).join(' ');
}

/** How long ago an RFC 3339 time was. */
export function ago(time, nowMs = Date.now()) {
    const ms = Date.parse(time ?? '');
    return Number.isNaN(ms) ? NOTHING : `${duration((nowMs - ms) / 1000)} ago`;
}

/** 1 reader, 2 readers. */
export function plural(number, word) {
    return `${count(number)} ${word}${number === 1 ? '' : 's'}`;
}

/** The name of what may be a tenant's: "acme: chat/7". */
export function owned(row, name) {
    return row.tenant === undefined ? name : `${row.tenant}: ${name}`;
}
