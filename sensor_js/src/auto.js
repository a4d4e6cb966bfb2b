// The script tag: reads its attributes, starts one sensor, replays what the page has asked for so far.

import { readSensor } from './apart.js';
import { arrive } from './partners.js';
import { attempt } from './storage.js';
import { VERSION } from './version.js';

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

const win = /** @type {any} */ (window);
const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
/** @type {any[][]} calls that the stub has collected */
let calls;
/** @type {ReturnType<typeof readSensor> | undefined} */
let startSensor;
/** @type {ReturnType<ReturnType<typeof readSensor>> | undefined} */
let sensor;
/** @type {ReturnType<typeof arrive>} */
let cross;

/** Pages with partners need another file, which stands beside this one. */
const load = () => import(new URL(LINKS_FILE, script?.src) + '');

/** Reading the sensor is work for the engine: not in one task with starting it. */
const prepare = () => (startSensor ??= readSensor());

const start = () => {
  if (!sensor) {
    sensor = prepare()(optionsOf(script), win, cross);
    calls.forEach((call) => onefold(.../** @type {[string]} */ (call)));
  }
  return sensor;
};

/**
 * @param {string} command
 * @param {any[]} args
 */
const onefold = (command, ...args) => attempt(start)?.[command]?.(...args);

/**
 * Put `onefold` into the page, and no more. What reads and starts the sensor are two tasks of their own or, where that
 * comes first, what it must not miss: a call, which is answered at once, a form, the end of the page.
 */
const install = () => {
  // A second script tag, or a tag manager that loads it again, changes nothing.
  if (win.onefold?.version) return;
  cross = arrive(win, load);
  calls = win.onefold?.q ?? [];
  win.onefold = onefold;
  /** @type {any} */ (onefold).version = VERSION;
  for (const name of ['submit', 'pagehide']) win.addEventListener(name, onefold, true);
  setTimeout(prepare);
  setTimeout(onefold);
};

// A page that is only being prerendered has no visitor yet.
if (/** @type {any} */ (document).prerendering) document.addEventListener('prerenderingchange', install);
else install();
