/** Types of @onefold/sensor. Importing the module touches neither window nor document. */

/** What `normalize` and `hash` know. */
export type ValueType = 'email' | 'phone' | 'name';

/** T0 no consent mechanism; T1 all granted; T2 analytics only; T3 nothing granted; T4 dormant. */
export type Tier = 'T0' | 'T1' | 'T2' | 'T3' | 'T4';

/** The four signals of Google Consent Mode v2. */
export interface Signals {
  ad_storage?: 'granted' | 'denied';
  ad_user_data?: 'granted' | 'denied';
  ad_personalization?: 'granted' | 'denied';
  analytics_storage?: 'granted' | 'denied';
}

/** Raw values; they are normalised and hashed before anything leaves the page. */
export interface Identity {
  email?: string | null;
  phone?: string | null;
  /** Your own id of the customer; sent as it is. */
  customer_id?: string | number | null;
  first_name?: string | null;
  last_name?: string | null;
}

export interface LinkOptions {
  /** What made the person known: `login`, `purchase`, … */
  trigger?: string;
  /** The identity as signed by your back end, for endpoints that ask for it. */
  claim?: string;
}

/**
 * What became of an event. `reason` is `consent`, `no_identifiers`, `queued` (it will be tried again), `reset`
 * (somebody logged out while it waited for consent), `no_window`, `error`, or the endpoint's own code, such as `origin_not_allowed`.
 */
export type Outcome = { sent: true } | { sent: false; reason: string };

export interface Options {
  /** Origin of the endpoint; the page's own when left out. */
  endpoint?: string;
  /** Country (ISO 3166, two letters) of phone numbers written without country code. */
  region?: string | null;
  /**
   * Where consent comes from. Left out: `consent-mode` where a Google consent default is found, `tcf`
   * where there is a TCF platform, else `none`.
   */
  consent?: 'none' | 'manual' | 'consent-mode' | 'tcf';
  /** Put before every value before hashing; must be the same wherever hashes are to match. */
  salt?: string | null;
  /** Hosts of partners, with their subdomains: links to them carry tokens. */
  domains?: string | string[];
  /** Send a page_view now, and at each new address of a single-page application. */
  pageViews?: boolean;
  /** Link from forms marked with `data-onefold`; on unless false. */
  forms?: boolean;
  /** Add the hashes that ad platforms match on where their rules differ from ours. */
  matchKeys?: boolean;
  /** Tell the console what happens; never a raw value. */
  debug?: boolean;
  /** The window to work in; the global one when left out. */
  window?: Window & typeof globalThis;
}

/** Names that `on` knows, and what listeners get. */
export interface Events {
  /** Delivered. */
  sent: { event: object };
  /** Refused by the endpoint, or consent went away meanwhile. */
  dropped: { event: object; reason?: string };
  /** The tier changed. */
  consent: { tier: Tier; signals: Record<keyof Signals, 'granted' | 'denied' | null> };
  /** The new uid after reset(), or null while nothing may be stored. */
  reset: string | null;
  /**
   * Somebody follows a link or form to a partner. Without a token, `reason` is `consent`, or why the endpoint gave none;
   * none where there was no time.
   */
  decorate: { target: string; decorated: boolean; reason?: string };
  /** A token that this page was opened with was redeemed, or why not. */
  redeem: { linked: boolean; referrer?: string; reason?: string };
}

/** One sensor on one page. No method throws; no promise rejects. */
export interface Sensor {
  /**
   * Say who is using this browser.
   * @example
   * await sensor.link({ email: 'User@Gmail.com', customer_id: 'CUS12345' }, { trigger: 'login' });
   */
  link(identity: Identity, options?: LinkOptions): Promise<Outcome>;
  /**
   * Set consent by hand. Withdrawal empties the queue and, at T3 and T4, forgets the uid.
   * @example
   * sensor.consent('T1');
   * sensor.consent({ ad_user_data: 'denied' });
   */
  consent(stated: Tier | Signals): void;
  /**
   * Forget who was here: a new uid and session. Call it on logout.
   * @example
   * sensor.reset();
   */
  reset(): void;
  /**
   * Put a token into an address that leads to a partner, for links that a script opens. Any other address, and one for
   * which there is no token within 300 ms, comes back as it is.
   * @example
   * location.href = await sensor.decorate('https://brand-b.example/offer?size=38');
   */
  decorate(url: string): Promise<string>;
  /**
   * Send a page_view.
   * @example
   * await sensor.page();
   */
  page(): Promise<Outcome>;
  /**
   * This browser's id, or null while nothing may be stored.
   * @example
   * sensor.uid(); // 'f81d4fae-7dec-41d0-a765-00a0c91e6bf6.1647291600'
   */
  uid(): string | null;
  /**
   * Listen; the answer stops listening.
   * @example
   * const stop = sensor.on('consent', ({ tier }) => console.log(tier));
   */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
}

/**
 * Start a sensor on this page. Without a window, on a server, the sensor is there but does nothing.
 * @example
 * const sensor = createSensor({ endpoint: 'https://id.example.com', region: 'NL' });
 */
export function createSensor(options?: Options): Sensor;

/**
 * Normalise a value under the rules `uiaf-1`; null where it is refused and must not be hashed.
 * @example
 * normalize('phone', '06-12345678', { region: 'NL' }); // '+31612345678'
 */
export function normalize(
  type: ValueType,
  value: string | null | undefined,
  options?: { region?: string | null },
): string | null;

/**
 * SHA-256 of `salt + normalized` as 64 hex characters; null where the value is refused.
 * @example
 * await hash('email', 'User@Gmail.com'); // '02ee7bdc4ccf5c94808a0118eb531822f13e7e38e3810ab29ebefb2c2feb8e58'
 */
export function hash(
  type: ValueType,
  value: string | null | undefined,
  options?: { region?: string | null; salt?: string | null },
): Promise<string | null>;
