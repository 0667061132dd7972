import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Launch, LaunchRequest } from './launch.ts'
import { freePort } from './launch.ts'
import { kafka39ClassPath, kafkaJars } from './paths.ts'
import { mustRun } from './processes.ts'

/** Of the tools' version; ODRADEK_COMPAT_KAFKA=3.9: the one that we are like. */
const jars = (): string =>
  process.env.ODRADEK_COMPAT_KAFKA === '3.9' ? kafka39ClassPath() : `${kafkaJars}/*`

/** A real Apache Kafka in KRaft mode, one process: a suite that fails against it is a wrong suite. */
export async function prepareKafka({ port, directory, config }: LaunchRequest): Promise<Launch> {
  const controllerPort = await freePort()
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'log.dirs': join(directory, 'data'),
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '5',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    ...config,
  }
  const file = join(directory, 'server.properties')
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const classPath = ['-cp', jars()]
  const format = ['kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', file]
  await mustRun('java', [...classPath, ...format])
  return {
    command: 'java',
    args: ['-Xmx512m', '-XX:TieredStopAtLevel=1', ...classPath, 'kafka.Kafka', file],
    readyTimeoutMs: 240_000,
  }
}
