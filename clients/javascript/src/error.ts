// SPDX-License-Identifier: Apache-2.0

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
        problem.detail ?? problem.title ?? `the broker answered ${status}`,
        status,
        problem.field,
        1000 * (Number(response.headers.get('Retry-After')) || 0),
    );
}
