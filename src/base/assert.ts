/** Thrown where the code itself is wrong. It is never caught to go on: the broker stops. */
export class BugError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BugError'
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message)
}

/** For the branch that no value can reach. */
export function unreachable(value: never): never {
  throw new BugError(`unreachable: ${String(value)}`)
}
