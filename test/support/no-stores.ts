import type { StoreSettings } from '../../src/secrets/store-settings.ts';

/** What a delegate has that knows no store beyond its own folder and environment; it keeps nothing in memory. */
export const NO_STORES: StoreSettings = {
  cacheMs: 0,
  kubernetesDirectory: undefined,
  execFile: undefined,
  vault: undefined,
  aws: undefined,
  azure: undefined,
  gcp: undefined,
};
