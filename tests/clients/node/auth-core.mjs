// Auth.js with its own TikTok provider, unchanged: it sends client_id beside client_key, and client_key twice over.
// It has no refresh or revoke of its own; its documentation does both by fetch in callbacks and events, as here.
import { Auth, skipCSRFCheck } from '@auth/core';
import TikTok from '@auth/core/providers/tiktok';
import { CALLBACK, client, userInfo } from '../../lib.mjs';

await client('auth-core', async ({ dev, check, person }) => {
  const api = 'https://open.tiktokapis.com';
  const form = (path, fields) =>
    fetch(`${api}${path}`, {
      method: 'POST',
      body: new URLSearchParams({ client_key: dev.client_key, client_secret: dev.client_secret, ...fields }),
    });
  const seen = {};
  const config = {
    basePath: '/auth',
    trustHost: true,
    secret: 'a secret of the app for its own cookies',
    skipCSRFCheck,
    logger: { error: (error) => (seen.error = error), warn() {}, debug() {} },
    providers: [TikTok({ clientId: dev.client_key, clientSecret: dev.client_secret })],
    callbacks: {
      async jwt({ token, account, profile }) {
        if (account) Object.assign(seen, { account, profile });
        return token;
      },
    },
    events: { signOut: () => form('/v2/oauth/revoke/', { token: seen.account.access_token }) },
  };
  const cookies = new Map();
  const call = async (url, init = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await Auth(new Request(url, { ...init, headers: { ...init.headers, cookie } }), config);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    return response;
  };
  const post = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'callbackUrl=/' };

  const start = await call('https://app.example/auth/signin/tiktok', post);
  const authorize = new URL(start.headers.get('location'));
  check.equal(authorize.host, 'www.tiktok.com', 'sent to the built-in host');
  const callback = await person.visit(authorize.href);
  check.equal(callback.origin + callback.pathname, CALLBACK, 'sent back to the app');
  const done = await call(callback.href);
  check.ok(done.status === 302 && !done.headers.get('location').includes('error'), 'signed in', [
    done.headers.get('location'),
    seen.error?.stack,
    String(seen.error?.cause?.err ?? ''),
  ]);
  check.equal(seen.account?.provider, 'tiktok', 'by the provider');
  const session = await (await call('https://app.example/auth/session')).json();
  check.ok(session?.user?.name, 'a session with the display name', session);

  check.equal((await userInfo(api, seen.account.access_token)).status, 200, 'the token works');
  const refreshed = await form('/v2/oauth/token/', { grant_type: 'refresh_token', refresh_token: seen.account.refresh_token });
  check.equal(refreshed.status, 200, 'refresh');
  Object.assign(seen.account, await refreshed.json());
  check.equal((await userInfo(api, seen.account.access_token)).status, 200, 'the new token works');
  await call('https://app.example/auth/signout', post);
  check.equal((await userInfo(api, seen.account.access_token)).status, 401, 'signing out revoked it');
});
