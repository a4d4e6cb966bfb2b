// Tokens for partners: asked for when a visitor is about to leave, used once, forgotten with whoever they are of.

/** The most that a visitor waits for one. */
const PATIENCE_MS = 300;
/** How long a refusal holds before another is asked for. */
const REFUSAL_MS = 30000;

/**
 * @typedef {{identity: {uid: string, session_id: string}, consent: object, _meta: {tier: string}}} Asker
 * who asks for a token, or redeems one
 *
 * @typedef {object} Crossing what both ends of a way between two sites need
 * @property {() => Asker | false | null} asker nobody where consent does not allow linking
 * @property {import('./post.js').Post} post
 * @property {(name: string, listener: (detail: any) => void) => unknown} on
 * @property {(name: string, detail: object) => void} emit
 *
 * @typedef {object} Minting
 * @property {string} uid whose it is
 * @property {number} until when another is asked for, in milliseconds
 * @property {Promise<void>} [done]
 * @property {string} [token]
 * @property {string} [reason] why there is none
 */

/** @param {Crossing} crossing */
export const createTokens = ({ asker, post, on, emit }) => {
  /** @type {Record<string, Minting>} by target, a partner's origin */
  let minted = {};
  const drop = () => void (minted = {});
  on('consent', drop);
  on('reset', drop);

  /**
   * What there is for a target: a token, a refusal, or one that is being asked for; nothing where nobody may ask. A
   * token sets out in the first three quarters of its life: the next page has to load.
   * @param {string} target
   */
  const mint = (target) => {
    const who = asker();
    const now = Date.now();
    const known = minted[target];
    // Another tab may have reset the uid.
    if (!who || (known?.uid === who.identity.uid && known.until > now)) return who ? known : undefined;
    /** @type {Minting} */
    const minting = { uid: who.identity.uid, until: now + REFUSAL_MS };
    minting.done = post('/v1/tokens', { ...who, target })
      .then(async ({ response, reason }) => {
        minting.reason = reason;
        const { token, expires_in } = await response?.json();
        minting.token = token;
        minting.until = now + expires_in * 750;
      })
      // No answer that can be read is no token.
      .catch(() => {});
    return (minted[target] = minting);
  };

  /**
   * Use the token for a target, if there is one: once.
   * @param {string} target
   */
  const take = (target) => {
    const known = mint(target);
    const token = known?.token;
    if (token) delete minted[target];
    emit('decorate', { target, decorated: !!token, reason: known ? known.reason : 'consent' });
    return token;
  };

  /**
   * Use a token as soon as there is one; after a while go without.
   * @param {string} target
   */
  const soon = async (target) => {
    await Promise.race([mint(target)?.done, new Promise((done) => setTimeout(done, PATIENCE_MS))]);
    return take(target);
  };

  return { mint, take, soon };
};
