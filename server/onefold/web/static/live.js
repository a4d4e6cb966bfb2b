/**
 * The live graph: polls `live.json` once a second while the page is visible, and draws profiles, identifiers and
 * events.
 *
 * Reading order: `poll` fetches, `update` remembers what is new, `arrange` gives every card its place, `picture`,
 * `table` and `eventList` draw. Everything is built from text nodes: no value of the feed is ever parsed as markup.
 */

/**
 * @typedef {{identifier: string, type: string, value: string, shared: boolean, first_seen: number, last_seen: number,
 *   source: string, tier: string, verified: boolean}} Identifier
 * @typedef {{id: string, created_at: number, merged: string[], identifiers: Identifier[], stand_ins: string[]}} Profile
 * @typedef {{identifier: string, profiles: string[]}} Shared
 * @typedef {{action?: string, identifier: string, code: string, rule?: string | null, profiles?: string[]}} Refusal
 * @typedef {{seq: number, event_id: string, at: number, site: string, kind: string, trigger?: string | null,
 *   tier: string, outcome: string, profile?: string | null, identifiers: string[], refusals: Refusal[]}} Happening
 * @typedef {{at: number, site: string, kind: string, code: string, detail: string}} Denied
 * @typedef {{now: number, counts: Record<string, number>, sites: {id: string, url: string}[], profiles: Profile[],
 *   shared: Shared[], events: Happening[], refused: Denied[]}} Feed
 *
 * @typedef {{profile: Profile, into: string | null, x: number, y: number, height: number}} Card
 *   `into` is set on a ghost: the profile that it has just become a part of.
 * @typedef {{shared: Shared, cards: Card[], x: number, y: number}} Tie  a shared identifier and the cards it ties
 * @typedef {{key: string, cards: Card[], nodes: Tie[]}} Block  one profile, or profiles tied by shared identifiers
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{cards: Card[], nodes: Tie[], boxes: Box[], column: number, width: number, height: number}} Picture
 */

const POLL_MS = 1000;
const TIMEOUT_MS = 5000;
const FLASH_MS = 3500;
const EVENTS = 50;

// Lengths of the picture, in CSS pixels.
const COLUMN = 262;
const GAP = 28;
const HEAD = 56;
const ROW = 31;
const CHIP = 26;
const NODE = 52;
const MOST_ROWS = 12;

/** @type {Intl.DateTimeFormatOptions} */
const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

/** What each type is called in the picture. @type {Record<string, string>} */
const SHORT_NAMES = { uid: 'browser', email_hash: 'e-mail', phone_hash: 'phone', customer_id: 'customer' };

/** Icons in a box of 16 by 16, stroked. @type {Record<string, string>} */
const ICONS = {
  uid: 'M2 3.5h12v9H2zM2 6.3h12M4 4.9h.2M5.8 4.9h.2',
  email_hash: 'M10.6 5.4v3.4a1.8 1.8 0 0 0 3.6 0V8a6.2 6.2 0 1 0-2.5 5M10.6 8a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0',
  phone_hash: 'M5 1.8h6v12.4H5zM7.4 12.2h1.2',
  customer_id:
    'M2 3.5h12v9H2zM5.7 7.9a1.2 1.2 0 1 0 0-2.4 1.2 1.2 0 0 0 0 2.4M3.9 10.6c0-2 3.6-2 3.6 0M9.6 6.6h2.4M9.6 9.2h2.4',
  other: 'M6 2.5 4.6 13.5M11.4 2.5 10 13.5M2.6 5.8h11M2.2 10.2h11',
  session: 'M8 4.4V8l2.6 1.6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0',
};

/** What a refusal did, by its action; `%` is the identifier's type. @type {Record<string, string>} */
const ACTIONS = {
  drop: '% is left out',
  keep: '% stays with the profile that has it',
  share: '% is now shared',
  move: '% moved to this profile',
  release: '% was released to make room',
  associate: '% is shared with this profile too',
};

/** Why, where no rule is named. @type {Record<string, string>} */
const REASONS = {
  blocked_identifier: 'many people would share this value',
  invalid_identifier: 'not the form its type asks for',
  unknown_identifier_type: 'the rules do not declare this type',
  recorded_only: 'this source may not link through it',
  unverified: 'the rules want it signed',
};

/**
 * When each thing was first on this page, in ms; 0 for what was there when the page opened.
 * @type {Map<string, number>}
 */
let firstSeen = new Map();
/** Column of each block: once placed, a block stays in its column. @type {Map<string, number>} */
const columnOf = new Map();
/**
 * Profiles that have just become part of another one.
 * @type {Map<string, {profile: Profile, into: string, until: number}>}
 */
const ghosts = new Map();
/** @type {Feed | null} */
let feed = null;
let drawn = '';
let columnsDrawn = 0;

/** Below this the text would be too small to read, and the picture scrolls sideways instead. */
const LEAST_SCALE = 0.8;
let timer = 0;
let calming = 0;

// ---- building elements -------------------------------------------------------------------------------------------

/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */
/** @typedef {(Element | string)[]} Children */

/**
 * @template {Element} E
 * @param {E} made
 * @param {Attributes} attributes  null, undefined and false leave an attribute out
 * @param {Children} children
 */
function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** @param {string} name @param {Attributes} attributes @param {Children} children */
function svg(name, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

/** @param {string} name @param {Attributes} attributes @param {Children} children */
function html(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** @param {string} id */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

// ---- words -------------------------------------------------------------------------------------------------------

/** @param {number} ms */
function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** @param {number} ms */
function clock(ms) {
  return new Date(ms).toLocaleTimeString([], CLOCK);
}

/** @param {number} ms */
function moment(ms) {
  return new Date(ms).toLocaleString([], { ...CLOCK, day: 'numeric', month: 'short' });
}

/** @param {string} id */
function shortId(id) {
  return id.length > 11 ? `${id.slice(0, 9)}…` : id;
}

/** `type:value` in two. @param {string} identifier @returns {[string, string]} */
function split(identifier) {
  const at = identifier.indexOf(':');
  return [identifier.slice(0, at), identifier.slice(at + 1)];
}

/** @param {string} type @param {string} value */
function shortValue(type, value) {
  if (type === 'uid' && value.length > 12) return `${value.slice(0, 8)}…`;
  return value.length > 13 ? `${value.slice(0, 6)}…${value.slice(-4)}` : value;
}

/** @param {string} type */
function shortName(type) {
  return SHORT_NAMES[type] ?? (type.length > 10 ? `${type.slice(0, 9)}…` : type);
}

/** @param {string} type */
function typeClass(type) {
  return `type-${type in SHORT_NAMES ? type : 'other'}`;
}

/** @param {number} count @param {string} one @param {string} many */
function plural(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

/** @param {Refusal} refusal */
function refusalWords(refusal) {
  const [type] = split(refusal.identifier);
  const what = (ACTIONS[refusal.action ?? ''] ?? '% was refused').replace('%', type);
  return `${what}: ${refusal.rule ?? REASONS[refusal.code] ?? refusal.code}`;
}

/** @param {Identifier} item */
function tooltip(item) {
  return [
    `${item.type}: ${item.value}`,
    `first seen ${moment(item.first_seen)}`,
    `last seen ${moment(item.last_seen)}`,
    `from ${item.source}, tier ${item.tier}, ${item.verified ? 'verified' : 'not verified'}`,
  ].join('\n');
}

// ---- what is new -------------------------------------------------------------------------------------------------

/** @param {Feed} next */
function update(next) {
  const now = Date.now();
  const opening = feed === null;
  firstSeen = new Map([...keysOf(next)].map((key) => [key, firstSeen.get(key) ?? (opening ? 0 : now)]));
  for (const profile of feed?.profiles ?? []) haunt(profile, next, now);
  feed = next;
}

/** @param {Feed} next */
function* keysOf(next) {
  for (const profile of next.profiles) {
    yield profile.id;
    for (const { identifier } of profile.identifiers) yield `${profile.id} ${identifier}`;
    for (const standIn of profile.stand_ins) yield `${profile.id} ${standIn}`;
  }
  for (const { identifier } of next.shared) yield identifier;
  for (const event of next.events) yield `event ${event.seq}`;
  for (const denied of next.refused) yield deniedKey(denied);
}

/**
 * A profile that was merged away stays a moment, tied to the one it became.
 * @param {Profile} profile
 * @param {Feed} next
 * @param {number} now
 */
function haunt(profile, next, now) {
  if (next.profiles.some(({ id }) => id === profile.id)) return;
  const survivor = next.profiles.find(({ merged }) => merged.includes(profile.id));
  if (survivor) ghosts.set(profile.id, { profile, into: survivor.id, until: now + FLASH_MS });
}

/** @param {string} key */
function isFresh(key) {
  return Date.now() - (firstSeen.get(key) ?? 0) < FLASH_MS;
}

/** @param {Denied} denied */
function deniedKey(denied) {
  return `refused ${denied.at} ${denied.site} ${denied.code}`;
}

// ---- layout ------------------------------------------------------------------------------------------------------

/**
 * Cards in columns, the oldest first. Profiles tied by shared identifiers form one block three columns wide: cards on
 * both sides, the shared identifiers between them, so that no line crosses a card.
 * @param {Feed} state @param {number} room  width of the page's picture area
 * @returns {Picture}
 */
function arrange(state, room) {
  const blocks = blocksOf(state);
  const fitting = Math.floor((room + GAP) / (COLUMN + GAP));
  const columns = Math.max(fitting, blocks.some(({ nodes }) => nodes.length) ? 3 : 1);
  const column = fitting >= columns ? Math.floor((room + GAP) / columns) - GAP : Math.min(COLUMN, Math.max(room, 232));
  if (columns !== columnsDrawn) columnOf.clear();
  columnsDrawn = columns;
  const heights = new Array(columns).fill(6);
  const boxes = blocks.flatMap((block) => place(block, heights, column));
  const cards = blocks.flatMap((block) => block.cards);
  const nodes = blocks.flatMap((block) => block.nodes);
  return { cards, nodes, boxes, column, width: columns * (column + GAP) - GAP, height: Math.max(...heights) };
}

/** @param {Feed} state @returns {Block[]} */
function blocksOf(state) {
  const cards = cardsOf(state);
  /** @type {Map<Card, Block>} */
  const blocks = new Map(cards.map((card) => [card, { key: card.profile.id, cards: [card], nodes: [] }]));
  for (const shared of [...state.shared].sort((a, b) => (a.identifier < b.identifier ? -1 : 1))) {
    const tied = cards.filter(({ profile, into }) => !into && shared.profiles.includes(profile.id));
    if (tied.length) join(blocks, { shared, cards: tied, x: 0, y: 0 });
  }
  return [...new Set(blocks.values())];
}

/** @param {Map<Card, Block>} blocks @param {Tie} node */
function join(blocks, node) {
  const parts = [...new Set(node.cards.map((card) => /** @type {Block} */ (blocks.get(card))))];
  const cards = parts.flatMap((part) => part.cards).sort(byAge);
  const whole = { key: `${cards[0].profile.id} shared`, cards, nodes: [...parts.flatMap((part) => part.nodes), node] };
  for (const card of cards) blocks.set(card, whole);
}

/** @param {Feed} state @returns {Card[]} */
function cardsOf(state) {
  const cards = state.profiles.map((profile) => card(profile, null));
  for (const { profile, into } of ghosts.values()) cards.push(card(profile, into));
  return cards.sort(byAge);
}

/** @param {Profile} profile @param {string | null} into @returns {Card} */
function card(profile, into) {
  const rows = rowsOf(profile);
  return { profile, into, x: 0, y: 0, height: HEAD + Math.max(1, rows.shown.length + (rows.more ? 1 : 0)) * ROW + 8 };
}

/** @param {Card} a @param {Card} b */
function byAge(a, b) {
  return a.profile.created_at - b.profile.created_at || (a.profile.id < b.profile.id ? -1 : 1);
}

/**
 * What stands on a card: its own identifiers and stand-ins; shared identifiers stand between the cards.
 * @param {Profile} profile
 */
function rowsOf(profile) {
  const own = profile.identifiers.filter(({ shared }) => !shared);
  const all = [...own, ...profile.stand_ins];
  return { shown: all.slice(0, MOST_ROWS), more: Math.max(0, all.length - MOST_ROWS) };
}

/** @param {Block} block @param {number[]} heights  of the columns, moved on @param {number} column @returns {Box[]} */
function place(block, heights, column) {
  const span = block.nodes.length ? 3 : 1;
  const start = columnFor(block.key, heights, span);
  const top = Math.max(...heights.slice(start, start + span));
  const left = start * (column + GAP);
  const bottom = span === 1 ? stack(block.cards, left, top) : butterfly(block, left, top, column);
  heights.fill(bottom + GAP, start, start + span);
  return span === 1 ? [] : [{ x: left, y: top, width: 3 * column + 2 * GAP, height: bottom - top }];
}

/** @param {string} key @param {number[]} heights @param {number} span */
function columnFor(key, heights, span) {
  const known = columnOf.get(key);
  if (known !== undefined) return known;
  const starts = Array.from({ length: heights.length - span + 1 }, (_, start) => start);
  const tops = starts.map((start) => Math.max(...heights.slice(start, start + span)));
  const start = tops.indexOf(Math.min(...tops));
  columnOf.set(key, start);
  return start;
}

/** @param {Card[]} cards @param {number} x @param {number} top @returns {number} where the stack ends */
function stack(cards, x, top) {
  let y = top;
  for (const card of cards) {
    Object.assign(card, { x, y });
    y += card.height + GAP;
  }
  return y - GAP;
}

/** @param {Block} block @param {number} x @param {number} top @param {number} column */
function butterfly(block, x, top, column) {
  const inset = 14;
  const left = stack(block.cards.filter((_, index) => index % 2 === 0), x + inset, top + inset);
  const rights = block.cards.filter((_, index) => index % 2 === 1);
  const right = rights.length ? stack(rights, x + 2 * (column + GAP) - inset, top + inset) : top;
  const lane = spread(block.nodes, x + column + GAP, top + inset, Math.max(left, right));
  return Math.max(left, right, lane) + inset;
}

/**
 * Each node as near to the middle of its cards as the others allow.
 * @param {Tie[]} nodes
 * @param {number} x
 * @param {number} top
 * @param {number} bottom
 */
function spread(nodes, x, top, bottom) {
  const middle = (/** @type {Tie} */ node) =>
    node.cards.reduce((sum, card) => sum + card.y + card.height / 2, 0) / node.cards.length - NODE / 2;
  const needed = nodes.length * (NODE + 16) - 16;
  let y = top;
  [...nodes].sort((a, b) => middle(a) - middle(b)).forEach((node, index) => {
    const latest = Math.max(y, bottom - needed + index * (NODE + 16));
    Object.assign(node, { x, y: Math.min(Math.max(y, middle(node)), latest) });
    y = node.y + NODE + 16;
  });
  return y - 16;
}

// ---- the picture -------------------------------------------------------------------------------------------------

/** @param {Feed} state @param {number} room */
function picture(state, room) {
  if (!state.profiles.length) return html('p', { class: 'empty' }, 'Nobody yet. Open one of the sites and allow all.');
  const plan = arrange(state, room);
  const wide = plan.width + 16;
  const scale = Math.min(1, Math.max(LEAST_SCALE, (room + 16) / wide)); // a little smaller rather than cut off
  const size = { width: wide * scale, height: plan.height * scale, viewBox: `-2 0 ${wide} ${plan.height}` };
  return svg(
    'svg',
    { ...size, role: 'img', 'aria-label': summary(state) },
    ...plan.boxes.map((box) => svg('rect', { ...box, rx: 22, class: 'together' })),
    ...plan.cards.map((card) => homing(card, plan)),
    ...plan.cards.map((card) => (card.into ? drawGhost(card, plan.column) : drawCard(card, state, plan.column))),
    ...plan.nodes.flatMap((node, index) => node.cards.map((card) => thread(node, card, index, plan.column))),
    ...plan.nodes.map((node) => drawNode(node, state, plan.column)),
  );
}

/** @param {Feed} state */
function summary(state) {
  const people = state.profiles.length;
  const held = state.profiles.reduce((sum, profile) => sum + profile.identifiers.length, 0);
  const shared = state.shared.map(({ identifier, profiles }) => {
    return `${split(identifier)[0]} shared by ${profiles.length} profiles`;
  });
  return [
    `${plural(people, 'profile', 'profiles')} with ${plural(held, 'identifier', 'identifiers')}`,
    ...shared.slice(0, 5),
    'the table view has all of them as text',
  ].join('; ');
}

/** @param {Card} card @param {Feed} state @param {number} column */
function drawCard({ profile, x, y, height }, state, column) {
  const { shown, more } = rowsOf(profile);
  const edges = Math.min(3, profile.merged.length);
  const frame = { width: column, height, rx: 16 };
  return svg(
    'g',
    { transform: `translate(${x} ${y})`, class: `card${isFresh(profile.id) ? ' fresh' : ''}` },
    ...Array.from({ length: edges }, (_, index) => edges - index).map((depth) =>
      svg('rect', { ...frame, x: depth * 4, y: depth * 4, class: 'edge' })),
    svg('rect', { ...frame, class: 'frame' }),
    ...drawHead(profile, state, column),
    ...shown.map((row, index) =>
      typeof row === 'string' ? drawStandIn(profile, row, index, column) : drawChip(profile, row, index, column)),
    ...(shown.length ? [] : [svg('text', { x: 18, y: HEAD + 18, class: 'small' }, 'only shared identifiers')]),
    ...(more ? [svg('text', { x: 18, y: HEAD + shown.length * ROW + 18, class: 'small' }, `and ${more} more`)] : []),
  );
}

/** @param {Profile} profile @param {Feed} state @param {number} column */
function drawHead(profile, state, column) {
  const { id, created_at: at, merged } = profile;
  const title = [id, `created ${moment(at)}`, ...merged.map((other) => `merged in: ${other}`)].join('\n');
  return [
    svg('g', { class: 'head' }, svg('title', {}, title),
      svg('rect', { width: column, height: HEAD - 6, rx: 16, class: 'grip' }),
      svg('text', { x: 18, y: 25, class: 'id' }, shortId(id)),
      svg('text', { x: 18, y: 43, class: 'small', 'data-born': at }, `${age(state.now - at)} old`)),
    ...(merged.length ? [drawMerged(merged.length, column)] : []),
  ];
}

/** @param {number} count @param {number} column */
function drawMerged(count, column) {
  const words = `${plural(count, 'id', 'ids')} merged in`;
  return svg('text', { x: column - 18, y: 25, class: 'merged', 'text-anchor': 'end' }, words);
}

/** @param {Profile} profile @param {Identifier} item @param {number} index @param {number} column */
function drawChip(profile, item, index, column) {
  const fresh = isFresh(`${profile.id} ${item.identifier}`) ? ' fresh' : '';
  return svg(
    'g',
    { transform: `translate(12 ${HEAD + index * ROW})`, class: `chip ${typeClass(item.type)}${fresh}` },
    svg('title', {}, tooltip(item)),
    svg('rect', { width: column - 24, height: CHIP, rx: CHIP / 2, class: 'pill' }),
    icon(item.type, CHIP / 2, CHIP / 2),
    svg('text', { x: 31, y: 17.5, class: 'name' }, shortName(item.type)),
    svg('text', { x: 100, y: 17.5, class: 'value' }, shortValue(item.type, item.value)),
    ...(item.verified ? [svg('path', { d: `M${column - 70} 13l4 4 7-8`, class: 'tick' })] : []),
    svg('text', { x: column - 36, y: 17.5, class: 'tier', 'text-anchor': 'end' }, item.tier),
  );
}

/** @param {Profile} profile @param {string} standIn @param {number} index @param {number} column */
function drawStandIn(profile, standIn, index, column) {
  const [type, value] = split(standIn);
  const fresh = isFresh(`${profile.id} ${standIn}`) ? ' fresh' : '';
  return svg(
    'g',
    { transform: `translate(12 ${HEAD + index * ROW})`, class: `chip stand-in${fresh}` },
    svg('title', {}, `${standIn}\none session on a shared ${shortName(type)}`),
    svg('rect', { width: column - 24, height: CHIP, rx: CHIP / 2, class: 'pill' }),
    icon('session', CHIP / 2, CHIP / 2),
    svg('text', { x: 31, y: 17.5, class: 'name' }, `a session on ${shortValue(type, value)}`),
  );
}

/** @param {string} type @param {number} x @param {number} y */
function icon(type, x, y) {
  return svg('g', { transform: `translate(${x} ${y})`, class: 'icon' },
    svg('circle', { r: 10.5 }),
    svg('path', { d: ICONS[type] ?? ICONS.other, transform: 'scale(.8) translate(-8 -8)' }));
}

/** @param {Card} card @param {number} column */
function drawGhost({ profile, into, x, y, height }, column) {
  return svg('g', { transform: `translate(${x} ${y})`, class: 'ghost' },
    svg('rect', { width: column, height, rx: 16, class: 'frame' }),
    svg('text', { x: 18, y: 25, class: 'id' }, shortId(profile.id)),
    svg('text', { x: 18, y: 43, class: 'small' }, `is now part of ${shortId(into ?? '')}`));
}

/** The line from a ghost to what it became. @param {Card} card @param {Picture} plan */
function homing(card, { cards, column }) {
  const home = cards.find(({ profile, into }) => !into && profile.id === card.into);
  if (!home) return svg('g', {});
  const from = { x: card.x + column / 2, y: card.y + card.height / 2 };
  const to = { x: home.x + column / 2, y: home.y + home.height / 2 };
  return svg('path', { d: `M${from.x} ${from.y}L${to.x} ${to.y}`, class: 'homing' });
}

/** @param {Tie} node @param {Feed} state @param {number} column */
function drawNode({ shared, cards, x, y }, state, column) {
  const [type, value] = split(shared.identifier);
  const items = state.profiles.flatMap((profile) => profile.identifiers);
  const known = items.find(({ identifier }) => identifier === shared.identifier);
  const hidden = shared.profiles.length - cards.length;
  const words = `shared by ${shared.profiles.length}${hidden ? `, ${hidden} not shown` : ' profiles'}`;
  const owners = shared.profiles.map((id) => `shared by ${id}`);
  const title = [known ? tooltip(known) : shared.identifier, ...owners].join('\n');
  const fresh = isFresh(shared.identifier) ? ' fresh' : '';
  const width = Math.min(200, column - 36);
  return svg(
    'g',
    { transform: `translate(${x + (column - width) / 2} ${y})`, class: `shared-node${fresh}` },
    svg('title', {}, title),
    svg('rect', { width, height: NODE, rx: 18, class: 'pill' }),
    icon(type, 25, NODE / 2),
    svg('text', { x: 45, y: 22, class: 'value' }, `${shortName(type)} ${shortValue(type, value)}`),
    svg('text', { x: 45, y: 39, class: 'words' }, words),
  );
}

/**
 * A line from a shared identifier to the near edge of a card.
 * @param {Tie} node
 * @param {Card} card
 * @param {number} index
 * @param {number} column
 */
function thread(node, card, index, column) {
  const width = Math.min(200, column - 36);
  const leftwards = card.x < node.x;
  const middle = node.x + column / 2;
  const [x1, y1] = [middle + (leftwards ? -width / 2 : width / 2), node.y + NODE / 2];
  const [x2, y2] = [leftwards ? card.x + column : card.x, card.y + 25 + (index % 3) * 9];
  const bend = (x2 - x1) / 2;
  return svg('g', { class: 'thread' },
    svg('path', { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }),
    svg('circle', { cx: x2, cy: y2, r: 4 }));
}

// ---- the table ---------------------------------------------------------------------------------------------------

/** @param {Feed} state */
function table(state) {
  const heads = ['Profile', 'Identifier', 'Value', 'First seen', 'Last seen', 'Source', 'Tier', 'Verified', 'Shared'];
  const sorted = cardsOf(state).filter(({ into }) => !into).map(({ profile }) => profile);
  return html('table', {},
    html('caption', {}, summaryOfTable(state)),
    html('thead', {}, html('tr', {}, ...heads.map((head) => html('th', { scope: 'col' }, head)))),
    ...sorted.map((profile) => html('tbody', {}, ...tableRows(profile))));
}

/** @param {Feed} state */
function summaryOfTable(state) {
  return `${plural(state.profiles.length, 'profile', 'profiles')}, the oldest first`;
}

/** @param {Profile} profile */
function tableRows(profile) {
  const rows = profile.identifiers.map(cells);
  for (const standIn of profile.stand_ins) {
    rows.push(['session on a shared identifier', standIn, '', '', '', '', '', '']);
  }
  if (!rows.length) rows.push(['none', '', '', '', '', '', '', '']);
  return rows.map((row, index) =>
    html('tr', {}, ...(index ? [] : [profileCell(profile, rows.length)]), ...row.map((text) => html('td', {}, text))));
}

/** @param {Identifier} item */
function cells(item) {
  const { type, value, first_seen: first, last_seen: last, source, tier, verified, shared } = item;
  return [type, value, moment(first), moment(last), source, tier, verified ? 'yes' : 'no', shared ? 'yes' : 'no'];
}

/** @param {Profile} profile @param {number} rows */
function profileCell(profile, rows) {
  const notes = [`created ${moment(profile.created_at)}`];
  if (profile.merged.length) notes.push(`merged in: ${profile.merged.join(', ')}`);
  const smalls = notes.map((note) => html('small', {}, note));
  return html('th', { scope: 'rowgroup', rowspan: rows }, profile.id, ...smalls);
}

// ---- events ------------------------------------------------------------------------------------------------------

/** Accepted events and refused requests in one list, the newest first. @param {Feed} state */
function eventList(state) {
  const lines = [
    ...state.events.map((event) => ({ at: event.at, order: event.seq, line: () => happening(event) })),
    ...state.refused.map((denied) => ({ at: denied.at, order: 0, line: () => denial(denied) })),
  ];
  lines.sort((a, b) => b.at - a.at || b.order - a.order);
  if (!lines.length) return [html('li', { class: 'empty' }, 'No event yet.')];
  return lines.slice(0, EVENTS).map(({ line }) => line());
}

/** @param {Happening} event */
function happening(event) {
  const what = event.trigger ? `${event.kind}, ${event.trigger}` : event.kind;
  const who = event.profile ? [' → ', html('code', { title: event.profile }, shortId(event.profile))] : [];
  return html('li', { class: `event${isFresh(`event ${event.seq}`) ? ' fresh' : ''}`, title: event.event_id },
    eventHead(event.at, event.site, event.tier, event.outcome),
    html('p', {}, what, ...who),
    html('p', { class: 'ids' }, ...event.identifiers.map(smallChip)),
    ...event.refusals.map((refusal) =>
      html('p', { class: 'refusal', title: refusal.identifier }, refusalWords(refusal))));
}

/** @param {Denied} denied */
function denial(denied) {
  return html('li', { class: `event denied${isFresh(deniedKey(denied)) ? ' fresh' : ''}` },
    eventHead(denied.at, denied.site, null, 'refused'),
    html('p', {}, `${denied.kind}: `, html('code', {}, denied.code)),
    html('p', {}, denied.detail));
}

/** @param {number} at @param {string} site @param {string | null} tier @param {string} outcome */
function eventHead(at, site, tier, outcome) {
  return html('p', { class: 'line' },
    html('time', { datetime: new Date(at).toISOString() }, clock(at)),
    html('strong', {}, site),
    ...(tier ? [html('span', { class: 'tag' }, tier)] : []),
    html('span', { class: `tag outcome ${outcome}` }, outcome));
}

/** @param {string} identifier */
function smallChip(identifier) {
  const [type, value] = split(identifier);
  const about = { class: `small-chip ${typeClass(type)}`, title: identifier };
  return html('span', about, `${shortName(type)} `, html('code', {}, shortValue(type, value)));
}

// ---- the page ----------------------------------------------------------------------------------------------------

/** Draw again, but only where something changed: a text being selected must not be pulled away every second. */
function draw() {
  if (!feed) return;
  dropOldGhosts();
  const room = byId('picture').clientWidth || byId('table').clientWidth;
  const current = JSON.stringify([{ ...feed, now: 0 }, [...ghosts.keys()], room]);
  if (current !== drawn) redraw(feed, room - 16);
  drawn = current;
  for (const old of document.querySelectorAll('[data-born]')) {
    old.textContent = `${age(feed.now - Number(old.getAttribute('data-born')))} old`;
  }
}

/** @param {Feed} state @param {number} room */
function redraw(state, room) {
  byId('picture').replaceChildren(picture(state, room));
  byId('table').replaceChildren(table(state));
  byId('events').replaceChildren(...eventList(state));
  for (const count of document.querySelectorAll('[data-count]')) {
    count.textContent = String(state.counts[count.getAttribute('data-count') ?? ''] ?? 0);
  }
  drawSites(state);
  clearTimeout(calming);
  calming = setTimeout(calm, FLASH_MS);
}

/** @param {Feed} state */
function drawSites(state) {
  byId('sites').replaceChildren(...state.sites.map(({ id, url }) => html('a', { href: url, target: '_blank' }, id)));
  for (const link of document.querySelectorAll('a[data-site]')) {
    const site = state.sites.find(({ id }) => id === link.getAttribute('data-site'));
    if (site) fill(link, { href: site.url, target: '_blank' }, []);
  }
}

/** The flash is over. */
function calm() {
  for (const fresh of document.querySelectorAll('.fresh')) fresh.classList.remove('fresh');
}

function dropOldGhosts() {
  for (const [id, { until }] of ghosts) if (until < Date.now()) ghosts.delete(id);
}

/** @param {string} text @param {string} state */
function say(text, state) {
  const status = byId('status');
  document.body.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

async function poll() {
  clearTimeout(timer);
  if (document.visibilityState === 'hidden') return;
  try {
    const answer = await fetch('live.json', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`live.json answered ${answer.status}`);
    update(await answer.json());
    draw();
    say('live', 'live');
  } catch {
    say('endpoint not reachable, retrying', 'lost');
  }
  clearTimeout(timer);
  timer = setTimeout(poll, POLL_MS);
}

/** @param {string} name */
function show(name) {
  for (const button of document.querySelectorAll('[data-view]')) {
    const view = button.getAttribute('data-view') ?? '';
    button.setAttribute('aria-pressed', String(view === name));
    byId(view).hidden = view !== name;
  }
  draw();
}

for (const button of document.querySelectorAll('[data-view]')) {
  button.addEventListener('click', () => show(button.getAttribute('data-view') ?? 'picture'));
}
document.addEventListener('visibilitychange', poll);
addEventListener('resize', draw);
poll();

export {};
