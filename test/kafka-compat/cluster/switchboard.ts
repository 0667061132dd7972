/** The network between the nodes of a cluster, in the test's hands: c/switchboard.c says how. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { compiledProgram } from '../harness/c-program.ts'
import type { Place } from '../harness/place.ts'
import { ended, startProcess } from '../harness/processes.ts'

/** Packets of one link so far. */
export interface PacketCounts {
  passed: number
  cut: number
  lost: number
  delayed: number
}

/** The exit code that says that another switchboard has the subnet. */
const SUBNET_TAKEN = 3

export class Switchboard {
  /** Nodes 1 and up; node 0 is the test's own process and its clients. */
  readonly places: readonly Place[]
  readonly #process: ChildProcess
  readonly #replies: AsyncIterator<string>
  #last: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess, replies: AsyncIterator<string>, places: readonly Place[]) {
    this.#process = child
    this.#replies = replies
    this.places = places
  }

  /** Needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN): fails with what the kernel says where it is refused. */
  static async start(nodes: number, seed: number): Promise<Switchboard> {
    const program = await compiledProgram('switchboard')
    const first = process.pid % 250
    for (let attempt = 0; attempt < 250; attempt++) {
      const subnet = (first + attempt) % 250
      const child = startProcess(program, [String(subnet), String(nodes), String(seed)], {
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      let said = ''
      child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
      const places: Place[] = []
      for (let line = await lines.next(); !line.done; line = await lines.next()) {
        if (line.value === 'ready') return new Switchboard(child, lines, places)
        const [, node, descriptor] = line.value.split(' ')
        places.push(place(child.pid!, Number(descriptor), `198.18.${subnet}.${node}`))
      }
      if ((await ended(child)) !== SUBNET_TAKEN) throw new Error(`no network for the cluster: ${said}`)
    }
    throw new Error('all subnets are taken')
  }

  /** What the kernel says where it lets nobody have networks of his own; null where it does. */
  static async refusal(): Promise<string | null> {
    try {
      await (await Switchboard.start(1, 0)).stop()
      return null
    } catch (error) {
      return (error as Error).message
    }
  }

  /** Nothing that `from` sends reaches `to`; the other way stays open. */
  cut(from: number, to: number): Promise<void> {
    return this.#command(`cut ${from} ${to}`)
  }

  /** What `from` sends to `to` arrives so much later, in order. */
  delay(from: number, to: number, delayMs: number): Promise<void> {
    return this.#command(`delay ${from} ${to} ${delayMs}`)
  }

  /** So many of a hundred packets from `from` to `to` are lost, by the seed. */
  lose(from: number, to: number, percent: number): Promise<void> {
    return this.#command(`loss ${from} ${to} ${percent}`)
  }

  /** Ends whatever was done to the way from `from` to `to`. */
  heal(from: number, to: number): Promise<void> {
    return this.#command(`heal ${from} ${to}`)
  }

  /** A file system of that size at a path that exists; only processes at a place see it, see `seenAs`. */
  addDisk(path: string, bytes: number): Promise<void> {
    return this.#command(`disk ${path} ${bytes}`)
  }

  /** The test's own path of what processes at a place see at `path`. */
  seenAs(path: string): string {
    return `/proc/${this.#process.pid}/root${path}`
  }

  async counts(from: number, to: number): Promise<PacketCounts> {
    const reply = await this.#ask(`count ${from} ${to}`)
    const [, passed, cut, lost, delayed] = reply.split(' ').map(Number)
    return { passed, cut, lost, delayed }
  }

  async stop(): Promise<void> {
    this.#process.stdin!.end()
    await ended(this.#process)
  }

  async #command(line: string): Promise<void> {
    const reply = await this.#ask(line)
    if (reply !== 'ok') throw new Error(`switchboard: ${line}: ${reply}`)
  }

  #ask(line: string): Promise<string> {
    const reply = this.#last.then(async () => {
      this.#process.stdin!.write(`${line}\n`)
      const { value, done } = await this.#replies.next()
      if (done) throw new Error(`switchboard: ${line}: it has ended`)
      return value
    })
    this.#last = reply.catch(() => undefined)
    return reply
  }
}

function place(switchboard: number, descriptor: number, host: string): Place {
  const enter = [`--net=/proc/${switchboard}/fd/${descriptor}`, `--mount=/proc/${switchboard}/ns/mnt`, '--']
  return { host, launch: (command, args) => ['nsenter', [...enter, command, ...args]] }
}
