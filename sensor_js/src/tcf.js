// IAB TCF 2.2: a consent management platform answers through `__tcfapi`.

import { each } from './consent.js';

/** How long it may stay silent; then there is no consent, until it speaks. */
const WAIT_MS = 500;

/**
 * The purposes that each signal needs. Google's mapping, where purpose 1 (storage) is needed for all of them; that
 * it also stands for `analytics_storage`, which Google maps to nothing, is our reading.
 */
const NEEDED = [[1], [1, 7], [1, 3, 4], [1]];

/** @param {Record<number, boolean>} purposes */
const signalsOf = (purposes) =>
  each((_name, i) => (NEEDED[i].every((purpose) => purposes[purpose]) ? 'granted' : 'denied'));

/**
 * @param {import('./consent-sources.js').Page} win
 * @param {import('./consent-sources.js').Tell} tell
 */
export const tcf = (win, tell) => {
  let known = false;
  /**
   * Only these two states are an answer; all others are a platform that is still at work.
   * @param {any} data
   * @param {boolean} success
   */
  const heard = (data, success) => {
    if (!success || !/^(tcloaded|useractioncomplete)$/.test(data.eventStatus)) return;
    known = true;
    if (data.gdprApplies === false) tell('T0', false);
    else tell(signalsOf(Object(data.purpose?.consents)), true);
  };
  const ask = () => {
    if (win.__tcfapi) win.__tcfapi('addEventListener', 2, heard);
    else setTimeout(ask, WAIT_MS);
  };
  setTimeout(() => known || tell('T3', false), WAIT_MS);
  ask();
};
