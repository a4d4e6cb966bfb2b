// Where consent comes from. A source is one function: it is given the window and `tell`, and calls
// `tell(tier or signals, explicit)` whenever it learns something. `explicit` says that the visitor
// chose (so a denial is a withdrawal), not that a default applies until they do.

import { SIGNALS, tierOf } from './consent.js';
import { attempt } from './storage.js';
import { tcf } from './tcf.js';

/**
 * @typedef {Window & typeof globalThis & {dataLayer?: any[], __tcfapi?: (command: string, version: number, heard: (data: any, success: boolean) => void) => void}} Page
 * @typedef {(stated: unknown, explicit: boolean) => void} Tell
 */

/** How long a default is left open for the visitor's stored choice, where the page does not say. */
const WAIT_MS = 500;

/**
 * Google's tags read commands only from `arguments` objects, not from arrays; so do we.
 * @param {any} entry
 */
const isConsent = (entry) =>
  '' + entry === '[object Arguments]' && entry[0] === 'consent';

/** @param {Page} win */
const hasGoogleDefault = (win) =>
  win.dataLayer?.some((entry) => isConsent(entry) && entry[1] === 'default');

/**
 * Add a default. One that holds for some regions only may deny but not grant: where the visitor is, is
 * not known here.
 * @param {Record<string, unknown>} defaults
 * @param {Record<string, unknown>} stated
 */
const addDefault = (defaults, stated) => {
  for (const name of SIGNALS) {
    const value = stated[name];
    if (value === 'denied' || (value && !stated.region && !defaults[name])) defaults[name] = value;
  }
};

/**
 * Google Consent Mode v2: reads `dataLayer`, past and future; never writes to it.
 * @param {Page} win
 * @param {Tell} tell
 */
const consentMode = (win, tell) => {
  /** @type {Record<string, unknown>} */
  const defaults = {};
  /** @type {Record<string, unknown>} */
  const updates = {};
  let wait = WAIT_MS;
  let waiting = false;

  const chosen = () => !!Object.keys(updates)[0];

  const settle = () => {
    const signals = { ...defaults, ...updates };
    if (chosen() || tierOf(signals) === 'T1') return tell(signals, chosen());
    if (!waiting) setTimeout(() => chosen() || tell(signals, false), wait);
    waiting = true;
  };

  /** @param {any} entry */
  const read = (entry) => {
    const stated = Object(entry[2]);
    if (entry[1] === 'update') Object.assign(updates, stated);
    else addDefault(defaults, stated);
    if (stated.wait_for_update >= 0) wait = +stated.wait_for_update;
  };

  /** @param {any[]} entries */
  const readAll = (entries) => {
    const found = entries.filter(isConsent);
    found.forEach(read);
    if (found[0]) settle();
  };

  const layer = (win.dataLayer = win.dataLayer || []);
  readAll(layer);
  const push = layer.push;
  layer.push = function (...entries) {
    const result = push.apply(this, entries);
    // The page's own push must never fail because of us.
    attempt(() => readAll(entries));
    return result;
  };
};

/** @type {Record<string, (win: Page, tell: Tell) => void>} */
const sources = {
  none: (_win, tell) => tell('T0', false),
  'consent-mode': consentMode,
  tcf,
};

/**
 * What `data-consent` may be left out for: the first whose mechanism is found on the page.
 * @param {Page} win
 */
const detect = (win) => (hasGoogleDefault(win) ? 'consent-mode' : win.__tcfapi && 'tcf');

/**
 * Start the source that is asked for, or the one that the page turns out to have.
 * @param {Page} win
 * @param {string | undefined} wanted
 * @param {Tell} tell
 */
export const followConsent = (win, wanted, tell) => {
  const found = wanted || detect(win);
  // `manual` has no source: the page calls consent(). Neither has a name that nobody knows, a mistake in the page.
  sources[found ?? 'none']?.(win, tell);
  // A tag manager may bring its default later.
  if (!found && win.dataLayer) consentMode(win, tell);
};
