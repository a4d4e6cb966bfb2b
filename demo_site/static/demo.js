/**
 * Gives the sensor what this page says: the visitor's consent choice, and what just happened. Before there is a choice
 * it gives nothing. Shows what the sensor then does.
 */

/** @typedef {[string, Record<string, string>?, {trigger: string}?]} Command */
/** @typedef {{event: string, identifiers: object | null, match_keys?: object, _meta: {page_url: string, trigger: string | null}}} Sent */

/** Read at each call: the sensor puts itself in the stub's place once it has loaded. */
const host = /** @type {{onefold: (...words: unknown[]) => unknown}} */ (/** @type {unknown} */ (window));

/** @type {{tier: string | null, commands: Command[], form: string}} */
const page = JSON.parse(element('page-data').textContent ?? '{}');

/** @type {Record<string, string>} */
const MEANING = {
  T1: 'links and page views may leave',
  T2: 'page views may leave, links may not',
  T3: 'nothing is stored and nothing leaves',
  T4: 'nothing is stored and nothing leaves',
};

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

// ---- what the sensor did -------------------------------------------------------------------------

/**
 * @param {string} headline
 * @param {string} [detail]
 */
function say(headline, detail = '') {
  const line = document.createElement('li');
  line.append(headline);
  if (detail) line.append(Object.assign(document.createElement('small'), { textContent: detail }));
  element('did').append(line);
}

/** @param {object | null | undefined} record */
const shortened = (record) =>
  Object.entries(record ?? {}).map(([name, value]) => `${name} ${value.length > 20 ? value.slice(0, 8) + '…' : value}`);

/** @param {{event: Sent}} delivered */
function saySent({ event: { event, identifiers, match_keys, _meta } }) {
  const { pathname, search } = new URL(_meta.page_url);
  const what = [...shortened(identifiers), ...shortened(match_keys)].join(', ');
  say(`Sent: ${event}${_meta.trigger ? ` (${_meta.trigger})` : ''}`, what || pathname + search);
}

/** @param {{tier: string}} consent */
function sayConsent({ tier }) {
  const uid = String(host.onefold('uid') ?? '');
  say(`Consent is ${tier}: ${MEANING[tier]}`, uid && `this browser is uid ${uid.slice(0, 8)}…`);
}

host.onefold('on', 'consent', sayConsent);
host.onefold('on', 'sent', saySent);
host.onefold('on', 'dropped', (/** @type {{reason: string}} */ { reason }) => say(`Not taken: ${reason}`));
host.onefold('on', 'reset', (/** @type {string} */ uid) => say('Forgot who was here', `the next one is uid ${uid.slice(0, 8)}…`));
if (page.form) say(`Heard the form you sent: link (${page.form})`, `it is marked data-onefold="${page.form}"`);
if (!page.tier) say('Nothing: it waits for your choice');

// ---- what the page tells it ----------------------------------------------------------------------

/** @param {string} tier */
function apply(tier) {
  host.onefold('consent', tier);
  for (const command of page.commands.splice(0)) tell(command);
}

/** @param {Command} command */
function tell(command) {
  const [name, identity, options] = command;
  const about = identity ? ` (${options?.trigger}) with ${Object.keys(identity).join(', ')}` : '';
  say(`This page called: ${name}${about}`);
  host.onefold(...command);
}

/** @param {string} tier */
function show(tier) {
  const box = /** @type {HTMLDetailsElement} */ (element('consent'));
  box.classList.remove('asking');
  box.open = false;
  box.toggleAttribute('data-granted', tier < 'T3');
  element('consent-now').textContent = `Consent: ${tier} (change)`;
  for (const button of box.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.value === tier));
  }
}

// The server keeps the cookie, as it does without scripts; the choice holds on this page at once. Where the
// server cannot be reached, the next page asks again.
element('consent').addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {SubmitEvent} */ (event).submitter;
  if (!(button instanceof HTMLButtonElement)) return;
  event.preventDefault();
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form, button)));
  fetch(form.action, { method: 'POST', body, redirect: 'manual', keepalive: true }).catch(() => undefined);
  show(button.value);
  apply(button.value);
});

if (page.tier) apply(page.tier);

// ---- a page that changes without loading ---------------------------------------------------------

/** @type {NodeListOf<HTMLAnchorElement>} */
const parts = document.querySelectorAll('.parts a');

/** Show the part that the address names, as the server does. */
function showPart() {
  const current = new URLSearchParams(location.search).get('part') === '2' ? 1 : 0;
  parts.forEach((link, i) => link.setAttribute('aria-current', i === current ? 'page' : 'false'));
  document.querySelectorAll('.part').forEach((part, i) => part.toggleAttribute('hidden', i !== current));
}

for (const link of parts) {
  link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window
    event.preventDefault();
    history.pushState({}, '', link.href);
    showPart();
  });
}
addEventListener('popstate', showPart);

export {};
