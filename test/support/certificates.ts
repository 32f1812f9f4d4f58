import {
  createDevelopmentCertificate,
  type DevelopmentCertificate,
} from '../../src/dev/fake-identity/index.ts';

/** One certificate with its key for each name, in their order. Making keys takes a while: once for a suite. */
export async function certificatesFor<N extends readonly string[]>(
  ...commonNames: N
): Promise<{ [I in keyof N]: DevelopmentCertificate }>;
export async function certificatesFor(...commonNames: string[]): Promise<DevelopmentCertificate[]> {
  return await Promise.all(commonNames.map((commonName) => createDevelopmentCertificate({ commonName })));
}
