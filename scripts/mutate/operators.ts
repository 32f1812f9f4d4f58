import { parse } from '@babel/parser';
import type { Node } from '@babel/types';

/** A part of a source, by its offsets (`end` is exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One way in which a source could be wrong. */
export interface Mutant {
  /** What the switch is built around: an expression, or a block with its braces. */
  readonly site: Span & { readonly kind: 'expression' | 'block' };
  /** What stands there instead. */
  readonly replacement: string;
  /** From 1. */
  readonly line: number;
  readonly original: string;
}

type Proposal = Pick<Mutant, 'site' | 'replacement'>;

/** All single changes of a TypeScript source that a thorough test should notice, in the order of the source. */
export function mutantsOf(source: string): Mutant[] {
  const { program } = parse(source, { sourceType: 'module', plugins: ['typescript'], attachComment: false });
  const mutants: Mutant[] = [];
  const visit = (node: Node, ancestors: readonly Node[]): void => {
    for (const { site, replacement } of proposalsFor(node, ancestors, source)) {
      const original = source.slice(site.start, site.end);
      const line = source.slice(0, site.start).split('\n').length;
      if (original !== replacement) mutants.push({ site, replacement, line, original });
    }
    const within = [...ancestors, node];
    for (const child of childrenOf(node)) visit(child, within);
  };
  visit(program, []);
  return mutants;
}

// --- the tree ---------------------------------------------------------------------------------------------

/** Nodes of TypeScript that hold an expression; all others are types, and gone when the code runs. */
const TYPED_EXPRESSIONS: ReadonlySet<string> = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
]);

function* childrenOf(node: Node): Generator<Node> {
  if (node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration') return;
  for (const [key, value] of Object.entries(node)) {
    // A name that is written as a text is no value.
    if (key === 'key' && !('computed' in node && node.computed)) continue;
    const children: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const child of children) {
      if (isNode(child) && (!child.type.startsWith('TS') || TYPED_EXPRESSIONS.has(child.type))) yield child;
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

function spanOf(node: Node): Span {
  const { start, end } = node;
  if (typeof start !== 'number' || typeof end !== 'number') throw new TypeError(`${node.type} has no place`);
  return { start, end };
}

function expressionSite(node: Node): Mutant['site'] {
  return { ...spanOf(node), kind: 'expression' };
}

// --- what is changed --------------------------------------------------------------------------------------

const BINARY: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
};

const SWAPPED_METHODS: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  min: 'max',
  max: 'min',
  toLowerCase: 'toUpperCase',
  toUpperCase: 'toLowerCase',
};

/** Methods whose object could be taken for their result. */
const DROPPED_METHODS: ReadonlySet<string> = new Set([
  'filter',
  'replace',
  'replaceAll',
  'reverse',
  'slice',
  'sort',
  'toWellFormed',
  'trim',
  'trimEnd',
  'trimStart',
]);

function proposalsFor(node: Node, ancestors: readonly Node[], source: string): Proposal[] {
  const text = ({ start, end }: Span): string => source.slice(start, end);
  const textOf = (part: Node): string => text(spanOf(part));
  const instead = (...replacements: readonly string[]): Proposal[] =>
    replacements.map((replacement) => ({ site: expressionSite(node), replacement }));
  const never = (condition: Node): Proposal[] => [{ site: expressionSite(condition), replacement: 'false' }];
  const either = (condition: Node): Proposal[] => [
    { site: expressionSite(condition), replacement: 'true' },
    ...never(condition),
  ];
  const nothing = (value: Node): Proposal[] => [{ site: expressionSite(value), replacement: 'undefined' }];
  const emptied = (block: Node): Proposal[] => {
    if (block.type !== 'BlockStatement' || block.body.length === 0) return [];
    // Emptying it would be the same as returning nothing, which is a mutant already.
    if (block.body.length === 1 && block.body[0]?.type === 'ReturnStatement') return [];
    return [{ site: { ...spanOf(block), kind: 'block' }, replacement: '{}' }];
  };

  switch (node.type) {
    case 'BinaryExpression':
    case 'LogicalExpression':
      // Texts can be joined and not subtracted; no test would miss that.
      if (node.operator === '+' && [node.left, node.right].some(isText)) return [];
      // Parentheses, because "??" may not stand beside "&&" without them.
      return instead(
        ...(BINARY[node.operator] ?? []).map(
          (operator) => `(${textOf(node.left)}) ${operator} (${textOf(node.right)})`,
        ),
      );
    case 'UnaryExpression':
      return ['!', '-'].includes(node.operator) ? instead(textOf(node.argument)) : [];
    case 'UpdateExpression':
      return instead(textOf(node).replace(node.operator, node.operator === '++' ? '--' : '++'));
    case 'AssignmentExpression': {
      const operator = { '+=': '-=', '-=': '+=' }[node.operator];
      return operator === undefined
        ? []
        : instead(`${textOf(node.left)} ${operator} (${textOf(node.right)})`);
    }
    case 'BooleanLiteral':
      return instead(String(!node.value));
    case 'StringLiteral':
      return instead(node.value === '' ? "'mutant'" : "''");
    case 'TemplateLiteral':
      return ancestors.at(-1)?.type === 'TaggedTemplateExpression' ? [] : instead('``');
    case 'ArrayExpression':
      return instead(node.elements.length === 0 ? "['mutant']" : '[]');
    case 'ObjectExpression':
      return instead('{}');
    case 'RegExpLiteral':
      return instead(...patternsNear(node.pattern).map((pattern) => `/${pattern}/${node.flags}`));
    case 'IfStatement':
      return [...either(node.test), ...(isNode(node.alternate) ? emptied(node.alternate) : [])];
    case 'ConditionalExpression':
      return either(node.test);
    case 'WhileStatement':
    case 'DoWhileStatement':
      return [...never(node.test), ...emptied(node.body)];
    case 'ForStatement':
      return [...(isNode(node.test) ? never(node.test) : []), ...emptied(node.body)];
    case 'ForOfStatement':
    case 'ForInStatement':
      return emptied(node.body);
    case 'ReturnStatement':
      return isNode(node.argument) ? nothing(node.argument) : [];
    case 'ArrowFunctionExpression':
      return node.body.type === 'BlockStatement' ? emptied(node.body) : nothing(node.body);
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ClassMethod':
    case 'ClassPrivateMethod':
    case 'ObjectMethod':
      return emptied(node.body);
    case 'CallExpression': {
      const { callee } = node;
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return [];
      const { name } = callee.property;
      const object = textOf(callee.object);
      const swapped = SWAPPED_METHODS[name];
      return [
        ...(DROPPED_METHODS.has(name) ? instead(object) : []),
        ...(swapped === undefined
          ? []
          : instead(`${object}.${swapped}${text({ start: spanOf(callee).end, end: spanOf(node).end })}`)),
      ];
    }
    case 'OptionalMemberExpression':
    case 'OptionalCallExpression': {
      if (!node.optional) return [];
      const before = node.type === 'OptionalMemberExpression' ? node.object : node.callee;
      const mark = source.indexOf('?.', spanOf(before).end);
      const point = node.type === 'OptionalMemberExpression' && !node.computed ? '.' : '';
      const chain = chainOf(node, ancestors);
      const { start, end } = spanOf(chain);
      const replacement = `${source.slice(start, mark)}${point}${source.slice(mark + 2, end)}`;
      return [{ site: expressionSite(chain), replacement }];
    }
    default:
      return [];
  }
}

/** The whole of `a?.b.c`, of which `a?.b` is a part that can't be taken out: it would no longer end the rest. */
function chainOf(link: Node, ancestors: readonly Node[]): Node {
  const parent = ancestors.at(-1);
  const isInside =
    (parent?.type === 'OptionalMemberExpression' && parent.object === link) ||
    (parent?.type === 'OptionalCallExpression' && parent.callee === link);
  return isInside ? chainOf(parent, ancestors.slice(0, -1)) : link;
}

function isText(node: Node): boolean {
  return node.type === 'StringLiteral' || node.type === 'TemplateLiteral';
}

const OPPOSITE_CLASS = /^\\[dDwWsS]$/;

/** Anchors and quantifiers left out, character classes turned into their opposites; one change in each. */
function patternsNear(pattern: string): string[] {
  const pieces = pattern.match(/\\.|\[\^?|\(\?(?:[:=!]|<[=!]|<\w+>)|\{\d+(?:,\d*)?\}|./gsu) ?? [];
  const near: string[] = [];
  let insideClass = false;
  for (const [index, piece] of pieces.entries()) {
    const put = (text: string): void => {
      near.push([...pieces.slice(0, index), text, ...pieces.slice(index + 1)].join(''));
    };
    if (OPPOSITE_CLASS.test(piece)) {
      const letter = piece.charAt(1);
      put(`\\${letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()}`);
    } else if (insideClass) {
      insideClass = piece !== ']';
    } else if (piece.startsWith('[')) {
      insideClass = true;
      put(piece === '[' ? '[^' : '[');
    } else if (['^', '$', '+', '*', '?'].includes(piece) || /^\{\d/.test(piece)) {
      put('');
    }
  }
  return near;
}
