/** What a log goes through while crashes are tried at each of its steps. */
import type { LogConfig } from '../../../src/log/types.ts'
import type { FilesCheck } from '../partition-files.ts'
import type { CrashWorld, Producer } from './crash-world.ts'

export interface Scenario {
  readonly name: string
  readonly config?: Partial<LogConfig>
  readonly files?: Partial<FilesCheck>
  play(world: CrashWorld): Promise<void>
}

/** Segments of a few batches, an index entry every other batch. */
export const SMALL: Partial<LogConfig> = { segmentBytes: 1500, indexIntervalBytes: 200 }

const producer = (id: number): Producer => ({ id, epoch: 0, nextSequence: 0 })

async function times(count: number, action: (index: number) => Promise<void> | void): Promise<void> {
  for (let index = 0; index < count; index++) await action(index)
}

/** Long enough for every periodic checkpoint. */
const CHECKPOINTS_MS = 61_000

async function appendAndRoll(world: CrashWorld): Promise<void> {
  const one = producer(1)
  const other = producer(2)
  await times(14, async (index) => {
    await world.append({ producer: index % 3 === 0 ? other : one })
    if (index % 5 === 4) world.newLeader()
    if (index === 6) await world.pass(CHECKPOINTS_MS)
  })
  await world.pass(CHECKPOINTS_MS)
  await times(4, () => world.append())
}

async function transactions(world: CrashWorld): Promise<void> {
  const one = producer(1)
  const other = producer(2)
  await times(5, async (index) => {
    await world.append({ producer: one, transactional: true })
    await world.append({ producer: other, transactional: true })
    await world.append({ producer: one, transactional: true })
    await world.endTransaction(one, index % 2 === 0 ? 'abort' : 'commit')
    if (index === 2) await world.flush()
    await world.append({ producer: other, transactional: true })
    await world.endTransaction(other, index % 2 === 0 ? 'commit' : 'abort')
    if (index === 1) await world.pass(CHECKPOINTS_MS)
  })
  await world.append({ producer: other, transactional: true })
}

async function retention(world: CrashWorld): Promise<void> {
  const one = producer(1)
  await times(4, async () => {
    await times(6, () => world.append({ producer: one }))
    await world.flush()
    world.retain()
    await world.append({ producer: one })
    const { end } = world.promised()
    await world.deleteRecords(end - 2)
    await world.pass(CHECKPOINTS_MS)
  })
}

async function truncation(world: CrashWorld): Promise<void> {
  await times(4, async (epoch) => {
    await times(9, (index) => {
      world.follow(epoch)
      if (index === 4) return world.flush()
    })
    const { end } = world.promised()
    world.truncate(end - 12)
    world.follow(epoch + 1)
    if (epoch % 2 === 0) await world.flush()
    if (epoch === 1) await world.pass(CHECKPOINTS_MS)
  })
}

async function cleanStops(world: CrashWorld): Promise<void> {
  const one = producer(1)
  await times(3, async () => {
    await times(7, () => world.append({ producer: one, transactional: true }))
    await world.endTransaction(one, 'abort')
    await world.restart()
    await world.append({ producer: one, transactional: true })
  })
  await world.stop()
}

async function killsOnTheWay(world: CrashWorld): Promise<void> {
  const one = producer(1)
  await times(3, async (index) => {
    await times(6, () => world.append({ producer: one }))
    if (index === 1) await world.flush()
    world.newLeader()
    world.kill()
    await times(2, () => world.append({ producer: one }))
  })
  await world.restart()
  await world.append({ producer: one })
}

async function severalTopics(world: CrashWorld): Promise<void> {
  await times(3, async (index) => {
    const topic = `made${index}`
    await times(4, () => world.append({}, topic))
    await world.flush(topic)
    await world.append({}, topic)
    await world.pass(CHECKPOINTS_MS)
    if (index === 1) {
      world.removeTopic('made0')
      await world.pass(100)
      world.removeTopic(topic)
      await world.pass(CHECKPOINTS_MS)
    }
  })
}

async function flushesUnderWay(world: CrashWorld): Promise<void> {
  const one = producer(1)
  await times(8, async (index) => {
    const flushes = [world.flush(), world.flush()]
    await times(3, () => world.append({ producer: one }))
    if (index % 2 === 0) await Promise.all([...flushes, world.flush()])
    else await Promise.all(flushes)
  })
}

async function codecs(world: CrashWorld): Promise<void> {
  await times(3, async () => {
    for (const codec of [0, 1, 2, 3, 4]) await world.append({ codec, values: ['abc'.repeat(50), 'd'] })
    await world.flush()
  })
}

export const scenarios: readonly Scenario[] = [
  { name: 'appending and rolling', play: appendAndRoll },
  { name: 'appending with flush.messages=1', config: { flushMessages: 1 }, play: appendAndRoll },
  { name: 'transactions', play: transactions },
  { name: 'transactions with flush.messages=1', config: { flushMessages: 1 }, play: transactions },
  { name: 'retention and DeleteRecords', config: { retentionBytes: 2500 }, play: retention },
  { name: 'a follower that truncates', play: truncation },
  { name: 'clean stops', play: cleanStops },
  { name: 'kills on the way', play: killsOnTheWay },
  { name: 'topics that come and go', play: severalTopics },
  { name: 'flushes under way', play: flushesUnderWay },
  { name: 'every codec', play: codecs },
]
