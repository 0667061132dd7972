/** The partitions of the kill test, and what the process that is killed and the one that kills it say to each other. */
import type { LogConfig } from '../../src/log/types.ts'
import { baseConfig } from '../log/log-fixture.ts'

export const TOPICS = ['plain', 'compacted', 'retained', 'flushed', 'idempotent'] as const
export type Topic = (typeof TOPICS)[number]

export const RETENTION_BYTES = 6000

/** Segments that roll every few batches, deletions that follow at once. */
const common: LogConfig = {
  ...baseConfig,
  segmentBytes: 1500,
  indexIntervalBytes: 100,
  fileDeleteDelayMs: 5,
  minCleanableDirtyRatio: 0,
}

const configs: Record<Topic, LogConfig> = {
  plain: { ...common, retentionMs: -1 },
  compacted: { ...common, cleanupPolicy: ['compact'] },
  retained: { ...common, retentionMs: -1, retentionBytes: RETENTION_BYTES },
  flushed: { ...common, retentionMs: -1, flushMessages: 1 },
  idempotent: { ...common, retentionMs: -1 },
}

export const configOf = (topic: string): LogConfig => configs[topic as Topic]

/** Records of the same key follow each other after so many, where none fails. */
const KEYS = 9
/** A record's id says all of it but for its padding and timestamp. */
export const keyOf = (id: number): string => `k${id % KEYS}`
export const MAX_BATCH_RECORDS = 4
/** No process appends more records to one partition. The ids of its records follow each other from `firstIdOf` on. */
const IDS_PER_GENERATION = 1_000_000
export const firstIdOf = (generation: number): number => generation * IDS_PER_GENERATION

/** At which steps on the disk the process ends itself; `recovery` is anything before it is ready. */
export const MOMENTS = ['recovery', 'produce', 'roll', 'compaction', 'retention'] as const
export type Moment = (typeof MOMENTS)[number]

export interface KillPlan {
  readonly moment: Moment
  /** Which step of that kind: 1 is the first. */
  readonly step: number
  /** Around the step. Where `during` it, a write has got half of its bytes through. */
  readonly when: 'before' | 'during' | 'after'
}

/** The argument of the process that is killed, as JSON. */
export interface Assignment {
  readonly directory: string
  readonly seed: number
  readonly generation: number
  /** Offsets from which on the content of the logs is reported. */
  readonly reportFrom: Record<Topic, number>
  /** The process reports, stops cleanly and ends. Else it works until it is killed. */
  readonly isToStop: boolean
  readonly kill: KillPlan | null
}

export interface FoundRecord {
  readonly offset: number
  readonly id: number
}

/** What a start found in a partition, at or above `from`. */
export interface Found {
  readonly topic: Topic
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly activeBaseOffset: number
  readonly sizeBytes: number
  readonly from: number
  readonly records: readonly FoundRecord[]
}

/** A line of the process's output. What is not acknowledged yet is announced where more than one batch hangs on it. */
export type Message =
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'ready' }
  | { readonly kind: 'appended'; topic: Topic; offset: number; id: number; count: number }
  | { readonly kind: 'truncating'; topic: Topic; offset: number }
  | { readonly kind: 'truncated'; topic: Topic }
  | { readonly kind: 'raising'; topic: Topic; offset: number }
  | { readonly kind: 'dying'; moment: Moment }
  | { readonly kind: 'failed'; reason: string }
