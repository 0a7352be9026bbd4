// The pictures of docs/pictures, from `portward dev` as it is seeded. Called by docs/pictures.sh.
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { ROOT, startDev } from '../tests/lib.mjs';

const FOLDER = join(ROOT, 'docs/pictures');
const [EACH, ALL] = [200_000, 2_000_000];
// A desk, no wider than a reader of the documentation sees it.
const WIDE = 1080;
mkdirSync(FOLDER, { recursive: true });
for (const old of readdirSync(FOLDER)) if (old.endsWith('.png')) rmSync(join(FOLDER, old));

const dev = await startDev(['--heavy-rows', '500']);
const base = dev.base_url.replace(/\/$/, '');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

/** A browser of somebody's own, signed in. */
async function signedIn(login, { username, password }) {
  // Nothing moves while a picture is taken.
  const page = await (await browser.newContext({ viewport: { width: WIDE, height: 800 }, deviceScaleFactor: 1, colorScheme: 'light', reducedMotion: 'reduce' })).newPage();
  await page.goto(base + login);
  await page.fill('input[name=email], input[name=username]', username);
  await page.fill('input[name=password]', password);
  await Promise.all([page.waitForURL((url) => !url.pathname.endsWith('/login')), page.click('form:has(input[name=password]) button[type=submit]')]);
  return page;
}

/** What is seen of a page, from its top or from an element on, so many pixels of it. */
async function picture(page, name, { width = WIDE, height = 800, from, scheme = 'light' } = {}) {
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize({ width, height });
  const top = from ? await page.locator(from).first().evaluate((it) => it.getBoundingClientRect().top + scrollY - 24) : 0;
  await page.evaluate((top) => scrollTo(0, top), top);
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}
const go = (page, path) => page.goto(path.startsWith('http') ? path : base + path);
/** Where a link with these words leads. */
const address = (page, words) => page.locator('main a', { hasText: words }).first().evaluate((link) => link.href);
const press = (page, selector) => Promise.all([page.waitForNavigation(), page.locator(selector).first().click()]);

const developer = await signedIn('/developers/login', dev.developer);
await go(developer, '/developers/apps');
await picture(developer, 'apps', { height: 960 });
await picture(developer, 'apps-dark', { height: 960, scheme: 'dark' });
const app = {};
for (const name of ['Reel Diary', 'Trendgarden', 'Watchlight', 'Clipvault']) app[name] = await address(developer, name);
await go(developer, app['Reel Diary']);
await picture(developer, 'app', { height: 900 });
await go(developer, `${app.Trendgarden}/scopes`);
await picture(developer, 'scopes');
await go(developer, `${app.Watchlight}/scopes`);
await go(developer, await developer.locator('main a[href*="/developers/applications/"]').first().evaluate((link) => link.href));
await picture(developer, 'status', { height: 1260 });
// Refused, and applied again: the form starts from what was answered before.
await go(developer, `${app.Clipvault}/scopes`);
await press(developer, 'main form[action$="/apply"] button');
const application = developer.url().match(/.*\/applications\/\d+/)[0];
await go(developer, `${application}/edit/scope`);
await picture(developer, 'wizard', { height: 840 });
await go(developer, `${application}/check`);
await picture(developer, 'check', { height: 760, from: 'main h2:has-text("What reviewers would look at"), main h2:has-text("Declare")' });
await go(developer, '/developers/support');
await go(developer, await address(developer, 'When will'));
await picture(developer, 'ticket');

const reviewer = await signedIn('/console/login', dev.staff.find(({ role }) => role === 'reviewer'));
await go(reviewer, '/console/applications');
await picture(reviewer, 'queue', { height: 720 });
await picture(reviewer, 'queue-dark', { height: 720, scheme: 'dark' });
await go(reviewer, await address(reviewer, 'Feed Donation'));
await picture(reviewer, 'case', { height: 900 });
await picture(reviewer, 'decision', { height: 720, from: 'main section:has(> h2:has-text("Decide")), main h2:has-text("Decide")' });
await go(reviewer, '/console/apps');
await go(reviewer, await reviewer.locator('main table a.row').first().evaluate((link) => link.href));
await picture(reviewer, 'app-review', { height: 900 });

const person = await signedIn('/login', dev.people[1]);
const query = new URLSearchParams({
  ...{ client_key: dev.client_key, response_type: 'code', redirect_uri: dev.redirect_uris[0], state: 's' },
  scope: 'user.info.basic,portability.activity.single,portability.postsandprofile.ongoing',
});
await go(person, `/v2/auth/authorize/?${query}`);
await picture(person, 'consent', { width: 760, height: 1440 });
await go(person, '/developers/catalogue');
await picture(person, 'catalogue');
await go(person, '/developers/review');
await picture(person, 'review');

await browser.close();
await dev.stop();
const sizes = readdirSync(FOLDER).map((name) => [name, statSync(join(FOLDER, name)).size]);
const all = sizes.reduce((sum, [, size]) => sum + size, 0);
for (const [name, size] of sizes) console.log(`${String(Math.round(size / 1000)).padStart(5)} kB  ${name}`);
const heavy = sizes.filter(([, size]) => size > EACH);
if (heavy.length || all > ALL) {
  console.error(`too heavy: ${heavy.map(([name]) => name).join(', ') || `${all} bytes in all`}`);
  process.exitCode = 1;
}
