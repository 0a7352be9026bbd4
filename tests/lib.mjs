// What the Node suites share: a running `portward dev`, a private certificate and hosts mapping, a person who signs in by
// the forms of the pages, and a count of checks.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const CALLBACK = 'https://app.example/auth/callback/tiktok';
export const DESKTOP = 'http://127.0.0.1:*/callback/';
const HOSTS = ['www.tiktok.com', 'open.tiktokapis.com'];

export function binary() {
  const path = process.env.PORTWARD_BIN ?? resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/portward');
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`cargo build\` or ./test, or set PORTWARD_BIN`);
  return path;
}

/** Starts a server of one's own, `env` added to its environment; `stop()` ends it. */
export async function startDev(args = [], env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'portward-suite-'));
  const log = join(folder, 'stderr.log');
  const child = spawn(
    binary(),
    ['dev', '--json', '--listen', '127.0.0.1:0', '--ops-listen', '127.0.0.1:0', '--data-dir', join(folder, 'data'), ...args],
    { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', openSync(log, 'a')] },
  );
  const exit = once(child, 'exit');
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([line]) => line),
    exit.then(() => ''),
    new Promise((_, reject) => setTimeout(() => reject(new Error('not ready in two minutes')), 120_000).unref()),
  ]);
  if (!line) throw new Error(`portward dev ended:\n${readFileSync(log, 'utf8').slice(-4000)}`);
  const info = JSON.parse(line);
  return {
    ...info,
    base: info.base_url.replace(/\/$/, ''),
    log: () => readFileSync(log, 'utf8'),
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await exit;
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A certificate for the hosts that libraries have built in, signed by an authority made for this run. */
export function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'portward-tls-'));
  const at = (name) => join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Portward tests',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  const names = [...HOSTS, 'localhost'].map((host) => `DNS:${host}`).join(',');
  writeFileSync(at('ext'), `subjectAltName=${names},IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`);
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
    '-extfile', 'ext', '-out', 'server.pem');
  return { folder, ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key') };
}

/** As lines in /etc/hosts would, port included: the built-in hosts lead to this server; no other name leads anywhere. */
export function mapHosts(base, caFile) {
  const { hostname, port } = new URL(base);
  const ca = readFileSync(caFile);
  const { connect } = tls;
  tls.connect = (options, ...rest) => {
    const asked = options.servername || options.host || options.hostname;
    const own = HOSTS.includes(asked);
    if (!own && asked !== hostname && options.host !== hostname) throw new Error(`${asked} is not reached from a test`);
    return connect({ ...options, ca, host: hostname, hostname, port: own ? port : options.port }, ...rest);
  };
}

const unescape = (text) =>
  text.replace(/&(#x[0-9a-f]+|#\d+|amp|lt|gt|quot|apos);/gi, (whole, name) => {
    const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name.toLowerCase()];
    if (named) return named;
    return String.fromCodePoint(/^#x/i.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10));
  });

/** The forms of a page: action and named fields. Good enough for our own pages. */
export function forms(html) {
  const attributes = (tag) =>
    Object.fromEntries(
      [...tag.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)]
        .slice(1)
        .map(([, name, a, b, c]) => [name.toLowerCase(), unescape(a ?? b ?? c ?? '')]),
    );
  return [...html.matchAll(/<form\b[^>]*>[^]*?<\/form>/gi)].map(([form]) => ({
    action: attributes(form.match(/<form\b[^>]*>/i)[0]).action ?? '',
    fields: [...form.matchAll(/<(?:input|button)\b[^>]*>/gi)]
      .map(([tag]) => ({ type: /^<button/i.test(tag) ? 'submit' : 'text', value: '', ...attributes(tag) }))
      .filter((field) => field.name),
  }));
}

/** A person at a browser that knows forms, cookies and redirects. */
export class Person {
  constructor({ username, password }) {
    Object.assign(this, { username, password, cookies: new Map() });
  }

  async request(url, fields) {
    const headers = {};
    if (this.cookies.size) headers.cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    if (fields) headers.origin = new URL(url).origin;
    const body = fields && new URLSearchParams(fields);
    const response = await fetch(url, { method: fields ? 'POST' : 'GET', headers, body, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      if (value === '' || /max-age=0\b/i.test(cookie)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return { url, status: response.status, location: response.headers.get('location'), text: await response.text() };
  }

  /** Goes on until sent to the app or another origin; gives that address. `scopes` limits what is allowed. */
  async visit(address, { scopes, decision = 'allow' } = {}) {
    const { origin, searchParams } = new URL(address);
    const wanted = searchParams.get('redirect_uri');
    let page = await this.request(address);
    for (let step = 0; step < 12; step++) {
      if (page.location) {
        const to = new URL(page.location, page.url);
        if (to.origin !== origin || to.origin + to.pathname === wanted) return to;
        page = await this.request(to);
        continue;
      }
      const form = forms(page.text).find(({ fields }) => fields.some(({ name }) => name === 'password' || name === 'decision'));
      if (!form) throw new Error(`the journey ended at ${page.status} ${page.url}\n${page.text.slice(0, 2000)}`);
      const fields = form.fields.filter(({ type }) => type === 'hidden').map(({ name, value }) => [name, value]);
      if (form.fields.some(({ name }) => name === 'password')) {
        fields.push(['username', this.username], ['password', this.password]);
      } else {
        const boxes = form.fields.filter(({ type, name }) => type === 'checkbox' && name === 'scope');
        if (decision === 'allow') {
          for (const { value } of boxes) if (!scopes || scopes.includes(value)) fields.push(['scope', value]);
        }
        fields.push(['decision', decision]);
      }
      page = await this.request(new URL(form.action, page.url), fields);
    }
    throw new Error(`more than twelve steps from ${address}`);
  }
}

/** Counts checks; says each that fails. */
export class Checks {
  passed = 0;
  failed = 0;

  ok(condition, what, seen) {
    if (condition) this.passed++;
    else {
      this.failed++;
      console.log(`  FAIL ${what}${seen === undefined ? '' : `  -- ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`}`);
    }
    return Boolean(condition);
  }

  equal(seen, wanted, what) {
    return this.ok(seen === wanted, what, `${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
  }

  /** The call must reject, with something that the test accepts. */
  async rejects(call, accept, what) {
    try {
      const value = await call();
      this.ok(false, what, `no error but ${JSON.stringify(value)}`);
    } catch (error) {
      this.ok(accept(error), what, inspect(error, { depth: 1 }).slice(0, 1500));
    }
  }

  finish(name) {
    console.log(`${name}: ${this.passed} passed, ${this.failed} failed`);
    process.exitCode = this.failed || !this.passed ? 1 : 0;
  }
}

/** Frame of one client's script: a server over TLS (handed over by run.mjs, or started here), hosts mapped, a person. */
export async function client(name, body) {
  const check = new Checks();
  let own;
  let files = process.env.PORTWARD_TLS && JSON.parse(process.env.PORTWARD_TLS);
  let dev = process.env.PORTWARD_DEV && JSON.parse(process.env.PORTWARD_DEV);
  if (!dev) {
    files = certificate();
    dev = own = await startTls(files);
  }
  mapHosts(dev.base_url, files.ca);
  const person = new Person(dev.people.find(({ size }) => size === 'typical'));
  try {
    await body({ dev, base: dev.base_url.replace(/\/$/, ''), check, person, ca: readFileSync(files.ca) });
  } catch (error) {
    check.ok(false, `${name} ended early`, inspect(error, { depth: 3 }));
  } finally {
    await own?.stop();
  }
  check.finish(name);
}

export const startTls = (files) =>
  startDev(['--tls-cert', files.cert, '--tls-key', files.key, '--redirect-uri', CALLBACK, '--redirect-uri', DESKTOP]);

/** User info as every client reads it. */
export async function userInfo(base, token, fields = 'open_id,display_name') {
  const response = await fetch(`${base}/v2/user/info/?fields=${fields}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, json: await response.json() };
}
