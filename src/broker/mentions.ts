/**
 * What a request names again and again: each mention is answered, as by Kafka, but only so many beyond the first. Otherwise a small
 * request that names one large group a million times would be answered with more than there is memory for.
 */
export const MAX_REPEATS = 100

/** Repetitions that may still be answered. */
export interface Repeats {
  left: number
}

export const repeatsOfRequest = (): Repeats => ({ left: MAX_REPEATS })

/** Without the repetitions that are too many; the others in their order. */
export function withoutTooManyRepeats<T>(mentions: readonly T[]): readonly T[] {
  return unlessSeen(mentions, new Set(), repeatsOfRequest())
}

/** As above, where some have been `seen` before: those of the same name in another part of the request. */
export function unlessSeen<T>(mentions: readonly T[], seen: Set<T>, repeats: Repeats): readonly T[] {
  return mentions.filter((mention) => {
    if (seen.has(mention)) return repeats.left-- > 0
    seen.add(mention)
    return true
  })
}
