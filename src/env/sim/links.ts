/** The ways between hosts: each direction has its delays, can lose packets, and can be cut. */
import type { Random } from '../env.ts'
import type { SimScheduler } from './scheduler.ts'

export interface LinkQuality {
  readonly minDelayMs: number
  readonly maxDelayMs: number
  /** Of a message: how likely it waits for a retransmission, since TCP loses nothing. */
  readonly loss: number
}

export const GOOD_LINK: LinkQuality = { minDelayMs: 0.1, maxDelayMs: 1, loss: 0 }
/** The first retransmission of TCP on Linux. */
const RETRANSMISSION_MS = 200

export class SimLinks {
  readonly scheduler: SimScheduler
  readonly #random: Random
  readonly #quality = new Map<string, LinkQuality>()
  readonly #cut = new Set<string>()
  readonly #down = new Set<string>()
  /** Who waits for a way to be open again, in order. */
  #waiting: { readonly from: string; readonly to: string; readonly goOn: () => void }[] = []

  constructor(scheduler: SimScheduler, random: Random) {
    this.scheduler = scheduler
    this.#random = random
  }

  /** One direction. */
  cut(from: string, to: string): void {
    this.#cut.add(nameOf(from, to))
  }

  heal(from: string, to: string): void {
    this.#cut.delete(nameOf(from, to))
    this.#wake()
  }

  /** A host without power: nothing arrives, nothing leaves. */
  setDown(host: string, down: boolean): void {
    if (down) this.#down.add(host)
    else this.#down.delete(host)
    this.#wake()
  }

  setQuality(from: string, to: string, quality: LinkQuality): void {
    this.#quality.set(nameOf(from, to), quality)
  }

  /** Everything is as good as new; hosts that are down stay so. */
  healAll(): void {
    this.#cut.clear()
    this.#quality.clear()
    this.#wake()
  }

  isOpen(from: string, to: string): boolean {
    if (this.#down.has(from) || this.#down.has(to)) return false
    return this.#cut.size === 0 || from === to || !this.#cut.has(nameOf(from, to))
  }

  /** How long a message is on its way that leaves now. */
  delayMs(from: string, to: string): number {
    const quality = this.#quality.size === 0 ? undefined : this.#quality.get(nameOf(from, to))
    const { minDelayMs, maxDelayMs, loss } = quality ?? GOOD_LINK
    const delayMs = minDelayMs + this.#random.next() * (maxDelayMs - minDelayMs)
    return loss > 0 && this.#random.next() < loss ? delayMs + RETRANSMISSION_MS : delayMs
  }

  /** `goOn` runs when the way is open again, a retransmission later. */
  whenOpen(from: string, to: string, goOn: () => void): void {
    this.#waiting.push({ from, to, goOn })
  }

  /** One message by itself: `arrived` runs when it has arrived, however long the way is cut. */
  carry(from: string, to: string, arrived: () => void): void {
    const arrive = (): void => {
      if (this.isOpen(from, to)) arrived()
      else this.whenOpen(from, to, () => this.carry(from, to, arrived))
    }
    this.scheduler.timers.after(this.delayMs(from, to), arrive)
  }

  #wake(): void {
    const open = this.#waiting.filter(({ from, to }) => this.isOpen(from, to))
    if (open.length === 0) return
    this.#waiting = this.#waiting.filter(({ from, to }) => !this.isOpen(from, to))
    for (const { goOn } of open) {
      this.scheduler.timers.after(this.#random.next() * RETRANSMISSION_MS, goOn)
    }
  }
}

function nameOf(from: string, to: string): string {
  return `${from}>${to}`
}
