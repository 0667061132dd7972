/** Many lives of one store on a disk that fails, is cut off and tears what was not synced; seeds are in the test names. */
import { expect, test } from 'vitest'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

/** Node name -> value. */
type State = ReadonlyMap<string, string>
const SEEDS = Array.from({ length: 60 }, (_, i) => i + 1)
const LIVES = 6
const text = (state: State): string => JSON.stringify([...state].sort())

class Life {
  readonly scheduler: SimScheduler
  readonly random: SeededRandom
  readonly disk: SimDisk
  readonly session: CoordinationSession
  /** What has been answered. */
  state: State
  /** What a crash may leave: what has been answered, or that and a part of what has not been. */
  allowed: State[]
  /** Something was answered that had changed something. */
  answered = false
  #value = 0

  constructor(
    world: { scheduler: SimScheduler; random: SeededRandom; disk: SimDisk },
    session: CoordinationSession,
    state: State,
  ) {
    this.scheduler = world.scheduler
    this.random = world.random
    this.disk = world.disk
    this.session = session
    this.state = state
    this.allowed = [state]
  }

  /** Some operations of one turn; false when the disk died on the way. */
  async step(): Promise<boolean> {
    this.#planFailure()
    const prefixes: State[] = []
    let next = this.state
    const answers: Promise<unknown>[] = []
    for (let i = this.random.integer(4); i >= 0; i--) {
      const [state, answer] = this.#operation(next)
      next = state
      prefixes.push(state)
      answers.push(answer)
    }
    const settled = Promise.allSettled(answers)
    if (this.random.next() < 0.15) {
      for (let i = this.random.integer(8); i > 0; i--) await Promise.resolve()
      if (this.random.next() < 0.5) await this.scheduler.settle()
      this.allowed.push(...prefixes)
      return false
    }
    const results = await this.scheduler.until(settled)
    const outcomes = new Set(results.map(({ status }) => status))
    expect(outcomes.size).toBe(1)
    if (outcomes.has('fulfilled')) {
      this.state = next
      this.answered = true
      this.allowed = [next]
    } else this.allowed.push(...prefixes)
    return true
  }

  #operation(state: State): [State, Promise<unknown>] {
    const name = `n${this.random.integer(6)}`
    const next = new Map(state)
    if (state.has(name) && this.random.next() < 0.3) {
      next.delete(name)
      return [next, this.session.delete(`/${name}`)]
    }
    const value = `${this.#value++}`.repeat(this.random.integer(30))
    next.set(name, value)
    const data = Buffer.from(value)
    return [
      next,
      state.has(name) ? this.session.set(`/${name}`, data) : this.session.create(`/${name}`, data),
    ]
  }

  #planFailure(): void {
    if (this.random.next() > 0.15) return
    const operations = ['write', 'sync', 'truncate', 'rename', 'open'] as const
    const operation = operations[this.random.integer(operations.length)]
    this.disk.failNext({ operation, code: 'NO_SPACE', bytesWritten: this.random.integer(60) })
  }
}

test.each(SEEDS)('what was answered survives failures, kills and power cuts, seed %i', async (seed) => {
  const random = new SeededRandom(seed)
  const scheduler = new SimScheduler({ seed })
  const disk = new SimDisk({ random })
  disk.makeDirectory('data')
  disk.syncDirectory('')
  let allowed: State[] = [new Map()]
  let lastId = 0n
  for (let life = 0; life < LIVES; life++) {
    const store = createEmbeddedCoordination({
      disk,
      clock: scheduler.clock,
      timers: scheduler.timers,
      logger: { log: () => undefined },
      directory: 'data',
      compactionBytes: 600,
    })
    const session = await scheduler.until(store.connect({ sessionTimeoutMs: 1 }))
    expect(session.id).toBeGreaterThan(lastId)
    const found = new Map<string, string>()
    for (const name of await scheduler.until(session.children('/')))
      found.set(name, (await scheduler.until(session.get(`/${name}`))).data!.toString())
    expect(allowed.map(text), `seed ${seed}, life ${life}`).toContain(text(found))
    const current = new Life({ scheduler, random, disk }, session, found)
    for (let steps = 0; steps < 25; steps++) if (!(await current.step())) break
    if (random.next() < 0.5) disk.kill()
    else disk.crash(random.next() < 0.3 ? 'drop' : 'random')
    await scheduler.settle()
    allowed = current.allowed
    // A life that made nothing durable leaves no trace: nobody outlives it who could know its ids.
    if (current.answered) lastId = session.id
  }
})
