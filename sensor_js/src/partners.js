// Partners: sites whose links carry tokens to and from this one. What that takes is a file of its own (crossing.js),
// which pages without partners do not load.

import { takeToken } from './landing.js';

/**
 * Take the token out of this page's address, before anybody else reads that. What is returned loads the rest where it
 * is needed, once there is a sensor, and answers with the `decorate` command.
 * @param {Window & typeof globalThis} win
 * @param {() => Promise<typeof import('./crossing.js')>} load
 */
export const arrive = (win, load) => {
  let token = takeToken(win);

  /**
   * @param {unknown} domains the partners' hosts
   * @param {import('./crossing.js').Sensor} sensor
   * @returns {Promise<((url: string) => Promise<string>) | null>}
   */
  return async (domains = '', sensor) => {
    if (!domains && !token) return null;
    // Whoever logs out meanwhile takes it along.
    sensor.on('reset', () => (token = ''));
    const { cross } = await load();
    return cross(win, '' + domains, token, sensor);
  };
};
