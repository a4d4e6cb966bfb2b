// Cuts the table of numbering plans down to some regions.

/**
 * The table with these regions only. The calling codes of all others stay, without a plan: a number that begins
 * with one is refused, and never taken for something else.
 * @param {string} plans
 * @param {string[]} regions
 */
export const limitPlans = (plans, regions) => {
  const rows = plans.split('=').map((row) => row.split(','));
  const left = [];
  for (const region of regions)
    if (!rows.some(([head]) => regionOf(head) === region)) throw new Error(`no numbering plan of ${region}`);
  for (let at = 0; at < rows.length; ) {
    const next = rows.findIndex(([head], i) => i > at && !head.startsWith('0'));
    const group = rows.slice(at, next < 0 ? rows.length : next);
    left.push(...limitGroup(group, regions));
    at += group.length;
  }
  return left.map((row) => row.join(',')).join('=');
};

/** @param {string} head */
const regionOf = (head) => head.replace(/\d+/, '').toUpperCase();

/**
 * One calling code: its main region carries the code, and the rules that decide what is possible.
 * @param {string[][]} group
 * @param {string[]} regions
 */
const limitGroup = (group, regions) => {
  const wanted = group.filter(([head]) => regions.includes(regionOf(head)));
  const [main] = group;
  if (!wanted.length) return [[main[0].replace(/[a-z]/g, '')]];
  return wanted.includes(main) ? wanted : [main, ...wanted];
};
