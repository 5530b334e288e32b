// SPDX-License-Identifier: Apache-2.0

/** What comes; an error where it takes too long, or what a signal says, and none of its listeners
 * stays behind. */
export async function within<T>(
    ms: number,
    coming: T | Promise<T>,
    signal?: AbortSignal | null,
): Promise<T> {
    let stop!: () => void;
    let late: ReturnType<typeof setTimeout>;
    const end = new Promise<never>((_, reject) => {
        stop = () => reject(signal!.reason);
        late = setTimeout(() => reject(new Error('no answer')), ms);
    });
    signal?.addEventListener('abort', stop);
    return Promise.race([coming, end]).finally(() => {
        clearTimeout(late);
        signal?.removeEventListener('abort', stop);
    });
}

/** The text of an answer as it comes; an error where nothing comes for so long. */
export async function* partsOf(
    answer: Response,
    silenceMs: number,
    signal?: AbortSignal | null,
): AsyncGenerator<string, void> {
    const reader = answer.body!.getReader();
    const decoder = new TextDecoder();
    for (;;) {
        const { done, value } = await within(silenceMs, reader.read(), signal);
        if (done) {
            return;
        }
        yield decoder.decode(value, { stream: true });
    }
}
