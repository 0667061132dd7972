/** Opens partition directories that are there: what a start finds, and what a move leaves. */
import { LeaderEpochs } from './leader-epochs.ts'
import { LEADER_EPOCH_FILE } from './file-names.ts'
import { loadLog } from './log-loader.ts'
import { PartitionLog, type LogHost } from './partition-log.ts'
import { ProducerSnapshots } from './producer-snapshots.ts'
import { ProducerState } from './producer-state.ts'
import type { LogConfig } from './types.ts'

export interface FoundPartition {
  readonly topic: string
  readonly partition: number
  /** Path of the partition directory. */
  readonly directory: string
  /** The `log.dirs` entry it lies in. */
  readonly logDirectory: string
}

/** What the last stop says of it. */
export interface LastStop {
  readonly clean: boolean
  /** null: it is in no checkpoint. */
  readonly recoveryPoint: number | null
  readonly logStartOffset: number
  /** The cleaner's checkpoint knows it: it was compacted once, whatever its topic's settings are now. */
  readonly wasCompacted?: boolean
}

/** Throws DiskError. */
export function openPartition(
  host: LogHost,
  found: FoundPartition,
  config: LogConfig,
  last: LastStop,
): PartitionLog {
  const { disk, logger } = host
  const { directory } = found
  const names = disk.list(directory)
  const isNew = !names.includes(LEADER_EPOCH_FILE)
  const epochs = new LeaderEpochs(disk, `${directory}/${LEADER_EPOCH_FILE}`, { isNew, logger })
  const snapshots = new ProducerSnapshots(disk, directory, { names, logger })
  const producers = new ProducerState()
  const loaded = loadLog({
    ...last,
    host,
    logger,
    directory,
    names,
    mayHaveGaps: last.wasCompacted === true || config.cleanupPolicy.includes('compact'),
    indexIntervalBytes: config.indexIntervalBytes,
    nowMs: host.nowMs(),
    producerIdExpirationMs: host.producerIdExpirationMs,
    epochs,
    snapshots,
    producers,
  })
  const parts = { config, epochs, snapshots, producers, loaded, topicId: null, isNew: false }
  return new PartitionLog(host, { ...found, ...parts })
}

/** One without a directory so far. */
export function newPartition(
  host: LogHost,
  place: FoundPartition,
  config: LogConfig,
  topicId: string,
): PartitionLog {
  const { disk, logger } = host
  const { directory } = place
  return new PartitionLog(host, {
    ...place,
    config,
    epochs: new LeaderEpochs(disk, `${directory}/${LEADER_EPOCH_FILE}`, { isNew: true, logger }),
    snapshots: new ProducerSnapshots(disk, directory, { names: [], logger }),
    producers: new ProducerState(),
    loaded: {
      segments: [],
      logStartOffset: 0,
      logEndOffset: 0,
      recoveryPoint: 0,
      producersLoaded: true,
      wasClean: false,
    },
    topicId,
    isNew: true,
  })
}
