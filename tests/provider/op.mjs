// A real OpenID provider, npm `oidc-provider`, in this process: with accounts whose claims can change, keys that can be rotated and a clock
// that can be wrong.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

export const SECRETS = { people: 'people-secret-of-some-length', staff: 'staff-secret-of-some-length' };

// What it says of being used in a test is known.
for (const level of ['info', 'warn']) {
  const say = console[level];
  console[level] = (...words) => /^oidc-provider/.test(words[0]) || say(...words);
}

const KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

const key = (alg) => ({ ...generateKeyPairSync(...KINDS[alg]).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() });

/** Starts it; `accounts` is what it knows of people, by what they type at its page. `open(base)` names the client's site. */
export async function startProvider(accounts) {
  const cookies = [randomUUID()];
  let handler = (request, response) => response.writeHead(503).end();
  let site, provider;
  const server = createServer((request, response) => handler(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Another host than the client's, so that their cookies stay apart.
  const issuer = `http://localhost:${server.address().port}`;
  const clock = Date.now;

  const client = (realm, alg, entrance, auth) => ({
    client_id: `portward-${realm}`,
    client_secret: SECRETS[realm],
    token_endpoint_auth_method: auth,
    id_token_signed_response_alg: alg,
    redirect_uris: [`${site}${entrance}/provider/callback`],
    post_logout_redirect_uris: [`${site}${entrance}`],
  });

  /** Begins anew with one key of this kind: every earlier key is gone, what people signed in to is not. */
  const rotate = (alg = 'RS256', keep = []) => {
    const keys = [key(alg), ...keep];
    provider = new Provider(issuer, {
      clients: [
        client('people', alg, '/login', 'client_secret_basic'),
        client('staff', alg, '/console/login', 'client_secret_post'),
      ],
      jwks: { keys },
      cookies: { keys: cookies },
      claims: {
        openid: ['sub'],
        profile: ['name', 'preferred_username', 'picture', 'birthdate'],
        email: ['email'],
        customer: ['customer', 'country'],
        roles: ['roles'],
      },
      scopes: ['openid', 'profile', 'email', 'customer', 'roles'],
      pkce: { required: () => true },
      ttl: { Session: 86_400, Grant: 86_400, Interaction: 3600, AccessToken: 600, AuthorizationCode: 60, IdToken: 600 },
      // Nobody is asked whether the operator's own gateway may know them.
      async loadExistingGrant(ctx) {
        const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
        grant.addOIDCScope('openid profile email customer roles');
        await grant.save();
        return grant;
      },
      findAccount: (ctx, login) =>
        accounts[login] && { accountId: login, claims: () => ({ sub: login, ...accounts[login] }) },
    });
    provider.on('server_error', (ctx, error) => console.log(`  the provider itself: ${error.stack}`));
    handler = provider.callback();
    return keys;
  };

  return {
    issuer,
    rotate,
    open(base) {
      site = base;
      rotate();
    },
    /** Its clock is so many seconds ahead. */
    ahead(seconds) {
      Date.now = seconds ? () => clock() + seconds * 1000 : clock;
    },
    /** Answers nothing but faults until it recovers. */
    fail() {
      handler = (request, response) => response.writeHead(500).end('stack trace');
    },
    recover() {
      handler = provider.callback();
    },
    close() {
      Date.now = clock;
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The settings of a server that signs people and staff in there, as variables of its environment. */
export function settings(op, more = {}) {
  const client = (realm, scopes) => ({
    [`PORTWARD__PROVIDER__${realm.toUpperCase()}__ISSUER`]: op.issuer,
    [`PORTWARD__PROVIDER__${realm.toUpperCase()}__CLIENT_ID`]: `portward-${realm}`,
    [`PORTWARD__PROVIDER__${realm.toUpperCase()}__CLIENT_SECRET`]: SECRETS[realm],
    [`PORTWARD__PROVIDER__${realm.toUpperCase()}__SCOPES`]: JSON.stringify(scopes),
    [`PORTWARD__PROVIDER__${realm.toUpperCase()}__NAME`]: 'Clips ID',
  });
  return {
    ...client('people', ['profile', 'customer']),
    ...client('staff', ['profile', 'email', 'roles']),
    PORTWARD__PROVIDER__STAFF__CLIENT_AUTH: 'client_secret_post',
    PORTWARD__PROVIDER__PEOPLE__CLAIMS__SUBJECT: 'customer',
    PORTWARD__PROVIDER__PEOPLE__CLAIMS__REGION: 'country',
    ...more,
  };
}
