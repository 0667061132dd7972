/** What a cluster with many partitions does when its controller is killed, when a broker leaves, when all restart. */
import { setTimeout as sleep } from 'node:timers/promises'
import { BROKER_IDS } from '../lab/cluster.ts'
import type { Ensemble } from '../lab/ensemble.ts'
import type { Sample } from '../lab/interleave.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import type { Options } from '../lab/session.ts'
import { measureAll } from '../lab/session.ts'
import { atWork, TOPIC } from './leader-lost.ts'
import type { Subject } from './leader-lost.ts'

const metrics: readonly Metric[] = [
  { name: 'detectedMs', label: 'controller killed: to its znode gone', unit: 'ms' },
  {
    name: 'ledMs',
    label: 'controller killed: from there to every partition led, as all brokers say',
    unit: 'ms',
  },
  { name: 'failoverGapMs', label: 'controller killed: client-seen gap', unit: 'ms' },
  { name: 'shutdownMs', label: 'controlled shutdown: SIGTERM to gone', unit: 'ms' },
  { name: 'shutdownGapMs', label: 'controlled shutdown: client-seen gap', unit: 'ms' },
  { name: 'rollingMs', label: 'rolling restart of three: until all is in sync', unit: 'ms' },
  { name: 'rollingGapMs', label: 'rolling restart of three: longest client-seen gap', unit: 'ms' },
]

/** Every partition is led by the controller at first, so all of them must move, by a controller that is new as well. */
export async function measureMany(
  options: Options,
  subjects: Readonly<Record<string, Subject>>,
  ensemble: Ensemble,
  partitions: number,
): Promise<Section> {
  let topics = 0
  const measure = async (subject: Subject): Promise<Sample> => {
    const { cluster } = subject
    const topic = `many-${++topics}`
    const controller = await cluster.controller()
    const replicas = [controller, ...BROKER_IDS.filter((id) => id !== controller)]
    await cluster.createTopic(
      topic,
      Array.from({ length: partitions }, () => replicas),
    )
    const failover = await killController(subject, ensemble, topic, controller)
    await cluster.start(controller)
    await settle(subject, topic, partitions)
    const shutdown = await shutDown(subject, controller)
    await cluster.start(controller)
    await settle(subject, topic, partitions)
    const rolling = await restartAll(subject, topic)
    await settle(subject, topic, partitions)
    await cluster.deleteTopic(topic)
    return { ...failover, ...shutdown, ...rolling }
  }
  const title = manyTitle(partitions)
  const series = await measureAll(options, title, {
    subjects: Object.keys(subjects),
    measure: atWork(subjects, measure),
  })
  const setting = { 'replication factor': 3 }
  return { title, setting, metrics, expectations: barsOf(partitions), series }
}

/** A second for each thousand partitions, and no more than Kafka takes. */
function barsOf(partitions: number): Expectation[] {
  return [
    { metric: 'ledMs', direction: 'at most', value: partitions },
    ...metrics.map(({ name }): Expectation => ({
      metric: name,
      against: 'kafka',
      direction: 'at most',
      value: 1,
    })),
  ]
}

export function manyTitle(partitions: number): string {
  return `${partitions.toLocaleString('en-US')} partitions, all led by one broker`
}

async function killController(
  { cluster, client }: Subject,
  ensemble: Ensemble,
  topic: string,
  controller: number,
): Promise<Sample> {
  const znode = `/${cluster.kind}/controller`
  const owner = await ensemble.ownerOf(znode)
  const survivors = BROKER_IDS.filter((id) => id !== controller)
  client.mark()
  const killedAt = performance.now()
  const detected = untilOther(() => ensemble.ownerOf(znode), owner)
  await cluster.stop(controller, 'SIGKILL')
  const detectedAt = await detected
  await cluster.untilAll(
    'every partition has a living leader',
    (view) => view.partitions.length > 0 && view.partitions.every(({ leader }) => survivors.includes(leader)),
    topic,
    survivors,
  )
  const ledAt = performance.now()
  const partition = controller - 1
  const failoverGapMs = (await client.untilSteady([partition]))[partition].longestMs
  // A leader may be moved before its broker's znode is gone: nothing is left to do then.
  return { detectedMs: detectedAt - killedAt, ledMs: Math.max(0, ledAt - detectedAt), failoverGapMs }
}

/** When the answer first was another. */
async function untilOther<T>(ask: () => Promise<T>, value: T): Promise<number> {
  while ((await ask()) === value) await sleep(5)
  return performance.now()
}

async function shutDown({ cluster, client }: Subject, brokerId: number): Promise<Sample> {
  client.mark()
  const askedAt = performance.now()
  await cluster.stop(brokerId, 'SIGTERM')
  const shutdownMs = performance.now() - askedAt
  const gaps = await client.untilSteady()
  return { shutdownMs, shutdownGapMs: Math.max(...gaps.map(({ longestMs }) => longestMs)) }
}

async function restartAll({ cluster, client }: Subject, topic: string): Promise<Sample> {
  client.mark()
  const startedAt = performance.now()
  for (const id of BROKER_IDS) {
    await cluster.stop(id, 'SIGTERM')
    await cluster.start(id)
    await cluster.untilInSync(topic)
    await cluster.untilInSync(TOPIC)
  }
  const rollingMs = performance.now() - startedAt
  const gaps = await client.untilSteady()
  return { rollingMs, rollingGapMs: Math.max(...gaps.map(({ longestMs }) => longestMs)) }
}

/** All in sync, led as preferred, and the client at ease. */
async function settle({ cluster, client }: Subject, topic: string, partitions: number): Promise<void> {
  for (const [name, count] of [
    [topic, partitions],
    [TOPIC, BROKER_IDS.length],
  ] as const) {
    await cluster.untilInSync(name)
    await cluster.electPreferred(name, count)
  }
  await client.untilSteady()
}
