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
 * One of the two web storages, with a memory for what it does not take. What it does take is read from
 * it each time: another tab may have changed or removed it.
 * @param {() => Storage} open
 */
export const createStore = (open) => {
  /** @type {Record<string, string | null>} */
  const memory = {};
  return {
    /** @param {string} key */
    get: (key) => memory[key] ?? attempt(() => open().getItem(key)),
    /**
     * @param {string} key
     * @param {string | null} value null removes it
     */
    set: (key, value) => {
      memory[key] = value;
      attempt(() => {
        if (value === null) open().removeItem(key);
        else open().setItem(key, value);
        memory[key] = null;
      });
    },
  };
};

/** @typedef {ReturnType<typeof createStore>} Store */
