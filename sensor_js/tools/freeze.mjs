// Releases the script as a version that never changes again:  npm run freeze -- 1
// Run from npm, which has made sure that dist/ is what the sources give. Run the build again afterwards.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL('../' + name, import.meta.url));
const manifest = JSON.parse(readFileSync(path('package.json'), 'utf8'));
const next = Object.keys(manifest.frozen).length + 1;

if (process.argv[2] !== String(next)) {
  console.error(`Say which version is meant: the next one is ${next}. Versions below it were released and stay.`);
  process.exit(2);
}

const name = `onefold.v${next}.js`;
const script = readFileSync(path('dist/onefold.js'));
writeFileSync(path('dist/' + name), script);
manifest.frozen[name] = 'sha384-' + createHash('sha384').update(script).digest('base64');
manifest.sizeLimits[name] = manifest.sizeLimits['onefold.js'];
manifest.exports['./' + name] = './dist/' + name;
writeFileSync(path('package.json'), JSON.stringify(manifest, null, 2) + '\n');
console.log(`dist/${name} is released: ${manifest.frozen[name]}`);
