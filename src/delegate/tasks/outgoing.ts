import type { Json, ToManager } from '../../protocol/messages.ts';

/** Takes secrets out of a text, or out of every text in a value. */
export interface Clean {
  readonly text: (text: string) => string;
  readonly json: (value: unknown) => Json;
}

type Result = Extract<ToManager, { type: 'task.result' }>;

/**
 * The frame without secrets: the last net before the socket. Only members that can hold anybody's text are looked at.
 * All others are words of the protocol, of this program or of the manager itself: a password `failed` must not make
 * every frame unreadable. A frame that is added to the protocol does not compile until it is answered here.
 */
export function withoutSecrets(frame: ToManager, clean: Clean): ToManager {
  switch (frame.type) {
    case 'hello': {
      const delegate = { ...frame.delegate, name: clean.text(frame.delegate.name) };
      return { ...frame, delegate, tags: frame.tags.map(clean.text) };
    }
    case 'task.reject':
      return { ...frame, message: clean.text(frame.message) };
    case 'task.progress': {
      const data = frame.data === undefined ? {} : { data: clean.json(frame.data) };
      return { ...frame, message: clean.text(frame.message), ...data };
    }
    case 'task.result':
      return cleanResult(
        { ...frame, delegate: { ...frame.delegate, name: clean.text(frame.delegate.name) } },
        clean,
      );
    case 'draining':
    case 'goodbye':
      return { ...frame, reason: clean.text(frame.reason) };
    case 'credit':
    case 'task.accept':
    case 'heartbeat':
      return frame;
    default:
      frame satisfies never;
      return frame;
  }
}

function cleanResult(frame: Result, clean: Clean): Result {
  if (frame.outcome === 'succeeded') return { ...frame, output: clean.json(frame.output) };
  return { ...frame, error: cleanError(frame.error, clean) };
}

function cleanError(
  error: Exclude<Result, { outcome: 'succeeded' }>['error'],
  clean: Clean,
): Exclude<Result, { outcome: 'succeeded' }>['error'] {
  const { hint, details } = error;
  return {
    ...error,
    message: clean.text(error.message),
    ...(hint === undefined ? {} : { hint: clean.text(hint) }),
    ...(details === undefined
      ? {}
      : {
          details: Object.fromEntries(
            Object.entries(details).map(([key, value]) => [clean.text(key), clean.json(value)]),
          ),
        }),
  };
}
