// SHA-256 (FIPS 180-4) of a text in UTF-8. Used everywhere, although browsers have crypto.subtle: that
// one is missing on http pages, and it answers later, when a page that is being left has gone.

/** @type {number[]} the first 32 bits of the fractions of the cube roots of 64 primes */
const constants = [];
/** @type {number[]} the same of the square roots; the first eight are the start */
const start = [];

const prepare = () => {
  const fraction = (/** @type {number} */ root) => ((root % 1) * 2 ** 32) | 0;
  /** @type {number[]} */
  const primes = [];
  for (let n = 2; !primes[63]; n++)
    if (primes.every((prime) => n % prime)) {
      primes.push(n);
      constants.push(fraction(n ** (1 / 3)));
      start.push(fraction(n ** 0.5));
    }
};

/**
 * One block. Written out, because a page hashes too little for an engine to optimise calls away.
 * @param {number[]} before eight words of state
 * @param {number[]} w sixteen words of the message
 */
const compress = (before, w) => {
  let [a, b, c, d, e, f, g, h] = before;
  for (let i = 0; i < 64; i++) {
    if (i > 15) {
      const x = w[i - 15];
      const y = w[i - 2];
      const small = (x >>> 7) ^ (x << 25) ^ (x >>> 18) ^ (x << 14) ^ (x >>> 3);
      const large = (y >>> 17) ^ (y << 15) ^ (y >>> 19) ^ (y << 13) ^ (y >>> 10);
      w[i] = (w[i - 16] + small + w[i - 7] + large) | 0;
    }
    const first =
      h +
      ((e >>> 6) ^ (e << 26) ^ (e >>> 11) ^ (e << 21) ^ (e >>> 25) ^ (e << 7)) +
      (g ^ (e & (f ^ g))) +
      constants[i] +
      w[i];
    const second =
      ((a >>> 2) ^ (a << 30) ^ (a >>> 13) ^ (a << 19) ^ (a >>> 22) ^ (a << 10)) + ((a & b) ^ (c & (a ^ b)));
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + before[i]) | 0);
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
  while (words.length) state = compress(state, words.splice(0, 16));
  return state.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
};
