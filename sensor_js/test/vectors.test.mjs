// The vectors that Python and JavaScript share.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { consentOf, mayAdvertise, mayLink, mayStore } from '../src/consent.js';
import { hash, normalize } from '../src/index.js';

const read = (name) =>
  JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), 'utf8')).vectors;

for (const name of ['normalize', 'unicode', 'phone']) {
  for (const { description, source, type, input, region, normalized, sha256 } of read(name)) {
    test(`${name}: ${description ?? `${JSON.stringify(input)} (${source})`}`, async () => {
      assert.equal(normalize(type, input, { region }), normalized);
      assert.equal(await hash(type, input, { region }), sha256);
    });
  }
}

for (const { description, stated, gpc, tier, may } of read('consent')) {
  test(`consent: ${description}`, () => {
    const consent = consentOf(stated, null, gpc);
    assert.equal(consent?.tier ?? null, tier);
    const rights = { store: mayStore(consent), link: mayLink(consent), click_ids: mayAdvertise(consent) };
    assert.deepEqual(Object.keys(rights).filter((right) => rights[right]), may);
  });
}

const CHANGES = [
  ['T1', { ad_user_data: 'denied' }, 'T2'],
  ['T1', { analytics_storage: 'denied' }, 'T3'],
  ['T2', { ad_user_data: 'granted' }, 'T1'],
  ['T0', { ad_user_data: 'denied' }, 'T2'],
  ['T4', { analytics_storage: 'granted' }, 'T2'],
];
for (const [before, change, after] of CHANGES) {
  test(`consent: ${before} and then ${JSON.stringify(change)} is ${after}`, () => {
    assert.equal(consentOf(change, consentOf(before, null, false), false).tier, after);
  });
}
