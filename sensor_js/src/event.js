// The payload: one shape for every event; null means absent.

import { RULES } from './normalize.js';
import { VERSION } from './version.js';

/**
 * @typedef {object} Event
 * @property {string} event
 * @property {string} event_id
 * @property {{uid: string, session_id: string | null}} identity
 * @property {Record<string, string> | null} identifiers
 * @property {Record<string, string> | null} attributes
 * @property {Record<string, string> | null} click_ids
 * @property {Record<string, 'granted' | 'denied' | null>} consent
 * @property {string | null} claim
 * @property {{ts: number, tier: string, page_url: string, trigger: string | null, sensor: string,
 *   normalization: string}} _meta
 *
 * @typedef {object} Link what only an identity_link has
 * @property {Record<string, string>} [identifiers]
 * @property {Record<string, string>} [attributes]
 * @property {string} [trigger]
 * @property {string} [claim]
 */

/** @param {Record<string, string> | undefined} record */
const orNull = (record) => (record && Object.keys(record)[0] ? record : null);

/**
 * @param {string} event its name
 * @param {string} event_id
 * @param {Event['identity']} identity
 * @param {import('./consent.js').Consent} consent
 * @param {string} page_url
 * @param {Record<string, string>} clicks
 * @param {Link} link
 * @returns {Event}
 */
export const buildEvent = (event, event_id, identity, consent, page_url, clicks, link) => ({
  event,
  event_id,
  identity,
  identifiers: orNull(link.identifiers),
  attributes: orNull(link.attributes),
  click_ids: orNull(clicks),
  consent: consent.signals,
  claim: link.claim ?? null,
  _meta: {
    ts: Date.now(),
    tier: consent.tier,
    page_url,
    trigger: link.trigger ?? null,
    sensor: VERSION,
    normalization: RULES,
  },
});
