/**
 * Node's own arguments in the image and the systemd unit, which their tests hold to this; the bench starts
 * delegates with the same, and nobody else. All of them are for memory; docs/performance.md has what each costs and brings.
 */
export const NODE_FLAGS: readonly string[] = [
  // New objects: 12 MiB instead of 48.
  '--max-semi-space-size=4',
  // V8 lets a heap grow by a third between collections, not fourfold, where this is small. What is alive is 27 MiB.
  '--max-old-space-size=192',
  // undici's HTTP parser is compiled once, not a second time by the better compiler, at 35 MiB for a moment.
  '--liftoff-only',
];
