// The page's address as it may be told: without secrets, addresses, and click ids that are not allowed.

/** Parameters that ad platforms put into links, and their cookies. Never hashed. */
export const CLICK_IDS =
  'gclid gbraid wbraid _fbc _fbp msclkid ttclid li_fat_id epik twclid ScCid'.split(' ');

/**
 * The parameters of an address: as they stand, name, and value.
 * @param {Location} location
 */
const parameters = ({ search }) =>
  search
    .slice(1)
    .split('&')
    .map((raw) => [raw, ...new URLSearchParams(raw)].flat());

/**
 * The address without fragment, without the cross-domain token, without parameters that hold an `@` and
 * path segments that look like an email address (forms and links put them there), and without click ids
 * where advertising is not allowed.
 * @param {Location} location
 * @param {boolean} advertise
 */
export const pageUrl = (location, advertise) => {
  const kept = parameters(location).filter(
    ([, name, value]) =>
      name !== undefined &&
      name !== '_uiaf_token' &&
      !(name + value).includes('@') &&
      (advertise || !CLICK_IDS.includes(name)),
  );
  const path = location.pathname.replace(/[^/]+(@|%40)[^/]+\.[^/]*/gi, '-');
  return location.origin + path + (kept[0] ? '?' + kept.map(([raw]) => raw).join('&') : '');
};

/**
 * The click ids of this page: parameters of its address, or cookies of that name.
 * @param {Location} location
 * @param {(name: string) => string | undefined} cookie
 */
export const clickIds = (location, cookie) => {
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of CLICK_IDS) {
    const value = parameters(location).find((one) => one[1] === name)?.[2] || cookie(name);
    if (value) found[name] = value;
  }
  return found;
};
