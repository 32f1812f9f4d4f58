import type { AuditFolder, ListedFile } from './folder.ts';

const SEGMENT_NAME = /^audit-(\d{10})\.ndjson$/;

/** The newest record that is safe on the disk, so that a start sees when the end of the log was cut off. */
export const HEAD_NAME = 'head.json';

export interface Segment extends ListedFile {
  readonly number: number;
}

export function segmentName(number: number): string {
  return `audit-${String(number).padStart(10, '0')}.ndjson`;
}

/** Oldest first. */
export async function listSegments(folder: AuditFolder): Promise<Segment[]> {
  return (await folder.list())
    .flatMap((file) => {
      const match = SEGMENT_NAME.exec(file.name);
      return match === null ? [] : [{ ...file, number: Number(match[1]) }];
    })
    .sort((a, b) => a.number - b.number);
}
