// A person in headless Chromium: signs in, decides, is sent back to an app on another origin, withdraws. With and without
// JavaScript, light and dark, on a phone and a desk; every page through axe. Screenshots go to target/screens.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { Checks, ROOT, startDev } from '../lib.mjs';

const check = new Checks();
const screens = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'screens');
rmSync(screens, { recursive: true, force: true });
mkdirSync(screens, { recursive: true });

// The app's own site: another origin than the server's (another host name, another port).
const app = createServer((request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end('<!doctype html><html lang="en"><title>The app</title><h1>Back at the app</h1>');
}).listen(0, '127.0.0.1');
await once(app, 'listening');
const redirectUri = `http://localhost:${app.address().port}/callback`;
const dev = await startDev(['--redirect-uri', redirectUri]);
const [person, other] = ['typical', 'empty'].map((size) => dev.people.find((someone) => someone.size === size));
const outside = dev.people.at(-1);
const ALL = ['all', 'postsandprofile', 'activity', 'directmessages'].flatMap((family) => [
  `portability.${family}.single`,
  `portability.${family}.ongoing`,
]);

const authorize = (scopes, more = {}) =>
  `${dev.base}/v2/auth/authorize/?${new URLSearchParams({
    client_key: dev.client_key,
    response_type: 'code',
    scope: ['user.info.basic', ...scopes].join(),
    redirect_uri: redirectUri,
    state: 'a state',
    ...more,
  })}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ...['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
    '--disable-sync',
  ],
});

/** A browser of somebody's own. Everything it does is watched: errors, violations of the policy, requests elsewhere. */
async function newPage(what, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => check.ok(false, `${what}: a script fails on ${page.url()}`, error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) {
      check.ok(false, `${what}: the console of ${page.url()}`, message.text());
    }
  });
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    const known = ['127.0.0.1', 'localhost'].includes(hostname) || protocol === 'data:';
    if (!known) check.ok(false, `${what}: a request elsewhere`, request.url());
  });
  return page;
}

async function signIn(page, { username, password }) {
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', password);
  await Promise.all([page.waitForNavigation(), page.click('form:has(input[name=password]) button')]);
}

const submit = (page, selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
const callback = (page) => {
  const url = new URL(page.url());
  return url.origin + url.pathname === redirectUri ? Object.fromEntries(url.searchParams) : undefined;
};

async function exchange(code) {
  const response = await fetch(`${dev.base}/v2/oauth/token/`, {
    method: 'POST',
    body: new URLSearchParams({
      client_key: dev.client_key,
      client_secret: dev.client_secret,
      grant_type: 'authorization_code',
      redirect_uri: redirectUri,
      code,
    }),
  });
  return response.json();
}

const alive = async (token) => {
  const headers = { authorization: `Bearer ${token}` };
  return (await fetch(`${dev.base}/v2/user/info/?fields=open_id`, { headers })).status;
};

/** The journey that every person makes. */
async function journey(what, options) {
  const page = await newPage(what, options);
  await page.goto(authorize(['portability.activity.ongoing', 'portability.all.single']));
  await signIn(page, person);
  check.equal(await page.locator('[name=decision]').count(), 2, `${what}: signing in leads straight to consent`);
  const words = await page.locator('body').innerText();
  check.ok(/one time/i.test(words) && /ongoing/i.test(words), `${what}: once and ongoing are told`);
  check.ok(words.includes('Not you?'), `${what}: it says who is signed in`);
  check.ok((await page.locator('a[href*="privacy"], a:has-text("Privacy")').count()) > 0, `${what}: the privacy policy is linked`);
  const box = page.locator('input[type=checkbox][name=scope][value="portability.activity.ongoing"]');
  check.equal(await box.isChecked(), false, `${what}: nothing is ticked beforehand`);
  await box.check();
  await submit(page, '[name=decision][value=allow]');
  const back = callback(page);
  if (!check.ok(back, `${what}: lands at the app on another origin`, page.url())) return page.context().close();
  check.equal(back.state, 'a state', `${what}: with the state`);
  check.equal(back.scopes, 'user.info.basic,portability.activity.ongoing', `${what}: with what was switched on`);
  const tokens = await exchange(back.code);
  check.equal(tokens.scope, back.scopes, `${what}: and so is the token's scope`);
  check.equal(await alive(tokens.access_token), 200, `${what}: the token works`);

  // Going back and pressing again must not hand out another code for the same decision, and must not break.
  await page.goBack();
  if (await page.locator('[name=decision][value=allow]').count()) {
    await submit(page, '[name=decision][value=allow]');
    check.ok(!callback(page)?.code || callback(page).code !== back.code, `${what}: pressing again gives no used code`, page.url());
  }

  await page.goto(authorize(['portability.activity.ongoing']));
  await submit(page, '[name=decision][value=deny]');
  const denied = callback(page);
  check.equal(denied?.error, 'access_denied', `${what}: a denial lands there, too`);
  check.equal(denied?.error_description, 'user cancelled the authorization', `${what}: in exactly these words`);
  check.equal(denied?.state, 'a state', `${what}: with the state`);
  check.equal(await alive(tokens.access_token), 200, `${what}: and changes nothing`);

  await page.goto(`${dev.base}/connections`);
  check.equal(await page.locator('form:has(input[name=grant])').count(), 1, `${what}: one connection`);
  await submit(page, 'form:has(input[name=grant]) button');
  check.equal(new URL(page.url()).pathname.replace(/\/$/, ''), '/connections', `${what}: withdrawing stays there`);
  check.equal(await page.locator('form:has(input[name=grant])').count(), 0, `${what}: and the connection is gone`);
  check.equal(await alive(tokens.access_token), 401, `${what}: with its token`);
  const again = await page.reload();
  check.equal(again.status(), 200, `${what}: reloading does no harm`);
  await page.context().close();
}

/** Equal buttons: same size, same paint. */
async function equalButtons() {
  const page = await newPage('buttons');
  await page.goto(authorize(['portability.activity.ongoing']));
  await signIn(page, person);
  const [deny, allow] = await page.locator('[name=decision]').evaluateAll((buttons) =>
    buttons.map((button) => {
      const { width, height } = button.getBoundingClientRect();
      const { color, backgroundColor, borderColor, fontSize, fontWeight } = getComputedStyle(button);
      return { width: Math.round(width), height: Math.round(height), color, backgroundColor, borderColor, fontSize, fontWeight };
    }),
  );
  check.equal(JSON.stringify(deny), JSON.stringify(allow), 'both buttons are equal');

  // By keyboard alone.
  await page.locator('input[type=checkbox][name=scope]').first().focus();
  await page.keyboard.press('Space');
  for (let step = 0; step < 20; step++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement?.value === 'allow')) break;
  }
  const outline = await page.evaluate(() => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
    return (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
  });
  check.ok(outline, 'the focused button is marked');
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  check.ok(callback(page)?.code, 'the whole decision by keyboard', page.url());

  await page.goto(authorize(['portability.activity.ongoing']));
  await submit(page, 'a:has-text("Not you?")');
  if (await page.locator('form:has(input[name=password])').count()) await signIn(page, other);
  const words = await page.locator('body').innerText();
  check.ok((await page.locator('[name=decision]').count()) === 2, '"Not you?" leads through sign-in to consent', page.url());
  check.ok(!words.includes(person.username), 'as somebody else', words.slice(0, 300));
  await page.context().close();
}

/** Every page: axe, no sideways scrolling, a screenshot; in both colours and both widths. */
async function looks() {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [375, 1280]) {
      const what = `${colorScheme} ${width}`;
      const options = { colorScheme, viewport: { width, height: width === 375 ? 812 : 900 } };
      const page = await newPage(what, options);
      const look = async (name, there = page) => {
        await there.evaluate(axe.source);
        const { violations } = await there.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
        const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target).join(' ')}`);
        check.ok(violations.length === 0, `${what}: axe on ${name}`, told);
        const wide = await there.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check.ok(wide <= 0, `${what}: ${name} does not scroll sideways`, `${wide} px too wide`);
        check.ok((await there.title()).length > 3, `${what}: ${name} has a title`);
        check.equal(await there.locator('h1').count(), 1, `${what}: ${name} has one heading`);
        await there.screenshot({ path: join(screens, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      };
      await page.goto(authorize(ALL));
      await look('sign-in');
      await signIn(page, { ...person, password: 'wrong' });
      await look('sign-in-wrong');
      await signIn(page, person);
      await look('consent');
      await page.locator('input[type=checkbox][name=scope]').first().check();
      await look('consent-chosen');
      await submit(page, '[name=decision][value=allow]');
      await exchange(callback(page).code);
      await page.goto(authorize([]));
      await look('consent-sign-in-only');
      await page.goto(`${dev.base}/connections`);
      await look('connections');
      await submit(page, 'form:has(input[name=grant]) button');
      await look('connections-withdrawn');
      await page.goto(authorize(['portability.nonsense.single'], { redirect_uri: 'https://evil.example/' }));
      await look('error');
      await page.goto(`${dev.base}/`);
      await look('home');
      await page.goto(`${dev.base}/no-such-page`);
      await look('not-found');
      const stranger = await newPage(what, options);
      await stranger.goto(authorize(['portability.all.single']));
      await signIn(stranger, outside);
      if (new URL(stranger.url()).origin === dev.base) await look('not-eligible', stranger);
      await stranger.context().close();
      await page.context().close();
    }
  }
}

const steps = [
  ['with JavaScript', () => journey('with JavaScript')],
  ['without JavaScript', () => journey('without JavaScript', { javaScriptEnabled: false })],
  ['on a phone', () => journey('on a phone', { viewport: { width: 375, height: 812 }, hasTouch: true })],
  ['buttons and keyboard', equalButtons],
  ['looks', looks],
];
for (const [name, step] of steps) {
  const { passed, failed } = check;
  try {
    await step();
  } catch (error) {
    check.ok(false, `${name} ended early`, error.stack);
  }
  console.log(`  ${name}: ${check.passed - passed} ok${check.failed > failed ? `, ${check.failed - failed} FAILED` : ''}`);
}
check.ok(!dev.log().includes('panicked'), 'nothing panicked');
await browser.close();
await dev.stop();
app.close();
check.finish('browser');
