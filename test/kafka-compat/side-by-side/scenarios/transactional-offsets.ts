/** TxnOffsetCommit: offsets of a group that count when a producer's transaction is committed, and who may commit them. */
import { offsetCommitApi } from '../../../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../../src/protocol/messages/09-offset-fetch.ts'
import { addOffsetsToTxnApi } from '../../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { txnOffsetCommitApi } from '../../../../src/protocol/messages/28-txn-offset-commit.ts'
import { offsetDeleteApi } from '../../../../src/protocol/messages/47-offset-delete.ts'
import { everyVersion, settle, step } from '../scenario.ts'
import type { Replies, Scenario, Step } from '../scenario.ts'
import { createTopic, untilCoordinator } from './data.ts'
import { GroupSteps } from './groups.ts'
import {
  describe,
  end,
  init,
  isOver,
  producerOf,
  untilTransactionCoordinator,
} from './transaction-coordinator.ts'
import type { As } from './transaction-coordinator.ts'

const TOPIC = 'txn-kept'
const NOTED = { committedLeaderEpoch: -1, committedMetadata: 'noted' }
const UNSTABLE_OFFSET_COMMIT = 88
const WITH_MEMBERS = 3
const LATEST_OF_39 = 4

interface CommitAt {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly committedMetadata: string | null
}

interface Commit extends Partial<As> {
  readonly topics?: (Partial<CommitAt> & { topic?: string; partition?: number; offset?: number })[]
  readonly more?: object | ((replies: Replies) => object)
}

/** One group and one transactional id at one version of TxnOffsetCommit. */
class Copier {
  readonly #version: number
  readonly id: string
  readonly group: string
  readonly as: string

  constructor(name: string, version: number) {
    this.#version = version
    this.id = `txn-copier-${name}-${version}`
    this.group = `txn-readers-${name}-${version}`
    this.as = `${this.id} begins`
  }

  begin(): Step[] {
    return [untilCoordinator(this.group), init(this.as, this.id)]
  }

  add(label: string, as = this.as): Step {
    const body = (replies: Replies) => {
      return { transactionalId: this.id, groupId: this.group, ...producerOf(replies, { as }) }
    }
    return step(label, addOffsetsToTxnApi, 3, body, { until: isOver })
  }

  commit(label: string, { topics = [{}], more = {}, as = this.as, ...of }: Commit = {}): Step {
    const named = new Map<string, CommitAt[]>()
    for (const { topic = TOPIC, partition = 0, offset = 5, ...noted } of topics) {
      const at = { partitionIndex: partition, committedOffset: offset, ...NOTED, ...noted }
      named.set(topic, [...(named.get(topic) ?? []), at])
    }
    return step(label, txnOffsetCommitApi, this.#version, (replies) => ({
      transactionalId: this.id,
      groupId: this.group,
      ...producerOf(replies, { as, ...of }),
      topics: [...named].map(([name, partitions]) => ({ name, partitions })),
      ...(typeof more === 'function' ? more(replies) : more),
    }))
  }

  fetch(label: string): Step[] {
    const topics = [{ name: TOPIC, partitionIndexes: [0, 1] }]
    return [false, true].flatMap((requireStable) => [
      step(`${label}, ${requireStable ? 'stable' : 'any'}`, offsetFetchApi, 7, {
        groupId: this.group,
        topics,
        requireStable,
      }),
      step(`all ${label}, ${requireStable ? 'stable' : 'any'}`, offsetFetchApi, 9, {
        groups: [{ groupId: this.group, topics: null }],
        requireStable,
      }),
    ])
  }

  /** As an admin client, or a consumer that is in no group. */
  commitAlone(label: string, committedOffset: number, partitionIndex = 0): Step {
    const partitions = [{ partitionIndex, committedOffset, committedMetadata: 'alone' }]
    const topics = [{ name: TOPIC, partitions }]
    return step(label, offsetCommitApi, 6, { groupId: this.group, memberId: '', topics })
  }

  remove(label: string, ...indexes: number[]): Step {
    const partitions = indexes.map((partitionIndex) => ({ partitionIndex }))
    return step(label, offsetDeleteApi, 0, { groupId: this.group, topics: [{ name: TOPIC, partitions }] })
  }

  /** Ends the transaction and waits until its offsets count, or do not. */
  end(label: string, committed: boolean, as = this.as): Step[] {
    return [end(label, { id: this.id, as, committed }), ...this.#isOver(label, committed)]
  }

  #isOver(label: string, committed: boolean): Step[] {
    const groups = [{ groupId: this.group, topics: [{ name: TOPIC, partitionIndexes: [0, 1] }] }]
    const until = ({ groups: [found] }: { groups: FetchedGroup[] }): boolean =>
      found.topics[0].partitions.every(({ errorCode }) => errorCode !== UNSTABLE_OFFSET_COMMIT)
    return [
      describe(`${label}: over`, [this.id], committed ? 'CompleteCommit' : 'CompleteAbort'),
      step(`${label}: read`, offsetFetchApi, 8, { groups, requireStable: true }, { until }),
      ...this.fetch(`after ${label}`),
    ]
  }
}

interface FetchedGroup {
  readonly topics: { readonly partitions: { readonly errorCode: number }[] }[]
}

/** As of a consumer that is in the group, or has been. */
function ofMembers(version: number): Step[] {
  const copier = new Copier('members', version)
  const group = new GroupSteps(copier.group, 9)
  const named = { groupInstanceId: 'instance' }
  const other = { on: 'other', clientId: 'other' }
  const member = (label: string, more: object = {}, ahead = 0) => ({
    more: (replies: Replies) => ({
      memberId: replies.get(label).memberId,
      generationId: replies.get(label).generationId + ahead,
      ...more,
    }),
  })
  const at = { as: copier.as }
  return [
    ...copier.begin(),
    copier.add('added'),
    copier.commit('a generation of nothing', { more: { generationId: 1, memberId: 'nobody' } }),
    copier.commit('a generation alone', { more: { generationId: 0 } }),
    copier.commit('a member alone', { more: { memberId: 'nobody' } }),
    copier.commit('an instance of nothing', { more: { groupInstanceId: 'nobody', memberId: 'nobody' } }),
    group.join('first', '', named),
    copier.commit('before the assignment', member('first')),
    group.assign('assigned', { of: 'first' }),
    copier.commit('good', { ...at, ...member('first') }),
    copier.commit('good and named', member('first', named)),
    copier.commit('of nobody in a group'),
    copier.commit('without a generation', member('first', { generationId: -1 })),
    copier.commit('without a member', member('first', { memberId: '' })),
    copier.commit('of a stranger', member('first', { memberId: 'stranger' })),
    copier.commit('of the last generation', member('first', {}, -1)),
    copier.commit('of the next generation', member('first', {}, 1)),
    copier.commit('under another name', member('first', { groupInstanceId: 'other' })),
    copier.commit('a stranger under its name', member('first', { ...named, memberId: 'stranger' })),
    ...group.enter('second', {}, { ...other, parked: true }),
    group.isIn('PreparingRebalance'),
    copier.commit('while another joins', member('first')),
    group.join('first again', { of: 'first' }, named),
    settle('second'),
    copier.commit('before all are assigned', member('first again')),
    copier.commit('of before', member('first')),
    group.assign('both assigned', { of: 'first again' }, [{ of: 'second' }]),
    group.join('first comes back', '', named),
    copier.commit('the old one', member('first again')),
    copier.commit('the old one by name', member('first again', named)),
    group.leave('all leave', { who: { of: 'second' } }, { who: '', groupInstanceId: 'instance' }),
    group.isIn('Empty'),
    copier.commit('having left', member('second')),
    copier.commit('of nobody at last', { topics: [{ offset: 12 }] }),
    group.delete('with offsets that are not stable'),
    ...copier.end('commit', true),
    group.delete('deleted'),
  ]
}

/** OffsetDelete takes what an open transaction has committed, too. */
function deleted(version: number): Step[] {
  const both = [{ partition: 0 }, { partition: 1 }]
  const alone = new Copier('deleted', version)
  const before = new Copier('deleted-after-others', version)
  return [
    ...alone.begin(),
    alone.add('added'),
    alone.commit('two', { topics: both }),
    alone.remove('the first of them', 0),
    ...alone.fetch('with one'),
    alone.commit('the second again', { topics: [{ partition: 1, offset: 8 }] }),
    ...alone.end('commit', true),
    alone.remove('the other', 1),
    ...before.begin(),
    before.commitAlone('alone', 3),
    before.commitAlone('alone too', 3, 1),
    before.add('added'),
    before.commit('two', { topics: both }),
    before.remove('both', 0, 1),
    ...before.fetch('with none'),
    before.commit('the second again', { topics: [{ partition: 1, offset: 8 }] }),
    ...before.end('commit', true),
    before.add('added to the next'),
    before.commit('two in the next', { topics: both }),
    before.remove('the second, in the next', 1),
    ...before.end('abort', false),
  ]
}

/** As of whoever does not say which member of a group it is: all that versions 0 to 2 can. */
function ofNobody(version: number): Step[] {
  const copier = new Copier('nobody', version)
  const simple = new GroupSteps(copier.group, 5)
  const at = (more: object) => ({ topics: [{ ...more }] })
  const as = 'the next producer'
  return [
    ...copier.begin(),
    copier.commit('not added'),
    copier.add('added'),
    copier.commit('good'),
    copier.commit('empty metadata', at({ partition: 1, committedMetadata: '' })),
    copier.commit('null metadata', at({ partition: 1, committedMetadata: null })),
    copier.commit('metadata of 4096', at({ committedMetadata: 'x'.repeat(4096) })),
    copier.commit('metadata of 4097', at({ committedMetadata: 'x'.repeat(4097) })),
    copier.commit('leader epoch', at({ committedLeaderEpoch: 4 })),
    copier.commit('offset -1', at({ offset: -1 })),
    copier.commit('offset -5', at({ offset: -5 })),
    copier.commit('partition 9', at({ partition: 9 })),
    copier.commit('partition -1', at({ partition: -1 })),
    copier.commit('unknown topic', at({ topic: 'txn-gone' })),
    copier.commit('bad topic name', at({ topic: 'a/b' })),
    copier.commit('good and bad', { topics: [{}, { topic: 'txn-gone' }] }),
    copier.commit('nothing', { topics: [] }),
    copier.commit('twice', { topics: [{ offset: 11 }, { offset: 12 }] }),
    copier.commit('no partitions', { more: { topics: [{ name: TOPIC, partitions: [] }] } }),
    copier.commit('group without a name', { more: { groupId: '' } }),
    copier.commit('a group that was not added', { more: { groupId: `${copier.group}-other` } }),
    copier.commit('transactional id without a name', { more: { transactionalId: '' } }),
    copier.commit('another transactional id', { more: { transactionalId: 'txn-nobody-knows' } }),
    copier.commit('another producer', { otherId: true }),
    ...copier.fetch('open'),
    simple.describe('open'),
    ...copier.end('commit', true),
    simple.describe('committed'),
    copier.commit('after the end'),
    copier.add('the next'),
    copier.commit('to be aborted', at({ offset: 20 })),
    ...copier.end('abort', false),
    init(as, copier.id),
    copier.commit('of the old one'),
    copier.commit('of the old one, not added', { as }),
    copier.remove('what it committed', 0, 1),
    simple.describe('of no members'),
    copier.add('added by the old one'),
    copier.add('added by the new one', as),
    ...simple.enter('member'),
    copier.commit('while a member joins', { as }),
    simple.assign('assigned', { of: 'member' }),
    copier.commit('while there is a member', { as, topics: [{ partition: 1 }] }),
    simple.leave('left', { who: { of: 'member' } }),
    copier.commit('with nobody left', { as, topics: [{ offset: 9 }] }),
    ...copier.end('end of all', true, as),
    simple.describe('at last'),
  ]
}

export const transactionalOffsetScenarios: readonly Scenario[] = [
  {
    name: 'Transactions: offsets of members',
    steps: [
      ...untilTransactionCoordinator(),
      createTopic(TOPIC, { partitions: 2 }),
      ...everyVersion(txnOffsetCommitApi, ofMembers, WITH_MEMBERS, LATEST_OF_39),
    ],
  },
  {
    name: 'Transactions: offsets of nobody in particular',
    steps: [
      ...untilTransactionCoordinator(),
      createTopic(TOPIC, { partitions: 2 }),
      ...everyVersion(txnOffsetCommitApi, ofNobody, 0, LATEST_OF_39),
    ],
  },
  {
    name: 'Transactions: offsets that are deleted',
    steps: [
      ...untilTransactionCoordinator(),
      createTopic(TOPIC, { partitions: 2 }),
      ...everyVersion(txnOffsetCommitApi, deleted, WITH_MEMBERS, LATEST_OF_39),
    ],
  },
]
