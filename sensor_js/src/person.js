// What a page knows about a person, hashed. Raw values end here.

import { hashNow } from './hash.js';
import { matchKeys } from './match-keys.js';
import { squeeze } from './unicode.js';

/**
 * @typedef {object} Person
 * @property {Record<string, string>} identifiers
 * @property {Record<string, string>} attributes history, never used to tell who somebody is
 * @property {Record<string, string>} [match_keys] what ad platforms match on, where the page asks for it
 * @property {string[]} ignored keys that are unknown, empty or refused; never their values
 */

/** The rule each key is normalised by. */
const RULES = /** @type {any} */ ({
  __proto__: null,
  email: 'email',
  phone: 'phone',
  first_name: 'name',
  last_name: 'name',
});

/**
 * The site's own id of a customer goes as it is; some sites have numbers.
 * @param {unknown} value
 */
const plainId = (value) => {
  const id = typeof value === 'number' ? '' + value : value;
  return typeof id === 'string' && squeeze(id) && id;
};

/**
 * @param {any} given
 * @param {{region?: string | null, salt?: string | null}} options
 * @param {boolean} [matching] add what ad platforms match on
 * @returns {Person}
 */
export const hashPerson = (given, options, matching) => {
  const known = Object(given);
  /** @type {Person} */
  const person = { identifiers: {}, attributes: {}, ignored: [] };
  for (const [key, value] of Object.entries(known)) {
    const rule = RULES[key];
    const kept = rule ? hashNow(rule, value, options) : key === 'customer_id' && plainId(value);
    const part = rule === 'name' ? person.attributes : person.identifiers;
    if (kept) part[rule ? key + '_hash' : key] = kept;
    else person.ignored.push(key);
  }
  if (matching) person.match_keys = matchKeys(known, options.region);
  return person;
};
