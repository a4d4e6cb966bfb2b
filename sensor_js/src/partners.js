// Partners: sites whose links carry tokens to and from this one. What that takes is a file of its own (crossing.js),
// which pages without partners do not load.

/**
 * What is returned loads the rest where it is needed, once there is a sensor, and answers with the `decorate` command.
 * @param {Window & typeof globalThis} win
 * @param {string | undefined} token what this page's address carried
 * @param {() => Promise<typeof import('./crossing.js')>} load
 */
export const toPartners =
  (win, token, load) =>
  /**
   * @param {unknown} domains the partners' hosts
   * @param {(...words: unknown[]) => unknown} log
   * @param {import('./crossing.js').Sensor} sensor
   * @returns {Promise<((url: string) => Promise<string>) | null | void>}
   */
  async (domains = '', log, ...sensor) => {
    if (!domains && !token) return;
    const on = sensor[0];
    // Whoever logs out meanwhile takes it along.
    on('reset', () => (token = ''));
    try {
      return (await load()).cross(win, '' + domains, token, ...sensor);
    } catch (error) {
      log('decorate', error);
    }
  };
