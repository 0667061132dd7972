/** The controller's ways to the brokers: one for each life of a broker, and who of them has missed something. */
import { CoordinationError } from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import type { BrokerChannel, BrokerInfo } from './metadata.ts'

export interface BrokerChannelsOptions {
  readonly logger: Logger
  readonly channelTo: (broker: BrokerInfo) => BrokerChannel
  /** A broker could not be told: it is to be told everything again, later. */
  readonly missed: () => void
}

export class BrokerChannels {
  readonly #options: BrokerChannelsOptions
  readonly #channels = new Map<number, { epoch: number; channel: BrokerChannel }>()
  readonly #untold = new Set<number>()

  constructor(options: BrokerChannelsOptions) {
    this.#options = options
  }

  /** null when the broker could not be told: it is told everything again later. */
  async send<T>(broker: BrokerInfo, call: (channel: BrokerChannel) => Promise<T> | T): Promise<T | null> {
    try {
      return await call(this.#channel(broker))
    } catch (error) {
      if (!(error instanceof CoordinationError || error instanceof DiskError)) throw error
      const fields = { broker: broker.id, error: error.message }
      this.#options.logger.log('error', 'a broker could not be told', fields)
      this.#untold.add(broker.id)
      this.#options.missed()
      return null
    }
  }

  #channel(broker: BrokerInfo): BrokerChannel {
    const known = this.#channels.get(broker.id)
    if (known !== undefined && known.epoch === broker.epoch) return known.channel
    const channel = this.#options.channelTo(broker)
    this.#channels.set(broker.id, { epoch: broker.epoch, channel })
    return channel
  }

  /** The broker is gone. */
  close(brokerId: number): void {
    this.#channels.delete(brokerId)
  }

  /** Those that missed something; asking forgets them. */
  takeUntold(): ReadonlySet<number> {
    const untold = new Set(this.#untold)
    this.#untold.clear()
    return untold
  }

  clear(): void {
    this.#channels.clear()
    this.#untold.clear()
  }
}
