/** Looking up offsets and times in a log of a million index entries, at random, and what the first look costs. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ReplicaLog } from '../../src/log/types.ts'
import type { Section } from '../lab/report.ts'
import { FIRST_TIMESTAMP_MS, segmentFiles, writeSegment } from '../lab/segment-files.ts'
import { measureAll, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { openLog, TOPIC } from './own-log.ts'

/** A segment of 1 GiB with an entry every 4 KiB has 262,144. */
const SEGMENTS = 4
const ENTRIES_PER_SEGMENT = 250_000
const LOOKUPS = 100_000

type Lookup = (log: ReplicaLog, offset: number) => void

const byOffset: Lookup = (log, offset) => {
  const slice = log.read(offset, { maxBytes: 1, upperBoundOffset: log.logEndOffset, minOneBatch: true })
  if (slice === null || slice.bytes.length === 0) throw new Error(`nothing at offset ${offset}`)
  slice.release()
}

const byTime: Lookup = (log, offset) => {
  const found = log.offsetForTimestamp(FIRST_TIMESTAMP_MS + offset)
  if (found?.offset !== offset) throw new Error(`time of ${offset}: found ${JSON.stringify(found)}`)
}

/** Lookups a second, at offsets all over the log, the same in every round. */
function perSecond(log: ReplicaLog, lookup: Lookup, count: number): number {
  let state = 1
  const from = performance.now()
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    lookup(log, Math.floor((state / 2 ** 32) * log.logEndOffset))
  }
  return count / ((performance.now() - from) / 1000)
}

/** Milliseconds for the first lookup in a segment of a log just opened: its two indexes are read. */
async function firstLookupMs(directory: string, lookup: Lookup): Promise<number> {
  const { log, close } = openLog(directory)
  // Not the last segment, which opening the log has touched.
  const inactive = SEGMENTS - 1
  const perSegment = log.logEndOffset / SEGMENTS
  const from = performance.now()
  for (let segment = 0; segment < inactive; segment++) lookup(log, Math.floor((segment + 0.5) * perSegment))
  const ms = (performance.now() - from) / inactive
  await close()
  return ms
}

export async function lookup(options: Options, work: string): Promise<Section[]> {
  const entriesPerSegment = options.quick ? ENTRIES_PER_SEGMENT / 10 : ENTRIES_PER_SEGMENT
  const title = `lookups, ${(SEGMENTS * entriesPerSegment).toLocaleString('en-US')} index entries`
  if (!wanted(options, title)) return []
  const directory = join(work, 'lookup')
  const partition = join(directory, `${TOPIC}-0`)
  mkdirSync(partition, { recursive: true })
  let entries = 0
  // The first batch of a segment has no entry.
  const batches = entriesPerSegment + 1
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const shape = { batches, recordsPerBatch: 1, valueBytes: 8, indexIntervalBytes: 0 }
    const files = segmentFiles(segment * batches, shape)
    writeSegment(partition, segment * batches, files)
    entries += files.indexEntries
  }
  if (entries !== SEGMENTS * entriesPerSegment) throw new Error(`${entries} index entries were written`)
  await openLog(directory, { 'index.interval.bytes': '0' }).close()
  const series = await measureAll(options, title, {
    subjects: ['odradek'],
    measure: async () => {
      const coldOffsetMs = await firstLookupMs(directory, byOffset)
      const coldTimeMs = await firstLookupMs(directory, byTime)
      const { log, close } = openLog(directory)
      perSecond(log, byOffset, LOOKUPS / 10)
      perSecond(log, byTime, LOOKUPS / 10)
      const offsets = perSecond(log, byOffset, LOOKUPS)
      const times = perSecond(log, byTime, LOOKUPS)
      await close()
      return { offsets, times, coldOffsetMs, coldTimeMs }
    },
  })
  return [
    {
      title,
      setting: { segments: SEGMENTS, 'index entries in each': entriesPerSegment },
      metrics: [
        { name: 'offsets', label: 'by offset, indexes in memory', unit: '1/s' },
        { name: 'times', label: 'by time, indexes in memory', unit: '1/s' },
        { name: 'coldOffsetMs', label: 'first by offset in a segment, indexes on disk', unit: 'ms' },
        { name: 'coldTimeMs', label: 'first by time in a segment, indexes on disk', unit: 'ms' },
      ],
      expectations: [],
      series,
    },
  ]
}
