/** What befalls clients and brokers while transactions are under way: drawn by a seed, one after the other. */
import { eventually, pause } from '../harness/conditions.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import type { ClusterView } from '../cluster/cluster-view.ts'
import type { Random } from '../cluster/random.ts'
import type { Family } from './family.ts'
import type { Round } from './run.ts'

export interface World {
  cluster: Cluster
  view: ClusterView
  random: Random
}

interface Fault {
  name: string
  /** How often among those drawn before all are drawn again. */
  inDeck: number
  run(world: World, family: Family): Promise<void>
}

const SETTLE_LIMIT_MS = 120_000

export const faults: readonly Fault[] = [
  { name: 'a client killed', inDeck: 2, run: (_, family) => family.killAndStart() },
  { name: 'a client replaced, that goes on', inDeck: 1, run: (_, family) => family.replace() },
  { name: 'a client frozen until it is replaced', inDeck: 1, run: (_, family) => family.freezeAndReplace() },
  {
    name: 'a broker killed',
    inDeck: 2,
    run: (world) => withoutBroker(world, (member) => member.kill()),
  },
  {
    name: 'a broker restarted',
    inDeck: 1,
    run: (world) => withoutBroker(world, (member) => member.shutDown()),
  },
]

async function withoutBroker(world: World, end: (member: ClusterMember) => Promise<unknown>): Promise<void> {
  const member = world.random.pick(world.cluster.members)
  await end(member)
  await pause(world.random.between([0, 4000]))
  await member.start()
  await untilInSync(world)
}

/** All replicas of all partitions: the next broker that goes leaves two. */
export async function untilInSync({ view, cluster }: World): Promise<void> {
  await eventually(
    'all replicas are in sync',
    async () => {
      const partitions = await view.partitions()
      return partitions.every(({ leader, isr }) => leader >= 0 && isr.length === cluster.members.length)
    },
    SETTLE_LIMIT_MS,
  )
}

/** Gives how often each has happened. */
export async function runFaults(
  world: World,
  round: Round,
  goesOn: (count: number) => boolean,
): Promise<Record<string, number>> {
  const { random } = world
  const happened: Record<string, number> = {}
  let deck: Fault[] = []
  let clients: Family[] = []
  for (let count = 0; goesOn(count); count++) {
    if (deck.length === 0)
      deck = random.shuffle(faults.flatMap((each) => Array(each.inDeck).fill(each) as Fault[]))
    if (clients.length === 0) clients = random.shuffle(round.families)
    const fault = deck.pop()!
    await fault.run(world, fault.name.startsWith('a client') ? clients.pop()! : clients[0])
    happened[fault.name] = (happened[fault.name] ?? 0) + 1
    await pause(random.between([200, 3000]))
    round.assertAlive()
  }
  return happened
}
