/** Where we answer otherwise than Apache Kafka 3.9, and why. An entry that no longer differs fails the suite. */
import type { KnownDifference } from './compare.ts'

export const knownDifferences: readonly KnownDifference[] = []
