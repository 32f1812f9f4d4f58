/** What the URL of a list or a record asks for. */
export interface ReadParameters {
  /** The encoded query; '' if there is none. */
  readonly query: string;
  /** `field=value` pairs outside the `sysparm_` names. */
  readonly named: readonly (readonly [field: string, value: string])[];
  readonly display: 'false' | 'true' | 'all';
  readonly excludeLink: boolean;
  /** Values in a body are what a person would type. */
  readonly inputDisplay: boolean;
  /** Undefined: all fields. */
  readonly fields: readonly string[] | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly noCount: boolean;
  readonly suppressLink: boolean;
}

const DEFAULT_LIMIT = 10_000;

/** Undefined if `sysparm_limit` is not a positive integer, the one parameter that is refused instead of ignored. */
export function readParameters(search: URLSearchParams): ReadParameters | undefined {
  const limit = search.get('sysparm_limit');
  if (limit !== null && !/^0*[1-9]\d*$/.test(limit)) return undefined;
  const isTrue = (name: string): boolean => search.get(name) === 'true';
  const display = search.get('sysparm_display_value');
  const offset = search.get('sysparm_offset') ?? '';
  const fields = (search.get('sysparm_fields') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    query: search.get('sysparm_query') ?? '',
    named: [...search].filter(([name]) => !name.startsWith('sysparm_')),
    display: display === 'true' || display === 'all' ? display : 'false',
    excludeLink: isTrue('sysparm_exclude_reference_link'),
    inputDisplay: isTrue('sysparm_input_display_value'),
    fields: fields.length === 0 ? undefined : fields,
    limit: limit === null ? DEFAULT_LIMIT : Number(limit),
    offset: /^\d+$/.test(offset) ? Number(offset) : 0,
    noCount: isTrue('sysparm_no_count'),
    suppressLink: isTrue('sysparm_suppress_pagination_header'),
  };
}
