import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { isDateFormat, isTimeZone } from '../records/dates.ts';
import { misuse } from '../errors.ts';
import { valueOf, type Records, type Row } from '../records/store.ts';

/** After this many wrong passwords in a row the user is locked out. */
export const LOCK_OUT_AFTER = 5;

/** What an account has besides its `sys_user` record. */
export interface AccountSeed {
  readonly userName: string;
  readonly password: string;
  readonly roles: readonly string[];
  /** A second factor is asked for, which basic authentication can't give. */
  readonly mfa?: boolean;
}

export const userChangesSchema = z.strictObject({
  password: z.string().optional(),
  roles: z.array(z.string()).optional(),
  mfa: z.boolean().optional(),
  active: z.boolean().optional(),
  lockedOut: z.boolean().optional(),
  timeZone: z
    .string()
    .refine((name) => name === '' || isTimeZone(name), 'is not an IANA time zone')
    .optional(),
  dateFormat: z.string().refine(isDateFormat, 'is not a date format of the fake').optional(),
});

export type UserChanges = z.infer<typeof userChangesSchema>;

/** One account as a test or a person sees it. Never the password. */
export interface UserView {
  readonly userName: string;
  readonly sysId: string;
  readonly roles: readonly string[];
  readonly mfa: boolean;
  readonly active: boolean;
  readonly lockedOut: boolean;
  readonly timeZone: string;
  readonly dateFormat: string;
  /** Wrong passwords since the last right one. */
  readonly failedLogins: number;
  /** Wrong passwords since the start. */
  readonly failedLoginsEver: number;
}

interface Account {
  password: string;
  roles: readonly string[];
  mfa: boolean;
  failedLogins: number;
  failedLoginsEver: number;
}

/** Who may log in. What a `sys_user` record can hold stays there; only the rest is kept here. */
export class Accounts {
  readonly #records: Records;
  readonly #accounts = new Map<string, Account>();

  constructor(records: Records, seeds: readonly AccountSeed[]) {
    this.#records = records;
    for (const { userName, password, roles, mfa } of seeds) {
      this.#accounts.set(userName, {
        password,
        roles,
        mfa: mfa ?? false,
        failedLogins: 0,
        failedLoginsEver: 0,
      });
    }
  }

  list(): UserView[] {
    return [...this.#accounts.keys()].map((userName) => this.get(userName));
  }

  /** Throws an `invalid-input` error if there is no such user. */
  get(userName: string): UserView {
    const view = this.find(userName);
    if (view !== undefined) return view;
    throw misuse('fake-servicenow.unknown-user', `There is no user ${userName} in the fake instance.`);
  }

  find(userName: string): UserView | undefined {
    const row = this.#records.find('sys_user', 'user_name', userName);
    return row === undefined ? undefined : this.#view(row);
  }

  findBy(field: string, value: string): UserView | undefined {
    const row = value === '' ? undefined : this.#records.find('sys_user', field, value);
    return row === undefined ? undefined : this.#view(row);
  }

  update(userName: string, changes: UserChanges): UserView {
    const row = this.#records.require('sys_user', userName);
    const account = this.#account(userName);
    account.password = changes.password ?? account.password;
    account.roles = changes.roles ?? account.roles;
    account.mfa = changes.mfa ?? account.mfa;
    // An administrator who unlocks a user also starts the count anew.
    if (changes.lockedOut === false) account.failedLogins = 0;
    const stored = {
      active: changes.active?.toString(),
      locked_out: changes.lockedOut?.toString(),
      time_zone: changes.timeZone,
      date_format: changes.dateFormat,
    };
    for (const [name, value] of Object.entries(stored)) {
      if (value !== undefined) this.#records.update(row, { [name]: value }, 'admin');
    }
    return this.#view(row);
  }

  /** The user if the password is right and the user may log in. A wrong one counts towards the lock-out. */
  logIn(userName: string, password: string): UserView | undefined {
    const account = this.#accounts.get(userName);
    const user = this.find(userName);
    if (account === undefined || user === undefined) return undefined;
    if (!equalSecrets(account.password, password)) {
      account.failedLogins += 1;
      account.failedLoginsEver += 1;
      if (account.failedLogins >= LOCK_OUT_AFTER) this.update(userName, { lockedOut: true });
      return undefined;
    }
    if (!user.active || user.lockedOut) return undefined;
    account.failedLogins = 0;
    return user;
  }

  #account(userName: string): Account {
    const account = this.#accounts.get(userName);
    if (account !== undefined) return account;
    // A record without an account, such as a seeded person: nobody knows its password until one is set.
    const fresh = { password: '', roles: [], mfa: false, failedLogins: 0, failedLoginsEver: 0 };
    this.#accounts.set(userName, fresh);
    return fresh;
  }

  #view(row: Row): UserView {
    const userName = valueOf(row, 'user_name');
    const account = this.#accounts.get(userName);
    return {
      userName,
      sysId: valueOf(row, 'sys_id'),
      roles: account?.roles ?? [],
      mfa: account?.mfa ?? false,
      active: valueOf(row, 'active') === 'true',
      lockedOut: valueOf(row, 'locked_out') === 'true',
      timeZone: valueOf(row, 'time_zone'),
      dateFormat: valueOf(row, 'date_format'),
      failedLogins: account?.failedLogins ?? 0,
      failedLoginsEver: account?.failedLoginsEver ?? 0,
    };
  }
}

/** Hashed first because `timingSafeEqual` wants equal lengths. */
export function equalSecrets(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}
