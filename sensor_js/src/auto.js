// The script's first part: puts `onefold` into the page, and has the sensor started, once. All that this runs delays
// the page, so what can wait stands in the other part (tag.js).

import { readSensor } from './apart.js';
import { takeToken } from './landing.js';
import { VERSION } from './version.js';

const win = /** @type {any} */ (window);
const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
/** @type {any[][] | undefined} calls that the stub has collected */
let calls;
/** @type {string | undefined} */
let token;
/** @type {ReturnType<typeof readSensor> | undefined} */
let startTag;
/** @type {ReturnType<ReturnType<typeof readSensor>> | undefined} */
let sensor;

/** Reading the sensor is work for the engine: not in one task with starting it. */
const prepare = () => (startTag ??= readSensor());

const start = () => {
  if (!sensor) {
    sensor = prepare()(script, win, token);
    calls?.forEach((call) => onefold(.../** @type {[string]} */ (call)));
  }
  return sensor;
};

/**
 * @param {string} command
 * @param {any[]} args
 */
const onefold = (command, ...args) => {
  try {
    return start()[command]?.(...args);
  } catch {
    return undefined;
  }
};

/**
 * Put `onefold` into the page, and no more. What reads and starts the sensor are two tasks of their own or, where that
 * comes first, what it must not miss: a call, which is answered at once, a form, the end of the page.
 */
const install = EAGER(() => {
  const before = win.onefold;
  // A second script tag, or a tag manager that loads it again, changes nothing.
  if (before?.version) return;
  token = takeToken(win);
  calls = before?.q;
  win.onefold = onefold;
  /** @type {any} */ (onefold).version = VERSION;
  win.addEventListener('submit', onefold, true);
  win.addEventListener('pagehide', onefold, true);
  setTimeout(prepare);
  setTimeout(onefold);
});

// A page that is only being prerendered has no visitor yet.
if (/** @type {any} */ (document).prerendering) document.addEventListener('prerenderingchange', install);
else install();
