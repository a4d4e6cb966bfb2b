/**
 * Gives the sensor what this page says: the visitor's consent choice, and what just happened.
 * Before there is a choice it gives nothing.
 */

/** @typedef {{tier: string | null, commands: [string, Record<string, string>?, {trigger: string}?][]}} Page */

/** Read at each call: the sensor puts itself in the stub's place once it has loaded. */
const host = /** @type {{onefold: (...words: unknown[]) => unknown}} */ (/** @type {unknown} */ (window));

/** @type {Page} */
const page = JSON.parse(element('page-data').textContent ?? '{}');

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

/** @param {string} tier */
function apply(tier) {
  host.onefold('consent', tier);
  for (const command of page.commands.splice(0)) tell(command);
}

/** @param {Page['commands'][number]} command */
function tell(command) {
  host.onefold(...command);
  const [name, identity, options] = command;
  const about = identity ? ` (${options?.trigger}) with ${Object.keys(identity).join(', ')}` : '';
  element('told').textContent = `This page called the sensor: ${name}${about}.`;
}

/** @param {string} tier */
function show(tier) {
  const box = /** @type {HTMLDetailsElement} */ (element('consent'));
  box.classList.remove('asking');
  box.open = false;
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

export {};
