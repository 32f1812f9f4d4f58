export interface Page {
  /** Origin and path of the list. */
  readonly address: string;
  readonly search: URLSearchParams;
  readonly limit: number;
  readonly offset: number;
  /** Undefined when the count was not asked for: there is then no last page to point to. */
  readonly total: number | undefined;
  readonly pageIsFull: boolean;
}

/** `<…>;rel="first",<…>;rel="next",<…>;rel="last"`: the pages around this one. */
export function linkHeader({ address, search, limit, offset, total, pageIsFull }: Page): string {
  const lastOffset = total === undefined ? undefined : Math.floor(Math.max(0, total - 1) / limit) * limit;
  const hasNext = total === undefined ? pageIsFull : offset + limit < total;
  const pages: [rel: string, offset: number | undefined][] = [
    ['first', 0],
    ['prev', offset > 0 ? Math.max(0, offset - limit) : undefined],
    ['next', hasNext ? offset + limit : undefined],
    ['last', lastOffset],
  ];
  return pages
    .filter((page): page is [string, number] => page[1] !== undefined)
    .map(([rel, at]) => {
      const query = new URLSearchParams(search);
      query.set('sysparm_limit', String(limit));
      query.set('sysparm_offset', String(at));
      return `<${address}?${query.toString()}>;rel="${rel}"`;
    })
    .join(',');
}
