/** Appending as a leader, beside the least that can be done with the same bytes: check the CRC-32C, write. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import type { Section } from '../lab/report.ts'
import { segmentFiles } from '../lab/segment-files.ts'
import { measureAll, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { openLog } from './own-log.ts'

const SUBJECTS = ['odradek', 'limit']
const TOTAL_BYTES = 384e6
/** As many different bytes go round: more than a cache holds, as in a broker's receive buffers it does not all. */
const RING_BYTES = 8e6

interface Setting {
  readonly batchBytes: number
  readonly valueBytes: number
}

const settings: Setting[] = [16, 64, 1000].flatMap((kilobytes) =>
  [100, 1000].map((valueBytes) => ({ batchBytes: kilobytes * 1024, valueBytes })),
)

/** Batches as a producer sends them, base offset 0, each a buffer of its own. */
function ring({ batchBytes, valueBytes }: Setting): Buffer[] {
  const recordsPerBatch = Math.floor((batchBytes - 61) / (valueBytes + 9))
  const shape = { recordsPerBatch, valueBytes, indexIntervalBytes: 4096 }
  const batches = Math.max(4, Math.ceil(RING_BYTES / batchBytes))
  const { log } = segmentFiles(0, { ...shape, batches })
  const size = log.length / batches
  return Array.from({ length: batches }, (_, index) => log.subarray(index * size, (index + 1) * size))
}

type Append = (batch: Buffer) => void

/** Seconds that it takes to append `totalBytes`; the first batch, which makes the file, is not counted. */
function clock(batches: readonly Buffer[], totalBytes: number, append: Append): number {
  const rounds = Math.max(2, Math.round(totalBytes / batches[0].length))
  const one = (index: number) => {
    const batch = batches[index % batches.length]
    // As it came from the client: the base offset lies outside the CRC.
    batch.fill(0, 0, 8)
    append(batch)
  }
  one(0)
  const from = performance.now()
  for (let index = 1; index <= rounds; index++) one(index)
  const seconds = (performance.now() - from) / 1000
  return (rounds * batches[0].length) / 1e6 / seconds
}

async function appendToLog(directory: string, batches: readonly Buffer[], totalBytes: number) {
  const { log, close } = openLog(directory)
  const options = { leaderEpoch: 0, origin: 'client' } as const
  const megabytesPerSecond = clock(batches, totalBytes, (batch) => {
    const outcome = log.appendAsLeader(batch, options)
    if (outcome.error !== 0) throw new Error(`append: ${JSON.stringify(outcome)}`)
  })
  await close()
  return { megabytesPerSecond }
}

function checkAndWrite(directory: string, batches: readonly Buffer[], totalBytes: number) {
  const file = openSync(join(directory, 'limit.log'), 'w+')
  let end = 0
  const megabytesPerSecond = clock(batches, totalBytes, (batch) => {
    if (crc32c(batch.subarray(21)) !== batch.readUInt32BE(17)) throw new Error('a batch with a wrong CRC')
    end += writeSync(file, batch, 0, batch.length, end)
  })
  closeSync(file)
  return { megabytesPerSecond }
}

export async function append(options: Options, work: string): Promise<Section[]> {
  const sections: Section[] = []
  for (const setting of settings) {
    const title = `append, batches of ${Math.round(setting.batchBytes / 1024)} KiB, records of ${setting.valueBytes} B`
    if (!wanted(options, title)) continue
    const batches = ring(setting)
    const directory = join(work, 'append')
    const totalBytes = options.quick ? TOTAL_BYTES / 10 : TOTAL_BYTES
    const series = await measureAll(options, title, {
      subjects: SUBJECTS,
      measure: async (subject) => {
        mkdirSync(directory)
        const run = subject === 'limit' ? checkAndWrite : appendToLog
        const sample = await run(directory, batches, totalBytes)
        rmSync(directory, { recursive: true })
        return sample
      },
    })
    sections.push({
      title,
      setting: { 'bytes appended': totalBytes },
      metrics: [{ name: 'megabytesPerSecond', label: 'appended', unit: 'MB/s' }],
      expectations: [{ metric: 'megabytesPerSecond', against: 'limit', direction: 'at least', value: 0.5 }],
      series,
    })
  }
  return sections
}
