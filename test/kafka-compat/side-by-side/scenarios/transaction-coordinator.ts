/** Transactions as their coordinator sees them: begun, ended, fenced, described, listed; nothing is written in them. */
import { findCoordinatorApi } from '../../../../src/protocol/messages/10-find-coordinator.ts'
import { initProducerIdApi } from '../../../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../../src/protocol/messages/26-end-txn.ts'
import { describeTransactionsApi } from '../../../../src/protocol/messages/65-describe-transactions.ts'
import { listTransactionsApi } from '../../../../src/protocol/messages/66-list-transactions.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Replies, Scenario, Step } from '../scenario.ts'
import { createTopic, untilCoordinator } from './data.ts'

const TOPIC = 'txn-coordinated'
const TIMEOUT_MS = 60_000
const CONCURRENT_TRANSACTIONS = 51
/** Kafka answers so for a moment, while it writes what it has answered to before. */
export const isOver = ({ errorCode }: { errorCode: number }): boolean => errorCode !== CONCURRENT_TRANSACTIONS

/** The coordinator has its topic: Kafka makes it on the first demand. */
export function untilTransactionCoordinator(): Step[] {
  const isThere = ({ errorCode }: { errorCode: number }): boolean => errorCode === 0
  const loaded = ({ errorCode }: { errorCode: number }): boolean => ![14, 15, 16].includes(errorCode)
  return [
    step('coordinator', findCoordinatorApi, 2, { key: 'first', keyType: 1 }, { until: isThere }),
    step('first', initProducerIdApi, 4, initBody('first'), { until: loaded }),
  ]
}

function initBody(transactionalId: string | null, more: object = {}) {
  return { transactionalId, transactionTimeoutMs: TIMEOUT_MS, ...more }
}

export interface As {
  /** The label of the InitProducerId whose answer it goes by. */
  readonly as: string
  readonly epochAhead?: number
  readonly otherId?: boolean
}

export function producerOf(replies: Replies, { as, epochAhead = 0, otherId = false }: As) {
  const { producerId, producerEpoch } = replies.get(as)
  return { producerId: producerId + (otherId ? 500_000 : 0), producerEpoch: producerEpoch + epochAhead }
}

export function init(
  label: string,
  id: string,
  version = 5,
  more: object | ((replies: Replies) => object) = {},
): Step {
  const body = (replies: Replies) => initBody(id, typeof more === 'function' ? more(replies) : more)
  return step(label, initProducerIdApi, version, body, { until: isOver })
}

interface Add extends As {
  readonly id: string
  readonly version?: number
  readonly topics?: { name: string; partitions: number[] }[]
}

const SETTLED = {
  until: ({ resultsByTopicV3AndBelow: [topic] }: { resultsByTopicV3AndBelow: AddResult[] }): boolean =>
    topic?.resultsByPartition[0]?.partitionErrorCode !== CONCURRENT_TRANSACTIONS,
}
interface AddResult {
  readonly resultsByPartition: { readonly partitionErrorCode: number }[]
}

export function add(
  label: string,
  { id, version = 3, topics = [{ name: TOPIC, partitions: [0] }], ...as }: Add,
): Step {
  const body = (replies: Replies) => {
    const { producerId, producerEpoch } = producerOf(replies, as)
    return {
      v3AndBelowTransactionalId: id,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: topics,
    }
  }
  return step(label, addPartitionsToTxnApi, version, body, SETTLED)
}

interface End extends As {
  readonly id: string
  readonly committed: boolean
  readonly version?: number
}

export function end(label: string, { id, committed, version = 4, ...as }: End): Step {
  const body = (replies: Replies) => ({ transactionalId: id, committed, ...producerOf(replies, as) })
  return step(label, endTxnApi, version, body, { until: isOver })
}

export function describe(label: string, ids: string[], state?: string): Step {
  const until = ({ transactionStates: [first] }: { transactionStates: { transactionState: string }[] }) =>
    state === undefined || first.transactionState === state
  return step(label, describeTransactionsApi, 0, { transactionalIds: ids }, { until })
}

function aLife(version: number): Step[] {
  const id = `txn-init-${version}`
  const as = `${id} begins`
  const at = { id, as }
  return [
    init(as, id, version),
    init('no timeout', id, version, { transactionTimeoutMs: 0 }),
    init('a timeout below none', id, version, { transactionTimeoutMs: -1 }),
    init('too long a timeout', id, version, { transactionTimeoutMs: 900_001 }),
    init('the empty id', '', version),
    describe('described: empty', [id]),
    end('end of nothing', { ...at, committed: true }),
    add('begun', at),
    add('again', at),
    add('another', { ...at, topics: [{ name: TOPIC, partitions: [1, 2, 1] }] }),
    describe('described: ongoing', [id]),
    end('committed', { ...at, committed: true }),
    describe('described: complete', [id], 'CompleteCommit'),
    end('committed again', { ...at, committed: true }),
    end('aborted after that', { ...at, committed: false }),
    add('the next', at),
    end('aborted', { ...at, committed: false }),
    describe('described: aborted', [id], 'CompleteAbort'),
    end('aborted again', { ...at, committed: false }),
    end('committed after that', { ...at, committed: true }),
    init('the same id again', id, version),
    end('the old epoch', { ...at, committed: false }),
    add('the old epoch adds', at),
    add('a later epoch adds', { ...at, as: 'the same id again', epochAhead: 3 }),
    add('another producer id adds', { ...at, as: 'the same id again', otherId: true }),
    describe('described: empty again', [id]),
  ]
}

function added(version: number): Step[] {
  const id = `txn-add-${version}`
  const as = `${id} begins`
  const at = { id, as, version }
  const nowhere = { name: 'txn-nowhere', partitions: [0] }
  return [
    init(as, id),
    add('nobody knows the id', { ...at, id: 'txn-unknown' }),
    add('the empty id', { ...at, id: '' }),
    add('no topics', { ...at, topics: [] }),
    add('a topic that is not there', { ...at, topics: [{ name: TOPIC, partitions: [0] }, nowhere] }),
    add('a partition that is not there', { ...at, topics: [{ name: TOPIC, partitions: [0, 9] }] }),
    add('partition -1', { ...at, topics: [{ name: TOPIC, partitions: [-1] }] }),
    add('an internal topic', { ...at, topics: [{ name: '__transaction_state', partitions: [0] }] }),
    add('two', { ...at, topics: [{ name: TOPIC, partitions: [0, 1] }] }),
    add('an old epoch', { ...at, epochAhead: -1 }),
    add('a later epoch', { ...at, epochAhead: 1 }),
    describe('described', [id]),
    end('aborted', { id, as, committed: false }),
  ]
}

function offsets(version: number): Step[] {
  const id = `txn-offsets-${version}`
  const as = `${id} begins`
  const addOffsets = (label: string, of: As, transactionalId = id): Step =>
    step(
      label,
      addOffsetsToTxnApi,
      version,
      (replies) => ({ transactionalId, groupId: 'txn-group', ...producerOf(replies, of) }),
      { until: isOver },
    )
  return [
    untilCoordinator('txn-group'),
    init(as, id),
    addOffsets('nobody knows the id', { as }, 'txn-unknown'),
    addOffsets('the empty id', { as }, ''),
    addOffsets('offsets', { as }),
    addOffsets('offsets again', { as }),
    addOffsets('a later epoch', { as, epochAhead: 1 }),
    addOffsets('another producer id', { as, otherId: true }),
    describe('described', [id]),
    end('committed', { id, as, committed: true }),
    describe('complete', [id], 'CompleteCommit'),
  ]
}

function ended(version: number): Step[] {
  const id = `txn-end-${version}`
  const as = `${id} begins`
  const at = { id, as, version }
  return [
    init(as, id),
    end('nobody knows the id', { ...at, id: 'txn-unknown', committed: true }),
    end('the empty id', { ...at, id: '', committed: true }),
    end('another producer id', { ...at, otherId: true, committed: true }),
    end('a later epoch', { ...at, epochAhead: 1, committed: true }),
    end('nothing committed', { ...at, committed: true }),
    end('nothing aborted', { ...at, committed: false }),
    add('begun', { id, as }),
    end('committed', { ...at, committed: true }),
    end('committed again', { ...at, committed: true }),
    end('aborted after that', { ...at, committed: false }),
  ]
}

function verified(version: number): Step[] {
  const id = `txn-verify-${version}`
  const as = `${id} begins`
  const verify = (label: string, verifyOnly: boolean, partitions: number[], of: As = { as }): Step =>
    step(label, addPartitionsToTxnApi, version, (replies) => ({
      transactions: [
        {
          transactionalId: id,
          ...producerOf(replies, of),
          verifyOnly,
          topics: [{ name: TOPIC, partitions }],
        },
      ],
    }))
  return [
    init(as, id),
    verify('nothing yet', true, [0, 1]),
    add('one', { id, as }),
    verify('one and another', true, [0, 1]),
    verify('one that is not there', true, [0, 9]),
    verify('a later epoch', true, [0], { as, epochAhead: 1 }),
    verify('another producer id', true, [0], { as, otherId: true }),
    verify('added', false, [0, 1, 2]),
    verify('all of them', true, [0, 1, 2]),
    end('committed', { id, as, committed: true }),
    describe('complete', [id], 'CompleteCommit'),
    verify('after the end', true, [0]),
  ]
}

function fencing(): Step[] {
  const id = 'txn-fenced'
  const expected =
    (label: string, epochAhead = 0, otherId = false) =>
    (replies: Replies): object =>
      producerOf(replies, { as: label, epochAhead, otherId })
  return [
    init('one', id),
    init('goes on', id, 5, expected('one')),
    init('goes on, again', id, 5, expected('one')),
    init('a later epoch', id, 5, expected('goes on', 3)),
    init('another producer id', id, 4, expected('goes on', 0, true)),
    init('another producer id (InitProducerId v3)', id, 3, expected('goes on', 0, true)),
    init('another', id),
    init('goes on, too late', id, 5, expected('goes on')),
    init('half an identity', id, 5, { producerId: 5, producerEpoch: -1 }),
    add('the other begins', { id, as: 'another' }),
    step('a third', initProducerIdApi, 5, initBody(id)),
    describe('described: aborted', [id], 'CompleteAbort'),
    add('the other goes on', { id, as: 'another' }),
    end('the other commits', { id, as: 'another', committed: true }),
    init('a third, again', id),
    add('the third begins', { id, as: 'a third, again' }),
    end('the third commits', { id, as: 'a third, again', committed: true }),
    describe('described: committed', [id], 'CompleteCommit'),
  ]
}

function lists(version: number): Step[] {
  const id = `txn-list-${version}`
  const as = `${id} begins`
  const list = (label: string, more: object = {}): Step =>
    step(label, listTransactionsApi, version, (replies) => ({
      stateFilters: [],
      producerIdFilters: [replies.get(as).producerId],
      ...more,
    }))
  return [
    init(as, id),
    list('empty'),
    add('begun', { id, as }),
    list('ongoing'),
    list('by its state', { stateFilters: ['Ongoing'] }),
    list('by another state', { stateFilters: ['Empty', 'CompleteAbort'] }),
    list('by states that are none', { stateFilters: ['Ongoing', 'ongoing', 'Odd', 'Odd', ''] }),
    list('by every state', {
      stateFilters: ['Dead', 'PrepareEpochFence', 'PrepareCommit', 'PrepareAbort', 'CompleteCommit'],
    }),
    list('by nobody', { producerIdFilters: [77_777_777] }),
    ...(version >= 1
      ? [list('young', { durationFilter: 600_000 }), list('any age', { durationFilter: -5 })]
      : []),
    end('aborted', { id, as, committed: false }),
    describe('several', [id, 'txn-unknown', ''], 'CompleteAbort'),
    step('none', describeTransactionsApi, 0, { transactionalIds: [] }),
  ]
}

const scenario = (name: string, steps: readonly Step[]): Scenario => ({
  name,
  steps: [...untilTransactionCoordinator(), createTopic(TOPIC, { partitions: 3 }), ...steps],
})

export const transactionCoordinatorScenarios: readonly Scenario[] = [
  scenario('Transactions: InitProducerId', everyVersion(initProducerIdApi, aLife)),
  scenario('Transactions: AddPartitionsToTxn', everyVersion(addPartitionsToTxnApi, added, 0, 3)),
  scenario('Transactions: AddOffsetsToTxn', everyVersion(addOffsetsToTxnApi, offsets)),
  scenario('Transactions: EndTxn', everyVersion(endTxnApi, ended, 0, 4)),
  scenario('Transactions: verification', everyVersion(addPartitionsToTxnApi, verified, 4, 5)),
  scenario('Transactions: fencing', fencing()),
  scenario('Transactions: lists', everyVersion(listTransactionsApi, lists)),
]
