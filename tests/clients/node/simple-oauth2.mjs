// simple-oauth2 is configured by host and paths, names its parameters as told, and sends no PKCE.
import https from 'node:https';
import { AuthorizationCode, ClientCredentials } from 'simple-oauth2';
import { CALLBACK, client, userInfo } from '../../lib.mjs';

await client('simple-oauth2', async ({ dev, base, check, person, ca }) => {
  const options = {
    client: { id: dev.client_key, secret: dev.client_secret, idParamName: 'client_key', secretParamName: 'client_secret' },
    auth: {
      tokenHost: base,
      tokenPath: '/v2/oauth/token/',
      revokePath: '/v2/oauth/revoke/',
      authorizePath: '/v2/auth/authorize/',
    },
    options: { authorizationMethod: 'body', bodyFormat: 'form', scopeSeparator: ',' },
    http: { agent: new https.Agent({ ca }) },
  };
  const app = new AuthorizationCode(options);
  const url = app.authorizeURL({
    redirect_uri: CALLBACK,
    scope: ['user.info.basic', 'portability.directmessages.single', 'portability.activity.single'],
    state: 's',
  });
  // The person grants a part of what was asked.
  const callback = await person.visit(url, { scopes: ['portability.activity.single'] });
  check.equal(callback.searchParams.get('scopes'), 'user.info.basic,portability.activity.single', 'the granted part');
  const token = await app.getToken({ code: callback.searchParams.get('code'), redirect_uri: CALLBACK });
  check.equal(token.token.scope, 'user.info.basic,portability.activity.single', 'is the scope of the token');
  check.ok(!token.expired(), 'the token is alive');
  check.equal((await userInfo(base, token.token.access_token)).status, 200, 'user info');

  const refreshed = await token.refresh();
  check.ok(refreshed.token.access_token !== token.token.access_token, 'refresh gives a new token');
  await check.rejects(
    () => token.refresh(),
    (error) => error.data?.payload?.error === 'invalid_grant',
    'the old refresh token is invalid_grant',
  );

  const second = await person.visit(url);
  const fresh = await app.getToken({ code: second.searchParams.get('code'), redirect_uri: CALLBACK });
  await fresh.revoke('access_token');
  check.equal((await userInfo(base, fresh.token.access_token)).status, 401, 'revoked');
  await check.rejects(() => fresh.refresh(), (error) => error.data?.payload?.error === 'invalid_grant', 'with its refresh token');

  const { authorizePath, ...auth } = options.auth;
  const own = await new ClientCredentials({ ...options, auth }).getToken({});
  check.ok(own.token.access_token.startsWith('clt.'), 'a client token');

  const denied = await person.visit(url, { decision: 'deny' });
  check.equal(denied.searchParams.get('error'), 'access_denied', 'a denial');
  check.equal(denied.searchParams.get('error_description'), 'user cancelled the authorization', 'in exactly these words');
  check.equal(denied.searchParams.get('state'), 's', 'with the state');
});
