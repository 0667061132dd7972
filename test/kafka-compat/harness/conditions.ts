/** Resolves when the condition gives something truthy, which is the result; fails after the time given: a busy machine needs some. */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 90_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  let lastError: unknown
  for (;;) {
    try {
      const result = await condition()
      if (result) return result
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError })
    }
    await pause(20)
  }
}

/**
 * As `eventually`, for what takes the longer, the busier the machine is: fails when no more has come within the time given, by
 * `count`, which only grows.
 */
export async function eventuallyAsMoreComes(
  what: string,
  isDone: () => boolean,
  count: () => number,
  limitMs: number,
): Promise<void> {
  let cause: unknown
  for (let before = -1; count() > before;) {
    before = count()
    const isOver = await eventually(what, isDone, limitMs).catch((error: unknown) => void (cause = error))
    if (isOver) return
  }
  throw new Error(`${what}: no more came within ${limitMs} ms`, { cause })
}

/** Lets other things happen between two looks at a condition. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
