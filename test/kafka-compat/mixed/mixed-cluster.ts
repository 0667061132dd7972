/** A cluster of both kinds under load from its start to its end, with a checker of all that the clients saw. */
import { expect } from 'vitest'
import { brokerKind, type BrokerKind } from '../harness/broker.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'
import { kcatOutcome } from '../harness/kcat.ts'
import { HistoryChecker } from '../cluster/checker.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { groups, Load, producers } from '../cluster/load.ts'
import { judge } from '../cluster/verdict.ts'
import { Admin, type Assignment } from './admin.ts'

/** Ours; with ODRADEK_COMPAT_BROKER=kafka a real one stands in its place: a suite that fails then is a wrong suite. */
export const ours: BrokerKind = brokerKind

export const LOAD_TOPIC = 'load'
/** The partitions that each of the three brokers prefers to lead: 1 and 4, 2 and 5, 3 and 6. */
export const loadAssignment: Assignment = [0, 1, 2, 0, 1, 2].map((first) =>
  [0, 1, 2].map((i) => ((first + i) % 3) + 1),
)
const RECORDS_PER_SECOND = 100
/** The other reader keeps no offsets. */
const committingGroups = [groups['java-member'], groups['kafkajs-member']]

/** Faults are the fault run's affair: here nobody is taken for gone because the machine is busy. */
export const calmProperties: Readonly<Record<string, string>> = {
  'zookeeper.session.timeout.ms': '12000',
  'replica.lag.time.max.ms': '10000',
  'replica.socket.timeout.ms': '30000',
  'controller.socket.timeout.ms': '30000',
  'leader.imbalance.check.interval.seconds': '300',
}
/** Long enough for a broker that was away to catch up on a machine with two cores. */
const SETTLE_TIMEOUT_MS = 120_000

/** For what a cluster of two kinds on a busy machine comes to. */
export function patiently<T>(what: string, condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  return eventually(what, condition, SETTLE_TIMEOUT_MS)
}

export class MixedCluster {
  readonly cluster: Cluster
  readonly view: ClusterView
  readonly admin: Admin
  readonly load: Load
  readonly #checker: HistoryChecker
  readonly #tools: KafkaTools

  private constructor(
    cluster: Cluster,
    admin: Admin,
    tools: KafkaTools,
    checker: HistoryChecker,
    load: Load,
  ) {
    this.cluster = cluster
    this.view = new ClusterView(cluster)
    this.admin = admin
    this.#tools = tools
    this.#checker = checker
    this.load = load
  }

  /** Resolves when the cluster serves and every client has been acknowledged something. */
  static async start(kinds: readonly BrokerKind[]): Promise<MixedCluster> {
    const [cluster, tools] = await Promise.all([
      startCluster({ kinds, ensembleSize: 1, config: calmProperties }),
      KafkaTools.start(),
    ])
    try {
      const admin = new Admin(tools, cluster)
      await admin.createTopic(cluster.members[0], LOAD_TOPIC, loadAssignment)
      const checker = new HistoryChecker(groups)
      const { bootstrap } = cluster
      const partitions = loadAssignment.length
      const options = { bootstrap, topic: LOAD_TOPIC, partitions, recordsPerSecond: RECORDS_PER_SECOND }
      const load = await Load.start(options, checker)
      const mixed = new MixedCluster(cluster, admin, tools, checker, load)
      await mixed.untilLoadGoesOn()
      return mixed
    } catch (error) {
      await tools.stop()
      await cluster.stop()
      throw error
    }
  }

  member(kind: BrokerKind): ClusterMember {
    const member = this.cluster.members.find((each) => each.isRunning && each.kind === kind)
    if (member === undefined) throw new Error(`no broker of ${kind} is running`)
    return member
  }

  /** Resolves when each producer has been acknowledged more than before, and nobody has given up. */
  async untilLoadGoesOn(): Promise<void> {
    const before = producers.map((name) => this.load.acknowledged(name))
    await patiently('every producer is acknowledged more', () => {
      this.load.assertAlive()
      return producers.every((name, i) => this.load.acknowledged(name) > before[i])
    })
  }

  /** Resolves when each group has committed every partition, or some of them more often: it has a coordinator. */
  async untilGroupsGoOn(): Promise<void> {
    for (const group of committingGroups) {
      const enough = this.#checker.countCommitted(group) + loadAssignment.length
      await patiently(`the group ${group} commits`, () => this.#checker.countCommitted(group) >= enough)
    }
  }

  /** One record of that many bytes with acks=all; gives what kcat complains of, an empty text where it is acknowledged. */
  async produceOne(topic: string, partition: number, bytes: number): Promise<string> {
    const args = ['-P', '-t', topic, '-p', String(partition), '-X', 'acks=all']
    const { code, stderr } = await kcatOutcome(this.cluster.bootstrap, args, `${'x'.repeat(bytes)}\n`)
    return code === 0 ? '' : stderr
  }

  /** Every replica of every topic is in sync, as ZooKeeper says. */
  async untilAllInSync(replicas = 3): Promise<void> {
    await patiently('all replicas are in sync', async () => {
      const partitions = await this.view.partitions()
      const mine = partitions.filter(({ topic }) => topic === LOAD_TOPIC || topic.startsWith('__'))
      return mine.every(({ leader, isr }) => leader >= 0 && isr.length === replicas)
    })
  }

  /** Each partition of the load is led by the broker that it prefers. */
  async electPreferred(): Promise<void> {
    await this.admin.electPreferred(
      this.cluster.members.find(({ isRunning }) => isRunning)!,
      LOAD_TOPIC,
      loadAssignment.length,
    )
  }

  /** The member's log directory as the test sees it. */
  logDirOf(member: ClusterMember): string {
    return member.logDir
  }

  /** Ends the load, and judges what its clients saw and what the brokers have on their disks: all of it, whatever comes first. */
  async expectNothingWrong(): Promise<void> {
    const { anomalies, differences, failed, recordsInLog } = await judge(
      this,
      LOAD_TOPIC,
      this.load,
      this.#checker,
    )
    expect({ anomalies, differences, failed }).toEqual({ anomalies: [], differences: [], failed: 0 })
    expect(recordsInLog).toBeGreaterThan(1000)
  }

  async stop(): Promise<void> {
    await this.load.stop()
    await this.#tools.stop()
    await this.cluster.stop()
  }
}
