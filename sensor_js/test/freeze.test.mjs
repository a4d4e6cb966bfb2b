// Releasing a version, tried on a copy of this folder.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('..', import.meta.url));

/** A copy with nothing released yet, to try things on: read and write its files, run its scripts. */
const copy = (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'onefold-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['dist', 'src', 'tools', 'package.json']) cpSync(here + name, join(folder, name), { recursive: true });
  symlinkSync(here + 'node_modules', join(folder, 'node_modules'));
  const read = (name) => readFileSync(join(folder, name), 'utf8');
  const write = (name, text) => writeFileSync(join(folder, name), text);
  const run = (...words) => spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' });
  write('package.json', JSON.stringify({ ...JSON.parse(read('package.json')), frozen: {} }));
  assert.equal(run('tools/build.mjs').status, 0);
  return { read, write, run };
};

test('a released version stays as it is when the sources change, and may not be touched', (t) => {
  const { read, write, run } = copy(t);
  assert.equal(run('tools/freeze.mjs', '1').status, 0);
  const released = read('dist/onefold.v1.js');
  assert.equal(released, read('dist/onefold.js'));

  write('src/version.js', "export const VERSION = '9.9.9';\n");
  assert.equal(run('tools/build.mjs').status, 0);
  assert.match(read('dist/onefold.js'), /9\.9\.9/);
  assert.equal(read('dist/onefold.v1.js'), released);
  const sizes = JSON.parse(read('dist/sizes.json'));
  for (const name of ['onefold.v1.js', 'onefold.links.v1.mjs']) assert.equal(sizes[name].frozen, true);

  // Pages that pin version 1 load the file that belongs to it; the next version has one of its own.
  assert.match(released, /onefold\.links\.v1\.mjs/);
  assert.match(read('dist/onefold.js'), /onefold\.links\.v2\.mjs/);
  assert.notEqual(read('dist/onefold.links.v2.mjs'), '');

  write('dist/onefold.v1.js', released + '\n');
  const checked = run('tools/build.mjs', '--check');
  assert.equal(checked.status, 1);
  assert.match(checked.stderr, /onefold\.v1\.js was released and must not change/);
});

test('only the next version can be released', (t) => {
  const { run } = copy(t);
  for (const wrong of ['0', '2', 'v1', undefined].map((word) => (word ? [word] : [])))
    assert.equal(run('tools/freeze.mjs', ...wrong).status, 2);
  assert.equal(run('tools/freeze.mjs', '1').status, 0);
  assert.equal(run('tools/freeze.mjs', '1').status, 2);
});
