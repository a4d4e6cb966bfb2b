// The page's address as it may be told: without secrets, addresses, and click ids that are not allowed.

/** Parameters that ad platforms put into links, and their cookies. Never hashed. */
export const CLICK_IDS =
  'gclid gbraid wbraid _fbc _fbp msclkid ttclid li_fat_id epik twclid ScCid'.split(' ');

/**
 * The address without fragment, without the cross-domain token, without parameters that hold an `@` and
 * path segments that look like an email address (forms and links put them there), and without click ids
 * where advertising is not allowed.
 * @param {{origin: string, pathname: string, search: string}} location
 * @param {boolean} advertise
 */
export const pageUrl = ({ origin, pathname, search }, advertise) => {
  const kept = search
    .slice(1)
    .split('&')
    .filter((raw) => raw &&
      [...new URLSearchParams(raw)].some(
        ([name, value]) =>
          name !== '_uiaf_token' &&
          !(name + value).includes('@') &&
          (advertise || !CLICK_IDS.includes(name)),
      ),
    );
  const path = pathname.replace(/[^/]+(@|%40)[^/]+\.[^/]*/gi, '-');
  return origin + path + (kept[0] ? '?' + kept.join('&') : '');
};

/**
 * The click ids of this page: parameters of its address, or cookies of that name.
 * @param {{search: string}} location
 * @param {(name: string) => string | undefined} cookie
 */
export const clickIds = ({ search }, cookie) => {
  /** @type {Record<string, string>} */
  const found = {};
  const parameters = new URLSearchParams(search);
  for (const name of CLICK_IDS) {
    const value = parameters.get(name) || cookie(name);
    if (value) found[name] = value;
  }
  return found;
};
