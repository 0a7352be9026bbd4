// openid-client knows only client_id, in the address and in the body, and is strict about everything an answer must be.
import * as oidc from 'openid-client';
import { CALLBACK, client } from '../../lib.mjs';

await client('openid-client', async ({ dev, base, check, person }) => {
  const config = new oidc.Configuration(
    {
      issuer: base,
      authorization_endpoint: `${base}/v2/auth/authorize/`,
      token_endpoint: `${base}/v2/oauth/token/`,
      revocation_endpoint: `${base}/v2/oauth/revoke/`,
    },
    dev.client_key,
    undefined,
    oidc.ClientSecretPost(dev.client_secret),
  );
  const info = (token) =>
    oidc.fetchProtectedResource(config, token, new URL(`${base}/v2/user/info/?fields=open_id,display_name`), 'GET');
  const signIn = async (scope) => {
    const verifier = oidc.randomPKCECodeVerifier();
    const state = oidc.randomState();
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope,
      state,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const callback = await person.visit(url.href);
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    return { callback, checks, tokens: await oidc.authorizationCodeGrant(config, callback, checks) };
  };

  // The library separates scopes by blanks, as RFC 6749 does.
  const { tokens } = await signIn('user.info.basic user.info.profile portability.all.single');
  check.ok(tokens.access_token.startsWith('act.'), 'an access token');
  check.equal(tokens.token_type.toLowerCase(), 'bearer', 'token type');
  check.equal(tokens.scope, 'user.info.basic,user.info.profile,portability.all.single', 'scope is one comma string');
  check.equal(tokens.expires_in, 7200, 'two hours');
  check.equal(tokens.refresh_expires_in, 15552000, 'the refresh token lives 180 days');
  check.ok(typeof tokens.open_id === 'string' && tokens.open_id.length < 250, 'open_id');
  const user = await (await info(tokens.access_token)).json();
  check.equal(user.data.user.open_id, tokens.open_id, 'user info is of the same person');

  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  check.ok(refreshed.refresh_token !== tokens.refresh_token, 'refresh rotates');
  check.equal(refreshed.open_id, tokens.open_id, 'and stays with the person');
  await oidc.tokenRevocation(config, refreshed.access_token, { token_type_hint: 'access_token' });
  await check.rejects(
    async () => {
      const response = await info(refreshed.access_token);
      if (response.status === 401) throw new Error('401');
      return response.status;
    },
    (error) => error.message === '401' || error.status === 401,
    'after revoke user info is 401',
  );

  const replay = await signIn('user.info.basic');
  const next = await oidc.refreshTokenGrant(config, replay.tokens.refresh_token);
  await check.rejects(
    () => oidc.refreshTokenGrant(config, replay.tokens.refresh_token),
    (error) => error.error === 'invalid_grant',
    'a used refresh token is invalid_grant',
  );
  await check.rejects(
    () => oidc.refreshTokenGrant(config, next.refresh_token),
    (error) => error.error === 'invalid_grant',
    'and ends its family',
  );

  const credentials = await oidc.clientCredentialsGrant(config);
  check.ok(credentials.access_token.startsWith('clt.'), 'a client token by client_credentials');
  await check.rejects(
    async () => oidc.authorizationCodeGrant(config, replay.callback, replay.checks),
    (error) => error.error === 'invalid_grant',
    'a used code is invalid_grant',
  );
});
