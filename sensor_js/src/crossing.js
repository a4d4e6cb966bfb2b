// The way between two sites, both ends of it: a file of its own, which only pages with partners load.

import { mayLink } from './consent.js';
import { followLanding } from './landing.js';
import { followLinks } from './links.js';
import { createPost } from './post.js';

/**
 * What this file is told by the one that loads it: the order, and the names, are part of what a released version is.
 * @typedef {[
 *   on: (name: string, listener: (detail: any) => void) => unknown,
 *   emit: (name: string, detail: object) => void,
 *   endpoint: string,
 *   current: () => import('./consent.js').Consent | null,
 *   uid: {get: () => string},
 *   session: {get: () => string},
 * ]} Sensor
 */

/**
 * Redeem what was brought along, and follow what leads to partners. The answer is the `decorate` command.
 * @param {Window & typeof globalThis} win
 * @param {string} domains the partners' hosts
 * @param {string | undefined} token what this page's address carried
 * @param {Sensor} sensor
 */
export const cross = (win, domains, token, ...[on, emit, endpoint, current, uid, session]) => {
  const asker = () => {
    const consent = current();
    return (
      mayLink(consent) &&
      consent && {
        identity: { uid: uid.get(), session_id: session.get() },
        consent: consent.signals,
        _meta: { tier: consent.tier },
      }
    );
  };
  const crossing = { asker, post: createPost(win, endpoint), on, emit };
  followLanding(win, token, crossing);
  return followLinks(win, domains, crossing);
};
