/** What a transactional producer was told of its transactions, and what readers of committed records saw of them. */
export type Ending = 'committed' | 'aborted' | 'unknown'

export class TransactionHistory {
  /** By number: the values of each partition. */
  readonly #sent = new Map<number, Map<string, string[]>>()
  readonly #endings = new Map<number, Ending>()
  readonly #read = new Map<string, string>()
  readonly complaints: string[] = []
  #begun = 0

  get committedCount(): number {
    return [...this.#endings.values()].filter((ending) => ending === 'committed').length
  }

  /** A number for the next one, where several write. */
  begin(): number {
    return this.#begun++
  }

  send(number: number, partition: string, value: string): void {
    let byPartition = this.#sent.get(number)
    if (byPartition === undefined) this.#sent.set(number, (byPartition = new Map()))
    byPartition.set(partition, [...(byPartition.get(partition) ?? []), value])
  }

  end(number: number, ending: Ending): void {
    this.#endings.set(number, ending)
  }

  read(partition: string, offset: number, value: string): void {
    this.#read.set(`${partition}@${offset}`, value)
  }

  complain(text: string): void {
    this.complaints.push(text)
  }

  /** `final`: of each partition the committed records, by offset, of `replica`, when all is over. */
  judge(replica: string, final: ReadonlyMap<string, ReadonlyMap<number, string>>): void {
    for (const [at, value] of this.#read) {
      const [partition, offset] = at.split('@')
      const found = final.get(partition)?.get(Number(offset))
      if (found !== value)
        this.complain(`${at} was read as committed ${value}, and ${replica} has ${found ?? 'nothing'} there`)
    }
    for (const [number, sent] of this.#sent) this.#judgeOne(replica, number, sent, final)
  }

  /** All of it, in each partition once, or nothing. */
  #judgeOne(
    replica: string,
    number: number,
    sent: ReadonlyMap<string, readonly string[]>,
    final: ReadonlyMap<string, ReadonlyMap<number, string>>,
  ): void {
    const ending = this.#endings.get(number) ?? 'unknown'
    let expected = 0
    let found = 0
    for (const [partition, values] of sent) {
      const wanted = new Set(values)
      expected += wanted.size
      for (const value of final.get(partition)?.values() ?? []) if (wanted.has(value)) found++
    }
    const isRight = (found === expected && ending !== 'aborted') || (found === 0 && ending !== 'committed')
    if (!isRight)
      this.complain(`transaction ${number} is ${ending}: ${replica} has ${found} of ${expected} records`)
  }

  /** The group's offset is that of the last transaction which is there. */
  judgeOffset(offset: number, final: ReadonlyMap<string, ReadonlyMap<number, string>>): void {
    const visible = new Set([...final.values()].flatMap((records) => [...records.values()]))
    let last = -1
    for (const [number, sent] of this.#sent)
      if ([...sent.values()].flat().some((value) => visible.has(value))) last = Math.max(last, number)
    const expected = last < 0 ? -1 : last
    if (offset !== expected)
      this.complain(`the last transaction there is ${expected}, and the group's offset is ${offset}`)
  }
}
