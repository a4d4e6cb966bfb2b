// Each module by itself: no browser, no network.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { candidateDomains } from '../src/cookie.js';
import { hash } from '../src/hash.js';
import { createSensor, normalize } from '../src/index.js';
import { takeToken, withoutToken } from '../src/landing.js';
import { withToken } from '../src/links.js';
import { hashPerson } from '../src/person.js';
import { e164 as liteE164 } from '../src/lite/phone.js';
import { matchKeys } from '../src/match-keys.js';
import { e164 } from '../src/phone.js';
import { PLANS } from '../src/phone-table.js';
import { createQueue } from '../src/queue.js';
import { createSession } from '../src/session.js';
import { sha256 } from '../src/sha256.js';
import { createStore } from '../src/storage.js';
import { createUid } from '../src/uid.js';
import { clickIds, pageUrl } from '../src/url.js';
import { eventId, uuid } from '../src/uuid.js';
import { VERSION } from '../src/version.js';
import { limitPlans } from '../tools/limit-plans.mjs';

const node = (text) => createHash('sha256').update(text).digest('hex');

/** A web storage in memory. */
const storage = () => {
  const items = new Map();
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, String(value)),
    removeItem: (key) => void items.delete(key),
  };
};

/** Run with the clock at a time. */
const at = (t, ms) => {
  t.mock.timers.reset();
  t.mock.timers.enable({ apis: ['Date'], now: ms });
};

test('sha256 agrees with Node on every length around the block borders', () => {
  for (let length = 0; length < 260; length++) {
    const text = 'é'.repeat(length % 3) + 'x'.repeat(length);
    assert.equal(sha256(text), node(text), `length ${length}`);
  }
});

test('sha256 reads text as UTF-8, beyond the basic plane too', () => {
  for (const text of ['', 'abc', '日本', '😀'.repeat(40), '\u0000', '\uffff']) {
    assert.equal(sha256(text), node(text));
  }
});

test('a salt stands before the normalised value', async () => {
  const options = { salt: 'pepper', region: 'NL' };
  assert.equal(await hash('phone', '06-12345678', options), node('pepper+31612345678'));
});

test('what is no text of a known type is refused', async () => {
  for (const value of [null, undefined, 7, {}, ['a@b.c'], '']) {
    assert.equal(normalize('email', value), null);
    assert.equal(await hash('email', value), null);
  }
  for (const type of ['address', 'toString', '__proto__', undefined]) {
    assert.equal(normalize(type, 'x'), null);
  }
});

/** The regions that a table of numbering plans knows. */
const regionsOf = ([heads]) => heads.match(/[a-z]{2}/g);

test('every plan of the table can be used', () => {
  const regions = regionsOf(PLANS);
  assert.equal(regions.length, 245);
  for (const region of regions) assert.equal(e164('+31612345678', region), '+31612345678');
});

test('a table of some regions is exact for them, and refuses the numbers of all others', () => {
  const table = limitPlans(PLANS, ['NL', 'CA']);
  assert.deepEqual(regionsOf(table), ['us', 'ca', 'nl']); // the main plan of +1 says what is possible there
  const codes = PLANS[0].match(/\D\D(?!0)/g);
  assert.equal(table.length, 1 + codes.length + 1);
  assert.throws(() => limitPlans(PLANS, ['XX']), /no numbering plan of XX/);
});

/** Build a sensor that knows some regions only: its module, and its sizes. */
const buildFor = async (regions) => {
  const folder = mkdtempSync(join(tmpdir(), 'onefold-'));
  const build = fileURLToPath(new URL('../tools/build.mjs', import.meta.url));
  execFileSync(process.execPath, [build, `--regions=${regions}`, `--out=${folder}`]);
  const sizes = JSON.parse(readFileSync(join(folder, 'sizes.json'), 'utf8'));
  const built = await import(pathToFileURL(join(folder, 'onefold.mjs')));
  rmSync(folder, { recursive: true });
  return { sizes, phone: (number, region) => built.normalize('phone', number, { region }) };
};

test('a build of some regions takes their numbers, written nationally or with a plus, and no others', async () => {
  const { phone } = await buildFor('NL,CA');
  const cases = [
    ['06-12345678', 'NL', '+31612345678'],
    ['+31 6 12345678', undefined, '+31612345678'],
    ['00 1 506 234 5678', 'NL', '+15062345678'],
    ['+1 506 234 5678', 'NL', '+15062345678'],
    ['+49 30 1234567', 'NL', null],
    ['0049 30 1234567', 'NL', null],
    ['030 1234567', 'DE', null],
    ['011 31 612345678', 'US', '+31612345678'], // Canada's calls go through the plan of +1
  ];
  for (const [number, region, expected] of cases) assert.equal(phone(number, region), expected, number);
});

test('a build of some regions hashes nothing otherwise than the full one, and has the documented size', async () => {
  const guide = readFileSync(new URL('../../docs/how-to/self-host-the-script.md', import.meta.url), 'utf8');
  const rows = [...guide.matchAll(/^\| `([A-Z,]+)` \| ([\d,]+) \|$/gm)];
  assert.equal(rows.length, 2);
  const { vectors } = JSON.parse(readFileSync(new URL('../../tests/vectors/phone.json', import.meta.url), 'utf8'));
  for (const [, regions, documented] of rows) {
    const { sizes, phone } = await buildFor(regions);
    const bytes = Number(documented.replace(',', ''));
    assert.ok(Math.abs(sizes['onefold.js'].gz / bytes - 1) < 0.05, `${regions}: ${sizes['onefold.js'].gz} bytes`);
    let taken = 0;
    for (const { input, region, normalized } of vectors) {
      const found = phone(input, region);
      if (found !== null) assert.equal(found, normalized, input);
      taken += found !== null;
    }
    assert.ok(taken > 0);
  }
});

test('the lite build takes a number with a plus as it stands, or refuses it', () => {
  const cases = [
    ['+31 6-1234.5678', '+31612345678'],
    ['(+31) 612345678', null],
    ['+31 (0)6 12345678', null],
    ['0612345678', null],
    ['+0612345678', null],
    ['+1234567', null],
    ['', null],
  ];
  for (const [text, expected] of cases) assert.equal(liteE164(text), expected, text);
});

test('a region is two ASCII letters, or none', () => {
  for (const region of ['', 'N', 'NLD', '001', '\ufb01', '31']) {
    assert.equal(e164('06-12345678', region), null, region);
  }
});

const DOMAINS = [
  ['the widest first', 'a.b.example.co.uk', ['co.uk', 'example.co.uk', 'b.example.co.uk', 'a.b.example.co.uk']],
  ['two labels', 'example.com', ['example.com']],
  ['a single label has none', 'localhost', []],
  ['an IPv4 address has none', '192.168.0.1', []],
  ['an IPv6 address has none', '[::1]', []],
];
for (const [claim, host, domains] of DOMAINS) {
  test(`domains of a cookie: ${claim}`, () => assert.deepEqual(candidateDomains(host), domains));
}

const ADDRESSES = [
  ['fragment and token go', '/a/b?_uiaf_token=t&x=1#y', true, '/a/b?x=1'],
  ['an address without parameters has no question mark', '/a?_uiaf_token=t', true, '/a'],
  ['an encoded token name is a token', '/?%5Fuiaf%5Ftoken=t', true, '/'],
  ['what is kept keeps its spelling', '/?q=a+b%20c&e', true, '/?q=a+b%20c&e'],
  ['an email address in a parameter goes', '/?m=a%40b.c&n=1', true, '/?n=1'],
  ['an email address in the path is masked', '/u/jane%40b.example/x', true, '/u/-/x'],
  ['a handle in the path stays', '/@jane/post', true, '/@jane/post'],
  ['a click id stays where advertising is allowed', '/?gclid=1', true, '/?gclid=1'],
  ['a click id goes where advertising is not allowed', '/?gclid=1&x=2', false, '/?x=2'],
];
for (const [claim, path, advertise, told] of ADDRESSES) {
  test(`page_url: ${claim}`, () => {
    assert.equal(pageUrl(new URL(path, 'https://shop.example'), advertise), 'https://shop.example' + told);
  });
}

const TOKENS = [
  ['goes before the fragment', 'https://b.example/#part', 'https://b.example/?_uiaf_token=t#part'],
  ['follows the query as it is', '/?a=%20+&b', '/?a=%20+&b&_uiaf_token=t'],
  ['is alone after a bare question mark', '/?#a?b', '/?_uiaf_token=t#a?b'],
  ['replaces an older one', '/?_uiaf_token=old&a=1&_uiaf_token=older#x', '/?a=1&_uiaf_token=t#x'],
  ['finds an address without path', ' //b.example ', '//b.example?_uiaf_token=t'],
];
for (const [claim, address, decorated] of TOKENS) {
  test(`a token in an address ${claim}`, () => {
    assert.equal(withToken(address, 't'), decorated);
    assert.equal(withToken(decorated, 't'), decorated);
  });
}

test('a page without a token keeps its address, whatever it looks like', () => {
  for (const address of ['/?', '/?&&a#', '/#?a', '/?my_uiaf_token=1&_uiaf_tokens=2', '/_uiaf_token=1']) {
    assert.equal(withoutToken(address), address);
  }
});

test('the last token of an address is taken, or else the one that the snippet has taken before', () => {
  const replaced = [];
  const history = { state: 7, replaceState: (...args) => replaced.push(args) };
  const page = (href) => ({ history, location: { href }, _uiaf_token: 'kept' });
  assert.equal(takeToken(page('https://b.example/?_uiaf_token=s&a=1#/r?_uiaf_token=t')), 't');
  assert.deepEqual(replaced, [[7, '', 'https://b.example/?a=1#/r']]);
  assert.equal(takeToken(page('https://b.example/?a=1')), 'kept');
  assert.equal(replaced.length, 1);
});

test('click ids are raw: parameters first, then cookies', () => {
  const location = new URL('https://shop.example/?gclid=A%2Bb%3D&ScCid=&x=1');
  const cookies = { _fbp: 'fb.1', gclid: 'old', other: 'x' };
  assert.deepEqual(clickIds(location, (name) => cookies[name]), { gclid: 'A+b=', _fbp: 'fb.1' });
});

test('a UUID is of version 4 and never the same', () => {
  const form = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
  const made = Array.from({ length: 500 }, () => uuid(webcrypto));
  for (const one of made) assert.match(one, form);
  assert.equal(new Set(made).size, made.length);
});

test('an id of an event is of version 7: it begins with the time, so that later ones sort after it', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0x17f22e279b0 });
  const form = /^017f22e2-79b0-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
  const made = Array.from({ length: 500 }, () => eventId(uuid(webcrypto)));
  for (const one of made) assert.match(one, form);
  assert.equal(new Set(made).size, made.length);
  t.mock.timers.tick(1);
  assert.ok(eventId(uuid(webcrypto)) > made.sort()[made.length - 1]);
});

test('a person keeps hashes and the names of what was ignored, not its values', () => {
  const given = { email: 'a@b.c', phone: 'secret', customer_id: 17, first_name: ' Jo ', nick: 'secret' };
  assert.deepEqual(hashPerson(given, {}), {
    identifiers: { email_hash: node('a@b.c'), customer_id: '17' },
    attributes: { first_name_hash: node('jo') },
    ignored: ['phone', 'nick'],
  });
});

test('match keys leave out what was refused', () => {
  assert.deepEqual(matchKeys({ email: 'nobody', phone: '06' }, 'NL'), {});
  assert.deepEqual(matchKeys({ email: 'a.b+c@gmail.com' }), { google_email_hash: node('ab@gmail.com') });
});

test('a key that every object has is an unknown key', () => {
  assert.deepEqual(hashPerson({ constructor: 'x', toString: 'y' }, {}).identifiers, {});
});

test('a blank customer id is ignored', () => {
  for (const customer_id of ['', ' \u3000', null, undefined, {}, true]) {
    assert.deepEqual(hashPerson({ customer_id }, {}).ignored, ['customer_id']);
  }
});

test('a storage that throws is replaced by memory', () => {
  const store = createStore(() => {
    throw new Error('blocked');
  });
  store.set('a', '1');
  assert.equal(store.get('a'), '1');
  store.set('a', null);
  assert.equal(store.get('a'), undefined);
});

test('a session ends after 30 minutes without an event, not before', (t) => {
  let made = 0;
  const local = storage();
  const session = createSession(createStore(() => local), () => `id${++made}`);
  const minute = 60_000;
  at(t, 1e12);
  const first = session.get();
  at(t, 1e12 + 29 * minute);
  assert.equal(session.get(), first);
  at(t, 1e12 + 58 * minute);
  assert.equal(session.get(), first);
  at(t, 1e12 + 88 * minute);
  assert.notEqual(session.get(), first);
  session.forget();
  assert.equal(local.items.size, 0);
});

const fakeCookies = (jar = {}) => ({
  jar,
  get: (name) => jar[name],
  set: (name, value) => void (jar[name] = value),
  remove: (name) => void delete jar[name],
});
const SAMPLE = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600'; // UIAF's own, of version 1

test('a uid is read from the cookie first, and mirrored', () => {
  const cookies = fakeCookies({ uiaf_uid: SAMPLE });
  const local = storage();
  const uid = createUid(cookies, createStore(() => local), () => 'never');
  assert.equal(uid.get(), SAMPLE);
  assert.equal(local.items.get('uiaf_uid'), SAMPLE);
});

test('a lost cookie comes back from localStorage', () => {
  const cookies = fakeCookies();
  const local = storage();
  local.setItem('uiaf_uid', SAMPLE);
  assert.equal(createUid(cookies, createStore(() => local), () => 'never').get(), SAMPLE);
  assert.equal(cookies.jar.uiaf_uid, SAMPLE);
});

test('something else under the name of the uid is not taken for one', (t) => {
  at(t, 1647291600999);
  const cookies = fakeCookies({ uiaf_uid: '<script>' });
  assert.equal(createUid(cookies, createStore(storage), () => 'new').get(), 'new.1647291600');
});

test('peeking at a uid makes none', () => {
  const cookies = fakeCookies();
  const local = storage();
  assert.equal(createUid(cookies, createStore(() => local), () => 'new').peek(), undefined);
  assert.deepEqual([cookies.jar, local.items.size], [{}, 0]);
});

const event = (event_id, ts) => ({ event_id, _meta: { ts } });

test('a queue forgets what is older than a day, and keeps one copy of an event', (t) => {
  at(t, 1e12);
  const local = storage();
  const queue = createQueue(createStore(() => local));
  queue.enqueue(event('old', 1e12 - 86_400_001));
  queue.enqueue(event('a', 1e12));
  queue.enqueue(event('a', 1e12));
  queue.enqueue(event('b', 1e12));
  assert.deepEqual(queue.read().map((one) => one.event_id), ['a', 'b']);
  queue.remove(event('a'));
  queue.remove(event('b'));
  assert.equal(local.items.size, 0);
});

test('a queue holds fifty events, the newest', () => {
  const local = storage();
  const queue = createQueue(createStore(() => local));
  for (let i = 0; i < 60; i++) queue.enqueue(event(i, Date.now()));
  assert.deepEqual(queue.read().map((one) => one.event_id), Array.from({ length: 50 }, (_, i) => i + 10));
});
test('a queue that somebody spoilt is empty', () => {
  const local = storage();
  const queue = createQueue(createStore(() => local));
  for (const spoilt of ['{', '7', 'null', '[null]', '{"a":1}']) {
    local.setItem('uiaf_queue', spoilt);
    assert.deepEqual(queue.read(), []);
  }
});

test('without a window the sensor is there and does nothing', async () => {
  const sensor = createSensor({ endpoint: 'https://id.example.com' });
  assert.deepEqual(await sensor.link({ email: 'a@b.c' }), { sent: false, reason: 'no_window' });
  assert.deepEqual(await sensor.page(), { sent: false, reason: 'no_window' });
  assert.equal(await sensor.decorate('https://b.example/'), 'https://b.example/');
  sensor.on('sent', () => {})();
  sensor.consent('T1');
  sensor.reset();
  assert.equal(sensor.uid(), null);
});

test('the version is the one of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.equal(VERSION, version);
});

test('the snippet that pages paste is at most 300 bytes', () => {
  const stub = readFileSync(new URL('../src/stub.html', import.meta.url));
  assert.ok(stub.length <= 300, `${stub.length} bytes`);
});
