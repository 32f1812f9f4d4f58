import type { z } from 'zod';
import { developmentError } from './errors.ts';

/** A JSON API for people who play: the manager's, or an admin plane of a fake. */
export class JsonApi {
  readonly #origin: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(origin: string, bearer?: string) {
    this.#origin = origin;
    this.#headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  }

  get<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> {
    return this.#call('GET', path, undefined, schema);
  }

  post<S extends z.ZodType>(path: string, body: unknown, schema: S): Promise<z.output<S>> {
    return this.#call('POST', path, body, schema);
  }

  async #call<S extends z.ZodType>(
    method: string,
    path: string,
    body: unknown,
    schema: S,
  ): Promise<z.output<S>> {
    const response = await fetch(this.#origin + path, {
      method,
      headers: { ...this.#headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw developmentError(
        'api-refused',
        `${method} ${path} was answered with HTTP ${response.status}: ${text}`,
        { status: response.status },
      );
    }
    return schema.parse(text === '' ? undefined : JSON.parse(text));
  }
}
