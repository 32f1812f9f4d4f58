import { nearNames } from '../near-names.ts';
import { MAX_PATTERNS } from '../pattern.ts';
import { clip, isBlank, quoted } from '../text.ts';
import { isFieldName, MAX_FIELD_NAME_CHARS } from '../ticket.ts';
import {
  isCondition,
  type Condition,
  type FieldReference,
  type List,
  type Literal,
  type Node,
  type Place,
  type Span,
  type Value,
} from './ast.ts';
import { comparison, COMPARISON_OPERATORS, isEmpty, type ComparisonOperator } from './comparison.ts';
import { ExpressionError } from './errors.ts';
import { tokenize, type Punctuator, type Token } from './lexer.ts';

/** An expression that was understood: every reference is well-formed, every type fits, every pattern compiles. */
export interface Expression {
  readonly source: string;
  readonly root: Condition;
  /** Names of all fields in it. */
  readonly fields: ReadonlySet<string>;
}

export const MAX_EXPRESSION_CHARS = 8_192;

/** Bound on parentheses, wrappers and negations inside each other; parser and evaluator recurse that deep. */
export const MAX_NESTING = 64;

/**
 * Parses and checks an expression of the language in docs/expressions.md. Takes time proportional to its length
 * and runs nothing.
 *
 * @throws ExpressionError and nothing else
 */
export function parseExpression(source: string): Expression {
  if (source.length > MAX_EXPRESSION_CHARS) {
    const problem = `the expression is longer than ${MAX_EXPRESSION_CHARS} characters`;
    throw new ExpressionError(source, MAX_EXPRESSION_CHARS, problem);
  }
  if (isBlank(source)) throw new ExpressionError(source, 0, 'the expression is blank');
  return parseTokens(source, tokenize(source));
}

/** `parseExpression` after the lexer and the bounds; each token is looked at a bounded number of times. */
export function parseTokens(source: string, tokens: readonly Token[]): Expression {
  return new Parser(source, tokens).parse();
}

/** Binding powers: an operator takes what stands between it and the next operator of no greater power. */
const OR_POWER = 1;
const AND_POWER = 2;
const COMPARISON_POWER = 3;

const SIDES = ['value', 'displayValue'] as const;

const KEYWORDS = ['and', 'or', 'not', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'true', 'false', 'null', 'empty'];

/** Top-down operator precedence (Pratt): one function for all binary operators, told apart by their powers. */
class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  readonly #fields = new Set<string>();
  #position = 0;
  #depth = 0;
  #patterns = 0;
  #openWrappers = 0;

  constructor(source: string, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  parse(): Expression {
    const node = this.#expression(0);
    const rest = this.#next();
    if (rest.kind !== 'end') {
      this.#fail(rest, `${this.#text(rest)} is not expected here; an operator is missing`);
    }
    const root = this.#condition(node);
    return { source: this.#source, root, fields: this.#fields };
  }

  #expression(minPower: number): Node {
    let left = this.#operand();
    for (;;) {
      const operator = this.#peekOperator();
      if (operator === undefined) return left;
      if (operator === '&&' || operator === '||') {
        const power = operator === '&&' ? AND_POWER : OR_POWER;
        if (power <= minPower) return left;
        left = this.#chain(operator, power, left);
      } else {
        if (COMPARISON_POWER <= minPower) return left;
        this.#next();
        const right = this.#value(this.#expression(COMPARISON_POWER));
        if (operator === '=~' || operator === '!~') this.#countPattern(right);
        left = comparison(this.#source, this.#value(left), operator, right);
      }
    }
  }

  #countPattern(right: Value): void {
    if (right.kind !== 'text') return;
    this.#patterns += 1;
    if (this.#patterns <= MAX_PATTERNS) return;
    const problem = `the expression has more than ${MAX_PATTERNS} patterns; use lists, or one pattern with |`;
    throw new ExpressionError(this.#source, right.offset, problem);
  }

  #chain(operator: '&&' | '||', power: number, first: Node): Condition {
    const terms = [this.#condition(first)];
    while (this.#peekOperator() === operator) {
      this.#next();
      terms.push(this.#condition(this.#expression(power)));
    }
    const kind = operator === '&&' ? 'all' : 'any';
    return { kind, terms, offset: first.offset };
  }

  #operand(): Node {
    const token = this.#next();
    if (token.kind === 'text') return this.#unwrappedText(token);
    if (token.kind === 'number') return token;
    if (token.kind === 'word') return this.#word(token);
    if (token.kind === 'end') {
      return this.#fail(token, 'the expression ends where a field or a value is expected');
    }
    if (token.symbol === '[') return this.#list(token);
    if (token.symbol === '(') return this.#nested(token, () => this.#closed(token, this.#expression(0), ')'));
    if (token.symbol === '<+') return this.#nested(token, () => this.#wrapped(token));
    if (token.symbol === '!') return this.#nested(token, () => this.#negation(token));
    return this.#fail(token, `${this.#text(token)} is not expected here; a field or a value is`);
  }

  // --- what brackets hold ---------------------------------------------------------------------------------

  #nested(token: Token, parse: () => Node): Node {
    this.#depth += 1;
    if (this.#depth > MAX_NESTING) {
      this.#fail(token, `the expression is nested deeper than ${MAX_NESTING} levels`);
    }
    const node = parse();
    this.#depth -= 1;
    return node;
  }

  #closed<N extends Node>(opening: Token, node: N, closing: Punctuator): N {
    const token = this.#next();
    if (token.kind === 'symbol' && token.symbol === closing) return node;
    return this.#fail(token, `"${closing}" is expected here, to close ${this.#text(opening)}`);
  }

  #wrapped(opening: Token): Node {
    this.#openWrappers += 1;
    const node = this.#expression(0);
    this.#openWrappers -= 1;
    return this.#closed(opening, node, '>');
  }

  #negation(token: Token): Condition {
    const operand = this.#operand();
    if (operand.kind === 'field') {
      this.#fail(operand, `put parentheses around the comparison that ${this.#text(token)} shall negate`);
    }
    return { kind: 'not', operand: this.#condition(operand), offset: token.offset };
  }

  #list(opening: Token): List {
    const items: Literal[] = [];
    for (;;) {
      items.push(this.#listItem());
      const token = this.#next();
      if (token.kind === 'symbol' && token.symbol === ',') continue;
      if (token.kind === 'symbol' && token.symbol === ']') {
        return { kind: 'list', items, offset: opening.offset, end: token.end };
      }
      this.#fail(token, '"," or "]" is expected here, in the list');
    }
  }

  #listItem(): Literal {
    const token = this.#next();
    if (token.kind === 'text') return this.#unwrappedText(token);
    if (token.kind === 'number') return token;
    const literal = token.kind === 'word' ? literalOf(token) : undefined;
    return literal ?? this.#fail(token, 'a list holds texts in quotes and numbers, and at least one of them');
  }

  // --- words ----------------------------------------------------------------------------------------------

  #word(token: Token & { kind: 'word' }): Node {
    if (token.word === 'empty' && this.#startsOperand(this.#peek())) {
      return this.#nested(token, () => this.#emptiness(token));
    }
    const next = this.#peek();
    if (next.kind === 'symbol' && next.symbol === '(') {
      this.#fail(token, `${quoted(token.word)} can't be called; the only function is empty(…)`);
    }
    return literalOf(token) ?? this.#reference(token);
  }

  #emptiness(token: Token): Condition {
    const operand = this.#operand();
    if (operand.kind !== 'field') {
      return this.#fail(operand, '"empty" needs a field, as in empty(ticket.assigned_to.value)');
    }
    return isEmpty(operand, token);
  }

  #reference(token: Token & { kind: 'word' }): FieldReference {
    const { word } = token;
    const parts = word.split('.');
    const last = parts.at(-1) ?? '';
    const side = SIDES.find((name) => name === last);
    if (parts[0] !== 'ticket') this.#fail(token, unknownWord(word));
    if (side === undefined) this.#fail(token, missingSide(word, last));
    const field = parts.slice(1, -1).join('.');
    if (parts.includes('') || !isFieldName(field)) {
      const problem = field === '' ? 'names no field' : `has no proper field name in ${quoted(field)}`;
      this.#fail(
        token,
        `${quoted(word)} ${problem}: ticket.<field>.${side}, in lower-case letters, digits and "_"`,
      );
    }
    this.#fields.add(field);
    return { kind: 'field', field, side, offset: token.offset, end: token.end };
  }

  #unwrappedText(token: Token & { kind: 'text' }): Literal {
    // Elsewhere such text would be filled in; here it would be compared letter by letter, and never be equal.
    if (token.value.trimStart().startsWith('<+')) {
      this.#fail(token, 'a reference is written without quotes, as in <+ticket.state.value> == "3"');
    }
    return token;
  }

  // --- types ----------------------------------------------------------------------------------------------

  #condition(node: Node): Condition {
    if (isCondition(node)) return node;
    if (node.kind === 'boolean') {
      return { kind: 'constant', value: node.value, offset: node.offset };
    }
    const text = this.#text(node);
    return node.kind === 'field'
      ? this.#fail(node, `${text} is not true or false by itself; compare it, as in … == "true"`)
      : this.#fail(node, `${text} is not a condition; compare a field with it`);
  }

  #value(node: Node): Value {
    if (!isCondition(node)) return node;
    return this.#fail(node, 'a comparison can\'t be compared again; join comparisons with "&&" or "||"');
  }

  // --- tokens ---------------------------------------------------------------------------------------------

  #peek(ahead = 0): Token {
    const beyond = this.#source.length;
    return this.#tokens[this.#position + ahead] ?? { kind: 'end', offset: beyond, end: beyond };
  }

  #next(): Token {
    const token = this.#peek();
    this.#position += 1;
    return token;
  }

  #peekOperator(): ComparisonOperator | '&&' | '||' | undefined {
    const token = this.#peek();
    if (token.kind !== 'symbol' || this.#closesWrapper(token)) return undefined;
    const { symbol } = token;
    if (symbol === '&&' || symbol === '||') return symbol;
    return COMPARISON_OPERATORS.find((operator) => operator === symbol);
  }

  /** Inside `<+ … >`, a `>` is "greater than" if something follows that it could be compared with. */
  #closesWrapper(token: Token): boolean {
    return this.#openWrappers > 0 && this.#source.slice(token.offset, token.end) === '>'
      ? !this.#startsOperand(this.#peek(1))
      : false;
  }

  #startsOperand(token: Token): boolean {
    if (token.kind === 'symbol') return token.symbol === '(' || token.symbol === '<+';
    return token.kind !== 'end';
  }

  #text(span: Span): string {
    return quoted(this.#source.slice(span.offset, span.end));
  }

  #fail(at: Place, problem: string): never {
    throw new ExpressionError(this.#source, at.offset, problem);
  }
}

function literalOf({ word, offset, end }: Token & { kind: 'word' }): Literal | undefined {
  if (word === 'true' || word === 'false') return { kind: 'boolean', value: word === 'true', offset, end };
  if (word === 'null' || word === 'empty') return { kind: 'blank', offset, end };
  return undefined;
}

function unknownWord(word: string): string {
  const [near] = nearNames(word, KEYWORDS);
  if (near !== undefined) return `${quoted(word)} is not known; did you mean "${near}"?`;
  return `${quoted(word)} is not known: fields are written ticket.<field>.value, and text goes in quotes`;
}

function missingSide(word: string, last: string): string {
  const [near] = nearNames(last, SIDES);
  const shown = clip(word, MAX_FIELD_NAME_CHARS);
  const written = quoted(word);
  return near === undefined
    ? `${written} does not say which side is meant; write ${shown}.value or ${shown}.displayValue`
    : `${written} ends in no side of a field; did you mean "${near}" instead of "${last}"?`;
}
