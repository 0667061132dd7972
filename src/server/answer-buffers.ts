/** Where the bytes of other brokers' answers lie while somebody looks at them. */
import { FrameBufferPool } from './frame-assembler.ts'

export abstract class AnswerBuffers extends FrameBufferPool {
  /** Of an answer that lies in memory which the next read overwrites. */
  abstract copyOf(answer: Buffer): Buffer

  override give(): void {
    // Who was answered looks at it still.
  }
}

/** Each answer is the caller's to keep. */
export class KeptAnswers extends AnswerBuffers {
  override take(size: number): Buffer {
    return Buffer.allocUnsafeSlow(size)
  }

  override copyOf(answer: Buffer): Buffer {
    return Buffer.from(answer)
  }
}

/** Beyond it memory is not kept for the next answer. */
export const MAX_REUSED_BYTES = 16 << 20
const FIRST_BYTES = 64 << 10

/**
 * Each answer lies where the last one lay. What a follower fetches is megabytes a time, appended at once and of no use after:
 * new memory for each costs a follower a fifth of its processor time, in page faults and in garbage collection.
 */
export class ReusedAnswers extends AnswerBuffers {
  #buffer = Buffer.alloc(0)

  override take(size: number): Buffer {
    if (size <= this.#buffer.length) return this.#buffer
    if (size > MAX_REUSED_BYTES) return Buffer.allocUnsafeSlow(size)
    const grown = Math.max(size, FIRST_BYTES, Math.min(MAX_REUSED_BYTES, this.#buffer.length * 2))
    return (this.#buffer = Buffer.allocUnsafeSlow(grown))
  }

  override copyOf(answer: Buffer): Buffer {
    const buffer = this.take(answer.length)
    answer.copy(buffer)
    return buffer.subarray(0, answer.length)
  }
}
