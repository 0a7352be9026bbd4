// Everything around a gateway that serves in earnest: a name server, a site over TLS, a mail server, an OpenID provider, the operator's
// database, and `portward serve` with a configuration written for it.

import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { SMTPServer } from 'smtp-server';
import { ROOT, binary } from '../lib.mjs';
import { SECRETS, startProvider } from '../provider/op.mjs';

/** A name server that knows the hosts it is told; `records[name]` are its addresses. */
export async function startNames(records) {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const labels = [];
    let at = 12;
    while (question[at]) {
      labels.push(question.toString('latin1', at + 1, at + 1 + question[at]).toLowerCase());
      at += question[at] + 1;
    }
    const end = at + 5;
    const [type, known] = [question.readUInt16BE(at + 1), records[labels.join('.')]];
    const answers = type === 1 ? (known ?? []) : [];
    const head = Buffer.alloc(12);
    question.copy(head, 0, 0, 2);
    // An answer, recursion available; a name that is not known does not exist.
    head.writeUInt16BE(0x8180 | (known ? 0 : 3), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    const rows = answers.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)]));
    socket.send(Buffer.concat([head, question.subarray(12, end), ...rows]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}

/** A site over TLS for one host; `pages[path]` is its HTML. */
export async function startSite(host, folder) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Portward tests',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign');
  openssl('req', ...key, '-keyout', 'site.key', '-out', 'site.csr', '-subj', `/CN=${host}`);
  writeFileSync(join(folder, 'ext'), `subjectAltName=DNS:${host}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`);
  openssl('x509', '-req', '-in', 'site.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'site.pem');
  const pages = {};
  const seen = [];
  const server = createServer({ cert: readFileSync(join(folder, 'site.pem')), key: readFileSync(join(folder, 'site.key')) }, (request, response) => {
    const { pathname } = new URL(request.url, 'https://x');
    seen.push(pathname);
    const page = pages[pathname];
    response.writeHead(page === undefined ? 404 : 200, { 'content-type': pathname.endsWith('.txt') ? 'text/plain' : 'text/html; charset=utf-8' });
    response.end(page ?? '<!doctype html><html lang="en"><title>Not here</title><h1>Not here</h1>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `https://${host}:${server.address().port}`;
  return { base, pages, seen, ca: join(folder, 'ca.pem'), close: () => (server.close(), server.closeAllConnections()) };
}

/** What a part of a mail says, as it was written. */
function decoded(part) {
  const [head, ...rest] = part.split(/\r?\n\r?\n/);
  const body = rest.join('\n\n');
  const encoding = head.match(/content-transfer-encoding:\s*(\S+)/i)?.[1]?.toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  if (encoding !== 'quoted-printable') return body;
  const bytes = body.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** A mail server that keeps what it is given. */
export async function startMail() {
  const mails = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, session, done) {
      const pieces = [];
      stream.on('data', (piece) => pieces.push(piece));
      stream.on('end', () => {
        const raw = Buffer.concat(pieces).toString('latin1');
        const boundary = raw.match(/boundary="?([^";\r\n]+)/i)?.[1];
        const parts = boundary ? raw.split(`--${boundary}`) : [raw];
        const part = (type) => parts.find((it) => new RegExp(`content-type:\\s*${type}`, 'i').test(it.split(/\r?\n\r?\n/)[0]));
        const subject = raw.match(/^subject:\s*(.*(?:\r?\n[ \t].*)*)/im)?.[1] ?? '';
        const to = session.envelope.rcptTo.map(({ address }) => address);
        mails.push({ to, subject, text: decoded(part('text/plain') ?? ''), html: decoded(part('text/html') ?? '') });
        done();
      });
    },
  });
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: server.server.address().port,
    mails,
    /** Waits for the next mail to somebody that holds a link of this kind; each is given once. */
    async link(to, part, seconds = 30) {
      for (let tenth = 0; tenth < seconds * 10; tenth++) {
        for (const mail of mails) {
          const found = mail.to.includes(to) && !mail.taken && mail.text.match(new RegExp(`https?://\\S*${part}\\S*`))?.[0];
          if (found) {
            mail.taken = true;
            return { address: found, mail };
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`no mail to ${to} with ${part}; there are ${JSON.stringify(mails.map(({ to, subject }) => [to, subject]))}`);
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** A PDF with a page for each text. */
export function pdf(...pages) {
  const objects = ['<< /Type /Catalog /Pages 2 0 R >>', ''];
  const font = '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>';
  objects.push(font);
  const kids = [];
  for (const page of pages) {
    const lines = page.match(/.{1,80}(\s|$)/g).map((line) => `(${line.trim().replace(/[()\\]/g, '\\$&')}) Tj T*`);
    const stream = `BT /F1 12 Tf 50 760 Td 16 TL ${lines.join(' ')} ET`;
    objects.push(`<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`);
    const content = objects.length;
    objects.push(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents ${content} 0 R /Resources << /Font << /F1 3 0 R >> >> >>`);
    kids.push(`${objects.length} 0 R`);
  }
  objects[1] = `<< /Type /Pages /Count ${kids.length} /Kids [${kids.join(' ')}] >>`;
  let text = '%PDF-1.7\n';
  const at = objects.map((object, index) => {
    const start = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return start;
  });
  const xref = text.length;
  const rows = at.map((start) => `${String(start).padStart(10, '0')} 00000 n \n`).join('');
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(text, 'latin1');
}

/** A square PNG of one colour. */
export function png(side, [red, green, blue]) {
  const table = Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });
  const crc = (bytes) => (bytes.reduce((sum, byte) => table[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
  const chunk = (name, data) => {
    const whole = Buffer.concat([Buffer.from(name), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc(whole));
    return Buffer.concat([length, whole, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.from(Array.from({ length: side }, () => [red, green, blue]).flat())]);
  const body = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', body), chunk('IEND', Buffer.alloc(0))]);
}

/** Starts all of it. `accounts` is what the OpenID provider knows; `host` is the developer's. */
export async function startWorld({ accounts, host }) {
  const folder = mkdtempSync(join(tmpdir(), 'portward-portal-'));
  const [names, mail, site, op] = await Promise.all([
    startNames({ [host]: ['127.0.0.1'] }),
    startMail(),
    startSite(host, folder),
    startProvider(accounts),
  ]);
  // The operator's own database and catalogue: the made-up platform's.
  execFileSync(binary(), ['demo-data', '--out', join(folder, 'clips.db'), '--heavy-rows', '2000'], { stdio: 'ignore' });
  const catalogue = join(ROOT, 'server/src/demo/catalog');
  copyFileSync(join(catalogue, 'catalog.toml'), join(folder, 'catalog.toml'));
  mkdirSync(join(folder, 'sections'));
  cpSync(join(catalogue, 'sections'), join(folder, 'sections'), { recursive: true });
  const client = (realm, scopes) => `
[provider.${realm}]
issuer = "${op.issuer}"
client_id = "portward-${realm}"
client_secret = "${SECRETS[realm]}"
name = "Clips ID"
scopes = ${JSON.stringify(scopes)}
`;
  writeFileSync(join(folder, 'portward.toml'), `
[server]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
[log]
format = "json"
[brand]
name = "Clips"
[catalog]
file = "catalog.toml"
[jobs]
poll = "200 ms"
[mail]
host = "127.0.0.1"
port = ${mail.port}
tls = "none"
from = "Clips <no-reply@clips.example>"
[ownership]
resolvers = ["${names.address}"]
allow = ["127.0.0.0/8", "${host}"]
[sandbox]
heavy_rows = 2000
${client('people', ['profile', 'customer'])}
[provider.people.claims]
subject = "customer"
region = "country"
${client('staff', ['profile', 'email', 'roles'])}client_auth = "client_secret_post"
`);
  const log = join(folder, 'stderr.log');
  const child = spawn(binary(), ['serve', '--config', 'portward.toml'], {
    cwd: folder,
    // The authority of the developer's site, beside nobody else's.
    env: { ...process.env, SSL_CERT_FILE: site.ca },
    stdio: ['ignore', 'ignore', openSync(log, 'a')],
  });
  const exit = once(child, 'exit');
  const told = () => readFileSync(log, 'utf8');
  const serving = () => told().split('\n').find((line) => line.includes('"message":"serving"'));
  for (let tenth = 0; !serving() && child.exitCode === null && tenth < 600; tenth++) await new Promise((resolve) => setTimeout(resolve, 100));
  if (!serving()) throw new Error(`portward serve does not serve:\n${told().slice(-4000)}`);
  const base = JSON.parse(serving()).url;
  op.open(base);
  return {
    base,
    folder,
    mail,
    site,
    op,
    log: told,
    admin: (...args) => JSON.parse(execFileSync(binary(), ['admin', '--json', '--config', join(folder, 'portward.toml'), ...args], { encoding: 'utf8' })),
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await exit;
      clearTimeout(timer);
      op.close();
      names.close();
      site.close();
      await mail.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
