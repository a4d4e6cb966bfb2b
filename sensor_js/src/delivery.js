// Delivery: one POST an event, at once; what fails is queued, tried again, and outlives the page.

import { attempt } from './storage.js';

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 5 * 60 * 1000;

/**
 * @typedef {import('./event.js').Event} Event
 * @typedef {{sent: boolean, reason?: string}} Outcome
 */

/**
 * @param {Window & typeof globalThis} win
 * @param {string} url where events go
 * @param {import('./queue.js').Queue} queue
 * @param {(event: Event) => boolean} allowed whether consent still permits this event
 * @param {(name: string, detail: object) => void} emit
 */
export const createDelivery = (win, url, queue, allowed, emit) => {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;

  /**
   * Post an event: nothing, or why it was not taken. text/plain needs no preflight, and with credentials a
   * same-site endpoint can renew the cookie.
   * @param {Event} event
   * @returns {Promise<{reason?: string, again?: boolean}>}
   */
  const post = async (event) => {
    try {
      const response = await win.fetch(url, {
        method: 'POST',
        body: JSON.stringify(event),
        headers: { 'content-type': 'text/plain' },
        credentials: 'include',
        keepalive: true,
      });
      const { ok, status } = response;
      if (ok) return {};
      const problem = await response.json().catch(() => ({}));
      // Of all refusals only these may change with time.
      const again = status > 499 || status === 408 || status === 429;
      return { reason: problem.code || 'http_' + status, again };
    } catch {
      return { reason: 'network', again: true };
    }
  };

  const later = () => {
    clearTimeout(timer);
    const delay = Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS);
    timer = setTimeout(flush, delay * (0.5 + Math.random()));
  };

  /**
   * @param {Event} event
   * @returns {Promise<Outcome>}
   */
  const send = async (event) => {
    const { reason, again } = await post(event);
    if (again && allowed(event)) {
      queue.add(event);
      later();
      return { sent: false, reason: 'queued' };
    }
    queue.remove(event);
    if (!reason) failures = 0;
    emit(reason ? 'dropped' : 'sent', { event, reason });
    return reason ? { sent: false, reason } : { sent: true };
  };

  const permitted = () => queue.read().filter(allowed);

  /** Try again what is queued: by this page, or by an earlier one. */
  const flush = () => {
    failures++;
    permitted().forEach(send);
  };

  return {
    send,
    flush,
    /**
     * The page goes away: hand over what is queued. A beacon tells nothing about its fate, so all stays
     * queued as well; the endpoint knows an event_id that comes twice.
     */
    leave: () =>
      permitted().every((event) =>
        attempt(() => win.navigator.sendBeacon(url, JSON.stringify(event))),
      ),
    /** Consent was withdrawn: nothing that waits may leave any more. */
    purge: () => {
      clearTimeout(timer);
      queue.clear();
    },
  };
};
