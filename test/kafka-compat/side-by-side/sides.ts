/** The same questions to Apache Kafka 4.1 (KRaft) and to ours, whose answers must be equal. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { WireClient } from '../../broker/wire-client.ts'
import { freePort, TestBroker } from '../harness/broker.ts'
import { prepareKafka } from '../harness/kafka-broker.ts'
import { prepareOdradek } from '../harness/odradek-broker.ts'

export type SideKind = 'kafka' | 'odradek'

export interface RunningSide {
  readonly broker: TestBroker
  readonly client: WireClient
}

export async function startSide(
  kind: SideKind,
  config: Readonly<Record<string, string>>,
): Promise<RunningSide> {
  const directory = mkdtempSync(join(tmpdir(), `odradek-compat-${kind}-`))
  const port = await freePort()
  const request = { port, directory, config }
  const launch = kind === 'kafka' ? await prepareKafka(request) : prepareOdradek(request)
  const broker = new TestBroker(launch, port, directory)
  await broker.start()
  return { broker, client: await WireClient.connect(port) }
}

/** Starts both before the file's tests and stops them after; gives what asks both. */
export function startBoth<S extends RunningSide>(start: (kind: SideKind) => Promise<S>) {
  let kafka: S
  let ours: S
  beforeAll(async () => {
    ;[kafka, ours] = await Promise.all([start('kafka'), start('odradek')])
  }, 120_000)
  afterAll(async () => {
    for (const side of [kafka, ours]) {
      side?.client.close()
      await side?.broker.stop()
    }
  })
  return async function both<T>(what: string, ask: (side: S) => Promise<T>): Promise<T> {
    const [expected, given] = await Promise.all([ask(kafka), ask(ours)])
    expect(given, what).toEqual(expected)
    return expected
  }
}
