import type { OrderOperator } from '../order.ts';
import type { Pattern } from '../pattern.ts';

/** Where something begins in the source. */
export interface Place {
  readonly offset: number;
}

/** A part of the source, by its offsets. */
export interface Span extends Place {
  /** Exclusive. */
  readonly end: number;
}

// --- values -----------------------------------------------------------------------------------------------

export interface FieldReference extends Span {
  readonly kind: 'field';
  readonly field: string;
  readonly side: 'value' | 'displayValue';
}

export type Literal =
  | (Span & { readonly kind: 'text'; readonly value: string })
  | (Span & { readonly kind: 'number'; readonly value: number })
  | (Span & { readonly kind: 'boolean'; readonly value: boolean })
  /** `null` and `empty`: one value, since ServiceNow has no null. */
  | (Span & { readonly kind: 'blank' });

export interface List extends Span {
  readonly kind: 'list';
  readonly items: readonly Literal[];
}

export type Value = FieldReference | Literal | List;

// --- conditions -------------------------------------------------------------------------------------------

/**
 * What may stand to the right of a field, once the types are known to fit. The field is always on the left: the
 * parser turns a comparison round that was written the other way.
 */
export type Comparison =
  | { readonly by: 'equality'; readonly negative: boolean; readonly with: Literal | FieldReference }
  | { readonly by: 'order'; readonly operator: OrderOperator; readonly with: Literal | FieldReference }
  | { readonly by: 'membership'; readonly negative: boolean; readonly items: readonly Literal[] }
  | {
      readonly by: 'pattern';
      readonly negative: boolean;
      readonly source: string;
      readonly pattern: Pattern;
    };

export type Condition =
  | (Place & { readonly kind: 'comparison'; readonly field: FieldReference; readonly comparison: Comparison })
  | (Place & { readonly kind: 'constant'; readonly value: boolean })
  | (Place & { readonly kind: 'not'; readonly operand: Condition })
  /** As many terms as were chained, so that a long chain is wide instead of deep. */
  | (Place & { readonly kind: 'all' | 'any'; readonly terms: readonly Condition[] });

export type Node = Value | Condition;

/** A record rather than a list, so that a new kind of condition is missed by the compiler if it is missing here. */
const CONDITION_KINDS: Readonly<Record<Condition['kind'], true>> = {
  comparison: true,
  constant: true,
  not: true,
  all: true,
  any: true,
};

export function isCondition(node: Node): node is Condition {
  return node.kind in CONDITION_KINDS;
}
