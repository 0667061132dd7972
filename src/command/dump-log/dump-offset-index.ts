/**
 * An offset index: 8 bytes an entry, offset relative to the base, position. At the position a batch must begin, and it must
 * have that last offset. Followers and the cleaner write several batches at once and note the last offset of them all: then a
 * later batch has it, which is no fault (kafka-dump-log calls it a mismatch).
 */
import type { DiskFile } from '../../env/disk.ts'
import { BatchScan } from './batch-scan.ts'
import { note, problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'
import { IndexEntries, MAX_INDEX_FAULTS } from './index-entries.ts'
import type { IndexOptions } from './index-entries.ts'

const ENTRY_BYTES = 8
/** How many batches one entry may stand for. */
const MAX_BATCHES_OF_ENTRY = 10_000

/** `log`: the segment, null where the index is looked at alone. */
export function* dumpOffsetIndex(
  file: DiskFile,
  log: DiskFile | null,
  { baseOffset, showEntries }: IndexOptions,
): Generator<Dumped> {
  const entries = new IndexEntries(file, ENTRY_BYTES)
  yield* entries.checkSize()
  const logSize = log?.size() ?? 0
  let [lastOffset, lastPosition] = [-Infinity, -Infinity]
  let faults = 0
  let chunks = 0
  while (entries.next()) {
    const offset = baseOffset + entries.bytes.readInt32BE(entries.at)
    const position = entries.bytes.readInt32BE(entries.at + 4)
    if (showEntries) yield { type: 'offsetIndexEntry', offset, position }
    if (faults >= MAX_INDEX_FAULTS) continue
    const found = log === null ? null : batchOfEntry(log, logSize, offset, position)
    if (found === 'later') chunks++
    const fault =
      offset <= lastOffset || position <= lastPosition || offset < baseOffset || position < 0
        ? `the entry (${offset}, ${position}) is out of order`
        : found === 'later'
          ? null
          : found
    lastOffset = offset
    lastPosition = position
    if (fault === null) continue
    yield problem(fault)
    if (++faults === MAX_INDEX_FAULTS) yield problem('and so on: the rest of this index is not compared')
  }
  if (chunks > 0)
    yield note(`${chunks} entries name the last of several batches, as followers and the cleaner do`)
  yield entries.end()
}

/** null: the first batch there has that last offset. `later`: one of those that follow has. Else what is wrong. */
function batchOfEntry(
  log: DiskFile,
  logSize: number,
  offset: number,
  position: number,
): string | 'later' | null {
  if (position < 0 || position >= logSize) {
    return `the entry (${offset}, ${position}) lies behind the segment's ${logSize} bytes`
  }
  const scan = new BatchScan(log, position, logSize, HEADERS_BYTES)
  for (let count = 0; count < MAX_BATCHES_OF_ENTRY && scan.next(); count++) {
    if (scan.lastOffset === offset) return count === 0 ? null : 'later'
    if (scan.lastOffset > offset) {
      return `index offset ${offset}, log offset ${scan.lastOffset} at ${scan.position}: they do not match`
    }
  }
  return `the entry (${offset}, ${position}): no batch with that last offset begins there`
}

/** Mostly one header is read for an entry. */
const HEADERS_BYTES = 4096
