// A cookie, on the widest domain that the browser lets the page set.

import { attempt } from './storage.js';

const DAYS_400 = 34560000;

/**
 * Domains to try, the widest first: from two labels up. None for IP addresses and single labels.
 * @param {string} host
 */
export const candidateDomains = (host) => {
  if (/^[\d.]+$|:/.test(host)) return [];
  const labels = host.split('.');
  return labels.slice(1).map((_, i) => labels.slice(-2 - i).join('.'));
};

/** @param {Window} win */
export const createCookies = (win) => {
  const { document, location } = win;

  /** Read all cookies at once: what is returned finds one of them. */
  const read = () => {
    const pairs = attempt(() => document.cookie.split('; '));
    return (/** @type {string} */ name) =>
      pairs?.find((pair) => pair.startsWith(name + '='))?.slice(name.length + 1);
  };

  /** @param {string} name */
  const get = (name) => read()(name);

  /**
   * Write with each domain until it worked. A browser refuses a public suffix such as co.uk, without a
   * word: so look whether the cookie is there.
   * @param {string} name
   * @param {string} value
   * @param {number} age seconds; 0 removes it from all domains
   */
  const write = (name, value, age) =>
    [...candidateDomains(location.hostname), ''].some((domain) => {
      const where = domain && ';domain=' + domain;
      const secure = location.protocol === 'https:' ? ';secure' : '';
      document.cookie = `${name}=${value};path=/;max-age=${age};samesite=lax${where}${secure}`;
      return age && get(name) === value;
    });

  /** @param {string} name */
  const remove = (name) => attempt(() => write(name, '', 0));

  return {
    read,
    get,
    remove,
    /**
     * @param {string} name
     * @param {string} value
     */
    set: (name, value) => {
      // A copy on another domain would hide whether the new one was taken.
      if (get(name)) remove(name);
      attempt(() => write(name, value, DAYS_400));
    },
  };
};

/** @typedef {ReturnType<typeof createCookies>} Cookies */
