// arctic has the hosts www.tiktok.com and open.tiktokapis.com built in, leaves out the trailing slash of authorize and
// sends a base64url challenge.
import * as arctic from 'arctic';
import { CALLBACK, client, userInfo } from '../../lib.mjs';

await client('arctic', async ({ dev, check, person }) => {
  const tiktok = new arctic.TikTok(dev.client_key, dev.client_secret, CALLBACK);
  const state = arctic.generateState();
  const verifier = arctic.generateCodeVerifier();
  const url = tiktok.createAuthorizationURL(state, verifier, ['user.info.basic', 'portability.activity.ongoing']);
  const callback = await person.visit(url.href);
  check.equal(callback.origin + callback.pathname, CALLBACK, 'sent back to the app');
  check.equal(callback.searchParams.get('state'), state, 'state comes back as sent');
  check.equal([...callback.searchParams.keys()].join(), 'code,scopes,state', 'code, scopes and state in that order');
  check.equal(callback.searchParams.get('scopes'), 'user.info.basic,portability.activity.ongoing', 'scopes granted');

  const code = callback.searchParams.get('code');
  const tokens = await tiktok.validateAuthorizationCode(code, verifier);
  check.ok(tokens.accessToken().startsWith('act.'), 'an access token');
  check.ok(tokens.hasRefreshToken() && tokens.refreshToken().startsWith('rft.'), 'a refresh token');
  check.equal(tokens.tokenType(), 'Bearer', 'token type');
  check.ok(tokens.accessTokenExpiresAt() > new Date(), 'an expiry');
  check.equal(tokens.data.scope, 'user.info.basic,portability.activity.ongoing', 'scope is one comma string');
  check.equal((await userInfo('https://open.tiktokapis.com', tokens.accessToken())).status, 200, 'user info');

  const refreshed = await tiktok.refreshAccessToken(tokens.refreshToken());
  check.ok(refreshed.accessToken() !== tokens.accessToken(), 'refreshing gives a new access token');
  check.ok(refreshed.refreshToken() !== tokens.refreshToken(), 'and a new refresh token');

  await tiktok.revokeToken(refreshed.accessToken());
  const after = await userInfo('https://open.tiktokapis.com', refreshed.accessToken());
  check.equal(after.status, 401, 'after revoke user info is 401');
  check.equal(after.json.error.code, 'access_token_invalid', 'with access_token_invalid');

  // Replays end their family, so they come last and on a grant of their own.
  const again = await person.visit(tiktok.createAuthorizationURL(state, verifier, ['user.info.basic']).href);
  const isInvalidGrant = (error) => error instanceof arctic.OAuth2RequestError && error.code === 'invalid_grant';
  const first = await tiktok.validateAuthorizationCode(again.searchParams.get('code'), verifier);
  await check.rejects(
    () => tiktok.validateAuthorizationCode(again.searchParams.get('code'), verifier),
    isInvalidGrant,
    'a used code is invalid_grant',
  );
  check.equal((await userInfo('https://open.tiktokapis.com', first.accessToken())).status, 401, 'and revokes what it gave');
});
