/**
 * The places of a group: in each one instance after the other is started, and leaves, crashes, is stopped while its successor
 * is there already (and goes on later), or comes back under the same instance id.
 */
import type { SeededRandom } from '../../src/env/sim/random.ts'
import type { SimCluster } from './cluster.ts'
import type { GroupClient } from './group-client.ts'
import type { GroupWork } from './group-work.ts'
import type { Membership } from './membership.ts'

export interface Instance {
  readonly client: GroupClient
  readonly membership: Membership
  readonly work: GroupWork
}

export interface SlotOptions {
  readonly cluster: SimCluster
  readonly random: SeededRandom
  /** The `life`th instance of this place, from 1. */
  start(life: number): Instance
}

const MAX_STAY_MS = 1800
const MAX_ABSENCE_MS = 500
const MAX_STALL_MS = 1500
const MAX_ZOMBIE_MS = 1000
const LEAVE_MS = 1000

export class GroupSlot {
  readonly #options: SlotOptions
  #lives = 0
  #finishing = false
  #over = false
  #instance: Instance | null = null

  constructor(options: SlotOptions) {
    this.#options = options
  }

  /** Nobody comes or goes any more, but for those who cannot go on. */
  settle(): void {
    this.#finishing = true
  }

  async close(): Promise<void> {
    this.#over = true
    // Of one that has crashed nothing is heard.
    await Promise.race([this.#instance?.membership.leave(), this.#after(LEAVE_MS)])
    this.#instance?.client.close()
  }

  async run(): Promise<void> {
    const { cluster, random } = this.#options
    while (!this.#over) {
      const instance = (this.#instance = this.#options.start(++this.#lives))
      void instance.membership.heartbeats()
      const ended = instance.work.run().then(() => true)
      const staysMs = 200 + random.next() * MAX_STAY_MS
      let hasEnded = await Promise.race([ended, this.#after(staysMs)])
      while (!hasEnded && this.#finishing) hasEnded = await Promise.race([ended, this.#after(200)])
      if (this.#over) return
      if (hasEnded) instance.client.close()
      else await this.#end(instance, cluster)
    }
  }

  async #end({ client, membership, work }: Instance, cluster: SimCluster): Promise<void> {
    const { random } = this.#options
    const chance = random.next()
    if (chance < 0.3) {
      cluster.log(client.name, 'leaves')
      work.isOver = true
      await Promise.race([membership.leave(), this.#after(LEAVE_MS)])
      client.process.kill()
      if (random.next() < 0.5) await this.#after(random.next() * MAX_ABSENCE_MS)
    } else if (chance < 0.6) {
      cluster.log(client.name, 'crashes')
      client.process.kill()
      if (random.next() < 0.5) await this.#after(random.next() * MAX_ABSENCE_MS)
    } else {
      cluster.log(client.name, 'is stopped, and its successor starts')
      client.process.stop()
      cluster.scheduler.timers.after(random.next() * MAX_STALL_MS, () => {
        cluster.log(client.name, 'goes on')
        client.process.resume()
        cluster.scheduler.timers.after(random.next() * MAX_ZOMBIE_MS, () => client.process.kill())
      })
    }
  }

  #after(delayMs: number): Promise<false> {
    const { scheduler } = this.#options.cluster
    return new Promise((resolve) => void scheduler.timers.after(delayMs, () => resolve(false)))
  }
}
