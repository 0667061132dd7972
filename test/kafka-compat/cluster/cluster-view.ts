/** Who is what in a cluster, read from ZooKeeper: leaders, in-sync sets, controller, coordinators, sessions. */
import type { Cluster } from '../harness/cluster.ts'
import { sessionKey, ZookeeperConnection, type ServerAddress } from './zookeeper-wire.ts'

/** How often a session is tried to be ended while its broker takes it back. */
const EXPIRY_TRIES = 5

export interface PartitionView {
  topic: string
  partition: number
  leader: number
  leaderEpoch: number
  isr: number[]
}

export class ClusterView {
  readonly #servers: readonly ServerAddress[]
  #connection: Promise<ZookeeperConnection> | null = null

  constructor({ ensemble }: Pick<Cluster, 'ensemble'>) {
    this.#servers = ensemble.servers.map(({ place, port }) => ({ host: place.host, port }))
  }

  /** Null while there is none. */
  async controllerId(): Promise<number | null> {
    const znode = await this.#with((connection) => connection.get('/controller'))
    return znode === null ? null : (JSON.parse(znode.data.toString()) as { brokerid: number }).brokerid
  }

  /** Takes the controller's znode away: whoever makes it again is the controller. */
  async deleteController(): Promise<void> {
    await this.#with((connection) => connection.delete('/controller'))
  }

  /** Ids of the brokers that are registered. */
  async brokerIds(): Promise<number[]> {
    const names = await this.#with((connection) => connection.children('/brokers/ids'))
    return names.map(Number).sort((a, b) => a - b)
  }

  /** Topics that shall be deleted, and are not yet. */
  topicsBeingDeleted(): Promise<string[]> {
    return this.#with((connection) => connection.children('/admin/delete_topics'))
  }

  /** All partitions of all topics that have a state. */
  partitions(): Promise<PartitionView[]> {
    return this.#with(async (connection) => {
      const topics = (await connection.children('/brokers/topics')).sort()
      const views = await Promise.all(topics.map((topic) => partitionsOf(connection, topic)))
      return views.flat()
    })
  }

  /** The broker that leads the group's partition of __consumer_offsets; null while there is none. */
  async coordinatorOf(group: string): Promise<number | null> {
    const offsets = (await this.partitions()).filter(({ topic }) => topic === '__consumer_offsets')
    const mine = offsets.find(({ partition }) => partition === partitionOfGroup(group, offsets.length))
    return mine === undefined || mine.leader < 0 ? null : mine.leader
  }

  /** Ends the broker's session on the ensemble; the broker learns it as an expiry. False where it has none. */
  async expireSession(brokerId: number): Promise<boolean> {
    const owner = await this.#sessionOf(brokerId)
    if (owner === null) return false
    for (let triesLeft = EXPIRY_TRIES; ; triesLeft--) {
      try {
        const taken = await ZookeeperConnection.open(this.#servers, sessionKey(owner))
        await taken.close()
        return true
      } catch (error) {
        // The broker took its session back on another server before it was closed; or it was, and nothing said so.
        if ((await this.#sessionOf(brokerId)) !== owner) return true
        if (triesLeft === 0) throw error
      }
    }
  }

  /** The session of a broker that is gone lives on for that time. False where it has none. */
  async prolongSession(brokerId: number, timeoutMs: number): Promise<boolean> {
    const owner = await this.#sessionOf(brokerId)
    if (owner === null) return false
    const open = (): Promise<ZookeeperConnection> =>
      ZookeeperConnection.open(this.#servers, sessionKey(owner), timeoutMs)
    // A server that has just lost its leader closes a connection that it has taken.
    const taken = await open().catch(open)
    taken.destroy()
    return true
  }

  /** The session that the broker is registered in; null where it is not. */
  async #sessionOf(brokerId: number): Promise<bigint | null> {
    const znode = await this.#with((connection) => connection.get(`/brokers/ids/${brokerId}`))
    return znode?.ephemeralOwner ?? null
  }

  /** Reads share a connection. One that was idle may have lost its session: that is tried once more on another. */
  async #with<T>(read: (connection: ZookeeperConnection) => Promise<T>): Promise<T> {
    const isReused = this.#connection !== null
    const connection = (this.#connection ??= ZookeeperConnection.open(this.#servers))
    try {
      return await read(await connection)
    } catch (error) {
      if (this.#connection === connection) this.#connection = null
      connection.then((each) => each.destroy()).catch(() => undefined)
      if (!isReused) throw error
    }
    return this.#with(read)
  }
}

async function partitionsOf(connection: ZookeeperConnection, topic: string): Promise<PartitionView[]> {
  const path = `/brokers/topics/${topic}/partitions`
  const numbers = (await connection.children(path)).map(Number).sort((a, b) => a - b)
  const znodes = await Promise.all(numbers.map((number) => connection.get(`${path}/${number}/state`)))
  return numbers.flatMap((partition, i) => {
    const znode = znodes[i]
    if (znode === null) return []
    const state = JSON.parse(znode.data.toString()) as Record<string, never>
    return [{ topic, partition, leader: state.leader, leaderEpoch: state.leader_epoch, isr: state.isr }]
  })
}

/** Java's String.hashCode, its sign bit taken away, over the partitions of __consumer_offsets. */
export function partitionOfGroup(group: string, partitions: number): number {
  let hash = 0
  for (let i = 0; i < group.length; i++) hash = (Math.imul(hash, 31) + group.charCodeAt(i)) | 0
  return (hash & 0x7fffffff) % partitions
}
