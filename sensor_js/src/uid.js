// The browser's first-party id, `{uuid}.{unix seconds}`: in a cookie first, mirrored in localStorage.

const NAME = 'uiaf_uid';
const FORM = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\.\d{1,12}$/i;

/**
 * @param {import('./cookie.js').Cookies} cookies
 * @param {import('./storage.js').Store} store
 * @param {() => string} mint a new UUID
 */
export const createUid = (cookies, store, mint) => {
  /** @type {string | undefined} what this page goes by, whatever happens to the storages meanwhile */
  let current;

  /** Read what is stored, changing nothing. */
  const peek = () =>
    current ?? [cookies.get(NAME), store.get(NAME)].find((uid) => uid && FORM.test(uid));

  /** @param {string} uid */
  const keep = (uid) => {
    cookies.set(NAME, uid);
    store.set(NAME, uid);
    return (current = uid);
  };

  const fresh = () => mint() + '.' + Math.floor(Date.now() / 1000);

  return {
    peek,
    renew: () => keep(fresh()),
    /** Read, or mint; keeping it renews the cookie's 400 days and whichever copy was lost. */
    get: () => current ?? keep(peek() ?? fresh()),
    forget: () => {
      current = undefined;
      cookies.remove(NAME);
      store.set(NAME, null);
    },
  };
};
