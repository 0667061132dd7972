/** Data directories of every kind, each built once: what a clean stop leaves, and what a kill leaves. */
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import type { LogConfig, LogManager, ReplicaLog } from '../../../src/log/types.ts'
import { buildBatch, codecNames } from '../../../src/protocol/record-batch.ts'
import { openCompacted } from '../cleaner/cleaner-fixture.ts'
import { append, batchOf, openLogs, START_MS, type Fixture } from '../log-fixture.ts'

export type Ending = 'closed' | 'killed'

/** A batch of an idempotent producer that is sent again: the log must know it. */
export interface Repeated {
  readonly partition: number
  readonly bytes: Buffer
  readonly firstOffset: number
}

export interface BaseDirectory {
  readonly name: string
  readonly ending: Ending
  readonly disk: SimDisk
  readonly repeated: readonly Repeated[]
  /** By partition: below it all was flushed. */
  readonly flushedEnds: ReadonlyMap<number, number>
  open(disk: SimDisk): Fixture
  /** The same directory, never damaged, open. What it answers is right. */
  readonly right: LogManager
}

const CONFIG: Partial<LogConfig> = { segmentBytes: 1500, indexIntervalBytes: 150, segmentMs: Infinity }
const COMPACTED: Partial<LogConfig> = {
  cleanupPolicy: ['compact'],
  segmentBytes: 900,
  indexIntervalBytes: 150,
}
const CHECKPOINTS_MS = 61_000

/** Up, with steps back. */
const timestampOf = (index: number): number => START_MS + index * 10 + ((index * 7919) % 45)

interface Written {
  readonly fixture: Fixture
  readonly repeated: Repeated[]
}

type Writer = (fixture: Fixture, from: number, to: number, repeated: Repeated[]) => void

function values(index: number): string[] {
  return Array.from({ length: 1 + (index % 3) }, (_, each) =>
    `${index}/${each} `.repeat(1 + ((index * 5) % 13)),
  )
}

/** One idempotent producer, every codec in turn, a new leader now and then. */
const writeCodecs: Writer = ({ log: logOf }, from, to, repeated) => {
  const log = logOf('t', 0)
  for (let index = from; index < to; index++) {
    const bytes = batchOf({
      values: values(index),
      timestampMs: timestampOf(index),
      codec: index % codecNames.length,
      producerId: 7,
      producerEpoch: 1,
      baseSequence: log.logEndOffset,
    })
    const outcome = log.appendAsLeader(Buffer.from(bytes), { leaderEpoch: index >> 3, origin: 'client' })
    if (!('firstOffset' in outcome)) throw new Error(outcome.message)
    if (index === to - 1) repeated.push({ partition: 0, bytes, firstOffset: outcome.firstOffset })
  }
}

/** Two producers; each third transaction is aborted, and one is open across segments. */
const writeTransactions: Writer = ({ log: logOf }, from, to) => {
  const log = logOf('t', 0)
  for (let index = from; index < to; index++) {
    const producerId = index % 4 < 2 ? 501 : 502
    const producer = { producerId, producerEpoch: 0, transactional: true }
    const timestampMs = timestampOf(index)
    if (index === from)
      append(log, { values: ['open'], timestampMs, ...producer, producerId: 503, baseSequence: 0 })
    append(log, {
      values: [...values(index).slice(0, 1), 'b'],
      timestampMs,
      ...producer,
      baseSequence: 2 * sequences(index),
    })
    if (index % 2 === 0) continue
    put(log, endMarker(producerId, index % 3 !== 0, timestampMs))
  }
  put(log, endMarker(503, true, timestampOf(to)))
}

/** How many batches the producer of batch `index` wrote before it. */
const sequences = (index: number): number => 2 * (index >> 2) + (index % 2)

function put(log: ReplicaLog, batch: Buffer): void {
  const outcome = log.appendAsLeader(batch, { leaderEpoch: 0, origin: 'coordinator' })
  if (outcome.error !== 0) throw new Error(JSON.stringify(outcome))
}

function endMarker(producerId: number, isAbort: boolean, timestampMs: number): Buffer {
  const key = Buffer.from([0, 0, 0, isAbort ? 0 : 1])
  const records = [{ timestampMs, key, value: Buffer.from([0, 0, 0, 0, 0, 7]) }]
  return buildBatch({ records, producerId, producerEpoch: 0, transactional: true, control: true })
}

/** Two small partitions; the start of one has moved. */
const writeSeveral: Writer = ({ log: logOf }, from, to) => {
  for (let index = from; index < to; index++) {
    for (const partition of [0, 1]) {
      append(logOf('t', partition), { values: values(index), timestampMs: timestampOf(index) }, index >> 2)
    }
  }
  const log = logOf('t', 1)
  log.raiseLogStart(from + 5, log.logEndOffset)
}

const writeKeys: Writer = ({ log: logOf }, from, to) => {
  const log = logOf('t', 0)
  for (let index = from; index < to; index++) {
    append(log, { values: values(index), key: `k${(index * 7) % 9}`, timestampMs: timestampOf(index) })
  }
}

function emptyDisk(): SimDisk {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  disk.makeDirectory('/data')
  return disk
}

const openPlain = (disk: SimDisk): Fixture => openLogs({ disk, config: CONFIG })
const openKeys = (disk: SimDisk): Fixture => openCompacted({ disk, config: COMPACTED })

async function build(
  name: string,
  ending: Ending,
  open: (disk: SimDisk) => Fixture,
  write: Writer,
): Promise<BaseDirectory> {
  const disk = emptyDisk()
  const written: Written = { fixture: open(disk), repeated: [] }
  write(written.fixture, 0, 24, written.repeated)
  const flushedEnds = new Map<number, number>()
  for (const log of written.fixture.manager.all()) {
    await log.flush()
    flushedEnds.set(log.partition, log.logEndOffset)
  }
  await written.fixture.time.advance(CHECKPOINTS_MS)
  write(written.fixture, 24, 32, written.repeated)
  if (ending === 'closed') await written.fixture.manager.stop()
  disk.kill()
  addLeftovers(disk)
  return finished({ name, ending, disk, open, repeated: written.repeated, flushedEnds })
}

function finished(base: Omit<BaseDirectory, 'right'>): BaseDirectory {
  return { ...base, right: base.open(base.disk.clone(new SeededRandom(2))).manager }
}

/** Of a deletion and a compaction that came to no end. */
function addLeftovers(disk: SimDisk): void {
  const name = '/data/t-0/00000000000000000000.log'
  if (disk.stat(name) === null) return
  for (const suffix of ['.deleted', '.cleaned']) disk.replaceFile(name + suffix, disk.readFile(name))
}

/** Killed when the compacted segments were finished, and had not taken the place of the old ones. */
async function buildSwap(): Promise<BaseDirectory> {
  const disk = emptyDisk()
  const { log, time, manager } = openKeys(disk)
  writeKeys({ log, time, manager } as Fixture, 0, 32, [])
  await log().flush()
  let found: SimDisk | null = null
  disk.onStep = () => {
    const names = found === null ? disk.list('/data/t-0') : []
    const isReady =
      names.some((each) => each.endsWith('.log.swap')) && !names.some((each) => each.endsWith('.cleaned'))
    if (isReady) found = disk.clone(new SeededRandom(3))
  }
  await time.advance(100_000)
  found!.kill()
  return finished({
    name: 'swap',
    ending: 'killed',
    disk: found!,
    open: openKeys,
    repeated: [],
    flushedEnds: new Map([[0, log().logEndOffset]]),
  })
}

/** Of what `buildBaseDirectories` gives, in its order. */
export const BASE_NAMES = [
  'codecs, closed',
  'transactions, closed',
  'several, closed',
  'compacted, closed',
  'codecs, killed',
  'transactions, killed',
  'several, killed',
  'compacted, killed',
  'swap, killed',
] as const

export async function buildBaseDirectories(): Promise<BaseDirectory[]> {
  const bases: BaseDirectory[] = []
  for (const ending of ['closed', 'killed'] as const) {
    bases.push(await build('codecs', ending, openPlain, writeCodecs))
    bases.push(await build('transactions', ending, openPlain, writeTransactions))
    bases.push(await build('several', ending, openPlain, writeSeveral))
    bases.push(await build('compacted', ending, openKeys, writeKeys))
  }
  bases.push(await buildSwap())
  return bases
}
