/** `YY.MM.BUILD`: the build number only ever grows, across years and months. */
export const VERSION_PATTERN = /^\d{2}\.\d{2}\.\d{1,9}$/;

/** The build number of a version such as `26.11.90100`; undefined if it is not one. */
export function buildNumber(version: string): number | undefined {
  return VERSION_PATTERN.test(version) ? Number(version.slice(6)) : undefined;
}
