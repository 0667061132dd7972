/** Partitions by topic id, and the few things that are done with them. */

/** Partition numbers by topic id (22 characters of base64url), ascending; no topic without partitions. */
export type Assignment = ReadonlyMap<string, readonly number[]>

/** As messages and records carry it. */
export interface TopicPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export const NOTHING: Assignment = new Map()

/** Repeated topics and partitions count once. */
export function assignmentOf(topics: readonly TopicPartitions[]): Assignment {
  if (topics.length === 0) return NOTHING
  // As records have it, and nearly every request.
  if (topics.length === 1 && areAscending(topics[0].partitions)) {
    const [{ topicId, partitions }] = topics
    return partitions.length === 0 ? NOTHING : new Map([[topicId, partitions]])
  }
  const sets = new Map<string, Set<number>>()
  for (const { topicId, partitions } of topics) {
    const set = sets.get(topicId) ?? new Set()
    for (const partition of partitions) set.add(partition)
    if (set.size > 0) sets.set(topicId, set)
  }
  return fromSets(sets)
}

function areAscending(partitions: readonly number[]): boolean {
  for (let i = 1; i < partitions.length; i++) if (partitions[i] <= partitions[i - 1]) return false
  return true
}

export function fromSets(sets: ReadonlyMap<string, ReadonlySet<number>>): Assignment {
  const assignment = new Map<string, number[]>()
  for (const [topicId, partitions] of sets) {
    if (partitions.size > 0)
      assignment.set(
        topicId,
        [...partitions].sort((a, b) => a - b),
      )
  }
  return assignment
}

export function toTopicPartitions(assignment: Assignment): { topicId: string; partitions: number[] }[] {
  return [...assignment].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions] }))
}

export function sameAssignment(one: Assignment, other: Assignment): boolean {
  if (one === other) return true
  if (one.size !== other.size) return false
  for (const [topicId, partitions] of one) {
    const others = other.get(topicId)
    if (others === undefined || others.length !== partitions.length) return false
    if (!partitions.every((partition, i) => partition === others[i])) return false
  }
  return true
}

/** Is every partition of `part` in `whole`? */
export function isWithin(part: Assignment, whole: Assignment): boolean {
  for (const [topicId, partitions] of part) {
    const all = whole.get(topicId)
    if (all === undefined || !partitions.every((partition) => all.includes(partition))) return false
  }
  return true
}

export function overlaps(one: Assignment, other: Assignment): boolean {
  for (const [topicId, partitions] of one) {
    const others = other.get(topicId)
    if (others !== undefined && partitions.some((partition) => others.includes(partition))) return true
  }
  return false
}

/** What is in both, what is in the first alone, what is in the second alone. */
export function compareAssignments(
  one: Assignment,
  other: Assignment,
): { both: Assignment; first: Assignment; second: Assignment } {
  if (sameAssignment(one, other)) return { both: one, first: NOTHING, second: NOTHING }
  const both = new Map<string, number[]>()
  const first = new Map<string, number[]>()
  const second = new Map<string, number[]>()
  const put = (into: Map<string, number[]>, topicId: string, partitions: number[]): void => {
    if (partitions.length > 0) into.set(topicId, partitions)
  }
  for (const topicId of new Set([...one.keys(), ...other.keys()])) {
    const mine = new Set(one.get(topicId))
    const theirs = new Set(other.get(topicId))
    put(
      both,
      topicId,
      [...mine].filter((partition) => theirs.has(partition)),
    )
    put(
      first,
      topicId,
      [...mine].filter((partition) => !theirs.has(partition)),
    )
    put(
      second,
      topicId,
      [...theirs].filter((partition) => !mine.has(partition)),
    )
  }
  return { both, first, second }
}

export function union(one: Assignment, other: Assignment): Assignment {
  if (other.size === 0) return one
  const sets = new Map<string, Set<number>>()
  for (const assignment of [one, other]) {
    for (const [topicId, partitions] of assignment) {
      sets.set(topicId, new Set([...(sets.get(topicId) ?? []), ...partitions]))
    }
  }
  return fromSets(sets)
}
