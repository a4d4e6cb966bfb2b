// Random identifiers (RFC 9562, version 4).

/**
 * crypto.randomUUID is missing on http pages; getRandomValues is everywhere.
 * @param {Crypto} crypto
 */
export const uuid = (crypto) => {
  const random = crypto.getRandomValues(new Uint8Array(36));
  return '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (slot, /** @type {number} */ at) =>
    // An 8 keeps its upper two bits, which are the variant; the others take all four.
    (+slot ^ (random[at] & (15 >> (+slot / 4)))).toString(16),
  );
};
