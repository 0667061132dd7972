/** Opens partition directories that are there: what a start finds, and what a move leaves. */
import { LeaderEpochs } from './leader-epochs.ts'
import { LEADER_EPOCH_FILE } from './file-names.ts'
import { loadLog } from './log-loader.ts'
import type { LogHost } from './log-parts.ts'
import { PartitionLog } from './partition-log.ts'
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
  const { directory } = found
  const names = host.disk.list(directory)
  const state = stateIn(host, directory, names)
  const loaded = loadLog({
    ...last,
    ...state,
    host,
    logger: host.logger,
    directory,
    names,
    mayHaveGaps: last.wasCompacted === true || config.cleanupPolicy.includes('compact'),
    indexIntervalBytes: config.indexIntervalBytes,
    nowMs: host.nowMs(),
    producerIdExpirationMs: host.producerIdExpirationMs,
  })
  return new PartitionLog(host, { ...found, ...state, config, loaded, topicId: null, isNew: false })
}

/** One without a directory so far. */
export function newPartition(
  host: LogHost,
  place: FoundPartition,
  config: LogConfig,
  topicId: string,
): PartitionLog {
  return new PartitionLog(host, {
    ...place,
    ...stateIn(host, place.directory, []),
    config,
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

/** What a log keeps beside its segments; `names`: of the files that are there. */
function stateIn({ disk, logger }: LogHost, directory: string, names: readonly string[]) {
  const isNew = !names.includes(LEADER_EPOCH_FILE)
  return {
    epochs: new LeaderEpochs(disk, `${directory}/${LEADER_EPOCH_FILE}`, { isNew, logger }),
    snapshots: new ProducerSnapshots(disk, directory, { names, logger }),
    producers: new ProducerState(),
  }
}
