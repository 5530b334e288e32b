// SPDX-License-Identifier: Apache-2.0
// Calls to the port that served this page, and what keeps repeating them.

const TIMEOUT_MS = 15000;

/** What a person should do about an answer, by its status; the broker's own words come first. */
const ADVICE = {
    401: 'Load this page again: the key is the password, and the name may be anything.',
    403: 'Open this page by the address that the broker prints at its start, and not in a frame.',
    404: 'It is not there, or not any more.',
    421: "Open this page as localhost, by the broker's own address, or list the name in " +
        'public.hosts.',
    429: 'Try again in a moment.',
    503: 'The broker is busy or going down. This page goes on trying.',
    507: 'The disk is full: free some, or lower storage.bytes_max. Reading goes on.',
};

/** An answer that was no success, in words. `status` is 0 where none came. */
export class Refusal extends Error {
    constructor(status, detail) {
        super([detail, ADVICE[status]].filter(Boolean).join(' '));
        this.status = status;
    }
}

function sentence(text) {
    return text === '' || /[.!?]$/.test(text) ? text : `${text}.`;
}

function refusalOf(response, text) {
    const isProblem = response.headers.get('Content-Type')?.startsWith('application/problem+json');
    const problem = isProblem ? JSON.parse(text) : {};
    const what = problem.detail ?? problem.title ?? `The broker answered ${response.status}`;
    const where = problem.field === undefined ? '' : `${problem.field}: `;
    return new Refusal(response.status, sentence(where + what));
}

/** What a success brought: {text, headers}. Throws Refusal, or AbortError when `signal` ended
 *  it. */
export async function call(method, path, { signal, headers, body, timeoutMs = TIMEOUT_MS } = {}) {
    const late = AbortSignal.timeout(timeoutMs);
    let response, text;
    try {
        // fetch() takes no address that holds credentials, as this page's may.
        response = await fetch(location.origin + path, {
            method, headers, body, cache: 'no-store', redirect: 'error',
            signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        });
        text = await response.text();
    } catch (error) {
        if (signal?.aborted) {
            throw error;
        }
        throw new Refusal(0, late.aborted
            ? `The broker did not answer within ${timeoutMs / 1000} s.`
            : `The broker does not answer at ${location.host}. Is it running?`);
    }
    if (!response.ok) {
        throw refusalOf(response, text);
    }
    return { text, headers: response.headers };
}

export async function readJson(path, options) {
    return JSON.parse((await call('GET', path, options)).text);
}

/** A path with a query; parameters that are empty are left out. */
export function pathOf(path, parameters) {
    const query = new URLSearchParams(
        Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ''));
    return query.size === 0 ? path : `${path}?${query}`;
}

/** Runs an asynchronous task again and again, `pauseMs` after it ended: so never twice at a time.
 *  It rests while the page is hidden or held, and where the task gave false, until now() is called;
 *  it is cut off when it is stopped. */
export class Repeat {
    static all = new Set();
    static isHeld = false;

    constructor(task, pauseMs) {
        this.task = task;
        this.pauseMs = pauseMs;
        this.abort = new AbortController();
        this.isRunning = false;
        Repeat.all.add(this);
        this.now();
    }

    /** Does not wait for the pause. While the task runs already it is run once more after. */
    now() {
        clearTimeout(this.timer);
        if (this.abort.signal.aborted || document.hidden) {
            return;
        }
        if (this.isRunning) {
            this.isWanted = true;
        } else {
            this.run();
        }
    }

    async run() {
        this.isRunning = true;
        this.isWanted = false;
        this.cut = new AbortController();
        const signal = AbortSignal.any([this.abort.signal, this.cut.signal]);
        let goesOn = true;
        try {
            goesOn = await this.task(signal) !== false;
        } catch (error) {
            if (!signal.aborted) {
                throw error;
            }
        } finally {
            this.isRunning = false;
            if (this.isWanted) {
                this.now();
            } else if (goesOn && !signal.aborted && !document.hidden && !Repeat.isHeld) {
                this.timer = setTimeout(() => this.now(), this.pauseMs);
            }
        }
    }

    /** Ends what is under way; the timer stays off until now() is called. */
    rest() {
        clearTimeout(this.timer);
        this.isWanted = false;
        this.cut?.abort();
    }

    /** Cuts off what is under way and begins anew. */
    restart() {
        this.rest();
        this.now();
    }

    stop() {
        this.abort.abort();
        this.rest();
        Repeat.all.delete(this);
    }

    /** All of them stand still, or go on. */
    static hold(isHeld) {
        Repeat.isHeld = isHeld;
        Repeat.all.forEach(one => (isHeld ? one.rest() : one.now()));
    }
}

document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
        Repeat.all.forEach(one => one.rest());
    } else if (!Repeat.isHeld) {
        Repeat.all.forEach(one => one.now());
    }
});
