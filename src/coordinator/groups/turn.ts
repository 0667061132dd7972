/**
 * One turn of decisions: the moment it happens at, the rules it goes by, and what is to be done after it. Decisions
 * change live state, put replies and writes here, and touch nothing else; the runtime carries them out.
 */
import type { GroupCoordinatorConfig } from './config.ts'
import type { GroupRecord } from './records.ts'

/** A request that waits for its reply. */
export interface Parked<Result> {
  answer(result: Result): void
}

export interface JoinResult {
  readonly errorCode: number
  readonly memberId: string
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly members: readonly JoinedMember[]
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

export interface SyncResult {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export interface Write {
  readonly records: readonly GroupRecord[]
  /** Runs once the records are committed and replayed (0), or not stored (the log's error code). */
  readonly stored: (error: number, turn: Turn) => void
}

export interface Rules {
  readonly config: GroupCoordinatorConfig
  /** 36 characters. */
  readonly newUuid: () => string
}

export class Turn {
  /** Monotonic: for deadlines. */
  readonly nowMs: number
  /** Since the Unix epoch: for records. */
  readonly wallMs: number
  readonly config: GroupCoordinatorConfig
  readonly newUuid: () => string
  readonly #replies: (() => void)[] = []
  readonly #writes: Write[] = []

  constructor(rules: Rules, nowMs: number, wallMs: number) {
    this.nowMs = nowMs
    this.wallMs = wallMs
    this.config = rules.config
    this.newUuid = rules.newUuid
  }

  reply<Result>(parked: Parked<Result>, result: Result): void {
    this.#replies.push(() => parked.answer(result))
  }

  write(records: readonly GroupRecord[], stored: Write['stored']): void {
    this.#writes.push({ records, stored })
  }

  /** Takes out what is to be done; empty when there is nothing more. */
  takeWrites(): Write[] {
    return this.#writes.splice(0)
  }

  sendReplies(): void {
    for (const send of this.#replies.splice(0)) send()
  }
}
