/** One group under churn: who is in it, who comes and goes next, and what all of them have told. */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, pause } from '../harness/conditions.ts'
import { GroupChecker } from './checker.ts'
import { comesAgain } from './comes-again.ts'
import type { GroupView, GroupViewer } from './group-view.ts'
import type { Observation } from './history.ts'
import type { MemberHost } from './member-host.ts'
import type { GroupSpec } from './specs.ts'

/** `doomed`: its process is killed in the middle. */
export type Place = 'lasting' | 'doomed'
export type Hosts = Readonly<Record<Place, MemberHost>>

interface Member {
  readonly name: string
  readonly place: Place
  readonly instanceId: string | null
  readonly settings: readonly string[]
  readonly startedMs: number
}

/** So many are started at once in the beginning: clients of a busy machine give up when they take too long. */
const WAVE = 50

export class GroupRun {
  readonly spec: GroupSpec
  readonly checker = new GroupChecker()
  readonly #viewer: GroupViewer
  /** Where its members run; what is in it changes when they crash. */
  readonly #hosts: Hosts
  readonly #random: () => number
  readonly #live = new Map<string, Member>()
  /** Told to close; `done` is called when they have. */
  readonly #closing = new Map<string, { readonly member: Member; readonly done: () => void }>()
  /** What each member has told last. */
  readonly #last = new Map<string, Observation>()
  /** Of static members that are started again. */
  #restarting = 0
  /** When the broker last came back; Infinity while it is away. */
  #brokerBackMs = -Infinity
  #started = 0
  sent = 0
  /** All of it, for the one who reads an anomaly. */
  readonly #seen: Observation[] = []
  /** What happened, for the one who reads a failure: `+` started, `-` told to leave, `*` crashed, `!` to be started again. */
  readonly diary: string[] = []

  constructor(spec: GroupSpec, hosts: Hosts, viewer: GroupViewer, random: () => number) {
    this.spec = spec
    this.#hosts = hosts
    this.#viewer = viewer
    this.#random = random
  }

  observe(seen: Observation): void {
    this.#seen.push(seen)
    if (seen.kind === 'failed' && this.#mayComeAgain(seen)) return this.#comeAgain(seen)
    this.checker.observe(seen)
    if ('member' in seen) this.#last.set(seen.member, seen)
    if (seen.kind !== 'left' && seen.kind !== 'failed') return
    this.#closing.get(seen.member)?.done()
    this.#closing.delete(seen.member)
  }

  /** The broker is stopped or killed, or the coordinator; until `brokerIsBack`. */
  brokerGoes(): void {
    this.#brokerBackMs = Infinity
  }

  brokerIsBack(): void {
    this.#brokerBackMs = Date.now()
  }

  #mayComeAgain({ member: name, reason }: { member: string; reason: string }): boolean {
    const member = this.#live.get(name) ?? this.#closing.get(name)?.member
    if (member === undefined) return false
    const isClassic = !isOfConsumerProtocol(member.settings)
    return comesAgain(reason, { isClassic, hasLostBroker: member.startedMs < this.#brokerBackMs })
  }

  /** Whoever runs such a member starts it again, until it is let in. */
  #comeAgain({ member: name, atMs, reason }: { member: string; atMs: number; reason: string }): void {
    this.diary.push(`!${name}(${reason})`)
    this.observe({ kind: 'left', atMs, member: name })
    const member = this.#live.get(name)
    if (member === undefined) return
    this.#live.delete(name)
    this.#restarting++
    this.#startLater(member)
  }

  #startLater(member: Member): void {
    setTimeout(() => {
      // There is another process soon.
      if (this.#hosts[member.place].isKilled) return this.#startLater(member)
      this.#restarting--
      this.#start(member.place, member.instanceId)
    }, this.spec.times.heartbeatMs)
  }

  /** Long enough for sessions to end, on a busy machine. */
  get #patienceMs(): number {
    return 120_000 + 500 * this.spec.size
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #start(place: Place, instanceId: string | null): void {
    const number = this.#started++
    const name = `${this.spec.id}.${number}`
    if (instanceId !== null) this.checker.isStatic(name, instanceId)
    const { id, times } = this.spec
    const settings = this.spec.settings(number, instanceId)
    // Its next heartbeat, and its next poll, in which it gives back.
    if (isOfConsumerProtocol(settings))
      this.checker.isOfConsumerProtocol(name, times.heartbeatMs + times.fetchMs)
    this.#live.set(name, { name, place, instanceId, settings, startedMs: Date.now() })
    this.diary.push(`+${name}${instanceId === null ? '' : `(${instanceId})`}`)
    this.#hosts[place].startMember(name, id, id, settings)
  }

  /** Every third in the process that is killed, every second with an instance id, some of which are killed. */
  async startAll(): Promise<void> {
    while (this.#started < this.spec.size) {
      for (let i = 0; i < WAVE && this.#started < this.spec.size; i++) this.#startNew()
      if (this.#started < this.spec.size) await this.#haveJoined()
    }
  }

  #haveJoined(): Promise<boolean> {
    const areMembers = async (): Promise<boolean> => {
      const view = await this.#viewer.describe(this.spec.id)
      if (view?.members.size === this.#live.size) return true
      throw new Error(`${view?.members.size} of ${this.#live.size}`)
    }
    return eventually(`those that were started are members of ${this.spec.id}`, areMembers, this.#patienceMs)
  }

  #startNew(): void {
    const isStatic = this.spec.canBeStatic && [0, 3, 4].includes(this.#started % 6)
    const place = this.#started % 3 === 1 ? 'doomed' : 'lasting'
    this.#start(place, isStatic ? `${this.spec.id}-i${this.#started}` : null)
  }

  #close(member: Member): Promise<void> {
    const { name, place } = member
    this.#live.delete(name)
    this.diary.push(`-${name}`)
    this.#hosts[place].closeMember(name)
    return new Promise((done) => this.#closing.set(name, { member, done }))
  }

  /** Somebody comes, goes, or is started again; a tenth of the group at once. */
  step(): void {
    const changes = Math.max(1, Math.round(this.spec.size / 10))
    for (let i = 0; i < changes; i++) this.#change()
  }

  #change(): void {
    const live = [...this.#live.values()]
    const statics = live.filter(({ instanceId }) => instanceId !== null)
    const lasting = live.filter(({ instanceId, place }) => instanceId === null && place === 'lasting')
    const doomed = live.filter(({ instanceId, place }) => instanceId === null && place === 'doomed')
    // One is left that will crash.
    const dynamics = [...lasting, ...doomed.slice(1)]
    const dice = this.#below(3)
    if (dice === 0 && statics.length > 0) {
      void this.#restart(statics[this.#below(statics.length)])
    } else if (dice === 1 && dynamics.length > 0 && live.length > this.spec.size * 0.6) {
      void this.#close(dynamics[this.#below(dynamics.length)])
    } else if (live.length < this.spec.size * 1.4) {
      this.#startNew()
    }
  }

  async #restart(member: Member): Promise<void> {
    this.#restarting++
    await this.#close(member)
    this.#start(member.place, member.instanceId)
    this.#restarting--
  }

  /**
   * Their process was killed. What is given brings as many back, when there is another process: static ones as such, but those
   * that had been told to leave.
   */
  crash(): () => void {
    const atMs = Date.now()
    const gone = [...this.#live.values()].filter(({ place }) => place === 'doomed')
    const leaving = [...this.#closing].filter(([, { member }]) => member.place === 'doomed')
    for (const member of [...gone.map(({ name }) => name), ...leaving.map(([name]) => name)]) {
      this.#live.delete(member)
      this.diary.push(`*${member}`)
      this.observe({ kind: 'crashed', atMs, member })
      this.#closing.delete(member)
    }
    return () => {
      for (const { instanceId } of gone) this.#start('doomed', instanceId)
      for (const [, { done }] of leaving) done()
    }
  }

  /**
   * One more comes when nobody goes any more. Until then a cooperative group may be left with partitions that nobody has: a static
   * member that is started again when it should give some back has none to give, and is let in without a rebalance, in Kafka too.
   */
  async lastComes(): Promise<void> {
    const isQuiet = (): boolean => this.#restarting === 0 && this.#closing.size === 0
    await eventually(`nobody of ${this.spec.id} goes any more`, isQuiet, this.#patienceMs)
    this.#start('lasting', null)
  }

  /** Asks what is committed, and what the group looks like. */
  async look(): Promise<void> {
    const askedMs = Date.now()
    const committed = await this.#viewer.committed(this.spec.id)
    for (const [partition, offset] of committed ?? []) {
      this.observe({ kind: 'fetched', askedMs, partition, offset })
    }
    const view = await this.#viewer.describe(this.spec.id)
    if (view !== null && (view.protocol === 'consumer' || view.state === 'Stable')) {
      this.observe({ kind: 'described', owners: view.members })
    }
  }

  /** Resolves when the group is stable, everybody says what the coordinator says, and it stays so. */
  async settles(): Promise<void> {
    const stable = async (): Promise<string> => {
      const view = await this.#viewer.describe(this.spec.id)
      const wrong = this.#whatIsNotStable(view)
      if (wrong !== null) throw new Error(`${this.spec.id}: ${wrong}`)
      return JSON.stringify([view!.epoch, [...view!.members].sort()])
    }
    const first = await eventually(`${this.spec.id} is stable`, stable, this.#patienceMs)
    // Heartbeats of everybody.
    await pause(2.5 * this.spec.times.heartbeatMs)
    const later = await stable()
    if (later !== first) throw new Error(`${this.spec.id} does not stay as it is: ${first}, then ${later}`)
  }

  #whatIsNotStable(view: GroupView | null): string | null {
    if (this.#restarting > 0 || this.#closing.size > 0) return `closing: ${[...this.#closing.keys()].join()}`
    if (view === null) return 'nobody knows it'
    if (view.state !== 'Stable') return view.state
    const names = [...view.members.keys()].sort()
    const live = [...this.#live.values()].map(ownerOf).sort()
    if (names.join() !== live.join()) {
      const missing = [...this.#live.values()].filter((member) => !view.members.has(ownerOf(member)))
      const last = missing.map(({ name }) => `${name}: ${JSON.stringify(this.#last.get(name))}`)
      return `members ${names.join()} instead of ${live.join()}; last heard of those missing: ${last.join()}`
    }
    const owned = [...view.members.values()].flat().sort((a, b) => a - b)
    const all = Array.from({ length: this.spec.partitions }, (_, i) => i)
    if (owned.join() !== all.join()) return `partitions ${owned.join()} have owners`
    for (const member of this.#live.values()) {
      const { name } = member
      const held = this.checker.heldBy(name).join()
      const told = view.members
        .get(ownerOf(member))!
        .toSorted((a, b) => a - b)
        .join()
      if (held !== told) return `${name} has ${held}, the coordinator says ${told}`
    }
    return null
  }

  /** Resolves when everything that was sent is read and committed. */
  async catchesUp(): Promise<void> {
    const ends = (): string[] => {
      return [...this.checker.ends()].map(([partition, end]) => `${partition}:${end}`).sort()
    }
    const isDone = async (): Promise<boolean> => {
      await this.look()
      const unread = this.checker.unread()
      if (unread.length > 0) throw new Error(`${unread.length} unread, ${unread.slice(0, 3).join()}`)
      const committed = await this.#viewer.committed(this.spec.id)
      const told = [...(committed ?? [])].map(([partition, offset]) => `${partition}:${offset}`).sort()
      if (told.join() !== ends().join()) throw new Error(`${told.join()} is committed, not ${ends().join()}`)
      return true
    }
    await eventually(`${this.spec.id} has caught up`, isDone, this.#patienceMs)
  }

  /** Writes down what was seen, and gives the file's name. */
  keepHistory(): string {
    const file = join(tmpdir(), `odradek-${this.spec.id}-${Date.now()}.txt`)
    const lines = this.#seen.map((seen) =>
      JSON.stringify('owners' in seen ? { ...seen, owners: [...seen.owners] } : seen),
    )
    writeFileSync(file, [this.diary.join(' '), ...lines].join('\n'))
    return file
  }

  /** What was in it, in numbers. */
  told() {
    const count = (sign: string): number => this.diary.filter((line) => line.startsWith(sign)).length
    const { losses, generations, polls, commits, unacknowledged } = this.checker
    const members = { started: count('+'), crashed: count('*') }
    return {
      ...members,
      generations: generations.size,
      losses,
      unacknowledged,
      records: this.sent,
      polls,
      commits,
    }
  }

  /** All leave. */
  async ends(): Promise<void> {
    await Promise.all([...this.#live.values()].map((member) => this.#close(member)))
  }
}

const ownerOf = ({ name, instanceId }: Member): string => instanceId ?? name

const isOfConsumerProtocol = (settings: readonly string[]): boolean =>
  settings.includes('group.protocol=consumer')
