import { invalidLocator, secretNotFound, type Provider } from './provider.ts';

/** What stands before every name, so that a reference reaches nothing else of the environment. */
const SECRET_VARIABLE_PREFIX = 'DELEGATE_SECRET_';

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** `env:NAME` reads the variable `DELEGATE_SECRET_NAME`. A change would end with the process, so there is none. */
export function envProvider(environment: Readonly<Record<string, string | undefined>>): Provider {
  return {
    read(locator) {
      const reference = `env:${locator}`;
      if (!NAME.test(locator)) {
        return Promise.reject(invalidLocator('env:…', 'a name has letters, digits and underscores only'));
      }
      const variable = SECRET_VARIABLE_PREFIX + locator;
      const value = Object.hasOwn(environment, variable) ? environment[variable] : undefined;
      if (value === undefined) {
        return Promise.reject(
          secretNotFound(
            reference,
            `The secret ${reference} is not set on this delegate.`,
            `Set the environment variable ${variable} and restart the delegate.`,
          ),
        );
      }
      return Promise.resolve({ value, place: `variable ${variable}` });
    },
    write: undefined,
  };
}
