// SPDX-License-Identifier: Apache-2.0

const RETRY_MS_MAX = 2 ** 30; // a timer's longest, with room for what is added

/** Whatever the broker, or the way to it, refuses. */
export class TidingsError extends Error {
    override name = 'TidingsError';

    /**
     * @param code   what went wrong, for programs: the last part of a problem's `type`
     *               (`bad-channel`), or `unreachable`, `closed`
     * @param detail one sentence for people
     * @param status the HTTP status, or the close code of a WebSocket
     * @param field  what is to blame, where it is one thing
     * @param retryAfterMs how long the broker asks to wait (`Retry-After`)
     */
    constructor(
        readonly code: string,
        readonly detail: string,
        readonly status?: number,
        readonly field?: string,
        readonly retryAfterMs = 0,
    ) {
        super(`${code}: ${detail}`);
    }
}

/** Whether the same request may be answered otherwise in a moment. */
export function isPassing(status?: number): boolean {
    return !status || (status >= 500 && status !== 501) || [408, 425, 429].includes(status);
}

/** What an answer that is no success says: `application/problem+json`, or anything of a proxy's. */
export async function errorOf(response: Response): Promise<TidingsError> {
    let problem: Record<string, string> = {};
    try {
        problem = (await response.json()) ?? {};
    } catch {
        // A proxy's page: the status says enough.
    }
    const status = response.status;
    return new TidingsError(
        problem.type?.split('/').pop() ?? `http-${status}`,
        problem.detail ?? problem.title ?? `HTTP ${status}`,
        status,
        problem.field,
        Math.min(RETRY_MS_MAX, 1000 * Number(response.headers.get('Retry-After')) || 0),
    );
}
