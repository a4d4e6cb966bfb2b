// Links and forms that lead to partners: a token is minted when a visitor is about to follow one, and stands in the
// address only while the browser follows it. Nobody can copy it, and no listener of the page sees it.

import { withoutToken } from './landing.js';
import { attempt } from './storage.js';
import { createTokens } from './tokens.js';

/** How long a pointer rests on a link before that means something. */
const DWELL_MS = 60;

/** What leads away. A download runs no sensor; noreferrer asks that the other site not know where one comes from. */
const CARRIER = ':is(a,area):not([download],[rel~=noreferrer]),[formaction],form';
/** Where such an element says so. */
const NAMES = ['href', 'formaction', 'action'];

/**
 * An address with a token before its fragment, in the place of an older one.
 * @param {string} address
 * @param {string} token
 */
export const withToken = (address, token) =>
  withoutToken(address.trim()).replace(
    /(\?[^#]*)?(?=#|$)/,
    (query) => (query[1] ? query + '&' : '?') + '_uiaf_token=' + token,
  );

/**
 * Follow what a visitor does on a page that has partners; the answer is the `decorate` command.
 * @param {Window & typeof globalThis} win
 * @param {string} domains the partners' hosts
 * @param {import('./tokens.js').Crossing} crossing
 */
export const followLinks = (win, domains, crossing) => {
  const { document, location } = win;
  const { mint, take, soon } = createTokens(crossing);
  const partners = domains.toLowerCase().match(/[^\s,]+/g) ?? [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let dwell;
  /** @type {Event | undefined} the click that came last: those before it go nowhere any more */
  let last;

  /**
   * The partner's origin that an address leads to. Throws where it is no address.
   * @param {string} address
   */
  const targetOf = (address) => {
    const { protocol, hostname, origin } = new URL(address, document.baseURI);
    const listed = partners.some((partner) => ('.' + hostname).endsWith('.' + partner));
    return listed && /^http/.test(protocol) && origin !== location.origin && origin;
  };

  /**
   * Where an event leads to a partner, by the innermost link or form it is in, through open shadow trees too: the
   * element, its attribute, the address in it, and the partner's origin.
   * @param {any} event
   */
  const wayOf = (event) => {
    const element = [event.submitter, ...event.composedPath()].find((node) => node?.matches?.(CARRIER));
    const name = NAMES.find((each) => element?.hasAttribute(each));
    const address = name && element.getAttribute(name);
    return [element, name, address, address && targetOf(address)];
  };

  /** @param {Event} event */
  const intend = (event) => {
    const partner = wayOf(event)[3];
    clearTimeout(dwell);
    if (partner) dwell = setTimeout(mint, event.type === 'pointerover' ? DWELL_MS : 0, partner);
  };

  /**
   * Let the browser follow a click or a submit with a token, if there is one; a click that can wait waits for it.
   * @param {any} event
   */
  const follow = (event) => {
    const { target, button, submitter, ctrlKey, metaKey, shiftKey, altKey } = event;
    const isForm = event.type === 'submit';
    const [element, name, address, partner] = wayOf(event);
    // A click on a form's button is no submit yet, and one with the right button goes nowhere.
    if (!partner || event.defaultPrevented || button > 1 || (name === 'href') === isForm) return;
    // A form would be sent twice, past the page; and a window that opens later may count as a popup.
    const mayWait = !(isForm || button || ctrlKey || metaKey || shiftKey || altKey || element.target);
    const minting = mayWait && mint(partner);
    if (minting && !minting.token && !minting.reason) {
      event.preventDefault();
      soon(partner).then((token) => {
        const href = token ? withToken(address, token) : address;
        const { referrerPolicy } = element;
        // A link of our own: the page's listeners have had their click.
        if (last === event) Object.assign(document.createElement('a'), { href, referrerPolicy }).click();
      });
      return;
    }
    const token = take(partner);
    if (!token) return;
    if (isForm && !/post/i.test(submitter?.getAttribute('formmethod') ?? target.getAttribute('method'))) {
      // The browser puts the fields in the place of the action's query.
      /** @param {FormDataEvent} sending */
      const add = ({ formData }) => formData.set('_uiaf_token', token);
      target.addEventListener('formdata', add, { once: true });
    } else {
      element.setAttribute(name, withToken(address, token));
      // Another click may come before the timer.
      setTimeout(() => element.setAttribute(name, withoutToken(address)));
    }
  };

  /**
   * Act when the page's own listeners have had an event: at the window, or where one of them stops it.
   * @param {Event} event
   */
  const leave = (event) => {
    last = event;
    clearTimeout(dwell);
    if (!wayOf(event)[3]) return;
    /** @param {Event} heard */
    const hear = (heard) =>
      heard === event && (event.cancelBubble || event.currentTarget === win) && attempt(() => follow(event));
    for (const node of event.composedPath()) node.addEventListener(event.type, hear, { once: true });
  };

  /**
   * @param {string[]} types
   * @param {(event: any) => void} listener
   */
  const listen = (types, listener) =>
    types.forEach((type) => document.addEventListener(type, (event) => attempt(() => listener(event)), true));

  if (partners[0]) {
    listen(['pointerover', 'pointerdown', 'focusin'], intend);
    listen(['click', 'auxclick', 'submit'], leave);
  }

  /** @param {string} url */
  return async (url) => {
    const partner = attempt(() => targetOf(url));
    const token = partner && (await soon(partner));
    return token ? withToken('' + url, token) : url;
  };
};
