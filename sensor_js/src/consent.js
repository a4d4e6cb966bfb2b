// Tiers: what a visitor's consent allows. The same rules as server/onefold/core/consent.py.

/** The four signals of Google Consent Mode v2. */
export const SIGNALS = ['ad_storage', 'ad_user_data', 'ad_personalization', 'analytics_storage'];

/**
 * @typedef {'T0' | 'T1' | 'T2' | 'T3' | 'T4'} Tier
 * @typedef {Record<string, unknown>} Signals a signal is `granted`, or else it is denied
 * @typedef {{tier: Tier, signals: Record<string, 'granted' | 'denied' | null>}} Consent
 */

/**
 * @param {Signals} given
 * @returns {Consent['signals']}
 */
const complete = (given) =>
  Object.fromEntries(
    SIGNALS.map((name) => [name, given[name] === 'granted' ? 'granted' : 'denied']),
  );

/**
 * The tier that signals amount to: T1 with analytics storage and user data, T2 with analytics storage
 * alone, T3 otherwise, because without it no uid may be stored.
 * @param {Signals} signals
 * @returns {Tier}
 */
export const tierOf = (signals) => {
  if (signals.analytics_storage !== 'granted') return 'T3';
  return signals.ad_user_data === 'granted' ? 'T1' : 'T2';
};

/** What a tier grants when a page states it instead of signals. */
/** @type {Record<string, string[]>} */
const GRANTS = { T1: SIGNALS, T2: ['analytics_storage'], T3: [], T4: [] };

/**
 * @param {string[]} names
 * @returns {Signals}
 */
const granted = (names) => Object.fromEntries(names.map((name) => [name, 'granted']));

/**
 * Work out the consent that a page or a consent tool states.
 * @param {unknown} stated a tier, or signals; those left out keep what they were before
 * @param {Consent | null} before
 * @param {boolean} gpc Global Privacy Control is on: counts as `ad_user_data` denied
 * @returns {Consent | null} null where it is neither a tier nor signals
 */
export const consentOf = (stated, before, gpc) => {
  if (stated === 'T0') {
    // Without a consent mechanism there are no signals to send, unless the browser speaks up.
    if (gpc) return consentOf('T2', before, gpc);
    return { tier: 'T0', signals: Object.fromEntries(SIGNALS.map((name) => [name, null])) };
  }
  const grants = GRANTS[/** @type {string} */ (stated)];
  if (!grants && Object(stated) !== stated) return null;
  // Where nothing was asked for so far, what is not stated stays allowed.
  const base = before?.tier === 'T0' ? granted(SIGNALS) : before?.signals;
  const signals = complete(grants ? granted(grants) : { ...base, .../** @type {Signals} */ (stated) });
  if (gpc) signals.ad_user_data = 'denied';
  return { tier: stated === 'T4' ? 'T4' : tierOf(signals), signals };
};

/** @param {Consent | null} consent */
export const mayStore = (consent) => !!consent && consent.tier < 'T3';

/** @param {Consent | null} consent */
export const mayLink = (consent) => !!consent && consent.tier < 'T2';

/**
 * Click ids belong to advertising: they need `ad_storage`, or a site without consent mechanism.
 * @param {Consent | null} consent
 */
export const mayAdvertise = (consent) =>
  !!consent && (consent.tier === 'T0' || (consent.tier < 'T3' && consent.signals.ad_storage === 'granted'));
