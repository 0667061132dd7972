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

  private async claim(): Promise<void> {
    for (;;) {
      const { data, stat } = await this.session.get(PATH)
      const latest = data && data.length > 0 ? (JSON.parse(data.toString()) as Block) : null
      const start = latest ? Number(latest.block_end) + 1 : 0
      const end = start + BLOCK_SIZE - 1
      const block: Block = { version: 1, broker: this.brokerId, block_start: `${start}`, block_end: `${end}` }
      try {
        await this.session.set(PATH, Buffer.from(JSON.stringify(block)), stat.version)
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
