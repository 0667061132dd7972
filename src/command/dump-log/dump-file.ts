/** One file, whatever it is. */
import type { Disk, DiskFile } from '../../env/disk.ts'
import { DiskError } from '../../env/disk.ts'
import { LOG_SUFFIX } from '../../log/file-names.ts'
import type { DumpOptions } from './arguments.ts'
import { decoderFor } from './coordinator-records.ts'
import { dumpOffsetIndex } from './dump-offset-index.ts'
import { dumpSegment } from './dump-segment.ts'
import {
  dumpLeaderEpochs,
  dumpOffsetCheckpoint,
  dumpProducerSnapshot,
  dumpProperties,
  dumpTransactionIndex,
} from './dump-small-files.ts'
import { dumpTimeIndex } from './dump-time-index.ts'
import { note, problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'
import { siblingOf } from './find-files.ts'
import type { FoundFile } from './find-files.ts'

/** What cannot be read is a problem of the file, and the next one is looked at. */
export function* dumpFile(disk: Disk, found: FoundFile, options: DumpOptions): Generator<Dumped> {
  try {
    const stat = disk.stat(found.path)
    yield { type: 'file', kind: found.kind, sizeBytes: stat?.size ?? 0 }
    yield* contentsOf(disk, found, options)
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    const isGone = error.code === 'NOT_FOUND' && found.isListed && error.path === found.path
    if (isGone) yield note('gone meanwhile')
    else yield problem(`cannot be read: ${error.message}`)
  }
}

function* contentsOf(disk: Disk, found: FoundFile, options: DumpOptions): Generator<Dumped> {
  const { path, kind, offset } = found
  switch (kind) {
    case 'log':
      return yield* withFile(disk, path, (file) => dumpSegment(file, segmentOptions(found, options)))
    case 'index':
    case 'timeindex':
    case 'txnindex':
      return yield* withFile(disk, path, (file) => dumpIndex(disk, file, found, options))
    case 'snapshot':
      return yield* dumpProducerSnapshot(disk, path, offset)
    case 'leader-epoch-checkpoint':
      return yield* dumpLeaderEpochs(disk, path)
    case 'offset-checkpoint':
      return yield* dumpOffsetCheckpoint(disk, path)
    case 'partition.metadata':
      return yield* dumpProperties(disk, path, ':')
    case 'meta.properties':
      return yield* dumpProperties(disk, path, '=')
  }
}

function segmentOptions({ offset, topic }: FoundFile, options: DumpOptions) {
  const decode = decoderFor(options.decoder, topic)
  const { maxBytes, maxBatchBytes } = options
  // Whoever looks into an internal topic looks for what its records say.
  const records = decode === null ? options.records : 'contents'
  return { records, decode, baseOffset: offset, maxBytes, maxBatchBytes } as const
}

function* dumpIndex(
  disk: Disk,
  file: DiskFile,
  { path, kind, offset }: FoundFile,
  options: DumpOptions,
): Generator<Dumped> {
  const { maxBatchBytes, showIndexEntries: showEntries } = options
  if (offset < 0) return yield problem('its name does not begin with an offset of 20 digits')
  const own = { baseOffset: offset, showEntries, maxBatchBytes }
  if (kind === 'txnindex') return yield* dumpTransactionIndex(file, own)
  const dump = kind === 'index' ? dumpOffsetIndex : dumpTimeIndex
  if (!options.compareIndexes) return yield* dump(file, null, own)
  const segment = siblingOf(path, LOG_SUFFIX)
  if (disk.stat(segment) === null) {
    yield note('its segment is not there: the entries are not compared')
    return yield* dump(file, null, own)
  }
  yield* withFile(disk, segment, (log) => dump(file, log, own))
}

function* withFile(disk: Disk, path: string, dump: (file: DiskFile) => Generator<Dumped>): Generator<Dumped> {
  const file = disk.open(path, 'read')
  try {
    yield* dump(file)
  } finally {
    file.close()
  }
}
