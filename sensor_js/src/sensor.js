// The sensor: consent decides, then a uid, an event, a delivery. Everything else is in the modules
// this one puts together. No method throws, and no promise it returns rejects.

import { consentOf, mayAdvertise, mayLink, mayStore } from './consent.js';
import { followConsent } from './consent-sources.js';
import { createCookies } from './cookie.js';
import { createDelivery, refused } from './delivery.js';
import { buildEvent } from './event.js';
import { followForms } from './forms.js';
import { followPages } from './pages.js';
import { hashPerson } from './person.js';
import { createPost } from './post.js';
import { createQueue } from './queue.js';
import { createSession } from './session.js';
import { attempt, createStore } from './storage.js';
import { createUid } from './uid.js';
import { clickIds, pageUrl } from './url.js';
import { eventId, uuid } from './uuid.js';

/**
 * @typedef {object} Options
 * @property {string} [endpoint] origin of the endpoint; this page's own when left out
 * @property {string | null} [region] default country of phone numbers
 * @property {string} [consent] `none`, `manual`, `consent-mode` or `tcf`; found out when left out
 * @property {string | null} [salt]
 * @property {string | string[]} [domains] hosts of partners, whose links carry tokens
 * @property {Flag} [pageViews] send a page_view now and at each new address
 * @property {Flag} [forms] link from forms marked with data-onefold; false turns it off
 * @property {Flag} [matchKeys] add what ad platforms match on
 * @property {Flag} [debug] tell the console what happens
 *
 * @typedef {import('./delivery.js').Outcome} Outcome
 * @typedef {import('./consent.js').Consent} Consent
 */

const TIER = 'uiaf_tier';

/**
 * An attribute that is there is on, whatever it says, unless it says "false".
 * @typedef {boolean | string} Flag
 * @param {Flag} [flag]
 */
const isOn = (flag = false) => flag + '' !== 'false';

/**
 * Start a sensor on a page.
 * @param {Options} options
 * @param {Window & typeof globalThis} win
 * @param {ReturnType<typeof import('./partners.js').toPartners>} cross
 */
export const startSensor = (options, win, cross) => {
  const mint = () => uuid(win.crypto);
  const store = createStore(() => win.localStorage);
  const cookies = createCookies(win);
  const uid = createUid(cookies, store, mint);
  const session = createSession(
    createStore(() => win.sessionStorage),
    mint,
  );

  /** @type {Consent | null} nothing is known yet */
  let consent = null;
  /** @type {((known: boolean) => void)[]} calls made before consent was known */
  const held = [];
  /** @type {Record<string, Set<(detail: any) => void>>} */
  const listeners = {};
  /** Whether an event is made only for practice, and goes nowhere. */
  let rehearsing = false;

  /**
   * The consent that holds now: none where another tab has changed the tier since this page heard of it, or another
   * page while this one was in a cache. Their withdrawal could not reach this tab's session.
   */
  const current = () => {
    if ((store.get(TIER) ?? 'T0') === consent?.tier) return consent;
    if (mayStore(consent)) session.forget();
    return null;
  };

  /** @param {boolean} known what to tell the calls that wait: consent is known, or they are off */
  const release = (known) => held.splice(0).forEach((resume) => resume(known));

  /** @param {unknown[]} words */
  const log = (...words) => isOn(options.debug) && attempt(() => console.debug('[onefold]', ...words));

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  const emit = (name, detail) => {
    log(name, detail);
    listeners[name]?.forEach((listener) => attempt(() => listener(detail)));
  };

  const endpoint = (options.endpoint || win.location.origin).replace(/\/+$/, '');
  const post = createPost(win, endpoint);
  const delivery = createDelivery(
    win,
    endpoint,
    post,
    createQueue(store),
    (event) => (event.event === 'identity_link' ? mayLink : mayStore)(current()),
    emit,
  );

  /**
   * Send an event, consent being known, and only then keep what it says of uid and session: writing takes its time.
   * @param {string} name
   * @param {string} id the uid
   * @param {{origin: string, pathname: string, search: string}} [location] where it happened
   * @param {import('./event.js').Link} [link]
   * @returns {any} what becomes of it
   */
  const send = (name, id, location = win.location, link = {}) => {
    const storing = mayStore(consent);
    const advertise = mayAdvertise(consent);
    const session_id = storing ? session.look() : null;
    const event = buildEvent(
      name,
      eventId(mint()),
      { uid: id, session_id },
      /** @type {Consent} */ (consent),
      pageUrl(location, advertise),
      advertise && clickIds(location, cookies.get),
      link,
    );
    if (rehearsing) return;
    const outcome = delivery.send(event);
    if (storing) {
      uid.keep(id);
      session.keep(/** @type {string} */ (session_id));
    }
    return outcome;
  };

  /**
   * Do what a change of tier asks for. Where the visitor chose, a denial is a withdrawal; where only a
   * default denies, what an earlier consent left is neither read nor removed until they do.
   * @param {Consent} next
   * @param {Consent | null} before
   * @param {boolean} explicit
   */
  const transition = ({ tier }, before, explicit) => {
    const storing = tier < 'T3';
    if (!storing && !explicit) return;
    const last = store.get(TIER) ?? before?.tier;
    if (explicit && tier > 'T1' && tier > (last ?? 'T0')) delivery.purge();
    if (last && last !== tier) {
      const id = storing ? uid.look() : uid.peek();
      if (id) send('consent_update', id);
    }
    store.set(TIER, storing && tier > 'T0' ? tier : null);
    if (storing) return;
    uid.forget();
    session.forget();
    delivery.purge();
  };

  /** Go through all that a link needs, and send nothing. */
  const rehearse = () => {
    rehearsing = true;
    link({ email: 'a@b', phone: '+10000000000' }).catch(log);
    rehearsing = false;
  };

  /** What follows when storing is allowed. A task of its own: what is sent meanwhile has not waited for it. */
  const settle = () => {
    if (!mayStore(current())) return;
    uid.get();
    delivery.flush();
    // While nobody waits for it; WebKit has no idle callbacks.
    (win.requestIdleCallback ?? setTimeout)(rehearse);
  };

  /**
   * @param {unknown} stated
   * @param {boolean} explicit the visitor chose
   */
  const decide = (stated, explicit) => {
    const before = consent;
    const gpc = /** @type {any} */ (win.navigator).globalPrivacyControl;
    const next = consentOf(stated, before, gpc);
    if (!next) return log('ignored', stated);
    consent = next;
    transition(next, before, explicit);
    if (mayStore(next) && !mayStore(before)) setTimeout(() => attempt(settle));
    if (before?.tier !== next.tier) emit('consent', next);
    release(true);
  };

  /**
   * Send an event once consent is known, if it allows it.
   * @param {string} name
   * @param {(consent: Consent | null) => boolean} may
   * @param {() => import('./event.js').Link | undefined} make what a link has, asked only where it is allowed
   * @returns {Promise<Outcome>}
   */
  const submit = async (name, may, make) => {
    // Where consent is waited for, the page may be at another address by then.
    const location = consent ? win.location : new URL(win.location.href);
    if (!consent && !(await new Promise((resolve) => held.push(resolve)))) return refused('reset');
    if (!may(current())) return refused('consent');
    const made = make();
    return made ? send(name, uid.look(), location, made) : refused('no_identifiers');
  };

  /**
   * @param {object} identity
   * @param {{trigger?: string, claim?: string}} [context]
   */
  const link = (identity, context) =>
    submit('identity_link', mayLink, () => {
      const person = hashPerson(identity, options, isOn(options.matchKeys));
      if (person.ignored[0]) log('ignored', person.ignored);
      const { trigger, claim } = Object(context);
      return Object.keys(person.identifiers)[0] ? { ...person, trigger, claim } : undefined;
    });

  const page = () => submit('page_view', mayStore, () => ({}));

  /** Forget who was here, also where consent is not known yet. */
  const reset = () => {
    release(false);
    session.forget();
    uid.forget();
    emit('reset', mayStore(current()) ? uid.get() : null);
  };

  /**
   * @param {string} name
   * @param {(detail: any) => void} listener
   */
  const on = (name, listener) => {
    const all = (listeners[name] ??= new Set());
    all.add(listener);
    return () => void all.delete(listener);
  };

  const decorator = cross(options.domains, log, on, emit, endpoint, current, uid, session);

  /** @type {Record<string, (...args: any[]) => any>} */
  const api = {
    link,
    page,
    reset,
    on,
    consent: (stated) => decide(stated, true),
    uid: () => (mayStore(current()) ? uid.get() : null),
  };
  // The page never sees an exception or a rejection.
  for (const name in api) {
    const method = api[name];
    api[name] = (...args) => {
      const result = attempt(() => method(...args));
      /** @param {Outcome} outcome */
      const tell = (outcome) => (log(name, outcome), outcome);
      return result?.then ? result.catch(() => refused('error')).then(tell) : result;
    };
  }
  api.decorate = async (url) => (await (await decorator)?.(url)) ?? url;

  win.addEventListener('pagehide', delivery.leave);
  win.addEventListener('online', delivery.wake);
  followConsent(win, options.consent, (stated, explicit) => attempt(() => decide(stated, explicit)));
  if (isOn(options.forms ?? true)) followForms(win.document, api.link);
  if (isOn(options.pageViews)) followPages(win, api.page);
  return api;
};
