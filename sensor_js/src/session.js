// The session: a UUID in sessionStorage that ends after 30 minutes without an event.

const ID = 'uiaf_session_id';
const SEEN = 'uiaf_session_seen';
const IDLE_MS = 30 * 60 * 1000;

/**
 * @param {import('./storage.js').Store} store
 * @param {() => string} mint a new UUID
 */
export const createSession = (store, mint) => {
  /** The session's id, keeping nothing. */
  const look = () =>
    (Date.now() - /** @type {any} */ (store.get(SEEN)) < IDLE_MS && store.get(ID)) || mint();

  /**
   * Keeping it is activity.
   * @param {string} id
   */
  const keep = (id) => {
    store.set(ID, id);
    store.set(SEEN, /** @type {any} */ (Date.now()));
    return id;
  };

  return {
    look,
    keep,
    get: () => keep(look()),
    forget: () => {
      store.set(ID, null);
      store.set(SEEN, null);
    },
  };
};

/** @typedef {ReturnType<typeof createSession>} Session */
