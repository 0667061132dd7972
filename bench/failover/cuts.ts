/** Proxies before every broker and before its way to every ZooKeeper server. */
import type { Detour } from '../lab/cluster.ts'
import { Proxy } from '../lab/proxy.ts'

/**
 * A cut broker is reached by nobody and does not reach the ensemble. What it asks of the other brokers as a follower
 * still passes; it is the leader, so that is of no consequence.
 */
export class Cuts {
  readonly #proxies = new Map<string, Proxy[]>()

  /** For the brokers of one cluster. */
  detour(cluster: string): Detour {
    const through = async (brokerId: number, ports: readonly number[]) => {
      const proxies = await Promise.all(ports.map((port) => Proxy.listen(port)))
      this.#of(cluster, brokerId).push(...proxies)
      return proxies.map(({ port }) => port)
    }
    return {
      listenerPort: async (brokerId, port) => (await through(brokerId, [port]))[0],
      zooKeeperPorts: through,
    }
  }

  cut(cluster: string, brokerId: number): void {
    for (const proxy of this.#of(cluster, brokerId)) proxy.cut()
  }

  heal(cluster: string, brokerId: number): void {
    for (const proxy of this.#of(cluster, brokerId)) proxy.heal()
  }

  close(): void {
    for (const proxy of [...this.#proxies.values()].flat()) proxy.close()
  }

  #of(cluster: string, brokerId: number): Proxy[] {
    const key = `${cluster} ${brokerId}`
    const proxies = this.#proxies.get(key) ?? []
    this.#proxies.set(key, proxies)
    return proxies
  }
}
