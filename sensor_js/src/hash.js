// A value's hash: normalise, salt, SHA-256.

import { normalize } from './normalize.js';
import { sha256 } from './sha256.js';

/**
 * Normalise and hash at once, so that a link made just before a page is left still leaves with it.
 * @param {string} type `email`, `phone` or `name`
 * @param {unknown} value
 * @param {{region?: string | null, salt?: string | null}} [options]
 * @returns {string | null} 64 hex characters of `sha256(salt + normalized)`; null where refused
 */
export const hashNow = (type, value, options = {}) => {
  const normalized = normalize(type, value, options);
  return normalized && sha256((options.salt ?? '') + normalized);
};

/**
 * The same as a promise: the public form.
 * @type {(...args: Parameters<typeof hashNow>) => Promise<string | null>}
 */
export const hash = async (...args) => hashNow(...args);
