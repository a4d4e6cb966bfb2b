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

  /** Read what is stored, changing nothing. */
  const peek = () => [cookies.get(NAME), store.get(NAME)].find((uid) => uid && FORM.test(uid));

  /** @param {string} uid */
  const keep = (uid) => {
    cookies.set(NAME, uid);
    store.set(NAME, uid);
    return (kept = uid);
  };

  return {
    peek,
    /**
     * Read, or mint. Keeping it, once a page, renews the cookie's 400 days and whichever copy was lost;
     * more often would only wake other tabs.
     */
    get: () => {
      const uid = peek() ?? mint() + '.' + Math.floor(Date.now() / 1000);
      return uid === kept ? uid : keep(uid);
    },
    forget: () => {
      cookies.remove(NAME);
      store.set(NAME, null);
      kept = undefined;
    },
  };
};
