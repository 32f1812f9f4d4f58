import { forgetOldest } from '../../../kit/bounds.ts';
import { wrap } from '../../../kit/errors.ts';
import { untilAborted } from '../../../kit/flow.ts';
import type { Clock } from '../../../kit/time.ts';
import type { TaskContext } from '../../connector.ts';
import type { ServiceNowClient } from '../client.ts';
import { queryFor } from './batch.ts';
import type { TicketName } from './ticket-name.ts';

/** Long enough for the looks of one poll, short enough for whoever corrects the rights. */
const REMEMBERED_MS = 60_000;
/** Tables, by credentials. */
const MAX_REMEMBERED = 200;

interface Names {
  readonly names: Promise<readonly string[]>;
  readonly until: number;
}

/**
 * The names of the fields that a user can read of a table's tickets, to propose one for a name that it can't. Many
 * approvals may have the same mistake in them: they share one look.
 */
export class ReadableFields {
  readonly #clock: Clock;
  readonly #known = new Map<string, Names>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** None if the look fails: what is known already must not be hidden behind it. */
  async of(client: ServiceNowClient, ticket: TicketName, context: TaskContext): Promise<readonly string[]> {
    const key = `${client.identity} ${ticket.type}`;
    const known = this.#known.get(key);
    if (known !== undefined && this.#clock.monotonic() < known.until) {
      try {
        return await untilAborted(known.names, context.signal);
      } catch {
        context.signal.throwIfAborted();
        // The look of another task, which may have been cancelled with it; it has logged why.
        return [];
      }
    }
    const names = this.#look(client, ticket, context);
    this.#known.delete(key);
    this.#known.set(key, { names, until: this.#clock.monotonic() + REMEMBERED_MS });
    forgetOldest(this.#known, MAX_REMEMBERED);
    try {
      return await names;
    } catch (thrown) {
      if (this.#known.get(key)?.names === names) this.#known.delete(key);
      context.signal.throwIfAborted();
      context.log.info({ code: wrap(thrown).code }, 'no field names can be proposed');
      return [];
    }
  }

  async #look(
    client: ServiceNowClient,
    ticket: TicketName,
    context: TaskContext,
  ): Promise<readonly string[]> {
    const { rows } = await client.readTable(queryFor([{ ticket, fields: new Set() }]), context);
    return Object.keys(rows[0] ?? {});
  }
}
