import { createInterface } from 'node:readline'
import { compiledProgram } from '../harness/c-program.ts'
import { eventually } from '../harness/conditions.ts'
import { javaArguments } from '../harness/java.ts'
import { codecNames, codecs, kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { ended, startProcess } from '../harness/processes.ts'
import { laneRecords, report, sumOf, topicName } from './records.ts'
import type { Lane, Sums } from './records.ts'

/** Clients that share no code, each able to send and to read a lane. */
export interface Family {
  /** Sends the lane's records, idempotent and acknowledged by all, through whatever happens to the broker. */
  produce(bootstrap: string, lane: Lane, progress: (acknowledged: number) => void): Promise<void>
  /** Reads the lane's topics from their start, and gives the sums of all partitions. */
  consume(bootstrap: string, lane: Lane): Promise<string[]>
}

/** A family whose client is a program: RoundTrip.java or roundtrip.c, told the same in the same words. */
function program(command: () => Promise<[string, ...string[]]>): Family {
  const run = async (
    mode: string,
    bootstrap: string,
    lane: Lane,
    hear: (line: string) => void,
  ): Promise<void> => {
    const [file, ...before] = await command()
    const args = [
      ...before,
      mode,
      bootstrap,
      lane.name,
      ...[lane.seed, lane.count, lane.firstTimestampMs].map(String),
    ]
    const child = startProcess(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaint = ''
    child.stderr!.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    const lines = createInterface({ input: child.stdout! })
    lines.on('line', hear)
    const read = new Promise((resolve) => lines.once('close', resolve))
    const [code] = await Promise.all([ended(child), read])
    if (code !== 0) throw new Error(`${file} ${mode} ${lane.name}: exit code ${code}\n${complaint}`)
  }
  return {
    produce: (bootstrap, lane, progress) =>
      run('produce', bootstrap, lane, (line) => {
        if (line.startsWith('acked ')) progress(Number(line.slice('acked '.length)))
      }),
    consume: async (bootstrap, lane) => {
      const lines: string[] = []
      await run('consume', bootstrap, lane, (line) => lines.push(line))
      return lines.sort()
    },
  }
}

export const java = program(async () => ['java', ...(await javaArguments(512)), 'RoundTrip'])
export const librdkafka = program(async () => [await compiledProgram('roundtrip', ['rdkafka'])])

const KAFKAJS_BATCH_BYTES = 600_000
const KAFKAJS_BATCH_RECORDS = 1_000

export const kafkajs: Family = {
  async produce(bootstrap, lane, progress) {
    const client = kafkajsClient(bootstrap, { retry: patient })
    const config = { idempotent: true, maxInFlightRequests: 1, retry: patient }
    const senders = codecNames.map((codec, topic) => {
      const producer = client.producer(config)
      return { producer, codec, topic: topicName(lane, topic), messages: [] as object[], bytes: 0 }
    })
    await Promise.all(senders.map(({ producer }) => producer.connect()))
    let acknowledged = 0
    const flush = async (sender: (typeof senders)[number]): Promise<void> => {
      const { producer, codec, topic, messages } = sender
      sender.messages = []
      sender.bytes = 0
      await producer.send({ topic, messages: messages as never, acks: -1, compression: codecs[codec] })
      progress((acknowledged += messages.length))
    }
    for (const { topic, partition, key, value, headers, timestampMs } of laneRecords(lane)) {
      const sender = senders[topic]
      const size = 100 + (value?.length ?? 0)
      if (sender.bytes + size > KAFKAJS_BATCH_BYTES || sender.messages.length === KAFKAJS_BATCH_RECORDS) {
        await flush(sender)
      }
      sender.bytes += size
      const written = Object.fromEntries(headers)
      sender.messages.push({ key, value, partition, headers: written, timestamp: String(timestampMs) })
    }
    for (const sender of senders) if (sender.messages.length > 0) await flush(sender)
    await Promise.all(senders.map(({ producer }) => producer.disconnect()))
  },

  /** kafkajs reads in a group only, so records may come again after a restart: those are passed over. */
  async consume(bootstrap, lane) {
    const client = kafkajsClient(bootstrap, { retry: patient })
    const consumer = client.consumer({ groupId: `reads-${lane.name}`, maxWaitTimeInMs: 100, retry: patient })
    const sums: Sums = new Map()
    const faults: string[] = []
    let read = 0
    await consumer.connect()
    const topics = codecNames.map((_, topic) => topicName(lane, topic))
    await consumer.subscribe({ topics, fromBeginning: true })
    await consumer.run({
      eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
        const sum = sumOf(sums, batch.topic, batch.partition)
        for (const { key, value, headers, timestamp, offset } of batch.messages) {
          if (Number(offset) < sum.count) continue
          if (Number(offset) > sum.count) faults.push(`${batch.topic} ${batch.partition}: offset ${offset}`)
          const written = Object.entries(headers ?? {}).map(([name, text]): [string, string] => [
            name,
            String(text),
          ])
          sum.add({ key: String(key), value, headers: written, timestampMs: Number(timestamp) })
          read++
          resolveOffset(offset)
        }
        await heartbeat()
      },
    })
    let last = -1
    let unchanged = 0
    await eventually(
      `${lane.count} records of ${lane.name}`,
      async () => {
        unchanged = read === last ? unchanged + 1 : 0
        last = read
        return read >= lane.count || unchanged > 3_000
      },
      600_000,
    )
    await consumer.disconnect()
    return [...report(sums), ...faults]
  },
}
