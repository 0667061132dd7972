import type { Clock, Timer, Timers } from '../../env/env.ts'
import type { Group } from './group.ts'

/** After a group's timer has run it rests this long, so that many deadlines close together cost one look at the group. */
const REST_MS = 10

interface Alarm {
  timer: Timer | null
  atMs: number
  notBeforeMs: number
}

/**
 * One timer for each group that has a deadline. A deadline that moves later (every heartbeat does that) touches no timer:
 * the timer runs at the old time, finds nothing due, and is set to the next deadline.
 */
export class GroupTimers {
  readonly #env: { readonly clock: Clock; readonly timers: Timers }
  readonly #alarms = new Map<Group, Alarm>()
  readonly #onDeadline: (group: Group, nowMs: number) => void

  /** `onDeadline` brings `group.wakeAtMs` up to date; `nowMs` is never before it was. */
  constructor(
    env: { readonly clock: Clock; readonly timers: Timers },
    onDeadline: (group: Group, nowMs: number) => void,
  ) {
    this.#env = env
    this.#onDeadline = onDeadline
  }

  /** Makes sure that the group's timer runs by `group.wakeAtMs`. */
  arm(group: Group): void {
    const alarm = this.#alarms.get(group)
    if (alarm !== undefined && alarm.atMs <= group.wakeAtMs) return
    if (group.wakeAtMs === Infinity) return
    if (alarm === undefined) {
      const first = { timer: null, atMs: Infinity, notBeforeMs: -Infinity }
      this.#alarms.set(group, first)
      this.#set(group, first)
    } else {
      this.#set(group, alarm)
    }
  }

  disarm(group: Group): void {
    this.#alarms.get(group)?.timer?.cancel()
    this.#alarms.delete(group)
  }

  #set(group: Group, alarm: Alarm): void {
    alarm.timer?.cancel()
    alarm.atMs = group.wakeAtMs
    const delayMs = Math.max(alarm.atMs, alarm.notBeforeMs) - this.#env.clock.monotonicMs()
    alarm.timer = this.#env.timers.after(delayMs, () => this.#ring(group, alarm))
  }

  #ring(group: Group, alarm: Alarm): void {
    const nowMs = Math.max(this.#env.clock.monotonicMs(), alarm.atMs)
    alarm.timer = null
    alarm.atMs = Infinity
    alarm.notBeforeMs = nowMs + REST_MS
    this.#onDeadline(group, nowMs)
    if (this.#alarms.get(group) === alarm && group.wakeAtMs === Infinity) this.#alarms.delete(group)
  }
}
