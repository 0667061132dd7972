/**
 * A scenario is data: requests to be sent in order to a broker, some made from earlier replies. The same scenario
 * runs against both brokers; nothing in it knows which one answers.
 */
import { WireClient } from '../../broker/wire-client.ts'
import { decodeResponse, encodeRequest } from '../../../src/protocol/frame.ts'
import type { AnyApi, Decoded, Encodable } from '../../../src/protocol/schema.ts'
import { pause } from '../harness/conditions.ts'

// A reply's shape is its API's; the steps that look into one know which it is.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Reply = any
export type Replies = ReadonlyMap<string, Reply>

type Body<A extends AnyApi> = Encodable<A['request']['fields']>
type Answer<A extends AnyApi> = Decoded<A['response']['fields']>

export interface StepOptions<R = Reply> {
  /** The connection's name; each name is a connection of its own. */
  readonly on?: string
  readonly clientId?: string
  /** The reply is awaited by a later `settle` step or at the end: it depends on what comes after. */
  readonly parked?: boolean
  /** Sent again until the reply is so; only the last one is compared. */
  readonly until?: (reply: R) => boolean
  /** acks=0: no reply is to be expected. */
  readonly oneWay?: boolean
  /** After this time without a reply the broker counts as silent. Default 10,000; parked steps 30,000. */
  readonly patienceMs?: number
}

export interface Step {
  /** Later steps find the reply by it; where labels repeat (one version after the other), the latest one. */
  readonly label: string
  readonly api: AnyApi
  readonly version: number
  readonly body: object | ((replies: Replies) => object)
  readonly options: StepOptions
  /** Bytes sent instead of an encoded request; the reply is read as `api` and `version` say. */
  readonly raw?: Buffer
  /** Awaits the parked step of this label instead of sending anything. */
  readonly settle?: string
}

export interface Scenario {
  readonly name: string
  readonly steps: readonly Step[]
}

export function step<A extends AnyApi>(
  label: string,
  api: A,
  version: number,
  body: Body<A> | ((replies: Replies) => Body<A>),
  options: StepOptions<Answer<A>> = {},
): Step {
  return { label, api, version, body, options: options as StepOptions }
}

/** A whole frame, its length in front, as a client might send it. */
export function rawStep(
  label: string,
  bytes: Buffer,
  readAs: { api: AnyApi; version: number },
  on?: string,
): Step {
  return { label, api: readAs.api, version: readAs.version, body: {}, options: { on }, raw: bytes }
}

/** Awaits a parked step's reply here. */
export function settle(label: string): Step {
  return { label: `settle ${label}`, settle: label, api: null as never, version: 0, body: {}, options: {} }
}

/** Steps for every version that is served. */
export function everyVersion(
  api: AnyApi,
  steps: (version: number) => Step | readonly Step[],
  from: number = api.versions[0],
  to: number = api.versions[1],
): Step[] {
  const all: Step[] = []
  for (let version = from; version <= to; version++) all.push(...[steps(version)].flat())
  return all
}

/** What a broker did with one step. */
export interface Observation {
  readonly label: string
  readonly api: string
  readonly outcome: 'reply' | 'closed' | 'silent'
  readonly reply: Reply
}

const REPLY_TIMEOUT_MS = 10_000

/** Runs the steps against the broker on this port and tells what it did with each, in the steps' order. */
/** `pauseMs` between steps: some of what Kafka does after its reply (dynamic settings) shows nowhere when it is done. */
export async function runScenario(scenario: Scenario, port: number, pauseMs: number): Promise<Observation[]> {
  const run = new Run(port)
  try {
    for (const [index, each] of scenario.steps.entries()) {
      if (pauseMs > 0 && index > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      await run.take(each, index)
    }
    return await run.observations()
  } finally {
    run.close()
  }
}

class Run {
  readonly #port: number
  readonly #connections = new Map<string, Promise<WireClient>>()
  readonly #replies = new Map<string, Reply>()
  readonly #parked = new Map<string, Promise<unknown>>()
  readonly #observed = new Map<number, Observation>()

  constructor(port: number) {
    this.#port = port
  }

  async take(each: Step, index: number): Promise<void> {
    if (each.settle !== undefined) {
      const parked = this.#parked.get(each.settle)
      if (!parked) throw new Error(`no parked step '${each.settle}'`)
      await parked
      return
    }
    const done = this.#perform(each).then((observation) => {
      this.#observed.set(index, observation)
      this.#replies.set(each.label, observation.reply)
    })
    if (each.options.parked) this.#parked.set(each.label, done)
    else await done
  }

  async observations(): Promise<Observation[]> {
    await Promise.all(this.#parked.values())
    return [...this.#observed].sort(([a], [b]) => a - b).map(([, observation]) => observation)
  }

  close(): void {
    const ignored = (): undefined => undefined
    for (const connection of this.#connections.values()) connection.then((client) => client.close(), ignored)
    for (const parked of this.#parked.values()) parked.catch(ignored)
  }

  async #perform(each: Step): Promise<Observation> {
    const { api, options } = each
    const label = `${each.label} (${api.name} v${each.version})`
    const name = options.on ?? 'main'
    const body = typeof each.body === 'function' ? each.body(this.#replies) : each.body
    const deadline = performance.now() + REPLY_TIMEOUT_MS
    for (;;) {
      const client = await this.#connection(name)
      if (options.oneWay) {
        for (const chunk of encodeRequest(api, each.version, 0, options.clientId ?? 'beside', body))
          client.send(chunk)
        return { label, api: api.name, outcome: 'silent', reply: null }
      }
      let reply: Reply
      try {
        const patienceMs = options.patienceMs ?? REPLY_TIMEOUT_MS * (options.parked ? 3 : 1)
        reply = await withDeadline(this.#ask(client, each, body), patienceMs)
      } catch (error) {
        if (!client.isClosed && !(error instanceof NoReply)) throw error
        const outcome = client.isClosed ? 'closed' : 'silent'
        client.close()
        this.#connections.delete(name)
        return { label, api: api.name, outcome, reply: null }
      }
      if (!options.until || options.until(reply)) return { label, api: api.name, outcome: 'reply', reply }
      if (performance.now() > deadline) {
        throw new Error(`${label}: never as expected; last ${JSON.stringify(reply).slice(0, 2000)}`)
      }
      await pause(50)
    }
  }

  async #ask(client: WireClient, each: Step, body: object): Promise<Reply> {
    if (each.raw) return decodeResponse(each.api, each.version, await client.frame(each.raw))
    return client.request(each.api, each.version, body, each.options.clientId ?? 'beside')
  }

  #connection(name: string): Promise<WireClient> {
    let connection = this.#connections.get(name)
    if (!connection) this.#connections.set(name, (connection = WireClient.connect(this.#port)))
    return connection
  }
}

class NoReply extends Error {}

function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoReply()), timeoutMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
