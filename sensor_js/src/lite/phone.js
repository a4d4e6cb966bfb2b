// In place of phone.js in the lite build: numbers with a plus only, and no table to judge them by.

import { squeeze } from '../unicode.js';

/**
 * A plus, then eight to fifteen ASCII digits, with the usual separators. A national prefix in parentheses
 * is refused: only the table knows whether it is dialled.
 * @param {string} text
 * @returns {string | null}
 */
export const e164 = (text) => {
  const number = squeeze(text).replace(/[ \xa0().-]/g, (sign) => (sign === '(' ? '(' : ''));
  return /^\+[1-9]\d{7,14}$/.test(number) ? number : null;
};
