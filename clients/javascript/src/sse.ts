// SPDX-License-Identifier: Apache-2.0

export interface SseEvent {
    type: string;
    data: string;
    id?: string;
}

/** Takes text as it comes and tells the events in it (WHATWG HTML, 9.2.6). An id without data is
 * told too, with empty data: it says how far the log has come. */
export function sseParser(onEvent: (event: SseEvent) => void): (text: string) => void {
    let rest = '';
    let event: SseEvent = { type: '', data: '' };
    const takeLine = (line: string): void => {
        if (!line) {
            if (event.data || event.id !== undefined) {
                onEvent({ ...event, data: event.data.slice(0, -1) });
            }
            event = { type: '', data: '' };
            return;
        }
        const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
        if (name === 'data') {
            event.data += `${value}\n`;
        } else if (name === 'event') {
            event.type = value;
        } else if (name === 'id') {
            event.id = value;
        }
    };
    return (text) => {
        // A CR at the very end may be the first half of a line's end.
        const mayEnd = /[\r\n]/.test(rest.slice(-1) + text);
        rest += text;
        if (mayEnd) {
            const lines = rest.split(/\r\n|\n|\r(?!$)/);
            rest = lines.pop()!;
            lines.forEach(takeLine);
        }
    };
}
