// The way between two sites, both ends of it: a file of its own, which only pages with partners load.

import { mayLink } from './consent.js';
import { followLanding } from './landing.js';
import { followLinks } from './links.js';
import { createPost } from './post.js';

/**
 * What this file is told by the one that loads it: the names are part of what a released version is.
 * @typedef {object} Sensor
 * @property {string} endpoint its origin
 * @property {() => import('./consent.js').Consent | null} current the consent that holds
 * @property {{get: () => string}} uid
 * @property {{get: () => string}} session
 * @property {(name: string, listener: (detail: any) => void) => unknown} on
 * @property {(name: string, detail: object) => void} emit
 */

/**
 * Redeem what was brought along, and follow what leads to partners. The answer is the `decorate` command.
 * @param {Window & typeof globalThis} win
 * @param {string} domains the partners' hosts
 * @param {string | undefined} token what this page's address carried
 * @param {Sensor} sensor
 */
export const cross = (win, domains, token, { endpoint, current, uid, session, on, emit }) => {
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
