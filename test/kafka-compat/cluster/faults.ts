/** The faults: what each does to a cluster, how it is known that it really happened, and how it ends. */
import { readFileSync } from 'node:fs'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { eventually } from '../harness/conditions.ts'
import type { Random } from './random.ts'
import { BROKERS, CLIENTS, nodeOfServer, type TestBed } from './test-bed.ts'
import type { Load } from './load.ts'

export interface FaultContext {
  bed: TestBed
  load: Load
  random: Random
}

/** A fault that is going on. */
export interface OngoingFault {
  /** What it is done to, for the report. */
  target: string
  /** Undoes it, and gives whether it had an effect that could be seen; for most that is known from the beginning. */
  end(): Promise<boolean>
}

export interface Fault {
  name: string
  /** How many of it are in the deck that faults are drawn from. */
  inDeck: number
  /** How long it lasts, in milliseconds; drawn between the two, the long one in a few cases of a hundred. */
  usualMs: readonly [number, number]
  longMs: readonly [number, number]
  /** Which of the cluster's parts it would be done to, by names; null where it cannot be done now. */
  choose(context: FaultContext): Promise<Target | null>
  begin(context: FaultContext, target: Target): Promise<OngoingFault | null>
}

/** Two faults at a time never share a part. */
export interface Target {
  parts: string[]
  /** Broker id, or index of a server, or nodes of the network. */
  numbers: number[]
}

const brokerTarget = (brokerId: number): Target => ({ parts: [`broker ${brokerId}`], numbers: [brokerId] })

type Role = 'leader' | 'follower' | 'controller' | 'coordinator'

async function brokerInRole({ bed, random }: FaultContext, role: Role): Promise<number | null> {
  if (role === 'controller') return bed.view.controllerId()
  const internal = role === 'coordinator'
  const partitions = (await bed.view.partitions()).filter(
    ({ topic, leader }) => (topic === '__consumer_offsets') === internal && leader >= 0,
  )
  if (partitions.length === 0) return null
  const { leader, isr } = random.pick(partitions)
  if (role !== 'follower') return leader
  const followers = isr.filter((brokerId) => brokerId !== leader)
  return followers.length === 0 ? null : random.pick(followers)
}

async function targetInRole(context: FaultContext, role: Role): Promise<Target | null> {
  const brokerId = await brokerInRole(context, role)
  if (brokerId === null || !context.bed.cluster.member(brokerId).isRunning) return null
  return brokerTarget(brokerId)
}

const lengths = { usualMs: [150, 700], longMs: [4000, 7000] } as const

function killOf(role: Role): Fault {
  return {
    name: `kill -9 of the ${role}`,
    inDeck: 3,
    ...lengths,
    choose: (context) => targetInRole(context, role),
    async begin({ bed }, { numbers: [brokerId] }) {
      const member = bed.cluster.member(brokerId)
      if (!member.isRunning) return null
      const { pid } = member
      await member.kill()
      return {
        target: `broker ${brokerId}`,
        async end() {
          await member.start()
          return member.pid !== pid
        },
      }
    },
  }
}

/** `T` while it is stopped. */
function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0]
}

function freezeOf(role: Role): Fault {
  return {
    name: `SIGSTOP of the ${role}`,
    inDeck: 3,
    ...lengths,
    choose: (context) => targetInRole(context, role),
    async begin({ bed }, { numbers: [brokerId] }) {
      const member = bed.cluster.member(brokerId)
      if (!member.isRunning) return null
      member.freeze()
      await eventually('it is stopped', () => stateOf(member.pid) === 'T')
      return {
        target: `broker ${brokerId}`,
        async end() {
          const wasStopped = member.isRunning && stateOf(member.pid) === 'T'
          member.thaw()
          return wasStopped
        },
      }
    },
  }
}

type Break = 'cut' | 'cut, one way' | 'delay of 200 ms' | 'loss of 5 %'

function nameOfNode(node: number): string {
  if (node === CLIENTS) return 'clients'
  return node <= BROKERS ? `broker ${node}` : `server ${node - BROKERS}`
}

/** Between two brokers, a broker and a server, or a broker and the clients. */
function chooseLink({ random }: FaultContext): Target {
  const broker = 1 + random.below(BROKERS)
  const otherBroker = 1 + ((broker + random.below(BROKERS - 1)) % BROKERS)
  const other = random.pick([otherBroker, otherBroker, nodeOfServer(random.below(3)), CLIENTS])
  const [low, high] = [broker, other].sort((a, b) => a - b)
  return { parts: [`link ${low}-${high}`], numbers: random.below(2) === 0 ? [low, high] : [high, low] }
}

async function breakLink({ network }: TestBed, how: Break, from: number, to: number): Promise<void> {
  if (how === 'delay of 200 ms') return network.delay(from, to, 200)
  if (how === 'loss of 5 %') return network.lose(from, to, 5)
  return network.cut(from, to)
}

/** How many packets were kept back on links since they were counted last. */
async function harmOn({ network }: TestBed, links: readonly (readonly number[])[]): Promise<number> {
  let harmed = 0
  for (const [from, to] of links) {
    const { cut, lost, delayed } = await network.counts(from, to)
    harmed += cut + lost + delayed
  }
  return harmed
}

/** Breaks links, and tells the harm done to their packets: a broken link that nobody used is no fault. */
async function beginOnLinks(
  bed: TestBed,
  how: Break,
  target: string,
  links: readonly (readonly number[])[],
): Promise<OngoingFault> {
  const before = await harmOn(bed, links)
  for (const [from, to] of links) await breakLink(bed, how, from, to)
  return {
    target,
    async end() {
      for (const [from, to] of links) await bed.network.heal(from, to)
      return (await harmOn(bed, links)) > before
    },
  }
}

function linkFault(how: Break, inDeck: number): Fault {
  return {
    name: `network ${how}`,
    inDeck,
    usualMs: [250, 700],
    longMs: [4000, 7000],
    choose: async (context) => chooseLink(context),
    begin({ bed }, { numbers: [a, b] }) {
      const links = how === 'cut, one way' ? [[a, b]] : [[a, b], [b, a]] // prettier-ignore
      return beginOnLinks(bed, how, `${nameOfNode(a)} to ${nameOfNode(b)}`, links)
    },
  }
}

/** A broker that reaches nobody but itself: brokers, servers and clients are all behind the cut. */
const isolation: Fault = {
  name: 'network cut around a broker',
  inDeck: 2,
  ...lengths,
  async choose({ random }) {
    const broker = 1 + random.below(BROKERS)
    const others = Array.from({ length: 2 * BROKERS + 1 }, (_, node) => node).filter(
      (each) => each !== broker,
    )
    const parts = others.map((other) => `link ${Math.min(broker, other)}-${Math.max(broker, other)}`)
    return { parts: [...parts, `broker ${broker}`], numbers: [broker, ...others] }
  },
  begin({ bed }, { numbers: [broker, ...others] }) {
    const links = others.flatMap((other) => [[broker, other], [other, broker]]) // prettier-ignore
    return beginOnLinks(bed, 'cut', nameOfNode(broker), links)
  },
}

const serverTarget = (index: number): Target => ({ parts: ['ensemble'], numbers: [index] })

const serverKilled: Fault = {
  name: 'ZooKeeper server killed',
  inDeck: 2,
  usualMs: [300, 1000],
  longMs: [4000, 7000],
  choose: async ({ random }) => serverTarget(random.below(3)),
  async begin({ bed }, { numbers: [index] }) {
    const server = bed.cluster.ensemble.servers[index]
    await server.kill()
    const wasDead = (await server.mode()) === null
    return {
      target: nameOfNode(nodeOfServer(index)),
      async end() {
        server.start()
        await eventually('the server serves again', () => server.mode(), 60_000)
        return wasDead
      },
    }
  },
}

const majorityLost: Fault = {
  name: 'ZooKeeper majority lost',
  inDeck: 1,
  usualMs: [3000, 6000],
  longMs: [30_000, 30_000],
  choose: async () => serverTarget(0),
  async begin({ bed }) {
    const [survivor, ...lost] = bed.cluster.ensemble.servers
    await Promise.all(lost.map((server) => server.kill()))
    await eventually('the last server serves nobody', async () => (await survivor.mode()) === null)
    return {
      target: 'servers 2 and 3',
      async end() {
        const servedNobody = (await survivor.mode()) === null
        for (const server of lost) server.start()
        const modes = (): Promise<(string | null)[]> =>
          Promise.all(bed.cluster.ensemble.servers.map((server) => server.mode()))
        await eventually('the ensemble serves again', async () => !(await modes()).includes(null), 60_000)
        return servedNobody
      },
    }
  },
}

const sessionExpired: Fault = {
  name: 'session expired',
  inDeck: 3,
  usualMs: [150, 500],
  longMs: [150, 500],
  choose: async ({ random }) => brokerTarget(1 + random.below(BROKERS)),
  async begin({ bed }, { numbers: [brokerId] }) {
    if (!bed.cluster.member(brokerId).isRunning) return null
    if (!(await bed.view.expireSession(brokerId).catch(() => false))) return null
    return { target: `broker ${brokerId}`, end: async () => true }
  },
}

const diskFull: Fault = {
  name: 'disk full',
  inDeck: 1,
  usualMs: [300, 1000],
  longMs: [4000, 7000],
  choose: async ({ bed }) => brokerTarget(bed.smallDiskMember.brokerId),
  async begin({ bed }) {
    const member = bed.smallDiskMember
    if (!member.isRunning) return null
    const bytes = bed.fillDisk()
    return {
      target: `broker ${member.brokerId}`,
      async end() {
        bed.freeDisk()
        // Apache Kafka ends when its only log directory fails.
        if (member.kind === 'kafka') await reviveAfterFullDisk(member)
        return bytes > 0
      },
    }
  },
}

async function reviveAfterFullDisk(member: ClusterMember): Promise<void> {
  if (member.isRunning) await member.kill()
  await member.start()
}

const rollingRestart: Fault = {
  name: 'rolling restart',
  inDeck: 1,
  usualMs: [0, 0],
  longMs: [0, 0],
  choose: async () => ({
    parts: Array.from({ length: BROKERS }, (_, i) => `broker ${i + 1}`),
    numbers: [],
  }),
  async begin({ bed }) {
    const pids = bed.cluster.members.map(({ pid }) => pid)
    for (const member of bed.cluster.members) {
      await member.shutDown()
      await member.start()
    }
    const isNew = bed.cluster.members.every(({ pid }, i) => pid !== pids[i])
    return { target: 'all brokers', end: async () => isNew }
  },
}

const roles: Role[] = ['leader', 'follower', 'controller', 'coordinator']

export const faults: readonly Fault[] = [
  ...roles.map(killOf),
  ...roles.map(freezeOf),
  linkFault('cut', 5),
  linkFault('cut, one way', 6),
  linkFault('delay of 200 ms', 6),
  linkFault('loss of 5 %', 5),
  isolation,
  serverKilled,
  majorityLost,
  sessionExpired,
  diskFull,
  rollingRestart,
]
