/** A process of one client family that is many members of groups: java/ChurnMembers.java, c/churnmembers.c, kafkajs-members.js. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { compiledProgram } from '../harness/c-program.ts'
import { javaArguments } from '../harness/java.ts'
import { repository } from '../harness/paths.ts'
import { ended, startProcess } from '../harness/processes.ts'
import { parse } from './history.ts'
import type { Observation } from './history.ts'

export type Family = 'java' | 'rdkafka' | 'kafkajs'

/** For a few hundred consumers of the Java client. */
const JAVA_HEAP_MEGABYTES = 2048

async function commandOf(family: Family): Promise<string[]> {
  switch (family) {
    case 'java':
      // Many threads, which need little each.
      return ['java', '-Xss512k', ...(await javaArguments(JAVA_HEAP_MEGABYTES)), 'ChurnMembers']
    case 'rdkafka':
      return [await compiledProgram('churnmembers', ['rdkafka', 'pthread'])]
    case 'kafkajs':
      return [process.execPath, join(repository, 'test/kafka-compat/groups/kafkajs-members.js')]
  }
}

export interface HostListener {
  /** A member of the host tells something. */
  observe(seen: Observation & { member: string }): void
  /** The process has ended by itself. */
  fail(error: Error): void
}

export class MemberHost {
  readonly family: Family
  readonly #child: ChildProcess
  readonly #closed: Promise<void>
  isKilled = false

  private constructor(family: Family, child: ChildProcess, { observe, fail }: HostListener) {
    this.family = family
    this.#child = child
    let complaint = ''
    child.stderr!.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4000)))
    child.stdin!.on('error', () => undefined)
    // The last line of a process that is killed may be cut short: what does not end is none.
    let rest = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        for (const seen of parse(line)) observe(seen as Observation & { member: string })
      }
    })
    this.#closed = new Promise((resolve) => child.stdout!.once('close', () => resolve()))
    child.once('exit', (code) => {
      if (!this.isKilled) fail(new Error(`the ${family} members ended: exit code ${code}\n${complaint}`))
    })
  }

  static async start(family: Family, bootstrap: string, listener: HostListener): Promise<MemberHost> {
    const [command, ...args] = await commandOf(family)
    const child = startProcess(command, [...args, bootstrap], { stdio: ['pipe', 'pipe', 'pipe'] })
    return new MemberHost(family, child, listener)
  }

  startMember(name: string, group: string, topic: string, settings: readonly string[]): void {
    this.#child.stdin!.write(`${['start', name, group, topic, ...settings].join(' ')}\n`)
  }

  /** It commits, leaves (a static one stays) and tells that it has `left`. */
  closeMember(name: string): void {
    this.#child.stdin!.write(`close ${name}\n`)
  }

  /** kill -9: all its members crash. What they told before has been observed when this resolves. */
  async kill(): Promise<void> {
    this.isKilled = true
    this.#child.kill('SIGKILL')
    await ended(this.#child)
    await this.#closed
  }
}
