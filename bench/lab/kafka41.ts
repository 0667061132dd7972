/** Apache Kafka 4.1 in KRaft mode, one process: the peer for KIP-848 groups and version-2 transactions. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaJvm, sameSettings } from './brokers.ts'
import type { Broker } from './brokers.ts'
import { freePort, runClient, startServer } from './process.ts'
import type { Started } from './process.ts'
import { kafka41ClassPath } from './tools.ts'
import { viewOf, withWire } from './wire.ts'

const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg'

/** Kafka's own defaults, its own JVM flags; formats the directory the first time. */
export async function startKafka41(directory: string, settings: readonly string[] = []): Promise<Broker> {
  const [port, controllerPort] = [await freePort(), await freePort()]
  const isNew = !existsSync(join(directory, 'meta.properties'))
  mkdirSync(directory, { recursive: true })
  const config = `${directory}.properties`
  const lines = [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    'controller.listener.names=CONTROLLER',
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `log.dirs=${directory}`,
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    ...sameSettings,
    ...settings,
  ]
  writeFileSync(config, lines.join('\n') + '\n')
  const options = [`-Dkafka.logs.dir=${directory}`, '-cp', kafka41ClassPath()]
  if (isNew) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config]
    await runClient('java', [...options, ...format])
  }
  const args = [...kafkaJvm, ...options, 'kafka.Kafka', config]
  const started = await startServer('java', args, null)
  await untilServed(port, started)
  const readyMs = performance.now() - started.spawnedAt
  return { ...started, readyMs, port, bootstrap: `127.0.0.1:${port}` }
}

/** Its jars bring nothing that would print what it logs: it is ready when it knows of itself and of the controller. */
async function untilServed(port: number, { lastWords }: Started): Promise<void> {
  for (const deadline = performance.now() + 120_000; ; await sleep(10)) {
    if (performance.now() > deadline)
      throw new Error(`Kafka 4.1 does not serve after two minutes: ${lastWords()}`)
    try {
      const view = await withWire(port, (wire) => viewOf(wire, 'none'))
      if (view.brokerIds.length > 0 && view.controllerId >= 0) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
    }
  }
}
