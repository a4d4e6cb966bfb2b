// Text as Unicode 14 sees it, on every engine.
//
// Engines carry different versions of Unicode, so the same letters could lower-case or compose
// differently, and hash differently, in two browsers. A code point that Unicode 14 does not know is
// an inert starter there: cutting the text at these and treating the pieces one by one gives the
// answer of Unicode 14 on every engine of at least that version.

import { STEPS } from './unicode14-table.js';

/** The property White_Space of Unicode, the same since version 6.3: `\s` without U+FEFF, and U+0085. */
const SPACE = /([^\S\ufeff]|\x85)+/g;

/** The inside of a character class, once it has been read from the table. */
let ranges = '';

/**
 * Match runs of code points that Unicode 14 does not know; or, given `^`, runs of all others.
 * @param {string} not
 */
const later = (not) => {
  let point = 0;
  ranges ||= STEPS.split(' ')
    .map((step) => (point += parseInt(step, 36)))
    .map((end, i) => (i % 2 ? '-' : '') + `\\u{${end.toString(16)}}`)
    .join('');
  return new RegExp(`[${not}${ranges}]+`, 'gu');
};

/**
 * Change the pieces between later code points. ASCII, as most texts are, is one piece, and no table is read for it.
 * @param {string} text
 * @param {(piece: string) => string} change
 */
const inPieces = (text, change) => (/[^\0-\x7f]/.test(text) ? text.replace(later('^'), change) : change(text));

/**
 * Normalise the pieces between later code points to NFC.
 * @param {string} text
 */
export const nfc = (text) => inPieces(text, (piece) => piece.normalize());

/**
 * Lower-case the way Unicode does by default, whatever the locale.
 *
 * Two old characters have changed since: U+0295 is a cased letter and U+1171E is case-ignorable in
 * Unicode 14, which decides how a sigma beside them ends. Others that still are stand in for them.
 * @param {string} text
 */
const toLower = (text) => {
  const marks = text.match(/[\u0295\u0138\u{1171e}\xad]/gu) ?? [];
  const stand = text.replace(/\u0295/g, '\u0138').replace(/\u{1171e}/gu, '\xad');
  return stand.toLowerCase().replace(/[\u0138\xad]/g, () => /** @type {string} */ (marks.shift()));
};

/**
 * Lower-case, in NFC.
 * @param {string} text
 */
export const lower = (text) =>
  // Lower-casing can leave a sequence that composes: hence NFC once more.
  nfc(inPieces(nfc(text), toLower));

/**
 * Replace later code points by one that is no letter, digit or punctuation in any version.
 * @param {string} text
 */
export const withoutLater = (text) => text.replace(later(''), '\ue000');

/**
 * Trim, and turn every run of white space inside into one space.
 * @param {string} text
 */
export const squeeze = (text) => text.replace(SPACE, ' ').replace(/^ | $/g, '');

/**
 * Tell whether the text has a lone surrogate, which UTF-8 cannot carry.
 * @param {string} text
 */
export const isBroken = (text) => /[\ud800-\udfff]/u.test(text);
