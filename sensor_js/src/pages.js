// Page views of pages that change without loading: a new address, or a return from the back/forward cache.

import { attempt } from './storage.js';

/**
 * @param {Window} win
 * @param {() => unknown} page sends a page_view
 */
export const followPages = (win, page) => {
  const { history, location } = win;
  let last = '';
  const look = () => {
    const now = location.pathname + location.search;
    if (now !== last) page();
    last = now;
  };
  const push = history.pushState;
  history.pushState = function (...args) {
    push.apply(this, args);
    attempt(look);
  };
  win.addEventListener('popstate', look);
  win.addEventListener('pageshow', (event) => event.persisted && page());
  look();
};
