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

  /**
   * What the browser last said, where it tells of changes: asking makes a page wait for another process. A page in the
   * back/forward cache is told only after it has come back.
   * @type {string | undefined}
   */
  let known;
  const teller = /** @type {any} */ (win).cookieStore;
  const forget = () => (known = '');
  teller?.addEventListener('change', forget);
  win.addEventListener('pageshow', forget);

  /**
   * @param {string} name
   * @returns {string | undefined}
   */
  const get = (name) => {
    const text = known || attempt(() => document.cookie);
    known = teller && text;
    return ('; ' + text).split(`; ${name}=`)[1]?.split(';')[0];
  };

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
      forget();
      return age && get(name) === value;
    });

  /** @param {string} name */
  const remove = (name) => attempt(() => write(name, '', 0));

  return {
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
