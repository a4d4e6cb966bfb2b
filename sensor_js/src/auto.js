// The script tag: reads its attributes, starts one sensor, replays what the page has asked for so far.

import { startSensor } from './sensor.js';
import { attempt } from './storage.js';
import { VERSION } from './version.js';

/**
 * Attributes of the script tag, or, where a tag manager allows none, parameters of the script's address.
 * @param {HTMLScriptElement | null} script
 * @returns {import('./sensor.js').Options}
 */
const optionsOf = (script) => {
  const address = script?.src ? new URL(script.src) : null;
  return {
    endpoint: address?.origin,
    ...Object.fromEntries(address?.searchParams ?? []),
    ...script?.dataset,
  };
};

/** @param {HTMLScriptElement | null} script */
const install = (script) => {
  const win = /** @type {any} */ (window);
  // A second script tag, or a tag manager that loads it again, changes nothing.
  if (win.onefold?.version) return;
  const calls = win.onefold?.q ?? [];
  const sensor = startSensor(optionsOf(script), win);
  /**
   * @param {string} command
   * @param {any[]} args
   */
  const onefold = (command, ...args) => sensor[command]?.(...args);
  win.onefold = Object.assign(onefold, { version: VERSION });
  for (const call of calls) onefold.apply(null, call);
};

const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
const go = () => void attempt(() => install(script));
// A page that is only being prerendered has no visitor yet.
if (/** @type {any} */ (document).prerendering) document.addEventListener('prerenderingchange', go);
else go();
