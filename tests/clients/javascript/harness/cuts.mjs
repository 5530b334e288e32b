// SPDX-License-Identifier: Apache-2.0
// Publishing while the network fails again and again, the same way each time.

/** Numbers in [0, 1) that are the same each time (mulberry32). */
function seeded(seed) {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

/** Publishes the numbers 1 … count in batches of 1 to 200, and calls `cut(published)` so many times
 * between them, spread evenly over the messages. */
export async function publishAmidCuts(broker, channel, { count, cuts, seed }, cut) {
    const random = seeded(seed);
    let done = 0;
    for (let published = 0; published < count;) {
        const batch = Math.min(count - published, 1 + Math.floor(random() * 200));
        await broker.publishNumbers(channel, published + 1, batch);
        published += batch;
        for (; done < cuts * (published / count); done += 1) {
            await cut(published);
        }
    }
}
