/** The offsets of one OffsetCommit or TxnOffsetCommit, each with its answer. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { Commit } from './group.ts'
import { committing } from './offsets.ts'
import type { OffsetToCommit } from './offsets.ts'

export interface AskedTopic {
  readonly name: string
  readonly partitions: readonly OffsetToCommit[]
}

export interface AnsweredTopic {
  readonly name: string
  readonly partitions: { readonly partitionIndex: number; errorCode: number }[]
}

export class AskedCommits {
  readonly #topics: readonly AskedTopic[]
  /** In the order of what was asked. NONE: nothing is wrong with this one alone. */
  readonly #answers: readonly AnsweredTopic[]

  /** Those of partitions that do not exist are refused. */
  constructor(topics: readonly AskedTopic[], partitionCount: (topic: string) => number | undefined) {
    this.#topics = topics
    this.#answers = topics.map(({ name, partitions }) => {
      const count = partitionCount(name) ?? 0
      return { name, partitions: partitions.map(({ partitionIndex }) => answerTo(partitionIndex, count)) }
    })
  }

  /** Whether any is not refused. */
  get hasAny(): boolean {
    return this.#answers.some(({ partitions }) => partitions.some(isFine))
  }

  /** Those that are not refused; what has more metadata than it may is, now. */
  commits(
    maxMetadataBytes: number,
    times: { readonly wallMs: number; readonly retentionMs: number },
  ): Commit[] {
    const commits: Commit[] = []
    for (const [i, { name: topic, partitions }] of this.#topics.entries()) {
      const answers = this.#answers[i].partitions
      for (let j = 0; j < partitions.length; j++) {
        const asked = partitions[j]
        if (!isFine(answers[j])) continue
        if ((asked.committedMetadata?.length ?? 0) > maxMetadataBytes)
          answers[j].errorCode = ErrorCode.OFFSET_METADATA_TOO_LARGE
        else commits.push({ topic, partition: asked.partitionIndex, offset: committing(asked, times) })
      }
    }
    return commits
  }

  /** `error`: of all that are not refused. */
  answered(error: number): { topics: AnsweredTopic[] } {
    if (error !== ErrorCode.NONE) {
      for (const { partitions } of this.#answers)
        for (const answer of partitions) if (isFine(answer)) answer.errorCode = error
    }
    return { topics: [...this.#answers] }
  }
}

const isFine = ({ errorCode }: { readonly errorCode: number }): boolean => errorCode === ErrorCode.NONE

function answerTo(partitionIndex: number, partitionCount: number): AnsweredTopic['partitions'][number] {
  const exists = partitionIndex >= 0 && partitionIndex < partitionCount
  return { partitionIndex, errorCode: exists ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
}
