// The session: a UUID in sessionStorage that ends after 30 minutes without an event.

const ID = 'uiaf_session_id';
const SEEN = 'uiaf_session_seen';
const IDLE_MS = 30 * 60 * 1000;

/**
 * @param {import('./storage.js').Store} store
 * @param {() => string} mint a new UUID
 */
export const createSession = (store, mint) => ({
  /** The session's id; asking is activity. */
  get: () => {
    const now = Date.now();
    const id = (now - +(/** @type {string} */ (store.get(SEEN))) < IDLE_MS && store.get(ID)) || mint();
    store.set(ID, id);
    store.set(SEEN, '' + now);
    return id;
  },
  forget: () => {
    store.set(ID, null);
    store.set(SEEN, null);
  },
});

/** @typedef {ReturnType<typeof createSession>} Session */
