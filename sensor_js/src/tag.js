// The script tag: what it says, and the sensor that it asks for.

import { toPartners } from './partners.js';
import { startSensor } from './sensor.js';
import { attempt } from './storage.js';

/**
 * Attributes of the script tag, or, where a tag manager allows none, parameters of the script's address.
 * @param {HTMLScriptElement | null} script
 * @returns {import('./sensor.js').Options}
 */
const optionsOf = (script) => {
  const address = attempt(() => new URL(/** @type {any} */ (script).src));
  return {
    endpoint: address?.origin,
    ...Object.fromEntries(address?.searchParams ?? []),
    ...script?.dataset,
  };
};

/**
 * Start the sensor of a script.
 * @param {HTMLScriptElement | null} script
 * @param {Window & typeof globalThis} win
 * @param {string | undefined} token what the page's address carried
 */
export const startTag = (script, win, token) =>
  startSensor(
    optionsOf(script),
    win,
    // Pages with partners need another file, which stands beside this one.
    toPartners(win, token, () => import(/** @type {any} */ (new URL(LINKS_FILE, script?.src)))),
  );
