// Builds dist/, or with --check fails when the committed dist/ is not what a build makes, or too big.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const root = new URL('..', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));
const { sizeLimits } = JSON.parse(readFileSync(path('package.json'), 'utf8'));

/** Names that only our own modules use: they need not cost bytes. */
const INTERNAL =
  /^(again|flush|forget|idd|ignored|leave|local|pattern|peek|plan|prefix|purge|renew|rest|transform)$/;

const bundle = (entry, format) =>
  buildSync({
    absWorkingDir: fileURLToPath(root),
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format,
    target: 'es2021',
    mangleProps: INTERNAL,
    legalComments: 'eof',
    write: false,
  }).outputFiles[0].text;

const files = {
  'onefold.js': bundle('src/auto.js', 'iife'),
  'onefold.mjs': bundle('src/index.js', 'esm'),
  'onefold.d.ts': readFileSync(path('src/onefold.d.ts'), 'utf8'),
};

const measure = (text) => ({
  raw: Buffer.byteLength(text),
  gz: gzipSync(text, { level: 9 }).length,
  sri: 'sha384-' + createHash('sha384').update(text).digest('base64'),
});

const sizes = Object.fromEntries(
  Object.entries(files)
    .filter(([name]) => !name.endsWith('.d.ts'))
    .map(([name, text]) => [name, measure(text)]),
);
files['sizes.json'] = JSON.stringify(sizes, null, 2) + '\n';

const problems = Object.entries(sizeLimits)
  .filter(([name, limit]) => sizes[name].gz > limit)
  .map(([name, limit]) => `${name} has ${sizes[name].gz} bytes (gzip); the limit is ${limit}`);

for (const [name, text] of Object.entries(files)) {
  const target = path('dist/' + name);
  if (!process.argv.includes('--check')) writeFileSync(target, text);
  else if (committed(target) !== text) problems.push(`dist/${name} is stale: run npm run build`);
}

function committed(target) {
  try {
    return readFileSync(target, 'utf8');
  } catch {
    return null;
  }
}

for (const [name, { raw, gz }] of Object.entries(sizes)) console.log(`${name}: ${raw} raw, ${gz} gzip`);
problems.forEach((problem) => console.error(problem));
process.exitCode = problems.length ? 1 : 0;
