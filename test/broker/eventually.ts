import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'

const LIMIT_MS = 20_000

/** Asks until the answer is right; after 20 s it rejects with the last answer, or with what `describe` says. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isRight: (answer: T) => boolean,
  describe?: () => unknown,
): Promise<T> {
  const deadlineMs = nodeClock.monotonicMs() + LIMIT_MS
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (nodeClock.monotonicMs() > deadlineMs)
      throw new Error(`not right: ${JSON.stringify(describe?.() ?? answer)}`)
    await new Promise<void>((resolve) => void nodeTimers.after(5, resolve))
  }
}
