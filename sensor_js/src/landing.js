// Landing: a link from a partner's page carries a token. It is taken out of the address before anybody else
// reads that, and redeemed once, for the visitor who sees the page.

import { attempt } from './storage.js';

/** How often a redeem that got no answer is tried again: after 1, 4, 16 and 64 seconds, within a token's life. */
const RETRIES = 4;

/**
 * An address without tokens, in its query or in a fragment that has parameters; all else stays byte for byte.
 * @param {string} address
 */
export const withoutToken = (address) =>
  address.replace(/([?&#])(?:_uiaf_token(?:=[^&#]*)?(&|(?=#|$)))+/g, (_, before, after) => after && before);

/**
 * Take the token out of this page's address; of several the last counts.
 * @param {Window & {_uiaf_token?: string}} win
 */
export const takeToken = (win) => {
  const { href } = win.location;
  // Nearly every address has none, and making the patterns is a third of what loading the script would take.
  if (!href.includes('_uiaf_token')) return win._uiaf_token;
  attempt(() => win.history.replaceState(win.history.state, '', withoutToken(href)));
  return /.*[?&#]_uiaf_token=([^&#]+)/.exec(href)?.[1] ?? win._uiaf_token;
};

/**
 * Redeem the token once the page is seen (a prerendered one is not) and consent allows it. A token that was answered
 * is done with; whoever logs out takes it along.
 * @param {Window & typeof globalThis} win
 * @param {string | undefined} token
 * @param {import('./tokens.js').Crossing} crossing
 */
export const followLanding = (win, token, { asker, post, on, emit }) => {
  const { document } = win;
  const referrer = attempt(() => new URL(document.referrer).origin);
  let tries = 0;

  const redeem = async () => {
    const who = token && document.visibilityState === 'visible' && asker();
    if (!who) return;
    const body = { ...who, token, referrer };
    token = '';
    const { reason, after } = await post('/v1/tokens/redeem', body);
    if (after === undefined || tries === RETRIES) return emit('redeem', { linked: !reason, reason, referrer });
    token = body.token;
    setTimeout(redeem, Math.max(1000 * 4 ** tries++, after * 1000));
  };

  if (!token) return;
  on('reset', () => {
    token = '';
    tries = RETRIES;
  });
  on('consent', redeem);
  document.addEventListener('visibilitychange', redeem);
  redeem();
};
