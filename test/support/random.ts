/** Chance that can be had again: the same seed draws the same numbers, on every machine. Not for secrets. */
export interface Random {
  /** Uniform in [0, 1). */
  random(): number;
  /** A whole number from 0 to `n` − 1. */
  int(n: number): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  /** One of the list, which must not be empty. */
  pick<T>(list: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** Another source: what is drawn from it changes nothing about what this one draws next. */
  fork(): Random;
}

/** The first numbers of neighbouring seeds look alike; after these they do not. */
const WARM_UP_DRAWS = 12;
const TWO_POW_32 = 2 ** 32;

/** sfc32: 128 bits of state, passes PractRand; a 32-bit generator would repeat within one long simulation. */
export function seededRandom(seed: number): Random {
  let a = seed | 0;
  let b = Math.trunc(seed / TWO_POW_32) | 0;
  let c = 0x9e37_79b9 | 0;
  let counter = 1;
  const draw = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let drawn = 0; drawn < WARM_UP_DRAWS; drawn += 1) draw();

  const random = (): number => draw() / TWO_POW_32;
  const int = (n: number): number => Math.floor(random() * n);
  return {
    random,
    int,
    between: (least, most) => least + int(most - least + 1),
    pick(list) {
      if (list.length === 0) throw new RangeError('there is nothing to pick from');
      const picked = list[int(list.length)];
      // Only for the compiler: `int` stays below the length.
      if (picked === undefined) throw new RangeError('the list holds undefined');
      return picked;
    },
    chance: (probability) => random() < probability,
    fork: () => seededRandom(draw() + draw() * TWO_POW_32),
  };
}
