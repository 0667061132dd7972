/** All replicas of this broker, over its `log.dirs`: loading, creating, removing, checkpoints, retention. */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Env } from '../env/env.ts'
import { partitionKey, type PartitionOffset } from './checkpoint-file.ts'
import { asideDirectoryName, join, LEADER_EPOCH_FILE, type PartitionName } from './file-names.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { toLogDirError } from './log-dir-error.ts'
import { LogDirectory, type Checkpoint } from './log-directory.ts'
import { loadLog, type LoadedLog } from './log-loader.ts'
import { PartitionLog, type LogHost, type LogParts } from './partition-log.ts'
import { PeriodicTasks } from './periodic-tasks.ts'
import { ProducerSnapshots } from './producer-snapshots.ts'
import { ProducerState } from './producer-state.ts'
import { ReadBuffers } from './read-buffers.ts'
import { RemovalQueue } from './removal-queue.ts'
import { ResidentSegments } from './resident-segments.ts'
import type { LogConfig, LogManager, ReplicaLog } from './types.ts'

export interface LogManagerSettings {
  /** log.flush.offset.checkpoint.interval.ms */
  readonly flushCheckpointIntervalMs: number
  /** log.flush.start.offset.checkpoint.interval.ms */
  readonly logStartCheckpointIntervalMs: number
  /** replica.high.watermark.checkpoint.interval.ms */
  readonly highWatermarkCheckpointIntervalMs: number
  /** log.retention.check.interval.ms */
  readonly retentionCheckIntervalMs: number
  /** producer.id.expiration.ms; read when it is needed, for it changes while running. */
  readonly producerIdExpirationMs: number
  /** producer.id.expiration.check.interval.ms */
  readonly producerIdExpirationCheckIntervalMs?: number
}

export interface LogManagerOptions {
  readonly env: Pick<Env, 'disk' | 'clock' | 'timers' | 'random' | 'logger'>
  readonly logDirs: readonly string[]
  readonly brokerId: number
  readonly clusterId: string
  configFor(topic: string): LogConfig
  readonly settings: LogManagerSettings
  /** Of a replica that this broker hosts; its log start when nothing is known. */
  highWatermarkOf(topic: string, partition: number): number
  /** Names of sub-directories of log.dirs that belong to other parts of the broker. */
  readonly otherDirectories?: readonly string[]
  /** The caller holds the locks of the directories. Default: the manager takes them. */
  readonly alreadyLocked?: boolean
  /** Segments that may have their file open and their indexes in memory. */
  readonly maxResidentSegments?: number
}

const MAX_RESIDENT_SEGMENTS = 512
const MAX_INACTIVE_INDEX_BYTES = 64 * 1024 * 1024

/** Throws LogDirError from `start`. */
export function createLogManager(options: LogManagerOptions): LogManager {
  return new Manager(options)
}

class Manager implements LogManager {
  readonly #options: LogManagerOptions
  readonly #disk: Disk
  readonly #directories: LogDirectory[]
  readonly #logs = new Map<string, PartitionLog>()
  readonly #highWatermarks = new Map<string, number>()
  readonly #removals: RemovalQueue
  readonly #tasks: PeriodicTasks
  readonly #host: LogHost
  #logStartsWaiting = false
  readonly #waitingForFlush = new Set<PartitionLog>()

  constructor(options: LogManagerOptions) {
    const { env } = options
    this.#options = options
    this.#disk = env.disk
    this.#directories = options.logDirs.map((path) => {
      const { brokerId, clusterId, otherDirectories = [], alreadyLocked = false } = options
      return new LogDirectory({ ...env, path, brokerId, clusterId, otherDirectories, alreadyLocked })
    })
    this.#removals = new RemovalQueue(env)
    this.#tasks = new PeriodicTasks(env)
    this.#host = {
      disk: env.disk,
      logger: env.logger,
      random: env.random,
      buffers: new ReadBuffers(),
      residents: new ResidentSegments({
        maxSegments: options.maxResidentSegments ?? MAX_RESIDENT_SEGMENTS,
        maxIndexBytes: MAX_INACTIVE_INDEX_BYTES,
      }),
      nowMs: () => env.clock.nowMs(),
      get producerIdExpirationMs() {
        return options.settings.producerIdExpirationMs
      },
      removeLater: (paths, delayMs) => this.#removals.add(paths, delayMs),
      logStartRaised: () => this.#writeLogStartsSoon(),
      flushWithin: (log, delayMs) => this.#flushWithin(log, delayMs),
    }
  }

  start(): void {
    try {
      for (const directory of this.#directories) this.#load(directory)
    } catch (error) {
      for (const log of this.#logs.values()) log.abandon()
      for (const directory of this.#directories) directory.release()
      throw error
    }
    const { settings } = this.#options
    this.#tasks.every(settings.flushCheckpointIntervalMs, () => this.#writeRecoveryPoints())
    this.#tasks.every(settings.logStartCheckpointIntervalMs, () => this.#writeCheckpoints('logStartOffset'))
    this.#tasks.every(settings.highWatermarkCheckpointIntervalMs, () =>
      this.#writeCheckpoints('highWatermark'),
    )
    this.#tasks.every(settings.retentionCheckIntervalMs, () => this.#applyRetention())
    this.#tasks.every(settings.producerIdExpirationCheckIntervalMs ?? 600_000, () => {
      const nowMs = this.#host.nowMs()
      for (const log of this.#logs.values()) log.expireProducers(nowMs)
    })
  }

  #load(directory: LogDirectory): void {
    const partitions = directory.open()
    const recoveryPoints = directory.readCheckpoint('recoveryPoint')
    const logStarts = directory.readCheckpoint('logStartOffset')
    for (const [key, offset] of directory.readCheckpoint('highWatermark'))
      this.#highWatermarks.set(key, offset)
    for (const { name, partition } of partitions) {
      if (partition.kind !== 'live') this.#setAside(directory, name, partition)
      else {
        this.#loadPartition(directory, name, partition, {
          clean: directory.wasClean,
          recoveryPoint: recoveryPoints.get(name) ?? 0,
          logStartOffset: logStarts.get(name) ?? 0,
        })
      }
    }
  }

  #setAside(directory: LogDirectory, name: string, { kind }: PartitionName): void {
    const path = join(directory.path, name)
    if (kind === 'delete') this.#removals.add([path], 0)
    else this.#options.env.logger.log('warn', 'directory is left alone', { path })
  }

  #loadPartition(
    directory: LogDirectory,
    name: string,
    { topic, partition }: PartitionName,
    last: { clean: boolean; recoveryPoint: number; logStartOffset: number },
  ): void {
    const path = join(directory.path, name)
    const { logger } = this.#options.env
    try {
      const names = this.#disk.list(path)
      const config = this.#options.configFor(topic)
      const epochs = new LeaderEpochs(this.#disk, join(path, LEADER_EPOCH_FILE), {
        isNew: !names.includes(LEADER_EPOCH_FILE),
      })
      const snapshots = new ProducerSnapshots(this.#disk, path, { names, logger })
      const producers = new ProducerState()
      const loaded = loadLog({
        ...last,
        host: this.#host,
        logger,
        directory: path,
        names,
        indexIntervalBytes: config.indexIntervalBytes,
        nowMs: this.#host.nowMs(),
        producerIdExpirationMs: this.#host.producerIdExpirationMs,
        epochs,
        snapshots,
        producers,
      })
      const files = { directory: path, logDirectory: directory.path }
      this.#add({
        topic,
        partition,
        ...files,
        config,
        epochs,
        snapshots,
        producers,
        loaded,
        topicId: null,
        isNew: false,
      })
    } catch (error) {
      throw toLogDirError(error, directory.path)
    }
  }

  #add(parts: LogParts): PartitionLog {
    const log = new PartitionLog(this.#host, parts)
    this.#logs.set(partitionKey(log.topic, log.partition), log)
    return log
  }

  get(topic: string, partition: number): ReplicaLog | undefined {
    return this.#logs.get(partitionKey(topic, partition))
  }

  all(): Iterable<ReplicaLog> {
    return this.#logs.values()
  }

  getOrCreate(topic: string, partition: number, topicId: string, config: LogConfig): ReplicaLog {
    const known = this.#logs.get(partitionKey(topic, partition))
    if (known !== undefined && known.belongsTo(topicId)) {
      known.adoptTopicId(topicId)
      return known
    }
    if (known !== undefined) this.#setStray(known, topicId)
    const logDirectory = this.#leastUsedDirectory()
    const directory = join(logDirectory, partitionKey(topic, partition))
    const loaded: LoadedLog = {
      segments: [],
      logStartOffset: 0,
      logEndOffset: 0,
      recoveryPoint: 0,
      producersLoaded: true,
    }
    return this.#add({
      topic,
      partition,
      directory,
      logDirectory,
      config,
      epochs: new LeaderEpochs(this.#disk, join(directory, LEADER_EPOCH_FILE), { isNew: true }),
      snapshots: new ProducerSnapshots(this.#disk, directory, {
        names: [],
        logger: this.#options.env.logger,
      }),
      producers: new ProducerState(),
      loaded,
      topicId,
      isNew: true,
    })
  }

  #leastUsedDirectory(): string {
    if (this.#directories.length === 1) return this.#directories[0].path
    const counts = new Map(this.#directories.map(({ path }) => [path, 0]))
    for (const { logDirectory } of this.#logs.values()) {
      counts.set(logDirectory, (counts.get(logDirectory) ?? 0) + 1)
    }
    return [...counts].reduce((least, other) => (other[1] < least[1] ? other : least))[0]
  }

  remove(topic: string, partition: number): void {
    const log = this.#logs.get(partitionKey(topic, partition))
    if (log === undefined) return
    const path = this.#moveAside(log, 'delete')
    if (path !== null) this.#removals.add([path], log.config.fileDeleteDelayMs)
  }

  /** A directory of an earlier topic of this name. Whoever still wants its records finds them there. */
  #setStray(log: PartitionLog, topicId: string): void {
    const { topic, partition, topicId: found } = log
    const path = this.#moveAside(log, 'stray')
    this.#options.env.logger.log(
      'warn',
      'a directory belongs to another topic of this name: it is set aside',
      {
        partition: partitionKey(topic, partition),
        found,
        expected: topicId,
        path,
      },
    )
  }

  /** The log is known no more. Gives the new path of its directory; null when it had none. Throws DiskError. */
  #moveAside(log: PartitionLog, mark: 'delete' | 'stray'): string | null {
    const unique = this.#options.env.random.bytes(16).toString('hex')
    const path = join(log.logDirectory, asideDirectoryName(log.topic, log.partition, mark, unique))
    // First, so that nothing has changed when it fails.
    if (log.hasDirectory) this.#disk.rename(log.directory, path)
    const key = partitionKey(log.topic, log.partition)
    log.abandon()
    this.#logs.delete(key)
    this.#highWatermarks.delete(key)
    this.#waitingForFlush.delete(log)
    if (!log.hasDirectory) return null
    this.#directories.find(({ path: each }) => each === log.logDirectory)!.directoryRenamed()
    // A topic of the same name may come: it must not be given the offsets of this one.
    this.#writeLogStartsSoon()
    return path
  }

  checkpointedHighWatermark(topic: string, partition: number): number {
    return this.#highWatermarks.get(partitionKey(topic, partition)) ?? 0
  }

  logDirectories(): { path: string; online: boolean; totalBytes: number; usableBytes: number }[] {
    return this.#directories.map(({ path, online }) => {
      try {
        return { path, online, ...this.#disk.space(path) }
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        return { path, online: false, totalBytes: -1, usableBytes: -1 }
      }
    })
  }

  #applyRetention(): void {
    const nowMs = this.#host.nowMs()
    for (const log of this.#logs.values()) {
      try {
        log.applyRetention(nowMs, this.#options.highWatermarkOf(log.topic, log.partition))
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        this.#options.env.logger.log('error', 'retention failed', {
          path: log.directory,
          error: error.message,
        })
      }
    }
  }

  #writeRecoveryPoints(): void {
    for (const log of this.#logs.values()) this.#persistEpochs(log)
    this.#writeCheckpoints('recoveryPoint')
  }

  #persistEpochs(log: PartitionLog): void {
    try {
      log.persistEpochs()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const path = log.directory
      this.#options.env.logger.log('error', 'leader epochs could not be written', {
        path,
        error: error.message,
      })
    }
  }

  #writeLogStartsSoon(): void {
    if (this.#logStartsWaiting) return
    this.#logStartsWaiting = true
    this.#options.env.timers.soon(() => {
      if (this.#logStartsWaiting) this.#writeCheckpoints('logStartOffset')
      for (const directory of this.#directories) directory.syncRenames()
    })
  }

  #writeCheckpoints(checkpoint: Checkpoint): void {
    if (checkpoint === 'logStartOffset') this.#logStartsWaiting = false
    for (const directory of this.#directories) {
      directory.writeCheckpoint(checkpoint, this.#checkpointEntries(checkpoint, directory.path))
    }
  }

  #checkpointEntries(checkpoint: Checkpoint, directory: string): PartitionOffset[] {
    const entries: PartitionOffset[] = []
    for (const log of this.#logs.values()) {
      if (log.logDirectory !== directory || !log.hasDirectory) continue
      const { topic, partition } = log
      if (checkpoint === 'recoveryPoint') entries.push({ topic, partition, offset: log.recoveryPoint })
      else if (checkpoint === 'highWatermark') {
        entries.push({ topic, partition, offset: this.#options.highWatermarkOf(topic, partition) })
      } else if (log.needsLogStartCheckpoint) {
        entries.push({ topic, partition, offset: log.logStartOffset })
      }
    }
    return entries
  }

  /** flush.ms: logs that became dirty together are flushed together. */
  #flushWithin(log: PartitionLog, delayMs: number): void {
    if (this.#waitingForFlush.has(log)) return
    this.#waitingForFlush.add(log)
    this.#options.env.timers.after(delayMs, () => {
      if (!this.#waitingForFlush.delete(log)) return
      log.flush().catch((error: unknown) => {
        this.#options.env.logger.log('error', 'flush failed', { path: log.directory, error: String(error) })
      })
    })
  }

  async stop(): Promise<void> {
    this.#tasks.stop()
    this.#removals.stop()
    this.#waitingForFlush.clear()
    const failed = new Set<string>()
    await Promise.all([...this.#logs.values()].map((log) => this.#close(log, failed)))
    for (const checkpoint of ['highWatermark', 'logStartOffset', 'recoveryPoint'] as const) {
      this.#writeCheckpoints(checkpoint)
    }
    this.#logs.clear()
    for (const directory of this.#directories) {
      try {
        if (!failed.has(directory.path)) directory.markClean()
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
      }
      directory.release()
    }
  }

  async #close(log: PartitionLog, failed: Set<string>): Promise<void> {
    try {
      await log.close()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      failed.add(log.logDirectory)
      const path = log.directory
      this.#options.env.logger.log('error', 'log could not be closed', { path, error: error.message })
    }
  }
}
