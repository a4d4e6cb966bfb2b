// SHA-256 (FIPS 180-4) of a text in UTF-8. Used everywhere, although browsers have crypto.subtle: that
// one is missing on http pages, and it answers later, when a page that is being left has gone.

/** @type {number[]} the first 32 bits of the fractions of the cube roots of 64 primes */
const constants = [];
/** @type {number[]} the same of the square roots; the first eight are the start */
const start = [];

const prepare = () => {
  const fraction = (/** @type {number} */ root) => ((root % 1) * 2 ** 32) | 0;
  for (let n = 2; constants.length < 64; n++) {
    let divisor = 2;
    while (n % divisor) divisor++;
    if (divisor < n) continue;
    constants.push(fraction(n ** (1 / 3)));
    start.push(fraction(n ** 0.5));
  }
};

/**
 * @param {number} x
 * @param {number[]} turns
 */
const turned = (x, ...turns) => turns.reduce((all, n) => all ^ (x >>> n) ^ (x << (32 - n)), 0);

/**
 * @param {number[]} before eight words of state
 * @param {number[]} w sixteen words of the message
 */
const compress = (before, w) => {
  const s = [...before];
  for (let i = 0; i < 64; i++) {
    if (i > 15) {
      const small = turned(w[i - 15], 7, 18) ^ (w[i - 15] >>> 3);
      const large = turned(w[i - 2], 17, 19) ^ (w[i - 2] >>> 10);
      w[i] = (w[i - 16] + small + w[i - 7] + large) | 0;
    }
    const choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    const first = s[7] + turned(s[4], 6, 11, 25) + choice + constants[i] + w[i];
    s.unshift((first + turned(s[0], 2, 13, 22) + majority) | 0);
    s[4] = (s[4] + first) | 0;
  }
  return before.map((word, i) => (word + s[i]) | 0);
};

/**
 * Hash a text.
 * @param {string} text well-formed Unicode
 * @returns {string} 64 lower-case hex characters
 */
export const sha256 = (text) => {
  if (!start[0]) prepare();
  const bytes = new TextEncoder().encode(text);
  // A bit, zeros, and the length in bits fill the last block of sixteen words.
  const words = Array(((bytes.length + 72) >> 6) * 16).fill(0);
  [...bytes, 128].forEach((byte, i) => (words[i >> 2] |= byte << ((~i & 3) * 8)));
  words[words.length - 1] = bytes.length * 8;
  let state = start.slice(0, 8);
  while (words[0] !== undefined) state = compress(state, words.splice(0, 16));
  return state.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
};
