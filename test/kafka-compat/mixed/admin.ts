/** Apache Kafka's tools, asked of any broker of a cluster: topics, leaders, reassignments, configurations, groups. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metadataApi, type MetadataResponse } from '../../../src/protocol/messages/03-metadata.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { eventually } from '../harness/conditions.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import type { KafkaTools } from '../harness/java.ts'
import { kafka39ClassPath } from '../harness/paths.ts'
import { ended, startProcess } from '../harness/processes.ts'

export interface DescribedPartition {
  partition: number
  leader: number
  replicas: number[]
  isr: number[]
}

/** Replicas of each partition by index, the preferred leader first. */
export type Assignment = readonly (readonly number[])[]

/** On a machine that has other things to do. */
const TOOL_TIMEOUT_MS = 120_000

export class Admin {
  readonly #tools: KafkaTools
  readonly #cluster: Cluster
  #files = 0

  constructor(tools: KafkaTools, cluster: Cluster) {
    this.#tools = tools
    this.#cluster = cluster
  }

  /** Resolves when every broker knows the topic, whole: tools and clients ask any of them, and not all ask twice. */
  async createTopic(at: ClusterMember, topic: string, replicas: Assignment): Promise<void> {
    const assignment = replicas.map((ids) => ids.join(':')).join(',')
    await this.#topics(at, ['--create', '--topic', topic, '--replica-assignment', assignment])
    await this.untilKnown(topic, replicas)
  }

  deleteTopic(at: ClusterMember, topic: string): Promise<string> {
    return this.#topics(at, ['--delete', '--topic', topic])
  }

  /** New partitions of a topic, after those it has; the replicas of all, as the tool wants them. */
  async addPartitions(at: ClusterMember, topic: string, replicas: Assignment): Promise<void> {
    const assignment = replicas.map((ids) => ids.join(':')).join(',')
    const args = ['--alter', '--topic', topic, '--partitions', String(replicas.length)]
    await this.#topics(at, [...args, '--replica-assignment', assignment])
    await this.untilKnown(topic, replicas)
  }

  /** Resolves when each running broker tells these replicas of each partition, and that all of them are in sync. */
  async untilKnown(topic: string, replicas: Assignment): Promise<void> {
    for (const asked of this.#cluster.members.filter(({ isRunning }) => isRunning))
      await eventually(
        `broker ${asked.brokerId} knows ${topic}`,
        async () => isTold(await metadataOf(asked, topic), replicas),
        TOOL_TIMEOUT_MS,
      )
  }

  async topicNames(at: ClusterMember): Promise<string[]> {
    const said = await this.#topics(at, ['--list'])
    return said.split('\n').filter((line) => line !== '' && !line.startsWith('__'))
  }

  async describe(at: ClusterMember, topic: string): Promise<DescribedPartition[]> {
    const said = await this.#topics(at, ['--describe', '--topic', topic])
    const numbers = (text: string): number[] => text.split(',').filter(Boolean).map(Number)
    return [...said.matchAll(/Partition: (\d+)\s+Leader: (\S+)\s+Replicas: (\S*)\s+Isr: (\S*)/g)].map(
      ([, partition, leader, replicas, isr]) => ({
        partition: Number(partition),
        leader: leader === 'none' ? -1 : Number(leader),
        replicas: numbers(replicas),
        isr: numbers(isr),
      }),
    )
  }

  /** Resolves when every partition of the topic has all its replicas in sync, as `at` sees it. */
  untilInSync(at: ClusterMember, topic: string): Promise<DescribedPartition[]> {
    return eventually(
      `${topic} is in sync`,
      async () => {
        const described = await this.describe(at, topic)
        const isWhole = described.every(
          ({ leader, isr, replicas }) => leader >= 0 && isr.length === replicas.length,
        )
        return described.length > 0 && isWhole ? described : null
      },
      TOOL_TIMEOUT_MS,
    )
  }

  /** kafka-leader-election: each partition is led by its preferred replica. */
  electPreferred(at: ClusterMember, topic: string, partitions: number): Promise<string> {
    const list = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const file = this.#file({ partitions: list })
    const args = ['--election-type', 'preferred', '--path-to-json-file', file]
    return this.#tools.must('kafka-leader-election', [...to(at), ...args])
  }

  /** kafka-reassign-partitions --execute. Gives the file of the plan, for --verify and --cancel. */
  async startReassignment(
    at: ClusterMember,
    topic: string,
    replicas: Assignment,
    options: string[] = [],
  ): Promise<string> {
    const file = this.#file({
      version: 1,
      partitions: replicas.map((ids, partition) => ({ topic, partition, replicas: ids })),
    })
    const args = ['--reassignment-json-file', file, '--execute', ...options]
    await this.#tools.must('kafka-reassign-partitions', [...to(at), ...args])
    return file
  }

  /** By kafka-reassign-partitions, until its --verify says that all is done. */
  async reassign(
    at: ClusterMember,
    topic: string,
    replicas: Assignment,
    options: string[] = [],
  ): Promise<void> {
    const file = await this.startReassignment(at, topic, replicas, options)
    let said = ''
    await eventually(
      `${topic} is reassigned`,
      async () => {
        const args = ['--reassignment-json-file', file, '--verify']
        said = (await this.#tools.run('kafka-reassign-partitions', [...to(at), ...args])).stdout
        return replicas.every((_, partition) => said.includes(`${topic}-${partition} is completed`))
      },
      TOOL_TIMEOUT_MS,
    ).catch((cause: unknown) => {
      throw new Error(`not reassigned: ${said}`, { cause })
    })
  }

  async cancelReassignment(at: ClusterMember, file: string): Promise<void> {
    const args = ['--reassignment-json-file', file, '--cancel']
    await this.#tools.must('kafka-reassign-partitions', [...to(at), ...args])
  }

  reassignments(at: ClusterMember): Promise<string> {
    return this.#tools.must('kafka-reassign-partitions', [...to(at), '--list'])
  }

  /** `entity` as kafka-configs names it: `['--entity-type', 'topics', '--entity-name', 'x']`. */
  alterConfig(at: ClusterMember, entity: string[], change: string[]): Promise<string> {
    return this.#tools.must('kafka-configs', [...to(at), '--alter', ...entity, ...change])
  }

  describeConfig(at: ClusterMember, entity: string[]): Promise<string> {
    return this.#tools.must('kafka-configs', [...to(at), '--describe', ...entity])
  }

  /** Lines `topic:partition:offset`; `time` -1 for the end, -2 for the start. */
  offsets(at: ClusterMember, topic: string, time: -1 | -2 = -1): Promise<string> {
    const args = ['--topic', topic, '--time', String(time)]
    return this.#tools.must('kafka-get-offsets', [...to(at), ...args])
  }

  /** Broker id to partitions `topic-n` and their sizes, by kafka-log-dirs. */
  async logDirs(at: ClusterMember, topic: string): Promise<Map<number, Map<string, number>>> {
    const said = await this.#tools.must('kafka-log-dirs', [...to(at), '--describe', '--topic-list', topic])
    const json = said.split('\n').find((line) => line.startsWith('{'))!
    const { brokers } = JSON.parse(json) as {
      brokers: { broker: number; logDirs: { partitions: { partition: string; size: number }[] }[] }[]
    }
    return new Map(
      brokers.map(({ broker, logDirs }) => [
        broker,
        new Map(
          logDirs.flatMap(({ partitions }) => partitions.map(({ partition, size }) => [partition, size])),
        ),
      ]),
    )
  }

  describeGroup(at: ClusterMember, group: string, options: string[] = []): Promise<string> {
    return this.#tools.must('kafka-consumer-groups', [...to(at), '--describe', '--group', group, ...options])
  }

  /** Sends lines, one record each, to the topic. */
  produce(at: ClusterMember, topic: string, lines: readonly string[]): Promise<string> {
    const properties = ['--producer-property', 'acks=all', '--topic', topic]
    const input = lines.map((line) => `${line}\n`).join('')
    return this.#tools.must('kafka-console-producer', [...to(at), ...properties], input)
  }

  /** The first `count` records of the topic, sorted: partitions come in any order. */
  async consume(at: ClusterMember, topic: string, count: number): Promise<string[]> {
    const args = ['--topic', topic, '--from-beginning', '--timeout-ms', '20000', '--max-messages', `${count}`]
    const said = await this.#tools.must('kafka-console-consumer', [...to(at), ...args])
    return said.split('\n').filter(Boolean).sort()
  }

  /**
   * Resolves when kafka-replica-verification has read the topic from its beginning at every replica and has found the same;
   * rejects where it has not. It never ends by itself. The tool is Kafka 3.9's: it asks with the newest Fetch that it knows,
   * whatever the broker serves, and with the one of Kafka 4.1 it learns nothing from a broker of 3.9 (a lag of -1).
   */
  async untilReplicasVerified(at: ClusterMember, topic: string): Promise<void> {
    const main = 'org.apache.kafka.tools.ReplicaVerificationTool'
    const what = ['--topics-include', topic, '--time', '-2', '--report-interval-ms', '1000']
    const args = ['-Xmx256m', '-cp', kafka39ClassPath(), main, '--broker-list', at.address, ...what]
    const child = startProcess('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const isDifferent = (): boolean => /doesn't match|unmatched checksum/.test(said)
    const isEqual = (): boolean => /max lag is 0 for partition/.test(said)
    try {
      const isOver = (): boolean => isDifferent() || isEqual() || child.exitCode !== null
      await eventually('the replicas are verified', isOver, TOOL_TIMEOUT_MS)
      if (isDifferent() || !isEqual()) throw new Error('the replicas are not verified')
    } catch (cause) {
      throw new Error(`kafka-replica-verification said:\n${said}`, { cause })
    } finally {
      child.kill('SIGKILL')
      await ended(child)
    }
  }

  #topics(at: ClusterMember, args: string[]): Promise<string> {
    return this.#tools.must('kafka-topics', [...to(at), ...args])
  }

  #file(content: unknown): string {
    const file = join(this.#cluster.directory, `tools-${++this.#files}.json`)
    writeFileSync(file, JSON.stringify(content))
    return file
  }
}

/** By that very broker: the tools may ask any other that they hear of. */
async function metadataOf({ port, host }: ClusterMember, topic: string): Promise<MetadataResponse> {
  const client = await WireClient.connect(port, host)
  try {
    return await client.request(metadataApi, 1, { topics: [{ name: topic }] })
  } finally {
    client.close()
  }
}

function isTold({ topics: [topic] }: MetadataResponse, replicas: Assignment): boolean {
  const partitions = topic.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex)
  const isWhole = partitions.every(
    ({ leaderId, isrNodes, replicaNodes }) => leaderId >= 0 && isrNodes.length === replicaNodes.length,
  )
  return isWhole && JSON.stringify(partitions.map((each) => each.replicaNodes)) === JSON.stringify(replicas)
}

function to({ address }: ClusterMember): string[] {
  return ['--bootstrap-server', address]
}
