// Tiers: what a visitor's consent allows. The same rules as server/onefold/core/consent.py.

/** The four signals of Google Consent Mode v2. */
export const SIGNALS = ['ad_storage', 'ad_user_data', 'ad_personalization', 'analytics_storage'];

/**
 * @typedef {'T0' | 'T1' | 'T2' | 'T3' | 'T4'} Tier
 * @typedef {Record<string, unknown>} Signals a signal is `granted`, or else it is denied
 * @typedef {{tier: Tier, signals: Record<string, 'granted' | 'denied' | null>}} Consent
 */

/**
 * A record of the four signals.
 * @template T
 * @param {(name: string, index: number) => T} valueOf
 */
export const each = (valueOf) => Object.fromEntries(SIGNALS.map((name, i) => [name, valueOf(name, i)]));

/**
 * The tier that signals amount to: T1 with analytics storage and user data, T2 with analytics storage
 * alone, T3 otherwise, because without it no uid may be stored.
 * @param {Signals} signals
 * @returns {Tier}
 */
export const tierOf = ({ analytics_storage, ad_user_data }) => {
  if (analytics_storage !== 'granted') return 'T3';
  return ad_user_data === 'granted' ? 'T1' : 'T2';
};

/**
 * Work out the consent that a page or a consent tool states.
 * @param {any} stated a tier, or signals; those left out keep what they were before
 * @param {Consent | null} before
 * @param {boolean} gpc Global Privacy Control is on: counts as `ad_user_data` denied
 * @returns {Consent | null} null where it is neither a tier nor signals
 */
export const consentOf = (stated, before, gpc) => {
  const isTier = /^T[0-4]$/.test(stated);
  if (!isTier && Object(stated) !== stated) return null;
  // Without a consent mechanism there are no signals to send, unless the browser speaks up.
  if (stated === 'T0' && !gpc) return { tier: stated, signals: each(() => null) };
  /** @param {string} name */
  const grants = (name) => {
    if (isTier) return stated === 'T1' || (stated < 'T3' && name === SIGNALS[3]);
    if (name in stated) return stated[name] === 'granted';
    // Where nothing was asked for so far, what is not stated stays allowed.
    return before?.tier === 'T0' || before?.signals[name] === 'granted';
  };
  const signals = each((name) => (grants(name) ? 'granted' : 'denied'));
  if (gpc) signals.ad_user_data = 'denied';
  return { tier: stated === 'T4' ? stated : tierOf(signals), signals };
};

/**
 * Where nothing is known, no tier is less than another.
 * @param {any} consent
 * @returns {boolean}
 */
export const mayStore = (consent) => consent?.tier < 'T3';

/**
 * @param {any} consent
 * @returns {boolean}
 */
export const mayLink = (consent) => consent?.tier < 'T2';

/**
 * Click ids belong to advertising: they need `ad_storage`, or a site without consent mechanism.
 * @param {Consent | null} consent
 */
export const mayAdvertise = (consent) =>
  consent?.tier === 'T0' || (mayStore(consent) && consent?.signals.ad_storage === 'granted');
