/** Producer ids, in blocks of 1000 that the cluster hands out (/latest_producer_id_block, compare-and-set). */
import type { CoordinationSession } from '../env/coordination.ts'
import { CoordinationError } from '../env/coordination.ts'

const PATH = '/latest_producer_id_block'
const BLOCK_SIZE = 1000

interface Block {
  readonly version: 1
  readonly broker: number
  readonly block_start: string
  readonly block_end: string
}

export class ProducerIds {
  private readonly session: CoordinationSession
  private readonly brokerId: number
  private next = 0
  private end = -1
  private claiming: Promise<void> | null = null

  constructor(session: CoordinationSession, brokerId: number) {
    this.session = session
    this.brokerId = brokerId
  }

  /** An id that no producer of this cluster has had. Rejects with CoordinationError. */
  async allocate(): Promise<number> {
    while (this.next > this.end) await (this.claiming ??= this.claim().finally(() => (this.claiming = null)))
    return this.next++
  }

  /**
   * For a store that has handed out none: the ids up to `producerId` (-1: none) are in use, and so may be some above it in
   * its block, or in the one after. Rejects with CoordinationError.
   */
  async startAbove(producerId: number): Promise<void> {
    if (producerId < 0) return
    const end = (Math.floor(producerId / BLOCK_SIZE) + 2) * BLOCK_SIZE - 1
    await this.session.set(PATH, this.encode(end))
  }

  private encode(end: number): Buffer {
    const start = end - BLOCK_SIZE + 1
    const block: Block = { version: 1, broker: this.brokerId, block_start: `${start}`, block_end: `${end}` }
    return Buffer.from(JSON.stringify(block))
  }

  private async claim(): Promise<void> {
    for (;;) {
      const { data, stat } = await this.session.get(PATH)
      const latest = data && data.length > 0 ? (JSON.parse(data.toString()) as Block) : null
      const start = latest ? Number(latest.block_end) + 1 : 0
      const end = start + BLOCK_SIZE - 1
      try {
        await this.session.set(PATH, this.encode(end), stat.version)
      } catch (error) {
        if (error instanceof CoordinationError && error.code === 'BAD_VERSION') continue
        throw error
      }
      this.next = start
      this.end = end
      return
    }
  }
}
