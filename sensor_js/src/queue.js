// Events that could not be delivered, kept for a day in localStorage: hashed already, and never without
// consent to store.

import { attempt } from './storage.js';

const KEY = 'uiaf_queue';
const TTL_MS = 24 * 60 * 60 * 1000;
/** Enough for a day of failures; what is older goes first. */
const MOST = 50;

/** @typedef {import('./event.js').Event} Event */

/** @param {import('./storage.js').Store} store */
export const createQueue = (store) => {
  /** @returns {Event[]} */
  const read = () =>
    attempt(() =>
      JSON.parse(store.get(KEY) || '[]').filter(
        (/** @type {Event} */ event) => event._meta.ts > Date.now() - TTL_MS,
      ),
    ) ?? [];

  /**
   * Put an event at the end, or take it out.
   * @param {Event} event
   * @param {Event[]} end
   */
  const place = (event, ...end) => {
    const events = read().filter((other) => other.event_id !== event.event_id);
    events.push(...end);
    store.set(KEY, events[0] ? JSON.stringify(events.slice(-MOST)) : null);
  };

  return {
    read,
    /** @param {Event} event */
    enqueue: (event) => place(event, event),
    /** @param {Event} event */
    remove: (event) => {
      if (store.get(KEY)) place(event);
    },
    clear: () => store.set(KEY, null),
  };
};

/** @typedef {ReturnType<typeof createQueue>} Queue */
