// From nothing to a downloaded archive, by browsers alone: a developer signs up and proves an address, makes an app and gets a sandbox archive
// at once, proves a site, applies with real PDFs, is asked back and answers from the mail; staff, signed in at the operator's provider, review
// both the application and the app; a person signs in at the provider, allows, and the archive comes. Every page on the way through axe.
// Screenshots go to target/screens/portal.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { Checks, ROOT } from '../lib.mjs';
import { pdf, png, startWorld } from './world.mjs';

const HOST = 'clipkeeper.example';
const EMAIL = 'dora@clipkeeper.example';
// On the form, and not the account's own: it has to be confirmed by its own mail, and questions go there.
const CONTACT = 'data@clipkeeper.example';
const PASSWORD = 'a gorge, seven kites';
const ALL = ['portability.activity.single', 'portability.activity.ongoing'];

const check = new Checks();
const screens = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'screens', 'portal');
rmSync(screens, { recursive: true, force: true });
mkdirSync(screens, { recursive: true });
const accounts = {
  anna: { customer: '1001', country: 'DE', name: 'Anna Lindner', preferred_username: 'anna' },
  rita: { name: 'Rita Reviewer', email: 'rita@clips.example', roles: ['reviewer'] },
};
const world = await startWorld({ accounts, host: HOST });
const { base, mail, site, op } = world;
for (const [path, title] of [['/', 'Clipkeeper'], ['/terms', 'Terms of Clipkeeper'], ['/privacy', 'Privacy at Clipkeeper'], ['/callback', 'Back at Clipkeeper']]) {
  site.pages[path] = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1>
    <p>Clipkeeper keeps what you posted and watched in one place that is yours.</p><p><a href="/terms">Terms</a> <a href="/privacy">Privacy policy</a></p></html>`;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ...['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
    ...['--disable-sync', `--host-resolver-rules=MAP ${HOST} 127.0.0.1`],
  ],
});

let shot = 0;
/** A browser of somebody's own; `javaScriptEnabled: false` shows that nothing needs scripts. */
async function newPage(who, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    const own = page.url().startsWith(base);
    if (own && message.type() === 'error' && !/Failed to load resource/.test(message.text())) {
      check.ok(false, `${who}: the console of ${page.url()}`, message.text());
    }
  });
  return page;
}

/** The page as it stands: axe, one heading, no sideways scrolling, a picture. */
async function look(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    window.axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target).join(' ')}`);
  check.ok(violations.length === 0, `axe on ${name}`, told);
  check.equal(await page.locator('h1').count(), 1, `${name} has one heading`);
  for (const size of [{ width: 375, height: 812 }, page.viewportSize()]) {
    await page.setViewportSize(size);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check.ok(wide <= 0, `${name} does not scroll sideways at ${size.width}`, `${wide} px too wide`);
  }
  shot += 1;
  await page.screenshot({ path: join(screens, `${String(shot).padStart(2, '0')}-${name}.png`), fullPage: true });
}

const text = (page) => page.locator('main').innerText();
const go = (page, path) => page.goto(path.startsWith('http') ? path : base + path);
/** Fills in fields by their names: text, a choice, ticks by their values, files. */
async function fill(page, fields, within = 'main') {
  for (const [name, value] of Object.entries(fields)) {
    const field = page.locator(`${within} [name="${name}"]:not([type=hidden])`);
    const kind = await field.first().evaluate((it) => (it.tagName === 'SELECT' ? 'select' : it.type));
    if (kind === 'select') await field.selectOption(value);
    else if (kind === 'radio') await page.locator(`${within} [name="${name}"][value="${value}"]`).check();
    else if (kind === 'checkbox') for (const one of [value].flat()) await page.locator(`${within} [name="${name}"]${one === true ? '' : `[value="${one}"]`}`).check();
    else if (kind === 'file') await field.setInputFiles(value);
    else await field.fill(value);
  }
}
/** Presses a button or a link by its words. */
async function press(page, words, within = 'main') {
  const target = page.locator(`${within} button, ${within} a`).filter({ hasText: words }).first();
  await Promise.all([page.waitForNavigation(), target.click()]);
}
const must = async (page, words, what) => {
  const seen = await text(page);
  check.ok(words instanceof RegExp ? words.test(seen) : seen.includes(words), what, `${page.url()}: ${seen.slice(0, 700)}`);
};
const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });

/** Signs somebody in at the provider's own page. */
async function atProvider(page, login) {
  check.ok(page.url().startsWith(op.issuer), `${login} is at the provider`, page.url());
  await page.fill('input[name=login]', login);
  await page.fill('input[name=password]', 'x');
  await Promise.all([page.waitForURL((url) => url.origin === base), page.click('button[type=submit]')]);
}

/** As an app does: exchanges a code, asks, waits, downloads. */
async function fetchArchive({ key, secret, code, redirectUri }, name) {
  const post = async (path, body, headers) => (await fetch(base + path, { method: 'POST', body, headers })).json();
  const token = await post('/v2/oauth/token/', new URLSearchParams({ client_key: key, client_secret: secret, code, grant_type: 'authorization_code', redirect_uri: redirectUri }));
  check.ok(token.access_token, `${name}: the code is exchanged`, token);
  const call = (path, body) =>
    fetch(base + path, { method: 'POST', body: JSON.stringify(body), headers: { authorization: `Bearer ${token.access_token}`, 'content-type': 'application/json' } });
  const added = await (await call('/v2/user/data/add/?fields=request_id', { data_format: 'json', category_selection_list: ['activity'] })).json();
  const request_id = added.data?.request_id;
  check.ok(request_id, `${name}: the request is taken`, added);
  if (!request_id) return { token };
  let status;
  for (let tenth = 0; tenth < 600 && status !== 'downloading'; tenth++) {
    status = (await (await call('/v2/user/data/check/?fields=request_id,status', { request_id })).json()).data?.status;
    if (status !== 'downloading') await new Promise((done) => setTimeout(done, 100));
  }
  check.equal(status, 'downloading', `${name}: the archive is ready`);
  const answer = await call('/v2/user/data/download/', { request_id });
  const archive = Buffer.from(await answer.arrayBuffer());
  check.ok(answer.status === 200 && archive.subarray(0, 2).toString() === 'PK', `${name}: the archive is downloaded`, answer.status);
  const path = join(screens, `${name}.zip`);
  writeFileSync(path, archive);
  const document = JSON.parse(execFileSync('unzip', ['-p', path], { maxBuffer: 1 << 28 }).toString());
  return { token, document };
}

const state = {};
const developer = await newPage('developer');
const staff = await newPage('staff');

const steps = {
  async 'the developer signs up'() {
    await go(developer, '/developers');
    await look(developer, 'portal');
    await go(developer, '/developers/sign-up');
    await look(developer, 'sign-up');
    await fill(developer, { name: 'Dora Keeper', email: EMAIL, password: PASSWORD });
    await press(developer, 'Create the account');
    await must(developer, 'Look into your mail', 'a mail is on its way');
    await look(developer, 'sign-up-sent');
    const { address } = await mail.link(EMAIL, '/developers/verify');
    await go(developer, address);
    await look(developer, 'verify');
    await fill(developer, { password: PASSWORD });
    await press(developer, 'Confirm and sign in');
    check.ok(new URL(developer.url()).pathname.startsWith('/developers/'), 'signed in', developer.url());
    await go(developer, '/developers/apps');
    await look(developer, 'apps-empty');
  },

  async 'an organisation and an app'() {
    await go(developer, '/developers/organisations');
    await fill(developer, { name: 'Clipkeeper GmbH' });
    await press(developer, /Make|Create/, 'main form');
    await look(developer, 'organisation');
    await go(developer, '/developers/apps/new');
    await fill(developer, { name: 'Clipkeeper' });
    const owner = developer.locator('main [name=owner]:not([value=account])');
    await owner.first().check();
    await look(developer, 'app-new');
    await press(developer, 'Make the app');
    await press(developer, 'Show it once');
    state.secret = (await developer.locator('.notice .copy, .notice code').first().innerText()).trim();
    state.app = developer.url().match(/\/developers\/apps\/(\d+)/)[1];
    state.path = `/developers/apps/${state.app}`;
    await look(developer, 'credentials');
    await go(developer, state.path);
    await look(developer, 'app-draft');
  },

  async 'a sandbox archive at once'() {
    await go(developer, `${state.path}/sandbox`);
    await look(developer, 'sandbox');
    const words = await text(developer);
    const key = words.match(/\bsb[0-9a-z]{14,}\b/)[0];
    await press(developer, 'Make a new secret');
    const secret = (await text(developer)).match(/\b[A-Za-z0-9]{32}\b/)?.[0];
    const link = await developer.locator('main a', { hasText: 'Try it' }).getAttribute('href');
    const redirectUri = new URL(link, base).searchParams.get('redirect_uri');
    const person = await newPage('sandbox person', { javaScriptEnabled: false });
    await go(person, link);
    await Promise.all([person.waitForNavigation(), person.locator('button[name=as]').first().click()]);
    for (const box of await person.locator('input[type=checkbox][name=scope]').all()) await box.check();
    await Promise.all([person.waitForNavigation(), person.click('[name=decision][value=allow]')]);
    const code = new URL(person.url()).searchParams.get('code');
    check.ok(code, 'a made-up person allowed it', person.url());
    const { document } = await fetchArchive({ key, secret, code, redirectUri }, 'sandbox');
    check.ok(document && Object.keys(document).length > 0, 'there is something in it');
    await person.context().close();
  },

  async 'details, and a site that is proved'() {
    await go(developer, `${state.path}/details`);
    await fill(developer, { icon: file('icon.png', 'image/png', png(1024, [10, 106, 110])) });
    await press(developer, 'Save the icon');
    await fill(developer, {
      description: 'Keeps what you posted and watched in one place that is yours.',
      'terms-url': `${site.base}/terms`,
      'privacy-url': `${site.base}/privacy`,
      platforms: 'web',
    });
    await developer.locator('main [name=category]').selectOption({ index: 1 });
    const web = developer.locator('main details:has([name="web-url"])');
    if (!(await web.evaluate((it) => it.open))) await web.locator('summary').click();
    await fill(developer, { 'web-url': `${site.base}/` });
    await press(developer, 'Save', 'main form:has([name="web-url"])');
    await look(developer, 'details');
    await go(developer, `${state.path}/products`);
    await fill(developer, { products: ['login', 'portability'] });
    const redirects = developer.locator('main textarea');
    state.redirect = `${site.base}/callback`;
    await redirects.first().fill(state.redirect);
    await press(developer, 'Save');
    await look(developer, 'products');

    await go(developer, `${state.path}/urls`);
    await fill(developer, { kind: 'prefix', value: `${site.base}/` });
    await press(developer, 'Add');
    await look(developer, 'urls');
    await press(developer, 'Verify');
    check.ok(!/verified|proved on/i.test(await developer.locator('main article').first().innerText()), 'not proved while the file is missing');
    await look(developer, 'urls-missing');
    const [download] = await Promise.all([developer.waitForEvent('download'), developer.locator('main a[download]').first().click()]);
    const pieces = [];
    for await (const piece of await download.createReadStream()) pieces.push(piece);
    site.pages[`/${download.suggestedFilename()}`] = Buffer.concat(pieces).toString();
    await press(developer, /Verify|Look again/);
    check.ok(site.seen.includes(`/${download.suggestedFilename()}`), 'the file was really fetched');
    await must(developer, /proved on/i, 'the site is proved');
    await look(developer, 'urls-proved');
  },

  async 'an application with real PDFs'() {
    await go(developer, `${state.path}/scopes`);
    await must(developer, 'Need to apply', 'nothing is approved yet');
    await look(developer, 'scopes');
    await press(developer, 'Apply');
    await look(developer, 'application-tasks');
    const paragraph = (topic) =>
      `For every person who asks us to keep their activity we fetch a copy of it and show them ${topic}. The person decides what is fetched and can delete all of it with one press; nothing is sold, nothing is used for advertising, and nobody else can see it. `.repeat(2);
    const answers = {
      application: { applicant_name: 'Dora Keeper', applicant_email: CONTACT, organization_name: 'Clipkeeper GmbH', organization_website: `${site.base}/` },
      scope: {
        scopes: ALL,
        use_case: paragraph('what they watched, searched for and shared, on screen four of the mockups'),
        mockups: file('mockups.pdf', 'application/pdf', pdf(...['Choose Clips', 'What happens next', 'The consent page of Clips', 'Your activity in Clipkeeper'].map((title) => `${title}. ${paragraph('a screen of this kind')}`))),
      },
      requests: {
        subject_requests: paragraph('how to ask for access, correction and deletion, which we answer within two weeks'),
        subject_requests_evidence: file('procedure.pdf', 'application/pdf', pdf(paragraph('the procedure by which we answer'))),
      },
      protection: { data_protection: paragraph('where it is stored, encrypted with a key of their own, for as long as they want') },
    };
    // What is typed saves itself, without a button.
    await go(developer, `${developer.url().match(/\/developers\/applications\/\d+/)[0]}/edit/application`);
    const kept = developer.waitForResponse((answer) => answer.request().method() === 'POST' && answer.url().endsWith('/edit/application'));
    await developer.fill('[name=applicant_name]', 'Typed and left');
    check.equal((await kept).status(), 200, 'typed text is saved by itself');
    await developer.reload();
    check.equal(await developer.inputValue('[name=applicant_name]'), 'Typed and left', 'and is there after a reload');
    for (const [step, fields] of Object.entries(answers)) {
      const path = developer.url().match(/\/developers\/applications\/\d+/)[0];
      state.application = path;
      await go(developer, `${path}/edit/${step}`);
      await fill(developer, fields);
      await press(developer, 'Save and continue');
      check.ok(!/There (is a|are \d+) problem/.test(await text(developer)), `${step}: no problem`, (await text(developer)).slice(0, 600));
      await go(developer, `${path}/edit/${step}`);
      await look(developer, `application-${step}`);
    }
    await go(developer, `${state.application}/check`);
    await look(developer, 'application-check-early');
    const { address } = await mail.link(CONTACT, '/developers/confirm');
    const stranger = await newPage('whoever reads mail there');
    await go(stranger, address);
    await press(stranger, 'Confirm the address');
    await must(stranger, 'The address is confirmed', 'the address on the form is confirmed by its mail');
    await look(stranger, 'confirmed');
    await stranger.context().close();
    await go(developer, `${state.application}/check`);
    for (const box of await developer.locator('main form[aria-labelledby=declare] input[type=checkbox]').all()) await box.check();
    await look(developer, 'application-check');
    await press(developer, 'Submit the application');
    await must(developer, 'Decision due by', 'submitted, with the date of the decision');
    await look(developer, 'application-submitted');
    const told = mail.mails.find(({ to, text }) => to.includes(CONTACT) && /submitted|received|taken/i.test(text) && !/confirm/i.test(text.slice(0, 200)));
    check.ok(told, 'and mailed', mail.mails.map(({ subject }) => subject));
  },

  async 'a reviewer asks back'() {
    await go(staff, '/console');
    await look(staff, 'console-sign-in');
    await Promise.all([staff.waitForURL(`${op.issuer}/**`), staff.locator('a', { hasText: 'Sign in with Clips ID' }).click()]);
    await atProvider(staff, 'rita');
    check.equal(new URL(staff.url()).pathname, '/console', 'staff are where they wanted to go');
    await look(staff, 'console');
    await go(staff, '/console/applications');
    await look(staff, 'console-queue');
    await go(staff, `/console/applications/${state.application.match(/\d+/)[0]}`);
    await press(staff, 'Take it');
    await fill(staff, { question: 'Screen three shows no way back. Which button is it?' });
    await staff.locator('main form[action$="/ask"] details summary').click().catch(() => {});
    await staff.locator('main form[action$="/ask"] input[name=fields][value=use_case]').check();
    await press(staff, /^\s*Ask\s*$/, 'main form[action$="/ask"]');
    await look(staff, 'console-asked');
    const { address } = await mail.link(CONTACT, '/developers/answer');
    const anybody = await newPage('whoever answers');
    await go(anybody, address);
    await look(anybody, 'answer');
    await fill(anybody, { answer: 'The arrow at the upper left; screen three names it now.' });
    await press(anybody, 'Send the answer');
    await look(anybody, 'answer-sent');
    await anybody.context().close();
    await go(developer, state.application);
    await look(developer, 'application-status');
  },

  async 'the application is approved'() {
    await go(staff, `/console/applications/${state.application.match(/\d+/)[0]}`);
    await look(staff, 'console-case');
    for (const field of await staff.locator('main form[action$="/evidence"] textarea, main form[action$="/evidence"] input[type=text]').all()) {
      await field.fill('Seen in the commercial register, HRB 4711, and on the site.');
    }
    for (const box of await staff.locator('main form[action$="/evidence"] input[type=checkbox]').all()) await box.check();
    await press(staff, 'Save evidence');
    for (const radio of await staff.locator('main form[action$="/decide"] input[type=radio][value=approve], main form[action$="/decide"] input[type=radio][value=approved]').all()) await radio.check();
    await press(staff, /^\s*Decide\s*$/, 'main form[action$="/decide"]');
    await must(staff, /Approved/, 'decided');
    await look(staff, 'console-decided');
    await go(developer, state.application);
    await must(developer, /Approved/, 'the developer sees it');
    await look(developer, 'application-approved');
    await go(developer, `${state.path}/scopes`);
    await press(developer, 'Switch on');
    await look(developer, 'scopes-on');
  },

  async 'the app is approved'() {
    await go(developer, `${state.path}/review`);
    await fill(developer, { explanation: 'Login Kit signs people in; the Data Portability API fetches their activity when they ask for it, and the app shows it to them alone.' });
    await look(developer, 'app-review');
    await press(developer, 'Submit for review');
    await must(developer, /In review/i, 'the app is in review');
    await go(developer, state.path);
    await look(developer, 'app-in-review');
    await go(staff, '/console/apps');
    await look(staff, 'console-apps');
    await press(staff, 'Clipkeeper');
    await press(staff, 'Take it');
    await look(staff, 'console-app');
    const outcome = staff.locator('main form[action$="/decide"] input[type=radio]').first();
    await outcome.check();
    await press(staff, /^\s*Decide\s*$/, 'main form[action$="/decide"]');
    await go(developer, state.path);
    await must(developer, 'the API answers in production', 'both are approved');
    await look(developer, 'app-live');
    state.key = (await text(developer)).match(/\baw[0-9a-z]{14,}\b/)?.[0] ?? world.admin('app', 'list').find(({ name }) => name === 'Clipkeeper').client_key;
  },

  async 'a person consents, and the archive comes'() {
    const person = await newPage('person', { javaScriptEnabled: false });
    const query = new URLSearchParams({ client_key: state.key, response_type: 'code', scope: ['user.info.basic', ...ALL].join(), redirect_uri: state.redirect, state: 'a state' });
    await go(person, `/v2/auth/authorize/?${query}`);
    await must(person, 'Sign in to Clips', 'the person is asked to sign in');
    await Promise.all([person.waitForURL(`${op.issuer}/**`), person.locator('a', { hasText: 'Sign in with Clips ID' }).click()]);
    await atProvider(person, 'anna');
    await must(person, 'Let Clipkeeper export your data from Clips?', 'one question');
    for (const box of await person.locator('input[type=checkbox][name=scope]').all()) await box.check();
    await Promise.all([person.waitForURL(`${site.base}/**`), person.click('[name=decision][value=allow]')]);
    const code = new URL(person.url()).searchParams.get('code');
    check.ok(code, 'back at the app with a code', person.url());
    const { token, document } = await fetchArchive({ key: state.key, secret: state.secret, code, redirectUri: state.redirect }, 'production');
    const watched = document?.['Your Activity']?.['Watch History']?.VideoList;
    check.ok(watched?.length > 0, 'it holds what Anna watched', Object.keys(document ?? {}));
    const seen = await newPage('the same person');
    await seen.context().addCookies(await person.context().cookies());
    await go(seen, '/connections');
    await must(seen, 'Clipkeeper', 'the person sees the app');
    await look(seen, 'connections');
    await go(seen, '/connections/sessions');
    await look(seen, 'sessions');
    await go(seen, '/connections');
    await Promise.all([seen.waitForNavigation(), seen.click('form:has(input[name=grant]) button')]);
    const after = await fetch(`${base}/v2/user/data/add/?fields=request_id`, { method: 'POST', body: '{}', headers: { authorization: `Bearer ${token.access_token}` } });
    check.equal(after.status, 401, 'withdrawn, the token is worth nothing');
    // Out again, here and at the provider.
    await Promise.all([seen.waitForURL(/end|session/), seen.locator('header button', { hasText: 'Sign out' }).click()]);
    await Promise.all([seen.waitForURL(`${base}/login`), seen.locator('button').first().click()]);
    await look(seen, 'sign-in');
    await go(seen, '/login/provider/callback?state=nonsense&code=nonsense');
    await look(seen, 'sign-in-stopped');
    await seen.context().close();
    await person.context().close();
  },
};

for (const [name, step] of Object.entries(steps)) {
  const { passed, failed } = check;
  let ended;
  try {
    await step();
  } catch (error) {
    ended = true;
    check.ok(false, `${name} ended early`, error.stack);
    for (const [who, page] of [['developer', developer], ['staff', staff]]) {
      console.log(`  ${who} at ${page.url()}: ${(await text(page).catch(() => '')).slice(0, 1200)}`);
    }
  }
  console.log(`  ${name}: ${check.passed - passed} ok${check.failed > failed ? `, ${check.failed - failed} FAILED` : ''}`);
  // What follows builds on it.
  if (ended) break;
}
const log = world.log();
check.ok(!log.includes('panicked'), 'nothing panicked');
check.ok(!log.includes('"level":"ERROR"'), 'nothing went wrong', log.split('\n').filter((line) => line.includes('"level":"ERROR"')).slice(0, 3));
for (const secret of [EMAIL, CONTACT, PASSWORD, 'eyJ', 'lnk.', state.secret ?? 'eyJ']) check.ok(!log.includes(secret), `the log does not hold ${secret}`);
await browser.close();
await world.stop();
check.finish('portal');
