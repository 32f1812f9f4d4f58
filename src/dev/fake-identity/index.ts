export {
  createDevelopmentCertificate,
  thumbprintOf,
  type DevelopmentCertificate,
  type DevelopmentCertificateOptions,
} from './development-certificates.ts';
export { startFakeAdfs, type FakeAdfs, type FakeAdfsOptions, type JournalEntry } from './fake-adfs.ts';
export type { Fault } from './faults.ts';
export type { ClientRegistration } from './registry.ts';
export type { AdfsProfile } from './token-endpoint.ts';
