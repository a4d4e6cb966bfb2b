// Forms that the page has marked with data-onefold: submitting one links who filled it in.

import { attempt } from './storage.js';

/** What a field holds, by a word of its autocomplete attribute or else by its type. */
/** @type {Record<string, string>} */
const FIELDS = {
  email: 'email',
  tel: 'phone',
  'given-name': 'first_name',
  'family-name': 'last_name',
};

/**
 * @param {HTMLInputElement} field
 * @returns {string | undefined} what the page says it is, or else what its kind tells
 */
const keyOf = ({ dataset, autocomplete = '', type }) =>
  dataset.onefoldField ?? [...autocomplete.split(' '), type].map((word) => FIELDS[word]).find(Boolean);

/**
 * Read a form: the first filled-in field of each kind.
 * @param {HTMLFormElement} form
 */
const read = (form) => {
  /** @type {Record<string, string>} */
  const identity = {};
  for (const field of /** @type {Iterable<any>} */ (form.elements)) {
    const key = keyOf(field);
    if (key) identity[key] ||= field.value;
  }
  return identity;
};

/**
 * Listen once, on the document and before anybody else: forms may come later, and a page may stop the event. What
 * the form does is left alone. `:invalid` asks what checkValidity() asks, without its events.
 * @param {Document} document
 * @param {(identity: object, context: {trigger: string}) => unknown} link
 */
export const followForms = (document, link) =>
  document.addEventListener(
    'submit',
    (event) =>
      attempt(() => {
        const form = /** @type {HTMLFormElement} */ (event.target);
        const trigger = form.dataset.onefold;
        const unchecked = form.noValidate || /** @type {any} */ (event.submitter)?.formNoValidate;
        if (trigger !== undefined && (unchecked || !form.matches(':invalid')))
          link(read(form), { trigger: trigger || 'form' });
      }),
    true,
  );
