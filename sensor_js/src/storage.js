// Storage that may be missing, full, or forbidden: every access can throw, and none may reach the page.

/**
 * @template T
 * @param {() => T} action
 * @returns {T | undefined}
 */
export const attempt = (action) => {
  try {
    return action();
  } catch {
    return undefined;
  }
};

/**
 * One of the two web storages, with a memory behind it for pages where it is blocked.
 * @param {() => Storage} open
 */
export const createStore = (open) => {
  /** @type {Record<string, string | null>} */
  const memory = {};
  return {
    /** @param {string} key */
    get: (key) => attempt(() => open().getItem(key)) ?? memory[key],
    /**
     * @param {string} key
     * @param {string | null} value null removes it
     */
    set: (key, value) => {
      memory[key] = value;
      attempt(() => (value === null ? open().removeItem(key) : open().setItem(key, value)));
    },
  };
};

/** @typedef {ReturnType<typeof createStore>} Store */
