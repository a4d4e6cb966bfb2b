// The browser's first-party id, `{uuid}.{unix seconds}`: in a cookie first, mirrored in localStorage.

const NAME = 'uiaf_uid';
const FORM = /^[\da-f-]{36}\.\d{1,12}$/i;

/**
 * @param {import('./cookie.js').Cookies} cookies
 * @param {import('./storage.js').Store} store
 * @param {() => string} mint a new UUID
 */
export const createUid = (cookies, store, mint) => {
  /** @type {string | undefined} what this page has written */
  let kept;

  /** @param {any} uid */
  const valid = (uid) => (FORM.test(uid) ? uid : undefined);

  /** Read what is stored, changing nothing. */
  const peek = () => valid(cookies.get(NAME)) ?? valid(store.get(NAME));

  /** Read or mint, keeping nothing. */
  const look = () => peek() ?? mint() + '.' + Math.floor(Date.now() / 1000);

  /**
   * Keeping a uid, once a page, renews the cookie's 400 days and whichever copy was lost; more often would only wake
   * other tabs.
   * @param {string} uid
   */
  const keep = (uid) => {
    if (uid !== kept) {
      cookies.set(NAME, uid);
      store.set(NAME, uid);
      kept = uid;
    }
    return uid;
  };

  return {
    peek,
    look,
    keep,
    get: () => keep(look()),
    forget: () => {
      cookies.remove(NAME);
      store.set(NAME, null);
      kept = undefined;
    },
  };
};
