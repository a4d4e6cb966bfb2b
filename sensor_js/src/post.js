// One POST to the endpoint, and what became of it.

/**
 * @typedef {object} Answer
 * @property {Response} [response] where it was taken
 * @property {string} [reason] why it was not taken
 * @property {number} [after] where it may be taken later: after how many seconds at least
 *
 * @typedef {(path: string, body: object) => Promise<Answer>} Post
 */

/**
 * text/plain needs no preflight, and with credentials a same-site endpoint can renew the cookie.
 * @param {Window & typeof globalThis} win
 * @param {string} endpoint its origin
 * @returns {Post}
 */
export const createPost = (win, endpoint) => async (path, body) => {
  try {
    const response = await win.fetch(endpoint + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'text/plain' },
      credentials: 'include',
      keepalive: true,
    });
    const { ok, status, headers } = response;
    if (ok) return { response };
    const problem = await response.json().catch(() => ({}));
    // Of all refusals only these may change with time. A Retry-After may also be a date: then it counts as none.
    const again = status > 499 || status === 408 || status === 429;
    return {
      reason: problem.code || 'http_' + status,
      after: again ? +(/** @type {string} */ (headers.get('retry-after'))) || 0 : undefined,
    };
  } catch {
    return { reason: 'network', after: 0 };
  }
};
