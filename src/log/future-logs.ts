/**
 * Moves between the directories of `log.dirs` (KIP-113), the part that concerns files. A partition's future log is filled in
 * `<topic>-<partition>.<hex>-future` of the other directory. When it has all, it is made durable, takes the live name there,
 * and then the old directory goes. A crash in between leaves two live directories, of which a start keeps the one that has
 * everything (`keepOne`): at no point is there none.
 */
import { assert } from '../base/assert.ts'
import { DiskError } from '../env/disk.ts'
import type { Logger, Random } from '../env/env.ts'
import { partitionKey } from './checkpoint-file.ts'
import { asideDirectoryName, join } from './file-names.ts'
import type { LogCheckpoints } from './log-checkpoints.ts'
import type { LogDirectory } from './log-directory.ts'
import { newPartition, openPartition } from './partition-loader.ts'
import type { LogHost } from './log-parts.ts'
import type { PartitionLog } from './partition-log.ts'
import { keyOf, type ReplicaLogs } from './replica-logs.ts'

export interface FutureLogsParts {
  readonly logs: ReplicaLogs
  readonly checkpoints: LogCheckpoints
  readonly random: Random
  readonly logger: Logger
  hostOf(directory: LogDirectory): LogHost
  directoryOf(log: PartitionLog): LogDirectory
  /** Renames the directory of a log and lets its files go. */
  moveAside(log: PartitionLog, mark: 'delete' | 'stray'): void
}

export class FutureLogs {
  readonly #parts: FutureLogsParts

  constructor(parts: FutureLogsParts) {
    this.#parts = parts
  }

  /** An empty one, beside the current log. Throws DiskError. */
  create(current: PartitionLog, directory: LogDirectory): PartitionLog {
    const { topic, partition, config, topicId } = current
    const unique = this.#parts.random.bytes(16).toString('hex')
    const name = asideDirectoryName(topic, partition, 'future', unique)
    const place = {
      topic,
      partition,
      directory: join(directory.path, name),
      logDirectory: directory.path,
    }
    const future = newPartition(this.#parts.hostOf(directory), place, config, topicId)
    future.makeDirectory()
    this.#parts.logs.future.set(keyOf(future), future)
    return future
  }

  remove(topic: string, partition: number): void {
    const future = this.#parts.logs.future.get(partitionKey(topic, partition))
    if (future !== undefined) this.#parts.moveAside(future, 'delete')
  }

  /**
   * The future log, which has the same records, takes the place of the current one, in one turn and without a promise. What
   * was flushed before is on the other disk now too, and what waits for a flush may be acknowledged. Throws DiskError: then
   * the current log is what it was, and the future one is known no more.
   */
  takeOver(topic: string, partition: number): PartitionLog {
    const { logs, checkpoints } = this.#parts
    const key = partitionKey(topic, partition)
    const [current, future] = [logs.current.get(key), logs.future.get(key)]
    assert(current !== undefined && future !== undefined, 'a move has two logs')
    assert(current.logEndOffset === future.logEndOffset, 'a move ends when both logs end at the same offset')
    const target = this.#parts.directoryOf(future)
    // Before the copy takes the name: its log start may be known to the checkpoint alone.
    future.raiseLogStart(current.logStartOffset, current.logEndOffset)
    checkpoints.writeIn(target, 'logStartOffset')
    const moved = this.#openInPlace(current, future)
    logs.current.set(key, moved)
    checkpoints.writeIn(target, 'recoveryPoint')
    this.#letGo(current)
    return moved
  }

  #openInPlace(current: PartitionLog, future: PartitionLog): PartitionLog {
    const { topic, partition, config, logStartOffset, logEndOffset: recoveryPoint } = current
    const target = this.#parts.directoryOf(future)
    const live = { topic, partition, directory: join(target.path, keyOf(future)), logDirectory: target.path }
    try {
      future.sealAsCopyOf(current)
      target.disk.rename(future.directory, live.directory)
    } catch (error) {
      this.#letGo(future)
      throw error
    }
    this.#parts.logs.forget(future)
    target.disk.syncDirectory(target.path)
    const last = { clean: true, recoveryPoint, logStartOffset }
    return openPartition(this.#parts.hostOf(target), live, config, last)
  }

  /** What a disk that fails does not let go is found and resolved by a start. */
  #letGo(log: PartitionLog): void {
    try {
      this.#parts.moveAside(log, 'delete')
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#parts.logger.log('warn', 'a directory could not be set aside', { error: error.message })
      this.#parts.logs.forget(log)
      log.abandon()
    }
  }

  /** A start has found no current log, though every directory works: what was copied so far is all that there is. */
  promote(future: PartitionLog): void {
    const { topic, partition, config, recoveryPoint, logStartOffset } = future
    const directory = this.#parts.directoryOf(future)
    const live = {
      topic,
      partition,
      directory: join(directory.path, keyOf(future)),
      logDirectory: directory.path,
    }
    this.#parts.logger.log('warn', 'a move has lost the log that it copied: the copy takes its place', {
      from: future.directory,
      to: live.directory,
      logEndOffset: future.logEndOffset,
    })
    future.abandon()
    this.#parts.logs.forget(future)
    directory.disk.rename(future.directory, live.directory)
    directory.directoryRenamed()
    const last = { clean: false, recoveryPoint, logStartOffset }
    const log = openPartition(this.#parts.hostOf(directory), live, config, last)
    this.#parts.logs.current.set(keyOf(log), log)
  }

  /**
   * A start has found two live directories of one partition: a move was about to delete one, or a directory that had been lost
   * is back. The newer log by epoch, then by length, is the partition; the other is deleted when it holds nothing else, and
   * set aside when it does.
   */
  keepOne(one: PartitionLog, other: PartitionLog): PartitionLog {
    const age = (log: PartitionLog): [number, number] => [log.latestLeaderEpoch, log.logEndOffset]
    const [oneEpoch, oneEnd] = age(one)
    const [otherEpoch, otherEnd] = age(other)
    const isOneNewer = oneEpoch > otherEpoch || (oneEpoch === otherEpoch && oneEnd >= otherEnd)
    const [kept, left] = isOneNewer ? [one, other] : [other, one]
    const shared = kept.endOffsetForEpoch(left.latestLeaderEpoch).endOffset
    const holdsAll = kept.belongsTo(left.topicId) && Math.max(shared, 0) >= left.logEndOffset
    this.#parts.logger.log('warn', 'a partition lies in two log directories: one of them is given up', {
      kept: kept.directory,
      given: left.directory,
      mark: holdsAll ? 'delete' : 'stray',
    })
    this.#parts.moveAside(left, holdsAll ? 'delete' : 'stray')
    return kept
  }
}
