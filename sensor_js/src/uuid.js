// Identifiers as RFC 9562 has them: random ones, and those of events.

/**
 * Version 4. crypto.randomUUID is missing on http pages; getRandomValues is everywhere.
 * @param {Crypto} crypto
 */
export const uuid = (crypto) => {
  const random = crypto.getRandomValues(new Uint8Array(36));
  return '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (/** @type {any} */ slot, /** @type {number} */ at) =>
    // An 8 keeps its upper two bits, which are the variant; the others take all four.
    (slot ^ (random[at] & (15 >> (slot / 4)))).toString(16),
  );
};

/**
 * Version 7: 48 bits of milliseconds since 1970, and random ones. Ids that begin with the time come to the endpoint
 * in order, or nearly, so that its index of them grows at its end.
 * @param {string} random a UUID of version 4
 */
export const eventId = (random) =>
  Date.now().toString(16).padStart(12, '0').replace(/.{8}/, '$&-') + '-7' + random.slice(15);
