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
export const takeToken = () => {};
export const toPartners = () => async () => {};
