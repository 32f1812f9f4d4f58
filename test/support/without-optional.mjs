import { register } from 'node:module';

/**
 * Stands in the place of an installation without optional packages: with `--import`, a process finds none of them.
 * Everything else is resolved as ever.
 */
const hooks = `
export async function resolve(specifier, context, next) {
  if (/^@(?:aws-sdk|azure)\\/|^@opentelemetry\\/sdk/.test(specifier)) {
    throw Object.assign(new Error('Cannot find package ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' });
  }
  return await next(specifier, context);
}`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
