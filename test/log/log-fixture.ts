/** Builds log managers on a disk and batches to put into them. */
import type { Disk } from '../../src/env/disk.ts'
import type { Env, Logger } from '../../src/env/env.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { createLogManager, type LogManagerOptions } from '../../src/log/log-manager.ts'
import type { AppendOutcome, LogConfig, LogManager, ReplicaLog } from '../../src/log/types.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'

export const baseConfig: LogConfig = {
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 7 * 24 * 3600 * 1000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10 * 1024 * 1024,
  indexIntervalBytes: 4096,
  retentionMs: 7 * 24 * 3600 * 1000,
  retentionBytes: -1,
  cleanupPolicy: ['delete'],
  fileDeleteDelayMs: 60_000,
  flushMessages: Infinity,
  flushMs: Infinity,
  maxMessageBytes: 1048588,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  messageTimestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  compressionType: 'producer',
  minInsyncReplicas: 1,
  preallocate: false,
  compressionLevels: { gzip: -1, lz4: 9, zstd: 3 },
  downconversionEnabled: true,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Infinity,
  deleteRetentionMs: 24 * 3600 * 1000,
}

export const START_MS = 1_700_000_000_000
export const TOPIC_ID = 'AQIDBAUGBwgJCgsMDQ4PEA'

export class LineLogger implements Logger {
  readonly lines: string[] = []
  log(level: string, message: string, fields: Record<string, unknown> = {}): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  }
}

export interface Fixture {
  readonly manager: LogManager
  readonly time: SimScheduler
  readonly logger: LineLogger
  /** Creates or finds topic `t`, partition 0 unless told otherwise. */
  log(topic?: string, partition?: number): ReplicaLog
}

export interface FixtureOptions {
  readonly disk: Disk
  readonly directory?: string
  readonly config?: Partial<LogConfig>
  readonly time?: SimScheduler
  readonly manager?: Partial<LogManagerOptions>
}

/** A started manager over one directory. */
export function openLogs(options: FixtureOptions): Fixture {
  const { disk, directory = '/data' } = options
  const config = { ...baseConfig, ...options.config }
  const time = options.time ?? new SimScheduler({ startMs: START_MS })
  const logger = new LineLogger()
  const env: Pick<Env, 'disk' | 'clock' | 'timers' | 'random' | 'logger'> = {
    disk,
    clock: time.clock,
    timers: time.timers,
    random: new SeededRandom(7),
    logger,
  }
  const manager: LogManager = createLogManager({
    env,
    logDirs: [directory],
    brokerId: 1,
    clusterId: 'test-cluster',
    configFor: () => config,
    highWatermarkOf: (topic, partition) => manager.get(topic, partition)?.logEndOffset ?? 0,
    settings: {
      flushCheckpointIntervalMs: 60_000,
      logStartCheckpointIntervalMs: 60_000,
      highWatermarkCheckpointIntervalMs: 5_000,
      retentionCheckIntervalMs: 300_000,
      producerIdExpirationMs: 86_400_000,
      producerIdExpirationCheckIntervalMs: 600_000,
    },
    ...options.manager,
  })
  manager.start()
  const log = (topic = 't', partition = 0) => manager.getOrCreate(topic, partition, TOPIC_ID, config)
  return { manager, time, logger, log }
}

export interface BatchShape {
  readonly values: readonly string[]
  readonly timestampMs?: number
  readonly codec?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly key?: string | null
}

export function batchOf(shape: BatchShape | string): Buffer {
  const {
    values,
    timestampMs = START_MS,
    key = 'k',
    ...rest
  } = typeof shape === 'string' ? { values: [shape] } : shape
  return buildBatch({
    ...rest,
    records: values.map((value, index) => ({
      timestampMs: timestampMs + index,
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value),
    })),
  })
}

export function append(log: ReplicaLog, shape: BatchShape | string, leaderEpoch = 0): AppendOutcome {
  return log.appendAsLeader(batchOf(shape), { leaderEpoch, origin: 'client' })
}

/** Everything from `offset` on, in reads of `maxBytes`. */
export function readAll(log: ReplicaLog, offset = log.logStartOffset, maxBytes = 1024 * 1024): Buffer {
  const parts: Buffer[] = []
  let next = offset
  while (next < log.logEndOffset) {
    const slice = log.read(next, { maxBytes, upperBoundOffset: log.logEndOffset, minOneBatch: true })
    if (slice === null || slice.bytes.length === 0) throw new Error(`nothing at offset ${next}`)
    parts.push(Buffer.from(slice.bytes))
    next = endOffsetOf(slice.bytes)
    slice.release()
  }
  return Buffer.concat(parts)
}

function endOffsetOf(bytes: Buffer): number {
  let at = 0
  let end = -1
  while (at < bytes.length) {
    end = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + 23) + 1
    at += 12 + bytes.readInt32BE(at + 8)
  }
  return end
}
