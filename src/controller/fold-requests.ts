/**
 * What waits for a broker that cannot be told now, kept small: it may be cut off for hours while its session lives. States
 * that newer ones have replaced need not be told any more, so that there is at most one state for each partition.
 */
import type { BrokerRequest } from './broker-channels.ts'
import type { BrokerInfo, PartitionState } from './metadata.ts'

type LeaderAndIsr = Extract<BrokerRequest, { type: 'leaderAndIsr' }>

/**
 * Puts `request` behind those that wait, or makes it one with the last of its kind. The first of them is not touched: it may
 * be under way. Nothing passes another life of its topic, nor does LeaderAndIsr pass StopReplica of the same partition; it goes
 * behind UpdateMetadata, for a broker must know of a leader before it is told to follow it.
 */
export function foldRequest(waiting: BrokerRequest[], request: BrokerRequest): void {
  const index = waiting.findLastIndex(({ type }) => type === request.type)
  const last = waiting[index]
  if (index > 0 && request.type === 'updateMetadata' && last.type === 'updateMetadata') {
    const partitions = latestStates(last.update.partitions, request.update.partitions)
    if (partitions === null) waiting.push(request)
    else waiting[index] = { ...request, update: { ...request.update, partitions } }
    return
  }
  if (index > 0 && request.type === 'leaderAndIsr' && last.type === 'leaderAndIsr') {
    const states = isStopped(last, waiting.slice(index + 1))
      ? null
      : latestStates(last.states, request.states)
    if (states !== null) waiting.splice(index, 1)
    waiting.push(
      states === null ? request : { ...request, states, leaders: leadersOf(states, last, request) },
    )
    return
  }
  waiting.push(request)
}

/** null: they tell of two lives of a topic. */
function latestStates(
  older: readonly PartitionState[],
  newer: readonly PartitionState[],
): PartitionState[] | null {
  const topicIds = new Map(older.map(({ topic, topicId }) => [topic, topicId]))
  if (newer.some(({ topic, topicId }) => (topicIds.get(topic) ?? topicId) !== topicId)) return null
  const latest = new Map(older.map((state) => [keyOf(state), state]))
  for (const state of newer) {
    // The broker has still not heard that it is new.
    const isNew = state.isNew || (latest.get(keyOf(state))?.isNew ?? false)
    latest.set(keyOf(state), { ...state, isNew })
  }
  return [...latest.values()]
}

function isStopped({ states }: LeaderAndIsr, later: readonly BrokerRequest[]): boolean {
  const keys = new Set(states.map(keyOf))
  return later.some(
    (one) => one.type === 'stopReplicas' && one.replicas.some((stop) => keys.has(keyOf(stop))),
  )
}

function leadersOf(
  states: readonly PartitionState[],
  older: LeaderAndIsr,
  newer: LeaderAndIsr,
): BrokerInfo[] {
  const named = new Set(states.map(({ leader }) => leader))
  const known = new Map([...older.leaders, ...newer.leaders].map((broker) => [broker.id, broker]))
  return [...known.values()].filter(({ id }) => named.has(id))
}

const keyOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }): string =>
  `${topic}/${partition}`
