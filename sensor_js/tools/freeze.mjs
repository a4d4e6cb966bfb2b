// Releases the script, and the file that it loads on pages with partners, as a version that never changes again:  npm run freeze -- 1
// Run from npm, which has made sure that dist/ is what the sources give. Run the build again afterwards.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL('../' + name, import.meta.url));
const manifest = JSON.parse(readFileSync(path('package.json'), 'utf8'));
const next = Object.keys(manifest.frozen).filter((name) => /^onefold\.v/.test(name)).length + 1;

if (process.argv[2] !== String(next)) {
  console.error(`Say which version is meant: the next one is ${next}. Versions below it were released and stay.`);
  process.exit(2);
}

/** From now on the build leaves this file alone, and the endpoint calls it immutable. */
const release = (name, script, limits) => {
  writeFileSync(path('dist/' + name), script);
  manifest.frozen[name] = 'sha384-' + createHash('sha384').update(script).digest('base64');
  manifest.sizeLimits[name] = manifest.sizeLimits[limits];
  manifest.exports['./' + name] = './dist/' + name;
  console.log(`dist/${name} is released: ${manifest.frozen[name]}`);
};

const links = `onefold.links.v${next}.mjs`;
release(`onefold.v${next}.js`, readFileSync(path('dist/onefold.js')), 'onefold.js');
release(links, readFileSync(path('dist/' + links)), links);
manifest.sizeLimits[`onefold.links.v${next + 1}.mjs`] = manifest.sizeLimits[links];
writeFileSync(path('package.json'), JSON.stringify(manifest, null, 2) + '\n');
