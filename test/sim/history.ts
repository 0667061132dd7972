/** What producers were told and what consumers saw: the ground for saying that a record was lost, doubled or made up. */
export interface Acknowledged {
  readonly value: string
  readonly offset: number
}

export interface Sent {
  readonly producer: string
  readonly isIdempotent: boolean
  /** Of this producer, from 0. */
  readonly number: number
}

export class History {
  /** By partition. */
  readonly acknowledged = new Map<string, Acknowledged[]>()
  readonly sent = new Map<string, Sent>()
  /** By partition and offset: what a consumer read there. */
  readonly #read = new Map<string, string>()
  readonly complaints: string[] = []

  send(value: string, sent: Sent): void {
    this.sent.set(value, sent)
  }

  acknowledge(partition: string, value: string, offset: number): void {
    let all = this.acknowledged.get(partition)
    if (all === undefined) this.acknowledged.set(partition, (all = []))
    all.push({ value, offset })
  }

  get acknowledgedCount(): number {
    return [...this.acknowledged.values()].reduce((sum, all) => sum + all.length, 0)
  }

  /** A consumer has seen it. What is seen once stays so. */
  read(partition: string, offset: number, value: string): void {
    const at = `${partition}@${offset}`
    const before = this.#read.get(at)
    if (before === undefined) this.#read.set(at, value)
    else if (before !== value) this.complain(`${at} was read as ${before}, and later as ${value}`)
    if (!this.sent.has(value)) this.complain(`${at} holds ${value}, which nobody sent`)
  }

  complain(text: string): void {
    this.complaints.push(text)
  }

  /** `final`: the values of a partition, by offset, when all is over. */
  judge(partition: string, final: ReadonlyMap<number, string>): void {
    for (const { value, offset } of this.acknowledged.get(partition) ?? []) {
      const found = final.get(offset)
      if (found !== value) {
        this.complain(`${partition}@${offset} was acknowledged as ${value} and holds ${found ?? 'nothing'}`)
      }
    }
    for (const [at, value] of this.#read) {
      const [of, offset] = at.split('@')
      if (of === partition && final.get(Number(offset)) !== value) {
        this.complain(`${at} was read as ${value} and holds ${final.get(Number(offset)) ?? 'nothing'}`)
      }
    }
    this.#judgeOrder(partition, final)
  }

  /** Of an idempotent producer each record is there once, and in order. */
  #judgeOrder(partition: string, final: ReadonlyMap<number, string>): void {
    const last = new Map<string, number>()
    for (const [offset, value] of [...final].sort(([one], [other]) => one - other)) {
      const sent = this.sent.get(value)
      if (sent === undefined) {
        this.complain(`${partition}@${offset} holds ${value}, which nobody sent`)
        continue
      }
      if (!sent.isIdempotent) continue
      const before = last.get(sent.producer) ?? -1
      if (sent.number <= before) {
        this.complain(`${partition}@${offset} holds ${value} behind number ${before} of the same producer`)
      }
      last.set(sent.producer, sent.number)
    }
  }
}
