/** All replicas of this broker, over its `log.dirs`: loading, creating, removing, checkpoints, retention. */
import { limited } from '../base/limited.ts'
import { DiskError } from '../env/disk.ts'
import type { Env } from '../env/env.ts'
import { LogCleaner, type CleanerSettings } from './cleaner/log-cleaner.ts'
import { partitionKey } from './checkpoint-file.ts'
import { asideDirectoryName, canBeFuture, join, type PartitionName } from './file-names.ts'
import { FutureLogs } from './future-logs.ts'
import { LogCheckpoints } from './log-checkpoints.ts'
import { toLogDirError, type LogDirError } from './log-dir-error.ts'
import { isDiskFailure } from './log-dir-locks.ts'
import { LogDirectory } from './log-directory.ts'
import { newPartition, openPartition, type LastStop } from './partition-loader.ts'
import type { LogHost } from './log-parts.ts'
import type { PartitionLog } from './partition-log.ts'
import { PeriodicTasks } from './periodic-tasks.ts'
import { Placement } from './placement.ts'
import { ReadBuffers } from './read-buffers.ts'
import { keyOf, ReplicaLogs } from './replica-logs.ts'
import { ResidentSegments } from './resident-segments.ts'
import type { LogConfig, LogManager, PartitionId, ReplicaLog } from './types.ts'

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
  /** log.cleaner.*; compacts nothing when left out. */
  readonly cleaner?: CleanerSettings
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
  /** The caller holds the locks of the directories (log-dir-locks.ts). Default: the manager takes them. */
  readonly locks?: { readonly offline: ReadonlyMap<string, LogDirError> }
  /** A directory has failed: these partitions lay in it, and are known no more. */
  readonly directoryFailed?: (path: string, partitions: readonly PartitionId[]) => void
  /** Segments that may have their file open and their indexes in memory. */
  readonly maxResidentSegments?: number
}

export const MAX_RESIDENT_SEGMENTS = 512
export const MAX_INACTIVE_INDEX_BYTES = 64 * 1024 * 1024
/** Closing a log opens its files for their last sync. */
const CLOSES_AT_ONCE = 16

/** Throws LogDirError from `start`. */
export function createLogManager(options: LogManagerOptions): LogManager {
  return new Manager(options)
}

class Manager implements LogManager {
  readonly #options: LogManagerOptions
  readonly #directories: LogDirectory[]
  readonly #hosts: ReadonlyMap<string, LogHost>
  readonly #logs = new ReplicaLogs()
  readonly #futures: FutureLogs
  readonly #checkpoints: LogCheckpoints
  readonly #highWatermarks = new Map<string, number>()
  readonly #placement: Placement
  readonly #tasks: PeriodicTasks
  readonly #cleaner: LogCleaner | null
  readonly #waitingForFlush = new Set<PartitionLog>()

  constructor(options: LogManagerOptions) {
    const { env } = options
    this.#options = options
    this.#directories = options.logDirs.map((path) => {
      const { brokerId, clusterId, otherDirectories = [], locks } = options
      return new LogDirectory({
        env,
        path,
        brokerId,
        clusterId,
        otherDirectories,
        alreadyLocked: locks !== undefined,
        offline: locks?.offline.get(path) ?? null,
        onFailure: (directory) => this.#directoryFailed(directory),
      })
    })
    const residents = new ResidentSegments({
      maxSegments: options.maxResidentSegments ?? MAX_RESIDENT_SEGMENTS,
      maxIndexBytes: MAX_INACTIVE_INDEX_BYTES,
    })
    const shared = { buffers: new ReadBuffers(), residents }
    this.#hosts = new Map(
      this.#directories.map((directory) => [directory.path, this.#hostOf(directory, shared)]),
    )
    this.#placement = new Placement(this.#directories, this.#logs)
    this.#tasks = new PeriodicTasks(env)
    this.#checkpoints = new LogCheckpoints({
      directories: this.#directories,
      logs: this.#logs,
      timers: env.timers,
      logger: env.logger,
      highWatermarkOf: options.highWatermarkOf,
    })
    this.#futures = new FutureLogs({
      logs: this.#logs,
      checkpoints: this.#checkpoints,
      random: env.random,
      logger: env.logger,
      hostOf: ({ path }) => this.#hosts.get(path)!,
      directoryOf: (log) => this.#directoryOf(log),
      moveAside: (log, mark) => this.#moveAside(log, mark),
    })
    const { settings, highWatermarkOf } = options
    this.#cleaner =
      settings.cleaner === undefined
        ? null
        : new LogCleaner({
            env,
            settings: settings.cleaner,
            directories: this.#directories,
            logs: () => this.#logs.current.values(),
            isMoving: (topic, partition) => this.#logs.future.has(partitionKey(topic, partition)),
            highWatermarkOf,
          })
  }

  /** What the logs of a directory get of the manager. */
  #hostOf(directory: LogDirectory, shared: Pick<LogHost, 'buffers' | 'residents'>): LogHost {
    const { env, settings } = this.#options
    return {
      ...shared,
      disk: directory.disk,
      logger: env.logger,
      random: env.random,
      nowMs: () => env.clock.nowMs(),
      get producerIdExpirationMs() {
        return settings.producerIdExpirationMs
      },
      removeLater: (paths, delayMs) => directory.removals.add(paths, delayMs),
      logTruncated: (log) => this.#cleaner?.truncated(log),
      logStartRaised: () => this.#checkpoints.writeLogStartsSoon(),
      recoveryPointLowered: () => this.#checkpoints.writeIn(directory, 'recoveryPoint', { durable: true }),
      flushWithin: (log, delayMs) => this.#flushWithin(log, delayMs),
    }
  }

  start(): void {
    try {
      this.#loadAll()
    } catch (error) {
      for (const log of this.#logs.all()) log.abandon()
      for (const directory of this.#directories) directory.release()
      throw error
    }
    const { settings, env } = this.#options
    this.#tasks.every(settings.flushCheckpointIntervalMs, () => this.#checkpoints.write('recoveryPoint'))
    this.#tasks.every(settings.logStartCheckpointIntervalMs, () => this.#checkpoints.write('logStartOffset'))
    this.#tasks.every(settings.highWatermarkCheckpointIntervalMs, () =>
      this.#checkpoints.write('highWatermark'),
    )
    this.#tasks.every(settings.retentionCheckIntervalMs, () => this.#applyRetention())
    this.#tasks.every(settings.producerIdExpirationCheckIntervalMs ?? 600_000, () => {
      const nowMs = env.clock.nowMs()
      for (const log of this.#logs.all()) log.expireProducers(nowMs)
    })
    this.#cleaner?.start()
  }

  /** Goes on without a directory whose disk fails, while there is another. Throws LogDirError. */
  #loadAll(): void {
    let failure: LogDirError | null = null
    for (const directory of this.#directories) {
      try {
        this.#load(directory)
      } catch (error) {
        if (!isDiskFailure(error)) throw error
        failure ??= error
        directory.disk.fail(new DiskError('IO', directory.path, error.message))
        this.#forgetLogsOf(directory)
      }
      directory.loaded()
    }
    if (failure !== null && this.#directories.every(({ online }) => !online)) throw failure
    if (failure === null) this.#promoteOrphans()
  }

  /** Throws LogDirError. */
  #promoteOrphans(): void {
    for (const future of [...this.#logs.future.values()]) {
      try {
        if (!this.#logs.current.has(keyOf(future))) this.#futures.promote(future)
      } catch (error) {
        throw toLogDirError(error, future.logDirectory)
      }
    }
  }

  #load(directory: LogDirectory): void {
    const partitions = directory.open()
    const recoveryPoints = directory.readCheckpoint('recoveryPoint')
    const logStarts = directory.readCheckpoint('logStartOffset')
    const compacted = directory.readCheckpoint('cleanerOffset')
    for (const [key, offset] of directory.readCheckpoint('highWatermark'))
      this.#highWatermarks.set(key, offset)
    for (const { name, partition } of partitions) {
      if (partition.kind === 'delete' || partition.kind === 'stray')
        this.#setAside(directory, name, partition)
      else {
        const key = partitionKey(partition.topic, partition.partition)
        this.#loadPartition(directory, name, partition, {
          clean: directory.wasClean,
          recoveryPoint: recoveryPoints.get(key) ?? null,
          logStartOffset: logStarts.get(key) ?? 0,
          wasCompacted: compacted.has(key),
        })
      }
    }
  }

  #setAside(directory: LogDirectory, name: string, { kind }: PartitionName): void {
    const path = join(directory.path, name)
    if (kind === 'delete') directory.removals.add([path], 0)
    else this.#options.env.logger.log('warn', 'directory is left alone', { path })
  }

  #loadPartition(
    directory: LogDirectory,
    name: string,
    { topic, partition, kind }: PartitionName,
    last: LastStop,
  ): void {
    const path = join(directory.path, name)
    try {
      const found = { topic, partition, directory: path, logDirectory: directory.path }
      const host = this.#hosts.get(directory.path)!
      const log = openPartition(host, found, this.#options.configFor(topic), last)
      const logs = kind === 'future' ? this.#logs.future : this.#logs.current
      const known = logs.get(keyOf(log))
      logs.set(keyOf(log), known === undefined ? log : this.#futures.keepOne(known, log))
    } catch (error) {
      throw toLogDirError(error, directory.path)
    }
  }

  #directoryFailed(directory: LogDirectory): void {
    const partitions = this.#forgetLogsOf(directory)
    directory.removals.stop()
    this.#options.directoryFailed?.(directory.path, partitions)
  }

  /** Closes their files; nothing is written. Gives those whose current log it was. */
  #forgetLogsOf(directory: LogDirectory): PartitionId[] {
    const logs = this.#logs.in(directory.path)
    const lost = logs.filter((log) => this.#logs.isCurrent(log))
    for (const log of logs) {
      log.abandon()
      this.#logs.forget(log)
      this.#cleaner?.removed(log)
      this.#waitingForFlush.delete(log)
    }
    return lost.map(({ topic, partition }) => ({ topic, partition }))
  }

  get(topic: string, partition: number): ReplicaLog | undefined {
    return this.#logs.current.get(partitionKey(topic, partition))
  }

  all(): Iterable<ReplicaLog> {
    return this.#logs.current.values()
  }

  getOrCreate(
    topic: string,
    partition: number,
    topicId: string,
    config: LogConfig,
    isNew = true,
  ): ReplicaLog {
    const key = partitionKey(topic, partition)
    const known = this.#logs.current.get(key)
    if (known !== undefined && known.belongsTo(topicId)) {
      known.adoptTopicId(topicId)
      return known
    }
    const offline = this.#directories.find(({ online }) => !online)
    if (known === undefined && !isNew && offline !== undefined) {
      throw new DiskError('IO', offline.path, `${key} is in no directory that works: it may be in another`)
    }
    const directory = this.#placement.directoryFor(key)
    if (known !== undefined) this.#setStray(known, topicId)
    const place = {
      topic,
      partition,
      directory: join(directory.path, key),
      logDirectory: directory.path,
    }
    const log = newPartition(this.#hosts.get(directory.path)!, place, config, topicId)
    this.#logs.current.set(key, log)
    if (this.#directories.length > 1) this.#makeDirectoryOf(log)
    return log
  }

  /** At once where there are several: a start without one of them must tell what lies there from what was never made. */
  #makeDirectoryOf(log: PartitionLog): void {
    try {
      log.makeDirectory()
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'NO_SPACE')) throw error
      // The first append tries again.
    }
  }

  remove(topic: string, partition: number): void {
    const key = partitionKey(topic, partition)
    const log = this.#logs.current.get(key)
    this.#futures.remove(topic, partition)
    this.#placement.forget(key)
    if (log !== undefined) return this.#moveAside(log, 'delete')
    const offline = this.#directories.find(({ online }) => !online)
    if (offline === undefined) return
    throw new DiskError('IO', offline.path, `${key} may be in the directory that is offline`)
  }

  future(topic: string, partition: number): ReplicaLog | undefined {
    return this.#logs.future.get(partitionKey(topic, partition))
  }

  futures(): Iterable<ReplicaLog> {
    return this.#logs.future.values()
  }

  prefer(topic: string, partition: number, path: string): void {
    this.#placement.prefer(partitionKey(topic, partition), path)
  }

  canMove(topic: string, partition: number): boolean {
    return canBeFuture(topic, partition)
  }

  createFuture(topic: string, partition: number, path: string): ReplicaLog {
    const current = this.#logs.current.get(partitionKey(topic, partition))!
    const directory = this.#directories.find((each) => each.path === path)!
    return this.#futures.create(current, directory)
  }

  removeFuture(topic: string, partition: number): void {
    this.#futures.remove(topic, partition)
  }

  replaceWithFuture(topic: string, partition: number): ReplicaLog {
    return this.#futures.takeOver(topic, partition)
  }

  /** A directory of an earlier topic of this name. Whoever still wants its records finds them there. */
  #setStray(log: PartitionLog, topicId: string): void {
    const { topic, partition, topicId: found } = log
    this.#futures.remove(topic, partition)
    this.#moveAside(log, 'stray')
    this.#options.env.logger.log(
      'warn',
      'a directory belongs to another topic of this name: it is set aside',
      { partition: partitionKey(topic, partition), found, expected: topicId },
    )
  }

  /** The log is known no more; its directory goes by another name or, with `delete`, after a while. Throws DiskError. */
  #moveAside(log: PartitionLog, mark: 'delete' | 'stray'): void {
    const directory = this.#directoryOf(log)
    const unique = this.#options.env.random.bytes(16).toString('hex')
    const path = join(directory.path, asideDirectoryName(log.topic, log.partition, mark, unique))
    // First, so that nothing has changed when it fails.
    if (log.hasDirectory) directory.disk.rename(log.directory, path)
    log.abandon()
    if (this.#logs.isCurrent(log)) {
      this.#highWatermarks.delete(keyOf(log))
      this.#cleaner?.removed(log)
    }
    this.#logs.forget(log)
    this.#waitingForFlush.delete(log)
    if (!log.hasDirectory) return
    directory.directoryRenamed()
    if (mark === 'delete') directory.removals.add([path], log.config.fileDeleteDelayMs)
    // A topic of the same name may come: it must not be given the offsets of this one.
    this.#checkpoints.writeLogStartsSoon()
  }

  #directoryOf(log: PartitionLog): LogDirectory {
    return this.#directories.find(({ path }) => path === log.logDirectory)!
  }

  checkpointedHighWatermark(topic: string, partition: number): number {
    return this.#highWatermarks.get(partitionKey(topic, partition)) ?? 0
  }

  logDirectories(): { path: string; online: boolean; totalBytes: number; usableBytes: number }[] {
    return this.#directories.map((directory) => {
      const { path } = directory
      try {
        const space = directory.disk.space(path)
        return { path, online: true, ...space }
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        return { path, online: directory.online, totalBytes: -1, usableBytes: -1 }
      }
    })
  }

  #applyRetention(): void {
    const nowMs = this.#options.env.clock.nowMs()
    for (const log of this.#logs.current.values()) {
      if (this.#cleaner?.isCleaning(log)) continue
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
    this.#cleaner?.stop()
    for (const { removals } of this.#directories) removals.stop()
    this.#waitingForFlush.clear()
    const failed = new Set<string>()
    await limited(this.#logs.all(), CLOSES_AT_ONCE, (log) => this.#close(log, failed))
    for (const checkpoint of ['highWatermark', 'logStartOffset', 'recoveryPoint'] as const) {
      this.#checkpoints.write(checkpoint)
    }
    this.#logs.clear()
    for (const directory of this.#directories) {
      try {
        if (directory.online && !failed.has(directory.path)) directory.markClean()
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
