/**
 * The range assignor: of every topic each subscriber gets a run of neighbouring partitions, the first ones a longer run where
 * they do not divide evenly. Equal runs of topics with as many partitions go to the same member, so that it can join them.
 * Nothing of what was before counts. Source: RangeAssignor.java (4.1).
 */
import type { Assignment } from '../assignment.ts'
import type { GroupSpec } from './assignor.ts'

interface Share {
  readonly partitions: number
  subscribers: number
  served: number
  next: number
}

export function rangeAssignor(group: GroupSpec): Map<string, Assignment> {
  const memberIds = inOrder(group)
  const shares = new Map<string, Share>()
  for (const memberId of memberIds) {
    for (const topicId of group.members.get(memberId)!.topicIds) {
      const share = shares.get(topicId)
      if (share !== undefined) share.subscribers++
      else {
        const partitions = group.partitionCount(topicId)
        shares.set(topicId, { partitions, subscribers: 1, served: 0, next: 0 })
      }
    }
  }
  const result = new Map<string, Assignment>()
  for (const memberId of memberIds) {
    const assignment = new Map<string, number[]>()
    for (const topicId of group.members.get(memberId)!.topicIds) {
      const run = nextRun(shares.get(topicId)!)
      if (run.length > 0) assignment.set(topicId, run)
    }
    result.set(memberId, assignment)
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

/** Static members first, by instance id, then the others by member id: who comes back gets what it had. */
function inOrder({ members }: GroupSpec): string[] {
  const instanceOf = (memberId: string): string | null => members.get(memberId)!.instanceId
  return [...members.keys()].sort((a, b) => {
    const [one, other] = [instanceOf(a), instanceOf(b)]
    if (one !== null && other !== null) return compare(one, other)
    if (one !== null) return -1
    return other !== null ? 1 : compare(a, b)
  })
}

/** As Java compares strings: by UTF-16 units, which is what `<` does. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
