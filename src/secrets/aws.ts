import PQueue from 'p-queue';
import * as z from 'zod';
import { AWS, connectAws, type AwsSecret } from './aws-client.ts';
import { lazily, withinBounds, type CloudOptions } from './cloud.ts';
import { awsOrigins, type AwsSettings } from './cloud-settings.ts';
import { secretError } from './errors.ts';
import { invalidLocator, secretNotFound, type Provider } from './provider.ts';
import { ShortMemory } from './short-memory.ts';

const NAME = /^[A-Za-z0-9/_+=.@-]{1,512}$/;
const ARN = /^arn:aws[a-z-]{0,16}:secretsmanager:([a-z0-9-]{1,32}):\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}$/;
const MEMBER = /^[A-Za-z0-9_.@ -]{1,128}$/;

const members = z.record(z.string(), z.unknown());

/**
 * `aws:name-or-arn` is the whole text of a secret, `aws:name-or-arn#member` one text of a secret that is a JSON object,
 * as the console makes them. The members of one secret come from one read, and so from one version. A binary secret is
 * given as base64, the form in which connectors take key stores.
 *
 * A member is written by writing the whole secret with it. Secrets Manager has no compare-and-set: writers of one
 * delegate go one after another, and nobody else should write such a secret.
 */
export function awsProvider(settings: AwsSettings, options: CloudOptions): Provider {
  const { cacheMs, ports } = options;
  const client = lazily(async () => await connectAws(settings, options));
  const memory = new ShortMemory<AwsSecret>({ store: AWS, clock: ports.clock, keepMs: cacheMs });
  const writes = new PQueue({ concurrency: 1 });
  return {
    async read(locator, signal) {
      const { id, member, reference } = parse(locator, settings);
      const { text, arn, version } = await memory.get(id, signal, async (ending) => ({
        // Whoever asks for another member hears of the same failure.
        value: await (await client()).read(id, `aws:${id}`, ending),
      }));
      const value = member === undefined ? text : memberOf(text, member, reference);
      return { value: withinBounds(value, reference), place: `${arn}, version ${version}` };
    },
    async write(locator, value, signal) {
      const { id, member, reference } = parse(locator, settings);
      const { secretsManager } = awsOrigins(settings);
      await writes.add(async () => {
        const aws = await client();
        const old = member === undefined ? '' : (await aws.read(id, reference, signal)).text;
        const next = member === undefined ? value : withMember(old, member, value, reference);
        ports.protect(value, [secretsManager]);
        // What is in the secret came from there, and goes back there; the old value may be a part of the new one.
        for (const text of [...textsOf(old), ...textsOf(next)]) ports.permit(text, [secretsManager]);
        try {
          await aws.write(id, next, reference, signal);
        } finally {
          memory.forget(id);
        }
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([memory[Symbol.asyncDispose](), writes.onIdle()]);
    },
  };
}

interface Place {
  readonly id: string;
  readonly member: string | undefined;
  /** As it is printed, once it is known to have the form of a name. */
  readonly reference: string;
}

function parse(locator: string, { region }: AwsSettings): Place {
  const hash = locator.indexOf('#');
  const id = hash === -1 ? locator : locator.slice(0, hash);
  const member = hash === -1 ? undefined : locator.slice(hash + 1);
  const [, regionOfArn] = ARN.exec(id) ?? [];
  if (regionOfArn === undefined && !NAME.test(id)) {
    throw invalidLocator('aws:…', 'give the name or the ARN of a secret');
  }
  if (member !== undefined && !MEMBER.test(member)) {
    throw invalidLocator('aws:…', 'after # stands the name of one member of the JSON object');
  }
  if (regionOfArn !== undefined && regionOfArn !== region) {
    throw invalidLocator(`aws:${id}`, `it is in ${regionOfArn}, and DELEGATE_AWS_REGION is ${region}`);
  }
  return { id, member, reference: `aws:${locator}` };
}

function memberOf(text: string, member: string, reference: string): string {
  const object = objectIn(text);
  if (object === undefined) throw noObject(reference);
  if (!Object.hasOwn(object, member)) {
    throw secretNotFound(
      reference,
      `The secret ${reference} does not exist: the JSON object in it has no such member.`,
      'Look at the keys of the secret; upper and lower case are not the same.',
    );
  }
  const value = object[member];
  if (typeof value === 'string') return value;
  throw secretError('secret-unreadable', `The secret ${reference} is no text in the JSON object.`, {
    hint: 'Store it in quotes: a number would lose its leading zeros.',
    details: { reference },
  });
}

function withMember(text: string, member: string, value: string, reference: string): string {
  const object = objectIn(text);
  if (object === undefined) throw noObject(reference);
  // What JavaScript can't count would come back changed.
  if (Object.values(object).some((one) => Number.isInteger(one) && !Number.isSafeInteger(one))) {
    throw secretError(
      'secret-unreadable',
      `The secret ${reference} stands beside a number too large to keep.`,
      {
        hint: 'Store the number in quotes.',
        details: { reference },
      },
    );
  }
  return JSON.stringify({ ...object, [member]: value });
}

/** The text, and each text in it if it is a JSON object. */
function textsOf(text: string): string[] {
  return [text, ...Object.values(objectIn(text) ?? {}).filter((one) => typeof one === 'string')];
}

/** No error of the parser goes on: it quotes what it could not read. */
function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    return members.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function noObject(reference: string): Error {
  return secretError(
    'secret-unreadable',
    `The secret ${reference} is no member of a JSON object: the secret holds none.`,
    {
      hint: 'Leave out what stands after #, or store the secret as key and value pairs.',
      details: { reference },
    },
  );
}
