/** A life of groups and of transactions, one after the other: what their coordinators store of it is to be the same. */
import { offsetCommitApi } from '../../../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../../src/protocol/messages/09-offset-fetch.ts'
import { addOffsetsToTxnApi } from '../../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { txnOffsetCommitApi } from '../../../../src/protocol/messages/28-txn-offset-commit.ts'
import { initProducerIdApi } from '../../../../src/protocol/messages/22-init-producer-id.ts'
import { offsetDeleteApi } from '../../../../src/protocol/messages/47-offset-delete.ts'
import { createTopic, untilCoordinator } from '../scenarios/data.ts'
import { GroupSteps } from '../scenarios/groups.ts'
import {
  add,
  describe,
  end,
  init,
  isOver,
  producerOf,
  untilTransactionCoordinator,
} from '../scenarios/transaction-coordinator.ts'
import { settle, step } from '../scenario.ts'
import type { Replies, Scenario, Step } from '../scenario.ts'

const COORDINATOR_NOT_AVAILABLE = 15
const TOPIC = 'orders'
const PARTITIONS = 3
/** In this group nothing is compared: the first who joins may be told to come again. */
export const WARM_UP = 'warm-up'
/** JoinGroup without a first round for the member id, in which Kafka, which tidies up often here, may drop the empty group. */
const AT_ONCE = 3
/** What falls silent is noticed as soon. */
const SHORT_MS = 300

interface Committed {
  readonly partition?: number
  readonly metadata?: string | null
  readonly retentionMs?: number
}

/** As the member of this step's reply; as nobody where it is ''. */
function commit(group: string, label: string, of: string, offset: number, more: Committed = {}): Step {
  const { partition = 0, metadata = `by ${of}`, retentionMs } = more
  const at = { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: 2 }
  return step(label, offsetCommitApi, retentionMs === undefined ? 8 : 4, (replies) => ({
    groupId: group,
    ...(of === ''
      ? { memberId: '' }
      : {
          memberId: replies.get(of).memberId,
          generationIdOrMemberEpoch: replies.get(of).generationId,
        }),
    retentionTimeMs: retentionMs,
    topics: [{ name: TOPIC, partitions: [{ ...at, committedMetadata: metadata }] }],
  }))
}

function remove(group: string, label: string, ...indexes: number[]): Step {
  const partitions = indexes.map((partitionIndex) => ({ partitionIndex }))
  return step(label, offsetDeleteApi, 0, { groupId: group, topics: [{ name: TOPIC, partitions }] })
}

function untilNothingIsCommitted(groupId: string): Step {
  const until = ({ groups }: { groups: { topics: unknown[] }[] }): boolean => groups[0].topics.length === 0
  return step(`${groupId}: expired`, offsetFetchApi, 8, { groups: [{ groupId, topics: null }] }, { until })
}

/** Two members come, rebalance, commit and leave one after the other. */
function dynamicMembers(): Step[] {
  const group = new GroupSteps('dynamic', AT_ONCE)
  const other = { on: 'other', clientId: 'other' }
  return [
    ...group.enter('first'),
    group.assign('first assigned', { of: 'first' }),
    commit('dynamic', 'first commits', 'first', 5),
    ...group.enter('second', {}, { ...other, parked: true }),
    group.isIn('PreparingRebalance'),
    group.join('first again', { of: 'first' }),
    settle('second'),
    group.assign('both assigned', { of: 'first again' }, [{ of: 'second' }]),
    group.sync('second syncs', { of: 'second' }, 'second', {}, other),
    commit('dynamic', 'second commits', 'second', 7, { partition: 1, metadata: null }),
    group.leave('second leaves', { who: { of: 'second' } }),
    group.join('first alone', { of: 'first' }),
    group.assign('first assigned anew', { of: 'first alone' }),
    commit('dynamic', 'first commits again', 'first alone', 9),
    group.leave('first leaves', { who: { of: 'first' } }),
  ]
}

/** It comes back under its name, twice: as it was, and with other protocols; then its group is deleted. */
function staticMember(): Step[] {
  const group = new GroupSteps('static', 9)
  const named = { groupInstanceId: 'instance' }
  const changed = { ...named, protocols: [{ name: 'range', metadata: Buffer.from('other') }] }
  return [
    group.join('named', '', named),
    group.assign('named, assigned', { of: 'named' }),
    group.join('named, back', '', named),
    commit('static', 'named commits', 'named, back', 3),
    group.join('named, changed', '', changed),
    group.assign('named, assigned anew', { of: 'named, changed' }),
    group.leave('named leaves', { who: '', groupInstanceId: 'instance' }),
    group.delete('deleted'),
  ]
}

/** Its session ends, and nothing is left of its group. */
function silentMember(): Step[] {
  const group = new GroupSteps('silent', AT_ONCE)
  const short = { sessionTimeoutMs: SHORT_MS, rebalanceTimeoutMs: SHORT_MS }
  return [
    ...group.enter('silent', short),
    group.assign('silent, assigned', { of: 'silent' }),
    group.isIn('Dead'),
  ]
}

/** Members stay, one of them of another protocol type. */
function lastingMembers(): Step[] {
  const group = new GroupSteps('lasting', AT_ONCE)
  const connect = new GroupSteps('connect', AT_ONCE)
  return [
    ...group.enter('lasting'),
    group.assign('lasting, assigned', { of: 'lasting' }),
    commit('lasting', 'lasting commits', 'lasting', 1),
    ...connect.enter('worker', { protocolType: 'connect' }),
    connect.assign('worker assigned', { of: 'worker' }),
  ]
}

/** Offsets of nobody: removed one by one, expired, deleted with their group. */
function simpleGroups(): Step[] {
  return [
    commit('by-hand', 'one', '', 1),
    commit('by-hand', 'two', '', 2, { partition: 1, metadata: 'ü' }),
    commit('by-hand', 'one again', '', 3),
    remove('by-hand', 'one removed', 0, 2),
    commit('removed', 'the only one', '', 1),
    remove('removed', 'the only one, removed', 0),
    commit('expired', 'for a while', '', 1, { retentionMs: SHORT_MS }),
    untilNothingIsCommitted('expired'),
    commit('deleted', 'to be deleted', '', 1, { partition: 2 }),
    new GroupSteps('deleted', 5).delete('with its group'),
  ]
}

const CONSUMED = 'consumed'

/** Kafka may not have heard of the transaction yet where it asks its coordinator. */
function isCommitted({ topics }: { topics: { partitions: { errorCode: number }[] }[] }): boolean {
  return topics.every(({ partitions }) => partitions.every(({ errorCode }) => errorCode === 0))
}

/** One transactional id, whose producers begin again and again. */
class Producing {
  readonly id: string
  as = ''

  constructor(id: string) {
    this.id = id
  }

  begin(label: string, timeoutMs?: number): Step {
    this.as = `${this.id} ${label}`
    if (timeoutMs === undefined) return init(this.as, this.id)
    const body = { transactionalId: this.id, transactionTimeoutMs: timeoutMs }
    return step(this.as, initProducerIdApi, 5, body, { until: isOver })
  }

  add(label: string, ...partitions: number[]): Step {
    return add(`${this.id} ${label}`, { id: this.id, as: this.as, topics: [{ name: TOPIC, partitions }] })
  }

  offsets(label: string, ...indexes: number[]): Step[] {
    const as = this.as
    const own = (replies: Replies) => {
      return { transactionalId: this.id, groupId: CONSUMED, ...producerOf(replies, { as }) }
    }
    const partitions = indexes.map((index) => {
      return { partitionIndex: index, committedOffset: 10 * index, committedMetadata: label }
    })
    const commits = (replies: Replies) => ({ ...own(replies), topics: [{ name: TOPIC, partitions }] })
    return [
      step(`${this.id} adds ${label}`, addOffsetsToTxnApi, 3, own, { until: isOver }),
      step(`${this.id} commits ${label}`, txnOffsetCommitApi, 3, commits, { until: isCommitted }),
    ]
  }

  end(label: string, committed: boolean): Step[] {
    return [end(`${this.id} ${label}`, { id: this.id, as: this.as, committed }), this.isOver(committed)]
  }

  isOver(committed: boolean): Step {
    return describe(`${this.id} is over`, [this.id], committed ? 'CompleteCommit' : 'CompleteAbort')
  }
}

function transactions(): Step[] {
  const steady = new Producing('steady')
  const late = new Producing('late')
  const replaced = new Producing('replaced')
  const open = new Producing('open')
  return [
    steady.begin('begins'),
    steady.add('one', 0),
    steady.add('all', 0, 1, 2),
    ...steady.offsets('two', 0, 1),
    ...steady.end('commits', true),
    ...steady.offsets('to be aborted', 1),
    ...steady.end('aborts', false),
    steady.begin('again'),
    late.begin('begins', SHORT_MS),
    late.add('one', 1),
    late.isOver(false),
    replaced.begin('begins'),
    replaced.add('one', 2),
    replaced.begin('begins anew'),
    open.begin('begins'),
    open.add('one', 0),
    ...open.offsets('of what is open', 1, 2),
    remove(CONSUMED, 'committed, and open', 1),
    commit(CONSUMED, 'beside it', '', 77, { partition: 2 }),
  ]
}

export const coordinatorLife: Scenario = {
  name: 'a life of groups and transactions',
  steps: [
    untilCoordinator(WARM_UP),
    createTopic(TOPIC, { partitions: PARTITIONS }),
    new GroupSteps(WARM_UP, AT_ONCE).join(
      'warm-up',
      '',
      {},
      { until: ({ errorCode }) => errorCode !== COORDINATOR_NOT_AVAILABLE },
    ),
    ...untilTransactionCoordinator(),
    ...dynamicMembers(),
    ...staticMember(),
    ...silentMember(),
    ...lastingMembers(),
    ...simpleGroups(),
    ...transactions(),
  ],
}
