/**
 * The same requests of transaction.version 2 to Apache Kafka 4.1 (KRaft) and to ours (KIP-890, part 2): producers that begin, write,
 * commit offsets, end, come back, are overtaken, and all that is wrong. Every reply is compared, and every state after it.
 */
import { expect, test } from 'vitest'
import { SeededRandom } from '../../coordinator/world.ts'
import { batchOf, fetch, valuesIn } from '../../broker/requests.ts'
import type { WireClient } from '../../broker/wire-client.ts'
import { produceApi } from '../../../src/protocol/messages/00-produce.ts'
import { offsetFetchApi } from '../../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { apiVersionsApi } from '../../../src/protocol/messages/18-api-versions.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../src/protocol/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../src/protocol/messages/28-txn-offset-commit.ts'
import { describeProducersApi } from '../../../src/protocol/messages/61-describe-producers.ts'
import { describeTransactionsApi } from '../../../src/protocol/messages/65-describe-transactions.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { startBoth, startSide, type SideKind } from './sides.ts'

const TOPIC = 'ledger'
const PARTITIONS = 3
const CONCURRENT_TRANSACTIONS = 51
const STEPS = Number(process.env.ODRADEK_TV2_STEPS ?? 150)
const SCAN_MS = 200

/** A producer id by the order in which a broker has told it; what is beyond these nobody has. */
interface From {
  readonly id: string
  readonly pid: number
  readonly epoch: number
}

const config = {
  'transaction.state.log.num.partitions': '2',
  'offsets.topic.num.partitions': '2',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': String(SCAN_MS),
}

class Side {
  readonly broker: TestBroker
  readonly client: WireClient
  readonly #ids: number[] = []

  constructor(broker: TestBroker, client: WireClient) {
    this.broker = broker
    this.client = client
  }

  static async start(kind: SideKind): Promise<Side> {
    const alone = {
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      'offsets.topic.replication.factor': '1',
    }
    const { broker, client } = await startSide(kind, { ...config, ...alone })
    const side = new Side(broker, client)
    await side.prepare()
    return side
  }

  async prepare(): Promise<void> {
    const topics = [
      { name: TOPIC, numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] },
    ]
    await eventually('the topic is made', async () => {
      const request = { topics, timeoutMs: 10_000, validateOnly: false }
      const [made] = (await this.client.request(createTopicsApi, 7, request)).topics
      return made.errorCode === 0 || made.errorCode === 36
    })
    for (const keyType of [0, 1]) {
      await eventually('coordinators are there', async () => {
        const request = { keyType, coordinatorKeys: ['any'] }
        const [found] = (await this.client.request(findCoordinatorApi, 4, request)).coordinators
        return found.errorCode === 0
      })
    }
    await eventually('transactions are served', async () => (await this.init('warm-up')).errorCode === 0)
    this.#ids.length = 0
  }

  #named(producerId: number): number {
    if (producerId < 0) return producerId
    if (!this.#ids.includes(producerId)) this.#ids.push(producerId)
    return this.#ids.indexOf(producerId)
  }

  #of({ pid, epoch }: From): { producerId: number; producerEpoch: number } {
    return { producerId: this.#ids[pid] ?? 1_000_000 + pid, producerEpoch: epoch }
  }

  #answer(reply: { errorCode: number; producerId: number; producerEpoch: number }) {
    const { errorCode, producerId, producerEpoch } = reply
    return { errorCode, pid: this.#named(producerId), epoch: producerEpoch }
  }

  async init(id: string, expected?: From, version = 5, transactionTimeoutMs = 60_000) {
    const current = expected === undefined ? {} : this.#of(expected)
    const request = { transactionalId: id, transactionTimeoutMs, ...current }
    return this.#answer(await this.client.request(initProducerIdApi, version, request))
  }

  async end(from: From, committed: boolean, version = 5) {
    const request = { transactionalId: from.id, ...this.#of(from), committed }
    return this.#answer(await this.client.request(endTxnApi, version, request))
  }

  async write(from: From, partition: number, sequence: number, version = 12) {
    const producer = this.#of(from)
    const records = batchOf([`${from.id} ${from.epoch}`], {
      ...producer,
      baseSequence: sequence,
      transactional: true,
      // As young as the markers: what is much older has a segment of its own, of which alone a reply tells.
      timestampMs: Date.now(),
    })
    const topicData = [{ name: TOPIC, partitionData: [{ index: partition, records }] }]
    const request = { transactionalId: from.id, acks: -1, timeoutMs: 5000, topicData }
    const reply = await this.client.request(produceApi, version, request)
    const { errorCode, baseOffset } = reply.responses[0].partitionResponses[0]
    return { errorCode, baseOffset }
  }

  async commit(from: From, groupId: string, committedOffset: number, more = {}, version = 5) {
    const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }]
    const topics = [{ name: TOPIC, partitions }]
    const request = { transactionalId: from.id, groupId, ...this.#of(from), topics, ...more }
    const reply = await this.client.request(txnOffsetCommitApi, version, request)
    return { errorCode: reply.topics[0].partitions[0].errorCode }
  }

  async add(from: From, partition: number, version = 3) {
    const { producerId, producerEpoch } = this.#of(from)
    const reply = await this.client.request(addPartitionsToTxnApi, version, {
      v3AndBelowTransactionalId: from.id,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: TOPIC, partitions: [partition] }],
    })
    return { errorCode: reply.resultsByTopicV3AndBelow[0].resultsByPartition[0].partitionErrorCode }
  }

  async addForBroker(from: From, partition: number, verifyOnly: boolean, version = 5) {
    const topics = [{ name: TOPIC, partitions: [partition] }]
    const transaction = { transactionalId: from.id, ...this.#of(from), verifyOnly, topics }
    const reply = await this.client.request(addPartitionsToTxnApi, version, { transactions: [transaction] })
    if (reply.errorCode !== 0) return { errorCode: reply.errorCode }
    const [{ topicResults }] = reply.resultsByTransaction
    return { errorCode: topicResults[0].resultsByPartition[0].partitionErrorCode }
  }

  async addOffsets(from: From, groupId: string, version = 4) {
    const request = { transactionalId: from.id, ...this.#of(from), groupId }
    return { errorCode: (await this.client.request(addOffsetsToTxnApi, version, request)).errorCode }
  }

  async describe(id: string) {
    const request = { transactionalIds: [id] }
    const [state] = (await this.client.request(describeTransactionsApi, 0, request)).transactionStates
    const { errorCode, transactionState, transactionTimeoutMs, producerId, producerEpoch } = state
    const topics = state.topics.flatMap(({ topic, partitions }) => partitions.map((one) => `${topic}/${one}`))
    const hasBegun = state.transactionStartTimeMs > 0
    const producer = `${this.#named(producerId)}/${producerEpoch}`
    return { errorCode, transactionState, transactionTimeoutMs, producer, topics: topics.sort(), hasBegun }
  }

  /** Until nothing is being ended. */
  async settled(id: string) {
    await eventually(`${id} is settled`, async () => {
      return !(await this.describe(id)).transactionState.startsWith('Prepare')
    })
    return this.describe(id)
  }

  async features(version: number) {
    const named = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
    const reply = await this.client.request(apiVersionsApi, version, named)
    const own = <T extends { name: string }>(all: readonly T[]) =>
      all.filter(({ name }) => name === 'transaction.version')
    const keys = reply.apiKeys.filter(({ apiKey }) => [22, 24, 25, 26, 28].includes(apiKey))
    const ranges = keys.map(({ apiKey, minVersion, maxVersion }) => `${apiKey}: ${minVersion}-${maxVersion}`)
    return { supported: own(reply.supportedFeatures), finalized: own(reply.finalizedFeatures), ranges }
  }

  /** What readers of committed records see, and the producers that the log knows. */
  async partition(index: number) {
    const ask = () => fetch(this.client, TOPIC, 0, { partition: index, isolationLevel: 1 })
    let read = await ask()
    // Kafka gives nothing while it has not looked up where in its files the last stable offset is.
    await eventually('the records are there', async () => {
      const isThere = read.lastStableOffset === 0 || (read.records?.length ?? 0) > 0
      if (!isThere) read = await ask()
      return isThere
    })
    const request = { topics: [{ name: TOPIC, partitionIndexes: [index] }] }
    const [told] = (await this.client.request(describeProducersApi, 0, request)).topics[0].partitions
    const producers = told.activeProducers.map(
      ({ producerId, producerEpoch, lastSequence, currentTxnStartOffset }) =>
        `${this.#named(producerId)}/${producerEpoch} ${lastSequence} ${currentTxnStartOffset}`,
    )
    const { errorCode, highWatermark, lastStableOffset, records } = read
    // Kafka names also those of the next few kilobytes, which the reader has not been given.
    const aborted = (read.abortedTransactions ?? [])
      .filter(({ firstOffset }) => firstOffset < lastStableOffset)
      .map(({ producerId, firstOffset }) => `${this.#named(producerId)} ${firstOffset}`)
    const values = valuesIn(records).filter((value) => !value.includes('\0'))
    const offsets = { errorCode, highWatermark, lastStableOffset }
    return { ...offsets, values, aborted: aborted.sort(), producers: producers.sort() }
  }

  async committed(groupId: string) {
    const topics = [{ name: TOPIC, partitionIndexes: [0] }]
    const request = { groups: [{ groupId, topics }], requireStable: true }
    const [found] = (await this.client.request(offsetFetchApi, 8, request)).groups[0].topics[0].partitions
    return { errorCode: found.errorCode, offset: found.committedOffset }
  }
}

const both = startBoth((kind) => Side.start(kind))

/** What a producer does once more while the end of its last transaction is under way. */
function patiently<T extends { errorCode: number }>(ask: (side: Side) => Promise<T>) {
  return async (side: Side): Promise<T> => {
    let answer = await ask(side)
    await eventually('the end before is over', async () => {
      if (answer.errorCode === CONCURRENT_TRANSACTIONS) answer = await ask(side)
      return answer.errorCode !== CONCURRENT_TRANSACTIONS
    })
    return answer
  }
}

test('the feature, and the versions of the requests', async () => {
  await both('ApiVersions 3', (side) => side.features(3))
  await both('ApiVersions 4', (side) => side.features(4))
})

/** One transactional id, and what its producers go by, as the broker has told them. */
class Producers {
  readonly id: string
  pid = 0
  epoch = -1
  /** In the open transaction, by partition. */
  sequences: number[] = []
  /** Partitions have been added to it by its producer. */
  isClassic = false

  constructor(id: string) {
    this.id = id
  }

  /** The one that is right, or not quite. */
  from(random: SeededRandom): From {
    const pid = random.below(12) === 0 ? random.pick([this.pid - 1, this.pid + 1, 77]) : this.pid
    const epoch = this.epoch + random.pick([0, 0, 0, 0, 0, 0, 0, -1, -1, -2, 1])
    return { id: this.id, pid: Math.max(0, pid), epoch: Math.max(0, epoch) }
  }

  take({ errorCode, pid, epoch }: { errorCode: number; pid: number; epoch: number }): void {
    if (errorCode !== 0 || pid < 0) return
    if (epoch !== this.epoch || pid !== this.pid) this.sequences = []
    Object.assign(this, { pid, epoch })
  }
}

async function step(random: SeededRandom, all: readonly Producers[], group: string): Promise<void> {
  const own = random.pick(all)
  const { id } = own
  const from = own.from(random)
  const what = random.below(100)
  const told = `${JSON.stringify(from)} `
  // Of an old epoch of somebody else's id the older versions hear from ours, as from Kafka 3.9, that the id is another's.
  const isOwn = from.pid === own.pid
  // Where a transaction of version 1 is fenced, ours does as Kafka 3.9, not as 4.1 does for any.
  if (what < 12 && own.isClassic) return
  if (what < 12) {
    const expected = random.below(2) === 0 ? undefined : from
    own.take(await both(`${told}init ${expected !== undefined}`, (side) => side.init(id, expected)))
  } else if (what < 45) {
    const partition = random.below(PARTITIONS)
    const sequence = (own.sequences[partition] ?? 0) + random.pick([0, 0, 0, 0, 0, 0, 1, -1])
    const version = isOwn ? random.pick([12, 12, 12, 12, 11, 10]) : 12
    const { errorCode } = await both(`${told}write ${partition} ${sequence} v${version}`, (side) =>
      side.write(from, partition, Math.max(0, sequence), version),
    )
    if (errorCode === 0) own.sequences[partition] = Math.max(0, sequence) + 1
  } else if (what < 75) {
    const committed = random.below(3) > 0
    const version = random.pick([5, 5, 5, 5, 5, 4])
    const ended = await both(`${told}end ${committed} v${version}`, (side) =>
      side.end(from, committed, version),
    )
    own.take(ended)
    if (ended.errorCode === 0) own.isClassic = false
  } else if (what < 85) {
    const version = isOwn ? random.pick([5, 5, 5, 4, 3]) : 5
    const offset = random.below(1000)
    await both(`${told}commit v${version}`, (side) => side.commit(from, group, offset, {}, version))
  } else if (what < 90) {
    const partition = random.below(PARTITIONS)
    const { errorCode } = await both(`${told}add`, (side) => side.add(from, partition))
    own.isClassic ||= errorCode === 0
  } else if (what < 94) {
    const verifyOnly = random.below(2) === 0
    await both(`${told}of a broker ${verifyOnly}`, (side) => side.addForBroker(from, 1, verifyOnly))
  } else {
    const { errorCode } = await both(`${told}add offsets`, (side) => side.addOffsets(from, group))
    own.isClassic ||= errorCode === 0
  }
  await both(`${told}state`, (side) => side.settled(id))
}

test.each([1, 2, 3, 4, 5, 6])(
  'random requests, seed %i',
  async (seed) => {
    const random = new SeededRandom(seed)
    const all = [new Producers(`one-${seed}`), new Producers(`two-${seed}`)]
    const group = `group-${seed}`
    for (const own of all) own.take(await both('init', (side) => side.init(own.id)))
    for (let i = 0; i < STEPS; i++) await step(random, all, group)
    for (const own of all) {
      const from = { id: own.id, pid: own.pid, epoch: own.epoch }
      await both(
        'the last end',
        patiently((side) => side.end(from, false)),
      )
      await both('the last state', (side) => side.settled(own.id))
    }
    await both('offsets', (side) => side.committed(group))
    for (let index = 0; index < PARTITIONS; index++) {
      await both(`partition ${index}`, (side) => side.partition(index))
    }
  },
  120_000,
)

test('what is wrong', async () => {
  const id = 'wrong'
  const { pid, epoch } = await both('init', (side) => side.init(id))
  const from = { id, pid, epoch }
  for (const version of [3, 4, 5]) {
    await both(`init of no time v${version}`, (side) => side.init(id, undefined, version, 0))
    await both(`init of too long v${version}`, (side) => side.init(id, undefined, version, 900_001))
    await both(`init of a stranger v${version}`, (side) => side.init(id, { id, pid: 77, epoch: 0 }, version))
  }
  await both('no id', (side) => side.init(''))
  await both('end of no id', (side) => side.end({ ...from, id: '' }, true))
  await both('end of a stranger', (side) => side.end({ ...from, id: 'nobody' }, true))
  await both('commit of nothing', (side) => side.end(from, true))
  await both('another producer', (side) => side.end({ ...from, pid: 77 }, false))
  await both('another epoch', (side) => side.end({ ...from, epoch: epoch + 1 }, false))
  await both('write of no id', (side) => side.write({ ...from, id: '' }, 0, 0))
  await both('write of a stranger', (side) => side.write({ ...from, id: 'nobody' }, 0, 0))
  await both('write of another epoch', (side) => side.write({ ...from, epoch: epoch + 1 }, 0, 0))
  await both('a first sequence that is none', (side) => side.write(from, 0, 5))
  await both('state', (side) => side.describe(id))
  await both('offsets of no group', (side) => side.commit(from, '', 1))
  await both('offsets of a stranger', (side) => side.commit({ ...from, id: 'nobody' }, 'readers', 1))
  await both('offsets of no id', (side) => side.commit({ ...from, id: '' }, 'readers', 1))
})

test('a member that is none, of a group that is not there, and of one that is', async () => {
  const id = 'member'
  const from = { id, ...(await both('init', (side) => side.init(id))) }
  const wrong: Record<string, object> = {
    'a member and a generation': { memberId: 'who', generationId: 3 },
    'a generation alone': { generationId: 3 },
    'generation 0': { generationId: 0 },
    'an instance and a generation': { groupInstanceId: 'who', memberId: 'who', generationId: 3 },
  }
  for (const [what, more] of Object.entries(wrong)) {
    await both(`${what} of no group`, (side) => side.commit(from, 'none', 1, more))
  }
  await both('offsets', (side) => side.commit(from, 'readers', 1))
  for (const [what, more] of Object.entries(wrong)) {
    await both(what, (side) => side.commit(from, 'readers', 1, more))
  }
  const alone: Record<string, object> = {
    'a member alone': { memberId: 'who' },
    'an instance alone': { groupInstanceId: 'who', memberId: 'who' },
  }
  for (const [what, more] of Object.entries(alone)) {
    await both(`${what} of no group`, (side) => side.commit(from, `none, ${what}`, 1, more))
    await both(what, (side) => side.commit(from, 'readers', 1, more))
  }
  await both('state after all', (side) => side.describe(id))
})

test('an abort of what nobody has written to, again and again', async () => {
  const id = 'aborts'
  let from = { id, ...(await both('init', (side) => side.init(id))) }
  for (let round = 0; round < 3; round++) {
    const next = await both(
      'abort',
      patiently((side) => side.end(from, false)),
    )
    await both('state', (side) => side.settled(id))
    expect(await both('again', (side) => side.end(from, false))).toEqual(next)
    await both('as a commit', (side) => side.end(from, true))
    from = { id, ...next }
  }
})

test('who is overtaken by the clock, or by another of its id', async () => {
  for (const way of ['clock', 'other']) {
    const id = `overtaken-by-${way}`
    const timeoutMs = way === 'clock' ? 2 * SCAN_MS : 60_000
    const old = { id, ...(await both('init', (side) => side.init(id, undefined, 5, timeoutMs))) }
    await both('write', (side) => side.write(old, 1, 0))
    if (way === 'other') await both('another begins', (side) => side.init(id))
    await both('it is aborted', async (side) => {
      await eventually('the abort', async () => {
        return (await side.describe(id)).transactionState === 'CompleteAbort'
      })
      return side.describe(id)
    })
    await both('write again', (side) => side.write(old, 1, 1))
    await both('write elsewhere', (side) => side.write(old, 2, 0))
    await both('offsets', (side) => side.commit(old, 'late', 1))
    await both('commit', (side) => side.end(old, true))
    const after = await both('abort', (side) => side.end(old, false))
    await both('init of old', (side) => side.init(id, old, 5, timeoutMs))
    await both('init of after', (side) => side.init(id, { id, ...after }, 5, timeoutMs))
    await both('init of any', (side) => side.init(id))
    await both('abort, at last', (side) => side.end(old, false))
    await both('state', (side) => side.settled(id))
  }
})

test('a producer that does both: version 1 and version 2 of transactions', async () => {
  const id = 'changing'
  const first = { id, ...(await both('init', (side) => side.init(id))) }
  await both('add', (side) => side.add(first, 0))
  await both('write 11', (side) => side.write(first, 0, 0, 11))
  const second = { id, ...(await both('end 5', (side) => side.end(first, true, 5))) }
  await both('state', (side) => side.settled(id))
  await both('write 12', (side) => side.write(second, 0, 0, 12))
  await both('end 4', (side) => side.end(second, true, 4))
  await both('state', (side) => side.settled(id))
  await both('end 4 again', (side) => side.end(second, true, 4))
  await both('end 5 then', (side) => side.end(second, true, 5))
  await both('write 12 then', (side) => side.write(second, 0, 1, 12))
  await both(
    'another, of the same epoch',
    patiently((side) => side.init(id)),
  )
  await both('state', (side) => side.settled(id))
})

// 32,767 requests to each: some minutes.
test.each(process.env.ODRADEK_TV2_EPOCHS === undefined ? [] : ['once'])(
  'a producer whose epochs are used up gets a new id with the end of its transaction',
  async () => {
    const id = 'used-up'
    const reach = async (side: Side) => {
      let from = await side.init(id)
      while (from.epoch < 32_766) from = await side.init(id, { id, ...from })
      return from
    }
    const last = { id, ...(await both('the last epoch', reach)) }
    await both('write', (side) => side.write(last, 0, 0))
    const next = await both('end', (side) => side.end(last, true))
    await both('state', (side) => side.settled(id))
    await both('end again', (side) => side.end(last, true))
    await both('abort again', (side) => side.end(last, false))
    await both(
      'write',
      patiently((side) => side.write({ id, ...next }, 0, 0)),
    )
    await both('write of old', (side) => side.write(last, 0, 1))
    await both('state', (side) => side.settled(id))
    await both('end of old', (side) => side.end(last, true))
    await both('partition', (side) => side.partition(0))
  },
  900_000,
)
