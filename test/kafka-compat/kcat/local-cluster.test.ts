/** `odradek --brokers 3`, as it is built: one process that is a whole cluster, with clients that do not know that. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'
import { kcat, kcatRead } from '../harness/kcat.ts'
import { startLocalCluster } from '../harness/local-cluster.ts'
import { ended } from '../harness/processes.ts'

const TOPIC = 'orders'
const PARTITIONS = 3

let directory: string
let command: ChildProcess
let said: () => string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'odradek-local-cluster-'))
})
afterEach(async () => {
  command.kill('SIGKILL')
  await ended(command)
  rmSync(directory, { recursive: true, force: true })
})

/** Resolves with the brokers' ports when the command says that it is ready. */
async function start(...args: string[]): Promise<readonly number[]> {
  const cluster = await startLocalCluster(directory, ...args)
  command = cluster.process
  said = cluster.said
  return cluster.ports
}

const linesOf = (name: string, count = 30): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`)

/** Through one broker alone, as far as the client is told. */
async function produce(port: number, lines: readonly string[]): Promise<void> {
  const args = ['-P', '-t', TOPIC, '-p', '-1', '-X', 'acks=all', '-X', 'enable.idempotence=true']
  await kcat(`127.0.0.1:${port}`, args, `${lines.join('\n')}\n`)
}

async function valuesAt(port: number): Promise<string[]> {
  const read = await kcatRead(`127.0.0.1:${port}`, TOPIC)
  return read.map(({ payload }) => payload!).sort()
}

test('three brokers take and give records, each at its port; SIGTERM ends them with 0; all is there again after it', async () => {
  const ports = await start('--port', '0', '--topic', `${TOPIC}:${PARTITIONS}`)
  expect(new Set(ports).size).toBe(3)
  const metadata = JSON.parse(await kcat(`127.0.0.1:${ports[2]}`, ['-L', '-J', '-t', TOPIC]))
  expect(metadata.brokers.map(({ name }: { name: string }) => name).sort()).toEqual(
    ports.map((port) => `localhost:${port}`).sort(),
  )
  const { partitions } = metadata.topics[0] as { partitions: { replicas: unknown[]; isrs: unknown[] }[] }
  expect(partitions.map(({ replicas, isrs }) => [replicas.length, isrs.length])).toEqual(
    Array.from({ length: PARTITIONS }, () => [3, 3]),
  )
  const sent = linesOf('first')
  await produce(ports[0], sent)
  for (const port of ports) expect(await valuesAt(port)).toEqual(sent.toSorted())

  command.kill('SIGTERM')
  expect(await ended(command)).toBe(0)
  expect(said().split('\n')).toHaveLength(2)

  const again = await start('--port', '0')
  const more = linesOf('second')
  await produce(again[1], more)
  for (const port of again) expect(await valuesAt(port)).toEqual([...sent, ...more].toSorted())
})

test('a group of kafkajs goes on where it was when the cluster is started again', async () => {
  const read = async (ports: readonly number[], count: number): Promise<string[]> => {
    const client = kafkajsClient(ports.map((port) => `127.0.0.1:${port}`).join(','))
    const consumer = client.consumer({ groupId: 'readers' })
    await consumer.connect()
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    const values: string[] = []
    await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.value)) })
    await eventually(`${count} records are read`, () => values.length >= count)
    // Leaves the group, and commits before it does.
    await consumer.disconnect()
    return values.sort()
  }
  const write = async (ports: readonly number[], lines: readonly string[]): Promise<void> => {
    const producer = kafkajsClient(`127.0.0.1:${ports[0]}`).producer()
    await producer.connect()
    const messages = lines.map((value, index) => ({ value, partition: index % PARTITIONS }))
    await producer.send({ topic: TOPIC, acks: -1, messages })
    await producer.disconnect()
  }
  let ports = await start('--port', '0', '--topic', `${TOPIC}:${PARTITIONS}`)
  await write(ports, linesOf('first'))
  expect(await read(ports, 30)).toEqual(linesOf('first').sort())
  command.kill('SIGTERM')
  expect(await ended(command)).toBe(0)
  ports = await start('--port', '0')
  await write(ports, linesOf('second'))
  expect(await read(ports, 30)).toEqual(linesOf('second').sort())
})
