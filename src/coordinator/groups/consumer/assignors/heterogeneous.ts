/**
 * The uniform assignor where members subscribe to different topics: what is free goes to the subscriber with the least, then
 * topic by topic partitions move from who has most to who has least, until a whole round moves nothing.
 * Source: UniformHeterogeneousAssignmentBuilder.java (4.1).
 */
import type { Assignment } from '../assignment.ts'
import { fromSets, NOTHING } from '../assignment.ts'
import { compareUuids } from '../java-order.ts'
import type { GroupSpec } from './assignor.ts'
import { LoadBalancer } from './load-balancer.ts'

export type Draft = Map<string, Set<number>>

const MAX_ROUNDS = 16
const NOBODY = -1

export function topicsOf(draft: Draft): Assignment {
  return fromSets(draft)
}

interface Topic {
  readonly id: string
  /** Members by their place in the group. */
  readonly subscribers: number[]
  readonly owners: Int32Array
}

class State {
  readonly drafts: Draft[] = []
  /** Partitions of each member. */
  readonly loads: number[] = []

  give(topic: Topic, partition: number, member: number): void {
    const before = topic.owners[partition]
    if (before !== NOBODY) {
      const partitions = this.drafts[before].get(topic.id)
      partitions?.delete(partition)
      this.loads[before]--
    }
    const partitions = this.drafts[member].get(topic.id)
    if (partitions === undefined) this.drafts[member].set(topic.id, new Set([partition]))
    else partitions.add(partition)
    topic.owners[partition] = member
    this.loads[member]++
  }
}

export function heterogeneousAssignment(group: GroupSpec): readonly Assignment[] {
  const { members } = group
  const topics = subscribedTopics(group)
  if (topics.size === 0) return members.map(() => NOTHING)
  const state = new State()
  members.forEach(({ assignment, topicIds }, member) => {
    const draft: Draft = new Map()
    let load = 0
    for (const [topicId, partitions] of assignment) {
      const topic = topicIds.includes(topicId) ? topics.get(topicId) : undefined
      if (topic === undefined) continue
      draft.set(topicId, new Set(partitions))
      load += partitions.length
      for (const partition of partitions) topic.owners[partition] = member
    }
    state.drafts.push(draft)
    state.loads.push(load)
  })
  const order = [...topics.values()].sort(compareTopics)
  assignFree(order, state)
  balance(
    order.filter(({ subscribers }) => subscribers.length >= 2),
    state,
  )
  return state.drafts.map(topicsOf)
}

function subscribedTopics(group: GroupSpec): Map<string, Topic> {
  const topics = new Map<string, Topic>()
  group.members.forEach(({ topicIds }, member) => {
    for (const id of topicIds) {
      const topic = topics.get(id)
      if (topic !== undefined) topic.subscribers.push(member)
      else {
        const owners = new Int32Array(group.partitionCount(id)).fill(NOBODY)
        topics.set(id, { id, subscribers: [member], owners })
      }
    }
  })
  return topics
}

/** Most partitions for each subscriber first, then fewest subscribers. */
function compareTopics(one: Topic, other: Topic): number {
  const share = ({ owners, subscribers }: Topic): number => owners.length / subscribers.length
  return (
    share(other) - share(one) ||
    one.subscribers.length - other.subscribers.length ||
    compareUuids(one.id, other.id)
  )
}

function assignFree(topics: readonly Topic[], state: State): void {
  const balancer = new LoadBalancer(state.loads)
  for (const topic of topics) {
    let begun = false
    topic.owners.forEach((owner, partition) => {
      if (owner !== NOBODY) return
      if (!begun) balancer.begin(topic.subscribers)
      begun = true
      state.give(topic, partition, balancer.nextLeastLoaded())
    })
  }
}

function balance(topics: readonly Topic[], state: State): void {
  const balancer = new LoadBalancer(state.loads)
  let lastMoved = NOBODY
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (let i = 0; i < topics.length; i++) {
      // Once round without a move.
      if (i === lastMoved) return
      const moved = balanceTopic(topics[i], state, balancer)
      if (moved > 0 || lastMoved === NOBODY) lastMoved = i
    }
  }
}

/** Each member gives its highest partitions first. Gives the number of partitions that moved. */
function balanceTopic(topic: Topic, state: State, balancer: LoadBalancer): number {
  if (balancer.begin(topic.subscribers) <= 1) return 0
  const toGive = new Map<number, number[]>()
  topic.owners.forEach((owner, partition) => {
    const partitions = toGive.get(owner)
    if (partitions === undefined) toGive.set(owner, [partition])
    else partitions.push(partition)
  })
  let moved = 0
  while (!balancer.isBalanced) {
    let most = balancer.nextMostLoaded()
    while (most !== NOBODY && (toGive.get(most)?.length ?? 0) === 0) {
      balancer.excludeMostLoaded()
      most = balancer.nextMostLoaded()
    }
    if (most === NOBODY) break
    const partition = toGive.get(most)!.pop()!
    const least = balancer.nextLeastLoaded()
    // Whoever came next may have closed the gap.
    if (balancer.isBalanced) break
    state.give(topic, partition, least)
    moved++
  }
  return moved
}
