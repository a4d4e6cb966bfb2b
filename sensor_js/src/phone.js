// E.164 as the reference implementation of libphonenumber reads a number, for every numbering plan.
// The steps are those of its parse(); tools/fuzz.py holds this file against the Python port.

import { PLANS } from './phone-table.js';
import { withoutLater } from './unicode.js';

/**
 * @typedef {object} Plan one region's numbering plan
 * @property {string} dial country calling code
 * @property {string} pattern national numbers, in the table's alphabet
 * @property {string} prefix what may stand before a national number
 * @property {string} transform what such a prefix becomes
 * @property {string} idd what is dialled before a country code
 */

const DIGIT = '\\p{Nd}';
const PLUS = '[+\uff0b]';
const PUNCTUATION =
  '-x\u2010-\u2015\u2212\u30fc\uff0d-\uff0f \xa0\xad\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d' +
  '.\\[\\]/~\u2053\u223c\uff5e*';
const BLANK = '[ \xa0\\t';
// The dotless and the dotted I belong to "i" where Python ignores case, but not in JavaScript.
const I = '[i\u0131\u0130]';

/**
 * @param {string} label
 * @param {number} most digits after the label
 */
const labelled = (label, most) =>
  `(?:${label})[:.\uff0e]?${BLANK},-]*${DIGIT}{1,${most}}#?`;

/** What an extension looks like. The order is of no matter: only where it starts. */
const EXTENSION =
  `${BLANK},]*(?:` +
  labelled(
    `e?xt(?:ens${I}[o\xf3])?n?|\uff45?\uff58\uff54\uff4e?|\u0434\u043e\u0431|anexo`,
    20,
  ) +
  '|' +
  labelled(`[x\uff58#\uff03~\uff5e]|${I}nt|\uff49\uff4e\uff54`, 9) +
  `)|${BLANK}]*(?:${labelled(',,|;', 15)}|${labelled(',+', 9)})` +
  `|;ext=${DIGIT}{1,20}|[- ]+${DIGIT}{1,6}#`;

const VIABLE =
  `${DIGIT}{2}|${PLUS}*(?:[${PUNCTUATION}]*${DIGIT}){3,}[${PUNCTUATION}a-z\u0131\u0130${DIGIT}]*` +
  `(?:${EXTENSION})?`;

const LABEL = `[A-Za-z${DIGIT}]`;
const CONTEXT =
  `\\+[-.()${DIGIT}]*${DIGIT}[-.()]*|` + // a number
  `(?:${LABEL}(?:[-A-Za-z${DIGIT}]*${LABEL})?\\.)*[A-Za-z](?:[-A-Za-z${DIGIT}]*${LABEL})?\\.?`; // a domain

/**
 * @param {string} source
 * @param {string} [flags]
 */
const re = (source, flags = 'u') => new RegExp(source, flags);

/** @type {Record<string, Plan> | undefined} */
let plans;

/**
 * Find the plan of a region or, main region first, of a country calling code.
 * @param {string} key
 */
const planOf = (key) => {
  if (!plans) {
    plans = {};
    let code = 0;
    let main = /** @type {Plan | undefined} */ (undefined);
    const [heads, ...rows] = PLANS;
    for (const [, region, step] of heads.matchAll(/(\D\D)(\d*)/g)) {
      const [pattern, prefix = '', transform = '', idd] = /** @type {string} */ (rows.shift()).split(' ');
      code += step ? +step : 1;
      /** @type {Plan} */
      const plan = { dial: '' + code, pattern, prefix, transform, idd: idd || '0t0' };
      if (step === '0') plan.idd = idd || /** @type {Plan} */ (main).idd;
      else plans[plan.dial] = main = plan;
      plans[region] = plan;
    }
  }
  return plans[key];
};

/**
 * Turn the table's alphabet into a regular expression: `g` is seven digits, `gi` seven to nine, `1-35` a digit of
 * a class, `t` stands between two of these, the comma is a bar, and `<` a capturing parenthesis.
 * @param {string} text
 */
const decode = (text) =>
  text.replace(/([`-n])([`-n]?)|([\d-]+)t?|[(<,]/g, (sign, least, most, digits) => {
    if (least) return `\\d{${least.charCodeAt(0) - 96},${(most || least).charCodeAt(0) - 96}}`;
    return digits ? `[${digits}]` : sign === ',' ? '|' : sign === '<' ? '(' : '(?:';
  });

/**
 * @param {string} number
 * @param {string} pattern
 */
const matches = (number, pattern) => re(`^(?:${decode(pattern)})$`).test(number);

/**
 * Judge a length: 1 possible, 2 longer than any, 0 anything else. Which lengths are possible
 * follows from the pattern: every digit or class of digits in it stands for one digit.
 * @param {number} length
 * @param {Plan} plan
 */
const fits = (length, { pattern }) => {
  const shape = pattern.replace(/[\d-]+t?/g, '.');
  for (let n = length; n < 21; n++) if (matches('0'.repeat(n), shape)) return n === length ? 1 : 0;
  return 2;
};

/**
 * The value of a decimal digit of any script, nothing for other characters: decimal digits stand in Unicode in runs
 * of ten.
 * @param {string} char
 * @returns {any} what replace() writes as text
 */
const valueOf = (char) => {
  const point = /** @type {number} */ (char.codePointAt(0));
  let place = 0;
  while (re(DIGIT).test(String.fromCodePoint(point - place))) place++;
  return place ? (place - 1) % 10 : '';
};

/**
 * Reduce a number to ASCII digits. Three or more letters make it a vanity number, where letters
 * stand for the digits of the keypad (and only ASCII digits count).
 * @param {string} number
 */
const digits = (number) =>
  /([a-z].*){3}/i.test(number)
    ? number.toUpperCase().replace(/\D/g, (c) => '22233344455566677778889999'[parseInt(c, 36) - 10] ?? '')
    : number.replace(/\D/gu, valueOf);

/** @param {string} number */
const isViable = (number) => re(`^(?:${VIABLE})$`, 'iu').test(number);

/** @param {string} number */
const withoutPlus = (number) => number.replace(re(`^${PLUS}+`), '');

/**
 * Cut the part that may be a number out of the text; null where a phone-context (RFC 3966) is wrong.
 * @param {string} text
 */
const extract = (text) => {
  const at = text.indexOf(';phone-context=');
  let number;
  if (at < 0) {
    number = text
      .replace(re(`^[^+\uff0b${DIGIT}]+`), '')
      .replace(re('[^#\\p{L}\\p{N}]+$'), '')
      .replace(/[\\/] *x[^]*/, ''); // a second number
  } else {
    const context = text.slice(at + 15).split(';')[0];
    if (!re(`^(?:${CONTEXT})$`).test(context)) return null;
    const scheme = text.indexOf('tel:');
    number = (context[0] === '+' ? context : '') + text.slice(scheme < 0 ? 0 : scheme + 4, at);
  }
  const subaddress = number.indexOf(';isub=');
  return subaddress > 0 ? number.slice(0, subaddress) : number;
};

/** @param {string} number */
const withoutExtension = (number) => {
  const found = re(`(?:${EXTENSION})$`, 'iu').exec(number);
  const before = found && number.slice(0, found.index);
  return before !== null && isViable(before) ? before : number;
};

/**
 * Strip or transform what may stand before a national number, unless that spoils a good number.
 * @param {string} number
 * @param {Plan} plan
 */
const withoutPrefix = (number, { prefix, transform, pattern }) => {
  const found = prefix && re(`^(?:${decode(prefix)})`).exec(number);
  if (!found) return number;
  const rest = number.slice(found[0].length);
  const bare =
    transform && found[found.length - 1] !== undefined
      ? transform.replace(/\$(\d)/g, (_, group) => found[group] ?? '') + rest
      : rest;
  return matches(number, pattern) && !matches(bare, pattern) ? number : bare;
};

/**
 * Separate the country code: a plan and the rest; undefined where the number names none; null where it
 * must be refused.
 * @param {string} number
 * @param {Plan} [home]
 * @returns {{plan: Plan, rest: string} | null | undefined}
 */
const splitCode = (number, home) => {
  const bare = withoutPlus(number);
  const plus = bare !== number;
  let rest = digits(bare);
  const idd = !plus && home && re(`^(?:${decode(home.idd)})`).exec(rest);
  const dialled = idd && rest[idd[0].length] !== '0';
  if (dialled) rest = rest.slice(idd[0].length);
  if (plus || dialled) {
    if (rest.length < 3) return null;
    for (let size = 1; size < 4; size++) {
      const plan = planOf(rest.slice(0, size));
      if (plan) return { plan, rest: rest.slice(size) };
    }
    // What follows the plus is no country code: perhaps the plus was typed before an IDD.
    return (plus && splitCode(bare, home)) || null;
  }
  if (!home || !rest.startsWith(home.dial)) return undefined;
  const national = withoutPrefix(rest.slice(home.dial.length), home);
  const better = !matches(rest, home.pattern) && matches(national, home.pattern);
  return better || fits(rest.length, home) === 2
    ? { plan: /** @type {Plan} */ (planOf(home.dial)), rest: national }
    : undefined;
};

/**
 * Cut the number out of a text, without its extension.
 * @param {string} text
 */
const cut = (text) => {
  const whole = [...text].length < 251 && extract(withoutLater(text));
  return whole && isViable(whole) && withoutExtension(whole);
};

/**
 * Write a phone number as E.164, without its extension.
 * @param {string} text in NFC
 * @param {string} [region] ISO 3166 country, used where the number has no country code
 * @returns {string | null} null where the number is not a possible one, or only inside its area
 */
export const e164 = (text, region = '') => {
  const home = /^[a-z]{2}$/i.test(region) ? planOf(region.toLowerCase()) : undefined;
  // From most, which are digits with a few separators, there is nothing to cut.
  const number = /^\+?(\d[ ().-]{0,4}){3,40}$/.test(text) ? text : cut(text);
  if (!number || !(home || withoutPlus(number) !== number)) return null;
  const found = splitCode(number, home);
  if (found === null) return null;
  const { plan, rest } = found || { plan: /** @type {Plan} */ (home), rest: digits(number) };
  return nationalToE164(rest, plan);
};

/**
 * @param {string} number national digits, perhaps with a prefix
 * @param {Plan} plan
 */
const nationalToE164 = (number, plan) => {
  if (number.length < 2) return null;
  const bare = withoutPrefix(number, plan);
  const national = fits(bare.length, plan) ? bare : number;
  const main = /** @type {Plan} */ (planOf(plan.dial));
  const possible = national.length < 18 && fits(national.length, main) === 1;
  return possible ? '+' + plan.dial + national : null;
};
