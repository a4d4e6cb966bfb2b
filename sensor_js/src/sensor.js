// The sensor: consent decides, then a uid, an event, a delivery. Everything else is in the modules
// this one puts together. No method throws, and no promise it returns rejects.

import { consentOf, mayAdvertise, mayLink, mayStore } from './consent.js';
import { followConsent } from './consent-sources.js';
import { createCookies } from './cookie.js';
import { createDelivery } from './delivery.js';
import { buildEvent } from './event.js';
import { hashPerson } from './person.js';
import { createQueue } from './queue.js';
import { createSession } from './session.js';
import { attempt, createStore } from './storage.js';
import { createUid } from './uid.js';
import { clickIds, pageUrl } from './url.js';
import { uuid } from './uuid.js';

/**
 * @typedef {object} Options
 * @property {string} [endpoint] origin of the endpoint; this page's own when left out
 * @property {string | null} [region] default country of phone numbers
 * @property {string} [consent] `none`, `manual` or `consent-mode`; found out when left out
 * @property {string | null} [salt]
 * @property {boolean} [pageViews] send one page_view now
 * @property {boolean} [debug] tell the console what happens
 *
 * @typedef {import('./delivery.js').Outcome} Outcome
 * @typedef {import('./consent.js').Consent} Consent
 */

const TIER = 'uiaf_tier';

/**
 * @param {Options} options
 * @param {Window & typeof globalThis} win
 */
const start = (options, win) => {
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
  /** @type {((value?: unknown) => void)[]} calls made before consent was known */
  let held = [];
  /** @type {Record<string, Set<(detail: any) => void>>} */
  const listeners = {};

  /** @param {unknown[]} words */
  const log = (...words) => options.debug && attempt(() => console.debug('[onefold]', ...words));

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  const emit = (name, detail) => {
    log(name, detail);
    listeners[name]?.forEach((listener) => attempt(() => listener(detail)));
  };

  const delivery = createDelivery(
    win,
    (options.endpoint || win.location.origin).replace(/\/+$/, '') + '/v1/events',
    createQueue(store),
    (event) => (event.event === 'identity_link' ? mayLink : mayStore)(consent),
    emit,
  );

  /**
   * Send an event; consent is known by now.
   * @param {string} name
   * @param {string} id the uid
   * @param {import('./event.js').Link} [link]
   */
  const send = (name, id, link = {}) => {
    const known = /** @type {Consent} */ (consent);
    const session_id = mayStore(known) ? session.get() : null;
    const advertise = mayAdvertise(known);
    const url = pageUrl(win.location, advertise);
    const clicks = advertise ? clickIds(win.location, cookies.get) : {};
    const identity = { uid: id, session_id };
    return delivery.send(buildEvent(name, mint(), identity, known, url, clicks, link));
  };

  const forget = () => {
    uid.forget();
    session.forget();
    store.set(TIER, null);
    delivery.purge();
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
    const id = storing ? uid.get() : uid.peek();
    if (explicit && tier > 'T1' && tier > (last ?? 'T0')) delivery.purge();
    if (last && last !== tier && id) send('consent_update', id);
    if (storing) store.set(TIER, tier === 'T0' ? null : tier);
    else forget();
  };

  /**
   * @param {unknown} stated
   * @param {boolean} explicit the visitor chose
   */
  const decide = (stated, explicit) => {
    const before = consent;
    const gpc = !!(/** @type {any} */ (win.navigator).globalPrivacyControl);
    const next = consentOf(stated, before, gpc);
    if (!next) return log('no consent', stated);
    consent = next;
    transition(next, before, explicit);
    if (mayStore(next) && !mayStore(before)) delivery.flush();
    if (before?.tier !== next.tier) emit('consent', next);
    held.splice(0).forEach((resume) => resume());
  };

  /** Wait until consent is known. */
  const known = () => consent || new Promise((resolve) => held.push(resolve));

  /**
   * @param {object} identity
   * @param {{trigger?: string, claim?: string}} [context]
   * @returns {Promise<Outcome>}
   */
  const link = async (identity, context) => {
    if (!consent) await known();
    if (!mayLink(consent)) return { sent: false, reason: 'consent' };
    const person = hashPerson(identity, options);
    if (person.ignored.length) log('ignored', person.ignored);
    if (!Object.keys(person.identifiers)[0]) return { sent: false, reason: 'no_identifiers' };
    return send('identity_link', uid.get(), {
      ...person,
      trigger: context?.trigger,
      claim: context?.claim,
    });
  };

  /** @returns {Promise<Outcome>} */
  const page = async () => {
    if (!consent) await known();
    if (!mayStore(consent)) return { sent: false, reason: 'consent' };
    return send('page_view', uid.get());
  };

  const reset = () => {
    session.forget();
    if (mayStore(consent)) emit('reset', uid.renew());
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

  win.addEventListener('pagehide', delivery.leave);
  win.addEventListener('online', delivery.flush);
  followConsent(win, options.consent, (stated, explicit) => attempt(() => decide(stated, explicit)));
  if (options.pageViews) page();

  return {
    link,
    page,
    reset,
    on,
    consent: (/** @type {unknown} */ stated) => decide(stated, true),
    uid: () => (mayStore(consent) ? uid.get() : null),
  };
};

/**
 * Wrap a method so that the page never sees an exception or a rejection.
 * @param {(...args: any[]) => any} method
 * @returns {(...args: any[]) => any}
 */
const harmless =
  (method) =>
  (...args) => {
    const result = attempt(() => method(...args));
    return result?.catch ? result.catch(() => ({ sent: false, reason: 'error' })) : result;
  };

/**
 * Start a sensor on a page.
 * @param {Options} options
 * @param {Window & typeof globalThis} win
 */
export const startSensor = (options, win) =>
  Object.fromEntries(
    Object.entries(start(options, win)).map(([name, method]) => [name, harmless(method)]),
  );
