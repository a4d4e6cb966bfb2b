// Normalisation `uiaf-1`: equal to server/onefold/core/normalize.py byte for byte.

import { e164 } from './phone.js';
import { isBroken, lower, nfc, squeeze } from './unicode.js';

/** The name of these rules; it travels with every event. */
export const RULES = 'uiaf-1';

/** @param {string} text */
const email = (text) => {
  const address = squeeze(lower(text));
  // After squeezing, the only white space left is a space inside.
  const [, local, domain] = /^([^@ ]+)@([^@ ]+)$/.exec(address) ?? [];
  if (!local) return null;
  // Gmail ignores dots; other providers do not.
  const bare = domain === 'gmail.com' ? local.replace(/\./g, '') : local;
  return bare && bare + '@' + domain;
};

/** @param {string} text */
const name = (text) => squeeze(lower(text));

/**
 * @param {string} text
 * @param {string} [region]
 */
const phone = (text, region) => e164(nfc(text), region);

/** @type {any} rules by type, and nothing that other objects have */
const rules = { __proto__: null, email, phone, name };

/**
 * Normalise a value the way UIAF says (06-identity-resolution, "Normalization rules").
 * @param {string} type `email`, `phone` or `name`
 * @param {unknown} value
 * @param {{region?: string | null}} [options] region: the country of a phone number without `+`
 * @returns {string | null} null where the value is refused: it must not be hashed then
 */
export const normalize = (type, value, { region } = {}) => {
  const rule = rules[type];
  if (!rule || typeof value !== 'string' || isBroken(value)) return null;
  return rule(value, region ?? undefined) || null;
};
