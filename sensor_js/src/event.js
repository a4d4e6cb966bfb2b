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
 * @property {Record<string, string>} [match_keys] only where the page asks for them
 * @property {Record<string, 'granted' | 'denied' | null>} consent
 * @property {string | null} claim
 * @property {{ts: number, tier: string, page_url: string, trigger: string | null, sensor: string,
 *   normalization: string}} _meta
 *
 * @typedef {object} Link what only an identity_link has
 * @property {Record<string, string>} [identifiers]
 * @property {Record<string, string>} [attributes]
 * @property {Record<string, string>} [match_keys]
 * @property {string | null} [trigger]
 * @property {string | null} [claim]
 */

/** @param {Record<string, string> | undefined | false} record */
const orNull = (record) => (record && Object.keys(record)[0] ? record : null);

/**
 * @param {string} event its name
 * @param {string} event_id
 * @param {Event['identity']} identity
 * @param {import('./consent.js').Consent} consent
 * @param {string} page_url
 * @param {Record<string, string> | false} clicks
 * @param {Link} link
 * @returns {Event}
 */
export const buildEvent = (
  event,
  event_id,
  identity,
  { tier, signals },
  page_url,
  clicks,
  { identifiers, attributes, match_keys, claim = null, trigger = null },
) => ({
  event,
  event_id,
  identity,
  identifiers: orNull(identifiers),
  attributes: orNull(attributes),
  click_ids: orNull(clicks),
  match_keys,
  consent: signals,
  claim,
  _meta: {
    ts: Date.now(),
    tier,
    page_url,
    trigger,
    sensor: VERSION,
    normalization: RULES,
  },
});
