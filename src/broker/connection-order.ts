/**
 * Requests of one connection that must ask somebody before they append: what came first is appended first. Only their appends are
 * waited for, not their replies.
 */
export class ConnectionOrder {
  readonly #lasts = new Map<number, Promise<void>>()

  /** Settles when all that came before has been appended, or given up; null: there is nothing. */
  before(connectionId: number): Promise<void> | null {
    return this.#lasts.get(connectionId) ?? null
  }

  /** Runs `append` with what was `asked`; whoever comes next on this connection waits for that. */
  follow<Answer, Reply>(
    connectionId: number,
    asked: Promise<Answer>,
    append: (answer: Answer) => Reply | Promise<Reply>,
  ): Promise<Reply> {
    // In an object: a promise would be waited for.
    const appended = asked.then((answer) => ({ reply: append(answer) }))
    const forget = (): void => {
      if (this.#lasts.get(connectionId) === last) this.#lasts.delete(connectionId)
    }
    const last: Promise<void> = appended.then(forget, forget)
    this.#lasts.set(connectionId, last)
    return appended.then(({ reply }) => reply)
  }
}
