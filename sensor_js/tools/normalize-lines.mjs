// Reads JSON lines [type, value, region] on standard input; prints what the sensor makes of each.
import { createInterface } from 'node:readline';
import { normalize } from '../src/normalize.js';

const out = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [type, value, region] = JSON.parse(line);
  out.push(JSON.stringify(normalize(type, value, { region })));
}
process.stdout.write(out.join('\n') + '\n');
