/**
 * One-shot watches, as ZooKeeper keeps them: data watches (left by get and exists) and child watches (left by children).
 * created and data_changed go to data watches, children_changed to child watches, deleted to both, once to each function.
 */
import type { Watch, WatchEvent } from '../env/coordination.ts'

/** Path -> session id -> watches. */
type Watchers = Map<string, Map<number, Set<Watch>>>

export class WatchTable {
  readonly #data: Watchers = new Map()
  readonly #children: Watchers = new Map()

  watchData(path: string, watch: Watch, session: number): void {
    watchesOf(this.#data, path, session).add(watch)
  }

  watchChildren(path: string, watch: Watch, session: number): void {
    watchesOf(this.#children, path, session).add(watch)
  }

  /** The watches that `event` fires; they are gone from the table. */
  take(event: WatchEvent): Watch[] {
    if (event.type === 'deleted') {
      const data = this.#data.get(event.path)
      const children = this.#children.get(event.path)
      this.#data.delete(event.path)
      this.#children.delete(event.path)
      return union(data, children)
    }
    const watchers = event.type === 'children_changed' ? this.#children : this.#data
    const sessions = watchers.get(event.path)
    watchers.delete(event.path)
    return union(sessions, undefined)
  }

  dropSession(session: number): void {
    for (const watchers of [this.#data, this.#children]) {
      for (const [path, sessions] of watchers) {
        if (sessions.delete(session) && sessions.size === 0) watchers.delete(path)
      }
    }
  }
}

function watchesOf(watchers: Watchers, path: string, session: number): Set<Watch> {
  let sessions = watchers.get(path)
  if (sessions === undefined) watchers.set(path, (sessions = new Map()))
  let watches = sessions.get(session)
  if (watches === undefined) sessions.set(session, (watches = new Set()))
  return watches
}

/** A function that one session left in both tables runs once. */
function union(first: Map<number, Set<Watch>> | undefined, second: typeof first): Watch[] {
  const watches: Watch[] = []
  for (const [session, functions] of first ?? []) {
    for (const watch of functions) watches.push(watch)
    for (const watch of second?.get(session) ?? []) if (!functions.has(watch)) watches.push(watch)
  }
  for (const [session, functions] of second ?? []) if (!first?.has(session)) watches.push(...functions)
  return watches
}
