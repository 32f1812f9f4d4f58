import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';
import { enrolRequestSchema, enrolResponseSchema, type EnrolResponse } from '../protocol/enrolment.ts';
import { rotateKeyRequestSchema, rotateKeyResponseSchema } from '../protocol/key-rotation.ts';
import {
  CONNECT_PATH,
  ENROLL_PATH,
  ROTATE_KEY_PATH,
  ROTATE_KEY_TOKEN_TYPE,
  SUBPROTOCOL,
} from '../protocol/limits.ts';
import { parse, route, type Call, type Reply, type Route } from './api-route.ts';
import { WRONG_TOKEN, type EnrolRefusal, type Enrolment } from './enrolment.ts';
import { judgeConnectToken, type ConnectTokenRules } from './connect-token.ts';
import { proofFault } from './key-rotation.ts';
import { bearerToken, HttpProblem, readJson } from './http-io.ts';
import type { TaskSigner } from './task-signing.ts';

const MAX_ENROL_BYTES = 16_384;
const RETRY_AFTER_S = 5;

/** The addresses that delegates ask (PROTOCOL.md, section 1), as plain HTTP sees them. */
export function delegateRoutes(
  enrolment: Enrolment,
  signer: TaskSigner | undefined,
  tokenRules: ConnectTokenRules,
): Route[] {
  return [
    {
      ...route({
        method: 'POST',
        path: ENROLL_PATH,
        access: 'enrolment-token',
        summary: 'Enrol a delegate: its public key for an identity',
        replies: { 201: enrolResponseSchema },
        handle: (call) => enrol(call, enrolment, signer),
      }),
      // Read by the handler itself, after the token: a stranger's body is not worth the parsing.
      body: enrolRequestSchema,
    },
    {
      ...route({
        method: 'POST',
        path: ROTATE_KEY_PATH,
        access: 'connect-token',
        summary: "Replace a delegate's key by another that it holds",
        replies: { 200: rotateKeyResponseSchema },
        handle: (call) => rotateKey(call, enrolment, tokenRules),
      }),
      body: rotateKeyRequestSchema,
    },
    route({
      method: 'GET',
      path: CONNECT_PATH,
      access: 'connect-token',
      summary: `Connect a delegate: WebSocket upgrade with the sub-protocol ${SUBPROTOCOL}`,
      replies: { 101: undefined, 426: z.unknown() },
      handle: () => {
        throw new HttpProblem(426, 'upgrade-required', 'This address is a WebSocket.', {
          headers: { upgrade: 'websocket' },
        });
      },
    }),
  ];
}

async function enrol(
  { request }: Call,
  enrolment: Enrolment,
  signer: TaskSigner | undefined,
): Promise<Reply> {
  const address = request.socket.remoteAddress ?? '';
  const throttled = enrolment.throttled(address);
  if (throttled !== undefined) throw toProblem(throttled);
  const token = enrolment.recognise(bearerToken(request), address);
  if (token === undefined) {
    throw toProblem({ kind: 'refused', status: 401, code: 'bad-enrolment-token', message: WRONG_TOKEN });
  }
  const body = parse(enrolRequestSchema, await readJson(request, MAX_ENROL_BYTES));
  const judgement = await enrolment.enrol(token, body);
  if (judgement.kind === 'refused') throw toProblem(judgement);
  const answer: EnrolResponse = {
    delegateId: judgement.delegate.delegateId,
    ...(signer === undefined ? {} : { taskSigningKeys: taskSigningKeysOf(signer) }),
  };
  return { status: 201, body: answer };
}

async function rotateKey({ request }: Call, enrolment: Enrolment, rules: ConnectTokenRules): Promise<Reply> {
  const token = bearerToken(request) ?? '';
  const judgement = await judgeConnectToken(token, rules, ROTATE_KEY_TOKEN_TYPE);
  if (judgement.kind === 'refused') {
    const { status, code, message } = judgement;
    throw toProblem({ kind: 'refused', status, code, message });
  }
  const { delegate, keyId: replaces } = judgement;
  // The one that waits has yet to show that it can connect; until then it replaces nothing.
  if (replaces !== delegate.thumbprint) {
    throw toProblem({
      kind: 'refused',
      status: 401,
      code: 'bad-connect-token',
      message: 'The connect token was refused: its key has not connected yet.',
    });
  }
  const { publicKey, proof } = parse(rotateKeyRequestSchema, await readJson(request, MAX_ENROL_BYTES));
  const { kty, crv, x } = publicKey;
  const keyId = await calculateJwkThumbprint({ kty, crv, x });
  const { delegateId } = delegate;
  const fault = await proofFault(proof, { delegateId, replaces, keyId, publicKey }, rules);
  if (fault !== undefined) {
    throw new HttpProblem(400, 'bad-key-proof', `The proof of the new key was refused: ${fault}.`);
  }
  // Read again: it may have been replaced, or revoked, while the proof was checked.
  if (enrolment.delegateByThumbprint(replaces)?.revokedAt !== null) {
    throw new HttpProblem(409, 'key-was-replaced', 'The key was replaced, or revoked, meanwhile.');
  }
  if (!enrolment.awaitKey(delegateId, publicKey, keyId)) {
    throw new HttpProblem(409, 'key-of-another', 'The new key is that of another delegate.');
  }
  return { status: 200, body: { keyId } };
}

function taskSigningKeysOf({ published }: TaskSigner): NonNullable<EnrolResponse['taskSigningKeys']> {
  return { ...published, keys: [...published.keys] };
}

function toProblem(refusal: EnrolRefusal): HttpProblem {
  const { status, code, message, retryAfterMs } = refusal;
  const retryAfterS = retryAfterMs === undefined ? RETRY_AFTER_S : Math.ceil(retryAfterMs / 1000);
  const headers: Record<string, string> =
    status === 429 || status === 503
      ? { 'retry-after': String(retryAfterS) }
      : status === 401
        ? { 'www-authenticate': 'Bearer' }
        : {};
  return new HttpProblem(status, code, message, { headers });
}
