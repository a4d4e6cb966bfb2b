// The template for Google Tag Manager: its parts, and what its code does when a tag fires.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (name) => readFileSync(new URL('../' + name, import.meta.url), 'utf8');

/** The parts of the template by their names. */
const parts = Object.fromEntries(
  read('gtm/template.tpl')
    .split(/^___(\w+)___$/m)
    .slice(1)
    .map((text, i, all) => [text, all[i + 1]])
    .filter((_, i) => i % 2 === 0),
);
const fields = JSON.parse(parts.TEMPLATE_PARAMETERS);
const permissions = JSON.parse(parts.WEB_PERMISSIONS).map(({ instance }) => instance);
const permitted = (id) => permissions.find(({ key }) => key.publicId === id).param[0].value.listItem;

/** What the types say that a sensor can be told. */
const options = read('src/onefold.d.ts').match(/interface Options \{([^]*?)^\}/m)[1];
const names = [...options.matchAll(/^  (\w+)\?:/gm)].map(([, name]) => name);

/** Let the tag fire with these values, and return what it asks of the tag manager. */
const fire = (data) => {
  const asked = {};
  const offered = {
    createArgumentsQueue: (...words) => void (asked.queue = words),
    encodeUriComponent: encodeURIComponent,
    injectScript: (...words) => void (asked.script = words),
  };
  const outcomes = { gtmOnSuccess: () => {}, gtmOnFailure: () => {} };
  new Function('require', 'data', parts.SANDBOXED_JS_FOR_WEB_TEMPLATE)((name) => offered[name], { ...data, ...outcomes });
  return asked;
};

test('the template says what it is and where it may run', () => {
  const { type, containerContexts } = JSON.parse(parts.INFO);
  assert.deepEqual([type, containerContexts], ['TAG', ['WEB']]);
});

test('every field is something that the sensor can be told', () => {
  assert.deepEqual(fields.map(({ name }) => name).filter((name) => !names.includes(name)), []);
});

test('the guide tells for every field which attribute it stands for', () => {
  const guide = readFileSync(new URL('../../docs/how-to/google-tag-manager.md', import.meta.url), 'utf8');
  const told = [...guide.matchAll(/^ *\| (.+) \| `(data-[a-z-]+)` \|$/gm)].map(([, label, attribute]) => [label, attribute]);
  const attribute = (name) => 'data-' + name.replace(/[A-Z]/g, (letter) => '-' + letter.toLowerCase());
  const meant = fields
    .filter(({ name }) => name !== 'endpoint')
    .map(({ name, displayName, checkboxText }) => [(displayName ?? checkboxText).replace(/ \(.*/, ''), attribute(name)]);
  assert.deepEqual(told, meant);
});

test('the sources of consent to choose from are those that the sensor has', () => {
  const choices = fields.find(({ name }) => name === 'consent').selectItems.map(({ value }) => value);
  assert.deepEqual(choices.sort(), [...options.matchAll(/'([a-z-]+)'(?= \||;)/g)].map(([, name]) => name).sort());
});

test('an endpoint is an origin on https', () => {
  const [{ args }] = fields.find(({ name }) => name === 'endpoint').valueValidators;
  const valid = new RegExp(args[0]);
  for (const good of ['https://id.example.com', 'https://id.example.com:8443']) assert.match(good, valid);
  for (const bad of ['', 'id.example.com', 'http://id.example.com', 'https://id.example.com/']) assert.doesNotMatch(bad, valid);
});

test('a tag loads the script with what was filled in, and nothing else', () => {
  const endpoint = 'https://id.example.com';
  const filled = { endpoint, consent: 'tcf', region: 'NL', pageViews: true, matchKeys: true, debug: true };
  const cases = [
    [{ endpoint, consent: 'consent-mode' }, '?consent=consent-mode'],
    [{ endpoint, consent: 'manual', region: '', pageViews: false }, '?consent=manual'],
    [filled, '?consent=tcf&region=NL&pageViews&matchKeys&debug'],
    [{ endpoint, consent: 'none', region: 'N&debug' }, '?consent=none&region=N%26debug'],
  ];
  for (const [data, query] of cases) assert.equal(fire(data).script[0], endpoint + '/onefold.js' + query);
  assert.deepEqual(Object.keys(filled).sort(), fields.map(({ name }) => name).sort(), 'every field is used');
});

test('what the code asks for is what its permissions allow', () => {
  const { queue, script } = fire({ endpoint: 'https://id.example.com', consent: 'none' });
  assert.deepEqual(queue, ['onefold', 'onefold.q']);
  assert.deepEqual(permitted('access_globals').map(({ mapValue }) => mapValue[0].string), queue);
  const [{ string: pattern }] = permitted('inject_script');
  assert.match(script[0], new RegExp('^' + pattern.replace(/[.?]/g, '\\$&').replaceAll('*', '.*') + '$'));
});
