import type { SimLinks } from './links.ts'

/** Messages from one host to another that arrive in order, later where the way is cut. */
export class Pipe {
  readonly #links: SimLinks
  readonly #from: string
  readonly #to: string
  readonly #queue: { readonly readyAtMs: number; readonly arrived: () => void }[] = []
  #lastArrivalMs = 0
  #pumping = false

  constructor(links: SimLinks, from: string, to: string) {
    this.#links = links
    this.#from = from
    this.#to = to
  }

  send(arrived: () => void): void {
    const arrivalMs = this.#links.scheduler.elapsedMs + this.#links.delayMs(this.#from, this.#to)
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs)
    this.#queue.push({ readyAtMs: this.#lastArrivalMs, arrived })
    this.#pump()
  }

  #pump(): void {
    if (this.#pumping || this.#queue.length === 0) return
    this.#pumping = true
    const waitMs = Math.max(0, this.#queue[0].readyAtMs - this.#links.scheduler.elapsedMs)
    this.#links.scheduler.timers.after(waitMs, () => {
      const goOn = (): void => {
        this.#pumping = false
        this.#pump()
      }
      if (!this.#links.isOpen(this.#from, this.#to)) return this.#links.whenOpen(this.#from, this.#to, goOn)
      const next = this.#queue.shift()
      goOn()
      next?.arrived()
    })
  }
}
