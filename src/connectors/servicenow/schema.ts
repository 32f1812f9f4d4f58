import { z } from 'zod';
import { parseAdfsUrl, parseInstanceUrl, parseTokenUrl } from './urls.ts';

/** Text that must not be empty, with a bound. */
const text = (maxLength: number): z.ZodString => z.string().min(1, 'must not be empty').max(maxLength);

/** A reference only; whether it is a good one is for the resolver to say, by its own rules. */
const secretReference = text(1_024);

function address<T>(parse: (typed: string) => T): z.ZodType<T> {
  return text(2_048).transform((typed, context) => {
    try {
      return parse(typed);
    } catch (invalid) {
      context.addIssue(invalid instanceof TypeError ? invalid.message : 'is not an address');
      return z.NEVER;
    }
  });
}

const usernamePassword = z.object({
  type: z.literal('UsernamePassword'),
  spec: z
    .object({
      username: text(256).optional(),
      usernameRef: secretReference.optional(),
      passwordRef: secretReference,
    })
    .superRefine((spec, context) => {
      if ((spec.username === undefined) === (spec.usernameRef === undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['username'],
          message:
            spec.username === undefined
              ? 'give either username or usernameRef'
              : 'give either username or usernameRef, not both',
        });
      }
    }),
});

const adfsClientCredentials = z.object({
  type: z.literal('AdfsClientCredentialsWithCertificate'),
  spec: z.object({
    resourceIdRef: secretReference,
    clientIdRef: secretReference,
    certificateRef: secretReference,
    privateKeyRef: secretReference,
    passphraseRef: secretReference.optional(),
    adfsUrl: address(parseAdfsUrl),
  }),
});

const refreshToken = z.object({
  type: z.literal('RefreshTokenGrantType'),
  spec: z.object({
    clientIdRef: secretReference,
    clientSecretRef: secretReference.optional(),
    refreshTokenRef: secretReference,
    tokenUrl: address(parseTokenUrl),
    scope: text(1_024).optional(),
    /** Which token of the answer is the bearer. */
    tokenType: z.enum(['access_token', 'id_token']).default('access_token'),
  }),
});

const authSchema = z.discriminatedUnion('type', [usernamePassword, adfsClientCredentials, refreshToken], {
  error: 'must be UsernamePassword, AdfsClientCredentialsWithCertificate or RefreshTokenGrantType',
});

/** A ServiceNow connector as it travels in a task's input: references, never values. Unknown keys are ignored. */
export const connectorSchema = z.object({
  name: text(128),
  identifier: z
    .string()
    .regex(
      /^[A-Za-z_][A-Za-z0-9_$]{0,127}$/,
      'must be letters, digits, "_" and "$", not beginning with a digit',
    ),
  type: z.literal('ServiceNow', { error: 'must be ServiceNow' }),
  spec: z.object({
    serviceNowUrl: address(parseInstanceUrl),
    auth: authSchema,
  }),
});

export type ConnectorSettings = z.output<typeof connectorSchema>;
export type AuthSettings = z.output<typeof authSchema>;
export type AuthType = AuthSettings['type'];
export type AuthOf<T extends AuthType> = Extract<AuthSettings, { type: T }>;
