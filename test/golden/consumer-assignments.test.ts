/** What the server-side assignors of consumer groups give, against Kafka's own (generate.sh): groups that change step by step. */
import { expect, test } from 'vitest'
import { assignmentOf } from '../../src/coordinator/groups/consumer/assignment.ts'
import type { Assignment } from '../../src/coordinator/groups/consumer/assignment.ts'
import { ASSIGNORS } from '../../src/coordinator/groups/consumer/assignors/assignor.ts'
import { inJavaOrder, stringHash } from '../../src/coordinator/groups/consumer/java-order.ts'
import { readGolden } from './golden-data.ts'

interface Group {
  assignor: string
  homogeneous: boolean
  steps: {
    topics: Record<string, number>
    members: Record<string, { instanceId: string | null; topics: string[] }>
    after: Record<string, Record<string, number[]>>
  }[]
}

const groups = readGolden<Group[]>('consumer-assignments.json')!

test.each(groups.map((group, i) => [i, group.assignor, group.homogeneous, group] as const))(
  'group %i, %s, same subscriptions: %s',
  (_i, assignor, homogeneous, group) => {
    let target = new Map<string, Assignment>()
    for (const { topics, members, after } of group.steps) {
      const specs = inJavaOrder(Object.keys(members), stringHash, 'grown').map((memberId) => {
        const { instanceId, topics: topicIds } = members[memberId]
        return { memberId, instanceId, topicIds, assignment: target.get(memberId) ?? new Map() }
      })
      const taken = new Set<string>()
      for (const [memberId, assignment] of target) {
        if (!(memberId in members)) continue
        for (const [topicId, partitions] of assignment)
          for (const one of partitions) taken.add(`${topicId} ${one}`)
      }
      const assigned = ASSIGNORS.get(assignor)!({
        members: specs,
        homogeneous,
        unassigned: (topicId) =>
          [...Array(topics[topicId]).keys()].filter((partition) => !taken.has(`${topicId} ${partition}`)),
        partitionCount: (topicId) => topics[topicId],
      })
      for (const [memberId, expected] of Object.entries(after)) {
        const own = Object.fromEntries(assigned[specs.findIndex((spec) => spec.memberId === memberId)])
        expect(own, memberId).toEqual(expected)
      }
      target = new Map(
        Object.entries(after).map(([memberId, assignment]) => [
          memberId,
          assignmentOf(Object.entries(assignment).map(([topicId, partitions]) => ({ topicId, partitions }))),
        ]),
      )
    }
  },
)
