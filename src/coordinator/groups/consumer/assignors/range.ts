/**
 * The range assignor: of every topic each subscriber gets a run of neighbouring partitions, the first ones a longer run where
 * they do not divide evenly. Equal runs of topics with as many partitions go to the same member, so that it can join them.
 * Nothing of what was before counts. Source: RangeAssignor.java (4.1).
 */
import type { Assignment } from '../assignment.ts'
import type { GroupSpec, MemberSpec } from './assignor.ts'

interface Share {
  readonly partitions: number
  subscribers: number
  served: number
  next: number
}

export function rangeAssignor(group: GroupSpec): readonly Assignment[] {
  const { members } = group
  const shares = new Map<string, Share>()
  for (const { topicIds } of members) {
    for (const topicId of topicIds) {
      const share = shares.get(topicId)
      if (share !== undefined) share.subscribers++
      else {
        const partitions = group.partitionCount(topicId)
        shares.set(topicId, { partitions, subscribers: 1, served: 0, next: 0 })
      }
    }
  }
  const result: Assignment[] = new Array(members.length)
  for (const place of inOrder(members)) {
    const assignment = new Map<string, number[]>()
    for (const topicId of members[place].topicIds) {
      const run = nextRun(shares.get(topicId)!)
      if (run.length > 0) assignment.set(topicId, run)
    }
    result[place] = assignment
  }
  return result
}

function nextRun(share: Share): number[] {
  const { partitions, subscribers } = share
  const extra = share.served < partitions % subscribers ? 1 : 0
  const length = Math.floor(partitions / subscribers) + extra
  const first = share.next
  share.served++
  share.next += length
  return Array.from({ length }, (_, i) => first + i)
}

/**
 * The members' places: static members first, by instance id, then the others by member id: who comes back gets what it had.
 */
function inOrder(members: readonly MemberSpec[]): number[] {
  return [...members.keys()].sort((a, b) => {
    const [one, other] = [members[a], members[b]]
    if (one.instanceId !== null && other.instanceId !== null) return compare(one.instanceId, other.instanceId)
    if (one.instanceId !== null) return -1
    return other.instanceId !== null ? 1 : compare(one.memberId, other.memberId)
  })
}

/** As Java compares strings: by UTF-16 units, which is what `<` does. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
