import { findCoordinatorApi } from '../../../../src/protocol/messages/10-find-coordinator.ts'
import { joinGroupApi } from '../../../../src/protocol/messages/11-join-group.ts'
import { heartbeatApi } from '../../../../src/protocol/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../../../src/protocol/messages/13-leave-group.ts'
import { syncGroupApi } from '../../../../src/protocol/messages/14-sync-group.ts'
import { describeGroupsApi } from '../../../../src/protocol/messages/15-describe-groups.ts'
import { listGroupsApi } from '../../../../src/protocol/messages/16-list-groups.ts'
import { deleteGroupsApi } from '../../../../src/protocol/messages/42-delete-groups.ts'
import type { Encodable } from '../../../../src/protocol/schema.ts'
import { everyVersion, settle, step } from '../scenario.ts'
import type { Replies, Scenario, Step, StepOptions } from '../scenario.ts'
import { subscription, untilCoordinator } from './data.ts'

type JoinBody = Encodable<(typeof joinGroupApi)['request']['fields']>
/** A member id itself, or the step whose reply gives it. */
type Who = string | { of: string }

const bytes = (text: string): Buffer => Buffer.from(text)
const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: subscription(`t-${name}`) }))

export function idOf(replies: Replies, who: Who): string {
  return typeof who === 'string' ? who : replies.get(who.of).memberId
}

function generationOf(replies: Replies, label: string): number {
  return replies.get(label).generationId
}

/** One group's steps at matching versions of its requests. */
export class GroupSteps {
  readonly #group: string
  readonly #version: number

  /** `version` is JoinGroup's; the others use theirs of that time, or their last. */
  constructor(group: string, version: number) {
    this.#group = group
    this.#version = version
  }

  #at(max: number, offset = 0): number {
    return Math.max(0, Math.min(max, this.#version - offset))
  }

  join(label: string, who: Who = '', changes: Partial<JoinBody> = {}, options: StepOptions = {}): Step {
    return step(
      label,
      joinGroupApi,
      this.#version,
      (replies) => ({
        groupId: this.#group,
        sessionTimeoutMs: 30_000,
        rebalanceTimeoutMs: 30_000,
        memberId: idOf(replies, who),
        protocolType: 'consumer',
        protocols: protocols('range', 'roundrobin'),
        ...changes,
      }),
      options,
    )
  }

  /** Joins until in: from version 4 on the first answer only gives the member id (KIP-394). */
  enter(label: string, changes: Partial<JoinBody> = {}, options: StepOptions = {}): Step[] {
    const needsId = this.#version >= 4 && !changes.groupInstanceId
    if (!needsId) return [this.join(label, '', changes, options)]
    const { parked, ...rest } = options
    return [
      this.join(`${label}: id`, '', changes, rest),
      this.join(label, { of: `${label}: id` }, changes, { ...rest, parked }),
    ]
  }

  sync(
    label: string,
    who: Who,
    generation: string | number,
    changes: object = {},
    options: StepOptions = {},
  ): Step {
    return step(
      label,
      syncGroupApi,
      this.#at(5, this.#version >= 7 ? 2 : 1),
      (replies) => ({
        groupId: this.#group,
        generationId: typeof generation === 'number' ? generation : generationOf(replies, generation),
        memberId: idOf(replies, who),
        protocolType: 'consumer',
        protocolName: 'range',
        assignments: [],
        ...changes,
      }),
      options,
    )
  }

  /** The leader's sync: an assignment for itself and for each other member. */
  assign(label: string, who: { of: string }, others: Who[] = [], options: StepOptions = {}): Step {
    return step(
      label,
      syncGroupApi,
      this.#at(5, this.#version >= 7 ? 2 : 1),
      (replies) => ({
        groupId: this.#group,
        generationId: generationOf(replies, who.of),
        memberId: idOf(replies, who),
        protocolType: 'consumer',
        protocolName: 'range',
        assignments: [who, ...others].map((each, index) => ({
          memberId: idOf(replies, each),
          assignment: bytes(`part ${index}`),
        })),
      }),
      options,
    )
  }

  heartbeat(
    label: string,
    who: Who,
    generation: string | number,
    groupInstanceId: string | null = null,
  ): Step {
    return step(label, heartbeatApi, this.#at(4, 1), (replies) => ({
      groupId: this.#group,
      generationId: typeof generation === 'number' ? generation : generationOf(replies, generation),
      memberId: idOf(replies, who),
      groupInstanceId,
    }))
  }

  leave(label: string, ...members: { who: Who; groupInstanceId?: string }[]): Step {
    return step(label, leaveGroupApi, this.#at(5, 2), (replies) => ({
      groupId: this.#group,
      memberId: idOf(replies, members[0].who),
      members: members.map(({ who, groupInstanceId = null }) => ({
        memberId: idOf(replies, who),
        groupInstanceId,
      })),
    }))
  }

  describe(label: string): Step {
    return step(label, describeGroupsApi, this.#at(5, 2), {
      groups: [this.#group],
      includeAuthorizedOperations: false,
    })
  }

  /** Awaits that the group is in this state: what a parked request has done is seen so. */
  isIn(state: string): Step {
    return step(
      `is in ${state}`,
      describeGroupsApi,
      4,
      { groups: [this.#group], includeAuthorizedOperations: false },
      { until: ({ groups }) => groups[0].groupState === state },
    )
  }

  delete(label: string): Step {
    return step(label, deleteGroupsApi, this.#at(2, 3), { groupsNames: [this.#group] })
  }
}

const versions = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

function oneMember(version: number): Step[] {
  const group = new GroupSteps(`one-${version}`, version)
  const first = { of: 'first' }
  return [
    group.describe('not there'),
    ...group.enter('first'),
    group.describe('joined'),
    group.heartbeat('before the assignment', first, 'first'),
    group.sync('of a stranger', 'stranger', 'first'),
    group.sync('of another generation', first, 77),
    group.assign('assigned', first),
    group.sync('assigned again', first, 'first'),
    group.describe('stable'),
    group.heartbeat('alive', first, 'first'),
    group.heartbeat('of another generation', first, 77),
    group.heartbeat('of generation -1', first, -1),
    group.heartbeat('of a stranger', 'stranger', 'first'),
    group.heartbeat('of nobody', '', 'first'),
    group.heartbeat('with an instance id', first, 'first', 'instance'),
    group.sync('other protocol type', first, 'first', { protocolType: 'connect' }),
    group.sync('other protocol name', first, 'first', { protocolName: 'sticky' }),
    group.sync('no protocol', first, 'first', { protocolType: null, protocolName: null }),
    group.join('rejoins as leader', first),
    group.assign('assigned anew', { of: 'rejoins as leader' }),
    group.join('stranger', 'stranger'),
    group.join('other type', '', { protocolType: 'connect' }),
    group.join('other protocols', '', { protocols: protocols('sticky') }),
    group.join('no protocols', '', { protocols: [] }),
    group.join('no type', '', { protocolType: '' }),
    group.join('known member with other protocols', first, { protocols: protocols('sticky') }),
    group.delete('not empty'),
    group.leave('stranger leaves', { who: 'stranger' }),
    group.leave('leaves', { who: first }),
    group.leave('leaves again', { who: first }),
    group.describe('empty'),
    group.heartbeat('of one who left', first, 'first'),
    group.sync('of one who left', first, 'first'),
    group.join('rejoins having left', first),
    group.delete('deleted'),
    group.delete('deleted again'),
    group.describe('gone'),
    group.heartbeat('of a dead group', first, 'first'),
    group.sync('of a dead group', first, 'first'),
    group.leave('a dead group', { who: first }),
  ]
}

function refusedJoins(version: number): Step[] {
  const name = `refused-${version}`
  const group = new GroupSteps(name, version)
  const unnamed = new GroupSteps('', version)
  return [
    group.join('session timeout too short', '', { sessionTimeoutMs: 5999 }),
    group.join('session timeout too long', '', { sessionTimeoutMs: 1_800_001 }),
    group.join('session timeout -1', '', { sessionTimeoutMs: -1 }),
    group.join('rebalance timeout -1', '', { rebalanceTimeoutMs: -1, sessionTimeoutMs: 1 }),
    group.join('stranger to a new group', 'stranger'),
    group.join('no protocols', '', { protocols: [] }),
    group.join('no protocol type', '', { protocolType: '' }),
    unnamed.join('empty group id'),
    unnamed.heartbeat('empty group id', 'a', 1),
    unnamed.sync('empty group id', 'a', 1),
    unnamed.leave('empty group id', { who: 'a' }),
    unnamed.describe('empty group id'),
    unnamed.delete('empty group id'),
    group.describe('afterwards'),
    group.heartbeat('of no group', 'a', 1),
    group.sync('of no group', 'a', 1),
    group.leave('no group', { who: 'a' }),
    group.delete('no group'),
    ...(version >= 5
      ? [
          ...['', 'a b', '.', 'x'.repeat(250)].map((groupInstanceId, index) =>
            new GroupSteps(`${name}-${index}`, version).join(
              `instance id '${groupInstanceId.slice(0, 9)}'`,
              '',
              {
                groupInstanceId,
              },
            ),
          ),
        ]
      : []),
  ]
}

function twoMembers(version: number): Step[] {
  const group = new GroupSteps(`two-${version}`, version)
  const other = { on: 'other', clientId: 'other' }
  const [first, again, second] = [{ of: 'first' }, { of: 'first again' }, { of: 'second' }]
  return [
    ...group.enter('first'),
    group.assign('first alone', first),
    ...group.enter('second', {}, { ...other, parked: true }),
    group.isIn('PreparingRebalance'),
    group.heartbeat('learns of the rebalance', first, 'first'),
    group.sync('too late', first, 'first'),
    group.join('first again', first),
    settle('second'),
    group.describe('completing'),
    group.heartbeat('while completing', again, 'first again'),
    group.heartbeat('of the old generation', first, 'first'),
    group.sync('second waits', second, 'second', {}, { ...other, parked: true }),
    group.assign('both assigned', again, [second]),
    settle('second waits'),
    group.describe('stable'),
    group.join('second again, nothing changed', second, {}, other),
    group.sync('second again', second, 'second', {}, other),
    group.join(
      'second with other protocols',
      second,
      { protocols: protocols('roundrobin', 'range') },
      {
        ...other,
        parked: true,
      },
    ),
    group.isIn('PreparingRebalance'),
    group.leave('first leaves', { who: first }),
    settle('second with other protocols'),
    group.describe('second alone'),
    group.leave('second leaves', { who: second }),
    group.describe('empty'),
  ]
}

/** The new one shares no protocol with both, or only the second of theirs. */
function protocolChoice(version: number): Step[] {
  const group = new GroupSteps(`choice-${version}`, version)
  const other = { on: 'other', clientId: 'other' }
  return [
    ...group.enter('first', { protocols: protocols('a', 'b', 'c') }),
    group.sync('first syncs', { of: 'first' }, 'first', { protocolName: 'a' }),
    ...group.enter('second', { protocols: protocols('c', 'b') }, { ...other, parked: true }),
    group.isIn('PreparingRebalance'),
    group.join('first again', { of: 'first' }, { protocols: protocols('a', 'b', 'c') }),
    settle('second'),
    group.join('third shares none', '', { protocols: protocols('a') }, { on: 'third' }),
    group.describe('as it is'),
    group.leave('first leaves', { who: { of: 'first' } }),
    group.leave('second leaves', { who: { of: 'second' } }),
  ]
}

function staticMembers(version: number): Step[] {
  const group = new GroupSteps(`static-${version}`, version)
  const named = { groupInstanceId: 'instance-1' }
  const old = { of: 'first' }
  const back = { of: 'comes back' }
  return [
    group.join('first', '', named),
    group.assign('assigned', old),
    group.heartbeat('alive', old, 'first', 'instance-1'),
    group.heartbeat('without its name', old, 'first'),
    group.heartbeat('under a name nobody has', old, 'first', 'instance-9'),
    group.join('comes back', '', named),
    group.describe('after the return'),
    group.heartbeat('the old one is fenced', old, 'first', 'instance-1'),
    group.heartbeat('the old one, nameless', old, 'first'),
    group.sync('the old one syncs', old, 'first', { groupInstanceId: 'instance-1' }),
    group.join('the old one joins', old, named),
    group.sync('the new one syncs', back, 'comes back', { groupInstanceId: 'instance-1' }),
    group.heartbeat('the new one lives', back, 'comes back', 'instance-1'),
    group.join('with other protocols', '', { ...named, protocols: protocols('roundrobin', 'range') }),
    group.assign('assigned anew', { of: 'with other protocols' }),
    group.join('unknown id under a known name', 'stranger', named),
    group.join(
      'known id under another name',
      { of: 'with other protocols' },
      { groupInstanceId: 'instance-2' },
    ),
    ...(version >= 5
      ? [
          group.leave('the old one leaves', { who: old, groupInstanceId: 'instance-1' }),
          group.leave('by a name nobody has', { who: '', groupInstanceId: 'instance-9' }),
          group.leave('two, one unknown', { who: '', groupInstanceId: 'instance-1' }, { who: 'stranger' }),
        ]
      : []),
    group.describe('empty'),
  ]
}

function leaveVersions(version: number): Step[] {
  const group = new GroupSteps(`leave-${version}`, 5)
  return [
    ...group.enter('first'),
    group.assign('assigned', { of: 'first' }),
    step('nobody', leaveGroupApi, version, { groupId: `leave-${version}`, memberId: '', members: [] }),
    step('unknown and known', leaveGroupApi, version, (replies) => ({
      groupId: `leave-${version}`,
      memberId: replies.get('first').memberId,
      members: [{ memberId: 'stranger' }, { memberId: replies.get('first').memberId }],
    })),
    group.describe('afterwards'),
  ]
}

const COORDINATOR_NOT_AVAILABLE = 15

function findCoordinatorSteps(version: number): Step[] {
  const send = (label: string, key: string, keyType = 0): Step =>
    step(label, findCoordinatorApi, version, { key, keyType, coordinatorKeys: [key] })
  // Its topic is made by the first who asks.
  const ofTransactions = (label: string, key: string): Step => {
    const isThere = (reply: { errorCode: number; coordinators: { errorCode: number }[] }): boolean =>
      (version >= 4 ? reply.coordinators[0] : reply).errorCode !== COORDINATOR_NOT_AVAILABLE
    const body = { key, keyType: 1, coordinatorKeys: [key] }
    return step(label, findCoordinatorApi, version, body, { until: isThere })
  }
  return [
    send('group', 'some-group'),
    send('empty group', ''),
    ...(version >= 1
      ? [ofTransactions('transaction', 'some-id'), ofTransactions('empty transaction', '')]
      : []),
    ...(version >= 1
      ? [send('share', 'group:AAAAAAAAAAAAAAAAAAAAAA:0', 2), send('type 5', 'k', 5), send('type -1', 'k', -1)]
      : []),
    ...(version >= 4
      ? [
          step('several', findCoordinatorApi, version, { coordinatorKeys: ['a', 'b', '', 'a'] }),
          step('none', findCoordinatorApi, version, { coordinatorKeys: [] }),
        ]
      : []),
  ]
}

function listingSteps(): Step[] {
  const stable = new GroupSteps('listed-stable', 5)
  const empty = new GroupSteps('listed-empty', 5)
  const connect = new GroupSteps('listed-connect', 5)
  const list = (
    label: string,
    version: number,
    statesFilter: string[] = [],
    typesFilter: string[] = [],
  ): Step => step(label, listGroupsApi, version, { statesFilter, typesFilter })
  const filters: Record<string, [string[], string[]?]> = {
    stable: [['Stable']],
    'stable in small letters': [['stable']],
    empty: [['Empty']],
    'two states': [['Stable', 'Empty']],
    'no such state': [['Sleepy']],
    'no such state, and one': [['Sleepy', 'Stable']],
    'empty word': [['']],
    'states of the new protocol': [['Assigning', 'Reconciling']],
    dead: [['Dead']],
  }
  const types: Record<string, [string[], string[]]> = {
    classic: [[], ['classic']],
    'CLASSIC in capitals': [[], ['CLASSIC']],
    consumer: [[], ['consumer']],
    both: [[], ['classic', 'consumer']],
    'no such type': [[], ['modern']],
    'type and state': [['Empty'], ['classic']],
  }
  const ask = (version: number, kinds: Record<string, [string[], string[]?]>): Step[] =>
    Object.entries(kinds).map(([label, [states, kind]]) => list(label, version, states, kind))
  return [
    ...stable.enter('first'),
    stable.assign('assigned', { of: 'first' }),
    ...empty.enter('second'),
    empty.assign('assigned too', { of: 'second' }),
    empty.leave('left', { who: { of: 'second' } }),
    ...connect.enter('third', { protocolType: 'connect' }),
    ...everyVersion(listGroupsApi, (version) => [
      list('all', version),
      ...(version >= 4 ? ask(version, filters) : []),
      ...(version >= 5 ? ask(version, types) : []),
    ]),
    ...everyVersion(describeGroupsApi, (version) => [
      step('several', describeGroupsApi, version, {
        groups: ['listed-stable', 'listed-empty', 'listed-connect', 'listed-gone'],
        includeAuthorizedOperations: true,
      }),
      step('twice', describeGroupsApi, version, {
        groups: ['listed-empty', 'listed-empty'],
        includeAuthorizedOperations: false,
      }),
      step('none', describeGroupsApi, version, { groups: [], includeAuthorizedOperations: false }),
    ]),
    ...everyVersion(deleteGroupsApi, (version) => [
      step('several', deleteGroupsApi, version, { groupsNames: ['listed-stable', 'listed-gone', ''] }),
      step('twice', deleteGroupsApi, version, { groupsNames: ['listed-gone', 'listed-gone'] }),
      step('none', deleteGroupsApi, version, { groupsNames: [] }),
    ]),
    stable.leave('stable leaves', { who: { of: 'first' } }),
    connect.leave('connect leaves', { who: { of: 'third' } }),
  ]
}

const ofEveryVersion = (name: string, steps: (version: number) => Step[], from = 0): Scenario[] =>
  versions
    .filter((version) => version >= from)
    .map((version) => ({ name: `${name} (JoinGroup v${version})`, steps: steps(version) }))

export const groupScenarios: Scenario[] = [
  { name: 'Groups: the coordinator is there', steps: [untilCoordinator('groups')] },
  { name: 'FindCoordinator', steps: everyVersion(findCoordinatorApi, findCoordinatorSteps) },
  ...ofEveryVersion('Groups: one member', oneMember),
  ...ofEveryVersion('Groups: refused', refusedJoins),
  ...ofEveryVersion('Groups: two members', twoMembers),
  ...ofEveryVersion('Groups: choice of the protocol', protocolChoice),
  ...ofEveryVersion('Groups: static members', staticMembers, 5),
  { name: 'LeaveGroup', steps: everyVersion(leaveGroupApi, leaveVersions) },
  { name: 'Groups: listed, described, deleted', steps: listingSteps() },
]
