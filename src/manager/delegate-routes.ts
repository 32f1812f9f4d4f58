import { z } from 'zod';
import { enrolRequestSchema, enrolResponseSchema, type EnrolResponse } from '../protocol/enrolment.ts';
import { CONNECT_PATH, ENROLL_PATH, SUBPROTOCOL } from '../protocol/limits.ts';
import { parse, route, type Call, type Reply, type Route } from './api-route.ts';
import { WRONG_TOKEN, type EnrolRefusal, type Enrolment } from './enrolment.ts';
import { bearerToken, HttpProblem, readJson } from './http-io.ts';
import type { TaskSigner } from './task-signing.ts';

const MAX_ENROL_BYTES = 16_384;
const RETRY_AFTER_S = 5;

/** The two addresses of PROTOCOL.md, section 1, as plain HTTP sees them. */
export function delegateRoutes(enrolment: Enrolment, signer: TaskSigner | undefined): Route[] {
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
    ...(signer === undefined ? {} : { taskSigningKeys: { keys: [...signer.publicKeys] } }),
  };
  return { status: 201, body: answer };
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
