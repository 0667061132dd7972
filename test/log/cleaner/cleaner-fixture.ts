/** Logs that are compacted on a simulated disk: a manager with a cleaner, and what is in a log afterwards. */
import type { CleanerSettings } from '../../../src/log/cleaner/log-cleaner.ts'
import type { LogManagerOptions } from '../../../src/log/log-manager.ts'
import type { LogConfig, ReplicaLog } from '../../../src/log/types.ts'
import * as batch from '../../../src/protocol/record-batch.ts'
import { openLogs, readAll, type Fixture, type FixtureOptions } from '../log-fixture.ts'

export const cleanerSettings: CleanerSettings = {
  enabled: true,
  threads: 1,
  dedupeBufferBytes: 1024 * 1024,
  ioBufferBytes: 64 * 1024,
  loadFactor: 0.9,
  maxBytesPerSecond: Infinity,
  backoffMs: 15_000,
}

export const compactedConfig: Partial<LogConfig> = {
  cleanupPolicy: ['compact'],
  segmentBytes: 600,
  minCleanableDirtyRatio: 0,
  indexIntervalBytes: 100,
}

export interface CompactedOptions extends FixtureOptions {
  readonly cleaner?: Partial<CleanerSettings>
}

export function openCompacted(options: CompactedOptions): Fixture {
  const settings: LogManagerOptions['settings'] = {
    flushCheckpointIntervalMs: 60_000,
    logStartCheckpointIntervalMs: 60_000,
    highWatermarkCheckpointIntervalMs: 5_000,
    retentionCheckIntervalMs: 300_000,
    producerIdExpirationMs: 86_400_000,
    cleaner: { ...cleanerSettings, ...options.cleaner },
  }
  return openLogs({
    ...options,
    config: { ...compactedConfig, ...options.config },
    manager: { settings, ...options.manager },
  })
}

export interface Survivor {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

/** Every record that a consumer would see, aborted ones too. */
export function survivors(log: ReplicaLog, offset = log.logStartOffset): Survivor[] {
  return batchesOf(log, offset)
    .filter(({ isControl }) => !isControl)
    .flatMap(({ records }) => records)
    .filter((record) => record.offset >= offset)
    .map(({ offset: at, key, value }) => ({
      offset: at,
      key: key?.toString() ?? null,
      value: value?.toString() ?? null,
    }))
}

export interface ReadBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: number
  readonly attributes: number
  readonly isControl: boolean
  readonly records: batch.Record[]
}

export function batchesOf(log: ReplicaLog, offset = log.logStartOffset): ReadBatch[] {
  const bytes = readAllSparse(log, offset)
  const batches: ReadBatch[] = []
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
    const fault = batch.checkBatch(bytes, at, bytes.length - at)
    if (fault !== null) throw new Error(fault.message)
    const attributes = batch.attributes(bytes, at)
    batches.push({
      baseOffset: batch.baseOffset(bytes, at),
      lastOffset: batch.lastOffset(bytes, at),
      producerId: batch.producerId(bytes, at),
      attributes,
      isControl: batch.isControl(attributes),
      records: batch.decodeRecords(bytes, at),
    })
  }
  return batches
}

function readAllSparse(log: ReplicaLog, offset: number): Buffer {
  return log.logEndOffset > offset ? readAll(log, offset) : Buffer.alloc(0)
}
