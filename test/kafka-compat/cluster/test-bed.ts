/** Three brokers and three ZooKeeper servers, each behind a network of its own, and a broker whose disk can be filled. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, type BrokerKind, type Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { ClusterView } from './cluster-view.ts'
import { Switchboard } from './switchboard.ts'

export const BROKERS = 3
/** Nodes of the switchboard: the clients, the brokers by their ids, then the ZooKeeper servers. */
export const CLIENTS = 0
export const nodeOfServer = (index: number): number => BROKERS + 1 + index

/** The broker with the small disk. */
const SMALL_DISK_BROKER = 3

export interface TestBedOptions {
  kinds: readonly BrokerKind[]
  seed: number
  config?: Readonly<Record<string, string>>
  smallDiskBytes?: number
}

export class TestBed {
  readonly cluster: Cluster
  readonly network: Switchboard
  readonly view: ClusterView
  readonly #directory: string

  private constructor(cluster: Cluster, network: Switchboard, directory: string) {
    this.cluster = cluster
    this.network = network
    this.view = new ClusterView(cluster)
    this.#directory = directory
  }

  static async start({ kinds, seed, config, smallDiskBytes = 400 << 20 }: TestBedOptions): Promise<TestBed> {
    const network = await Switchboard.start(2 * BROKERS, seed)
    const directory = mkdtempSync(join(tmpdir(), 'odradek-faults-'))
    const disk = join(directory, 'disk')
    try {
      mkdirSync(disk)
      await network.addDisk(disk, smallDiskBytes)
      const cluster = await startCluster({
        kinds,
        config,
        brokerPlaces: network.places.slice(0, BROKERS),
        ensemblePlaces: network.places.slice(BROKERS),
        logDirOf: (brokerId) => (brokerId === SMALL_DISK_BROKER ? join(disk, 'data') : undefined),
      })
      return new TestBed(cluster, network, directory)
    } catch (error) {
      await network.stop()
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** The member's log directory as the test sees it. */
  readonly logDirOf = ({ brokerId, logDir }: ClusterMember): string =>
    brokerId === SMALL_DISK_BROKER ? this.network.seenAs(logDir) : logDir

  get smallDiskMember(): ClusterMember {
    return this.cluster.member(SMALL_DISK_BROKER)
  }

  /** Writes to the small disk until it is full; gives how many bytes that took. */
  fillDisk(): number {
    const file = openSync(this.#filler, 'w')
    let written = 0
    // Whole blocks first, then what is left of the last one.
    for (const size of [1 << 20, 1 << 12, 1]) {
      const block = Buffer.alloc(size)
      try {
        for (;;) written += writeSync(file, block)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
    closeSync(file)
    return written
  }

  freeDisk(): void {
    rmSync(this.#filler, { force: true })
  }

  get #filler(): string {
    return this.network.seenAs(join(this.#directory, 'disk', 'filler'))
  }

  async stop(): Promise<void> {
    await this.cluster.stop()
    await this.network.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
