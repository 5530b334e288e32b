// SPDX-License-Identifier: Apache-2.0
import {
    createContext,
    createElement,
    useContext,
    useEffect,
    useMemo,
    useRef,
    useState,
} from 'react';
import type { ReactElement, ReactNode } from 'react';
import type {
    Gap,
    Message,
    SubscribeOptions,
    SubscriptionState,
    Tidings,
    TidingsError,
} from '@tidings/client';

const KEEP = 100;
const Context = createContext<Tidings | undefined>(undefined);

/** Gives its children one client: make it outside of the component, so that it is made once. */
export function TidingsProvider(props: { client: Tidings; children?: ReactNode }): ReactElement {
    return createElement(Context.Provider, { value: props.client }, props.children);
}

export function useTidings(): Tidings {
    const client = useContext(Context);
    if (!client) {
        throw new Error('useTidings() needs a <TidingsProvider client={…}> around it');
    }
    return client;
}

export interface ChannelOptions<T> extends Pick<SubscribeOptions, 'since' | 'onLag'> {
    /** How many of the newest messages are kept (100). */
    keep?: number;
    /** Also told of each message, for what is not drawn. */
    onMessage?: (message: Message<T>) => void;
}

export interface ChannelView<T> {
    /** The newest messages, oldest first. */
    messages: Message<T>[];
    last?: Message<T>;
    state: SubscriptionState;
    /** The last gap: messages that were asked for and cannot be had. */
    gap?: Gap;
    error?: TidingsError;
}

const empty = { messages: [], state: 'waiting' as const };

/** Reads a channel or pattern while the component is mounted. */
export function useChannel<T = any>(name: string, options: ChannelOptions<T> = {}): ChannelView<T> {
    const client = useTidings();
    const newest = useRef(options);
    newest.current = options;
    const since = options.since instanceof Date ? options.since.toISOString() : options.since;
    // What is shown belongs to one source; until the next has its own, nothing is.
    const source = useMemo(() => ({}), [client, name, since, options.onLag]);
    const [shown, setShown] = useState<{ source: object; view: ChannelView<T> }>();
    useEffect(() => {
        const setView = (next: (before: ChannelView<T>) => ChannelView<T>): void =>
            setShown((last) => ({ ...last!, view: next(last!.view) }));
        setShown({ source, view: empty });
        const change = (part: Partial<ChannelView<T>>): void =>
            setView((before) => ({ ...before, ...part }));
        const subscription = client.channel<T>(name).subscribe(
            (message) => {
                const { keep = KEEP, onMessage } = newest.current;
                setView((before) => ({
                    ...before,
                    messages: keep > 0 ? [...before.messages, message].slice(-keep) : [],
                    last: message,
                }));
                onMessage?.(message); // last: what it throws is its own affair
            },
            {
                since,
                onLag: options.onLag,
                onState: (state) => change({ state }),
                onGap: (gap) => change({ gap }),
                onError: (error) => change({ error }),
            },
        );
        return () => subscription.unsubscribe();
    }, [source]);
    return shown?.source === source ? shown.view : empty;
}
