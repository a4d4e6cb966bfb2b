// Builds dist/, or with --check fails when the committed dist/ is not what a build makes, or too big.
//   node tools/build.mjs [--check]
//   node tools/build.mjs --regions=NL,BE,DE --out=FOLDER    a sensor that knows these numbering plans only
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { minify } from 'terser';
import { limitPlans } from './limit-plans.mjs';

const root = new URL('..', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));
const { sizeLimits, frozen } = JSON.parse(readFileSync(path('package.json'), 'utf8'));
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.split('=')[1];

/** The version that comes next, and the file that pages with partners load besides: scripts of one version name one. */
const next = Object.keys(frozen).filter((name) => /^onefold\.v/.test(name)).length + 1;
const links = `onefold.links.v${next}.mjs`;

/** Names that only our own modules use: they need not cost bytes. */
const INTERNAL =
  /^(after|clear|dial|enqueue|flush|forget|idd|ignored|keep|leave|local|look|mint|partner|pattern|peek|plan|prefix|purge|read|remove|renew|response|rest|send|soon|take|transform|until|wake)$/;

/** What the lite build puts in the place of a module. */
const LITE = {
  './phone.js': 'phone.js',
  './tcf.js': 'absent.js',
  './forms.js': 'absent.js',
  './pages.js': 'absent.js',
  './match-keys.js': 'absent.js',
  './landing.js': 'absent.js',
  './partners.js': 'absent.js',
};
const lite = {
  name: 'lite',
  setup: (esbuild) =>
    esbuild.onResolve({ filter: /^\.\// }, ({ path: name }) => LITE[name] && { path: path('src/lite/' + LITE[name]) }),
};

/** The table of numbering plans with the wanted regions only. */
const limited = (regions) => ({
  name: 'regions',
  setup: (esbuild) =>
    esbuild.onLoad({ filter: /phone-table\.js$/ }, ({ path: name }) => ({
      contents: readFileSync(name, 'utf8').replace(/'(.*?)'/, (_, table) => `'${limitPlans(table.split('='), regions).join('=')}'`),
    })),
});

/** First this module and what it imports, the table before all: so gzip finds what is alike at shorter distances. */
const FIRST = ['src/person.js'];

/** terser finds a little more to save than esbuild. */
const shorten = async (text) => {
  const { code } = await minify(text, {
    ecma: 2020,
    module: true,
    compress: { passes: 6, pure_getters: true, lhs_constants: false, keep_fargs: false, inline: 1 },
    format: { comments: false, ascii_only: true },
  });
  return code;
};

/** esbuild puts the modules together. */
const together = async (entry, inject, ...plugins) => {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2021',
    mangleProps: INTERNAL,
    define: { LINKS_FILE: JSON.stringify(links) },
    inject,
    legalComments: 'none',
    write: false,
    plugins,
  });
  return outputFiles[0].text;
};

const bundle = async (...given) => (await shorten(await together(...given))) + '\n';

/** Leaves the sensor out: the script has it elsewhere. */
const apart = {
  name: 'apart',
  setup: (esbuild) => esbuild.onResolve({ filter: /\/apart\.js$/ }, ({ path: name }) => ({ path: name, external: true })),
};

/**
 * The script, which leaves no names behind. The sensor stands apart from the function that puts it into the page, and
 * first, as FIRST says: so engines only look for its end, and read it when it starts. Inside a function they would read
 * every arrow function of it at once, and again when it is called.
 */
const script = async (...plugins) => {
  const sensor = (await together('src/tag.js', FIRST, ...plugins)).trim();
  const front = await together('src/auto.js', [], apart, ...plugins);
  const [statement, name] = /import\{readSensor as ([\w$]+)\}from"[^"]+";/.exec(front);
  const body = sensor.replace(/export\{([\w$]+) as startTag\};$/, 'return $1');
  const whole = `[()=>{${body}}].map(EAGER(${name}=>{${front.replace(statement, '')}}))`;
  return (await shorten(whole)).replaceAll('EAGER(', '(') + '\n';
};

const measure = (text) => ({
  raw: Buffer.byteLength(text),
  // By gzip itself: it has counted alike for decades, while each release of Node brings a zlib of its own.
  gz: execFileSync('gzip', ['-9nc'], { input: text }).length,
  sri: 'sha384-' + createHash('sha384').update(text).digest('base64'),
});

const committed = (target) => {
  try {
    return readFileSync(target, 'utf8');
  } catch {
    return null;
  }
};

const regions = option('regions')?.split(',');
const plugins = regions ? [limited(regions)] : [];
const files = {
  'onefold.js': await script(...plugins),
  'onefold.mjs': await bundle('src/index.js', FIRST, ...plugins),
  [links]: await bundle('src/crossing.js', []),
};
if (!regions) {
  files['onefold.lite.js'] = await script(lite);
  files['onefold.v1.js'] = files['onefold.js'];
  // A version that was released never changes again; package.json knows its hash.
  for (const name in frozen) files[name] = committed(path('dist/' + name)) ?? '';
}

/** The endpoint reads here which files it may call immutable. */
const released = (name) => (name in frozen ? { frozen: true } : {});
const sizes = Object.fromEntries(
  Object.entries(files).map(([name, text]) => [name, { ...measure(text), ...released(name) }]),
);
const problems = Object.entries(sizeLimits)
  .filter(([name, limit]) => sizes[name]?.gz > limit)
  .map(([name, limit]) => `${name} has ${sizes[name].gz} bytes (gzip); the limit is ${limit}`);
for (const [name, sri] of Object.entries(frozen))
  if (!regions && sizes[name].sri !== sri) problems.push(`dist/${name} was released and must not change`);

files['onefold.d.ts'] = readFileSync(path('src/onefold.d.ts'), 'utf8');
files['sizes.json'] = JSON.stringify(sizes, null, 2) + '\n';
const folder = option('out') ? option('out') + '/' : path('dist/');
if (regions && !option('out')) problems.push('--regions needs --out=FOLDER: dist/ knows every plan');
else {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    if (!process.argv.includes('--check')) writeFileSync(folder + name, text);
    else if (committed(folder + name) !== text) problems.push(`dist/${name} is stale: run npm run build`);
  }
}

for (const [name, { raw, gz }] of Object.entries(sizes)) console.log(`${name}: ${raw} raw, ${gz} gzip`);
problems.forEach((problem) => console.error(problem));
process.exitCode = problems.length ? 1 : 0;
