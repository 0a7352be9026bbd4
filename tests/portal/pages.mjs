// Every page that somebody can reach, through axe: light and dark, on a desk and on the narrowest phone. Walks `portward dev` along its links
// as developer, reviewer, support, administrator, person and nobody. Of pages made by one template it looks at the first; with --full, at each that shows
// what none before showed, up to three.
//
//   node tests/portal/pages.mjs                          part of ./test portal
//   node tests/portal/pages.mjs --full                   ./test pages
//   node tests/portal/pages.mjs --as support --only tickets --pictures /tmp/shots [--sizes 1280,320] [--modes light,dark,forced,large,print]
//
// With --pictures it is for the eye, not for the test. PORTWARD_DEV, the first line of `portward dev --json`, walks one that runs already;
// PORTWARD_ASSETS=server/assets takes the stylesheets from the folder, so that nothing has to be built to try one.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { Checks, startDev } from '../lib.mjs';

const { values: asked } = parseArgs({
  options: { as: { type: 'string' }, only: { type: 'string' }, pictures: { type: 'string' }, sizes: { type: 'string' }, modes: { type: 'string' }, full: { type: 'boolean' } },
});
const check = new Checks();
const dev = process.env.PORTWARD_DEV ? JSON.parse(process.env.PORTWARD_DEV) : await startDev(['--heavy-rows', '500']);
const base = dev.base_url.replace(/\/$/, '');
const staff = (role) => dev.staff.find((one) => one.role === role);

/** Who walks: where they sign in, where they begin, and how many kinds of page there are at least, so that a walk cut short is seen. */
const ROLES = {
  nobody: {
    from: ['/', '/login', '/developers', '/developers/login', '/developers/sign-up', '/developers/sign-up/sent', '/developers/forgot', '/developers/verify',
      '/developers/reset', '/developers/answer', '/developers/confirm', '/developers/terms', '/developers/catalogue', '/developers/review', '/docs', '/console/login',
      '/developers/nothing', '/v2/auth/authorize/?client_key=nobody'],
    within: /^\/(developers(\/(catalogue|review|terms|login|sign-up|forgot)|$)|login|$)/,
    faulty: ['/developers/sign-up', '/developers/login', '/developers/forgot', '/console/login', '/login'],
    least: 16,
  },
  person: {
    account: dev.people[0],
    login: '/login',
    from: ['/connections', '/connections/sessions', `/v2/auth/authorize/?${new URLSearchParams({
      ...{ client_key: dev.client_key, response_type: 'code', redirect_uri: dev.redirect_uris[0], state: 's' },
      scope: 'user.info.basic,portability.activity.single,portability.activity.ongoing,portability.all.single',
    })}`],
    within: /^\/connections/,
    least: 3,
  },
  developer: {
    account: dev.developer,
    login: '/developers/login',
    from: ['/developers', '/developers/account/name', '/developers/account/password', '/developers/account/email', '/developers/account/close', '/developers/account/second-factor'],
    within: /^\/developers/,
    // What no seed has: an application being written, an answer that changed the form, a revision handed in. The reviewer sees both beside what was before.
    async before(page) {
      const press = (selector) => Promise.all([page.waitForNavigation(), page.locator(selector).first().click()]);
      await page.goto(`${base}/developers/apps`);
      const links = await page.locator('main a').evaluateAll((all) => all.map(({ pathname }) => pathname));
      const done = { apply: false, answer: false, revise: false };
      for (const app of [...new Set(links)].filter((path) => /^\/developers\/apps\/\d+$/.test(path))) {
        await page.goto(`${base}${app}/scopes`);
        const [apply, open] = ['main form[action$="/apply"]', 'main a[href^="/developers/applications/"]'];
        if (!done.apply && (await page.locator(apply).count())) {
          await press(`${apply} button`);
          done.apply = true;
        } else if (!done.answer && (await page.locator(open).count())) {
          await Promise.all([page.waitForNavigation(), page.locator(open).first().click()]);
          if (await page.locator('main form textarea[name=answer]').count()) {
            await page.fill('main textarea[name=answer]', 'It is on the third screen.');
            await page.locator('main textarea[name^="f."]').first().evaluate((field) => (field.value += ' The third screen says which ones.'));
            await press('main form:has(textarea[name=answer]) button[type=submit]');
            done.answer = true;
          }
        }
        if (done.revise) continue;
        await page.goto(`${base}${app}/details`);
        if (!(await page.locator('main form[action$="/revision"]').count())) continue;
        await press('main form[action$="/revision"] button');
        await page.goto(`${base}${app}/details`);
        await page.fill('main [name=description]', 'What it does, in other words than before.');
        await press('main form[action$="/details"] button');
        await page.goto(`${base}${app}/review`);
        await page.fill('main textarea', 'The description is new; nothing else has changed, and every product and scope is used as before.');
        await press('main form:has(textarea) button[type=submit]');
        done.revise = true;
      }
      check.ok(Object.values(done).every(Boolean), 'an application, an answer and a revision were made', done);
    },
    faulty: ['/developers/apps/new', '/developers/organisations', '/developers/support/new', '/developers/account/close', '/details', '/products', '/urls', '/edit/', '/delete', '/transfer', '/review', '/check'],
    least: 30,
  },
  reviewer: { account: staff('reviewer'), login: '/console/login', from: ['/console'], within: /^\/console/, faulty: ['/console/applications/', '/console/apps/', '/console/tickets/'], least: 10 },
  support: { account: staff('support'), login: '/console/login', from: ['/console', '/console/tickets'], within: /^\/console/, faulty: ['/console/tickets/'], least: 4 },
  administrator: { account: staff('administrator'), login: '/console/login', from: ['/console'], within: /^\/console/, faulty: ['/console/staff/add', '/console/staff/new'], least: 8 },
};
/** Of one template, at most so many pages are looked at, and so many asked for; of a walk, so many are asked for. */
const [OF_A_KIND, ASKED, OPENED] = [asked.full || asked.pictures ? 3 : 1, 12, 500];
/** What is no page, or ends the walk. */
const NOT = /\.(zip|json|atom|css|svg|png|pdf|mp4|txt)(\?|$)|\/uploads\/|\/evidence\/\d|\/logout|[?&](after|before)=/;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ...['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  ],
});

/** An address without its numbers: the name of the template behind it. */
const kindOf = (path) => {
  const { pathname, searchParams } = new URL(path, base);
  const query = [...searchParams].map(([name, value]) => (/^(view|tab|sort|state|status|topic|done)$/.test(name) && !/^\d+$/.test(value) ? `${name}=${value}` : name));
  return pathname.replace(/\d{4,}/g, 'N').replace(/\/\d+(?=\/|$)/g, '/n') + (query.length ? `?${query.sort().join('&')}` : '');
};
/** What a page is made of: its elements and their classes. */
const madeOf = (html) => new Set([...html.matchAll(/<([a-z0-9]+)(?:\s[^>]*?class="([^"]*)")?/g)].map(([, tag, name]) => `${tag}.${name ?? ''}`));
const unescaped = (text) => text.replaceAll('&amp;', '&').replaceAll('&#38;', '&');

/** Follows the links; gives the pages worth a look, as `{ path, kind }`. */
async function walk(context, { from, within }) {
  const [queue, opened, seen, pages] = [[...from], new Set(), new Map(), []];
  const counts = new Map();
  while (queue.length && opened.size < OPENED) {
    const path = queue.shift();
    const kind = kindOf(path);
    if (opened.has(path) || NOT.test(path) || (counts.get(kind) ?? 0) >= ASKED) continue;
    opened.add(path);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const response = await context.request.get(base + path);
    if (!(response.headers()['content-type'] ?? '').startsWith('text/html')) continue;
    check.ok(response.status() < 500, `${path} is answered`, response.status());
    const html = await response.text();
    // A link of ours leads somewhere; the addresses of `from` may say that there is nothing.
    if (!from.includes(path)) check.ok(response.ok(), `${path}, which is linked, is there`, response.status());
    const known = seen.get(kind) ?? { parts: new Set(), pages: 0 };
    seen.set(kind, known);
    const parts = madeOf(html);
    if (known.pages < OF_A_KIND && [...parts].some((part) => !known.parts.has(part))) {
      known.pages += 1;
      pages.push({ path, kind, name: kind.replace(/[^a-zA-Z0-9]+/g, '-').replace(/^-|-$/g, '') + (known.pages > 1 ? `-${known.pages}` : '') || 'home' });
      for (const part of parts) known.parts.add(part);
    }
    for (const [, link] of html.matchAll(/<a\s[^>]*?href="([^"#]+)/g)) {
      const url = new URL(unescaped(link), base + path);
      if (url.origin === base && within.test(url.pathname)) queue.push(url.pathname + url.search);
    }
  }
  check.ok(opened.size < OPENED, 'the walk ended by itself', opened.size);
  return { pages, kinds: seen.size };
}

const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** Only colours differ between the schemes. */
const COLOURS = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };
async function faultless(page, what, runOnly) {
  await page.evaluate(axe.source);
  const violations = await page.evaluate((runOnly) => window.axe.run({ resultTypes: ['violations'], runOnly }), runOnly).then((found) => found.violations);
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary.split('\n')[1]?.trim()}`).join('; ')}`);
  check.ok(violations.length === 0, `axe on ${what}`, told);
}

/** One page as it stands: light with every rule, dark with those of colour, and the narrowest phone. */
async function look(page, what) {
  await page.emulateMedia({ colorScheme: 'light' });
  await faultless(page, `${what}, light`, WCAG);
  check.equal(await page.locator('h1').count(), 1, `${what} has one heading`);
  await page.emulateMedia({ colorScheme: 'dark' });
  await faultless(page, `${what}, dark`, COLOURS);
  await page.setViewportSize({ width: 320, height: 800 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check.ok(wide <= 0, `${what} does not scroll sideways at 320`, `${wide} px too wide`);
  await page.setViewportSize({ width: 1280, height: 900 });
}

const MODES = { light: { colorScheme: 'light' }, dark: { colorScheme: 'dark' }, forced: { forcedColors: 'active' }, large: {}, print: { media: 'print' } };
/** Pictures, for the eye. */
async function picture(page, folder, name) {
  for (const mode of (asked.modes ?? 'light').split(',')) {
    await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none', media: 'screen', ...MODES[mode] });
    await page.evaluate((size) => (document.documentElement.style.fontSize = size), mode === 'large' ? '200%' : '');
    for (const width of (asked.sizes ?? '1280').split(',').map(Number)) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) console.log(`  ${name} ${mode} ${width}: ${wide} px too wide`);
      await page.screenshot({ path: join(folder, `${name}-${mode}-${width}.png`), fullPage: true });
    }
  }
}

/** A browser of the role's own, signed in. */
async function begin(role) {
  const { account, login } = ROLES[role];
  // Without transitions: a colour half-way to another has no contrast to be judged by.
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', bypassCSP: Boolean(asked.pictures) });
  if (process.env.PORTWARD_ASSETS) {
    await context.route(/\/assets\/port(al|ward)\.css/, (route) =>
      route.fulfill({ contentType: 'text/css', body: readFileSync(join(process.env.PORTWARD_ASSETS, new URL(route.request().url()).pathname.slice('/assets/'.length))) }));
  }
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) check.ok(false, `${role}: the console of ${page.url()}`, message.text());
  });
  if (account) {
    await page.goto(base + login);
    await page.fill('input[name=email], input[name=username]', account.username);
    await page.fill('input[name=password]', account.password);
    await Promise.all([page.waitForURL((url) => !url.pathname.endsWith('/login')), page.click('form:has(input[name=password]) button[type=submit]')]);
  }
  return { context, page };
}

/** All that a role can reach. */
async function visit(role, { context, page }) {
  const { faulty = [], least, ...way } = ROLES[role];
  const begun = Date.now();
  const { pages, kinds } = await walk(context, way);
  const folder = asked.pictures && join(asked.pictures, role);
  if (folder) mkdirSync(folder, { recursive: true });
  for (const { path, kind, name } of pages) {
    if (asked.only && !path.includes(asked.only) && !kind.includes(asked.only)) continue;
    await page.goto(base + path);
    if (folder) await picture(page, folder, name);
    else await look(page, `${role}: ${path}`);
  }
  // The same with errors: forms that are sent as they are, emptied.
  const tried = new Set();
  for (const { path, kind, name } of pages) {
    if ((asked.only && !kind.includes(asked.only)) || !faulty.some((part) => kind.includes(part))) continue;
    await page.goto(base + path);
    const forms = await page.locator('main form[method=post]:has(input:not([type=hidden]), textarea)').count();
    for (let at = 0; at < forms; at++) {
      await page.goto(base + path);
      const form = page.locator('main form[method=post]:has(input:not([type=hidden]), textarea)').nth(at);
      const action = kindOf((await form.getAttribute('action')) ?? path);
      if (tried.has(action)) continue;
      tried.add(action);
      await form.evaluate((form) => {
        form.noValidate = true;
        for (const field of form.elements) {
          if (field.type === 'hidden' || field.tagName === 'BUTTON') continue;
          if (['checkbox', 'radio'].includes(field.type)) field.checked = false;
          else field.value = '';
        }
      });
      const [answer] = await Promise.all([
        page.waitForNavigation(),
        form.evaluate((form) => form.requestSubmit(form.querySelector('button:not([formaction])'))),
      ]);
      check.ok([200, 409, 422].includes(answer.status()), `${role}: ${action}, emptied`, answer.status());
      if (answer.status() !== 422) continue;
      if (folder) await picture(page, folder, `${name}-wrong-${at}`);
      else await look(page, `${role}: ${action}, emptied`);
    }
  }
  await context.close();
  if (!asked.only) check.ok(kinds >= least, `${role} reaches at least ${least} kinds of page`, kinds);
  console.log(`  ${role}: ${pages.length} pages of ${kinds} kinds in ${Math.round((Date.now() - begun) / 1000)} s`);
}

const roles = Object.keys(ROLES).filter((role) => !asked.as || asked.as.split(',').includes(role));
const begun = new Map();
for (const role of roles) {
  begun.set(role, await begin(role));
  await ROLES[role].before?.(begun.get(role).page);
}
// The developer's pages are as many as all the others.
const lanes = [roles.filter((role) => role === 'developer'), roles.filter((role) => role !== 'developer')];
await Promise.all(lanes.map(async (lane) => { for (const role of lane) await visit(role, begun.get(role)); }));
await browser.close();
await dev.stop?.();
check.finish('portal-pages');
