/** Transactions as the leader of a partition sees them: markers come as a coordinator's, from no coordinator. */
import { produceApi } from '../../../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../../../src/protocol/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../../src/protocol/messages/02-list-offsets.ts'
import { writeTxnMarkersApi } from '../../../../src/protocol/messages/27-write-txn-markers.ts'
import { incrementalAlterConfigsApi } from '../../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { describeProducersApi } from '../../../../src/protocol/messages/61-describe-producers.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Scenario, Step } from '../scenario.ts'
import { batchOf, createTopic, produce, untilCoordinator } from './data.ts'

const BROKER = 4
const VERIFICATION = 'transaction.partition.verification.enable'
const [SET, DELETE] = [0, 1]

/** Without it a leader takes what is in no transaction that a coordinator knows. */
function verification(isOn: boolean): Step {
  const configs = [{ name: VERIFICATION, configOperation: isOn ? DELETE : SET, value: isOn ? null : 'false' }]
  return step(`verification ${isOn ? 'on' : 'off'}`, incrementalAlterConfigsApi, 1, {
    resources: [{ resourceType: BROKER, resourceName: '', configs }],
    validateOnly: false,
  })
}

interface Sent {
  readonly epoch?: number
  readonly transactional?: boolean
  readonly transactionalId?: string | null
  readonly version?: number
  readonly partition?: number
}

function send(label: string, topic: string, producerId: number, baseSequence: number, sent: Sent = {}): Step {
  const { epoch = 0, transactional = true, transactionalId = 'tx', version = 9, partition = 0 } = sent
  const shape = { producerId, producerEpoch: epoch, baseSequence, transactional }
  return step(label, produceApi, version, {
    transactionalId,
    acks: -1,
    timeoutMs: 10_000,
    topicData: [
      { name: topic, partitionData: [{ index: partition, records: batchOf([label, 'and more'], shape) }] },
    ],
  })
}

interface Marked {
  readonly version?: number
  readonly epoch?: number
  readonly coordinatorEpoch?: number
  readonly partitions?: readonly number[]
}

function mark(label: string, topic: string, producerId: number, commit: boolean, marked: Marked = {}): Step {
  const { version = 1, epoch = 0, coordinatorEpoch = 3, partitions = [0] } = marked
  const topics = [{ name: topic, partitionIndexes: [...partitions] }]
  return step(label, writeTxnMarkersApi, version, {
    markers: [{ producerId, producerEpoch: epoch, transactionResult: commit, topics, coordinatorEpoch }],
  })
}

/** What both kinds of consumers see, and what is known of the producers. */
function look(topic: string, when: string, offset = 0): Step[] {
  const isolated = [0, 1].flatMap((isolationLevel) => [
    step(`fetch ${when}, ${isolationLevel}`, fetchApi, 12, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1 << 20,
      isolationLevel,
      topics: [{ topic, partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1 << 20 }] }],
      forgottenTopicsData: [],
    }),
    step(`latest ${when}, ${isolationLevel}`, listOffsetsApi, 7, {
      replicaId: -1,
      isolationLevel,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    }),
  ])
  return [...isolated, describeProducers(`producers ${when}`, topic, [0])]
}

function describeProducers(label: string, name: string, partitionIndexes: number[]): Step {
  return step(label, describeProducersApi, 0, { topics: [{ name, partitionIndexes }] })
}

function markers(version: number): Step[] {
  const topic = `txn-markers-${version}`
  const at = { version }
  return [
    createTopic(topic, { partitions: 2 }),
    verification(false),
    produce('plain', topic, batchOf(['plain'])),
    send('first of 1', topic, 5001, 0),
    send('first of 2', topic, 5002, 0),
    ...look(topic, 'while both are open'),
    mark('abort 1', topic, 5001, false, at),
    ...look(topic, 'after the abort'),
    mark('commit 2', topic, 5002, true, at),
    ...look(topic, 'after the commit'),
    ...look(topic, 'from behind the abort', 6),
    mark('commit 2 again', topic, 5002, true, at),
    mark('abort of nothing', topic, 5003, false, { ...at, partitions: [0, 1] }),
    ...look(topic, 'after empty markers'),
    mark('partitions that are not there', topic, 5001, true, { ...at, partitions: [0, 7] }),
    mark('a topic that is not there', 'txn-nowhere', 5001, true, at),
    step('no markers', writeTxnMarkersApi, version, { markers: [] }),
    verification(true),
  ]
}

function fences(): Step[] {
  const topic = 'txn-fences'
  return [
    createTopic(topic),
    verification(false),
    send('epoch 2', topic, 6001, 0, { epoch: 2 }),
    send('plain batch in the open transaction', topic, 6001, 2, { epoch: 2, transactional: false }),
    mark('producer epoch 1', topic, 6001, true, { epoch: 1 }),
    mark('coordinator epoch 5', topic, 6001, true, { epoch: 2, coordinatorEpoch: 5 }),
    mark('coordinator epoch 4', topic, 6001, true, { epoch: 2, coordinatorEpoch: 4 }),
    send('epoch 2 again', topic, 6001, 2, { epoch: 2 }),
    mark('producer epoch 3', topic, 6001, false, { epoch: 3, coordinatorEpoch: 5 }),
    send('epoch 2 is over', topic, 6001, 4, { epoch: 2 }),
    send('epoch 3, not from 0', topic, 6001, 4, { epoch: 3 }),
    send('epoch 3 from 0', topic, 6001, 0, { epoch: 3 }),
    send('epoch 3 from 0 again', topic, 6001, 0, { epoch: 3 }),
    ...look(topic, 'with epoch 3 open'),
    mark('commit', topic, 6001, true, { epoch: 3, coordinatorEpoch: 5 }),
    send('repeated after the end', topic, 6001, 0, { epoch: 3 }),
    ...look(topic, 'at the end'),
    verification(true),
  ]
}

function unverified(): Step[] {
  const topic = 'txn-unverified'
  const two = (label: string, first: number, second: number, transactionalId: string | null): Step => {
    const records = (producerId: number): Buffer =>
      batchOf([label], { producerId, producerEpoch: 0, baseSequence: 0, transactional: true })
    const partitionData = [first, second].map((producerId, index) => ({
      index,
      records: records(producerId),
    }))
    const topicData = [{ name: topic, partitionData }]
    return step(label, produceApi, 9, { transactionalId, acks: -1, timeoutMs: 10_000, topicData })
  }
  return [
    createTopic(topic, { partitions: 2 }),
    ...[3, 9, 10, 11].map((version) =>
      send(`no transactional id, ${version}`, topic, 7001, 0, { transactionalId: null, version }),
    ),
    two('of two producers', 7001, 7002, 'tx'),
    two('of two producers, no transactional id', 7001, 7002, null),
    send('an id, and a plain batch', topic, 7003, 0, { transactional: false }),
    describeProducers('producers', topic, [0, 1]),
  ]
}

export const transactionScenarios: readonly Scenario[] = [
  { name: 'Transactions: markers and isolation', steps: everyVersion(writeTxnMarkersApi, markers) },
  { name: 'Transactions: fences of a partition', steps: fences() },
  { name: 'Transactions: what no producer may send', steps: unverified() },
  {
    name: 'Transactions: markers of offsets, and producers of nothing',
    steps: [
      untilCoordinator('txn-readers'),
      mark('of offsets', '__consumer_offsets', 8001, true),
      createTopic('txn-none'),
      describeProducers('of nobody', 'txn-none', [0, 3]),
      describeProducers('of no topic', 'txn-nowhere', [0]),
      describeProducers('of no name', 'not a name', [0]),
    ],
  },
]
