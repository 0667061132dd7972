/** Memory for the indexes of many segments, each of them read: bounded by what src/log/log-manager.ts keeps resident. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_INACTIVE_INDEX_BYTES, MAX_RESIDENT_SEGMENTS } from '../../src/log/log-manager.ts'
import type { Sample } from '../lab/interleave.ts'
import { runClient } from '../lab/process.ts'
import type { Section } from '../lab/report.ts'
import { segmentFiles, writeSegment } from '../lab/segment-files.ts'
import { measureAll, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { cache } from '../lab/tools.ts'
import { openLog, TOPIC } from './own-log.ts'

/** Many small segments meet the limit of open files, few with large indexes that of index bytes. */
const shapes = [
  { segments: 10_000, entries: 200 },
  { segments: 200, entries: 20_000 },
]
const BYTES_PER_ENTRY = 20

async function one(options: Options, work: string, shape: (typeof shapes)[number]): Promise<Section[]> {
  const segments = options.quick ? shape.segments / 10 : shape.segments
  const { entries } = shape
  const title = `${segments.toLocaleString('en-US')} segments of ${entries.toLocaleString('en-US')} index entries, all read`
  if (!wanted(options, title)) return []
  const directory = join(work, 'segments')
  const partition = join(directory, `${TOPIC}-0`)
  mkdirSync(partition, { recursive: true })
  const batches = entries + 1
  for (let segment = 0; segment < segments; segment++) {
    const base = segment * batches
    const files = segmentFiles(base, { batches, recordsPerBatch: 1, valueBytes: 8, indexIntervalBytes: 0 })
    writeSegment(partition, base, files)
  }
  await openLog(directory, { 'index.interval.bytes': '0' }).close()
  const program = join(cache, 'bench', 'log-segments.mjs')
  const series = await measureAll(options, title, {
    subjects: ['odradek'],
    measure: async () => {
      const { stdout } = await runClient(process.execPath, [
        '--expose-gc',
        program,
        directory,
        String(segments),
      ])
      return JSON.parse(stdout) as Sample
    },
  })
  rmSync(directory, { recursive: true })
  const indexMegabytes = (segments * entries * BYTES_PER_ENTRY) / 1e6
  return [
    {
      title,
      setting: {
        'index entries, all of them in memory, would be MB': Math.round(indexMegabytes),
        'limit of index memory, MB': MAX_INACTIVE_INDEX_BYTES / 1e6,
        'limit of open segments': MAX_RESIDENT_SEGMENTS,
      },
      metrics: [
        { name: 'openMs', label: 'opening the log after a clean stop', unit: 'ms' },
        { name: 'bytesPerSegment', label: 'memory of a segment at rest', unit: 'B' },
        { name: 'touchMs', label: 'first read in a segment', unit: 'ms' },
        { name: 'touchedMb', label: 'heap and buffers more after reading in all', unit: 'MB' },
        { name: 'rssMb', label: 'resident memory more than before the log was opened', unit: 'MB' },
        { name: 'descriptors', label: 'file descriptors open', unit: '' },
      ],
      expectations: [],
      series,
    },
  ]
}

export async function segments(options: Options, work: string): Promise<Section[]> {
  const sections: Section[] = []
  for (const shape of shapes) sections.push(...(await one(options, work, shape)))
  return sections
}
