// In place of what the lite build leaves out.

/** Under `tcf` the page calls consent(), as under `manual`. */
export const tcf = () => {};
export const followForms = () => {};
/**
 * @param {unknown} _win
 * @param {() => unknown} page
 */
export const followPages = (_win, page) => page();
export const matchKeys = () => undefined;
export const takeToken = () => undefined;
export const followLanding = () => {};
/** Nothing leads to a partner. */
export const followLinks = () => async (/** @type {string} */ url) => url;
