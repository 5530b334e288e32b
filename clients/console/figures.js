// SPDX-License-Identifier: Apache-2.0
// What /metrics says: the series that the console names, and what they did lately.

/** All that is kept of a scrape; tests look whether the broker has each of them. */
export const SERIES = [
    'tidings_build_info', 'tidings_ready', 'tidings_draining', 'process_start_time_seconds',
    'tidings_connections_open', 'tidings_readers_open', 'tidings_readers_behind',
    'tidings_published_messages_total', 'tidings_published_bytes_total', 'tidings_publishes_total',
    'tidings_deliveries_total', 'tidings_sent_bytes_total',
    'tidings_publish_duration_seconds_bucket', 'tidings_publish_to_write_seconds_bucket',
    'tidings_gaps_total', 'tidings_skipped_messages_total', 'tidings_connections_closed_total',
    'tidings_commits_missed_total', 'tidings_reads_waiting', 'tidings_log_channels',
    'tidings_store_used_bytes', 'tidings_store_file_bytes', 'tidings_store_limit_bytes',
    'tidings_disk_free_bytes', 'tidings_disk_size_bytes', 'tidings_journal_bytes',
    'tidings_journal_append_duration_seconds_bucket',
    'tidings_journal_sync_duration_seconds_bucket',
    'tidings_fold_duration_seconds_bucket', 'tidings_open_batch_bytes', 'tidings_position_readable',
    'tidings_position_folded', 'tidings_thread_busy_seconds_total', 'tidings_mailbox_letters',
    'process_resident_memory_bytes', 'process_cpu_seconds_total', 'process_open_fds',
    'process_max_fds',
];

const SAMPLES_A_SERIES_MAX = 500;
const HISTORY_MS = 120000;
export const HISTORY_SAMPLES_MAX = 60;

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

function parseLabels(text) {
    const labels = {};
    for (const [, name, value] of (text ?? '').matchAll(LABEL)) {
        labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
    }
    return labels;
}

/** Prometheus's text: Map of name to [{labels, value}], of the named series alone. */
function parseMetrics(text) {
    const found = new Map(SERIES.map(name => [name, []]));
    for (const line of text.split('\n')) {
        const [, name, labels, value] = LINE.exec(line) ?? [];
        const samples = found.get(name);
        if (samples !== undefined && samples.length < SAMPLES_A_SERIES_MAX) {
            samples.push({ labels: parseLabels(labels), value: Number(value) });
        }
    }
    return found;
}

function fits(labels, wanted) {
    return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

function sumOf(series, name, wanted) {
    const samples = series.get(name) ?? [];
    return samples.length === 0 ? undefined : samples
        .filter(({ labels }) => fits(labels, wanted))
        .reduce((sum, { value }) => sum + value, 0);
}

/** The scrapes of the last two minutes. A figure that the broker does not have is undefined. */
export class Figures {
    scrapes = [];

    /** `timeMs` is monotonic. What an earlier process said is forgotten. */
    add(text, timeMs) {
        const series = parseMetrics(text);
        const start = sumOf(series, 'process_start_time_seconds', {});
        if (start !== this.startSeconds) {
            this.scrapes = [];
            this.startSeconds = start;
        }
        this.scrapes.push({ timeMs, series });
        while (this.scrapes.length > HISTORY_SAMPLES_MAX ||
               timeMs - this.scrapes[0].timeMs > HISTORY_MS) {
            this.scrapes.shift();
        }
    }

    get newest() {
        return this.scrapes.at(-1)?.series ?? new Map();
    }

    /** The sum of a series now, of those samples that have the labels. */
    value(name, labels = {}) {
        return sumOf(this.newest, name, labels);
    }

    /** The values that a label has in a series. */
    labelValues(name, label) {
        return [...new Set((this.newest.get(name) ?? []).map(({ labels }) => labels[label]))];
    }

    /** How much a counter grew a second, between one scrape and the next, oldest first. */
    rates(name, labels = {}) {
        return this.scrapes.slice(1).map((scrape, index) => {
            const before = this.scrapes[index];
            const grown = sumOf(scrape.series, name, labels) - sumOf(before.series, name, labels);
            return Math.max(0, grown / ((scrape.timeMs - before.timeMs) / 1000));
        });
    }

    /** How much a counter grew over the scrapes that are kept. */
    growth(name, labels = {}) {
        return sumOf(this.newest, name, labels) - sumOf(this.scrapes[0].series, name, labels);
    }

    /** An upper bound for that share of a histogram's observations over the scrapes kept; null
     *  where there were none. */
    quantile(name, share) {
        const bounds = this.labelValues(name, 'le');
        if (bounds.length === 0) {
            return undefined;
        }
        const counts = bounds.map(le => this.growth(name, { le }));
        const total = counts[bounds.indexOf('+Inf')];
        const index = counts.findIndex(number => number >= share * total);
        return total > 0 ? Number(bounds[index].replace('+Inf', 'Infinity')) : null;
    }
}
