// The ES module: for bundlers and servers. Importing touches neither window nor document.

import * as crossing from './crossing.js';
import { takeToken } from './landing.js';
import { toPartners } from './partners.js';
import { startSensor } from './sensor.js';
import { attempt } from './storage.js';

export { hash } from './hash.js';
export { normalize } from './normalize.js';

/** What a program gets where there is no window, on a server that renders pages. */
const absent = () => ({
  link: async () => ({ sent: false, reason: 'no_window' }),
  page: async () => ({ sent: false, reason: 'no_window' }),
  decorate: async (/** @type {string} */ url) => url,
  reset: () => {},
  on: () => () => {},
  consent: () => {},
  uid: () => null,
});

/**
 * Start a sensor on this page.
 * @param {import('./sensor.js').Options & {window?: Window & typeof globalThis}} [options]
 */
export const createSensor = (options = {}) => {
  const win = options.window ?? globalThis.window;
  return (win && attempt(() => startSensor(options, win, toPartners(win, takeToken(win), async () => crossing)))) || absent();
};
