/** One directory after the other, and in each one process after the other that works on it and is killed. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { checkPartitionFiles } from '../log/partition-files.ts'
import { Ledger } from './ledger.ts'
import { firstIdOf, MOMENTS, TOPICS } from './partitions.ts'
import type { Assignment, Found, KillPlan, Message, Moment, Topic } from './partitions.ts'
import { recordsOf } from './serving.ts'

export interface Tally {
  /** By where they met the process; `start` and `outside`, before and after it was ready, came from this process. */
  readonly kills: Record<Moment | 'outside' | 'start', number>
  acknowledgedRecords: number
  compactedRecords: number
  /** By retention and DeleteRecords. */
  deletedRecords: number
}

export interface LaneOptions {
  /** The bundled killed-process.ts. */
  readonly program: string
  readonly seed: number
  /** False: this lane's last process has been killed. */
  readonly wantsMore: () => boolean
  readonly tally: Tally
}

/** A directory's files are read and checked after so many processes, and the directory is left after several such rounds. */
const PROCESSES_PER_CHECK = 12
const CHECKS_PER_DIRECTORY = 6
const WHOLE_REPORT_EVERY = 4
/** Most are killed early: the third power of a random number is taken of it. */
const MAX_MS_AFTER_ACKNOWLEDGEMENT = 120
/** A process that did not come to the step at which it was to end itself. */
const MAX_MS_OF_PLAN = 1500
/** A compaction with its swap takes some 25 steps. */
const MAX_STEPS: Record<Moment, number> = { recovery: 20, produce: 6, roll: 6, compaction: 50, retention: 8 }
const MAX_SECONDS = 60

// Some machines export a bundle of certificates for package downloads; Node would read it at every start.
const env = { ...process.env }
delete env.NODE_EXTRA_CA_CERTS
delete env.NODE_OPTIONS

type Ledgers = ReadonlyMap<Topic, Ledger>

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly moment: Moment | null
  readonly startMs: number | null
  readonly found: ReadonlyMap<Topic, Found>
}

export async function runLane(options: LaneOptions): Promise<void> {
  const random = new SeededRandom(options.seed)
  while (options.wantsMore()) {
    const directory = mkdtempSync(join(tmpdir(), 'odradek-kills-'))
    try {
      await useDirectory(directory, random, options)
    } catch (error) {
      throw new Error(`${(error as Error).message} (${directory})`, { cause: error })
    }
    rmSync(directory, { recursive: true })
  }
}

async function useDirectory(directory: string, random: SeededRandom, options: LaneOptions): Promise<void> {
  const ledgers: Ledgers = new Map(TOPICS.map((topic) => [topic, new Ledger(topic)]))
  let startMs = 60
  let generation = 0
  for (let check = 0; check < CHECKS_PER_DIRECTORY && options.wantsMore(); check++) {
    for (let index = 1; index < PROCESSES_PER_CHECK && options.wantsMore(); index++) {
      const process = new KilledProcess(options.program, ledgers, {
        directory,
        seed: random.integer(2 ** 31),
        generation: ++generation,
        reportFrom: reportFrom(ledgers, index % WHOLE_REPORT_EVERY === 0),
        isToStop: false,
        kill: planOf(random),
      })
      const isInStart = random.next() < 0.15
      const ended = await process.run(
        isInStart
          ? { afterSpawnMs: startMs * (0.4 + random.next() * 0.8) }
          : { afterAcknowledgementMs: random.next() ** 3 * MAX_MS_AFTER_ACKNOWLEDGEMENT },
      )
      if (ended.signal !== 'SIGKILL') throw new Error(`process ${generation} was not killed`)
      if (ended.startMs !== null) startMs = startMs * 0.8 + ended.startMs * 0.2
      options.tally.kills[ended.moment ?? (ended.startMs === null ? 'start' : 'outside')]++
    }
    await stopAndCheck(directory, ++generation, ledgers, options.program)
  }
  for (const { counts } of ledgers.values()) {
    options.tally.acknowledgedRecords += counts.acknowledged
    options.tally.compactedRecords += counts.compacted
    options.tally.deletedRecords += counts.deleted
  }
}

function reportFrom(ledgers: Ledgers, isWhole: boolean): Record<Topic, number> {
  const entries = [...ledgers].map(([topic, ledger]) => [topic, isWhole ? 0 : ledger.verifiedTo])
  return Object.fromEntries(entries) as Record<Topic, number>
}

/** Half of the processes end themselves, at a step that is early in their work. */
function planOf(random: SeededRandom): KillPlan | null {
  if (random.next() < 0.5) return null
  const moment = random.next() < 0.2 ? 'compaction' : MOMENTS[random.integer(MOMENTS.length)]
  const step = 1 + random.integer(MAX_STEPS[moment])
  return { moment, step, when: (['before', 'during', 'after'] as const)[random.integer(3)] }
}

/** A process recovers what the last kill left and stops; then all is on the disk, and the files agree. */
async function stopAndCheck(
  directory: string,
  generation: number,
  ledgers: Ledgers,
  program: string,
): Promise<void> {
  const assignment: Assignment = {
    directory,
    seed: generation,
    generation,
    reportFrom: reportFrom(ledgers, true),
    isToStop: true,
    kill: null,
  }
  const { signal, found } = await new KilledProcess(program, ledgers, assignment).run({})
  if (signal !== null || found.size < TOPICS.length) throw new Error(`process ${generation} did not stop`)
  for (const [topic, inLog] of found) {
    const path = join(directory, `${topic}-0`)
    if (!readdirSync(directory).includes(`${topic}-0`)) continue
    const files = new Map(readdirSync(path).map((name) => [name, readFileSync(join(path, name))]))
    const { logStartOffset } = inLog
    const { problems, batches } = checkPartitionFiles(files, {
      closed: true,
      logStartOffset,
      compacted: topic === 'compacted',
    })
    if (problems.length > 0) throw new Error(`${topic} after process ${generation}: ${problems.join(' | ')}`)
    const records = batches
      .flatMap(({ bytes }) => recordsOf(bytes))
      .filter(({ offset }) => offset >= logStartOffset)
    const problem = ledgers.get(topic)!.found({ ...inLog, records })
    if (problem !== null) throw new Error(`files after process ${generation}: ${problem}`)
  }
}

interface KillTime {
  readonly afterSpawnMs?: number
  readonly afterAcknowledgementMs?: number
}

class KilledProcess {
  readonly #ledgers: Ledgers
  readonly #assignment: Assignment
  readonly #child
  readonly #spawnedAtMs = performance.now()
  #killAfterAcknowledgementMs: number | undefined
  #found = new Map<Topic, Found>()
  #startMs: number | null = null
  #moment: Moment | null = null
  #problem: string | null = null

  constructor(program: string, ledgers: Ledgers, assignment: Assignment) {
    this.#ledgers = ledgers
    this.#assignment = assignment
    this.#child = spawn(process.execPath, [program, JSON.stringify(assignment)], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  /** Resolves when it has ended. Throws where it finds anything but what it must. */
  async run(time: KillTime): Promise<Ended> {
    const child = this.#child
    const limit = setTimeout(() => {
      this.#problem ??= `does nothing for ${MAX_SECONDS} s`
      child.kill('SIGKILL')
    }, MAX_SECONDS * 1000)
    if (time.afterSpawnMs !== undefined) this.#killIn(time.afterSpawnMs)
    this.#killAfterAcknowledgementMs = time.afterAcknowledgementMs
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (line) => this.#line(line))
    const read = new Promise((resolve) => lines.once('close', resolve))
    const signal = await new Promise<NodeJS.Signals | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (_, by) => resolve(by))
    })
    await read
    clearTimeout(limit)
    if (this.#problem !== null) throw new Error(`process ${this.#assignment.generation}: ${this.#problem}`)
    return { signal, moment: this.#moment, startMs: this.#startMs, found: this.#found }
  }

  #killIn(ms: number): void {
    setTimeout(() => this.#child.kill('SIGKILL'), ms)
  }

  #line(line: string): void {
    let message: Message
    try {
      message = JSON.parse(line) as Message
    } catch {
      return // the last one, cut short
    }
    this.#problem ??= this.#take(message)
  }

  /** Gives what is wrong; null if nothing is. */
  #take(message: Message): string | null {
    switch (message.kind) {
      case 'found':
        this.#found.set(message.found.topic, message.found)
        return null
      case 'ready':
        return this.#ready()
      case 'appended':
        this.#acknowledged()
        return this.#ledgers.get(message.topic)!.appended(message.offset, message.id, message.count)
      case 'truncating':
        this.#ledgers.get(message.topic)!.truncating(message.offset)
        return null
      case 'truncated':
        this.#ledgers.get(message.topic)!.truncated()
        return null
      case 'raising':
        this.#ledgers.get(message.topic)!.raising(message.offset)
        return null
      case 'dying':
        this.#moment = message.moment
        return null
      case 'failed':
        return message.reason
    }
  }

  #ready(): string | null {
    this.#startMs = performance.now() - this.#spawnedAtMs
    let problem: string | null = null
    for (const [topic, found] of this.#found) {
      const ledger = this.#ledgers.get(topic)!
      problem ??= ledger.found(found)
      ledger.begins(firstIdOf(this.#assignment.generation))
    }
    return problem
  }

  #acknowledged(): void {
    const afterMs = this.#killAfterAcknowledgementMs
    this.#killAfterAcknowledgementMs = undefined
    if (afterMs !== undefined) this.#killIn(this.#assignment.kill === null ? afterMs : MAX_MS_OF_PLAN)
  }
}
