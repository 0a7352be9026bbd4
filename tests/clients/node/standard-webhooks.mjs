// Verifies the calls given on standard input with the reference library for Node, and that a changed one is refused.
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

const { secret, calls } = JSON.parse(await text(process.stdin));
const webhook = new Webhook(secret);
let verified = 0;
let refused = 0;
for (const [headers, body] of calls) {
  webhook.verify(body, headers);
  verified += 1;
  try {
    webhook.verify(`${body} `, headers);
  } catch {
    refused += 1;
  }
}
console.log(`${verified} verified, ${refused} refused`);
