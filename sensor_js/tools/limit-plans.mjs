// Cuts the table of numbering plans down to some regions.

/**
 * The table with these regions only. The calling codes of all others stay, without a plan: a number that begins
 * with one is refused, and never taken for something else.
 * @param {string[]} table
 * @param {string[]} regions
 */
export const limitPlans = (table, regions) => {
  const [heads, ...plans] = table;
  const all = [...heads.matchAll(/(\D\D)(\d*)/g)].map(([, region, step], i) => ({ region, step, plan: plans[i] }));
  const known = (/** @type {string} */ wanted) => all.some(({ region }) => region.toUpperCase() === wanted);
  for (const wanted of regions) if (!known(wanted)) throw new Error(`no numbering plan of ${wanted}`);
  const left = [];
  for (let at = 0; at < all.length; ) {
    const next = all.findIndex(({ step }, i) => i > at && step !== '0');
    const group = all.slice(at, next < 0 ? all.length : next);
    left.push(...limitGroup(group, regions));
    at += group.length;
  }
  return [left.map(({ region, step }) => region + step).join(''), ...left.map(({ plan }) => plan)];
};

/**
 * One calling code: its main region carries the code, and the rules that decide what is possible.
 * @param {{region: string, step: string, plan: string}[]} group
 * @param {string[]} regions
 */
const limitGroup = (group, regions) => {
  const wanted = group.filter(({ region }) => regions.includes(region.toUpperCase()));
  const [main] = group;
  if (!wanted.length) return [{ region: '--', step: main.step, plan: '' }];
  return wanted.includes(main) ? wanted : [main, ...wanted];
};
