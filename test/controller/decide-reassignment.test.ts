import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideLeadership } from '../../src/controller/decide/offline-replicas.ts'
import {
  assignmentOf,
  decideReassignment,
  decideReassignmentStep,
  isBeingReassigned,
  originalReplicas,
  reassignedTo,
  settled,
  targetReplicas,
  withAssignment,
} from '../../src/controller/decide/reassignment.ts'
import type { ReplicaAssignment } from '../../src/controller/decide/reassignment.ts'
import type { PartitionStateZnode } from '../../src/controller/znodes.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'

const CONTROLLER_EPOCH = 9
const live = (...ids: number[]) => new Set(ids)
const SIX = live(1, 2, 3, 4, 5, 6)

function led(leader: number, isr: readonly number[], leaderEpoch = 4): PartitionStateZnode {
  return { leader, isr, leaderEpoch, controllerEpoch: 8, recovering: false }
}

function partition(assignment: ReplicaAssignment, isr: readonly number[] = assignment.replicas) {
  return { assignment, leadership: led(isr[0], isr), isBeingDeleted: false }
}

describe('an assignment under way', () => {
  const moving = reassignedTo(settled([1, 2, 3]), [3, 4, 2])

  test('lists the target before those originals that go, as Kafka writes it', () => {
    expect(moving).toEqual({ replicas: [3, 4, 2, 1], addingReplicas: [4], removingReplicas: [1] })
    expect(reassignedTo(settled([1, 2, 3]), [4, 5, 6])).toEqual({
      replicas: [4, 5, 6, 1, 2, 3],
      addingReplicas: [4, 5, 6],
      removingReplicas: [1, 2, 3],
    })
  })

  test('still knows where it comes from and where it goes', () => {
    expect(targetReplicas(moving)).toEqual([3, 4, 2])
    expect(originalReplicas(moving).sort()).toEqual([1, 2, 3])
    expect([moving, settled([1])].map(isBeingReassigned)).toEqual([true, false])
  })

  test('stands in the topic’s znode beside those of other partitions, and leaves it when it is settled', () => {
    const topic = {
      topicId: 'id',
      partitions: [[1], [1, 2, 3]],
      addingReplicas: { 0: [7] },
      removingReplicas: {},
    }
    const written = withAssignment(topic, 1, moving)
    expect(written).toEqual({
      topicId: 'id',
      partitions: [[1], [3, 4, 2, 1]],
      addingReplicas: { 0: [7], 1: [4] },
      removingReplicas: { 1: [1] },
    })
    expect(assignmentOf(written, 1)).toEqual(moving)
    expect(assignmentOf(written, 2)).toBeUndefined()
    expect(withAssignment(written, 1, settled([1, 2, 3]))).toEqual(topic)
  })
})

describe('a wish', () => {
  test('for other replicas is written with those it adds and those it removes', () => {
    expect(decideReassignment(partition(settled([1, 2])), [2, 3], SIX)).toEqual({
      assignment: { replicas: [2, 3, 1], addingReplicas: [3], removingReplicas: [1] },
      dropped: [],
    })
  })

  test('that replaces another starts from the originals and drops what only the other wanted', () => {
    const moving = partition(reassignedTo(settled([1, 2]), [3, 4]), [1, 2, 3])
    expect(decideReassignment(moving, [4, 5], SIX)).toEqual({
      assignment: { replicas: [4, 5, 1, 2], addingReplicas: [4, 5], removingReplicas: [1, 2] },
      dropped: [3],
    })
  })

  test('to go back keeps the originals alone', () => {
    const moving = partition(reassignedTo(settled([1, 2]), [3, 2]), [1, 2, 3])
    const decided = decideReassignment(moving, null, SIX)
    expect(decided).toEqual({ assignment: settled([2, 1]), dropped: [3] })
  })

  const refusal = (target: number[] | null, brokers = SIX, of = partition(settled([1, 2]))) => {
    const decided = decideReassignment(of, target, brokers)
    return 'error' in decided ? decided.error : decided
  }

  test.each([[[]], [[3, 3]], [[-1, 2]], [[1, 7]]])('for the replicas %j is refused', (target) => {
    expect(refusal(target)).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  })

  test('asks for life of the brokers that it adds, not of those that have a replica', () => {
    expect(refusal([1, 3], live(2, 3))).toMatchObject({ dropped: [] })
    expect(refusal([1, 3], live(1, 2))).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  })

  test('to go back where nothing is under way is refused', () => {
    expect(refusal(null)).toBe(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    expect(decideReassignment(undefined, null, SIX)).toMatchObject({
      error: ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
    })
  })

  test('for a partition that is not there, or not for long, is refused; a faulty list is told first', () => {
    const going = { ...partition(settled([1, 2])), isBeingDeleted: true }
    const unknown = { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
    expect(decideReassignment(undefined, [1], SIX)).toMatchObject(unknown)
    expect(decideReassignment(going, [1], SIX)).toMatchObject(unknown)
    expect(decideReassignment(undefined, [7], SIX)).toMatchObject({
      error: ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    })
  })

  test('to go back is refused while only added replicas are in sync: their logs hold what was acknowledged', () => {
    const moving = partition(reassignedTo(settled([1, 2]), [3, 4]), [3])
    expect(refusal(null, SIX, moving)).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    const never = { ...moving, leadership: undefined }
    expect(decideReassignment(never, null, SIX)).toMatchObject({ dropped: [3, 4] })
  })
})

describe('the next step of a reassignment', () => {
  const moving = reassignedTo(settled([1, 2, 3]), [4, 5, 6])
  const step = (isr: number[], online: number[] = [...SIX], leader = 1, assignment = moving) =>
    decideReassignmentStep(assignment, led(leader, isr), (id) => online.includes(id), CONTROLLER_EPOCH)

  test('is to grow, in the next leader epoch, until the whole target is in sync', () => {
    expect(step([1, 2, 3, 4, 5])).toEqual({
      kind: 'grow',
      leadership: { ...led(1, [1, 2, 3, 4, 5], 5), controllerEpoch: CONTROLLER_EPOCH },
    })
  })

  test('is to complete with a leader of the target and an in-sync set of the target alone', () => {
    expect(step([1, 2, 3, 4, 5, 6], [1, 2, 3, 5, 6])).toEqual({
      kind: 'complete',
      leadership: { ...led(5, [4, 5, 6], 5), controllerEpoch: CONTROLLER_EPOCH },
      assignment: settled([4, 5, 6]),
      removed: [1, 2, 3],
    })
  })

  test('leaves the leader where it is if it belongs to the target', () => {
    expect(step([6, 5, 4], undefined, 6)).toMatchObject({ kind: 'complete', leadership: { leader: 6 } })
    expect(step([6, 5, 4], [4, 5], 6)).toMatchObject({ kind: 'complete', leadership: { leader: 4 } })
  })

  test('waits while all of the target is in sync and none of it online: others serve', () => {
    expect(step([1, 4, 5, 6], [1, 2, 3])).toEqual({ kind: 'wait' })
  })

  test('waits while nobody that stays is in sync', () => {
    expect(step([7], undefined, 7)).toEqual({ kind: 'wait' })
  })

  test('takes the lead from a replica that a wish has dropped, and drops it from the in-sync set', () => {
    const back = decideReassignment(partition(reassignedTo(settled([1, 2]), [3, 2]), [3, 2]), null, SIX)
    if ('error' in back) throw new Error(back.message)
    expect(step([3, 2], undefined, 3, back.assignment)).toMatchObject({
      kind: 'complete',
      leadership: { leader: 2, isr: [2] },
    })
    const other = reassignedTo(settled([1, 2]), [4])
    expect(step([3, 2], undefined, 3, other)).toMatchObject({
      kind: 'grow',
      leadership: { leader: 2, isr: [2] },
    })
  })

  test('of a new order of the same replicas completes at once, even if nobody can lead', () => {
    const reordered = reassignedTo(settled([1, 2]), [2, 1])
    expect(isBeingReassigned(reordered)).toBe(false)
    expect(step([1, 2], undefined, 1, reordered)).toMatchObject({
      kind: 'complete',
      leadership: { leader: 1, isr: [1, 2] },
      assignment: settled([2, 1]),
      removed: [],
    })
    expect(step([1], [], 1, reordered)).toMatchObject({
      kind: 'complete',
      leadership: { leader: -1, isr: [1] },
    })
  })
})

/** A partition whose replicas hold logs; what is stopped with `deleteLogs` loses its own. */
class Model {
  assignment = settled([1, 2])
  leadership = led(1, [1, 2], 0)
  /** Replicas that have every acknowledged record. */
  complete = new Set([1, 2])
  online = new Set([1, 2, 3, 4, 5])
  /** What wishes have dropped and no step has stopped yet. */
  dropped: number[] = []

  wish(target: number[] | null): void {
    const before = this.assignment
    const { assignment, leadership } = this
    const decided = decideReassignment({ assignment, leadership, isBeingDeleted: false }, target, this.online)
    if ('error' in decided) return
    this.assignment = decided.assignment
    const original = originalReplicas(before)
    const wanted = target ?? original
    expect(new Set(this.assignment.replicas)).toEqual(new Set([...original, ...wanted]))
    const all = [...this.dropped, ...decided.dropped]
    this.dropped = all.filter((id) => !decided.assignment.replicas.includes(id))
    this.step()
  }

  step(): void {
    const isOnline = (id: number) => this.online.has(id)
    const step = decideReassignmentStep(this.assignment, this.leadership, isOnline, CONTROLLER_EPOCH)
    if (step.kind === 'wait') return
    this.write(step.leadership)
    const stopped = step.kind === 'complete' ? [...this.dropped, ...step.removed] : this.dropped
    for (const id of stopped) {
      expect(this.leadership.isr).not.toContain(id)
      this.complete.delete(id)
    }
    this.dropped = []
    if (step.kind === 'complete') this.assignment = step.assignment
  }

  /** The leader takes a replica into the in-sync set: that has all the records then, and gets those to come. */
  catchUp(replica: number): void {
    const { leadership } = this
    if (leadership.leader < 0 || leadership.isr.includes(replica)) return
    if (!this.online.has(replica) || !this.assignment.replicas.includes(replica)) return
    this.complete.add(replica)
    this.leadership = { ...leadership, isr: [...leadership.isr, replica] }
    if (isBeingReassigned(this.assignment)) this.step()
  }

  /** More records are acknowledged: who is not in sync does not have them. */
  produce(): void {
    if (this.leadership.leader >= 0) this.complete = new Set(this.leadership.isr)
  }

  toggle(replica: number): void {
    if (!this.online.delete(replica)) this.online.add(replica)
    const isOnline = (id: number) => this.online.has(id)
    const replicas = { assigned: this.assignment.replicas, isOnline, allowsUnclean: false }
    const next = decideLeadership(this.leadership, replicas, CONTROLLER_EPOCH)
    if (next !== null) this.write(next)
    if (isBeingReassigned(this.assignment)) this.step()
  }

  private write(next: PartitionStateZnode): void {
    expect(next.leaderEpoch).toBe(this.leadership.leaderEpoch + 1)
    expect(next.isr.length).toBeGreaterThan(0)
    if (next.leader >= 0) expect(next.isr).toContain(next.leader)
    this.leadership = next
  }

  check(): void {
    expect(this.leadership.isr.some((id) => this.assignment.replicas.includes(id))).toBe(true)
    for (const id of this.leadership.isr) expect(this.complete).toContain(id)
  }
}

type Act = (model: Model) => void
const broker = fc.integer({ min: 1, max: 5 })
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.option(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1, maxLength: 3 })).map(
    (target): Act =>
      (model) =>
        model.wish(target),
  ),
  broker.map(
    (id): Act =>
      (model) =>
        model.catchUp(id),
  ),
  broker.map(
    (id): Act =>
      (model) =>
        model.toggle(id),
  ),
  fc.constant<Act>((model) => model.produce()),
)

test('whatever is wished for and whoever dies, every in-sync replica has a log with all that was acknowledged', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const model = new Model()
      for (const one of acts) {
        one(model)
        model.check()
      }
    }),
    { numRuns: 500 },
  )
})

test('a wish comes true once all brokers live and catch up, whatever has been wished for before', () => {
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 20 }),
      fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1, maxLength: 3 }),
      (acts, target) => {
        const model = new Model()
        for (const one of acts) one(model)
        for (const id of [1, 2, 3, 4, 5]) if (!model.online.has(id)) model.toggle(id)
        const refused = decideReassignment(
          { assignment: model.assignment, leadership: model.leadership, isBeingDeleted: false },
          target,
          model.online,
        )
        // What alone is in sync may not be dropped; the plan that has it comes true first.
        if ('error' in refused) for (const id of targetReplicas(model.assignment)) model.catchUp(id)
        model.wish(target)
        for (const id of target) model.catchUp(id)
        expect(model.assignment).toEqual(settled(target))
        expect([...model.leadership.isr].sort()).toEqual([...target].sort())
        expect(target).toContain(model.leadership.leader)
      },
    ),
  )
})
