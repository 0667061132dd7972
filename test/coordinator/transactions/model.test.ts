/**
 * Random producers, brokers, clocks and coordinators, against a model that knows none of the code: for each transactional id what
 * it must be, written as tables. Every answer is compared, and every marker that is sent.
 */
import { describe, expect, test } from 'vitest'
import { ErrorCode, errorName } from '../../../src/protocol/error-codes.ts'
import { SeededRandom } from '../world.ts'
import { add, end, FakeBrokers, init, settled, TIMEOUT_MS, world } from './world.ts'
import type { World } from './world.ts'

const STEPS = 400
const RUNS = 60
const IDS = ['a', 'b']
const PARTITIONS = ['p/0', 'p/1', 'q/0']
const SCAN_MS = 10_000

type Phase = 'none' | 'empty' | 'open' | 'ending' | 'committed' | 'aborted'

/** What one transactional id must be. */
class Model {
  phase: Phase = 'none'
  pid = -1
  epoch = -1
  /** The pair that the last InitProducerId with an expectation, or bumping end, has replaced. */
  replaced: { pid: number; epoch: number } | null = null
  partitions = new Set<string>()
  openedMs = 0
  commits = false
  bumps = false

  init(expected: [number, number] | undefined, newId: () => number): string {
    if (this.phase === 'none') {
      Object.assign(this, { phase: 'empty', pid: newId(), epoch: 0, replaced: null, bumps: false })
      if (expected !== undefined) this.replaced = { pid: this.pid, epoch: -1 }
      return this.given()
    }
    if (this.phase === 'ending') return 'CONCURRENT_TRANSACTIONS'
    const isCurrent = expected === undefined || (expected[0] === this.pid && expected[1] === this.epoch)
    if (this.phase === 'open') {
      if (expected !== undefined && expected[0] !== this.pid) return 'PRODUCER_FENCED'
      this.abortInNewEpoch()
      return 'CONCURRENT_TRANSACTIONS'
    }
    if (!isCurrent) {
      const { replaced } = this
      const isRepeated =
        replaced !== null &&
        expected[0] === replaced.pid &&
        expected[1] === replaced.epoch &&
        expected[0] === this.pid
      if (!isRepeated) return 'PRODUCER_FENCED'
      this.phase = 'empty'
      return this.given()
    }
    this.replaced = expected === undefined ? null : { pid: this.pid, epoch: this.epoch }
    this.epoch++
    this.phase = 'empty'
    return this.given()
  }

  add(pid: number, epoch: number, partition: string, bumps: boolean, nowMs: number): string {
    if (this.phase === 'ending' && bumps) return 'CONCURRENT_TRANSACTIONS'
    const refused = this.stranger(pid, epoch)
    if (refused !== null) return refused
    if (this.phase === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (this.phase !== 'open') Object.assign(this, { openedMs: nowMs, partitions: new Set() })
    else if (this.partitions.has(partition)) return 'NONE'
    this.phase = 'open'
    this.bumps = bumps
    this.partitions.add(partition)
    return 'NONE'
  }

  end(pid: number, epoch: number, commits: boolean, bumps: boolean): string {
    return bumps ? this.endBumping(pid, epoch, commits) : this.endClassic(pid, epoch, commits)
  }

  /** After the markers: what the producers' requests see from then on. */
  marked(): void {
    this.phase = this.commits ? 'committed' : 'aborted'
    this.partitions = new Set()
  }

  abortInNewEpoch(): void {
    this.epoch++
    this.replaced = this.bumps ? { pid: this.pid, epoch: this.epoch - 1 } : null
    Object.assign(this, { phase: 'ending', commits: false })
  }

  private endClassic(pid: number, epoch: number, commits: boolean): string {
    const refused = this.stranger(pid, epoch)
    if (refused !== null) return refused
    if (this.phase === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (this.phase === (commits ? 'committed' : 'aborted')) return 'NONE'
    if (this.phase !== 'open') return 'INVALID_TXN_STATE'
    Object.assign(this, { phase: 'ending', commits, bumps: false })
    return 'NONE'
  }

  /** The table of KIP-890, as Kafka 4.1 has it: rows are phases, columns the request's epoch and what it asks for. */
  private endBumping(pid: number, epoch: number, commits: boolean): string {
    if (this.phase === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (this.phase === 'none' || pid !== this.pid) return 'INVALID_PRODUCER_ID_MAPPING'
    const age = epoch === this.epoch ? 'current' : epoch === this.epoch - 1 ? 'before' : 'other'
    const wanted = commits ? 'commit' : 'abort'
    const table: Record<string, Record<string, string>> = {
      empty: { 'current abort': 'BUMP', 'current commit': 'INVALID_TXN_STATE' },
      open: { 'current abort': 'BUMP', 'current commit': 'BUMP' },
      committed: {
        'current abort': 'BUMP',
        'current commit': 'INVALID_TXN_STATE',
        'before abort': 'INVALID_TXN_STATE',
        'before commit': 'NONE',
      },
      aborted: {
        'current abort': 'BUMP',
        'current commit': 'INVALID_TXN_STATE',
        'before abort': 'NONE',
        'before commit': 'INVALID_TXN_STATE',
      },
    }
    const cell = table[this.phase][`${age} ${wanted}`] ?? 'PRODUCER_FENCED'
    if (cell === 'NONE') return this.given()
    if (cell !== 'BUMP') return cell
    this.replaced = { pid, epoch }
    this.epoch++
    Object.assign(this, { phase: 'ending', commits, bumps: true })
    return this.given()
  }

  private stranger(pid: number, epoch: number): string | null {
    if (this.phase === 'none' || pid !== this.pid) return 'INVALID_PRODUCER_ID_MAPPING'
    return epoch === this.epoch ? null : 'PRODUCER_FENCED'
  }

  private given(): string {
    return `NONE ${this.pid}/${this.epoch}`
  }
}

/** One run: a coordinator whose markers are written when the run says so, and a model of each id. */
class Run {
  readonly random: SeededRandom
  readonly models = new Map(IDS.map((id) => [id, new Model()]))
  readonly history: string[] = []
  w: World
  /** Markers that must have been sent, each of these at least once, and none but these. */
  readonly expectedMarkers = new Set<string>()
  nextId = 1
  /** When the coordinator began. */
  startedMs = 0
  readonly sentBefore: string[] = []

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.w = world({ brokers: heldBrokers() })
  }

  async step(): Promise<void> {
    const action = this.random.pick([
      'init',
      'init',
      'add',
      'add',
      'add',
      'end',
      'end',
      'mark',
      'mark',
      'time',
      'move',
    ])
    const id = this.random.pick(IDS)
    const model = this.models.get(id)!
    if (action === 'mark') await this.mark()
    else if (action === 'time') await this.pass()
    else if (action === 'move') await this.move()
    else await this.ask(action, id, model)
    for (const [name, each] of this.models) this.checkState(name, each)
  }

  private async ask(action: string, id: string, model: Model): Promise<void> {
    const pid = this.random.below(8) === 0 ? model.pid + 50 : model.pid
    const epoch = model.epoch + this.random.pick([0, 0, 0, 0, 0, -1, -1, -2, 1])
    const bumps = this.random.below(2) === 0
    const clientVersion = bumps ? 2 : 0
    const from = { producerId: pid, producerEpoch: epoch }
    const before = model.phase
    if (action === 'init') {
      const expected =
        this.random.below(2) === 0 || epoch < 0 ? undefined : ([pid, epoch] as [number, number])
      const answer = await init(this.w, { id, expected })
      this.compare(
        `init ${id} ${expected}`,
        told(answer),
        model.init(expected, () => this.nextId++),
      )
    } else if (action === 'add') {
      const partition = this.random.pick(PARTITIONS)
      const error = await add(this.w, from, [partition], { id, clientVersion })
      const wanted = model.add(pid, epoch, partition, bumps, this.w.time.nowMs())
      this.compare(`add ${id} ${pid}/${epoch} ${partition} ${clientVersion}`, errorName(error), wanted)
    } else {
      const commits = this.random.below(2) === 0
      const answer = await end(this.w, from, commits, { id, clientVersion })
      const wanted = model.end(pid, epoch, commits, bumps)
      const answered = bumps ? told(answer) : errorName(answer.errorCode)
      this.compare(`end ${id} ${pid}/${epoch} ${commits} ${clientVersion}`, answered, wanted)
    }
    await settled()
    this.noteEnding(before, model)
  }

  private noteEnding(before: Phase, model: Model): void {
    if (before === 'ending' || model.phase !== 'ending') return
    const result = model.commits ? 'commit' : 'abort'
    for (const each of model.partitions)
      this.expectedMarkers.add(`${result} ${each} ${model.pid}/${model.epoch}`)
    if (model.partitions.size === 0) model.marked()
  }

  /** Everything that brokers hold is written; what that brings about is, too. */
  private async mark(): Promise<void> {
    for (let i = 0; i < 10; i++) {
      await this.w.brokers.answerNext()
      await settled()
    }
    for (const model of this.models.values()) if (model.phase === 'ending') model.marked()
    this.history.push('markers written')
  }

  private async pass(): Promise<void> {
    const ms = this.random.pick([1_000, SCAN_MS, TIMEOUT_MS])
    this.w.time.advance(ms)
    await settled()
    // What counts is the time of the last scan.
    const scans = Math.floor((this.w.time.monotonicMs() - this.startedMs) / SCAN_MS)
    const sinceScanMs = this.w.time.monotonicMs() - this.startedMs - scans * SCAN_MS
    for (const model of this.models.values()) {
      const isLate = model.openedMs + TIMEOUT_MS < this.w.time.nowMs() - sinceScanMs
      if (scans === 0 || model.phase !== 'open' || !isLate) continue
      model.abortInNewEpoch()
      this.noteEnding('open', model)
    }
    this.history.push(`${ms} ms pass`)
  }

  /** Another coordinator reads the log; what it does not find there is forgotten. */
  private async move(): Promise<void> {
    const { time, log, ids, brokers } = this.w
    this.sentBefore.push(...brokers.sent)
    this.w.transactions.stop()
    this.w = world({ time, log, ids, brokers: heldBrokers() })
    this.startedMs = time.monotonicMs()
    await settled()
    for (const model of this.models.values()) model.replaced = null
    this.history.push('moved')
  }

  async checkMarkers(): Promise<void> {
    await this.mark()
    const sent = new Set(
      [...this.sentBefore, ...this.w.brokers.sent].map((each) => each.replace(/ @\d+$/, '')),
    )
    expect([...sent].toSorted(), this.history.join('\n')).toEqual([...this.expectedMarkers].toSorted())
  }

  private checkState(id: string, model: Model): void {
    const described = this.w.transactions.describe(id)
    const found =
      described.errorCode === ErrorCode.NONE
        ? `${described.transactionState} ${described.producerId}/${described.producerEpoch}`
        : errorName(described.errorCode)
    const phases = {
      none: 'TRANSACTIONAL_ID_NOT_FOUND',
      empty: 'Empty',
      open: 'Ongoing',
      ending: model.commits ? 'PrepareCommit' : 'PrepareAbort',
      committed: 'CompleteCommit',
      aborted: 'CompleteAbort',
    }
    const pair = model.phase === 'none' ? '' : ` ${model.pid}/${model.epoch}`
    this.compare(`state of ${id}`, found, phases[model.phase] + pair)
  }

  private compare(what: string, found: string, wanted: string): void {
    this.history.push(`${what}: ${found}`)
    if (found !== wanted)
      expect(found, `${this.history.slice(-60).join('\n')}\nwanted: ${wanted}`).toBe(wanted)
  }
}

function heldBrokers(): FakeBrokers {
  const brokers = new FakeBrokers()
  brokers.late = true
  return brokers
}

function told(answer: { errorCode: number; producerId: number; producerEpoch: number }): string {
  const { errorCode, producerId, producerEpoch } = answer
  return errorCode === ErrorCode.NONE ? `NONE ${producerId}/${producerEpoch}` : errorName(errorCode)
}

describe('random requests are answered as the model says', () => {
  test.each(Array.from({ length: RUNS }, (_, seed) => seed))('seed %i', async (seed) => {
    const run = new Run(seed)
    for (let i = 0; i < STEPS; i++) await run.step()
    await run.checkMarkers()
  })
})
