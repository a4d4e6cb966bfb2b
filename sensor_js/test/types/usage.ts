// What a program may and may not write; checked by the compiler, never run.
import { createSensor, hash, normalize, type Outcome, type Tier } from '@onefold/sensor';

const sensor = createSensor({ endpoint: 'https://id.example.com', region: 'NL', consent: 'manual' });

export const outcome: Promise<Outcome> = sensor.link(
  { email: 'a@b.c', phone: null, customer_id: 7 },
  { trigger: 'login' },
);
export const reason: Promise<string> = outcome.then((o) => (o.sent ? 'sent' : o.reason));
export const normalized: string | null = normalize('phone', '06-12345678', { region: 'NL' });
export const digest: Promise<string | null> = hash('email', undefined, { salt: 'pepper' });
export const uid: string | null = sensor.uid();

sensor.consent('T1');
sensor.consent({ ad_user_data: 'denied' });
const stop: () => void = sensor.on('consent', ({ tier }) => {
  const known: Tier = tier;
  return known;
});
stop();
sensor.on('decorate', ({ target, decorated, reason }) => [target, decorated, reason]);
sensor.on('redeem', ({ linked, referrer }) => [linked, referrer]);
export const decorated: Promise<string> = sensor.decorate('https://brand-b.example/');
createSensor({ domains: ['brand-b.example'] });
createSensor({ domains: 'brand-b.example,blog.example' });

// @ts-expect-error an unknown key would be ignored
sensor.link({ mail: 'a@b.c' });
// @ts-expect-error no such tier
sensor.consent('T5');
// @ts-expect-error a signal is granted or denied
sensor.consent({ ad_storage: true });
// @ts-expect-error no such type of value
normalize('address', 'x');
// @ts-expect-error no such event
sensor.on('click', () => {});
// @ts-expect-error no such source of consent
createSensor({ consent: 'guess' });
