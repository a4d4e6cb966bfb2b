// Delivery: one POST an event, at once; what fails is queued, tried again, and outlives the page.

import { attempt } from './storage.js';

const PATH = '/v1/events';
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 5 * 60 * 1000;

/**
 * @typedef {import('./event.js').Event} Event
 * @typedef {{sent: boolean, reason?: string}} Outcome
 */

/** @param {string} reason */
export const refused = (reason) => ({ sent: false, reason });

/**
 * @param {Window & typeof globalThis} win
 * @param {string} endpoint
 * @param {import('./post.js').Post} post
 * @param {import('./queue.js').Queue} queue
 * @param {(event: Event) => boolean} allowed whether consent still permits this event
 * @param {(name: string, detail: object) => void} emit
 */
export const createDelivery = (win, endpoint, post, queue, allowed, emit) => {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;

  /** @param {number} [after] seconds */
  const later = (after = 0) => {
    clearTimeout(timer);
    const delay = Math.min(FIRST_RETRY_MS * 2 ** failures++, LAST_RETRY_MS) * (0.5 + Math.random());
    timer = setTimeout(flush, Math.max(delay, after * 1000));
  };

  /**
   * @param {Event} event
   * @returns {Promise<Outcome>}
   */
  const send = async (event) => {
    const { reason, after } = await post(PATH, event);
    if (after !== undefined && allowed(event)) {
      queue.enqueue(event);
      later(after);
      return refused('queued');
    }
    queue.remove(event);
    if (!reason) failures = 0;
    emit(reason ? 'dropped' : 'sent', { event, reason });
    return reason ? refused(reason) : { sent: true };
  };

  const permitted = () => queue.read().filter(allowed);

  /** Send what is queued, one after another; where one has to wait, so have those behind it. */
  const resend = async () => {
    for (const event of permitted()) if ((await send(event)).reason === 'queued') break;
  };

  /**
   * Try again what is queued: by this page, by an earlier one, or by another tab. One tab at a time: the next finds
   * what is left. On http pages there are no locks, and the endpoint knows an event_id that comes twice. Where
   * nothing waits, nothing is asked for: the lock would come when the first link of this page may have failed.
   */
  const flush = () =>
    permitted()[0] &&
    (attempt(() => win.navigator.locks.request('uiaf_queue', resend).catch(resend)) ?? resend());

  return {
    send,
    flush,
    /** The network is back: what was learned about waiting holds no more. */
    wake: () => {
      failures = 0;
      later();
    },
    /**
     * The page goes away: hand over what is queued. A beacon tells nothing about its fate, so all stays
     * queued as well; the endpoint knows an event_id that comes twice.
     */
    leave: () =>
      permitted().every((event) =>
        attempt(() => win.navigator.sendBeacon(endpoint + PATH, JSON.stringify(event))),
      ),
    /** Consent was withdrawn: nothing that waits may leave any more. */
    purge: () => {
      clearTimeout(timer);
      queue.clear();
    },
  };
};
