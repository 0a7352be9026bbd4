// Sign-in of people and staff at a real OpenID provider: claims and their changes, rotated keys and every signature, clocks that differ,
// fresh sign-in for what is sensitive, roles added and taken away, sign-out at both ends, and a provider that is not there.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Checks, binary, forms, startDev } from '../lib.mjs';
import { settings, startProvider } from './op.mjs';

const check = new Checks();
const accounts = {};
const op = await startProvider(accounts);
const dev = await startDev(['--heavy-rows', '500'], settings(op));
op.open(dev.base);

const admin = (...args) =>
  JSON.parse(execFileSync(binary(), ['admin', '--json', '--config', join(dev.data_dir, 'portward.toml'), ...args], { encoding: 'utf8' }));
const person = () => admin('person', 'list').find(({ username }) => username === seeded.username);
const seeded = dev.people.find(({ size }) => size === 'typical');
accounts.ada = { customer: person().subject, country: 'de', name: 'Ada at the provider', birthdate: '1990-05-03' };
accounts.rita = { name: 'Rita', email: 'rita@clips.example', roles: ['reviewer'] };

/** Somebody with a browser that keeps cookies by host, and a login that they type at the provider's page. */
class Surfer {
  cookies = new Map();
  typed = 0;

  constructor(login) {
    this.login = login;
  }

  async request(address, fields) {
    const url = new URL(address);
    const jar = this.cookies.get(url.host) ?? this.cookies.set(url.host, new Map()).get(url.host);
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), 'user-agent': 'Surfer/1.0' };
    if (fields) headers.origin = url.origin;
    const options = { method: fields ? 'POST' : 'GET', headers, redirect: 'manual', body: fields && new URLSearchParams(fields) };
    const response = await fetch(url, options);
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      const ends = cookie.match(/expires=([^;]+)/i)?.[1];
      if (value === '' || /max-age=0\b/i.test(cookie) || (ends && new Date(ends) < Date.now())) jar.delete(name);
      else jar.set(name, value);
    }
    const [location, refresh] = ['location', 'refresh'].map((name) => response.headers.get(name));
    return { url: url.href, status: response.status, location, refresh, text: await response.text() };
  }

  /** Follows redirects; types at the provider when asked; ends on a page of the server's, or where an app would be. */
  async go(address, { fields, abort } = {}) {
    let page = await this.request(address, fields);
    for (let step = 0; step < 30; step++) {
      const onward = page.location ?? page.refresh?.match(/url=(.*)$/)?.[1];
      if (onward) {
        const to = new URL(onward, page.url);
        if (![dev.base, op.issuer].includes(to.origin) || to.pathname === '/callback') return { ...page, url: to.href, text: '' };
        page = await this.request(to);
        continue;
      }
      if (!page.url.startsWith(op.issuer) || page.status !== 200) return page;
      const form = forms(page.text).find(({ action }) => action);
      if (abort) {
        page = await this.request(page.text.match(/href="([^"]*\/abort)"/)[1]);
        continue;
      }
      const hidden = form.fields.filter(({ type }) => type === 'hidden').map(({ name, value }) => [name, value]);
      const types = form.fields.some(({ name }) => name === 'password');
      if (types) this.typed += 1;
      const answer = types ? [...hidden, ['login', this.login], ['password', 'x']] : [...hidden, ['logout', 'yes']];
      page = await this.request(new URL(form.action, page.url), answer);
    }
    throw new Error(`more than thirty steps from ${address}`);
  }

  signIn = (next = '/connections', more = {}) => this.go(`${dev.base}/login/provider?next=${encodeURIComponent(next)}`, more);
  signInAsStaff = (more = {}) => this.go(`${dev.base}/console/login/provider?next=%2Fconsole%2Faccount`, more);
  open = (path) => this.request(dev.base + path);
}

const signedIn = async (surfer, path = '/connections') => (await surfer.open(path)).status === 200;
const redirectUri = dev.redirect_uris.at(-1);
const authorize = (scope) =>
  `${dev.base}/v2/auth/authorize/?${new URLSearchParams({ client_key: dev.client_key, response_type: 'code', scope, redirect_uri: redirectUri, state: 's' })}`;

const steps = {
  async 'sign-in and claims'() {
    const ada = new Surfer('ada');
    const entrance = await ada.go(authorize('user.info.basic,user.info.profile'));
    check.ok(entrance.text.includes('Sign in with <bdi>Clips ID</bdi>'), 'one button, named after the provider', entrance.text.slice(0, 2000));
    const button = entrance.text.match(/href="(\/login\/provider\?[^"]*)"/)[1].replaceAll('&amp;', '&').replaceAll('&#38;', '&');
    const consent = await ada.go(dev.base + button);
    check.ok(consent.url.startsWith(`${dev.base}/v2/auth/authorize/`) && consent.text.includes('decision'), 'it leads to the consent page', consent.url);
    check.ok(consent.text.includes('Ada at the provider'), 'by the name of the provider');
    check.equal(ada.typed, 1, 'typed once');
    const form = forms(consent.text).find(({ fields }) => fields.some(({ name }) => name === 'decision'));
    const fields = [['scope', 'user.info.profile'], ['scope', 'user.info.basic'], ['decision', 'allow']];
    const back = await ada.go(new URL(form.action, dev.base), { fields });
    const code = new URL(back.url).searchParams.get('code');
    check.ok(code, 'consent gives a code', back.url);
    const { client_key, client_secret } = dev;
    const token = await fetch(`${dev.base}/v2/oauth/token/`, {
      method: 'POST',
      body: new URLSearchParams({ client_key, client_secret, code, grant_type: 'authorization_code', redirect_uri: redirectUri }),
    }).then((response) => response.json());
    const info = async () =>
      (await (await fetch(`${dev.base}/v2/user/info/?fields=display_name,username`, { headers: { authorization: `Bearer ${token.access_token}` } })).json()).data?.user;
    check.equal((await info())?.display_name, 'Ada at the provider', 'apps see the name of the provider');
    check.equal(person().region, 'DE', 'the region, in capitals');

    // A second app, a second sign-in: the provider knows them, nobody types.
    const again = await ada.go(`${dev.base}/login/provider?next=%2Fconnections`);
    check.ok(again.status === 200 && ada.typed === 1, 'signed in at the provider already');
    Object.assign(accounts.ada, { name: 'Ada renamed', country: 'FR' });
    await ada.signIn();
    check.equal((await info())?.display_name, 'Ada renamed', 'a changed claim changes it here');
    check.equal(person().region, 'FR', 'the region too');
    accounts.ada.country = 'US';
    await ada.signIn();
    const outside = await ada.go(authorize('portability.activity.single'));
    check.ok(outside.url.includes('access_denied'), 'who moved away is not served', outside.url);
    accounts.ada.country = 'de';

    accounts.new = { customer: '999999999', name: 'New', country: 'AT' };
    const fresh = new Surfer('new');
    await fresh.signIn();
    check.ok(await signedIn(fresh), 'somebody new is made at the first sign-in');
    accounts.twin = { customer: '999999999', name: 'Twin' };
    accounts.nobody = { name: 'Nobody' };
    for (const login of ['twin', 'nobody']) {
      const one = new Surfer(login);
      const page = await one.signIn();
      check.ok(page.status === 403 && page.text.includes('cannot be used here'), `${login} is not let in`, page.text.slice(0, 500));
      check.ok(!(await signedIn(one)), `${login} has no session`);
    }
  },

  async 'keys rotated, and every signature'() {
    const old = op.rotate('RS256');
    for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
      op.rotate(alg, alg === 'PS256' ? old : []);
      const ada = new Surfer('ada');
      const page = await ada.signIn();
      check.ok(page.status === 200 && (await signedIn(ada)), `${alg}, by a key that was not known before`, page.text.slice(0, 500));
    }
    const staff = new Surfer('rita');
    await staff.signInAsStaff();
    check.ok(await signedIn(staff, '/console/account'), 'staff, by keys rotated meanwhile');
    op.rotate();
  },

  async 'clocks that differ'() {
    for (const [seconds, fine] of [[45, true], [-45, true], [600, false], [-7200, false]]) {
      op.ahead(seconds);
      const ada = new Surfer('ada');
      const page = await ada.signIn();
      check.equal(await signedIn(ada), fine, `the provider's clock is ${seconds} s ahead`);
      if (!fine) check.ok(page.status === 400 && page.text.includes('could not be completed'), 'and a page says so', page.text.slice(0, 300));
    }
    op.ahead(0);
  },

  async 'what is sensitive'() {
    const ada = new Surfer('ada');
    await ada.signIn();
    const entrance = await ada.go(authorize('portability.directmessages.single'));
    check.ok(entrance.url.includes('fresh=1') && entrance.text.includes('show once more that it is you'), 'asks once more', entrance.url);
    const typed = ada.typed;
    const button = entrance.text.match(/href="(\/login\/provider\?[^"]*)"/)[1].replaceAll('&amp;', '&').replaceAll('&#38;', '&');
    const consent = await ada.go(dev.base + button);
    check.equal(ada.typed, typed + 1, 'the provider had them type again');
    check.ok(consent.text.includes('name="decision"'), 'then comes consent', consent.url);
  },

  async 'turning back'() {
    const ada = new Surfer('ada');
    const page = await ada.signIn('/connections', { abort: true });
    check.ok(page.status === 400 && page.text.includes('You did not sign in'), 'a page says so', page.text.slice(0, 500));
    check.ok(!(await signedIn(ada)), 'no session');
  },

  async 'sign-out at both ends'() {
    const ada = new Surfer('ada');
    await ada.signIn();
    const end = await ada.go(`${dev.base}/logout`, { fields: [] });
    check.equal(end.url, `${dev.base}/login`, 'through the provider and back to the entrance');
    check.ok(!(await signedIn(ada)), 'the session here is over');
    await ada.signIn();
    check.equal(ada.typed, 2, 'the one at the provider is, too');
  },

  async 'roles of staff'() {
    const roles = async (held, path) => {
      accounts.rita.roles = held;
      const rita = new Surfer('rita');
      const page = await rita.signInAsStaff();
      return { rita, page, status: (await rita.open(path)).status };
    };
    check.equal((await roles(['reviewer'], '/console/account')).status, 200, 'a reviewer comes in');
    check.equal((await roles(['reviewer'], '/console/staff')).status, 403, 'but not to what is for administrators');
    const { rita, status } = await roles(['reviewer', 'administrator'], '/console/staff');
    check.equal(status, 200, 'a role that was added');
    check.equal((await roles(['support'], '/console/staff')).status, 403, 'a role that was taken away');
    check.equal((await rita.open('/console/staff')).status, 403, 'in every browser at once');
    const none = await roles([], '/console/account');
    check.ok(none.page.status === 403 && none.page.text.includes('You have no role here'), 'nobody without a role', none.page.text.slice(0, 300));
    check.ok(none.status !== 200 && !(await signedIn(rita, '/console/account')), 'and what was open is closed');
    const back = await roles(['compliance'], '/console/account');
    check.equal(back.status, 200, 'back with another');
    const end = await back.rita.go(`${dev.base}/console/logout`, { fields: [] });
    check.equal(end.url, `${dev.base}/console/login`, 'sign-out through the provider');
    const ada = new Surfer('ada');
    const page = await ada.signInAsStaff();
    check.equal(page.status, 403, 'a person is not staff');
  },

  async 'a provider that is not there'() {
    op.fail();
    const ada = new Surfer('ada');
    // The discovery document is kept; what fails is the provider's own page, and then the tokens.
    const begun = await ada.request(`${dev.base}/login/provider?next=%2Fconnections`);
    check.equal(begun.status, 303, 'what is known of it is kept');
    op.recover();
    let page = await ada.request(begun.location);
    while (page.url.startsWith(op.issuer)) {
      const form = !page.location && forms(page.text).find(({ action }) => action);
      const next = page.location ? new URL(page.location, page.url) : new URL(form.action, page.url);
      if (next.origin === dev.base) op.fail();
      page = await ada.request(next, form ? [['prompt', 'login'], ['login', 'ada'], ['password', 'x']] : undefined);
    }
    check.ok(page.status === 503 && page.text.includes('not available at the moment'), 'gone between code and tokens', page.text.slice(0, 500));
    check.ok(!page.text.includes('stack trace'), 'and nothing of the cause');
    op.recover();
    await ada.signIn();
    check.ok(await signedIn(ada), 'back again');
  },
};

for (const [name, step] of Object.entries(steps)) {
  const { passed, failed } = check;
  try {
    await step();
  } catch (error) {
    check.ok(false, `${name} ended early`, error.stack);
  }
  console.log(`  ${name}: ${check.passed - passed} ok${check.failed > failed ? `, ${check.failed - failed} FAILED` : ''}`);
}
const log = dev.log();
check.ok(!log.includes('panicked'), 'nothing panicked');
for (const secret of ['eyJ', 'Ada at', 'rita@', ...Object.values((await import('./op.mjs')).SECRETS)]) {
  check.ok(!log.includes(secret), `the log does not hold ${secret}`);
}
if (check.failed) console.log(log.split('\n').filter((line) => /provider|ERROR|WARN/.test(line)).slice(-20).join('\n'));
await dev.stop();
op.close();
check.finish('provider');
