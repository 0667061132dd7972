import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../harness/conditions.ts'
import { freePort } from '../harness/launch.ts'
import { JavaProcess } from './process.ts'
import { inGoodTime } from './topics.ts'

export interface ConnectorStatus {
  connector: { state: string; worker_id: string }
  tasks: { id: number; state: string; worker_id: string }[]
}

/** One worker of a Kafka Connect cluster, in distributed mode. */
export class Worker {
  readonly process: JavaProcess
  /** Host and port of its REST interface, which is what the others call it. */
  readonly id: string

  private constructor(id: string, file: string) {
    this.id = id
    this.process = new JavaProcess(['org.apache.kafka.connect.cli.ConnectDistributed', file])
  }

  /** Not started. */
  static async of(directory: string, settings: Record<string, string>): Promise<Worker> {
    const port = await freePort()
    const id = `127.0.0.1:${port}`
    const file = join(directory, `worker-${port}.properties`)
    const all = { ...settings, listeners: `http://${id}` }
    writeFileSync(
      file,
      Object.entries(all)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    return new Worker(id, file)
  }

  /** Waits until it serves and has joined the group of workers. */
  async start(): Promise<void> {
    await this.process.start()
    await inGoodTime(`the worker ${this.id} serves`, async () => {
      return !this.process.runs || (await this.call('GET', '/connectors')) !== undefined
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.process.output.slice(-8000)}`)
    })
    if (!this.process.runs) throw new Error(`the worker ended\n${this.process.output.slice(-8000)}`)
  }

  /** A call of the REST interface; again while workers rebalance, which it says by 409. Fails upon any other error. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    for (;;) {
      const headers = { 'content-type': 'application/json' }
      const signal = AbortSignal.timeout(30_000)
      const text = body === undefined ? undefined : JSON.stringify(body)
      const response = await fetch(`http://${this.id}${path}`, { method, headers, body: text, signal })
      const answer = await response.text()
      if (response.ok) return (answer === '' ? undefined : JSON.parse(answer)) as T
      if (response.status !== 409) throw new Error(`${method} ${path}: ${response.status} ${answer}`)
      await pause(100)
    }
  }

  status(connector: string): Promise<ConnectorStatus> {
    return this.call('GET', `/connectors/${connector}/status`)
  }
}
