// Hashes in the forms that ad platforms match on, where these differ from our own rules. Only the sensor can
// make them: whoever has the hash alone cannot take a dot or a plus out of what was hashed.

import { normalize } from './normalize.js';
import { sha256 } from './sha256.js';

/**
 * Never salted: a platform would find nobody.
 * @param {any} given what the page knows
 * @param {string | null} [region]
 * @returns {Record<string, string>} by the name of the form
 */
export const matchKeys = ({ email, phone }, region) => {
  /** @type {Record<string, string>} */
  const keys = {};
  const address = normalize('email', email);
  const number = normalize('phone', phone, { region });
  if (address) {
    const [local, domain] = address.split('@');
    // Google drops dots and everything from a plus on, at its own two domains.
    const bare = /^g(oogle)?mail\.com$/.test(domain) ? local.replace(/\.|\+.*/g, '') : local;
    keys.google_email_hash = sha256(bare + '@' + domain);
  }
  // Meta, Snap and Pinterest want the digits alone.
  if (number) keys.phone_digits_hash = sha256(number.slice(1));
  return keys;
};
