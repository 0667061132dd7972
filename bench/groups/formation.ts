/** How long a group takes from its last join until every member has its part, and from one more join. */
import type { Sample } from '../lab/interleave.ts'
import { Classic, Consumer, leaveClassic } from '../lab/members.ts'
import type { GroupShape } from '../lab/members.ts'
import { Wire } from '../lab/wire.ts'

export interface Formation extends GroupShape {
  readonly port: number
  readonly protocol: 'classic' | 'consumer'
  readonly members: number
  /** One more joins the group when all are assigned, and that is measured too. */
  readonly oneMore: boolean
}

/** Longer than any broker takes. */
const PATIENCE_MS = 120_000

interface Crowd {
  /** One member more. */
  readonly add: (wire: Wire) => { live: () => Promise<void>; stop: () => void }
  /** All of these members have their parts of all partitions, in the same generation. */
  readonly isAssigned: (members: number) => boolean
  /** After all have been stopped. */
  readonly leave: (wire: Wire, lives: readonly Promise<void>[]) => Promise<unknown>
}

export async function formation(options: Formation): Promise<Sample> {
  const { port, members, oneMore } = options
  let changed = (): void => {}
  const crowd =
    options.protocol === 'classic' ? classics(options, () => changed()) : consumers(options, () => changed())
  const wires: Wire[] = []
  for (let i = 0; i < members + 2; i++) wires.push(await Wire.open(port))
  const lives: Promise<void>[] = []
  const bodies: { stop: () => void }[] = []
  const join = (wire: Wire): void => {
    const member = crowd.add(wire)
    bodies.push(member)
    lives.push(member.live())
  }
  const until = (count: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`not all assigned after ${PATIENCE_MS} ms`)),
        PATIENCE_MS,
      )
      changed = () => {
        if (!crowd.isAssigned(count)) return
        changed = () => {}
        clearTimeout(late)
        resolve(performance.now())
      }
      for (const life of lives) life.catch(reject)
    })
  for (let i = 0; i < members; i++) join(wires[i])
  const lastJoinAt = performance.now()
  const formMs = (await until(members)) - lastJoinAt
  let oneMoreMs: number | undefined
  if (oneMore) {
    join(wires[members])
    const joinedAt = performance.now()
    oneMoreMs = (await until(members + 1)) - joinedAt
  }
  for (const body of bodies) body.stop()
  await crowd.leave(wires[members + 1], lives)
  return oneMoreMs === undefined ? { formMs } : { formMs, oneMoreMs }
}

function classics(shape: GroupShape, onChange: () => void): Crowd {
  const all: Classic[] = []
  return {
    add: (wire) => {
      const member = new Classic(wire, shape, onChange)
      all.push(member)
      return member
    },
    isAssigned: (members) => {
      const { generation } = all[0]
      return generation >= 0 && all.length === members && all.every((each) => each.generation === generation)
    },
    leave: (wire) =>
      leaveClassic(
        wire,
        shape.groupId,
        all.map(({ memberId }) => memberId),
      ),
  }
}

function consumers(shape: GroupShape, onChange: () => void): Crowd {
  const all: Consumer[] = []
  return {
    add: (wire) => {
      const member = new Consumer(wire, shape, onChange)
      all.push(member)
      return member
    },
    isAssigned: (members) => {
      const { epoch } = all[0]
      if (epoch < 0 || all.length !== members || !all.every((each) => each.epoch === epoch)) return false
      return all.reduce((sum, each) => sum + each.ownedPartitions, 0) === shape.partitions
    },
    leave: (_wire, lives) => Promise.all(lives),
  }
}
