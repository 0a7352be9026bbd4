// Runs every client of this folder against one server; each is a script of its own and can be run alone.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { certificate, startTls } from '../../lib.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const files = certificate();
const dev = await startTls(files);
let passed = 0;
let failed = 0;
for (const name of ['auth-core', 'arctic', 'openid-client', 'simple-oauth2']) {
  const env = { ...process.env, PORTWARD_DEV: JSON.stringify(dev), PORTWARD_TLS: JSON.stringify(files) };
  const { stdout, status } = spawnSync(process.execPath, ['--no-warnings', join(here, `${name}.mjs`)], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 120_000,
  });
  process.stdout.write(stdout.replace(/^/gm, '  ').trimEnd() + '\n');
  const [, good = 0, bad = 0] = stdout.match(/(\d+) passed, (\d+) failed\s*$/) ?? [];
  passed += Number(good);
  failed += Number(bad) || (status ? 1 : 0);
}
if (failed) console.log(`---- the server's log, its end ----\n${dev.log().split('\n').slice(-40).join('\n')}`);
await dev.stop();
rmSync(files.folder, { recursive: true, force: true });
console.log(`oauth-node: ${passed} passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
